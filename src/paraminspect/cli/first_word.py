"""What the first word of a command line means: a command; a SOURCE, of which `info` tells; or neither.

Words and options of other tools are answered with the command line that does what they mean, whole, to copy: they never
run something else than they say.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.names.suggestions import find_meant

PROGRAM: Final = "paraminspect"
DEFAULT: Final = "info"
"""Command of a SOURCE that stands alone."""

STDIN: Final = "-"

WORDS: Final = {
    "summary": "info", "summarize": "info", "inspect": "info", "describe": "info", "about": "info", "metadata": "info",
    "meta": "info", "open": "info", "view": "tree", "modules": "tree", "layers": "tree", "structure": "tree",
    "ls": "list", "tensors": "list", "params": "list", "parameters": "list", "weights": "list", "shapes": "list",
    "keys": "list -f names", "names": "list -f names", "count": "list --total", "size": "list --total",
    "total": "list --total", "cat": "show", "print": "show", "dump": "show", "get": "show", "values": "show",
    "histogram": "stats", "describe-values": "stats", "compare": "diff", "cmp": "diff", "ties": "shared",
    "tied": "shared", "sharing": "shared", "scan": "check", "validate": "check", "verify": "check", "lint": "check",
    "audit": "check", "export": "convert", "save": "convert", "cast": "convert", "gradients": "grad",
    "backward": "grad", "initialize": "init", "flops": "cost", "memory": "cost", "profile": "cost", "initialise": "init", "reset": "init",
}  # fmt: skip
"""Word -> the command, with options, that does what it means elsewhere."""

OPTIONS: Final = {
    "--json": "-f json", "--jsonl": "-f jsonl", "--csv": "-f csv", "--tsv": "-f tsv", "--markdown": "-f markdown",
    "--md": "-f markdown", "--table": "-f table", "--names": "-f names", "--names-only": "-f names",
    "--output-format": "-f", "--fmt": "-f", "--filter": "--select", "--include": "--select", "--grep": "--select",
    "--pattern": "--select", "--recursive": "", "--no-color": "--color never", "--no-colour": "--color never",
    "--colour": "--color", "--verbose": "", "--human-readable": "-f table",
}  # fmt: skip
"""Option -> what stands for it here; "" where there is no need of it."""

BEFORE: Final = {
    "--json": "info -f json", "--keys": "list -f names", "--names": "list -f names", "--metadata": "info", "--summary": "info",
    "--tree": "tree", "--list": "list", "--stats": "stats", "--check": "check", "--scan": "check", "--diff": "diff",
    "--info": "info", "--shapes": "list", "--csv": "list -f csv", "--show": "show",
}  # fmt: skip
"""Option that stands where the command does -> the command."""


def with_command(arguments: Sequence[str], commands: Sequence[str]) -> list[str]:
    """The same command line with its command: `info`, where a SOURCE stands in its place.

    Args:
        arguments: Without the name of the program.
        commands: That there are.

    Raises:
        ParamInspectError: A word or option of other tools stands there, or a word that is neither.
    """
    typed = list(arguments)
    if not typed or typed[0] in commands:
        return typed
    first = typed[0]
    if first in BEFORE and any(not word.startswith("-") for word in typed[1:]):
        command, *options = BEFORE[first].split()
        rest = typed[1:]
        raise _foreign(first, [*rest, *options] if rest[0] in commands else [command, *rest, *options])
    if first.startswith("-") and first != STDIN:
        return typed
    if is_source(first):
        return [DEFAULT, *typed]
    if first in WORDS:
        raise _foreign(first, _meant(first, typed[1:] or ["SOURCE"]))
    raise _unknown(typed, commands)


def is_source(word: str) -> bool:
    """Whether a word in the place of a command names a model: a file that is there, or what looks like one."""
    return word == STDIN or any(mark in word for mark in "/:.") or os.path.lexists(word)


def explain_option(option: str, typed: Sequence[str]) -> str | None:
    """The whole command line with our word for an option of other tools; None where we know none.

    Args:
        option: That there is not.
        typed: The whole command line, without the name of the program.
    """
    ours = OPTIONS.get(option)
    if ours is None or option not in typed:
        return None
    at = list(typed).index(option)
    return _spell([*typed[:at], *ours.split(), *typed[at + 1 :]])


def _meant(word: str, rest: Sequence[str]) -> list[str]:
    """Command, what was typed behind the word, and options that belong to what it means."""
    command, *options = WORDS.get(word, word).split()
    return [command, *rest, *options]


def _foreign(word: str, meant: Sequence[str]) -> ParamInspectError:
    kind = "option" if word.startswith("-") else "command"
    return ParamInspectError(f"there is no {kind} {word!r}", hint=_spell(meant))


def _unknown(typed: Sequence[str], commands: Sequence[str]) -> ParamInspectError:
    """A word that is neither a command nor a file: what is most like it, of both."""
    from difflib import get_close_matches

    word = typed[0]
    close = get_close_matches(word, [*commands, *WORDS], n=1, cutoff=0.6)
    if close:
        meant = _spell(_meant(close[0], typed[1:]))
        return ParamInspectError(f"there is no command {word!r}", hint=f"did you mean {meant}?")
    try:
        file = find_meant(word, os.listdir())
    except OSError:
        file = None
    if file is not None:
        return ParamInspectError(
            f"there is no command and no file {word!r}", hint=f"did you mean {_spell([file, *typed[1:]])}?"
        )
    return ParamInspectError(
        f"there is no command {word!r}, and no file of that name", hint=f"the commands are {', '.join(commands)}"
    )


def _spell(words: Sequence[str]) -> str:
    """A command line as a shell takes it."""
    import shlex

    return shlex.join([PROGRAM, *words])
