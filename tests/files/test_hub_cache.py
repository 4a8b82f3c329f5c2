"""Snapshots that huggingface_hub keeps, read without the hub: held against what it gives itself."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from paraminspect.errors import FarError
from paraminspect.files.hub_cache import describe_revisions, find_snapshot, list_revisions
from paraminspect.formats.source import open_source
from paraminspect.values.read import read_tensor
from scripts.servers.hub import Hub

OLD, NEW = "a" * 40, "b" * 40


def keep(cache: Path, commit: str, files: dict[str, bytes], ref: str = "", repository: str = "org/name") -> Path:
    """A snapshot as huggingface_hub lays it out."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    for number, (name, data) in enumerate(files.items()):
        blob = folder / "blobs" / f"{commit[:8]}{number}"
        link = folder / "snapshots" / commit / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        link.symlink_to(Path("../" * (2 + name.count("/"))) / "blobs" / blob.name)
    if ref:
        (folder / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / ref).write_text(commit)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def offline(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    files = {"model.safetensors": model.read_bytes(), "config.json": b"{}", "sub/x.safetensors": model.read_bytes()}
    keep(cache, NEW, files, "main")
    keep(cache, OLD, {"old.safetensors": model.read_bytes()}, "refs/pr/7")
    return cache


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("hf://org/name", ["model.safetensors"]),
        ("hf://org/name@main", ["model.safetensors"]),
        (f"hf://org/name@{NEW}", ["model.safetensors"]),
        ("hf://org/name/model.safetensors", ["model.safetensors"]),
        ("hf://org/name/sub", ["sub/x.safetensors"]),
        (f"hf://org/name@{OLD}", ["old.safetensors"]),
        ("hf://org/name@refs/pr/7", ["old.safetensors"]),
    ],
)
def test_a_snapshot_is_read_offline(offline: Path, source: str, files: list[str]) -> None:
    checkpoint = open_source(source)
    assert [each.name for each in checkpoint.tensors] == ["b", "a", "c"]
    assert [file.endswith(name) for file, name in zip(checkpoint.files, files, strict=True)] == [True]
    assert checkpoint.notes == ()
    assert read_tensor(checkpoint.tensors[0]) is not None


def test_huggingface_hub_finds_the_same(offline: Path) -> None:
    for revision, name in (("main", "model.safetensors"), (OLD, "old.safetensors"), ("v9", "model.safetensors")):
        theirs = huggingface_hub.try_to_load_from_cache("org/name", name, revision=revision, cache_dir=offline)
        commit = find_snapshot(str(offline / "models--org--name"), revision)
        assert (theirs is None) == (commit is None)
        assert commit is None or f"/{commit}/" in str(theirs)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("hf://org/name@v9", r"the cache \(.*\) does not have org/name@v9", "the cache has it at @main"),
        ("hf://org/other", r"the cache \(.*\) does not have org/other", "hf download org/other"),
        ("hf://org/name/x.pt", "no such file at this commit", "hf download org/name"),
        ("hf://org/name/no/x.pt", "no such file at this commit", "hf download org/name"),
    ],
)
def test_what_the_cache_does_not_have(offline: Path, source: str, message: str, hint: str) -> None:
    with pytest.raises(FarError, match=message) as caught:
        open_source(source)
    assert hint in (caught.value.hint or "")


def test_a_hub_that_is_down_is_said(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(cache, NEW, {"model.safetensors": model.read_bytes()}, "main")
    with Hub({}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
    checkpoint = open_source("hf://org/name")
    assert [each.name for each in checkpoint.tensors] == ["b", "a", "c"]
    (note,) = checkpoint.notes
    assert note.endswith(f"read from the cache, commit {NEW[:12]}")
    with pytest.raises(FarError, match="refuses the connection"):
        open_source("hf://org/other")


def test_a_revision_that_is_gone_is_gone(cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(cache, OLD, {"model.safetensors": model.read_bytes()}, "v1")
    with Hub({"org/name": {"model.safetensors": model.read_bytes()}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(FarError, match="no revision 'v1'"):
            open_source("hf://org/name@v1")


def test_what_the_cache_has_of_a_commit_is_not_fetched(
    cache: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hub({"org/name": {"model.safetensors": model.read_bytes()}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        keep(cache, OLD, {"model.safetensors": b"of another commit"}, "main")
        assert len(open_source("hf://org/name").tensors) == 3
        assert any("/resolve/" in each.path for each in hub.log)
        hub.log.clear()
        keep(cache, hub.commit("org/name"), {"model.safetensors": model.read_bytes()})
        checkpoint = open_source("hf://org/name")
        assert len(checkpoint.tensors) == 3
        assert checkpoint.notes == ()
        assert not any("/resolve/" in each.path for each in hub.log)


def test_revisions_by_name_and_by_commit(tmp_path: Path) -> None:
    folder = str(keep(tmp_path, NEW, {"x": b""}, "main"))
    keep(tmp_path, OLD, {"y": b""})
    assert list_revisions(folder) == ["main", OLD]
    assert describe_revisions(folder) == f"the cache has it at @main, @{OLD}"
    assert list_revisions(str(tmp_path / "none")) == []
    (tmp_path / "models--org--name" / "refs" / "main").write_text("../../x")
    assert find_snapshot(folder, "main") is None
    assert find_snapshot(folder, "../main") is None
