"""Web servers that behave, and all the ways in which they don't."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError, FarError, ParamInspectError
from paraminspect.files import connections, far, ranged, web
from paraminspect.files.addresses import basic
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint
from paraminspect.values.read import read_tensor
from paraminspect.values.stored_bytes import Files
from scripts.servers.ranges import Handler, RangeServer, StoredBytes, change_after, cut_after, hang, refuse

NAME = "/model.safetensors"
LONG = 1 << 20


def far_error(url: str) -> FarError:
    with pytest.raises(FarError) as caught:
        open_source(url)
    error = caught.value
    assert "\n" not in str(error)
    assert error.source is not None
    return error


def read_largest(source: Checkpoint) -> np.ndarray[Any, Any]:
    """The tensor that reaches past what comes with the first request."""
    return read_tensor(next(each for each in source.tensors if each.name == "a"), Files())


def answer(status: int, headers: dict[str, str], body: bytes = b"") -> Callable[[Handler], bool]:
    def fault(request: Handler) -> bool:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.write(body)
        request.close_connection = True
        return True

    return fault


@pytest.fixture
def served(server: RangeServer, model: Path) -> RangeServer:
    server.files[NAME] = StoredBytes(model.read_bytes())
    return server


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """An event that ends whatever waits for it when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_one_request_for_a_small_header(served: RangeServer, model: Path) -> None:
    far, local = open_source(served.url + NAME), open_source(model)
    assert [each._replace(storage=None) for each in far.tensors] == [
        each._replace(storage=None) for each in local.tensors
    ]
    assert far.nbytes == local.nbytes == model.stat().st_size
    assert far.files == (served.url + NAME,)
    (only,) = served.log
    assert only.range == f"bytes=0-{ranged.FIRST_BYTES - 1}"
    assert only.headers["accept-encoding"] == "identity"


def test_values_are_fetched_by_ranges(served: RangeServer, model: Path) -> None:
    checkpoint = open_source(served.url + NAME)
    served.log.clear()
    tensors = {each.name: each for each in checkpoint.tensors}
    local = {each.name: each for each in open_source(model).tensors}
    for name in ("c", "a"):
        assert (read_tensor(tensors[name], Files()) == read_tensor(local[name])).all()
    assert served.sent <= tensors["a"].nbytes + tensors["c"].nbytes


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "takes the request for a wrong one (400)"),
        (401, "wants to know who asks (401)"),
        (403, "does not allow it (403)"),
        (404, "no such file on 127.0.0.1 (404)"),
        (410, "had the file and has it no more (410)"),
        (418, "answers 418"),
        (429, "takes no more requests for now (429)"),
        (500, "fails (500)"),
        (503, "fails (503)"),
    ],
)
def test_refusals(served: RangeServer, status: int, message: str) -> None:
    served.faults[NAME] = refuse(status)
    assert message in far_error(served.url + NAME).message
    assert len(served.log) == (web.TRIES if status in (429, 500, 503) else 1)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_server_that_recovers(served: RangeServer, status: int) -> None:
    served.faults[NAME] = refuse(status, {"Retry-After": "0"}, times=2)
    assert len(open_source(served.url + NAME).tensors) == 3
    assert [each.status for each in served.log] == [status, status, 206]


def test_a_wait_that_is_too_long_is_not_waited_for(served: RangeServer) -> None:
    served.faults[NAME] = refuse(429, {"Retry-After": "3600"})
    error = far_error(served.url + NAME)
    assert error.hint == "it asks to wait for 3,600 s"
    assert len(served.log) == 1


@pytest.mark.parametrize("value", ["soon", "-1", "9" * 400, "Wed, 99 Jan 2025", "Wed, 01 Jan 2025 00:00:00 GMT", ""])
def test_any_retry_after(served: RangeServer, value: str) -> None:
    served.faults[NAME] = refuse(429, {"Retry-After": value}, times=1)
    if value.startswith("9"):
        assert far_error(served.url + NAME).fault == "busy"
    else:
        assert len(open_source(served.url + NAME).tensors) == 3


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = far_error(f"http://127.0.0.1:{taken.getsockname()[1]}/x.pt")
    assert error.message == "127.0.0.1 refuses the connection"


def test_no_such_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert far_error("https://nowhere.invalid/x.pt").message == "no such host: nowhere.invalid"


