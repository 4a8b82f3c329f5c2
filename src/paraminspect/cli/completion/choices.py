"""What each option and argument can be: what is declared of it, and a table from what it names to what completes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from paraminspect.cli.completion.names import (
    Candidate,
    Names,
    complete_modules,
    complete_names,
    find_names,
    find_path,
    find_sources,
)
from paraminspect.cli.completion.typed import Typed
from paraminspect.cli.declare import Declared, Is, Kind, Listed, OneOf

Answer = list[Candidate] | None
"""Completions; None where the shell completes the names of files."""

Completer = Callable[[Declared, Typed], Answer]
"""From what is declared of the command, and what was typed."""

_PATTERN: Final = frozenset("*?[")


def complete(declared: Declared, parameters: Sequence[Any], typed: Typed) -> Answer:
    """What can stand at the cursor.

    Args:
        declared: Of the command, or of the program itself.
        parameters: Of the command, as typer has them.
    """
    target = typed.target
    if target is None:
        return _options(parameters, typed) if typed.value.startswith("-") else []
    match declared.marks.get(target.name):
        case OneOf(words):
            return _beginning(typed.value, words)
        case Listed(words):
            return _listed(typed.value, words)
        case Is(kind):
            return COMPLETERS[kind](declared, typed)
    return []


def _files(declared: Declared, typed: Typed) -> Answer:
    return [] if "://" in typed.value else None


def _patterns(declared: Declared, typed: Typed) -> Answer:
    """Names for a selector: behind TYPE:, but not for a glob or a regular expression."""
    return _selectors(declared, typed, ending="")


def _selectors(declared: Declared, typed: Typed, *, ending: str) -> list[Candidate]:
    kind, colon, glob = typed.value.partition(":")
    begun = glob if colon else kind
    if typed.value.startswith("/") or not _PATTERN.isdisjoint(begun):
        return []
    names = {name: record for name, record in find_names(declared, typed).items() if _means_itself(name)}
    return _behind(kind + colon if colon else "", complete_names(names, begun, ending=ending))


def _means_itself(name: str) -> bool:
    """Whether a selector of this text means the tensor of this name."""
    return not (":" in name or "=" in name or name.startswith("/") or not _PATTERN.isdisjoint(name))


def _names(declared: Declared, typed: Typed) -> Answer:
    names = dict(find_names(declared, typed))
    for given in typed.positionals[1:]:
        names.pop(given, None)
    return complete_names(names, typed.value)


def _modules(declared: Declared, typed: Typed) -> Answer:
    return complete_modules(find_names(declared, typed), typed.value)


def _tied_names(declared: Declared, typed: Typed) -> Answer:
    """Names between commas, of which there are two at least."""
    before, comma, begun = typed.value.rpartition(",")
    given = set(before.split(","))
    names: Names = {
        name: record for name, record in find_names(declared, typed).items() if name not in given and "," not in name
    }
    return _behind(before + comma, complete_names(names, begun, ending="" if comma else ","))


def _rules(declared: Declared, typed: Typed) -> Answer:
    """selector=action, or the name of a rule set."""
    selector, equals, action = typed.value.partition("=")
    if equals:
        from paraminspect.rules.initializers import INITIALIZERS, KEEP

        known = {**INITIALIZERS, KEEP.name: KEEP}
        found = [
            Candidate(each.name, any(one.required for one in each.parameters), each.summary) for each in known.values()
        ]
        return _behind(f"{selector}=", [each for each in found if each.value.startswith(action)])
    return [*_beginning(typed.value, _rule_sets(declared, typed)), *_selectors(declared, typed, ending="=")]


def _rule_sets(declared: Declared, typed: Typed) -> Iterator[str]:
    from paraminspect.errors import ParamInspectError
    from paraminspect.models.rules import read_config

    for path in _specs(declared, typed):
        try:
            yield from read_config(path).names
        except ParamInspectError:
            continue


def _variables(declared: Declared, typed: Typed) -> Answer:
    """NAME=VALUE, of the variables of a spec or config."""
    from paraminspect.architecture.parse import find_variables
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES
    from paraminspect.errors import ParamInspectError

    found: list[str] = []
    for path in _specs(declared, typed):
        with open(path, "rb") as file:
            try:
                found += find_variables(file.read(MAX_SPEC_BYTES + 1))
            except ParamInspectError:
                continue
    given = {text.partition("=")[0] for text in typed.options.get("define", ())}
    names = (name for name in dict.fromkeys(found) if name.startswith(typed.value) and name not in given)
    return [Candidate(f"{name}=", goes_on=True) for name in names]


def _specs(declared: Declared, typed: Typed) -> Iterator[str]:
    """Files on the command line that may have rule sets or variables."""
    for source in (typed.get("config"), *find_sources(declared, typed)):
        path = find_path(source)
        if path is not None and os.path.isfile(path):
            yield path


def _renames(declared: Declared, typed: Typed) -> Answer:
    """FROM=TO."""
    return [] if "=" in typed.value else _selectors(declared, typed, ending="=")


def _columns(declared: Declared, typed: Typed) -> Answer:
    """Between commas, of the rows that what was typed so far brings."""
    brought = [table for table in declared.tables if table.option in typed.options][:1]
    tables = [table for table in declared.tables if not table.option]
    tables = brought if brought and not brought[0].is_added else [*tables, *brought]
    return _listed(typed.value, dict.fromkeys(column.name for table in tables for column in table.columns))


def _codes(declared: Declared, typed: Typed) -> Answer:
    from paraminspect.checks.codes import CODES

    return [Candidate(code, help=each.title) for code, each in CODES.items() if code.startswith(typed.value)]


def _losses(declared: Declared, typed: Typed) -> Answer:
    from paraminspect.architecture.loss import LOSSES, OUTPUT

    words = [Candidate(word, help=each.meaning) for word, each in LOSSES.items()]
    parts = Candidate(f"{OUTPUT}.", goes_on=True, help="A part of the output.")
    return [each for each in (*words, parts) if each.value.startswith(typed.value)]


def _engines(declared: Declared, typed: Typed) -> Answer:
    """One of a few words, or the file of a scheduler."""
    words = [
        Candidate("local", help="This process and others beside it."),
        Candidate("dask", help="A Dask cluster of this machine."),
        Candidate("dask://", goes_on=True, help="A scheduler: HOST:8786."),
    ]
    return [each for each in words if each.value.startswith(typed.value)] or _files(declared, typed)


COMPLETERS: Final[Mapping[Kind, Completer]] = {
    **dict.fromkeys(("source", "sources", "file"), _files),
    "name": _names,
    "names": _tied_names,
    "pattern": _patterns,
    "module": _modules,
    "rename": _renames,
    "rule": _rules,
    "variable": _variables,
    "column": _columns,
    "code": _codes,
    "loss": _losses,
    "engine": _engines,
}
"""What a value names -> what completes it, where it is not one of a few words."""


def _options(parameters: Sequence[Any], typed: Typed) -> list[Candidate]:
    """Options that can still be given."""
    return [
        Candidate(name, help=" ".join((each.help or "").split()))
        for each in parameters
        if each.param_type_name == "option" and not each.hidden and (each.multiple or each.name not in typed.options)
        for name in (*each.opts, *each.secondary_opts)
        if name.startswith(typed.value) and (name.startswith("--") or typed.value == name)
    ]


def _beginning(typed: str, words: Iterable[str]) -> list[Candidate]:
    return [Candidate(word) for word in words if word.startswith(typed)]


def _listed(typed: str, words: Iterable[str]) -> list[Candidate]:
    """Words between commas, each once; a comma may follow."""
    before, comma, begun = typed.rpartition(",")
    given = set(before.split(","))
    return [
        Candidate(before + comma + word, goes_on=True) for word in words if word.startswith(begun) and word not in given
    ]


def _behind(prefix: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    return [each._replace(value=prefix + each.value) for each in candidates]
