"""What is said of an initialisation: a row for each tensor that a rule matches, and what is to be said about the rules themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paraminspect.outcomes import InitStep
from paraminspect.render.columns import STEPS
from paraminspect.render.delimited import readable_pairs
from paraminspect.render.rows import Rows
from paraminspect.rules.steps import InitPlan, PlannedStep
from paraminspect.text import counted, list_some, shorten

ON_A_TABLE = ("name", "rule", "initializer", "mean", "std", "min", "max", "shape", "fan_in", "fan_out")
"""Columns of a table, where the initializer has its arguments behind it and notes stand below."""

MAX_NAMED = 6
"""Parameters that a remark names."""

MAX_TAKEN = 8
"""Rules of which the closing line says what they took."""

MAX_NOTES = 12
"""Notes on tensors that stand below a table."""


def init_rows(
    steps: Sequence[tuple[PlannedStep, InitStep]],
    head: Mapping[str, Any],
    plan: InitPlan,
) -> Rows:
    """The steps under the columns of tsv and JSON.

    Args:
        steps: What rules do to tensors and parts of them: what was planned and what was done.
    """
    values = [(*step[:-1], step.note or None) for _, step in steps]
    head = {**head, "rules": describe_rules(plan)}
    tail = {
        "kept": [step.target.name for step in plan.kept],
        "unmatched": list(plan.unmatched),
        "shadowed": list(plan.shadowed),
    }
    return Rows("steps", STEPS, values, head, tail, describe_plan(plan))


def on_a_table(rows: Rows, steps: Sequence[tuple[PlannedStep, InitStep]]) -> Rows:
    """The same rows for people: `kaiming_normal(std=0.05893)` in one column."""
    columns = tuple(column for name in ON_A_TABLE for column in STEPS if column.name == name)
    values = []
    for planned, step in steps:
        fields = {column.name: getattr(step, column.name) for column in columns}
        fields["initializer"] = f"{step.initializer}({readable_pairs(_telling(planned, step))})".removesuffix("()")
        values.append(tuple(fields.values()))
    return rows._replace(columns=columns, values=values)


def describe_rules(plan: InitPlan) -> list[dict[str, Any]]:
    """The rules as JSON has them, with how many tensors each matches and how many it takes."""
    taken = plan.taken
    return [
        {
            "number": number, "rule": rule.text, "source": rule.origin.source or None, "set": rule.origin.set_name or None,
            "matched": plan.matched.get(number, 0), "taken": taken.get(number, 0),
        }
        for number, rule in enumerate(plan.rules, 1)
    ]  # fmt: skip


def describe_plan(plan: InitPlan) -> str:
    """The closing line: "2 of 4 parameters initialised by 1 rule, 2 without a rule".

    Of several rules what each took: "by 2 rules (1 took 4 of 6, 2 took 2)"; of 6 that the first one matches the second one
    has 2.
    """
    total, kept = len(plan.steps), len(plan.kept)
    changed = sum(bool(step.draws) for step in plan.steps)
    by_rule = f", {total - kept - changed:,} kept by a rule" if total - kept - changed else ""
    return (
        f"{changed:,} of {counted(total, 'parameter')} initialised by {counted(len(plan.rules), 'rule')}"
        f"{_describe_taken(plan) if len(plan.rules) > 1 else ''}{by_rule}, {kept:,} without a rule"
    )


def _describe_taken(plan: InitPlan) -> str:
    taken = plan.taken
    each = [
        f"{number} took {taken.get(number, 0):,}"
        + (f" of {matched:,}" if (matched := plan.matched.get(number, 0)) > taken.get(number, 0) else "")
        for number in range(1, len(plan.rules) + 1)
    ]
    return f" ({list_some(each, MAX_TAKEN)})"


def describe_no_rules(sets: Sequence[str] = ()) -> str:
    """What to say where no rule applies, though there may be sets of these names."""
    if sets:
        return f"no rule applies: the rule sets are {', '.join(sets)} (--rule NAME chooses)"
    return "no rule applies: --rule 'SELECTOR=ACTION' gives one"


def describe_notes(plan: InitPlan, *, tensors: bool) -> list[str]:
    """Remarks on the rules and, for a table, on the tensors."""
    told = []
    if tensors:
        every = [noted for step in plan.steps for noted in (step, *step.parts)]
        notes = [(step.target.name, step.note) for step in every if step.note]
        told += [f"{_some(names)}: {text}" for text, names in _grouped(notes)[:MAX_NOTES]]
    told += [
        f"rule {number} ({shorten(plan.rules[number - 1].text)}) wins nothing: later rules match all it matches"
        for number in plan.shadowed
    ]
    if plan.kept:
        names = [step.target.name for step in plan.kept]
        verb = "is" if len(names) == 1 else "are"
        told.append(f"{counted(len(names), 'parameter')} {verb} matched by no rule and kept: {_some(names)}")
    return told


def _telling(planned: PlannedStep, step: InitStep) -> dict[str, Any]:
    """Arguments that were written, and what follows from the fans; not the defaults."""
    rule, resolved = planned.rule, planned.resolved
    if rule is None or resolved is None:
        return {}
    written = {each.parameter.name for each in rule.written} | set(resolved.derived)
    return {name: value for name, value in step.arguments.items() if name in written}


def _grouped(notes: Sequence[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for name, text in notes:
        grouped.setdefault(text, []).append(name)
    return list(grouped.items())


def _some(names: Sequence[str]) -> str:
    return list_some([shorten(name) or '""' for name in names], MAX_NAMED)
