"""What only PyYAML reads: aliases, and how much they may make."""

from __future__ import annotations

import pytest

from paraminspect.architecture.nodes import MapNode, Mark
from paraminspect.architecture.yaml_events import MAX_YAML_DEPTH, read_events
from paraminspect.errors import SpecError


def fails(text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        read_events(text)
    return caught.value


def test_aliases_are_copies_that_are_counted() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    error = fails("\n".join(lines))
    assert "more than 100,000 values" in error.message
    assert error.line == 5


def test_aliases_do_not_hide_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, MAX_YAML_DEPTH + 1)]
    assert "inside each other" in fails("\n".join(lines)).message


def test_alias_repeats_the_node_and_is_noted() -> None:
    document = read_events("a: &x {b: 1}\nc: *x\n")
    assert isinstance(document.root, MapNode)
    assert document.root.get("a") == document.root.get("c")
    assert document.aliases == (Mark(2, 4),)


@pytest.mark.parametrize("open_bracket", ["[", "{a: ", "- "])
def test_depth_is_bounded(open_bracket: str) -> None:
    assert "inside each other" in fails(open_bracket * (MAX_YAML_DEPTH + 1)).message


def test_depth_at_the_bound_is_accepted() -> None:
    assert read_events("[" * MAX_YAML_DEPTH + "]" * MAX_YAML_DEPTH).root
