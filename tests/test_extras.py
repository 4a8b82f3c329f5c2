"""The lines that bring what is missing, against what the extras of the project are."""

from __future__ import annotations

import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from paraminspect.extras import LIBRARIES, install_line

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def libraries(needs: list[str]) -> set[str]:
    """Projects that these are, and those that their extras bring."""
    found = set()
    for need in map(Requirement, needs):
        found.add(need.name)
        inner = [each for each in map(Requirement, requires(need.name) or []) if each.marker and need.extras]
        for extra in need.extras:
            bare = [each for each in inner if each.marker.evaluate({"extra": extra})]
            found |= {each.name for each in bare if not each.marker.evaluate({"extra": ""})}
    return found


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"far"}))
def test_a_line_brings_what_the_extra_does(extra: str) -> None:
    assert set(LIBRARIES[extra].split()) == libraries(EXTRAS[extra])


def test_no_line_is_left_over() -> None:
    assert LIBRARIES.keys() == EXTRAS.keys() - {"far"}


def test_the_pages_have_the_same_lines() -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("sources.md", "beyond.md", "commands/grad.md"))
    assert [extra for extra in LIBRARIES if f"`{install_line(extra)}`" not in pages] == []
