"""Only the reader of values knows how they are stored, and nobody maps a file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import paraminspect

ROOT = Path(paraminspect.__file__).parent
READERS = ("values/read.py", "values/stored_bytes.py")
HOMES = {
    "encoding": (*READERS, "records.py", "formats/"),  # where readers of formats fill it in
    "swapped_begin": (*READERS, "records.py", "formats/"),
    "mmap": ("writers/direct.py",),  # memory on a page's border, of no file
}


def uses(code: str, word: str) -> bool:
    """Whether it reads an attribute of that name, or imports such a module."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr == word:
            return True
        if isinstance(node, ast.Import) and word in [each.name for each in node.names]:
            return True
        if isinstance(node, ast.ImportFrom) and node.module == word:
            return True
    return False


@pytest.mark.parametrize("word", HOMES)
def test_who_knows(word: str) -> None:
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if uses(path.read_text("utf-8"), word)]
    assert files
    assert [file for file in files if not file.startswith(HOMES[word])] == []


def test_the_search_finds() -> None:
    assert uses("a = record.encoding", "encoding")
    assert uses("import mmap", "mmap")
    assert uses("from mmap import mmap", "mmap")
    assert not uses("encoding = 'utf-8'", "encoding")
