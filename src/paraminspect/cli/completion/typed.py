"""What the words of a line mean to a command, as far as they have been typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paraminspect.tuples import NamedTuple


class Typed(NamedTuple):
    """A command line with a cursor.

    Attributes:
        positionals: Words that are no options, those behind the cursor included.
        options: Name of each parameter that is set -> its values; those of a flag are empty.
        target: The parameter whose value stands at the cursor; None where an option's name does, or nothing can.
        prefix: What of the word at the cursor stands before that value: "--select=".
        value: What there is of the value.
    """

    positionals: tuple[str, ...]
    options: Mapping[str, Sequence[str]]
    target: Any
    prefix: str
    value: str

    def get(self, name: str) -> str:
        """The last value of an option; "" if it has none."""
        return (self.options.get(name) or ("",))[-1]


class _Reader:
    """Takes one word after the other.

    Attributes:
        positionals: So far.
        options: So far.
        waiting: The option that takes the next word.
        ended: `--` was there: only arguments follow.
    """

    def __init__(self, parameters: Sequence[Any]) -> None:
        self.by_name = {
            name: each
            for each in parameters
            if each.param_type_name == "option"
            for name in (*each.opts, *each.secondary_opts)
        }
        self.positionals: list[str] = []
        self.options: dict[str, list[str]] = {}
        self.waiting: Any = None
        self.ended = False

    def take(self, word: str) -> None:
        if self.waiting is not None:
            self.options.setdefault(self.waiting.name, []).append(word)
            self.waiting = None
        elif self.ended or not is_option(word):
            self.positionals.append(word)
        elif word == "--":
            self.ended = True
        else:
            option, _, value = self.split(word)
            if option is None:
                return
            given = self.options.setdefault(option.name, [])
            if value is not None:
                given.append(value)
            elif not is_flag(option):
                self.waiting = option

    def split(self, word: str) -> tuple[Any, str, str | None]:
        """Option, the part before its value, and the value that is part of the word: `--select=x`, `-sx`, `-asx`."""
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            option = self.by_name.get(name)
            return option, name + equals, value if equals and option is not None and not is_flag(option) else None
        for index in range(1, len(word)):
            option = self.by_name.get(f"-{word[index]}")
            if option is None or index + 1 == len(word):
                return option, word, None
            if not is_flag(option):
                return option, word[: index + 1], word[index + 1 :]
            self.options.setdefault(option.name, [])
        return None, word, None


def read_typed(parameters: Sequence[Any], before: Sequence[str], current: str, behind: Sequence[str] = ()) -> Typed:
    """Read the words of one command.

    Args:
        parameters: Of the command, as typer has them.
        before: Words before the one at the cursor, without the command's own name.
        current: That word up to the cursor.
    """
    reader = _Reader(parameters)
    for word in before:
        reader.take(word)
    target, prefix, value = reader.waiting, "", current
    if target is None:
        if reader.ended or not current.startswith("-"):
            arguments = [each for each in parameters if each.param_type_name == "argument"]
            place = len(reader.positionals)
            if place < len(arguments):
                target = arguments[place]
            elif arguments and arguments[-1].nargs == -1:
                target = arguments[-1]
        else:
            option, before_value, inside = reader.split(current)
            if inside is not None:
                target, prefix, value = option, before_value, inside
    reader.waiting = None
    for word in behind:
        reader.take(word)
    return Typed(tuple(reader.positionals), reader.options, target, prefix, value)


def is_option(word: str) -> bool:
    """Whether a word is taken for an option."""
    return len(word) > 1 and word.startswith("-")


def is_flag(option: Any) -> bool:
    """Whether an option takes no value."""
    return bool(option.is_flag or option.count)
