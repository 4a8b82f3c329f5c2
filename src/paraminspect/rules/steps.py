"""Which tensor gets which rule, decided before any value is drawn.

The last rule that matches a tensor's canonical name wins; each tensor is initialised once. What cannot work (fans of a
1-D tensor, a quantised tensor, chunks that do not fit) is refused here, with the name, the shape and the rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from paraminspect.errors import LimitExceededError, RuleError
from paraminspect.names.selector import quote_name
from paraminspect.outcomes import InitStep
from paraminspect.rules.parse import rule_error
from paraminspect.rules.remarks import REMARKS, alias_note, why_unmatched
from paraminspect.rules.resolve import Resolved, count_fans, resolve
from paraminspect.rules.rule import Initializer, Rule, Scalar
from paraminspect.rules.targets import Other, Target
from paraminspect.text import shape_text, shorten

FLOATING: Final = frozenset(
    {"float64", "float32", "float16", "bfloat16"}
    | {f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")}
)
"""Types whose tensors can be initialised; float8_e8m0fnu, for the scales of blocks, has neither a zero nor a sign."""

FREE_PRODUCTS: Final = 1 << 40
MOST_PRODUCTS: Final = 1 << 14
"""Multiplications of `orthogonal` for each element of the model, and a minute's beside them: no published layer is wider."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One tensor and what is done to it.

    Attributes:
        rule: The one that won; None where none matches.
        number: Of the rule, from 1; None where none matches.
        resolved: Its numbers; None where none matches, and for `keep`.
        note: Remarks, with "; " between them.
    """

    target: Target
    rule: Rule | None = None
    number: int | None = None
    resolved: Resolved | None = None
    note: str = ""

    @property
    def initializer(self) -> Initializer | None:
        """What changes the values; None where they stay as they are."""
        return self.rule.initializer if self.rule is not None and self.resolved is not None else None

    @property
    def needs_values(self) -> bool:
        """Whether it starts from values that are there: it keeps or edits them, or may do so."""
        return self.initializer is None or self.initializer.kind in ("edit", "function")

    def record(self) -> InitStep:
        """The same for the report, without statistics."""
        resolved = self.resolved
        arguments: dict[str, Scalar] = {}
        if resolved is not None:
            arguments = {**resolved.arguments, **resolved.derived}
            if resolved.chunks != 1:
                arguments["chunks"] = resolved.chunks
        fans = resolved.fans if resolved is not None else count_fans(self.target.shape)
        return InitStep(
            self.target.name,
            self.target.shape,
            self.number,
            self.rule.initializer.name if self.rule is not None else "",
            arguments,
            fans.fan_in if fans is not None else None,
            fans.fan_out if fans is not None else None,
            note=self.note,
        )


@dataclass(frozen=True, slots=True)
class InitPlan:
    """What initialisation will do.

    Attributes:
        rules: In order; the number of a rule is its place here, from 1.
        steps: One a tensor, in the order of the model; those that no rule matches are among them.
        unmatched: Numbers of the rules that match no tensor, with the reason where one is plain.
        shadowed: Numbers of the rules that match tensors and win none of them.
    """

    rules: tuple[Rule, ...]
    steps: tuple[PlannedStep, ...]
    unmatched: Mapping[int, str]
    shadowed: tuple[int, ...]

    @property
    def kept(self) -> list[PlannedStep]:
        """Steps that no rule matches."""
        return [step for step in self.steps if step.rule is None]

    def complaints(self) -> list[str]:
        """A remark on each rule that matches nothing."""
        return [
            f"rule {number} ({shorten(self.rules[number - 1].text)}) matches no parameter"
            + (f": {reason}" if reason else "")
            for number, reason in self.unmatched.items()
        ]

    @property
    def records(self) -> list[InitStep]:
        """Of the steps that a rule matches, without statistics."""
        return [step.record() for step in self.steps if step.rule is not None]


def plan_rules(targets: Sequence[Target], rules: Sequence[Rule], others: Sequence[Other] = ()) -> InitPlan:
    """Decide for each tensor which rule wins, and its numbers.

    Args:
        targets: In the order of the model; each tensor once.
        rules: In the order in which they apply.
        others: Tensors that no rule can mean, such as buffers: for what is said of a rule that matches nothing else.

    Raises:
        RuleError: A rule that cannot be applied to a tensor that it wins.
        LimitExceededError: Orthogonal matrices of a hundred thousand rows and columns.
    """
    matched, won = set[int](), set[int]()
    steps = []
    for target in targets:
        numbers = [number for number, rule in enumerate(rules, 1) if target.is_meant(rule)]
        matched.update(numbers)
        if not numbers:
            steps.append(PlannedStep(target, note=alias_note(target, rules, None)))
            continue
        won.add(numbers[-1])
        steps.append(_plan_step(target, rules, numbers[-1]))
    _check_products(steps)
    unmatched = {
        number: why_unmatched(rule, targets, others) for number, rule in enumerate(rules, 1) if number not in matched
    }
    return InitPlan(tuple(rules), tuple(steps), unmatched, tuple(sorted(matched - won)))


def _check_products(steps: Sequence[PlannedStep]) -> None:
    """Making a matrix orthogonal takes as many multiplications for each element as it has rows or columns."""
    limit = FREE_PRODUCTS + MOST_PRODUCTS * sum(math.prod(step.target.shape) for step in steps)
    products = 0
    for step in steps:
        if step.initializer is not None and step.initializer.name == "orthogonal":
            numel = math.prod(step.target.shape)
            products += numel * min(step.target.shape[0], numel // max(1, step.target.shape[0]))
    if products > limit:
        raise LimitExceededError("multiplications of orthogonal", limit=limit, actual=products)


def _plan_step(target: Target, rules: Sequence[Rule], number: int) -> PlannedStep:
    rule = rules[number - 1]
    initializer = rule.initializer
    notes = [alias_note(target, rules, number)]
    if initializer.kind == "keep":
        return PlannedStep(target, rule, number, None, "; ".join(filter(None, notes)))
    try:
        _check_target(target, rule)
        resolved = resolve(rule, target.shape)
    except RuleError as error:
        raise with_tensor(error, target, number) from None
    notes += [remark(target, rule, resolved) for remark in REMARKS]
    return PlannedStep(target, rule, number, resolved, "; ".join(filter(None, notes)))


def with_tensor(error: RuleError, target: Target, number: int | None) -> RuleError:
    """The same error, saying on which tensor and in which rule."""
    shape = shape_text(target.shape)
    error.message = f"rule {number} on {target.name or 'the tensor'} {shape}: {error.message}"
    error.args = (error.message,)
    return error


def _check_target(target: Target, rule: Rule) -> None:
    hint = f"leave it out with a later rule: '{quote_name(target.name)}=keep'"
    if target.problem:
        raise rule_error(rule.text, rule.origin, f"it is {target.problem}", hint=hint, at=0)
    if target.dtype not in FLOATING:
        raise rule_error(
            rule.text, rule.origin, f"it is of {target.dtype}; rules work on floating-point tensors", hint=hint, at=0
        )
    dimensions = rule.initializer.dimensions
    if dimensions is not None and not dimensions[0] <= len(target.shape) <= dimensions[1]:
        least, most = dimensions
        what = f"{least}" if least == most else f"{least} or more" if most > 5 else f"{least} to {most}"
        raise rule_error(
            rule.text, rule.origin,
            f"{rule.initializer.name} takes a tensor of {what} dimensions; it has {len(target.shape)}",
            hint=hint if len(target.shape) > 1 else f"give it a rule of its own behind this one: '{quote_name(target.name)}=zeros'",
        )  # fmt: skip
