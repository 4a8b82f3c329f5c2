"""An HTTP server for files, with ranges, conditions and every fault that a far server may have.

    with RangeServer({"/model.safetensors": data}) as server:
        open_source(f"{server.url}/model.safetensors")
        assert server.sent < 1000

Source: RFC 9110, sections 13 (conditions) and 14 (ranges).
"""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self
from urllib.parse import unquote, urlsplit

PIECE = 1 << 20
SETTLE_S = 30
MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Content(Protocol):
    """What a server has under one path."""

    size: int
    etag: str

    def read(self, begin: int, length: int) -> bytes:
        """Bytes of it; the range lies inside."""


class StoredBytes:
    """Content in memory."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.etag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        self._data = data

    def read(self, begin: int, length: int) -> bytes:
        """See `Content`."""
        return self._data[begin : begin + length]


class StoredFile:
    """Content in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        status = path.stat()
        self.size = status.st_size
        self.etag = f'"{status.st_size:x}-{status.st_mtime_ns:x}"'

    def read(self, begin: int, length: int) -> bytes:
        """See `Content`."""
        with self._path.open("rb") as file:
            file.seek(begin)
            return file.read(length)


class Padded:
    """A head, and zeros behind it up to a size: a shard of gigabytes that takes no room."""

    def __init__(self, head: bytes, size: int) -> None:
        self.size = size
        self.etag = f'"{hashlib.sha256(head).hexdigest()[:16]}-{size:x}"'
        self._head = head

    def read(self, begin: int, length: int) -> bytes:
        """See `Content`."""
        part = self._head[begin : begin + length]
        return part + bytes(length - len(part))


class Exchange(NamedTuple):
    """One request and what was sent.

    Attributes:
        method: GET, HEAD, POST.
        path: With its query.
        range: The header, "" without one.
        status: Of the answer; 0 if the connection was cut before one.
        sent: Bytes of the body that were written.
        headers: Of the request, names in lower case.
    """

    method: str
    path: str
    range: str
    status: int
    sent: int
    headers: Mapping[str, str]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; `server.owner` is the RangeServer."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True  # head and body go out in two writes
    server: _Server

    def setup(self) -> None:
        """Let the server know, so that it can end the connection when it ends."""
        super().setup()
        self.server.owner.connections[self.connection] = threading.current_thread()

    def handle_one_request(self) -> None:
        """Note what was sent, even if the other side goes away."""
        self.sent_status = self.sent_bytes = 0
        self.extra_headers: Mapping[str, str] = {}
        self.requestline = ""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        """Answer GET and HEAD."""
        owner = self.server.owner
        with owner.noting(self):
            fault = owner.faults.get(self.name)
            if fault is None or not fault(self):
                owner.answer(self)

    do_HEAD = do_POST = do_GET  # noqa: N815 - the base class looks for these names

    @property
    def name(self) -> str:
        """The path without its query, decoded."""
        return unquote(urlsplit(self.path).path)

    def send_response(self, code: int, message: str | None = None) -> None:
        """Remember the status."""
        self.sent_status = code
        super().send_response(code, message)

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer from memory."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.write(body)

    def write(self, data: bytes) -> None:
        """Bytes of the body; none in answer to HEAD."""
        if self.command != "HEAD":
            self.wfile.write(data)
            self.sent_bytes += len(data)

    def reply_with(self, content: Content, *, ranges: bool = True, limit: int | None = None) -> None:
        """A file or the range of it that was asked for, of which at most `limit` bytes are sent."""
        headers = {"ETag": content.etag, "Last-Modified": MODIFIED, "Content-Type": "application/octet-stream"}
        headers.update(self.extra_headers)
        if ranges:
            headers["Accept-Ranges"] = "bytes"
        wanted = self.headers.get("If-Match")
        if wanted is not None and wanted not in ("*", content.etag):
            self.reply(412, headers=headers)
            return
        status, begin, end = 200, 0, content.size
        found = RANGE.fullmatch(self.headers.get("Range", "")) if ranges else None
        if found and self.headers.get("If-Range", content.etag) == content.etag:
            first, last = found[1], found[2]
            status = 206
            begin = int(first) if first else max(0, content.size - int(last))
            end = min(content.size, int(last) + 1) if first and last else content.size
            if begin >= content.size or end <= begin:
                self.reply(416, headers={**headers, "Content-Range": f"bytes */{content.size}"})
                return
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{content.size}"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(end - begin)}.items():
            self.send_header(name, value)
        self.end_headers()
        stop = end if limit is None else min(end, begin + limit)
        while begin < stop and self.command != "HEAD":
            piece = content.read(begin, min(PIECE, stop - begin))
            self.write(piece)
            begin += len(piece)
        if stop < end:
            self.wfile.flush()
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Keep standard error clean."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    owner: RangeServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks is no news."""


