"""Tables that documents show of what the program declares: keys and types of a spec, losses, bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from paraminspect import limits
from paraminspect.architecture.blocks import BLOCK_KEYS
from paraminspect.architecture.built_in import BUILTINS, CONTAINERS, PARAMETRIZATIONS
from paraminspect.architecture.declared import Argument
from paraminspect.architecture.layers import EXPERTS_KEYS, LAYER_OPTIONS
from paraminspect.architecture.loss import LOSSES
from paraminspect.architecture.parse import TOP_LEVEL

Row = tuple[str, ...]

BOUNDS = (
    "formats.shapes:MAX_TENSORS",
    "formats.shapes:MAX_DIMENSIONS",
    "formats.shapes:MAX_NUMEL",
    "formats.shapes:MAX_NAME_BYTES",
    "formats.safetensors:MAX_SAFETENSORS_HEADER",
    "formats.json_text:MAX_JSON_BYTES",
    "formats.gguf:MAX_HEADER_BYTES",
    "formats.onnx.read:MAX_ONNX_NODES",
    "formats.sharded:MAX_SHARDS",
    "formats.zip_file:MAX_ZIP_ENTRIES",
    "formats.zip_file:MAX_INFLATED",
    "formats.pickles.machine:MAX_PICKLE_OPS",
    "formats.pickles.state:MAX_PICKLE_OBJECTS",
    "formats.pickles.state:MAX_PICKLE_TEXT",
    "architecture.recognise:MAX_SPEC_BYTES",
    "architecture.yaml_marks:MAX_YAML_NODES",
    "architecture.yaml_marks:MAX_YAML_DEPTH",
    "architecture.expand:MAX_MODULES",
    "architecture.expand:MAX_MODEL_BYTES",
    "files.web:MAX_SPOOLED",
    "files.web:MAX_WAIT_S",
)
"""Constants, "module:NAME", that the page on safety shows, with the first sentence that the source says of each."""


def make_table(what: str) -> str:
    """A table in Markdown.

    Args:
        what: A key of `TABLES`.
    """
    header, rows = TABLES[what]
    lines = [header, re.sub(r"[^|]+", " --- ", header), *(f"| {' | '.join(row)} |" for row in rows()), ""]
    return "\n".join(lines)


def _arguments(arguments: Sequence[Argument]) -> str:
    """Each with its meaning, and its value where it is left out."""
    return "; ".join(f"`{each.name}`{_default(each)}: {each.meaning}" for each in arguments)


def _default(argument: Argument) -> str:
    if argument.is_required or argument.optional:
        return ""
    value = argument.default
    return f" = `{'true' if value is True else 'false' if value is False else value}`"


def _meanings(table: Mapping[str, str]) -> list[Row]:
    return [(f"`{name}`", meaning) for name, meaning in table.items()]


def _budget() -> list[Row]:
    """What one command may do, whatever the number of its parts."""
    bounds = [each for each in vars(limits).values() if isinstance(each, limits.Bound)]
    return [(each.what.removesuffix(" in one run"), f"{each.free:,}", f"{each.per_byte:g}") for each in bounds]


def _bounds() -> list[Row]:
    rows: list[Row] = []
    for reference in BOUNDS:
        module, _, name = reference.partition(":")
        value = getattr(import_module(f"paraminspect.{module}"), name)
        rows.append((f"`{name}`", _size(value), _said_of(f"paraminspect.{module}", name)))
    return rows


def _size(value: float) -> str:
    """A number as one reads it: a power of two times a size, or with commas."""
    for shift, unit in ((30, "GiB"), (20, "MiB")):
        if isinstance(value, int) and value < 1 << 40 and value >= 1 << shift and value % (1 << shift) == 0:
            return f"{value >> shift:,} {unit}"
    return "2^63 - 1" if value == (1 << 63) - 1 else f"{value:,}"


def _said_of(module: str, name: str) -> str:
    """The first sentence below a constant in its source; "" if there is none."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    for statement, below in pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            return " ".join(str(below.value.value).split()).partition(". ")[0].rstrip(".") if is_text else ""  # type: ignore[attr-defined]
    return ""


TABLES: dict[str, tuple[str, Callable[[], Sequence[Row]]]] = {
    "keys": ("| key | meaning |", lambda: _meanings(TOP_LEVEL)),
    "blocks": ("| key of a block | meaning |", lambda: _meanings(BLOCK_KEYS)),
    "layers": ("| option of a layer | meaning |", lambda: _meanings(LAYER_OPTIONS)),
    "containers": ("| type | output |", lambda: _meanings(CONTAINERS)),
    "experts": ("| key of a MixtureOfExperts | meaning |", lambda: _meanings(EXPERTS_KEYS)),
    "built ins": (
        "| type | output for an input x, or a, b, ... | arguments |",
        lambda: [(f"`{each.name}`", each.computes, _arguments(each.arguments)) for each in BUILTINS.values()],
    ),
    "parametrizations": (
        "| name | the tensor is | arguments |",
        lambda: [(f"`{name}`", what, _arguments(arguments)) for name, (what, arguments) in PARAMETRIZATIONS.items()],
    ),
    "losses": (
        "| loss | what it is | target, if none is given |",
        lambda: [(f"`{name}`", each.meaning, each.drawn) for name, each in LOSSES.items()],
    ),
    "budget": ("| work | always | more for each byte of the files |", _budget),
    "bounds": ("| constant | at most | of what |", _bounds),
}
"""What can be said in a document: (header, rows)."""
