"""Ties that went wrong, in files that were really saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from paraminspect.checks import copies
from paraminspect.checks.copies import check_copies, check_declared
from paraminspect.formats import open_source
from paraminspect.records import Checkpoint
from tests.making.safetensors_files import floats, safetensors_bytes
from tests.making.torch_files import save_tensors

RAMP = torch.arange(12.0).reshape(3, 4)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Checkpoint]:
    return lambda **tensors: open_source(
        save_tensors(tmp_path / "m.pt", {name.replace("__", "."): each for name, each in tensors.items()})
    )


def test_equal_tensors_that_models_tie_are_a_warning_others_a_remark(saved: Callable[..., Checkpoint]) -> None:
    names = {"wte__weight": RAMP, "lm_head__weight": RAMP.clone(), "a__weight": RAMP + 1, "b__weight": RAMP + 1}
    found = {each.name: each for each in check_copies(saved(**{k: v.clone() for k, v in names.items()}))}
    assert {name: (each.code, each.severity) for name, each in found.items()} == {
        "wte.weight": ("tie-broken", "warning"), "a.weight": ("tie-broken", "info"),
    }  # fmt: skip
    assert "lm_head.weight (48 B each)" in found["wte.weight"].message


def test_copies_that_are_not_named_are_counted(saved: Callable[..., Checkpoint]) -> None:
    (found,) = check_copies(saved(**{f"t{number}": RAMP.clone() for number in range(24)}))
    assert found.message == "stored again with the same content as t1, t2, t3 and 20 more (48 B each)"


def test_one_tensor_under_two_names_is_no_copy(saved: Callable[..., Checkpoint]) -> None:
    assert list(check_copies(saved(wte__weight=RAMP, lm_head__weight=RAMP, other=RAMP + 1))) == []


def test_how_many_are_told_is_bounded(saved: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MAX_TOLD", 2)
    every = {f"t{i}{side}": RAMP + i for i in range(5) for side in "ab"}
    assert len(list(check_copies(saved(**{k: v.clone() for k, v in every.items()})))) == 2


@pytest.mark.parametrize("second", [(1, 2), (1, 3)])
def test_a_tie_that_is_declared_of_two_stored_tensors(tmp_path: Path, second: tuple[float, ...]) -> None:
    tensors = {"a": ("F32", [2], floats(1, 2)), "b": ("F32", [2], floats(*second))}
    (tmp_path / "m.safetensors").write_bytes(safetensors_bytes(tensors, {"b": "a"}))
    (found,) = check_declared(open_source(tmp_path / "m.safetensors"))
    assert (found.code, found.name) == ("tie-contradicted", "b")
    assert ("with other bytes" in found.message) is (second != (1, 2))
