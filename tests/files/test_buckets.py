"""`s3://` and `gs://`, against servers on loopback."""

from __future__ import annotations

import builtins
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from paraminspect.errors import CheckpointError, FarError
from paraminspect.files import buckets, far
from paraminspect.files.buckets import Buckets
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from paraminspect.values.stored_bytes import Files
from scripts.servers.ranges import Handler, RangeServer, StoredBytes, refuse
from scripts.servers.s3 import S3, is_installed
from tests.making.running import close_buckets


def far_error(source: str) -> FarError:
    with pytest.raises(FarError) as caught:
        open_source(source)
    return caught.value


pytestmark = pytest.mark.usefixtures("fsspec_thread")


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    if not is_installed():
        pytest.skip("no S3 server")
    with S3() as running:
        yield running


@pytest.fixture
def s3(server: S3, model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    server.put("bucket/m/model.safetensors", model.read_bytes())
    server.put("bucket/m/sub/x.bin", b"x")
    place = Buckets()
    monkeypatch.setattr(buckets, "PLACE", place)
    yield server
    close_buckets(place._systems)


def test_an_object_and_a_folder(s3: S3, model: Path) -> None:
    for source in ("s3://bucket/m/model.safetensors", "s3://bucket/m", "s3://bucket/m/"):
        assert len(open_source(source).tensors) == 3
    local = {each.name: each for each in open_source(model).tensors}
    for record in open_source("s3://bucket/m").tensors:
        assert (read_tensor(record, Files()) == read_tensor(local[record.name])).all()


def test_an_object_that_is_replaced_while_it_is_read(s3: S3, model: Path) -> None:
    checkpoint = open_source("s3://bucket/m/model.safetensors")
    s3.put("bucket/m/model.safetensors", model.read_bytes()[:-1] + b"\1")
    largest = next(each for each in checkpoint.tensors if each.name == "a")
    with pytest.raises(FarError, match="the file changed while it was read"):
        read_tensor(largest, Files())


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("s3://bucket/m/nothing.pt", "missing"),
        ("s3://nobody/m/model.safetensors", "no-bucket"),
        ("s3://", "bad-url"),
        ("s3:///x", "bad-url"),
    ],
)
def test_what_is_not_there(s3: S3, source: str, fault: str) -> None:
    assert far_error(source).fault == fault


def test_a_shard_that_is_missing(s3: S3) -> None:
    s3.put("bucket/n/model.safetensors.index.json", b'{"weight_map": {"a": "model-1.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"1 of 1 shards is missing: model-1\.safetensors"):
        open_source("s3://bucket/n")


def test_a_folder_of_too_many(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(far, "MAX_LISTED", 1)
    assert far_error("s3://bucket/m").message == "more than 1 files in the folder"


def test_nobody_listens(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    error = far_error("s3://bucket/m")
    assert error.fault == "unreachable"
    assert "a-secret-key" not in str(error)


def test_a_refusal(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with RangeServer() as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        front.faults["/bucket/m"] = refuse(403)
        error = far_error("s3://bucket/m")
    assert error.message == "S3 does not allow it (403)"
    assert error.hint == "credentials are looked for in AWS_PROFILE, AWS_ACCESS_KEY_ID and ~/.aws"


def test_without_credentials_nothing_is_signed(s3: S3, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with RangeServer({"/public/model.safetensors": model.read_bytes()}) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        assert len(open_source("s3://public/model.safetensors").tensors) == 3
        assert not any("authorization" in each.headers for each in front.log)


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_without_the_package(monkeypatch: pytest.MonkeyPatch, scheme: str, package: str) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr(buckets, "PLACE", Buckets())
    error = far_error(f"{scheme}://bucket/x.pt")
    assert error.message == f"reading {scheme}:// needs {package}"
    assert error.hint == f"pip install {package}"


class Google(RangeServer):
    """As much of Google's interface as reading takes: objects of one bucket by key."""

    generation = "1"

    def answer(self, request: Handler) -> None:
        """Metadata, a list, or an object."""
        parts, query = urlsplit(request.path), parse_qs(urlsplit(request.path).query)
        steps = [unquote(step) for step in parts.path.split("/")]
        key = steps[-1] if len(steps) > 2 and steps[-2] == "o" else ""
        if key and query.get("generation", [self.generation]) != [self.generation]:
            request.reply(404, b"{}")
        elif key and key in self.files and query.get("alt") == ["media"]:
            request.reply_with(self.files[key])
        elif key and key in self.files:
            _send(request, self.describe(key))
        elif key:
            request.reply(404, b"{}")
        else:
            prefix = query.get("prefix", [""])[0]
            _send(request, {"items": [self.describe(key) for key in sorted(self.files) if key.startswith(prefix)]})

    def describe(self, key: str) -> dict[str, str]:
        """One object."""
        size = str(self.files[key].size)
        return {"kind": "storage#object", "name": key, "bucket": "bucket", "size": size, "generation": self.generation}


def _send(request: Handler, what: object) -> None:
    request.reply(200, json.dumps(what).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def google(model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    pytest.importorskip("gcsfs")
    with Google({"m/model.safetensors": model.read_bytes(), "m/notes.txt": b"x"}) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        place = Buckets()
        monkeypatch.setattr(buckets, "PLACE", place)
        yield running
        for system in place._systems.values():
            system.close_session(system.loop, system._session)


def test_google_objects(google: Google, model: Path) -> None:
    for source in ("gs://bucket/m/model.safetensors", "gs://bucket/m"):
        assert len(open_source(source).tensors) == 3
    local = {each.name: each for each in open_source(model).tensors}
    for record in open_source("gs://bucket/m").tensors:
        assert (read_tensor(record, Files()) == read_tensor(local[record.name])).all()
    assert far_error("gs://bucket/nothing").fault == "missing"


def test_a_google_object_that_is_replaced_while_it_is_read(google: Google, model: Path) -> None:
    checkpoint = open_source("gs://bucket/m/model.safetensors")
    google.files["m/model.safetensors"] = StoredBytes(model.read_bytes()[:-1] + b"\1")
    google.generation = "2"
    largest = next(each for each in checkpoint.tensors if each.name == "a")
    with pytest.raises(FarError, match="the file changed while it was read"):
        read_tensor(largest, Files())
