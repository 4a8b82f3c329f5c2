"""Which format a name behind -o asks for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paraminspect.conversion.kinds import choose_format, own_format
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.records import Checkpoint

LIVE = Checkpoint("spec", [])


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.safetensors", "safetensors"), ("A.SAFETENSORS", "safetensors"), ("-", "safetensors"),
        ("a.pt", "torch zip"), ("a.pth.tar", "torch zip"), ("a.pkl", "torch zip"), ("a.npz", "npz"), ("a.npy", "npy"),
        ("a.gguf", "gguf"), ("a/", "sharded"), ("a.pt/", "sharded"),
    ],
)  # fmt: skip
def test_the_ending_asks(file: str, name: str) -> None:
    assert choose_format(file, LIVE, None, sharded=False).name == name


@pytest.mark.parametrize("file", ["a", "a.th", ".pt", "a.txt", "a.index.json"])
def test_a_name_that_asks_for_nothing(file: str) -> None:
    with pytest.raises(SourceError, match="what kind of file"):
        choose_format(file, LIVE, None, sharded=False)


def test_what_a_checkpoint_is_goes_before_a_name_that_asks_for_nothing(tmp_path: Path) -> None:
    file = str(tmp_path / "model.th")
    checkpoint = Checkpoint("torch legacy", [], files=(file,))
    own = own_format(checkpoint)
    assert choose_format(str(tmp_path / "other.th"), checkpoint, own, sharded=False) is own
    folder = own_format(Checkpoint("sharded gguf", []))
    assert choose_format(str(tmp_path / "other"), checkpoint, folder, sharded=False) is folder


@pytest.mark.parametrize(
    ("shown", "kind"),
    [("torchscript", "torch"), ("sharded torch zip and safetensors", "folder"), ("gguf", "gguf"), ("spec", None),
     ("pickle", None), ("onnx", None), ("torch.export", None), ("torch distributed", None)],
)  # fmt: skip
def test_what_can_be_edited_in_place(shown: str, kind: str | None) -> None:
    row = own_format(Checkpoint(shown, []))
    assert (row.kind if row is not None else None) == kind


def test_shards_go_into_a_folder(tmp_path: Path) -> None:
    assert choose_format(os.fspath(tmp_path), LIVE, None, sharded=True).kind == "folder"
    for file in ("-", "a.safetensors", "a.npy"):
        with pytest.raises(ParamInspectError, match="--shard-size writes a folder"):
            choose_format(file, LIVE, None, sharded=True)
