"""Tables of a document that are made of what is declared, each behind a mark that a reader does not see.

- `<!-- columns: COMMAND -->`, or `<!-- columns: COMMAND with --OPTION -->`: the columns that a command prints.
- `<!-- commands: FOLDER -->`: what each command is for, with a link to its page in that folder.
- `<!-- spec: WHAT -->`: what the parser of specs declares, WHAT being a key of `SPEC_TABLES`.
- `<!-- limits: bounds -->` and `<!-- limits: budget -->`: what a file may ask for, from the constants.
- `<!-- layers: HEADING -->`: the layers of import-linter's contract, and below the heading what each says of itself.
- `<!-- measured: missed -->`: the budgets of `benchmarks/RESULTS.md` that are not met.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
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
from paraminspect.cli.app import COMMANDS, find_declared

TABLE = re.compile(
    r"^(?P<mark><!-- (?P<kind>columns|commands|spec|limits|layers|measured): (?P<what>.+) -->\n)(?:\|.*\n)+",
    re.MULTILINE,
)

ROOT = Path(__file__).resolve().parent.parent

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
    "architecture.yaml_events:MAX_YAML_NODES",
    "architecture.yaml_events:MAX_YAML_DEPTH",
    "architecture.expand:MAX_MODULES",
    "architecture.expand:MAX_MODEL_BYTES",
    "files.web:MAX_SPOOLED",
    "files.web:MAX_WAIT_S",
)
"""Constants, "module:NAME", that the page on safety shows, with the first sentence that the source says of each."""

OPTION = re.compile(r"(?<!\S)--[a-z][a-z-]*")
"""Name of an option in running text."""


class DocumentError(Exception):
    """A document shows something that cannot be made true by writing it again."""


def fill_tables(text: str) -> str:
    """The document with every table behind a mark made anew.

    Raises:
        DocumentError: A mark asks for what is not declared.
    """
    makers = {
        "columns": _columns,
        "commands": _commands,
        "spec": _spec,
        "limits": _limits,
        "layers": _layers,
        "measured": _measured,
    }
    return TABLE.sub(lambda match: match["mark"] + _table(*makers[match["kind"]](match["what"])), text)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _columns(what: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    command, _, when = what.partition(" ")
    tables = find_declared(command).tables if command in COMMANDS else ()
    table = next((each for each in tables if each.when == when), None)
    if table is None:
        raise DocumentError(f"{what} has no columns")
    rows = [(f"`{each.name}`", "".join(f"`{word}` " for word in each.words) + each.about) for each in table.columns]
    return ("column, JSON key", "meaning"), rows


def _commands(folder: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    summaries = {name: find_declared(name).about.partition("\n")[0] for name in COMMANDS}
    return ("command", "what it does"), [
        (f"[`{name}`]({folder}/{name}.md)", summary) for name, summary in summaries.items()
    ]


def _spec(what: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    if what not in SPEC_TABLES:
        raise DocumentError(f"specs have no table of {what}")
    return SPEC_TABLES[what]


def _arguments(arguments: Sequence[Argument]) -> str:
    """Each with its meaning, and its value where it is left out."""
    return "; ".join(f"`{each.name}`{_default(each)}: {each.meaning}" for each in arguments)


def _default(argument: Argument) -> str:
    if argument.is_required or argument.optional:
        return ""
    value = argument.default
    return f" = `{'true' if value is True else 'false' if value is False else value}`"


def _meanings(table: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"`{name}`", OPTION.sub(r"`\g<0>`", meaning)) for name, meaning in table.items()]


SPEC_TABLES: dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]] = {
    "keys": (("key", "meaning"), _meanings(TOP_LEVEL)),
    "blocks": (("key of a block", "meaning"), _meanings(BLOCK_KEYS)),
    "layers": (("option of a layer", "meaning"), _meanings(LAYER_OPTIONS)),
    "containers": (("type", "output"), _meanings(CONTAINERS)),
    "experts": (("key of a MixtureOfExperts", "meaning"), _meanings(EXPERTS_KEYS)),
    "built ins": (
        ("type", "output for an input x, or a, b, ...", "arguments"),
        [(f"`{each.name}`", each.computes, _arguments(each.arguments)) for each in BUILTINS.values()],
    ),
    "losses": (
        ("loss", "what it is", "target, if none is given"),
        [(f"`{name}`", each.meaning, each.drawn) for name, each in LOSSES.items()],
    ),
    "parametrizations": (
        ("name", "the tensor is", "arguments"),
        [(f"`{name}`", what, _arguments(arguments)) for name, (what, arguments) in PARAMETRIZATIONS.items()],
    ),
}
"""What can be said in a document: (header, rows)."""


def _limits(what: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    if what == "budget":
        return ("work", "always", "more for each byte of the files"), _budget()
    return ("constant", "at most", "of what"), _bounds()


def _budget() -> list[tuple[str, ...]]:
    """What one command may do, whatever the number of its parts."""
    bounds = [each for each in vars(limits).values() if isinstance(each, limits.Bound)]
    return [(each.what.removesuffix(" in one run"), f"{each.free:,}", f"{each.per_byte:g}") for each in bounds]


def _bounds() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
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


def _layers(what: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """From the top down; where several share a layer, each has a row."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(each for each in project["tool"]["importlinter"]["contracts"] if each["id"] == "layers")
    names = [name.strip() for layer in contract["layers"] for name in layer.split("|")]
    return ("layer", what), [(f"`{name.removeprefix('paraminspect.')}`", _summary(name)) for name in names]


def _summary(module: str) -> str:
    """The first sentence that a module or package says of itself."""
    lines = (import_module(module).__doc__ or "").strip().partition("\n")[0]
    return re.sub(r"\.( .*)?$", "", lines)


def _measured(_: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Rows of the budgets that do not say yes."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ") and "**no**" in line]
    return ("input", "command", "budget", "found"), [row[:4] for row in rows]
