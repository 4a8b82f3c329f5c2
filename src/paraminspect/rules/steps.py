"""Which tensor gets which rule, decided before any value is drawn.

The last rule that matches a tensor's canonical name wins; each tensor is initialised once. Rules on parts of it that stand
behind that one come after it. What cannot work (fans of a 1-D tensor, a quantised tensor, chunks that do not fit, parts
that overlap) is refused here, with the name, the shape and the rule.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import EllipsisType
from typing import Final

from paraminspect.errors import LimitExceededError, RuleError
from paraminspect.names.selector import quote_name
from paraminspect.outcomes import InitStep
from paraminspect.rules.parse import rule_error
from paraminspect.rules.remarks import REMARKS, alias_note, find_acting, why_unmatched
from paraminspect.rules.resolve import Resolved, count_fans, resolve
from paraminspect.rules.rule import Initializer, Part, Rule, Scalar
from paraminspect.rules.targets import Other, Target
from paraminspect.text import shape_text, shorten
from paraminspect.tuples import NamedTuple

FLOATING: Final = frozenset(
    {"float64", "float32", "float16", "bfloat16"}
    | {f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")}
)
"""Types whose tensors can be initialised; float8_e8m0fnu, for the scales of blocks, has neither a zero nor a sign."""

COMPLEX: Final = frozenset({"complex32", "complex64", "complex128"})
"""The same, by what torch takes of them."""

FREE_PRODUCTS: Final = 1 << 40
MOST_PRODUCTS: Final = 1 << 14
"""Multiplications of `orthogonal` for each element of the model, and a minute's beside them: no published layer is wider."""


Known = dict[tuple[int, tuple[int, ...]], Resolved]
"""The numbers of rules, by the number of the rule and the shape of a tensor: many layers have the same ones."""


