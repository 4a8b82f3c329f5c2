"""Inputs that once broke a reader, and the seeds of fuzzing, through every target of `fuzz`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from fuzz.seeds import make_seeds
from fuzz.targets import TARGETS
from paraminspect.errors import ParamInspectError

FILES = sorted(Path(__file__).with_name("fuzz").iterdir())

seeds = cache(make_seeds)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_what_once_broke(file: Path, target: str) -> None:
    with contextlib.suppress(ParamInspectError):
        TARGETS[target](file.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_read(target: str) -> None:
    read: Callable[[bytes], None] = TARGETS[target]
    outcomes = set()
    for data in seeds()[target]:
        try:
            read(data)
            outcomes.add("read")
        except ParamInspectError:
            outcomes.add("refused")
    assert "read" in outcomes or target == "distributed"
