"""From what several versions of transformers tie to the table `formats/tied_names.py`; see `make_tied_names.py`.

A row is one text, "[PREFIX] ALIAS=SOURCE RULE [RULE].., ..": PREFIX is the name of the base model, which its own files leave
out; a RULE is what one version of transformers does: "+" ties, "-" does not, and behind it the parts of config.json whose
`tie_word_embeddings` change that, "." for the top, with "&" between those that change it only together. Versions that agree
have one RULE. Behind them stands "old" if the last version that has the class does not tie these names.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from scripts.generated import begin

KEY: Final = "tie_word_embeddings"
NUMBER: Final = re.compile(r"(^|\.)\d+(\.|$)")
WIDTH: Final = 118
OLD: Final = "old"

Rules = dict[tuple[str, str], list[str]]


def write_table(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines of the module.

    Args:
        found: What was collected of each version.
    """
    found = sorted(found, key=lambda each: [int(part) for part in each["version"].split(".")])
    classes: dict[str, Rules] = {}
    prefixes: dict[str, str] = {}
    for version in found:
        for name, row in version["classes"].items():
            rules = classes.setdefault(name, {})
            prefixes[name] = row["prefix"]
            of_this = rules_of(row["ties"])
            for pair, rule in of_this.items():
                if rule not in rules.setdefault(pair, []):
                    rules[pair].append(rule)
            for pair, those in rules.items():  # what a later version does not tie
                rules[pair] = [*(each for each in those if each != OLD), *([OLD] if pair not in of_this else [])]
    rows: dict[str, list[str]] = {}
    for name, rules in classes.items():
        if rules:
            rows.setdefault(row_of(prefixes[name], rules), []).append(name)
    versions = ", ".join(each["version"] for each in found)
    told = textwrap.wrap(
        f"Made by `scripts/make_tied_names.py` of transformers {versions}; not to be edited. Each row is what a class ties, "
        "as `class_ties` reads it, and the names of the classes.",
        WIDTH,
    )
    yield from begin("Names that the model classes of transformers tie.", told)
    yield "TIES: Final[dict[str, str]] = {"
    for text, names in sorted(rows.items()):
        yield f'    "{text}":'
        lines = textwrap.wrap(" ".join(sorted(names)), WIDTH - 12)
        for number, line in enumerate(lines):
            yield f'        "{line}{" " if number < len(lines) - 1 else ""}"{"," if number == len(lines) - 1 else ""}'
    yield "}  # fmt: skip"


def rules_of(trials: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    """For each pair of names what decides it, less those of numbered parts and those that no rule can say."""
    rules = {}
    every = "&".join(sorted({_part(path) for trial in trials if (path := trial.rpartition("=")[0]) not in ("", "*")}))
    for pair in sorted({pair for ties in trials.values() for pair in ties.items()}):
        held = {trial: ties.get(pair[0]) == pair[1] for trial, ties in trials.items()}
        by_default = held[""]
        switches = []
        for trial, holds in held.items():
            path, _, value = trial.rpartition("=")
            if path in ("", "*") or holds == by_default:
                continue
            if (value == "True") == by_default:  # to say yes does what saying no should
                break
            switches.append(_part(path))
        else:
            if not switches and held.get(f"*={not by_default}", by_default) != by_default:
                switches = [every]  # all of them together
            if (by_default or switches) and not any(NUMBER.search(name) for name in pair):
                rules[pair] = ("+" if by_default else "-") + ",".join(sorted(set(switches)))
    return rules


def _part(path: str) -> str:
    return path.removesuffix(KEY).removesuffix(".") or "."


def row_of(prefix: str, rules: Rules) -> str:
    """The text of one class."""
    pairs = (f"{alias}={source} {' '.join(sorted(each))}" for (alias, source), each in sorted(rules.items()))
    return f"[{prefix}] " + ", ".join(pairs)
