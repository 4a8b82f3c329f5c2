"""A Dask cluster gives what one process gives, and says in one line why it cannot."""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from paraminspect.engines import dask, open_engine
from paraminspect.engines.dask import Dask, begin_cluster, look, versions
from paraminspect.engines.pool import Errand, Shared
from paraminspect.errors import ParamInspectError
from paraminspect.files import buckets
from paraminspect.files.blob import open_blob
from paraminspect.files.buckets import Buckets
from paraminspect.files.seen import Version, reading
from scripts.servers.s3 import S3
from tests.making.running import close_buckets, end_fsspec, run_here

distributed: Any = pytest.importorskip("distributed", reason="Dask is not installed: the extra dask")
pytest.importorskip("cloudpickle").register_pickle_by_value(sys.modules[__name__])


# --- a cluster of two workers: all in one test, for its start takes seconds ----------------------------------------


def fall_once(marker: str) -> None:
    """In a worker: the first of all that reads a tensor leaves a marker and is killed."""
    import os
    import signal

    from paraminspect.values import collecting

    summarise = collecting.summarise

    def fall(*given: Any, **more: Any) -> Any:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
        return summarise(*given, **more)

    collecting.summarise = fall


def has_torch() -> bool:
    import sys

    return "torch" in sys.modules


def pretend(version: str) -> str:
    import paraminspect

    before, paraminspect.__version__ = paraminspect.__version__, version
    return before


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    drawn = torch.Generator().manual_seed(3)
    tensors = {f"layers.{place}.w": torch.randn(50, 30 + place, generator=drawn) for place in range(12)}
    tensors |= {"long": torch.randn(700_001, generator=drawn), "half": torch.randn(600_000, generator=drawn).bfloat16()}
    tensors |= {"odd": torch.tensor([1.0, torch.nan, torch.inf])}
    save_file(tensors, tmp_path / "a.safetensors")
    save_file({**tensors, "long": tensors["long"] + 1}, tmp_path / "b.safetensors")
    torch.save(tensors, tmp_path / "a.pt")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-300_000])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cut_finely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "BLOCK_BYTES", 1 << 19)
    monkeypatch.setattr(dask, "LOT_BYTES", 20_000)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """All that goes to workers."""
    found = []
    make = Errand.__new__

    def record(*given: Any, **more: Any) -> Any:
        errand = make(*given, **more)
        found.append(pickle.dumps(errand))
        return errand

    monkeypatch.setattr(Errand, "__new__", record)
    return found


COMMANDS = [
    "stats a.safetensors",
    "stats a.safetensors --depth 1 -f json",
    "stats cut.safetensors a.pt",
    "diff a.safetensors b.safetensors",
    "diff a.safetensors cut.safetensors",
    "shared --equal a.safetensors a.pt",
    "check --deep a.pt",
    "check --deep cut.safetensors",
    "convert a.pt --dtype bfloat16 -o - -f json",
    "convert cut.safetensors --dtype float16 -o out.safetensors",
]


