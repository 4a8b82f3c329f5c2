"""What a source says of itself, held against other tellers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import paraminspect as pi
from paraminspect.library.info import MAX_MODULES

HONEST = Path(__file__).parents[1] / "honest"


def test_the_numbers_are_those_of_the_model() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4))
    model[1].weight = model[0].weight
    told = pi.info(model)
    assert (told.tensors, told.tied) == (3, 1)
    assert told.parameters == sum(each.numel() for each in model.parameters())
    assert told.others == {"buffer": len(list(model.buffers()))}
    assert told.dtypes == ("float32",)
    assert told.nbytes is None


def test_a_file(tmp_path: Path) -> None:
    save_file({"h.0.w": torch.ones(2, 3)}, tmp_path / "x.safetensors", {"author": "me"})
    told = pi.info(tmp_path / "x.safetensors")
    assert told.metadata == {"author": "me"}
    assert told.files == (str(tmp_path / "x.safetensors"),)
    assert told.nbytes == (tmp_path / "x.safetensors").stat().st_size
    assert told.version is None
    assert told.training is None


@pytest.mark.parametrize(
    ("name", "version"), [("gguf/tiny.gguf", "3"), ("torch/state.pt", "3"), ("torch/script.pt", "3")]
)
def test_version_of_the_format(name: str, version: str) -> None:
    assert pi.info(HONEST / name).version == version


def test_modules_of_two_levels(tmp_path: Path) -> None:
    tensors = {f"h.{index}.attn.w": torch.ones(3) for index in range(11)}
    save_file({**tensors, "top": torch.ones(1), "head.w": torch.ones(6)}, tmp_path / "x.safetensors")
    told = pi.info(tmp_path / "x.safetensors").modules
    assert [each.name for each in told if each.name.startswith("h.")] == [f"h.{index}" for index in range(11)]
    sizes = {each.name: each.parameters for each in told}
    assert sizes == {"head": 6, "h": 33, **{f"h.{index}": 3 for index in range(11)}}
    assert sum(each.share for each in told if "." not in each.name) == pytest.approx(39 / 40)


def test_modules_below_those_that_hold_all(tmp_path: Path) -> None:
    names = ["model.net.a.x.w", "model.net.a.y.deep.w", "model.net.b.w"]
    save_file({name: torch.ones(1) for name in names}, tmp_path / "x.safetensors")
    told = pi.info(tmp_path / "x.safetensors").modules
    assert [each.name.removeprefix("model.net") for each in told] == ["model", "", ".a", ".a.x", ".a.y", ".b"]
    assert [each.parameters for each in told] == [3, 3, 2, 1, 1, 1]
    save_file({"a.w": torch.ones(1)}, tmp_path / "x.safetensors")
    assert [each.name for each in pi.info(tmp_path / "x.safetensors").modules] == ["a"]


def test_modules_are_bounded(tmp_path: Path) -> None:
    save_file({f"m{index}.w": torch.ones(1) for index in range(MAX_MODULES + 10)}, tmp_path / "x.safetensors")
    assert len(pi.info(tmp_path / "x.safetensors").modules) == MAX_MODULES


def test_a_spec() -> None:
    told = pi.info(Path(__file__).parents[2] / "configs" / "mlp.yaml")
    assert told.model["modules"] == 4
    assert told.model["input"] == {"input": "[2,4] float32"}
    assert told.model["loss"] == "sum"
    assert isinstance(rules := told.model["rules"], list)
    assert "0.weight=xavier_uniform" in rules


def test_all_of_it_is_json() -> None:
    for name in ("lightning/last.ckpt", "timm/last.pth.tar", "transformers", "gguf/tiny.gguf"):
        told = pi.info(HONEST / name)
        assert json.loads(json.dumps(told))[0] == told.source


def test_nothing_of_a_class_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = b"\x80\x02}(X\x05\x00\x00\x00epochK\x03X\x01\x00\x00\x00acbuiltins\nprint\nX\x05\x00\x00\x00owned\x85Ru."
    (tmp_path / "x.pkl").write_bytes(data)
    with pytest.raises(pi.ParamInspectError, match="a pickle without tensors"):
        pi.info(tmp_path / "x.pkl")
    assert "owned" not in capsys.readouterr().out
