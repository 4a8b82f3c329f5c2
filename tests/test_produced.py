"""Models in every form that their own libraries save them in (`scripts/make_models.py`): each is asked everything.

The oracle is the library's own state dict in memory, written down when the files were made; what is converted is loaded by
safetensors and torch.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import paraminspect
from paraminspect.names.listing import make_listing, total
from paraminspect.records import OF_MODEL
from scripts.make_models import MODELS, PRODUCED

FORMS = sorted(path for name in MODELS for path in (PRODUCED / name).iterdir() if path.name != "expected.json")
EACH = pytest.mark.parametrize("form", FORMS, ids=lambda path: str(path.relative_to(PRODUCED)))


@cache
def due(form: Path) -> tuple[dict[str, dict[str, Any]], list[set[str]]]:
    """Tensors by name, and the groups of names that are one parameter, as the library has them."""
    expected = json.loads((form.parent / "expected.json").read_text())
    renamed = expected.get("renamed", {}).get(form.name)
    return renamed or expected["tensors"], [set(names) for names in expected["tied"]]


def digest(array: np.ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def tensors_of(source: Path) -> dict[str, paraminspect.Tensor]:
    found = paraminspect.open(source).select(everything=True, aliases=True)
    named = {each.name.removeprefix("state_dict."): each for each in found if each.record.role in OF_MODEL}
    assert len(named) == sum(each.record.role in OF_MODEL for each in found)
    return named


@EACH
def test_names_shapes_types_and_values(form: Path) -> None:
    expected, _ = due(form)
    found = tensors_of(form)
    assert {
        name: {"shape": list(each.shape or ()), "dtype": each.dtype, "sha256": digest(each.numpy())}
        for name, each in found.items()
    } == expected


@EACH
def test_ties_and_totals(form: Path) -> None:
    expected, tied = due(form)
    model = paraminspect.open(form)
    groups = [{name.removeprefix("state_dict.") for name in group.names} for group in paraminspect.ties(form)]
    assert sorted(map(sorted, groups)) == sorted(map(sorted, tied))
    totals = total(make_listing(model.tensors))
    assert totals.tied == sum(len(group) - 1 for group in tied)
    listed = [each for each in make_listing(model.tensors, everything=True).records if each.role in OF_MODEL]
    assert len(listed) == len(expected) - totals.tied


@EACH
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_round_trip(form: Path, ending: str, tmp_path: Path) -> None:
    expected, tied = due(form)
    out = tmp_path / f"out.{ending}"
    paraminspect.convert(form, out)
    loaded = load_file(out) if ending == "safetensors" else torch.load(out, weights_only=True)
    values = {
        name.removeprefix("state_dict."): digest(each.reshape(-1).view(torch.uint8).numpy())
        for name, each in loaded.items()
    }
    left_out = {name for group in tied for name in group if name not in values} if ending == "safetensors" else set()
    assert all(not group <= left_out for group in tied)
    assert values == {name: each["sha256"] for name, each in expected.items() if name not in left_out}
    assert tensors_of(out).keys() == expected.keys()
    assert paraminspect.diff(form, out).changes == []


@EACH
def test_no_alarm(form: Path) -> None:
    found = paraminspect.check(form, deep=True)
    assert [each for each in found if each.severity in {"danger", "error"}] == []