@pytest.mark.parametrize(
    "url", ["http://", "https:///x.pt", "http://h:x/y", "http://[::1/x", "http://ho st/x", "http://\x00/"]
)
def test_no_url_at_all(url: str) -> None:
    assert "not a URL" in far_error(url).message


def test_a_server_that_takes_the_request_and_says_nothing(
    served: RangeServer, hung: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READ_S", 0.1)
    served.faults[NAME] = hang(hung)
    assert "does not answer within" in far_error(served.url + NAME).message


@pytest.mark.parametrize("in_head", [True, False])
def test_a_server_that_dribbles(
    served: RangeServer, hung: threading.Event, monkeypatch: pytest.MonkeyPatch, in_head: bool
) -> None:
    monkeypatch.setattr(connections, "READ_S", 0.3)
    monkeypatch.setattr(connections, "CONNECT_S", 0.3)
    monkeypatch.setattr(connections, "MIN_RATE", 1 << 20)
    monkeypatch.setattr(web, "TRIES", 1)

    def dribble(request: Handler) -> bool:
        if in_head:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        else:
            request.send_response(206)
            request.send_header("Content-Range", "bytes 0-65535/1000000")
            request.send_header("Content-Length", "65536")
            request.end_headers()
        while not hung.wait(0.02):
            request.wfile.write(b"x")
        return True

    served.faults[NAME] = dribble
    assert far_error(served.url + NAME).fault == ("silent" if in_head else "slow")


def test_a_connection_that_is_cut_goes_on_where_it_stopped(served: RangeServer, model: Path) -> None:
    served.faults[NAME] = cut_after(1000, times=3)
    checkpoint = open_source(served.url + NAME)
    assert (read_largest(checkpoint) == read_largest(open_source(model))).all()
    begins = [int(each.range.removeprefix("bytes=").partition("-")[0]) for each in served.log]
    assert begins == sorted(begins)
    assert len(set(begins)) > 1


@pytest.mark.parametrize("count", [0, 3])
def test_a_connection_that_is_always_cut(served: RangeServer, count: int) -> None:
    served.faults[NAME] = cut_after(count)
    error = far_error(served.url + NAME)
    assert "closes the connection before it has sent" in error.message
    assert len(served.log) <= web.MAX_RESUMED + web.TRIES


def test_a_file_that_changes_between_two_requests(served: RangeServer, model: Path) -> None:
    data = model.read_bytes()
    served.faults[NAME] = change_after(1, data[:-1] + b"\x01")
    checkpoint = open_source(served.url + NAME)
    with pytest.raises(FarError, match="the file changed while it was read"):
        read_largest(checkpoint)
    assert open_source(served.url + NAME).tensors  # anew, it is another file


def test_without_an_etag_the_date_tells(served: RangeServer, model: Path) -> None:
    data = model.read_bytes()
    dates = iter(["Wed, 01 Jan 2025 00:00:00 GMT", "Thu, 02 Jan 2025 00:00:00 GMT"])

    def fault(request: Handler) -> bool:
        first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
        end = min(int(last) + 1, len(data))
        part = data[int(first) : end]
        head = {"Content-Range": f"bytes {first}-{end - 1}/{len(data)}", "Last-Modified": next(dates)}
        request.reply(206, part, head)
        return True

    served.faults[NAME] = fault
    checkpoint = open_source(served.url + NAME)
    with pytest.raises(FarError, match="changed"):
        read_largest(checkpoint)


@pytest.mark.parametrize(
    ("headers", "body", "fault"),
    [
        ({"Content-Range": "bytes 5-104/1000", "Content-Length": "100"}, b"x" * 100, "lies"),
        ({"Content-Range": "bytes 0-99/1000", "Content-Length": "50"}, b"x" * 50, "lies"),
        ({"Content-Range": "bytes 99-0/1000", "Content-Length": "100"}, b"x" * 100, "lies"),
        ({"Content-Range": "bytes 0-99/9", "Content-Length": "100"}, b"x" * 100, "lies"),
        ({"Content-Range": f"bytes 0-{LONG}/{LONG + 1}", "Content-Length": f"{LONG + 1}"}, b"x", "lies"),
        ({"Content-Range": "bytes 0-99/*", "Content-Length": "100"}, b"x" * 100, "no-size"),
        ({"Content-Range": "pages 0-99/1000", "Content-Length": "100"}, b"x" * 100, "lies"),
        ({"Content-Length": "100"}, b"x" * 100, "lies"),
        ({"Content-Range": "bytes 0-99/1000", "Content-Encoding": "gzip"}, b"x" * 100, "packed"),
        ({"Content-Type": "multipart/byteranges; boundary=X", "Content-Length": "3"}, b"--X", "lies"),
    ],
)
def test_a_server_that_lies(served: RangeServer, headers: dict[str, str], body: bytes, fault: str) -> None:
    served.faults[NAME] = answer(206, headers, body)
    assert far_error(served.url + NAME).fault == fault


def test_a_size_beyond_all_bounds(served: RangeServer) -> None:
    served.faults[NAME] = answer(206, {"Content-Range": f"bytes 0-63/{10**18}"}, b"\xff" * 64)
    with pytest.raises(ParamInspectError):
        open_source(served.url + NAME)


def test_an_empty_file(served: RangeServer) -> None:
    served.files[NAME] = StoredBytes(b"")
    with pytest.raises(CheckpointError, match="the file is empty"):
        open_source(served.url + NAME)


# Servers without ranges.


def test_a_whole_file_is_taken_once(served: RangeServer, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "NOTED_BYTES", 1000)
    served.ranges = False
    checkpoint = open_source(served.url + NAME)
    assert checkpoint.notes == ("127.0.0.1 has no ranges: all 117 KiB were fetched",)
    assert (read_largest(checkpoint) == read_largest(open_source(model))).all()
    assert len(served.log) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_whole_file_that_is_too_large(served: RangeServer, monkeypatch: pytest.MonkeyPatch, announced: bool) -> None:
    monkeypatch.setattr(web, "MAX_SPOOLED", 1000)
    served.ranges = False
    if not announced:
        served.faults[NAME] = answer(200, {}, b"x" * 5000)
    error = far_error(served.url + NAME)
    assert "sends whole files only" in error.message
    assert error.hint == "curl -L URL | paraminspect list -"


def test_a_whole_file_that_is_cut(served: RangeServer) -> None:
    served.ranges = False
    served.faults[NAME] = answer(200, {"Content-Length": "5000"}, b"x" * 100)
    assert far_error(served.url + NAME).fault == "cut"


def test_a_login_page(served: RangeServer) -> None:
    served.faults[NAME] = refuse(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Sign in</html>")
    assert far_error(served.url + NAME).message == "127.0.0.1 sends a web page, not a model file"


# Redirects and secrets.


def redirect(where: str) -> Callable[[Handler], bool]:
    return refuse(302, {"Location": where})


def test_a_redirect_is_followed_once(served: RangeServer) -> None:
    with RangeServer() as front:
        front.faults["/x"] = redirect(served.url + NAME)
        checkpoint = open_source(front.url + "/x")
        read_largest(checkpoint)
        assert len(front.log) == 1
        assert checkpoint.files == (front.url + "/x",)


def test_an_address_that_ran_out_is_asked_for_again(served: RangeServer) -> None:
    with RangeServer() as front:
        front.faults["/x"] = redirect(served.url + NAME)
        checkpoint = open_source(front.url + "/x")
        served.faults[NAME] = refuse(403, times=1)
        read_largest(checkpoint)
        assert len(front.log) == 2


@pytest.mark.parametrize(
    ("where", "fault"),
    [("/x", "redirects"), ("file:///etc/passwd", "elsewhere"), ("ftp://h/x", "elsewhere"), ("http://[", "bad-url")],
)
def test_redirects_that_lead_nowhere(server: RangeServer, where: str, fault: str) -> None:
    server.faults["/x"] = redirect(where)
    assert far_error(server.url + "/x").fault == fault
    assert len(server.log) <= connections.MAX_REDIRECTS + 1


def test_from_tls_nothing_leads_to_no_tls() -> None:
    from paraminspect.files.addresses import follow

    with pytest.raises(FarError, match="without TLS"):
        follow("https://host/x", "http://host/x", "host")
    assert follow("http://host/x", "https://host/x", "host") == "https://host/x"


def test_a_password_stays_with_its_server(served: RangeServer) -> None:
    with RangeServer() as front:
        front.faults["/x"] = redirect(served.url + NAME)
        open_source(front.url.replace("http://", "http://me:secret@") + "/x")
        assert front.log[0].headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert "authorization" not in served.log[0].headers


def test_netrc(served: RangeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    open_source(served.url + NAME)
    assert served.log[0].headers["authorization"] == "Basic bWU6c2VjcmV0"


def test_a_proxy(served: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", served.url)
    monkeypatch.setenv("no_proxy", "")
    assert len(open_source(f"http://model.invalid{NAME}").tensors) == 3
    assert served.log[0].path == f"http://model.invalid{NAME}"


def test_secrets_of_a_url_are_in_no_error(served: RangeServer) -> None:
    url = served.url.replace("http://", "http://me:secret@")
    error = far_error(f"{url}/nothing.pt?X-Amz-Signature=hidden")
    assert "secret" not in str(error)
    assert "hidden" not in str(error)
    assert open_source(f"{url}{NAME}?sig=hidden").source == f"http://***@{served.url[7:]}{NAME}?***"


def test_a_certificate_that_nobody_knows() -> None:
    import ssl

    from paraminspect.files.connections import _explain

    broken = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    broken.verify_message = "self-signed certificate"
    error = _explain(broken, "host")
    assert error.message == "no secure connection to host: self-signed certificate"
    assert error.hint is not None
    assert "SSL_CERT_FILE" in error.hint


def test_tls_with_a_server_that_has_none(server: RangeServer) -> None:
    error = far_error(server.url.replace("http://", "https://") + "/x.pt")
    assert error.fault in ("tls", "unreachable")


def test_a_name_that_another_begins_with_stays_the_same_file(served: RangeServer, model: Path) -> None:
    served.files[f"{NAME}.bak"] = StoredBytes(model.read_bytes())
    before = open_source(f"{served.url}{NAME}.bak")
    data = bytearray(model.read_bytes())
    data[-100:] = bytes(100)
    served.files[f"{NAME}.bak"] = StoredBytes(bytes(data))
    open_source(served.url + NAME)
    with pytest.raises(FarError, match="the file changed while it was read"):
        read_largest(before)


def test_a_whole_file_in_chunks_that_is_cut(served: RangeServer) -> None:
    def chunk(request: Handler) -> bool:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"400\r\n" + bytes(1024) + b"\r\n")
        request.close_connection = True
        return True

    served.faults[NAME] = chunk
    assert far_error(served.url + NAME).fault == "cut"


def test_the_body_of_a_refusal_is_not_waited_for(served: RangeServer, hung: threading.Event) -> None:
    def refuse_slowly(request: Handler) -> bool:
        request.send_response(404)
        request.send_header("Content-Length", "10")
        request.end_headers()
        hung.wait(20)
        return True

    served.faults[NAME] = refuse_slowly
    assert far_error(served.url + NAME).fault == "missing"
    assert not hung.is_set()


def test_a_name_and_password_go_along_on_the_same_server(served: RangeServer) -> None:
    served.faults["/old"] = refuse(302, {"Location": served.url + NAME})
    open_source(served.url.replace("http://", "http://me:secret@") + "/old")
    assert served.log[-1].headers["authorization"] == basic("me:secret")


# Anything at all.

raw_answers = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda status, headers, body: b"HTTP/1.1 %d X\r\n%s\r\n%s" % (status, headers, body),
        st.integers(0, 999),
        st.lists(
            st.sampled_from(
                [
                    b"Content-Length: 10",
                    b"Content-Length: -1",
                    b"Content-Length: 99999999999999999999999",
                    b"Content-Range: bytes 0-9/10",
                    b"Content-Range: bytes 0-9/99999999999999999999",
                    b"Transfer-Encoding: chunked",
                    b"Location: /x",
                    b"Location: http://\xff\r\n",
                    b"ETag: \xff\xfe",
                    b"Retry-After: 0",
                ]
            ),
            max_size=4,
        ).map(lambda lines: b"".join(line + b"\r\n" for line in lines)),
        st.binary(max_size=40),
    ),
)


@pytest.fixture(scope="module")
def raw_server() -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends whatever stands in a list."""
    says = [b""]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(1 << 16)
                        connection.sendall(says[0])
                    except OSError:
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x", says
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=raw_answers)
def test_any_answer_gives_records_or_an_error(raw_server: tuple[str, list[bytes]], raw: bytes) -> None:
    url, says = raw_server
    says[0] = raw
    with suppress(ParamInspectError):
        open_source(url)
    far.opened.clear()
