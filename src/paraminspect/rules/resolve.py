"""The numbers of one rule for one tensor: expressions evaluated, fans counted, what follows from them.

Source:
    Fans and bounds after torch.nn.init of torch 2.13 (`_calculate_fan_in_and_fan_out`, `xavier_uniform_`, ...), which
    takes the first dimension for outputs whatever the module: those of a transposed convolution are swapped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from paraminspect.architecture.expressions import evaluate, names_in
from paraminspect.errors import RuleError, SpecError
from paraminspect.rules.initializers import GAINS, suggest_gain
from paraminspect.rules.parse import rule_error
from paraminspect.rules.rule import Argument, Rule, Scalar

MAX_DRAWS: Final = 100
"""How often torch may have to draw a value of a truncated normal distribution until one lies inside, on average: it
draws the whole tensor anew as long as one value does not."""

FANS: Final = ("fan_in", "fan_out")


class Fans(NamedTuple):
    """Connections into and out of one unit.

    Attributes:
        fan_in: Second dimension times those behind it.
        fan_out: First dimension times those behind the second.
    """

    fan_in: int
    fan_out: int


class Resolved(NamedTuple):
    """A rule's numbers for one tensor.

    Attributes:
        arguments: By name: what is given to the initializer, in the order of its parameters.
        derived: What follows from the fans: `std` of a normal, `bound` of a uniform distribution.
        chunks: Equal parts of the first dimension; 1 for the whole.
        fans: Of one chunk; None for fewer than two dimensions.
    """

    arguments: Mapping[str, Scalar]
    derived: Mapping[str, float]
    chunks: int
    fans: Fans | None


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
        derive = _DERIVED.get(self.rule.initializer.name) if self.rule.initializer.kind == "initializer" else None
        derived = derive(fans, arguments) if derive is not None and fans is not None and min(fans) > 0 else {}
        return Resolved(arguments, derived, chunks, fans)

    def _chunks(self) -> int:
        written = self.rule.chunks
        if written is None:
            return 1
        if names_in(written.text).intersection(FANS):
            raise self._error("chunks cannot follow from fans, of which each chunk has its own", written)
        chunks = self._value(written)
        if isinstance(chunks, str) or chunks < 1:
            raise self._error(f"chunks is {chunks}; expected 1 or more", written)
        if not self.shape:
            raise self._error("chunks of a scalar", written)
        if self.shape[0] % chunks:
            raise self._error(f"{self.shape[0]:,} rows cannot be cut into {chunks} equal chunks", written)
        return int(chunks)

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
        if self.rule.initializer.kind == "function":
            return
        for name, is_good, expected in _BOUNDS.get(self.rule.initializer.name, ()):
            if not is_good(arguments):
                raise self._error(f"{name} is {format_value(arguments[name])}; expected {expected}", written.get(name))
        if self.rule.initializer.name == "dirac":
            groups = arguments["groups"]
            rows = self.shape[0] // chunks
            if not isinstance(groups, int) or groups < 1 or rows % groups:
                raise self._error(f"groups is {groups}, which does not divide {rows:,} rows", written.get("groups"))

    def _error(self, message: str, argument: Argument | None, hint: str | None = None) -> RuleError:
        at = argument.column if argument is not None else None
        return rule_error(self.rule.text, self.rule.origin, message, hint=hint, at=at)


def _number(arguments: Mapping[str, Scalar], name: str) -> float:
    value = arguments[name]
    assert not isinstance(value, str)
    return float(value)


def _not_negative(name: str) -> tuple[str, Callable[[Mapping[str, Scalar]], bool], str]:
    return name, lambda arguments: _number(arguments, name) >= 0, "0 or more"


def _above(high: str, low: str) -> tuple[str, Callable[[Mapping[str, Scalar]], bool], str]:
    return high, lambda arguments: _number(arguments, high) >= _number(arguments, low), f"{low} or more"


def _count_draws(mean: float, std: float, a: float, b: float) -> float:
    """How often torch draws a value of a truncated normal distribution, about.

    Where over 0.3 of the distribution lie inside, it draws from that and keeps what lies there. Else it draws uniformly
    and keeps a value with the probability of its density over the greatest one inside; the area under these
    probabilities is at most half of a normal distribution, and falls as its tail does.
    """
    inside = (math.erf((b - mean) / std / math.sqrt(2)) - math.erf((a - mean) / std / math.sqrt(2))) / 2
    distance = max(a - mean, mean - b) / std
    if inside > 0.3 or distance <= 0:
        return 1 / max(inside, 0.3)
    area = min(b - a, std * min(math.sqrt(math.pi / 2), 1 / distance))
    return (b - a) / area if area else math.inf


_BOUNDS: Final[Mapping[str, tuple[tuple[str, Callable[[Mapping[str, Scalar]], bool], str], ...]]] = {
    "normal": (_not_negative("std"),),
    "trunc_normal": (
        ("std", lambda arguments: _number(arguments, "std") > 0, "more than 0"),
        ("b", lambda arguments: _number(arguments, "b") > _number(arguments, "a"), "more than a"),
        (
            "mean",
            lambda arguments: (
                _count_draws(*(_number(arguments, name) for name in ("mean", "std", "a", "b"))) <= MAX_DRAWS
            ),
            f"one nearer to a and b: torch would draw each value over {MAX_DRAWS} times",
        ),
    ),
    "sparse": (
        ("sparsity", lambda arguments: 0 <= _number(arguments, "sparsity") <= 1, "0 to 1"),
        _not_negative("std"),
    ),
    "uniform": (_above("b", "a"),),
    "clamp": (_above("b", "a"),),
}
"""By initializer: (argument, whether it is good, what is expected)."""


def _kaiming_std(fans: Fans, arguments: Mapping[str, Scalar]) -> float:
    nonlinearity = str(arguments["nonlinearity"])
    gain = GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        gain = math.sqrt(2 / (1 + _number(arguments, "a") ** 2))
    return gain / math.sqrt(fans.fan_in if arguments["mode"] == "fan_in" else fans.fan_out)


def _xavier_std(fans: Fans, arguments: Mapping[str, Scalar]) -> float:
    return _number(arguments, "gain") * math.sqrt(2 / (fans.fan_in + fans.fan_out))


_DERIVED: Final[Mapping[str, Callable[[Fans, Mapping[str, Scalar]], Mapping[str, float]]]] = {
    "xavier_uniform": lambda fans, arguments: {"bound": math.sqrt(3) * _xavier_std(fans, arguments)},
    "xavier_normal": lambda fans, arguments: {"std": _xavier_std(fans, arguments)},
    "kaiming_uniform": lambda fans, arguments: {"bound": math.sqrt(3) * _kaiming_std(fans, arguments)},
    "kaiming_normal": lambda fans, arguments: {"std": _kaiming_std(fans, arguments)},
}


def format_value(value: Scalar) -> str:
    """A resolved argument as people read it: four digits, words and integers as they are."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
