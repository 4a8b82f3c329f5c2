"""`--rules-file`: a user's functions from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from paraminspect import apply_init
from paraminspect.errors import ParamInspectError, SourceError
from paraminspect.live.init.functions import load_functions

TEXT = """
import torch
from torch import Tensor
from torch.nn.init import normal_
from os.path import join

def init_weight(tensor, generator=None):
    '''Halves.'''
    return tensor.fill_(size())

def ones_(tensor): tensor.fill_(7)

def size(): return 0.5

def _hidden(tensor): pass

class NotOne: pass
"""


def test_functions_that_the_file_defines(tmp_path: Path) -> None:
    path = tmp_path / "my_rules.py"
    path.write_text(TEXT)
    notes: list[str] = []
    own = load_functions(str(path), notes=notes)
    assert own.described.keys() == own.functions.keys() == {"init_weight", "ones"}
    assert own.described["init_weight"].summary == "Halves"
    assert notes == [f"ones is the function of {path}, not torch's"]


def test_the_tutorial_s_own_initializer(configs: Path) -> None:
    own = load_functions(str(configs / "my_rules.py"))
    model = nn.Linear(40, 30)
    model.weight.grad = torch.ones_like(model.weight)
    steps = apply_init(model, ["*weight*=init_weight"], functions=own.functions)
    size = model.weight.detach().abs()
    zeros = int((size == 0).sum())
    assert bool(((size == 0) | ((size >= 5) & (size <= 10))).all())
    assert abs(zeros / 1200 - 0.5) < 6 * 0.5 / 1200**0.5
    assert [step.initializer for step in steps] == ["init_weight"]
    assert model.weight.grad_fn is None
    assert bool((model.weight.grad == 1).all())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "defines no function of a tensor"),
        ("def f(): pass\n", "defines no function of a tensor"),
        ("def f(\n", "SyntaxError"),
        ("1/0\n", "ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_file_that_brings_none(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken_rules.py"
    path.write_text(text)
    with pytest.raises(SourceError) as caught:
        load_functions(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "my_rules.py").write_text(TEXT)
    with pytest.raises(SourceError) as caught:
        load_functions(str(tmp_path / "my_rulse.py"))
    assert caught.value.hint == "did you mean my_rules.py?"


def test_an_error_names_its_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "failing_rules.py"
    path.write_text("def f(tensor):\n    return tensor @ tensor\n")
    own = load_functions(str(path))
    with pytest.raises(ParamInspectError) as caught:
        apply_init(nn.Linear(3, 2), ["weight=f"], functions=own.functions)
    assert "f: RuntimeError: mat1 and mat2 shapes cannot be multiplied" in caught.value.message
    assert f"({path}:2)" in caught.value.message


@pytest.mark.parametrize("code", [None, "x = 1\n", "raise RuntimeError('no')\n"])
def test_the_file_of_functions_is_blamed_not_the_model(tmp_path: Path, code: str | None) -> None:
    functions = tmp_path / "functions.py"
    if code is not None:
        functions.write_text(code)
    with pytest.raises(SourceError) as caught:
        load_functions(str(functions))
    assert caught.value.source == str(functions)
    assert not caught.value.message.startswith(str(functions))
