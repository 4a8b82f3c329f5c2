"""Two models with tied weights in six forms each: the same group of names every time, and the kind the form can know.

The docs' table of other tools is about these twelve cases.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from paraminspect import ties as find_ties
from paraminspect.formats.source import open_source
from paraminspect.names.listing import make_listing, total
from paraminspect.records import TieGroup
from scripts.tied_forms import CONFIGS, FILES, NAMES, T5, build
from tests.making.live_models import open_live


def torch_says(model: nn.Module) -> set[str]:
    names: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)
    (tied,) = [group for group in names.values() if len(group) > 1]
    return tied


def check(groups: list[TieGroup], name: str, kind: str) -> None:
    (group,) = groups
    assert set(group.names) == NAMES[name]
    assert group.kind == kind
    assert group.saved == (group.nbytes or 0) * (len(NAMES[name]) - 1)


@pytest.mark.parametrize("name", NAMES)
def test_spec(name: str) -> None:
    model = build(name)
    assert torch_says(model) == NAMES[name]
    check(find_ties(model), name, "parameter")
    meta = open_live(str(CONFIGS / "gpt2.yaml")) if name == "gpt2" else open_live("t5.yaml", text=T5)
    check(find_ties(meta.checkpoint), name, "parameter")


@pytest.mark.parametrize("form", FILES)
@pytest.mark.parametrize("name", NAMES)
def test_file(tmp_path: Path, name: str, form: str) -> None:
    save, kind = FILES[form]
    model = build(name)
    save(model, tmp_path / "model", name)
    checkpoint = open_source(tmp_path / "model")
    check(find_ties(checkpoint), name, kind)
    listing = make_listing(checkpoint.tensors, aliases=True)
    (group,) = find_ties(checkpoint)
    assert {listing.records[index].name: first for index, first in listing.tied_to.items()} == dict.fromkeys(
        group.names[1:], group.names[0]
    )
    totals = total(make_listing(checkpoint.tensors))
    assert (totals.parameters, totals.tied) == (sum(each.numel() for each in model.parameters()), len(NAMES[name]) - 1)
