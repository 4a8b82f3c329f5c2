"""Every function takes any source and fails in one way."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import paraminspect as pi

Function = Callable[[Any], Any]
Make = Callable[[Path], Any]

ROOT = Path(__file__).resolve().parents[2]


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())


def saved(folder: Path) -> Path:
    save_file(net().state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def spec(folder: Path) -> Path:
    (folder / "spec.yaml").write_text("model: [{Linear: [2, 2]}, ReLU]\ninput: [1, 2]\n")
    return folder / "spec.yaml"


def factory(folder: Path) -> str:
    (folder / "build.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Linear(2, 2))\n"
    )
    return f"{folder / 'build.py'}:make"


SOURCES: dict[str, Make] = {
    "path": saved,
    "text": lambda folder: str(saved(folder)),
    "folder": lambda folder: saved(folder).parent,
    "bytes": lambda folder: io.BytesIO(saved(folder).read_bytes()),
    "file": lambda folder: saved(folder).open("rb"),
    "opened": lambda folder: pi.open(saved(folder)),
    "spec": spec,
    "opened spec": lambda folder: pi.open(spec(folder)),
    "spec in a file": lambda folder: spec(folder).open("rb"),
    "factory": factory,
    "module": lambda folder: net(),
}


@contextmanager
def given(kind: str, folder: Path) -> Iterator[Any]:
    source = SOURCES[kind](folder)
    try:
        yield source
    finally:
        if isinstance(source, io.IOBase):
            source.close()


FUNCTIONS: dict[str, Function] = {
    "open": lambda source: sorted(tensor.name for tensor in pi.open(source)),
    "ties": pi.ties,
    "stats": lambda source: sorted(pi.stats(source)),
    "diff": lambda source: pi.diff(opened := pi.open(source), opened).changes,
    "info": lambda source: (told := pi.info(source)).tensors + told.parameters,
    "check": lambda source: [finding.code for finding in pi.check(source, deep=True)],
    "plan_init": lambda source: sorted(step.name for step in pi.plan_init(source, ["*=ones"]).records),
}
SAME: dict[str, Any] = {
    "open": ["0.bias", "0.weight"],
    "ties": [],
    "stats": ["0.bias", "0.weight"],
    "diff": [],
    "info": 2 + 6,
    "check": [],
    "plan_init": ["0.bias", "0.weight"],
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", SOURCES)
def test_any_source(kind: str, function: str, tmp_path: Path) -> None:
    with given(kind, tmp_path) as source:
        assert FUNCTIONS[function](source) == SAME[function]


@pytest.mark.parametrize("kind", SOURCES)
def test_any_source_is_converted(kind: str, tmp_path: Path) -> None:
    with given(kind, tmp_path) as source:
        assert pi.convert(source, tmp_path / "x.safetensors").tensors == 2
    assert load_file(tmp_path / "x.safetensors").keys() == {"0.weight", "0.bias"}


@pytest.mark.parametrize("kind", ["spec", "opened spec"])
def test_a_spec_brings_its_input(kind: str, tmp_path: Path) -> None:
    assert len(pi.backward(SOURCES[kind](tmp_path)).parameters) == 2


@pytest.mark.parametrize("kind", ["module", "factory"])
def test_others_are_given_one(kind: str, tmp_path: Path) -> None:
    source = SOURCES[kind](tmp_path)
    report = pi.backward(source, torch.ones(1, 2), loss="mean")
    assert report.none_before == 2
    with pytest.raises(pi.ParamInspectError, match="no input"):
        pi.backward(source)


def test_a_spec_keeps_its_loss_with_other_inputs(tmp_path: Path) -> None:
    source = tmp_path / "spec.yaml"
    source.write_text("model: [{Linear: [2, 2]}]\nloss: mean\n")  # and says no input
    inputs = torch.ones(1, 2)
    assert pi.backward(source, inputs).loss == pi.backward(source, inputs, "mean").loss
    assert pi.backward(source, inputs).loss != pi.backward(source, inputs, "sum").loss


@pytest.mark.parametrize("inputs", [None, torch.ones(1, 2)])
def test_no_other_loss_takes_the_place_of_an_unknown_one(inputs: torch.Tensor | None, tmp_path: Path) -> None:
    with pytest.raises(pi.ParamInspectError, match="no loss 'meen'"):
        pi.backward(spec(tmp_path), inputs, "meen")  # type: ignore[arg-type]


def test_one_word_is_not_a_list_of_letters(tmp_path: Path) -> None:
    source = saved(tmp_path)  # the letter * would choose everything
    assert list(pi.stats(source, select="*.bias")) == ["0.bias"]
    assert list(pi.stats(source, exclude="*.bias")) == ["0.weight"]
    assert pi.convert(source, tmp_path / "x.npz", select="*.bias").tensors == 1
    assert len(pi.plan_init(source, "*=zeros").rules) == 1
    assert pi.open(spec(tmp_path), rules="*=constant(2)").stats()["0.weight"].mean == 2


@pytest.mark.parametrize("kind", ["path", "opened", "bytes"])
def test_a_checkpoint_does_not_run(kind: str, tmp_path: Path) -> None:
    source = SOURCES[kind](tmp_path)
    with pytest.raises(pi.ParamInspectError):
        pi.backward(source, torch.ones(1, 2))
    with pytest.raises(pi.ParamInspectError, match="in memory"):
        pi.apply_init(SOURCES[kind](tmp_path), ["*=ones"])


def closed(folder: Path) -> Any:
    file = saved(folder).open("rb")
    file.close()
    return file


BAD: dict[str, Make] = {
    "a number": lambda folder: 3,
    "nothing": lambda folder: None,
    "a dict": lambda folder: {"weight": torch.ones(1)},
    "no such file": lambda folder: folder / "none.pt",
    "text": lambda folder: io.StringIO("text"),
    "a closed file": closed,
    "noise": lambda folder: io.BytesIO(b"noise"),
    "a truncated file": lambda folder: io.BytesIO(saved(folder).read_bytes()[:40]),
    "an empty folder": lambda folder: folder,
    "a broken factory": lambda folder: f"{ROOT / 'configs' / 'my_model.py'}:nothing",
}


@pytest.mark.parametrize("kind", BAD)
def test_every_failure_is_one_of_ours(kind: str, tmp_path: Path) -> None:
    functions: dict[str, Function] = {
        **FUNCTIONS,
        "convert": lambda source: pi.convert(source, tmp_path / "out.safetensors"),
        "backward": lambda source: pi.backward(source, torch.ones(1, 2)),
        "apply_init": lambda source: pi.apply_init(source, ["*=ones"]),
    }
    for name, function in functions.items():
        source = BAD[kind](tmp_path)
        if name == "check" and kind == "a truncated file":
            continue
        with pytest.raises(pi.ParamInspectError):
            function(source)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("rules", [["0.weight=xavier_normal(gain="], ["nothing=ones"], ["*=no_such()"]])
def test_rules_that_are_none(rules: list[str]) -> None:
    with pytest.raises(pi.ParamInspectError):
        pi.apply_init(net(), rules)


def test_a_model_that_fails() -> None:
    class Broken(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise KeyError("mine")

    with pytest.raises(pi.ParamInspectError, match="mine"):
        pi.backward(Broken(), torch.ones(1))
