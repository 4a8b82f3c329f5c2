"""Files on web servers: ranges of one file that stays the same file, over connections that may break.

The first request asks for the beginning of the file; its answer says how large it is, and by what it can be told from
another version (ETag, else Last-Modified). Each later answer is held against that. What was cut is asked for again from
where it stopped. A server that sends the whole file instead is taken by its word once, within a limit.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Final, TypeVar

from paraminspect.errors import FarError
from paraminspect.files import connections, ranged
from paraminspect.files.addresses import basic, parse_address
from paraminspect.files.connections import Client, Response
from paraminspect.files.faults import fault, may_go_better
from paraminspect.files.ranged import FarFile
from paraminspect.text import format_bytes

TRIES: Final = 4
"""Of one request, before its failure is an error."""

MAX_RESUMED: Final = 16
"""Answers in pieces that one range may come in, where the connection is cut again and again."""

FIRST_WAIT_S: Final = 0.5
"""Before the second try; doubled for each further one."""

MAX_WAIT_S: Final = 30.0
"""That a server may ask for by Retry-After."""

MAX_SPOOLED: Final = 2 << 30
"""Bytes of a whole file that are fetched from a server without ranges."""

MAX_ANSWER: Final = 32 << 20
"""Bytes of an answer that is no file: one page of a listing."""

NOTED_BYTES: Final = 1 << 20
"""A whole file that is larger is worth a remark, where ranges of it were wanted."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")
_NO_SIZE: Final = re.compile(r"bytes \*/(\d{1,19})")

LOGIN: Final = "a name and password can stand in ~/.netrc"

_STATUS: Final[Mapping[int, str]] = {
    400: "bad-request",
    401: "unauthorised",
    403: "denied",
    404: "missing",
    410: "gone",
    412: "changed",
    429: "busy",
}
"""The fault that a status stands for."""

client: Final = Client()

Made = TypeVar("Made")

Explain = Callable[[Response], FarError | None]
"""Knows better than the status alone what an answer means; None where it does not."""


def open_web(
    url: str, headers: Mapping[str, str] | None = None, *, login: str = LOGIN, explain: Explain = lambda _: None
) -> FarFile:
    """Ask for the beginning of a file.

    Args:
        url: Of http or https.
        headers: For its server only.
        login: What to do about a refusal.
        explain: Knows more of this server's answers.

    Raises:
        FarError: It cannot be had.
    """
    return _WebFile(url, dict(headers or _netrc(url)), login, explain).open()


def get_whole(
    url: str, headers: Mapping[str, str], *, login: str, explain: Explain = lambda _: None
) -> tuple[bytes, Mapping[str, str]]:
    """A small answer that is no file, and its headers.

    Raises:
        FarError: As `open_web`; or it is too long.
    """

    def once() -> tuple[bytes, Mapping[str, str]]:
        with client.get(url, headers) as response:
            if response.status != 200:
                raise explain(response) or status_fault(response, login)
            body = response.read_all(MAX_ANSWER + 1)
            if len(body) > MAX_ANSWER or (response.length or 0) > len(body):
                raise fault("lies", host=response.host, what=f"an answer of {len(body):,} bytes")
            return body, response.headers

    return _again(once)


def _again(work: Callable[[], Made]) -> Made:
    """What `work` makes, tried a few times where it may go better."""
    for number in range(1, TRIES + 1):
        try:
            return work()
        except FarError as error:
            if number == TRIES or not may_go_better(error):
                raise
            _wait(number, error)
    raise AssertionError


def _wait(number: int, error: FarError) -> None:
    """Wait before the next try: as long as the server asks, if that is not too long."""
    if error.wait_s is not None and error.wait_s > MAX_WAIT_S:
        raise error
    time.sleep(FIRST_WAIT_S * 2 ** (number - 1) if error.wait_s is None else error.wait_s)


