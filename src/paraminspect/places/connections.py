"""One GET over HTTP: connections that are kept, a proxy, a deadline for all of the answer, and redirects.

Written on the standard library: what is needed of an answer (its identity, its range, where a redirect leads, how long it
may take) is just what the HTTP file systems of others keep to themselves, and it takes no package to be installed.

Source: RFC 9110 and 9112; proxies as `urllib` finds them.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import threading
from collections.abc import Mapping
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from paraminspect.errors import FarError
from paraminspect.places import limits
from paraminspect.places.addresses import Address, Origin, basic, follow, netloc, parse_address
from paraminspect.places.faults import fault

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_MAX_IDLE: Final = 16
"""Connections to one server that are kept for the next request."""

_SMALL_BODY: Final = 64 << 10
"""Of an answer that is not wanted: read to its end so that the connection can be kept."""


class _Timed(io.RawIOBase):
    """What comes from a socket, by a deadline for the whole."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._file: Any = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        count = int(self._file.readinto(buffer) or 0)
        self._deadline.has_begun = True
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class Deadline:
    """How long an answer may take: time for its first bytes, and then more for each that is wanted.

    Args:
        host: For the error.

    Attributes:
        has_begun: Whether anything has come.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._end = monotonic() + limits.READ_S
        self.has_begun = False

    def allow(self, nbytes: int) -> None:
        """Time for so many bytes."""
        self._end += nbytes / limits.MIN_RATE

    def left(self) -> float:
        """Seconds until the next bytes must be there.

        Raises:
            TimeoutError: None are left.
        """
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, limits.READ_S)

    def fault(self) -> FarError:
        """What a TimeoutError meant."""
        if self.has_begun:
            return fault("slow", host=self._host, rate=limits.MIN_RATE)
        return fault("silent", host=self._host, seconds=limits.READ_S)


class Response:
    """An answer whose body is read a piece at a time; a context that gives the connection back.

    Attributes:
        url: That gave it, after redirects.
        status: Three digits.
        headers: Names in lower case, the first of several.
    """

    def __init__(
        self,
        client: Client,
        connection: http.client.HTTPConnection,
        raw: http.client.HTTPResponse,
        *,
        url: str,
        origin: Origin,
        deadline: Deadline,
    ) -> None:
        self.url = url
        self.status = raw.status
        self.reason = raw.reason
        self.host = origin.host
        self.headers: dict[str, str] = {}
        for name, value in raw.getheaders():
            self.headers.setdefault(name.lower(), value)
        self._client = client
        self._connection = connection
        self._raw = raw
        self._origin = origin
        self._deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def allow(self, nbytes: int) -> None:
        """See `Deadline`."""
        self._deadline.allow(nbytes)

    def read(self, most: int) -> bytes:
        """The next bytes of the body, b"" at its end.

        Raises:
            ConnectionError: It was cut.
            FarError: It came too slowly.
        """
        try:
            return self._raw.read(most)
        except http.client.IncompleteRead as error:
            return error.partial
        except TimeoutError:
            raise self._deadline.fault() from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConnectionError(str(error)) from None

    def read_all(self, most: int) -> bytes:
        """The whole body, at most so many bytes of it. Raises what `read` does."""
        self.allow(most)
        parts = []
        while most > 0 and (part := self.read(min(most, 1 << 20))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)

    @property
    def length(self) -> int | None:
        """Of the body, as the server says."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() and len(text) < 20 else None

    def close(self) -> None:
        """Keep the connection if nothing is left to come, else close it."""
        raw, connection = self._raw, self._connection
        try:
            if (
                not raw.isclosed()
                and (self.length or 0) <= _SMALL_BODY
                and self.length is not None
                and self.status > 299
            ):
                raw.read()
        except (OSError, http.client.HTTPException, ValueError):
            pass
        reusable = raw.isclosed() and not raw.will_close and connection.sock is not None
        raw.close()
        if reusable:
            self._client.keep(self._origin, connection)
        else:
            connection.close()


