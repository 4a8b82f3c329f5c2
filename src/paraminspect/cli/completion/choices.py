"""What each option and argument can be: tables from its name to what completes it."""

from __future__ import annotations

import os
import re
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

Answer = list[Candidate] | None
"""Completions; None where the shell completes the names of files."""

Completer = Callable[[str, Typed, str], Answer]
"""From the command, what was typed, and the help of the command."""

_PATTERN: Final = re.compile(r"[*?[]")
_PARENTHESES: Final = re.compile(r"\([^)]*\)")


def complete(command: str, parameters: Sequence[Any], typed: Typed, about: str) -> Answer:
    """What can stand at the cursor.

    Args:
        command: Its name.
        parameters: Of the command, as typer has them.
        typed: The line.
        about: The command's help.
    """
    target = typed.target
    if target is None:
        return _options(parameters, typed) if typed.value.startswith("-") else []
    choices = getattr(target.type, "choices", None)
    if choices:
        return _beginning(typed.value, filter(None, choices))
    completer = COMPLETERS.get(target.name)
    return completer(command, typed, about) if completer is not None else []


def _files(command: str, typed: Typed, about: str) -> Answer:
    return [] if "://" in typed.value else None


def _patterns(command: str, typed: Typed, about: str) -> Answer:
    """Names for a selector: behind TYPE:, but not for a glob or a regular expression."""
    return _selectors(command, typed, ending="")


def _selectors(command: str, typed: Typed, *, ending: str) -> list[Candidate]:
    kind, colon, glob = typed.value.partition(":")
    begun = glob if colon else kind
    if typed.value.startswith("/") or _PATTERN.search(begun):
        return []
    names = {name: record for name, record in find_names(command, typed).items() if _means_itself(name)}
    return _behind(kind + colon if colon else "", complete_names(names, begun, ending=ending))


def _means_itself(name: str) -> bool:
    """Whether a selector of this text means the tensor of this name."""
    return not (":" in name or "=" in name or name.startswith("/") or _PATTERN.search(name))


def _names(command: str, typed: Typed, about: str) -> Answer:
    given = set(typed.positionals[1:])
    names = {name: record for name, record in find_names(command, typed).items() if name not in given}
    return complete_names(names, typed.value)


def _modules(command: str, typed: Typed, about: str) -> Answer:
    return complete_modules(find_names(command, typed), typed.value)


def _tied_names(command: str, typed: Typed, about: str) -> Answer:
    """Names between commas, of which there are two at least."""
    before, comma, begun = typed.value.rpartition(",")
    given = set(before.split(","))
    names: Names = {
        name: record for name, record in find_names(command, typed).items() if name not in given and "," not in name
    }
    return _behind(before + comma, complete_names(names, begun, ending="" if comma else ","))


def _rules(command: str, typed: Typed, about: str) -> Answer:
    """selector=action, or the name of a rule set."""
    selector, equals, action = typed.value.partition("=")
    if equals:
        from paraminspect.rules.initializers import INITIALIZERS, KEEP

        known = {**INITIALIZERS, KEEP.name: KEEP}
        found = [
            Candidate(each.name, any(one.required for one in each.parameters), each.summary) for each in known.values()
        ]
        return _behind(f"{selector}=", [each for each in found if each.value.startswith(action)])
    return [*_beginning(typed.value, _rule_sets(command, typed)), *_selectors(command, typed, ending="=")]


def _rule_sets(command: str, typed: Typed) -> Iterator[str]:
    from paraminspect.cli.chosen import Build
    from paraminspect.cli.rules import read_config
    from paraminspect.errors import ParamInspectError

    for path in _specs(command, typed):
        try:
            yield from read_config(path, Build()).names
        except ParamInspectError:
            continue


def _variables(command: str, typed: Typed, about: str) -> Answer:
    """NAME=VALUE, of the variables of a spec or config."""
    from paraminspect.architecture.parse import find_variables
    from paraminspect.architecture.recognise import MAX_SPEC_BYTES
    from paraminspect.errors import ParamInspectError

    found: list[str] = []
    for path in _specs(command, typed):
        with open(path, "rb") as file:
            try:
                found += find_variables(file.read(MAX_SPEC_BYTES + 1))
            except ParamInspectError:
                continue
    given = {text.partition("=")[0] for text in typed.options.get("define", ())}
    names = (name for name in dict.fromkeys(found) if name.startswith(typed.value) and name not in given)
    return [Candidate(f"{name}=", goes_on=True) for name in names]


def _specs(command: str, typed: Typed) -> Iterator[str]:
    """Files on the command line that may have rule sets or variables."""
    for source in (typed.get("config"), *find_sources(command, typed)):
        path = find_path(source)
        if path is not None and os.path.isfile(path):
            yield path


def _renames(command: str, typed: Typed, about: str) -> Answer:
    """FROM=TO."""
    return [] if "=" in typed.value else _selectors(command, typed, ending="=")


def _columns(command: str, typed: Typed, about: str) -> Answer:
    """Between commas: what the command's help says of its columns."""
    columns = " ".join(about.split()).partition("Columns")[2].partition(". ")[0].partition(":")[2]
    words = re.split(r"[,;:]", _PARENTHESES.sub("", columns))
    return _listed(typed.value, (word.strip().rstrip(".") for word in words if " " not in word.strip()))


def _problems(command: str, typed: Typed, about: str) -> Answer:
    """Between commas, of --fail-on."""
    if command == "grad":
        from paraminspect.cli.grad_options import STATES

        return _listed(typed.value, STATES)
    return _listed(typed.value, ("nan", "inf", "zero", "constant"))


def _codes(command: str, typed: Typed, about: str) -> Answer:
    from paraminspect.checks.codes import CODES

    return [Candidate(code, help=about.title) for code, about in CODES.items() if code.startswith(typed.value)]


COMPLETERS: Final[Mapping[str, Completer]] = {
    **dict.fromkeys(("source", "before", "after", "weights", "config", "modules_file", "rules_file"), _files),
    **dict.fromkeys(("output_file", "save", "compare", "plot", "expect_file", "loss_file", "inputs", "target"), _files),
    **dict.fromkeys(("select", "exclude", "freeze"), _patterns),
    **dict.fromkeys(("rules", "rule"), _rules),
    **dict.fromkeys(("rename", "map_"), _renames),
    "name": _names,
    "module": _modules,
    "define": _variables,
    "expect": _tied_names,
    "columns": _columns,
    "fail_on": _problems,
    "ignore": _codes,
}
"""Name of a parameter -> what completes it, where it is not one of a few words."""


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
