"""`file://` URLs: the same answers as of the paths they name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import plain_path
from paraminspect.formats.source import open_source
from paraminspect.models.open import open_model
from paraminspect.models.recognise import recognise


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a/b.pt", "/a/b.pt"),
        ("file://localhost/a%20b/c%25.pt", "/a b/c%.pt"),
        ("FILE:///a", "/a"),
        ("file:///%C3%A9", "/é"),
    ],
)
def test_paths(url: str, path: str) -> None:
    assert plain_path(url) == path


@pytest.mark.parametrize("url", ["file://server/a", "file://a.pt", "file://"])
def test_another_machine(url: str) -> None:
    with pytest.raises(ParamInspectError, match="of another machine") as caught:
        open_source(url)
    assert "file:///" in (caught.value.hint or "")


def test_files_and_folders_are_those_of_their_paths(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a b%"
    folder.mkdir()
    shutil.copy(model, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    for path in (folder, folder / "model.safetensors"):
        by_url, by_path = open_source(path.as_uri()), open_source(path)
        assert [each.name for each in by_url.tensors] == [each.name for each in by_path.tensors]
        assert by_url.nbytes == by_path.nbytes
    assert open_model(folder.as_uri()).checkpoint.source == folder.as_uri()


@pytest.mark.torch
def test_a_spec_by_its_url(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("model: [{Linear: [2, 3]}]\n")
    assert recognise((tmp_path / "x.yaml").as_uri()).kind == "spec"
    assert len(open_model((tmp_path / "x.yaml").as_uri()).checkpoint.tensors) == 2


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    with pytest.raises(ParamInspectError, match="no such file") as caught:
        open_source((tmp_path / "modle.pt").as_uri())
    assert "model.pt" in (caught.value.hint or "")