class _WebFile:
    """One file, and what is known of it."""

    def __init__(self, url: str, headers: Mapping[str, str], login: str, explain: Explain) -> None:
        self._url = url
        self._host = parse_address(url).origin.host
        self._headers = headers
        self._login = login
        self._explain = explain
        self._lock = threading.Lock()
        self._redirected = ""
        self._identity: tuple[str, ...] | None = None
        self._size = -1

    def open(self) -> FarFile:
        """The file, with its first bytes."""
        return _again(self._open_once)

    def fetch(self, begin: int, end: int) -> bytes:
        """Exactly a range, in several answers if need be."""
        got = bytearray()
        failed = 0
        error = fault("cut", host=self._host, expected=end - begin)
        for _ in range(MAX_RESUMED):
            before = len(got)
            try:
                self._fetch_once(begin, end, got)
                if len(got) == end - begin:
                    return bytes(got)
            except FarError as caught:
                if not may_go_better(caught):
                    raise
                error = caught
            failed = 1 if len(got) > before else failed + 1
            if failed == TRIES:
                break
            _wait(failed, error)
        raise error

    def _fetch_once(self, begin: int, end: int, got: bytearray) -> None:
        """Add to what there is of a range, as much as one answer gives."""
        at = begin + len(got)
        with self._ask(at, end) as response:
            if response.status == 416:
                raise fault("changed")
            if response.status != 206:
                self._check_identity(response, None)
                raise fault("lies", host=self._host, what="it had ranges of the file, and now it has none")
            first, last, size = self._range_of(response)
            self._check_identity(response, size)
            if first != at or last >= end:
                raise fault("lies", host=self._host, what=f"asked for bytes {at:,} to {end - 1:,}, it sends others")
            response.allow(end - at)
            self._read_into(response, got, last + 1 - at)

    def _read_into(self, response: Response, got: bytearray, count: int) -> None:
        with suppress(ConnectionError):  # what is missing is asked for again
            while count > 0 and (part := response.read(min(count, 1 << 18))):
                got += part
                count -= len(part)

    def _open_once(self) -> FarFile:
        with self._ask(0, ranged.FIRST_BYTES) as response:
            if response.status == 416:  # an empty file has no bytes to begin with
                found = _NO_SIZE.fullmatch(response.headers.get("content-range", ""))
                if found and int(found[1]) == 0:
                    return FarFile(0, self.fetch)
                raise fault("lies", host=self._host, what="it has no first byte of a file that is not empty")
            self._identity = _identity(response)
            if response.status == 200:
                return self._take_whole(response)
            first, last, size = self._range_of(response)
            if size is None:
                raise fault("no-size", host=self._host)
            self._size = size
            if first != 0 or last >= min(ranged.FIRST_BYTES, size):
                raise fault("lies", host=self._host, what="it sends other bytes than the first ones")
            got = bytearray()
            response.allow(last + 1)
            self._read_into(response, got, last + 1)
        return FarFile(size, self.fetch, first=bytes(got), version=" ".join(self._identity))

    def _ask(self, begin: int, end: int) -> Response:
        """One answer, of 200, 206 or 416; an address that a redirect led to is asked at once the next time."""
        headers = {"Range": f"bytes={begin}-{end - 1}"}
        redirected = self._redirected
        response = client.get(redirected or self._url, headers if redirected else {**self._headers, **headers})
        if redirected and response.status in (401, 403, 404, 410):  # such an address is good for a while only
            response.close()
            self._redirected = ""
            response = client.get(self._url, {**self._headers, **headers})
        if response.status not in (200, 206, 416):
            with response:
                raise self._explain(response) or status_fault(response, self._login)
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            response.close()
            raise fault("packed", host=self._host, encoding=encoding[:40])
        if response.url != self._url:
            leaves = parse_address(response.url).origin != parse_address(self._url).origin
            self._redirected = response.url if leaves or not self._headers else ""
        return response

    def _range_of(self, response: Response) -> tuple[int, int, int | None]:
        text = response.headers.get("content-range", "")
        found = _CONTENT_RANGE.fullmatch(text.strip())
        if found is None or int(found[2]) < int(found[1]):
            response.close()
            raise fault("lies", host=self._host, what=f"a part of a file, of the range {text[:60]!r}")
        first, last = int(found[1]), int(found[2])
        if response.length is not None and response.length != last + 1 - first:
            response.close()
            raise fault(
                "lies", host=self._host, what=f"{last + 1 - first:,} bytes announced as {response.length:,} bytes"
            )
        return first, last, None if found[3] == "*" else int(found[3])

    def _check_identity(self, response: Response, size: int | None) -> None:
        if _identity(response) != self._identity or (size is not None and size != self._size):
            response.close()
            raise fault("changed")

    def _take_whole(self, response: Response) -> FarFile:
        """Take a file from a server without ranges, once.

        Raises:
            FarError: It is a web page, or too large.
        """
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise fault("page", host=self._host)
        size = response.length
        if size is not None and size > MAX_SPOOLED:
            raise fault("no-ranges", host=self._host, size=size, limit=MAX_SPOOLED)
        from tempfile import TemporaryFile

        spool = TemporaryFile()  # noqa: SIM115 - it lives as long as the file is read
        try:
            count = self._copy(response, spool)
        except BaseException:
            spool.close()
            raise
        if size is not None and count != size:
            spool.close()
            raise fault("cut", host=self._host, expected=size)
        note = f"{self._host} has no ranges: all {format_bytes(count)} were fetched"
        return FarFile(count, self.fetch, spool=spool, note=note if count > NOTED_BYTES else "")

    def _copy(self, response: Response, spool: IO[bytes]) -> int:
        count = 0
        response.allow(connections.MIN_RATE)
        try:
            while part := response.read(1 << 20):
                count += len(part)
                if count > MAX_SPOOLED:
                    raise fault("no-ranges-long", host=self._host, limit=MAX_SPOOLED)
                response.allow(len(part))
                spool.write(part)
        except ConnectionError:
            if response.length is None:  # where there is one, it tells
                raise fault("cut", host=self._host, expected=count + 1) from None
        spool.flush()
        return count


def status_fault(response: Response, login: str) -> FarError:
    """What a status means that brings no file."""
    status = response.status
    reason = " ".join(response.reason.split())[:60]
    kind = _STATUS.get(status) or ("failing" if status >= 500 or status == 408 else "status")
    wait_s = _retry_after(response)
    asked = "try again later" if wait_s is None else f"it asks to wait for {wait_s:,.0f} s"
    error = fault(kind, host=response.host, status=status, reason=reason, login=login, wait=asked)
    error.wait_s = wait_s
    return error


def _retry_after(response: Response) -> float | None:
    """Seconds that the server asks to wait; None if it does not say."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _identity(response: Response) -> tuple[str, ...]:
    """What tells a version of a file from another."""
    tag = response.headers.get("etag", "")
    return ("etag", tag) if tag else ("modified", response.headers.get("last-modified", ""))


def _netrc(url: str) -> dict[str, str]:
    """The header for a server that `~/.netrc` has a password for."""
    from netrc import NetrcParseError, netrc

    address = parse_address(url)
    if address.user:
        return {}
    try:
        found = netrc().authenticators(address.origin.host)
    except (OSError, NetrcParseError, UnicodeError, KeyError):
        return {}
    return {"Authorization": basic(f"{found[0]}:{found[2]}")} if found else {}
