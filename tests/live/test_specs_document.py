"""docs/specs.md: its tables are the parser's, its examples run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.document_tables import fill_tables

TEXT = (Path(__file__).parents[2] / "docs" / "specs.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_its_tables_are_what_is_declared() -> None:
    assert fill_tables(TEXT) == TEXT, "run python -m scripts.fill_docs"
    assert TEXT.count("<!-- spec: ") == 7


@pytest.mark.parametrize("text", EXAMPLES)
def test_its_examples_run(live: Callable[..., Any], text: str) -> None:
    assert live(text).shapes()[""]
