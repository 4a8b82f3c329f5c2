"""What `import paraminspect` offers."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import paraminspect


@pytest.mark.parametrize("name", [name for name in paraminspect.__all__ if name != "__version__"])
def test_a_name_is_what_its_module_has(name: str) -> None:
    module = importlib.import_module(f"paraminspect.{paraminspect._HOMES[name]}")
    assert getattr(paraminspect, name) is getattr(module, name)


def test_every_name_is_listed() -> None:
    assert {*paraminspect._HOMES, "__version__"} == set(paraminspect.__all__)
    assert list(paraminspect.__all__) == sorted(paraminspect.__all__)


def test_a_prompt_completes_every_name() -> None:
    assert dir(paraminspect) == sorted(paraminspect.__all__)


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match="module 'paraminspect' has no attribute 'apply_rules'"):
        _ = paraminspect.apply_rules


def test_no_name_is_hidden_by_a_module() -> None:
    """`import paraminspect.x` sets the attribute `x`."""
    folder = Path(paraminspect.__file__).parent
    assert not set(paraminspect.__all__) & {path.stem for path in folder.iterdir()}
