"""One GET over HTTP, by the session of fsspec's HTTP file system: its thread, its connections, proxies and certificates.

The file system's own `cat_file` gives the bytes of an answer and keeps its headers to itself, which tell a file from
another version of it, and a range from the whole. So requests are made on its session, and redirects are followed here,
where it is known what may not follow: a secret to another server, or TLS to none.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from paraminspect.errors import FarError
from paraminspect.files.addresses import Origin, basic, follow, netloc, parse_address
from paraminspect.files.faults import fault, no_package

CONNECT_S: Final = 10.0
"""For a connection, its TLS included."""

READ_S: Final = 30.0
"""For the next bytes of an answer."""

LEFTOVER_S: Final = 1.0
"""For the rest of an answer that is not wanted."""

MIN_RATE: Final = 16 << 10
"""Bytes a second below which an answer is given up, after the first READ_S."""

MAX_REDIRECTS: Final = 8

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_LOGGERS: Final = ("asyncio", "aiohttp", "fsspec")
"""What they have to say comes as errors too."""

_SMALL_BODY: Final = 64 << 10
"""Of an answer that is not wanted: read to its end so that the connection can be kept."""

Made = TypeVar("Made")


class Response:
    """An answer whose body is read a piece at a time; a context that gives the connection back.

    Attributes:
        url: That gave it, after redirects.
        status: Three digits.
        reason: The server's words for it.
        host: Of the server.
        headers: Names in lower case, the first of several.
    """

    def __init__(self, client: Client, raw: Any, url: str, host: str) -> None:
        self.url = url
        self.status: int = raw.status
        self.reason: str = raw.reason or ""
        self.host = host
        self.headers: dict[str, str] = {}
        for name, value in raw.headers.items():
            self.headers.setdefault(name.lower(), value)
        self._client = client
        self._raw = raw
        self._end = monotonic() + READ_S

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def allow(self, nbytes: int) -> None:
        """Time for so many bytes more."""
        self._end += nbytes / MIN_RATE

    def read(self, most: int) -> bytes:
        """The next bytes of the body, fewer than `most` only at its end.

        Raises:
            ConnectionError: It was cut.
            FarError: It came too slowly.
        """
        parts: list[bytes] = []

        async def gather(missing: int) -> None:
            while missing > 0 and (part := await self._raw.content.read(missing)):
                parts.append(part)
                missing -= len(part)

        try:
            self._client.run(lambda: gather(most), max(0.001, self._end - monotonic()))
        except FarError:
            raise
        except TimeoutError as error:
            raise _late(error, self.host) from None
        except Exception as error:
            if not parts:
                raise ConnectionError(str(error)) from None
        return b"".join(parts)

    def read_all(self, most: int) -> bytes:
        """The whole body, at most so many bytes of it. Raises what `read` does."""
        self.allow(most)
        return self.read(most)

    @property
    def length(self) -> int | None:
        """Of the body, as the server says."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None

    def close(self) -> None:
        """Keep the connection if nothing is left to come, else close it."""
        if self.status > 299 and self.length is not None and self.length <= _SMALL_BODY:
            self._end = min(self._end, monotonic() + LEFTOVER_S)
            with suppress(ConnectionError, FarError):
                self.read(self.length)
        self._client.release(self._raw)