class Client:
    """Connections to servers. May be used by several threads, and by processes that are forked from this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._process = os.getpid()
        self._context: ssl.SSLContext | None = None

    def get(self, url: str, headers: Mapping[str, str], *, private: frozenset[str] = frozenset()) -> Response:
        """The answer to a GET, redirects followed.

        Args:
            url: Of http or https.
            headers: Beside those that every request has.
            private: Names of headers, in lower case, that no other server may see.

        Raises:
            FarError: No answer, or redirects that lead nowhere good.
        """
        for _ in range(limits.MAX_REDIRECTS + 1):
            response = self._get_once(url, headers)
            where = response.headers.get("location")
            if response.status not in _REDIRECTS or where is None:
                return response
            response.close()
            following = follow(url, where, response.host)
            if parse_address(following).origin != parse_address(url).origin:
                headers = {name: value for name, value in headers.items() if name.lower() not in private}
            url = following
        raise fault("redirects", host=parse_address(url).origin.host, limit=limits.MAX_REDIRECTS)

    def close(self) -> None:
        """Close the connections that wait for another request."""
        with self._lock:
            waiting = [connection for idle in self._idle.values() for connection in idle]
            self._idle.clear()
        for connection in waiting:
            connection.close()

    def keep(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        """Take a connection for the next request."""
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            if self._process == os.getpid() and len(idle) < _MAX_IDLE:
                idle.append(connection)
                return
        connection.close()

    def _take(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            if self._process != os.getpid():  # the connections are the parent's
                self._process = os.getpid()
                self._idle.clear()
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def _get_once(self, url: str, headers: Mapping[str, str]) -> Response:
        address = parse_address(url)
        all_headers = {"Accept-Encoding": "identity", "User-Agent": "paraminspect", "Accept": "*/*", **headers}
        if address.user and not any(name.lower() == "authorization" for name in headers):
            all_headers["Authorization"] = basic(address.user)
        while (connection := self._take(address.origin)) is not None:
            try:
                return self._ask(connection, url, address, all_headers)
            except FarError as error:  # it was closed meanwhile
                if error.fault != "hung-up":
                    raise
        return self._ask(self._connect(address.origin), url, address, all_headers)

    def _ask(
        self, connection: http.client.HTTPConnection, url: str, address: Address, headers: Mapping[str, str]
    ) -> Response:
        host = address.origin.host
        deadline = Deadline(host)

        class Answer(http.client.HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
                super().__init__(sock, *args, **kwargs)
                self.fp.close()
                self.fp = io.BufferedReader(_Timed(sock, deadline), 1 << 16)

        connection.response_class = Answer
        target = address.target
        if getattr(connection, "asks_proxy", False):
            target = f"{address.origin.scheme}://{netloc(address.origin)}{target}"
        try:
            connection.request("GET", target, headers={"Host": netloc(address.origin), **headers})
            raw = connection.getresponse()
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise deadline.fault() from None
            if isinstance(error, (ConnectionError, http.client.RemoteDisconnected, ssl.SSLEOFError)):
                raise fault("hung-up", host=host) from None
            if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                why = " ".join(str(error).split())[:80] or type(error).__name__
                raise fault("not-http", host=host, why=why) from None
            raise
        return Response(self, connection, raw, url=url, origin=address.origin, deadline=deadline)

    def _connect(self, origin: Origin) -> http.client.HTTPConnection:
        """A new connection, through a proxy if the environment names one.

        Raises:
            FarError: There is none to be had.
        """
        proxy = self._find_proxy(origin)
        first = proxy.origin if proxy is not None else origin
        connection: http.client.HTTPConnection
        if origin.scheme == "https":
            connection = http.client.HTTPSConnection(
                first.host, first.port, timeout=limits.CONNECT_S, context=self._tls()
            )
        else:
            connection = http.client.HTTPConnection(first.host, first.port, timeout=limits.CONNECT_S)
        if proxy is not None:
            authorisation = {"Proxy-Authorization": basic(proxy.user)} if proxy.user else {}
            if origin.scheme == "https":
                connection.set_tunnel(origin.host, origin.port, authorisation)
            else:
                connection.asks_proxy = True  # type: ignore[attr-defined]
        try:
            connection.connect()
        except BaseException as error:
            connection.close()
            if isinstance(error, (OSError, http.client.HTTPException, ValueError)):
                raise _explain(error, first.host) from None
            raise
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    def _find_proxy(self, origin: Origin) -> Address | None:
        from urllib.request import getproxies, proxy_bypass

        proxies = getproxies()
        url = proxies.get(origin.scheme) or proxies.get("all")
        if not url or proxy_bypass(origin.host):
            return None
        return parse_address(url if "://" in url else f"http://{url}")


def _explain(error: Exception, host: str) -> FarError:
    """Why there is no connection."""
    why = " ".join(str(getattr(error, "strerror", None) or error).split())[:100]
    if isinstance(error, ssl.SSLCertVerificationError):
        return fault("tls", host=host, why=error.verify_message.lower() or why)
    if isinstance(error, ssl.SSLError):
        return fault("tls", host=host, why=(error.reason or why).lower().replace("_", " "))
    if isinstance(error, socket.gaierror):
        return fault("unknown-host", host=host)
    if isinstance(error, TimeoutError):
        return fault("silent", host=host, seconds=limits.CONNECT_S)
    if isinstance(error, ConnectionRefusedError):
        return fault("refused", host=host)
    return fault("unreachable", host=host, why=why[:1].lower() + why[1:])