@pytest.mark.usefixtures("cut_finely", "models")
def test_a_cluster_gives_what_one_process_gives(
    tmp_path: Path, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {line: run_here(*line.split()) for line in COMMANDS}
    assert [result.status for result in here.values()] == [0, 0, 2, 1, 2, 0, 1, 1, 0, 2]
    with (
        port_taken(8787),
        S3() as server,
        begin_cluster(2, server.environment) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        engine = ("--engine", cluster.scheduler_address)
        client.run(fall_once, str(tmp_path / "marker"))
        for line, expected in here.items():
            assert run_here(*line.split(), *engine) == expected, line
        assert (tmp_path / "marker").exists()
        read_from_buckets(server, engine, sent, monkeypatch)
        assert set(client.run(has_torch).values()) == {False}
        refuse_other_versions(client, engine)


@contextmanager
def port_taken(port: int) -> Iterator[None]:
    """Somebody listens at a port of this machine; perhaps somebody else."""
    with socket.socket() as taken:
        with suppress(OSError):
            taken.bind(("127.0.0.1", port))
            taken.listen()
        yield


def read_from_buckets(server: S3, engine: tuple[str, str], sent: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("bucket/a.safetensors", Path("a.safetensors").read_bytes())
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(buckets, "PLACE", Buckets())
    sent.clear()
    try:
        far = run_here("stats", "s3://bucket/a.safetensors", *engine)
        assert far == run_here("stats", "a.safetensors")
    finally:
        close_buckets(buckets.PLACE._systems)
        end_fsspec()
    assert sent
    assert not any(secret in data for data in sent for secret in (b"a-secret-key", b"reader", b"127.0.0.1"))
    assert any(b"s3://bucket/a.safetensors" in data for data in sent)


def refuse_other_versions(client: Any, engine: tuple[str, str]) -> None:
    (before,) = set(client.run(pretend, "0.0").values())
    result = run_here("stats", "a.safetensors", *engine)
    assert result.status == 2
    assert f"has paraminspect 0.0, this is {before}\n" in result.stderr
    assert "hint: the same versions everywhere" in result.stderr


# --- what cannot be done -------------------------------------------------------------------------------------------


def refusal(call: Callable[[], Any]) -> ParamInspectError:
    with pytest.raises(ParamInspectError) as caught:
        call()
    assert caught.value.hint
    assert "\n" not in caught.value.message
    return caught.value


def test_words_that_name_no_cluster(tmp_path: Path) -> None:
    assert "no engine" in refusal(lambda: open_engine("spark")).message
    assert "no such scheduler file" in refusal(lambda: open_engine(str(tmp_path / "s.json"))).message


def test_a_scheduler_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = refusal(lambda: open_engine(f"dask://127.0.0.1:{port}"))
    assert f"no Dask scheduler answers at dask://127.0.0.1:{port}: " in error.message


def test_a_cluster_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: Any) -> None:
        raise RuntimeError("Cluster failed to start:\nno room")

    monkeypatch.setattr(distributed, "LocalCluster", fail)
    error = refusal(lambda: open_engine("dask"))
    assert error.message == "no Dask cluster begins here: Cluster failed to start: no room"


def test_dask_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert refusal(lambda: open_engine("dask")).hint == "pip install distributed"


class Fake:
    """A client of workers that answer so."""

    status = "running"

    def __init__(self, answers: dict[str, Any], waits: bool = False) -> None:
        self.answers = answers
        self.waits = waits

    def run(self, question: Any, *given: Any, on_error: str) -> dict[str, Any]:
        return self.answers

    def wait_for_workers(self, count: int, timeout: float) -> None:
        if self.waits:
            raise TimeoutError

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.answers}


def test_a_cluster_without_workers() -> None:
    error = refusal(Dask(Fake({}, waits=True), None, "dask://h:1").check_versions)
    assert error.message == "the Dask scheduler at dask://h:1 has no workers"


@pytest.mark.parametrize("status", ["running", "closed"])
def test_a_scheduler_that_goes_away(status: str) -> None:
    client = Fake({})
    client.status = status
    check = Dask(client, None, "dask://h:1")._check
    if status == "running":
        check()
    else:
        assert refusal(check).message == "the Dask scheduler at dask://h:1 went away"


@pytest.mark.parametrize("name", [*dask.SAME, ""])
def test_workers_of_another_version(name: str) -> None:
    answer: Any = {**versions(), name: "0.1"} if name else ModuleNotFoundError("paraminspect")
    error = refusal(Dask(Fake({"tcp://w:1": versions(), "tcp://w:2": answer}), None, "").check_versions)
    assert error.message.startswith("worker tcp://w:2 ")
    assert (f"has {name} 0.1, this is" if name else "cannot import paraminspect") in error.message


@pytest.mark.parametrize("files", [(), ("/dev/fd/3",), ("https://me:secret@h/m.pt",), ("https://h/m.pt?sig=secret",)])
def test_what_others_cannot_read(files: tuple[str, ...]) -> None:
    error = refusal(lambda: Dask(Fake({}), None, "").pool(files, 1))
    assert "secret" not in error.message.replace("has a secret", "")


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[tuple[str, Version]]:
    path = tmp_path / "m.bin"
    path.write_bytes(b"123")
    with reading() as files:
        open_blob(str(path))
        version = files.get(str(path))
        assert version is not None
        files.clear()
        yield str(path), version._replace(inode=0)


def test_workers_look_for_the_files(seen: tuple[str, Version], tmp_path: Path) -> None:
    path, version = seen
    assert look("", {path: version}) == ""
    assert look(str(tmp_path), {"m.bin": version}) == ""
    assert "it had 9 bytes, and has 3" in look("", {path: version._replace(size=9)})
    assert "it is gone" in look(str(tmp_path / "other"), {"m.bin": version})


def test_a_worker_that_has_another_file(seen: tuple[str, Version]) -> None:
    path, _ = seen
    with reading():
        open_blob(path)
        for answer in ("m.bin: the file changed while it was read: it is gone", RuntimeError()):
            error = refusal(lambda answer=answer: Dask(Fake({"tcp://w:1": answer}), None, "").pool((path,), 1))
            assert error.message.startswith("worker tcp://w:1: ")
            assert "changed" not in error.message
        pool = Dask(Fake({"tcp://w:1": ""}), None, "").pool((path,), 1)
        assert isinstance(pool, Shared)
        assert pool.cut == dask.BLOCK_BYTES
