"""What `-h` shows: a screen. The examples first, then the options people use; `--help` has everything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from paraminspect.cli.declare import Declared
from paraminspect.text import wrap

INDENT: Final = "  "
MAX_OPTION: Final = 28
"""Columns of the left-hand side; what is longer loses what stands for its value. Words to choose from go to the right."""


def render_short_help(context: Any, declared: Declared, width: int) -> str:
    """The screen of one command.

    Args:
        context: Of the command, as typer has it.
        width: Columns of the terminal.
    """
    lines = [context.command.get_usage(context), "", f"{INDENT}{declared.about.partition(chr(10))[0]}", ""]
    lines += ["Examples:", *(f"{INDENT}{line}" for line in declared.examples), "", "Options:"]
    lines += [f"{INDENT}{line}" for line in _options(context, declared, width - len(INDENT))]
    lines += ["", f"{context.command_path} --help has all of them, the columns and the exit status."]
    return "\n".join(lines)


def _options(context: Any, declared: Declared, width: int) -> Iterator[str]:
    parameters = {each.name: each for each in context.command.get_params(context)}
    records = [record for name in declared.often if (record := parameters[name].get_help_record(context))]
    left = min(max((len(names) for names, _ in records), default=0), MAX_OPTION)
    for names, about in records:
        shown = names if len(names) <= left else names[:left].rpartition(" ")[0]
        room = width - left - len(INDENT)
        text = _first_of(about, room)
        if shown != names and (choices := re.search(r"<(.*\|.*)>$", names)):
            text += f": {choices[1].replace('|', ', ')}"
        first, *rest = wrap(text, room).splitlines()
        yield f"{shown:<{left}}{INDENT}{first}"
        yield from (f"{'':<{left}}{INDENT}{line}" for line in rest)


def _first_of(about: str, width: int) -> str:
    """As much of it as fits in a line and says something by itself; the first sentence where nothing does."""
    for end in (".", ";", ":"):
        first = re.split(rf"{re.escape(end)}(?=\s|$)", about, maxsplit=1)[0]
        if len(first) <= width:
            return first
    return re.split(r"\.(?=\s|$)", about, maxsplit=1)[0]
