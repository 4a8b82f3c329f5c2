"""Names of tensors whose pickles hold them without: held against the state dict of the same objects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect.formats import open_source

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.ao and torch.jit are told to go


def dynamic() -> nn.Module:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2)))
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "dynamic linear": dynamic,
    "static linear": lambda: nn.Sequential(torch.ao.nn.quantized.Linear(3, 4)),
    "convolution": lambda: nn.Sequential(torch.ao.nn.quantized.Conv2d(3, 4, 3)),
    "without bias": lambda: nn.Sequential(torch.ao.nn.quantized.Conv1d(3, 4, 3, bias=False)),
    "transposed": lambda: nn.Sequential(torch.ao.nn.quantized.ConvTranspose2d(3, 4, 3)),
    "lstm": lambda: torch.ao.nn.quantized.dynamic.LSTM(3, 4),
}


def state_tensors(value: object, prefix: str = "") -> Iterator[tuple[str, tuple[int, ...]]]:
    if isinstance(value, torch.Tensor):
        yield prefix, tuple(value.shape)
    elif isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from state_tensors(item, f"{prefix}.{key}" if prefix else str(key))


def listed(path: Path) -> dict[str, tuple[int, ...] | None]:
    checkpoint = open_source(path)
    assert checkpoint.notes == ()
    assert {tensor.role for tensor in checkpoint.tensors if tensor.shape} == {"model"}
    return {tensor.name: tensor.shape for tensor in checkpoint.tensors}


@pytest.mark.parametrize("kind", MODULES)
def test_packed_parameters_have_the_names_of_the_state_dict(tmp_path: Path, kind: str) -> None:
    module = MODULES[kind]()
    torch.save(module.state_dict(), tmp_path / "state.pt")
    wanted = {name: shape for name, shape in listed(tmp_path / "state.pt").items() if shape != ()}  # without scales
    assert wanted
    torch.save(module, tmp_path / "whole.pt")
    assert listed(tmp_path / "whole.pt") == wanted
    with warnings.catch_warnings(action="ignore"):
        torch.jit.save(torch.jit.script(module), tmp_path / "script.pt")
    assert listed(tmp_path / "script.pt") == wanted


def test_a_compiled_module_has_the_names_of_its_state_dict(tmp_path: Path) -> None:
    module = nn.Sequential(torch.compile(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))), nn.Linear(4, 2))
    torch.save(module, tmp_path / "inside.pt")
    assert listed(tmp_path / "inside.pt") == dict(state_tensors(module.state_dict()))
    torch.save(module[0], tmp_path / "whole.pt")
    names = listed(tmp_path / "whole.pt")
    assert names == dict(state_tensors(module[0].state_dict()))
    assert "_orig_mod.0.weight" in names
