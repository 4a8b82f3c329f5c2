"""Which tensor gets which rule, decided before any value is drawn.

The last rule that matches a tensor's canonical name wins; each tensor is initialised once. What cannot work (fans of a
1-D tensor, a quantised tensor, chunks that do not fit) is refused here, with the name, the shape and the rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from paraminspect.errors import RuleError
from paraminspect.records import InitStep
from paraminspect.rules.initializers import INITIALIZERS
from paraminspect.rules.model import Initializer, Rule, Scalar
from paraminspect.rules.parse import rule_error
from paraminspect.rules.resolve import Resolved, count_fans, format_value, resolve
from paraminspect.spec.suggestions import closest

FLOATING: Final = frozenset(
    {"float64", "float32", "float16", "bfloat16"}
    | {f"float8_{kind}" for kind in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")}
)
"""Types whose tensors can be initialised; float8_e8m0fnu, for the scales of blocks, has neither a zero nor a sign."""

PACKED: Final[Mapping[tuple[str, str], int]] = {
    ("MultiheadAttention", "in_proj_weight"): 3,
    **{(f"{kind}{cell}", f"weight_{way}"): gates for kind, gates in (("LSTM", 4), ("GRU", 3)) for cell in ("", "Cell") for way in ("ih", "hh")},
}  # fmt: skip
"""Class, beginning of the tensor's own name -> matrices it holds one above the other."""

BEYOND: Final = 5
"""Standard deviations past which a cut-off leaves a normal distribution as it is."""


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor that rules can mean.

    Attributes:
        name: Canonical dotted name.
        shape: (d0, ..., dn).
        dtype: torch's name.
        module_types: Dotted class of its module and of those it derives from; empty where that is not known.
        aliases: Its further names.
        padding_idx: Row of an embedding that stays zero; None where there is none.
        problem: Why no rule can change it ("quantised (q4_k)"); "" where one can.
        alias_types: The classes of each alias, as `module_types`; empty where they are those of the tensor itself.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    module_types: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    padding_idx: int | None = None
    problem: str = ""
    alias_types: tuple[tuple[str, ...], ...] = ()

    def is_meant(self, rule: Rule) -> bool:
        """Whether a rule matches it by its canonical name."""
        return rule.selector.matches(self.name, *self.module_types)

    def meant_aliases(self, rule: Rule) -> list[str]:
        """Those of its further names that a rule matches."""
        types = self.alias_types or (self.module_types,) * len(self.aliases)
        pairs = zip(self.aliases, types, strict=True)
        return [alias for alias, classes in pairs if rule.selector.matches(alias, *classes)]


class Other(NamedTuple):
    """A tensor that no rule can mean.

    Attributes:
        name: Dotted.
        what: What it is, in the plural: "buffers".
        module_types: As of `Target`.
    """

    name: str
    what: str
    module_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One tensor and what is done to it.

    Attributes:
        target: The tensor.
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
    """
    matched, won = set[int](), set[int]()
    steps = []
    for target in targets:
        numbers = [number for number, rule in enumerate(rules, 1) if target.is_meant(rule)]
        matched.update(numbers)
        if not numbers:
            steps.append(PlannedStep(target, note=_alias_note(target, rules, None)))
            continue
        won.add(numbers[-1])
        steps.append(_plan_step(target, rules, numbers[-1]))
    unmatched = {
        number: _why_unmatched(rule, targets, others) for number, rule in enumerate(rules, 1) if number not in matched
    }
    return InitPlan(tuple(rules), tuple(steps), unmatched, tuple(sorted(matched - won)))


def _plan_step(target: Target, rules: Sequence[Rule], number: int) -> PlannedStep:
    rule = rules[number - 1]
    initializer = rule.initializer
    notes = [_alias_note(target, rules, number)]
    if initializer.kind == "keep":
        return PlannedStep(target, rule, number, None, "; ".join(filter(None, notes)))
    try:
        _check_target(target, rule)
        resolved = resolve(rule, target.shape)
    except RuleError as error:
        raise with_tensor(error, target, number) from None
    notes += [remark(target, rule, resolved) for remark in _REMARKS]
    return PlannedStep(target, rule, number, resolved, "; ".join(filter(None, notes)))


def with_tensor(error: RuleError, target: Target, number: int | None) -> RuleError:
    """The same error, saying on which tensor and in which rule."""
    shape = f"[{','.join(map(str, target.shape))}]"
    error.message = f"rule {number} on {target.name or 'the tensor'} {shape}: {error.message}"
    error.args = (error.message,)
    return error


def _check_target(target: Target, rule: Rule) -> None:
    hint = f"leave it out with a later rule: '{target.name}=keep'"
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
            hint=hint if len(target.shape) > 1 else f"give it a rule of its own behind this one: '{target.name}=zeros'",
        )  # fmt: skip


def _alias_note(target: Target, rules: Sequence[Rule], number: int | None) -> str:
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


def _cut_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    if rule.initializer.name != "trunc_normal" or rule.initializer.kind != "initializer":
        return ""
    mean, std, a, b = (float(resolved.arguments[name]) for name in ("mean", "std", "a", "b"))
    if not a - 2 * std <= mean <= b + 2 * std:
        return f"mean={format_value(mean)} is more than 2 std from a={format_value(a)} to b={format_value(b)}"
    if min(mean - a, b - mean) < BEYOND * std:
        return ""
    return f"a={format_value(a)} and b={format_value(b)} cut nothing off at std={format_value(std)}"


def _transposed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    is_transposed = any(each.rpartition(".")[2].startswith("ConvTranspose") for each in target.module_types)
    if is_transposed and rule.initializer.needs_fans:
        return "a transposed convolution: torch counts its outputs as fan_in"
    return ""


def _packed_note(target: Target, rule: Rule, resolved: Resolved) -> str:
    is_by_matrix = rule.initializer.needs_fans or rule.initializer is INITIALIZERS["orthogonal"]
    if not is_by_matrix or resolved.chunks != 1:
        return ""
    leaf = target.name.rpartition(".")[2]
    classes = {each.rpartition(".")[2] for each in target.module_types}
    for (cls, beginning), parts in PACKED.items():
        if cls in classes and leaf.startswith(beginning):
            return f"{parts} matrices in one: chunks={parts} initialises each with its own fans"
    return ""


_REMARKS: Final = (_padding_note, _norm_note, _cut_note, _transposed_note, _packed_note)


def _why_unmatched(rule: Rule, targets: Sequence[Target], others: Sequence[Other]) -> str:
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
    """The pattern that was meant, if the last part of one looks misspelt."""
    leaf = pattern.rpartition("*" if "*" in pattern else ".")[2].lstrip(".")
    near = closest(leaf, dict.fromkeys(target.name.rpartition(".")[2] for target in targets)) if leaf else None
    return near or ""
