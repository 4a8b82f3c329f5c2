"""What is worth saying of a plan: of a tensor and its rule, and of a rule that matches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.names.suggestions import closest
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
    is_norm = any("Norm" in each.rpartition(".")[2] for each in target.module_types)
    if is_norm and rule.initializer.random and target.name.rpartition(".")[2] == "weight":
        return "a norm's weight drawn at random (usual: ones)"
    return ""


def _own_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    return rule.initializer.remark(resolved.arguments)


def _transposed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    is_transposed = any(each.rpartition(".")[2].startswith("ConvTranspose") for each in target.module_types)
    if is_transposed and rule.initializer.derive is not None:
        return "a transposed convolution: torch counts its outputs as fan_in"
    return ""


def _packed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if not rule.initializer.by_matrix or resolved.chunks != 1:
        return ""
    leaf = target.name.rpartition(".")[2]
    classes = {each.rpartition(".")[2] for each in target.module_types}
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
    if selector.module_type is not None and not any(target.module_types for target in targets):
        return "this checkpoint does not say of which class its modules are: use a pattern of names"
    for other in others:
        if selector.matches(other.name, *other.module_types):
            return f"it matches only {other.what}, such as {other.name}"
    if selector.module_type is not None and any(selector.name.search(target.name) for target in targets):
        classes = dict.fromkeys(
            target.module_types[0].rpartition(".")[2]
            for target in targets
            if target.module_types and selector.name.search(target.name)
        )
        return f"no module of that class has such a name; the classes are {', '.join(list(classes)[:6])}"
    return _near_miss(selector.text, targets)


def _near_miss(pattern: str, targets: Sequence[Target]) -> str:
    """The name that was meant by a whole one; of a pattern, its last part if that looks misspelt."""
    if "*" not in pattern and "." in pattern:
        return closest(pattern, [target.name for target in targets]) or ""
    leaf = pattern.rpartition("*" if "*" in pattern else ".")[2].lstrip(".")
    near = closest(leaf, dict.fromkeys(target.name.rpartition(".")[2] for target in targets)) if leaf else None
    return near or ""
