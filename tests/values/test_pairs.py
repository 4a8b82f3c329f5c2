"""Pairs by several readers are the pairs of one, to the last bit."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from paraminspect.engines.local import processes, threads
from paraminspect.engines.pool import Shared
from paraminspect.errors import ParamInspectError
from paraminspect.formats.source import open_source
from paraminspect.names.changes import Pair
from paraminspect.values.compare import Difference, Tolerance, compare_values
from paraminspect.values.decode import InMemory
from paraminspect.values.pairs import Made, compare_pairs
from paraminspect.values.parts import GRID
from paraminspect.values.read import open_numbers
from paraminspect.values.stored_bytes import Files
from tests.making.torch_files import not_dense


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    """Of tensors of three parts: equal, different in one part, not finite in one; small ones; and what cannot be read."""
    folder = tmp_path_factory.mktemp("pairs")
    drawn = torch.Generator().manual_seed(2)
    due = {name: torch.randn(3 * GRID - 9, generator=drawn) for name in ("same", "middle", "nan", "zero", "half")}
    due |= {f"t{index}": torch.randn(90 + index, generator=drawn) for index in range(6)} | {"sparse": not_dense()}
    after = {name: tensor.clone() for name, tensor in due.items()}
    after["middle"][GRID + 5] += 1
    after["nan"][2 * GRID + 1] = torch.nan
    due["zero"][3], after["zero"][3] = 0.0, -0.0
    after["half"] = after["half"].half()
    after["t3"][2] -= 2
    for name, tensors in (("before", due), ("after", after)):
        torch.save(tensors, folder / f"{name}.pt")
    one, other = (
        {each.name: each for each in open_source(folder / f"{name}.pt").tensors} for name in ("before", "after")
    )
    return [Pair(name, record, other[name]) for name, record in one.items()]


def told(made: list[Made]) -> str:
    return repr([str(each) if isinstance(each, ParamInspectError) else facts(each) for each in made])


def facts(found: Difference) -> object:
    if not found.differs:
        return None
    return found.max_abs, found.relative, found.cosine, found.norm_before, found.norm_after, found.nan_changed


def compare(pairs: list[Pair], pool: Shared | None = None) -> list[Made]:
    files = Files()
    opens = (lambda record: open_numbers(record, files),) * 2
    return list(compare_pairs(pairs, opens, Tolerance(), lambda _: None, pool))


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_the_same_differences(pairs: list[Pair], kind: str) -> None:
    pool = threads(2) if kind == "threads" else processes(2, "fork")
    pool.cut, pool.lot = 1, 1 << 10
    expected = compare(pairs)
    by_name = dict(zip([pair.name for pair in pairs], expected, strict=True))
    changed = {name for name, made in by_name.items() if isinstance(made, Difference) and made.differs}
    assert changed == {"middle", "nan", "half", "t3"}
    assert isinstance(by_name["sparse"], ParamInspectError)
    assert told(compare(pairs, pool)) == told(expected)


def test_a_part_that_ends_early_is_no_answer_for_the_rest(tmp_path: Path, pairs: list[Pair]) -> None:
    (pair,) = [each for each in pairs if each.name == "middle"]
    assert pair.after.storage is not None
    short = tmp_path / "short"
    short.write_bytes(Path(pair.after.storage.path or "").read_bytes()[: pair.after.storage.begin + 9 * GRID])
    broken = [Pair("middle", pair.before, pair.after._replace(storage=pair.after.storage._replace(path=str(short))))]
    pool = threads(2)
    pool.cut = 1
    (made,) = compare(broken, pool)
    assert isinstance(made, ParamInspectError)
    assert told([made]) == told(compare(broken))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pieces_come_together_in_any_order(data: st.DataObject) -> None:
    numbers = st.floats(width=32)
    before = np.array(data.draw(st.lists(numbers, min_size=1, max_size=40)), np.float32)
    after = before.copy()
    for at in data.draw(st.lists(st.integers(0, before.size - 1), max_size=4)):
        after[at] = data.draw(numbers)
    found = [
        compare_values(InMemory(before[at : at + 8]), InMemory(after[at : at + 8]), Tolerance(), measured=True)
        for at in range(0, before.size, 8)
    ]
    in_order, shuffled = Difference(), Difference()
    for each in found:
        in_order.merge(each)
    random.Random(data.draw(st.integers(0, 99))).shuffle(found)
    middle = Difference()
    for each in found[:2]:
        middle.merge(each)
    for each in (*found[2:], middle):
        shuffled.merge(each)
    for name in ("differs", "max_abs", "relative", "cosine", "norm_before", "norm_after", "nan_changed"):
        assert repr(getattr(shuffled, name)) == repr(getattr(in_order, name)), name
