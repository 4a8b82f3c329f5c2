"""One row a format: what it names is there, what it says is so, and nobody else decides by the name of a format."""

from __future__ import annotations

import ast
import pickletools
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import paraminspect
from paraminspect.checks.check import check_source
from paraminspect.checks.container import Place, scan_part
from paraminspect.files.blob import Blob
from paraminspect.formats import open_source
from paraminspect.formats.sniff import HEAD_BYTES
from paraminspect.formats.table import (
    CONTAINERS,
    FORMATS,
    Container,
    Format,
    find_containers,
    format_of,
    formats_in,
    formats_of_files,
    is_sharded,
    resolve,
)
from paraminspect.records import Checkpoint

SOURCE = Path(paraminspect.__file__).parent


@pytest.mark.parametrize("row", [*CONTAINERS, *FORMATS], ids=lambda row: row.name)
def test_what_a_row_names_is_there(row: Container | Format) -> None:
    references = [value for value in row if isinstance(value, str) and value.startswith("paraminspect.")]
    assert all(callable(resolve(each)) for each in references)


def test_a_container_has_formats_or_a_scanner_and_every_format_a_container_that_is_there() -> None:
    containers = {each.name for each in CONTAINERS}
    assert {row.container for row in FORMATS if row.container} <= containers
    assert all(formats_in(each.name) or each.scanner for each in CONTAINERS)


def test_a_row_is_read_or_says_what_it_is() -> None:
    for row in FORMATS:
        if row.container:
            assert bool(row.reader) is not bool(row.what)
            assert bool(row.what) is bool(row.hint)
        assert all(ending.startswith(".") and ending == ending.lower() for ending in row.endings)
    assert len({row.name for row in FORMATS}) == len(FORMATS)


def test_an_ending_behind_o_asks_for_one_format() -> None:
    endings = [ending for row in FORMATS for ending in row.asked_by]
    assert len(set(endings)) == len(endings)


def test_rows_of_what_a_checkpoint_shows() -> None:
    one, several, live = (Checkpoint(name, []) for name in ("gguf", "sharded torch zip and safetensors", "spec"))
    assert format_of(one) is not None
    assert [row.name for row in formats_of_files(one)] == ["gguf"]
    assert [row.name for row in formats_of_files(several)] == ["torch zip", "safetensors"]
    row = format_of(several)
    assert row is not None
    assert row.kind == "folder"
    assert (is_sharded(one), is_sharded(several), is_sharded(live)) == (False, True, False)
    assert format_of(live) is None
    assert formats_of_files(live) == []


# The first bytes.

HEADER = b'{"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
LENGTHS = 70_000


def test_no_length_of_a_header_makes_another_file_of_it() -> None:
    """0x80 is how a pickle begins, `c` names a global, `V` is text to the end of the line."""
    body = HEADER.ljust(LENGTHS) + bytes(8)
    for length in range(LENGTHS + 1):
        head = struct.pack("<Q", length) + body[: HEAD_BYTES - 8]
        found = [each.name for each in find_containers(head, length + 16)]
        if length >= len(HEADER):
            assert found[0] == "safetensors", length
            blob = Blob.from_bytes(struct.pack("<Q", length) + HEADER.ljust(length) + bytes(8))
            assert scan_part(blob, Place(None)) == [], length


RUN = b"cposix\nsystem\n(S'id'\ntR."
"""A pickle of protocol 0 that runs a command."""


def polyglot() -> bytes:
    """A safetensors file, all of it as it should be, that `pickle.load` runs: `V` is text to the end of the line."""
    header = b'{"weight":{"dtype":"U8","data_offsets":[0,%d],"shape":[%d\n]}}' % (len(RUN), len(RUN))
    return struct.pack("<Q", ord("V")) + b"{" + header[1:].rjust(ord("V") - 1) + RUN


def test_a_file_that_is_also_a_pickle_is_looked_at_as_one(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(polyglot())
    opcodes = [opcode.name for opcode, *_ in pickletools.genops(polyglot())]
    assert opcodes[-2:] == ["REDUCE", "STOP"]
    checkpoint = open_source(path)
    assert (checkpoint.format, checkpoint.tensors[0].nbytes) == ("safetensors", len(RUN))
    assert [finding.code for finding in check_source(path)] == ["pickle-danger"]


@pytest.mark.parametrize(
    "first", [b"\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", b"K\x01" + RUN, b"G" + bytes(8) + RUN]
)
def test_a_pickle_without_a_header_may_begin_with_any_value(first: bytes) -> None:
    assert "pickle-danger" in {finding.code for finding in scan_part(Blob.from_bytes(first), Place(None))}


# Who decides by a name.


def decisions(tree: ast.AST) -> Iterator[ast.AST]:
    """Where code compares or looks up the name of a format."""
    for node in ast.walk(tree):
        parts: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            parts = [node.func.value, *(node.args if node.func.attr == "get" else ())]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        elif isinstance(node, ast.Match):
            parts = [node.subject]
        if any(is_name_of_format(part) for part in parts):
            yield node


def is_name_of_format(node: ast.expr) -> bool:
    """`checkpoint.format`, whatever the checkpoint is called; options and outputs have a format of their own."""
    owner = node.value if isinstance(node, ast.Attribute) and node.attr == "format" else None
    word = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return word in ("checkpoint", "_checkpoint", "written", "each", "found", "opened", "source")


def test_the_table_alone_decides_by_the_name_of_a_format() -> None:
    found = {where for where, tree in modules() if any(decisions(tree))}
    assert found == {"formats/table.py"}  # the probe finds what there is


def test_no_text_is_held_against_the_name_of_a_format() -> None:
    shown = {row.name for row in FORMATS} - {"pickle", "sharded"}
    found = {
        f"{where}: {each.value}"
        for where, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and not is_other(node.left)
        for part in node.comparators
        for each in ast.walk(part)
        if isinstance(each, ast.Constant) and each.value in shown
    }
    assert found == set()


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package, by its path."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text())


def is_other(node: ast.expr) -> bool:
    """The layout of a record, or a form of output: they may be called as a format is."""
    return (isinstance(node, ast.Attribute) and node.attr == "layout") or (
        isinstance(node, ast.Name) and node.id == "format_"
    )
