"""Tables of a document that are made of what is declared, each behind a mark that a reader does not see.

- `<!-- columns: COMMAND -->`, or `<!-- columns: COMMAND with --OPTION -->`: the columns that a command prints.
- `<!-- commands: FOLDER -->`: what each command is for, with a link to its page in that folder.
- `<!-- spec: WHAT -->`: what the parser of specs declares, WHAT being a key of `SPEC_TABLES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paraminspect.architecture.blocks import BLOCK_KEYS
from paraminspect.architecture.built_in import BUILTINS, CONTAINERS, PARAMETRIZATIONS
from paraminspect.architecture.declared import Argument
from paraminspect.architecture.layers import EXPERTS_KEYS, LAYER_OPTIONS
from paraminspect.architecture.parse import TOP_LEVEL
from paraminspect.cli.app import COMMANDS, find_declared

TABLE = re.compile(r"^(?P<mark><!-- (?P<kind>columns|commands|spec): (?P<what>.+) -->\n)(?:\|.*\n)+", re.MULTILINE)


class DocumentError(Exception):
    """A document shows something that cannot be made true by writing it again."""


def fill_tables(text: str) -> str:
    """The document with every table behind a mark made anew.

    Raises:
        DocumentError: A mark asks for what is not declared.
    """
    makers = {"columns": _columns, "commands": _commands, "spec": _spec}
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
    return [(f"`{name}`", meaning) for name, meaning in table.items()]


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
    "parametrizations": (
        ("name", "the tensor is", "arguments"),
        [(f"`{name}`", what, _arguments(arguments)) for name, (what, arguments) in PARAMETRIZATIONS.items()],
    ),
}
"""What can be said in a document: (header, rows)."""
