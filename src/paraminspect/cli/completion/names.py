"""Names of tensors as completions: those of the files on the command line, one level of modules at a time."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from paraminspect.cli.completion.typed import Typed
from paraminspect.cli.declare import Declared, Is
from paraminspect.errors import ParamInspectError
from paraminspect.names.listing import is_shown
from paraminspect.records import OF_MODEL, TensorRecord
from paraminspect.text import counted, is_plain, shape_text
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.formats.brief import Brief
    from paraminspect.models.recognise import Recognised

MAX_CANDIDATES: Final = 400
"""Completions in one answer; of more, only as many first characters are given as lead on."""

MAX_SOURCES: Final = 16
"""Files of one command line that are looked into."""

MAX_NAME: Final = 1_000
"""Characters of a name that is offered."""


_DIGITS: Final = re.compile(r"(\d+)")

Names = Mapping[str, "TensorRecord | Brief"]
"""By each name its record, or what makes it."""


class Candidate(NamedTuple):
    """One completion.

    Attributes:
        value: The whole value, of which the beginning has been typed.
        goes_on: Whether more follows without a blank.
        help: A few words on it.
    """

    value: str
    goes_on: bool = False
    help: str = ""


def find_sources(declared: Declared, typed: Typed) -> tuple[str, ...]:
    """What on the command line names models: the arguments of that kind, in their order."""
    marks = list(declared.marks.values())
    return typed.positionals[: MAX_SOURCES if Is("sources") in marks else marks.count(Is("source"))]


def find_names(declared: Declared, typed: Typed) -> Names:
    """The tensors that the options of a command may name, relative to --module; none where a source has none.

    A source that has no names without torch, such as a factory, has those of the checkpoint of --weights.
    """
    everything = declared.names == "all" or "everything" in typed.options
    keep: Callable[[TensorRecord], bool] = is_shown if declared.names == "parameters" else _is_of_model
    module = typed.get("module").rstrip(".")
    inside = f"{module}." if module and typed.target is not None and typed.target.name != "module" else ""
    found: dict[str, TensorRecord | Brief] = {}
    for source in find_sources(declared, typed):
        there = _look(source)
        brief = None if inside or there is None else _read_brief(there)
        if brief is not None:
            meant = brief.names if everything else brief.names_of(keep)
            if max(map(len, meant), default=0) >= MAX_NAME:
                meant = [name for name in meant if len(name) < MAX_NAME]
            found = {**dict.fromkeys(meant, brief), **found}
            continue
        for name, record in _read_all(there, typed):
            if name.startswith(inside) and (everything or keep(record)) and len(name) < MAX_NAME:
                found.setdefault(name[len(inside) :], record)
    return found


def complete_names(names: Names, typed: str, *, ending: str = "") -> list[Candidate]:
    """What can come after the beginning of a name: the modules and tensors of one level.

    A level on which there is nothing to choose is passed over, as `transformer.` of a model that is all inside it.

    Args:
        ending: Comes after a whole name, and is gone on from.
    """
    matching = [name for name in names if name.startswith(typed) and name]
    base = _common(matching, names)
    level = _level(matching, max(len(base), typed.rfind(".") + 1))
    if len(level) > MAX_CANDIDATES:
        return [Candidate(beginning, goes_on=True) for beginning in _shorten(level, len(typed))]
    return [
        Candidate(key, goes_on=True, help=counted(number, "tensor"))
        if key not in names
        else Candidate(key + ending, goes_on=bool(ending), help=_describe(key, names[key]))
        for key, number in sorted(level.items(), key=lambda item: _natural(item[0]))
    ]


def complete_modules(names: Iterable[str], typed: str) -> list[Candidate]:
    """The same for a module: one that has others inside ends in a dot, with which it is a module still."""
    modules: dict[str, TensorRecord | None] = {}
    for name in names:
        while (name := name.rpartition(".")[0]) and name not in modules:
            modules[name] = None
    matching = [f"{module}." for module in modules if module.startswith(typed)]
    level = _level(matching, typed.rfind(".") + 1)
    if len(level) > MAX_CANDIDATES:
        return [Candidate(beginning, goes_on=True) for beginning in _shorten(level, len(typed))]
    return [
        Candidate(key, goes_on=True) if number > 1 else Candidate(key.removesuffix("."))
        for key, number in sorted(level.items(), key=lambda item: _natural(item[0]))
    ]


def _common(matching: Sequence[str], names: Collection[str]) -> str:
    """The innermost module that all of them are in."""
    first, last = min(matching, default=""), max(matching, default="")  # between which all others are
    steps = zip(first.split(".")[:-1], last.split(".")[:-1], strict=False)
    alike = [f"{step}." for step, other in takewhile(lambda both: both[0] == both[1], steps)]
    while alike and "".join(alike) in names:  # one that ends in a dot itself
        alike.pop()
    return "".join(alike)


def _level(names: Iterable[str], start: int) -> dict[str, int]:
    """What the names are up to their next dot behind `start`, and how many are alike so far."""
    level: dict[str, int] = {}
    for name in names:
        key = name[: name.find(".", start) + 1] or name
        level[key] = level.get(key, 0) + 1
    return level


def _shorten(level: Iterable[str], length: int) -> list[str]:
    """As many first characters as give no more than MAX_CANDIDATES different beginnings."""
    level, best = list(level), []
    while len(beginnings := list(dict.fromkeys(key[: length + 1] for key in level))) <= MAX_CANDIDATES:
        best, length = beginnings, length + 1
    return best or beginnings[:MAX_CANDIDATES]


def _describe(name: str, told: TensorRecord | Brief) -> str:
    try:
        record = told if isinstance(told, TensorRecord) else told.record(name)
    except ParamInspectError:
        return ""
    shape = shape_text(record.shape) if record.shape is not None else ""
    return f"{record.dtype} {shape}".strip() if is_plain(record.dtype) else shape


def _natural(name: str) -> list[tuple[int, str]]:
    """For sorting: 2 before 10."""
    return [
        (int(part) if part.isascii() and len(part) < 20 else 0, part) if part.isdecimal() else (0, part)
        for part in _DIGITS.split(name)
    ]


def _is_of_model(record: TensorRecord) -> bool:
    return record.role in OF_MODEL


class _There(NamedTuple):
    """A file or folder on this machine, and what it is."""

    path: str
    found: Recognised


def _look(source: str) -> _There | None:
    """What a word names; None for what is not on this machine."""
    path = find_path(source)
    if path is None:
        return None
    from paraminspect.models.recognise import recognise

    return _There(path, recognise(path))


def _read_brief(there: _There) -> Brief | None:
    """The names of a file; None for anything else, whatever is wrong with it, and where records tell more."""
    if there.found.kind == "spec" or os.path.isdir(there.path):
        return None  # no reader of files is loaded for a spec
    from paraminspect.formats.source import open_brief

    try:
        return open_brief(there.path)
    except (ParamInspectError, OSError):
        return None


def _read_all(there: _There | None, typed: Typed) -> Iterator[tuple[str, TensorRecord]]:
    if (records := _read(there, typed.options.get("define", ()))) is not None:
        for record in records:
            yield record.name, record
    elif (weights := _read(_look(typed.get("weights")))) is not None:
        begin, add = typed.get("strip_prefix"), typed.get("add_prefix")
        for record in weights:
            yield add + record.name.removeprefix(begin), record


def find_path(source: str) -> str | None:
    """The file or folder that a word names, as the shell would expand it; None for anything that is neither.

    A pipe is neither: to look into it would take away what is in it.
    """
    path = source if os.path.lexists(source) else os.path.expandvars(os.path.expanduser(source))
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return path if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else None


def _read(there: _There | None, define: Sequence[str] = ()) -> Sequence[TensorRecord] | None:
    """The tensors of a file or folder; None for anything else and whatever is wrong with it."""
    if there is None:
        return None
    try:
        if there.found.kind == "spec":
            from paraminspect.models.open import tell_spec

            return tell_spec(there.path, there.found.text, define)
        from paraminspect.formats import open_source

        return open_source(there.path).tensors
    except ParamInspectError:
        return None