class Client:
    """Connections to servers. May be used by several threads, and by processes that are forked from this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._system: Any = None
        self._process = 0

    def get(self, url: str, headers: Mapping[str, str]) -> Response:
        """The answer to a GET, redirects followed.

        Args:
            url: Of http or https.
            headers: Beside those that every request has; no other server sees who asks.

        Raises:
            FarError: No answer, or redirects that lead nowhere good.
        """
        user = parse_address(url).user
        if user and not any(name.lower() == "authorization" for name in headers):
            headers = {**headers, "Authorization": basic(user)}
        for _ in range(MAX_REDIRECTS + 1):
            response = self._get_once(url, headers)
            where = response.headers.get("location")
            if response.status not in _REDIRECTS or where is None:
                return response
            response.close()
            following = follow(url, where, response.host)
            if parse_address(following).origin != parse_address(url).origin:
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
            url = following
        raise fault("redirects", host=parse_address(url).origin.host, limit=MAX_REDIRECTS)

    def run(self, work: Callable[[], Coroutine[Any, Any, Made]], seconds: float) -> Made:
        """What a coroutine makes on the thread of the file system.

        Raises:
            TimeoutError: It takes longer.
            Exception: What the coroutine raises.
        """
        from fsspec.asyn import sync

        made: Made = sync(self._open().loop, work, timeout=seconds)
        return made

    def release(self, raw: Any) -> None:
        """Give the connection of an answer back, or close it if bytes are still to come."""
        loop = self._open().loop
        if loop.is_running():
            loop.call_soon_threadsafe(raw.release if raw.content.at_eof() else raw.close)

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            system, self._system = self._system, None
        if system is not None and self._process == os.getpid():
            system.close_session(system.loop, system._session)

    def _open(self) -> Any:
        """The file system; another one after a fork, since the connections are the parent's.

        Raises:
            FarError: What it needs is not installed.
        """
        with self._lock:
            if self._system is None or self._process != os.getpid():
                for name in _LOGGERS:
                    logging.getLogger(name).addHandler(logging.NullHandler())
                try:
                    self._system = _make_system()
                except ImportError:
                    raise no_package("https", "aiohttp", "http") from None
                self._process = os.getpid()
            return self._system

    def _get_once(self, url: str, headers: Mapping[str, str]) -> Response:
        address = parse_address(url)
        host = address.origin.host
        proxy = _find_proxy(address.origin)
        asked = f"{address.origin.scheme}://{netloc(address.origin)}{address.target}"
        system = self._open()

        async def ask() -> Any:
            import aiohttp
            from yarl import URL

            session = await system.set_session()
            return await session.get(
                URL(asked, encoded=True),
                headers=headers,
                allow_redirects=False,
                proxy=proxy,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S),
            )

        try:
            raw = self.run(ask, CONNECT_S + READ_S)
        except FarError:
            raise
        except Exception as error:
            raise _explain(error, host) from None
        return Response(self, raw, url, host)


def _make_system() -> Any:
    """The file system of fsspec for HTTP, which needs aiohttp."""
    import aiohttp  # noqa: F401 - the file system imports it only when it is used
    from fsspec.implementations.http import HTTPFileSystem

    return HTTPFileSystem(
        skip_instance_cache=True,
        client_kwargs={
            "auto_decompress": False,
            "headers": {"Accept-Encoding": "identity", "User-Agent": "paraminspect", "Accept": "*/*"},
        },
    )


def _find_proxy(origin: Origin) -> str | None:
    """The proxy that the environment names for a server. The session would look for it anew on a thread each time."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    if not url or proxy_bypass(origin.host):
        return None
    return url if "://" in url else f"http://{url}"


def _late(error: BaseException, host: str, seconds: float = 0) -> FarError:
    """Nothing came for a while, or too little in all.

    Args:
        error: fsspec's own, which has that of aiohttp behind it.
        host: For the message.
        seconds: After which an answer was given up that had not begun; 0 for one that had.
    """
    import aiohttp

    cause = error.__cause__ or error
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return fault("silent", host=host, seconds=CONNECT_S)
    if isinstance(cause, aiohttp.SocketTimeoutError):
        return fault("silent", host=host, seconds=READ_S)
    return fault("silent", host=host, seconds=seconds) if seconds else fault("slow", host=host, rate=MIN_RATE)


def _explain(error: Exception, host: str) -> FarError:
    """Why there is no answer."""
    import aiohttp

    if isinstance(error, TimeoutError):
        return _late(error, host, CONNECT_S + READ_S)
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error.__cause__ or error
    why = " ".join(str(getattr(cause, "strerror", None) or cause).split())[:100]
    if isinstance(cause, ssl.SSLCertVerificationError):
        return fault("tls", host=host, why=cause.verify_message.lower() or why)
    if isinstance(cause, ssl.SSLError):
        return fault("tls", host=host, why=(cause.reason or why).lower().replace("_", " "))
    kinds: tuple[tuple[bool, str], ...] = (
        (isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)), "proxy"),
        (isinstance(cause, socket.gaierror), "unknown-host"),
        (isinstance(cause, ConnectionRefusedError), "refused"),
        (isinstance(error, aiohttp.ClientConnectorError), "unreachable"),
        (isinstance(error, (aiohttp.ServerDisconnectedError, ConnectionError)), "hung-up"),
        (isinstance(error, aiohttp.InvalidURL), "bad-url"),
    )
    name = next((name for is_it, name in kinds if is_it), "not-http")
    return fault(name, host=host, why=why[:1].lower() + why[1:80] or type(error).__name__)
