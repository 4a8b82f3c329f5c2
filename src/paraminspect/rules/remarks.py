"""What is worth saying of a plan: of a tensor and its rule, and of a rule that matches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.names.missed import explain_miss
from paraminspect.names.selector import class_name
from paraminspect.rules.resolve import Resolved
from paraminspect.rules.rule import Rule
from paraminspect.rules.targets import Other, Target

PACKED: Final[Mapping[tuple[str, str], int]] = {
    ("MultiheadAttention", "in_proj_weight"): 3,
    **{(f"{kind}{cell}", f"weight_{way}"): gates for kind, gates in (("LSTM", 4), ("GRU", 3)) for cell in ("", "Cell") for way in ("ih", "hh")},
}  # fmt: skip
"""Class, beginning of the tensor's own name -> matrices it holds one above the other."""


def find_acting(numbers: Sequence[int], rules: Sequence[Rule]) -> list[int]:
    """Which rules do something to a tensor: the last one on the whole of it, and those on parts behind that one.

    Args:
        numbers: Of the rules that match it, from 1, in order.
    """
    last = max((at for at, number in enumerate(numbers) if rules[number - 1].part is None), default=0)
    return list(numbers[last:])


def alias_note(target: Target, rules: Sequence[Rule], acting: Sequence[int]) -> str:
    """That another name of the tensor would have had another rule."""
    if not target.aliases:
        return ""
    matching: dict[str, list[int]] = {}
    for number, rule in enumerate(rules, 1):
        for alias in target.meant_aliases(rule):
            matching.setdefault(alias, []).append(number)
    for alias, numbers in matching.items():
        for other in find_acting(numbers, rules):
            if other not in acting:
                return f"{alias}, tied to it, is meant by rule {other}: a tied tensor is initialised once"
    return ""


def _padding_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if target.padding_idx is None:
        return ""
    if resolved.part is not None:
        rows = resolved.part.rows(target.shape[0])
        if not rows.start <= target.padding_idx < rows.stop:
            return ""
    what = "left as it is" if rule.initializer.kind == "edit" else "kept zero"
    return f"row {target.padding_idx} (padding_idx) {what}"


def _norm_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if not rule.initializer.random or target.name.rpartition(".")[2] != "weight":
        return ""
    is_norm = any("Norm" in class_name(each) for each in target.classes.own)
    return "a norm's weight drawn at random (usual: ones)" if is_norm else ""


def _own_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    return rule.initializer.remark(resolved.arguments)


def _transposed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if rule.initializer.derive is None:
        return ""
    is_transposed = any(class_name(each).startswith("ConvTranspose") for each in target.classes.own)
    return "a transposed convolution: torch counts its outputs as fan_in" if is_transposed else ""


def _packed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if not rule.initializer.by_matrix or resolved.chunks != 1 or resolved.part is not None:
        return ""
    leaf = target.name.rpartition(".")[2]
    classes = {class_name(each) for each in target.classes.own}
    for (cls, beginning), parts in PACKED.items():
        if cls in classes and leaf.startswith(beginning):
            return f"{parts} matrices in one: chunks={parts} initialises each with its own fans"
    return ""


REMARKS: Final = (_padding_note, _norm_note, _own_note, _transposed_note, _packed_note)
"""Each gives its remark on (target, rule that wins it, its numbers), "" where there is none."""


def why_unmatched(rule: Rule, targets: Sequence[Target], others: Sequence[Other]) -> str:
    """Why a rule matches nothing, where that can be seen."""
    selector = rule.selector
    for target in targets:
        for alias in target.meant_aliases(rule):
            return f"{alias} is tied to {target.name} and is initialised under that name"
    for other in others:
        if selector.matches(other.name, other.classes):
            return f"it matches only {other.what}, such as {other.name}"
    return explain_miss(selector, [(target.name, target.classes) for target in targets])
