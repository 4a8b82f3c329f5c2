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


def alias_note(target: Target, rules: Sequence[Rule], number: int | None) -> str:
    """That another name of the tensor would have had another rule."""
    winners = {alias: other for other, rule in enumerate(rules, 1) for alias in target.meant_aliases(rule)}
    for alias, other in winners.items():
        if other != number:
            return f"{alias}, tied to it, is meant by rule {other}: a tied tensor is initialised once"
    return ""


def _padding_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if target.padding_idx is None:
        return ""
    what = "left as it is" if rule.initializer.kind == "edit" else "kept zero"
    return f"row {target.padding_idx} (padding_idx) {what}"


def _norm_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    is_norm = any("Norm" in class_name(each) for each in target.classes.own)
    if is_norm and rule.initializer.random and target.name.rpartition(".")[2] == "weight":
        return "a norm's weight drawn at random (usual: ones)"
    return ""


def _own_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    return rule.initializer.remark(resolved.arguments)


def _transposed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    is_transposed = any(class_name(each).startswith("ConvTranspose") for each in target.classes.own)
    if is_transposed and rule.initializer.derive is not None:
        return "a transposed convolution: torch counts its outputs as fan_in"
    return ""


def _packed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if not rule.initializer.by_matrix or resolved.chunks != 1:
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
