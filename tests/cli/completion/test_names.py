from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.cli.completion.names import MAX_CANDIDATES, Candidate, complete_modules, complete_names
from paraminspect.records import TensorRecord


def records(*names: str) -> dict[str, TensorRecord]:
    return {name: TensorRecord(name, (2, 3), "float32", 6, 24) for name in names}


def values(candidates: list[Candidate]) -> list[str]:
    return [each.value for each in candidates]


BLOCKS = records(*(f"h.{layer}.{name}" for layer in (10, 9, 1) for name in ("attn.w", "attn.b", "ln")), "wte")


@pytest.mark.parametrize(
    ("typed", "due"),
    [
        ("", ["h.", "wte"]),
        ("h", ["h.1.", "h.9.", "h.10."]),  # nothing to choose: one level further
        ("h.", ["h.1.", "h.9.", "h.10."]),
        ("h.1", ["h.1.", "h.10."]),
        ("h.9.", ["h.9.attn.", "h.9.ln"]),
        ("h.9.attn", ["h.9.attn.b", "h.9.attn.w"]),
        ("wte", ["wte"]),
        ("x", []),
    ],
)
def test_one_level_at_a_time(typed: str, due: list[str]) -> None:
    assert values(complete_names(BLOCKS, typed)) == due


def test_says_what_a_name_is() -> None:
    assert complete_names(BLOCKS, "h.9.") == [
        Candidate("h.9.attn.", goes_on=True, help="2 tensors"),
        Candidate("h.9.ln", goes_on=False, help="float32 [2,3]"),
    ]


def test_a_name_that_another_one_goes_on_from() -> None:
    found = records("a", "a.b", "a.b.c")
    assert values(complete_names(found, "a")) == ["a", "a."]
    assert values(complete_names(found, "a.")) == ["a.b", "a.b."]


@pytest.mark.parametrize(
    ("names", "due"),
    [
        (["x.a.", "x.a.b"], ["x.a."]),
        (["a.", "a.b.c", "a.b.d"], ["a."]),
        (["x.a.b"], ["x.a.b"]),
        (["x.a.b", "x.ab.c"], ["x.a.", "x.ab."]),
        (["x.a.b.c", "x.a.b.d"], ["x.a.b.c", "x.a.b.d"]),
    ],
)
def test_a_level_without_a_choice_is_passed_over_unless_it_is_a_name(names: list[str], due: list[str]) -> None:
    assert values(complete_names(records(*names), "")) == due


@pytest.mark.parametrize(
    ("typed", "due"),
    [("", ["h."]), ("h.", ["h.1.", "h.9.", "h.10."]), ("h.9.", ["h.9.attn"]), ("h.9.attn", ["h.9.attn"])],
)
def test_modules(typed: str, due: list[str]) -> None:
    assert values(complete_modules(BLOCKS, typed)) == due


@pytest.mark.parametrize("names", [[f"t{i}" for i in range(100_000)], [f"h.{i}.w" for i in range(100_000)]])
def test_a_level_that_is_too_long_is_cut_to_first_characters(names: list[str]) -> None:
    found = records(*names)
    typed = ""
    for _ in range(10):
        candidates = complete_names(found, typed)
        assert 0 < len(candidates) <= MAX_CANDIDATES
        typed = max((each.value for each in candidates if names[54_321].startswith(each.value)), key=len)
        if typed == names[54_321]:
            break
    assert typed == names[54_321]


NAMES = st.lists(st.text("ab.1", min_size=1, max_size=8), min_size=1, max_size=30, unique=True)


@given(NAMES, st.data())
def test_every_name_can_be_reached(names: list[str], data: Any) -> None:
    found = records(*names)
    wanted = data.draw(st.sampled_from(names))
    typed = wanted[: data.draw(st.integers(0, len(wanted)))]
    for _ in range(len(wanted) + 1):
        offered = values(complete_names(found, typed))
        assert all(name.startswith(typed) for name in offered)
        if wanted in offered:
            return
        longer = [each for each in offered if wanted.startswith(each) and each != typed]
        typed = max(longer, key=len)
    raise AssertionError((wanted, typed))


@given(NAMES, st.text("ab.1", max_size=3))
def test_modules_are_those_that_hold_something(names: list[str], typed: str) -> None:
    for each in values(complete_modules(names, typed)):
        assert each.startswith(typed)
        path = each.removesuffix(".")
        assert any(name.startswith(f"{path}.") for name in names)