Fault = Callable[[Handler], bool]
"""Given a request, whether it has answered it."""


class RangeServer:
    """A server in a thread, on a port of its own, as long as the context lasts.

    Args:
        files: Content by absolute path; or
        folder: whose files are served.
        ranges: False for a server that always sends the whole file.

    Attributes:
        url: Without a slash at the end.
        files: Content by path; may be changed while it runs.
        faults: By path; may be changed while it runs.
    """

    def __init__(
        self,
        files: Mapping[str, bytes | Content] | None = None,
        *,
        folder: Path | None = None,
        ranges: bool = True,
    ) -> None:
        self.files: dict[str, Content] = {}
        for path, content in (files or {}).items():
            self.files[path] = StoredBytes(content) if isinstance(content, bytes) else content
        self.folder = folder
        self.ranges = ranges
        self.faults: dict[str, Fault] = {}
        self.connections: dict[socket.socket, threading.Thread] = {}
        self._log: list[Exchange] = []
        self._answering = 0
        self._change = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection, thread in list(self.connections.items()):
            with suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(SETTLE_S)

    @contextmanager
    def noting(self, request: Handler) -> Iterator[None]:
        """Note an exchange when it has ended, however it does."""
        with self._change:
            self._answering += 1
        try:
            yield
        finally:
            headers = {name.lower(): value for name, value in request.headers.items()}
            sent = request.sent_status, request.sent_bytes
            exchange = Exchange(request.command, request.path, headers.get("range", ""), *sent, headers)
            with self._change:
                self._log.append(exchange)
                self._answering -= 1
                self._change.notify_all()

    @property
    def log(self) -> list[Exchange]:
        """Every exchange, in the order in which they ended; waits for those that are being answered."""
        with self._change:
            self._change.wait_for(lambda: not self._answering, timeout=SETTLE_S)
        return self._log

    @property
    def sent(self) -> int:
        """Bytes of bodies that were sent so far."""
        return sum(exchange.sent for exchange in self.log)

    def answer(self, request: Handler) -> None:
        """The answer without a fault."""
        content = self.find(request.name)
        if content is None:
            request.reply(404, b"not found\n", {"Content-Type": "text/plain"})
        else:
            request.reply_with(content, ranges=self.ranges)

    def find(self, path: str) -> Content | None:
        """What is served under a path."""
        if path in self.files or self.folder is None:
            return self.files.get(path)
        local = self.folder / path.lstrip("/")
        return StoredFile(local) if local.is_file() and local.resolve().is_relative_to(self.folder.resolve()) else None


# Faults.


def refuse(
    status: int, headers: Mapping[str, str] | None = None, body: bytes = b"no\n", times: int | None = None
) -> Fault:
    """This answer whatever was asked, to all requests or to the first ones."""
    left = [times]

    def fault(request: Handler) -> bool:
        if left[0] == 0:
            return False
        left[0] = None if left[0] is None else left[0] - 1
        request.reply(status, body, headers)
        return True

    return fault


def cut_after(count: int, times: int | None = None) -> Fault:
    """Close the connection after so many bytes of the body, for all GET requests or the first ones."""
    left = [times]

    def fault(request: Handler) -> bool:
        content = request.server.owner.find(request.name)
        if content is None or request.command == "HEAD" or left[0] == 0:
            return False
        left[0] = None if left[0] is None else left[0] - 1
        request.reply_with(content, limit=count)
        request.close_connection = True
        return True

    return fault


def hang(until: threading.Event) -> Fault:
    """Take the request and say nothing until the event, then close."""

    def fault(request: Handler) -> bool:
        until.wait(60)
        request.close_connection = True
        return True

    return fault


def change_after(requests: int, then: bytes) -> Fault:
    """Put other content in the place of the file after so many requests."""
    seen = [0]

    def fault(request: Handler) -> bool:
        seen[0] += 1
        if seen[0] > requests:
            request.server.owner.files[request.name] = StoredBytes(then)
        return False

    return fault
