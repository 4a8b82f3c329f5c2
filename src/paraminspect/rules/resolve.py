"""The numbers of one rule for one tensor: expressions evaluated, fans counted, what follows from them.

Source:
    Fans and bounds after torch.nn.init of torch 2.13 (`_calculate_fan_in_and_fan_out`, `xavier_uniform_`, ...), which
    takes the first dimension for outputs whatever the module: those of a transposed convolution are swapped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from paraminspect.architecture.expressions import evaluate, names_in
from paraminspect.errors import RuleError, SpecError
from paraminspect.rules.initializers import GAINS, suggest_gain
from paraminspect.rules.parse import rule_error
from paraminspect.rules.rule import Argument, Fans, Part, Rule, Scalar, format_value
from paraminspect.tuples import NamedTuple

FANS: Final = ("fan_in", "fan_out")


class Resolved(NamedTuple):
    """A rule's numbers for one tensor.

    Attributes:
        arguments: By name: what is given to the initializer, in the order of its parameters.
        derived: What follows from the fans: `std` of a normal, `bound` of a uniform distribution.
        chunks: Equal parts of the first dimension; 1 for the whole.
        fans: Of one chunk; None for fewer than two dimensions.
        shape: Of what it is for: the tensor, or a part of it.
        part: Which part; None for the tensor.
    """

    arguments: Mapping[str, Scalar]
    derived: Mapping[str, float]
    chunks: int
    fans: Fans | None
    shape: tuple[int, ...] = ()
    part: Part | None = None


def count_fans(shape: tuple[int, ...], chunks: int = 1) -> Fans | None:
    """Fans of a tensor, or of one of its chunks; None for fewer than two dimensions."""
    if len(shape) < 2:
        return None
    field = math.prod(shape[2:])
    return Fans(shape[1] * field, shape[0] // chunks * field)


def resolve(rule: Rule, shape: tuple[int, ...]) -> Resolved:
    """Evaluate a rule for a tensor of this shape.

    Raises:
        RuleError: An expression without a value, a number that the initializer cannot take, chunks that do not fit.
    """
    return _Resolver(rule, shape).resolve()


class _Resolver:
    def __init__(self, rule: Rule, shape: tuple[int, ...]) -> None:
        self.rule = rule
        self.shape = shape
        # fan_in and fan_out are always the tensor's, whatever variables there are
        self.names: dict[str, object] = {name: it for name, it in (rule.variables or {}).items() if name not in FANS}

    def resolve(self) -> Resolved:
        part = self._part()
        if part is not None:
            self.shape = (self.shape[0] // part.of, *self.shape[1:])
        chunks = self._chunks()
        fans = count_fans(self.shape, chunks)
        if fans is not None:
            self.names.update(fans._asdict())
        written = {each.parameter.name: each for each in self.rule.arguments}
        arguments: dict[str, Scalar] = {}
        for parameter in self.rule.initializer.parameters:
            if parameter.name in written:
                arguments[parameter.name] = self._value(written[parameter.name])
            elif parameter.default is not None and parameter.kind != "any":
                arguments[parameter.name] = parameter.default
        self._check(arguments, written, chunks)
        derive = self.rule.initializer.derive
        derived = derive(fans, arguments) if derive is not None and fans is not None and min(fans) > 0 else {}
        return Resolved(arguments, derived, chunks, fans, self.shape, part)

    def _part(self) -> Part | None:
        written = self.rule.part
        if written is None:
            return None
        which, of = self._whole(written.which), self._whole(written.of)
        if of < 1:
            raise self._error(f"part is one of {of}; expected 1 or more", written.of)
        if not 0 <= which < of:
            raise self._error(f"part is {which}/{of}; expected 0/{of} to {of - 1}/{of}", written.which)
        if not self.shape:
            raise self._error("a part of a scalar", written.whole)
        if self.shape[0] % of:
            raise self._error(f"{self.shape[0]:,} rows cannot be cut into {of} equal parts", written.whole)
        return Part(which, of)

    def _whole(self, written: Argument) -> int:
        """An integer that is known before the fans are."""
        if names_in(written.text).intersection(FANS):
            what = written.parameter.name
            each = what.removesuffix("s")
            raise self._error(f"{what} cannot follow from fans, of which each {each} has its own", written)
        return int(self._value(written))

    def _chunks(self) -> int:
        written = self.rule.chunks
        if written is None:
            return 1
        chunks = self._whole(written)
        if chunks < 1:
            raise self._error(f"chunks is {chunks}; expected 1 or more", written)
        if not self.shape:
            raise self._error("chunks of a scalar", written)
        if self.shape[0] % chunks:
            raise self._error(f"{self.shape[0]:,} rows cannot be cut into {chunks} equal chunks", written)
        return chunks

    def _value(self, argument: Argument) -> Scalar:
        if argument.word is not None:
            return argument.word
        kind, text = argument.parameter.kind, argument.text
        if kind in ("gain", "any") and text.isidentifier() and text not in self.names and text not in FANS:
            if kind == "any":
                return text
            if text in GAINS:
                return GAINS[text]
            raise self._error(f"gain of the unknown nonlinearity {text}", argument, suggest_gain(text, self.names))
        missing = [fan for fan in FANS if fan in names_in(text) and fan not in self.names]
        if missing:
            raise self._error(f"a tensor of {len(self.shape)} dimensions has no {missing[0]}", argument)
        try:
            value = evaluate(text, self.names)
        except SpecError as error:
            raise self._error(error.message, argument, error.hint) from None
        if kind == "integer" and not isinstance(value, int):
            raise self._error(f"{argument.parameter.name} is {value}; expected an integer", argument)
        return value if kind in ("integer", "any") else float(value)

    def _check(self, arguments: Mapping[str, Scalar], written: Mapping[str, Argument], chunks: int) -> None:
        for name, is_met, expected in self.rule.initializer.bounds:
            if not is_met(arguments):
                raise self._error(f"{name} is {format_value(arguments[name])}; expected {expected}", written.get(name))
        if "groups" in arguments and self.rule.initializer.kind != "function":
            groups = arguments["groups"]
            rows = self.shape[0] // chunks
            if not isinstance(groups, int) or groups < 1 or rows % groups:
                raise self._error(f"groups is {groups}, which does not divide {rows:,} rows", written.get("groups"))

    def _error(self, message: str, argument: Argument | None, hint: str | None = None) -> RuleError:
        at = argument.column if argument is not None else None
        return rule_error(self.rule.text, self.rule.origin, message, hint=hint, at=at)