class PlannedStep(NamedTuple):
    """One tensor and what is done to it, or to a part of it.

    Attributes:
        rule: The one that won; None where none matches.
        number: Of the rule, from 1; None where none matches.
        resolved: Its numbers; None where none matches, and for `keep`.
        note: Remarks, with "; " between them.
        parts: What is done afterwards to parts of it, in the order of their rows; they do not overlap.
    """

    target: Target
    rule: Rule | None = None
    number: int | None = None
    resolved: Resolved | None = None
    note: str = ""
    parts: tuple[PlannedStep, ...] = ()

    @property
    def initializer(self) -> Initializer | None:
        """What changes the values; None where they stay as they are."""
        return self.rule.initializer if self.rule is not None and self.resolved is not None else None

    @property
    def acts(self) -> tuple[PlannedStep, ...]:
        """What rules do, one after the other: to the whole, then to parts; nothing where none matches."""
        return self.parts if self.rule is None else (self, *self.parts)

    @property
    def draws(self) -> tuple[PlannedStep, ...]:
        """Those of them that change values."""
        return tuple(act for act in self.acts if act.initializer is not None)

    @property
    def needs_values(self) -> bool:
        """Whether it starts from values that are there: it keeps or edits them, or may do so."""
        return self.initializer is None or self.initializer.kind in ("edit", "function")

    @property
    def part(self) -> Part | None:
        """Which part of the tensor it is for; None for all of it."""
        return self.resolved.part if self.resolved is not None else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what it is for."""
        return self.resolved.shape if self.resolved is not None else self.target.shape

    @property
    def rows(self) -> slice | EllipsisType:
        """Where in the tensor it acts, as an index."""
        return ... if self.part is None else self.part.rows(self.target.shape[0])

    def record(self) -> InitStep:
        """What its own rule does, for the report, without statistics."""
        resolved = self.resolved
        arguments: dict[str, Scalar] = {}
        if resolved is not None:
            arguments = {**resolved.arguments, **resolved.derived}
            if resolved.chunks != 1:
                arguments["chunks"] = resolved.chunks
            if resolved.part is not None:
                arguments["part"] = str(resolved.part)
        fans = resolved.fans if resolved is not None else count_fans(self.target.shape)
        return InitStep(
            self.target.name,
            self.shape,
            self.number,
            self.rule.initializer.name if self.rule is not None else "",
            arguments,
            fans.fan_in if fans is not None else None,
            fans.fan_out if fans is not None else None,
            note=self.note,
        )


class InitPlan(NamedTuple):
    """What initialisation will do.

    Attributes:
        rules: In order; the number of a rule is its place here, from 1.
        steps: One a tensor, in the order of the model; those that no rule matches are among them.
        unmatched: Numbers of the rules that match no tensor, with the reason where one is plain.
        shadowed: Numbers of the rules that match tensors and win none of them.
        matched: By the number of a rule, how many tensors it matches.
    """

    rules: tuple[Rule, ...]
    steps: tuple[PlannedStep, ...]
    unmatched: Mapping[int, str]
    shadowed: tuple[int, ...]
    matched: Mapping[int, int] = {}

    @property
    def kept(self) -> list[PlannedStep]:
        """Steps that no rule matches."""
        return [step for step in self.steps if not step.acts]

    @property
    def acts(self) -> list[PlannedStep]:
        """What rules do to one tensor after another, first to the whole of it and then to its parts."""
        return [act for step in self.steps for act in step.acts]

    @property
    def taken(self) -> Mapping[int, int]:
        """By the number of a rule, how many tensors it does something to because no later rule overrules it there."""
        return Counter(act.number for act in self.acts if act.number is not None)

    def complaints(self) -> list[str]:
        """A remark on each rule that matches nothing."""
        return [
            f"rule {number} ({shorten(self.rules[number - 1].text)}) matches no parameter"
            + (f": {reason}" if reason else "")
            for number, reason in self.unmatched.items()
        ]

    @property
    def records(self) -> list[InitStep]:
        """Of what rules do, without statistics; one for a tensor, and one for each part that a rule is for."""
        return [act.record() for act in self.acts]


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
    matched, won = Counter[int](), set[int]()
    known: Known = {}
    steps = []
    for target in targets:
        numbers = [number for number, rule in enumerate(rules, 1) if target.is_meant(rule)]
        matched.update(numbers)
        acting = find_acting(numbers, rules)
        won.update(acting)
        steps.append(_plan_tensor(target, rules, acting, known))
    _check_products(steps)
    unmatched = {
        number: why_unmatched(rule, targets, others) for number, rule in enumerate(rules, 1) if number not in matched
    }
    return InitPlan(tuple(rules), tuple(steps), unmatched, tuple(sorted(matched.keys() - won)), matched)


def _plan_tensor(target: Target, rules: Sequence[Rule], acting: Sequence[int], known: Known) -> PlannedStep:
    """What the rules of these numbers do to a tensor: one to the whole of it at most, before all others."""
    whole = PlannedStep(target)
    parts = []
    for number in acting:
        step = _plan_step(target, rules, number, known)
        if rules[number - 1].part is None:
            whole = step
        else:
            parts.append(step)
    parts.sort(key=_begin)
    for before, after in pairwise(parts):
        _check_apart(before, after)
    note = "; ".join(filter(None, [alias_note(target, rules, acting), whole.note]))
    return whole._replace(note=note, parts=tuple(parts)) if parts or note != whole.note else whole


def _begin(part: PlannedStep) -> int:
    assert isinstance(part.rows, slice)
    return int(part.rows.start)


def _check_apart(before: PlannedStep, after: PlannedStep) -> None:
    """Refuse two parts that have rows in common.

    Raises:
        RuleError: At the part of the later rule; names the other one and its place.
    """
    assert isinstance(before.rows, slice)
    if _begin(after) >= before.rows.stop:
        return
    first, last = sorted((before, after), key=lambda step: step.number or 0)
    assert first.rule is not None
    assert last.rule is not None
    assert first.rule.part is not None
    assert last.rule.part is not None
    place = first.rule.origin.place(first.rule.part.whole.column)
    message = f"part={last.part} overlaps part={first.part} of rule {first.number}" + (f" ({place})" if place else "")
    hint = "parts share no rows; a rule without part= goes before them"
    at = last.rule.part.whole.column
    raise with_tensor(rule_error(last.rule.text, last.rule.origin, message, hint=hint, at=at), last.target, last.number)


def _check_products(steps: Sequence[PlannedStep]) -> None:
    """Making a matrix orthogonal takes as many multiplications for each element as it has rows or columns."""
    limit = FREE_PRODUCTS + MOST_PRODUCTS * sum(math.prod(step.target.shape) for step in steps)
    products = 0
    for step in (draw for each in steps for draw in each.draws):
        if step.initializer is not None and step.initializer.name == "orthogonal":
            numel = math.prod(step.shape)
            products += numel * min(step.shape[0], numel // max(1, step.shape[0]))
    if products > limit:
        raise LimitExceededError("multiplications of orthogonal", limit=limit, actual=products)


def _plan_step(target: Target, rules: Sequence[Rule], number: int, known: Known) -> PlannedStep:
    rule = rules[number - 1]
    if rule.initializer.kind == "keep":
        return PlannedStep(target, rule, number)
    try:
        _check_target(target, rule)
        resolved = known.get((number, target.shape))
        if resolved is None:
            resolved = known[number, target.shape] = resolve(rule, target.shape)
    except RuleError as error:
        raise with_tensor(error, target, number) from None
    notes = [remark(target, rule, resolved) for remark in REMARKS]
    return PlannedStep(target, rule, number, resolved, "; ".join(filter(None, notes)))


def with_tensor(error: RuleError, target: Target, number: int | None) -> RuleError:
    """The same error, saying on which tensor and in which rule."""
    shape = shape_text(target.shape)
    error.message = f"rule {number} on {target.name or 'the tensor'} {shape}: {error.message}"
    error.args = (error.message,)
    return error


def _check_target(target: Target, rule: Rule) -> None:
    least, most = rule.initializer.dimensions or (0, len(target.shape))
    if not target.problem and target.dtype in FLOATING and least <= len(target.shape) <= most:
        return
    hint = f"leave it out with a later rule: '{quote_name(target.name)}=keep'"
    if target.problem:
        raise rule_error(rule.text, rule.origin, f"it is {target.problem}", hint=hint, at=0)
    if target.dtype in COMPLEX and not rule.initializer.takes_complex:
        message = f"it is of {target.dtype}, and torch's {rule.initializer.name} takes no complex numbers"
        raise rule_error(rule.text, rule.origin, message, hint=hint, at=0)
    if target.dtype not in FLOATING and target.dtype not in COMPLEX:
        raise rule_error(
            rule.text, rule.origin, f"it is of {target.dtype}; rules work on floating-point tensors", hint=hint, at=0
        )
    if not least <= len(target.shape) <= most:
        what = f"{least}" if least == most else f"{least} or more" if most > 5 else f"{least} to {most}"
        raise rule_error(
            rule.text, rule.origin,
            f"{rule.initializer.name} takes a tensor of {what} dimensions; it has {len(target.shape)}",
            hint=hint if len(target.shape) > 1 else f"give it a rule of its own behind this one: '{quote_name(target.name)}=zeros'",
        )  # fmt: skip
