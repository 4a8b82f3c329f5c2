"""The table of what rules may name: all of torch.nn.init, the edits, and `keep`.

Source:
    Signatures and defaults of torch.nn.init of torch 2.13; `tests/rules/test_initializers.py` holds the table against
    the functions themselves. Gains after `torch.nn.init.calculate_gain`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from paraminspect.names.suggestions import closest
from paraminspect.rules.rule import Bound, Fans, Initializer, Parameter, Scalar, format_value

MODES: Final = ("fan_in", "fan_out")

GAINS: Final[Mapping[str, float]] = {
    "linear": 1.0,
    **{f"conv{transpose}{n}d": 1.0 for transpose in ("", "_transpose") for n in (1, 2, 3)},
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "leaky_relu": math.sqrt(2 / (1 + 0.01**2)),
    "selu": 3 / 4,
}
"""Nonlinearities that torch knows a gain for; of leaky_relu that of its default slope, 0.01."""

WITHOUT_GAIN: Final = frozenset({"gelu", "silu", "swish", "mish", "elu", "celu", "softplus", "hardswish", "glu"})
"""Nonlinearities for which it knows none: none with a similar name is meant."""

BEYOND: Final = 5
"""Standard deviations past which a cut-off leaves a normal distribution as it is."""

MAX_DRAWS: Final = 100
"""How often torch may have to draw a value of a truncated normal distribution until one lies inside, on average: it
draws the whole tensor anew as long as one value does not."""


def _not_negative(name: str) -> Bound:
    return Bound(name, lambda given: _number(given, name) >= 0, "0 or more")


def _above(high: str, low: str) -> Bound:
    return Bound(high, lambda given: _number(given, high) >= _number(given, low), f"{low} or more")


def _number(arguments: Mapping[str, Scalar], name: str) -> float:
    value = arguments[name]
    assert not isinstance(value, str)
    return float(value)


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


def _of_cut(arguments: Mapping[str, Scalar]) -> tuple[float, float, float, float]:
    mean, std, a, b = (_number(arguments, name) for name in ("mean", "std", "a", "b"))
    return mean, std, a, b


def _remark_on_cut(arguments: Mapping[str, Scalar]) -> str:
    mean, std, a, b = _of_cut(arguments)
    if not a - 2 * std <= mean <= b + 2 * std:
        return f"mean={format_value(mean)} is more than 2 std from a={format_value(a)} to b={format_value(b)}"
    if min(mean - a, b - mean) < BEYOND * std:
        return ""
    return f"a={format_value(a)} and b={format_value(b)} cut nothing off at std={format_value(std)}"


def _kaiming_std(fans: Fans, arguments: Mapping[str, Scalar]) -> float:
    nonlinearity = str(arguments["nonlinearity"])
    gain = GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        gain = math.sqrt(2 / (1 + _number(arguments, "a") ** 2))
    return gain / math.sqrt(fans.fan_in if arguments["mode"] == "fan_in" else fans.fan_out)


def _xavier_std(fans: Fans, arguments: Mapping[str, Scalar]) -> float:
    return _number(arguments, "gain") * math.sqrt(2 / (fans.fan_in + fans.fan_out))


def _from_fans(
    name: str, summary: str, parameters: tuple[Parameter, ...], std: Callable[[Fans, Mapping[str, Scalar]], float]
) -> Initializer:
    """A normal distribution of that standard deviation, or a uniform one."""

    def derive(fans: Fans, given: Mapping[str, Scalar]) -> Mapping[str, float]:
        return {"bound": math.sqrt(3) * std(fans, given)} if name.endswith("uniform") else {"std": std(fans, given)}

    return Initializer(
        name, summary, parameters, random=True, dimensions=_MATRIX, derive=derive, by_element=True, by_matrix=True
    )


def _required(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, required=True) for name in names)


_GAIN = (Parameter("gain", "gain", 1.0),)
_KAIMING = (
    Parameter("a", "number", 0.0),
    Parameter("mode", "mode", "fan_in"),
    Parameter("nonlinearity", "nonlinearity", "leaky_relu"),
)
_NORMAL = (Parameter("mean", "number", 0.0), Parameter("std", "number", 1.0))
_UNIFORM = (Parameter("a", "number", 0.0), Parameter("b", "number", 1.0))
_CUT = (Parameter("a", "number", -2.0), Parameter("b", "number", 2.0))
_CUT_BOUNDS = (
    Bound("std", lambda given: _number(given, "std") > 0, "more than 0"),
    Bound("b", lambda given: _number(given, "b") > _number(given, "a"), "more than a"),
    Bound(
        "mean",
        lambda given: _count_draws(*_of_cut(given)) <= MAX_DRAWS,
        f"one nearer to a and b: torch would draw each value over {MAX_DRAWS} times",
    ),
)
_SPARSE = (Parameter("sparsity", required=True), Parameter("std", "number", 0.01))
_SHARE = Bound("sparsity", lambda given: 0 <= _number(given, "sparsity") <= 1, "0 to 1")
_MATRIX: Final = (2, 64)

KEEP: Final = Initializer("keep", "leaves the tensor as it is", kind="keep")

INITIALIZERS: Final[Mapping[str, Initializer]] = {
    each.name: each
    for each in (
        Initializer("uniform", "uniform from a to b", _UNIFORM, random=True, by_element=True, bounds=(_above("b", "a"),)),
        Initializer("normal", "normal", _NORMAL, random=True, by_element=True, bounds=(_not_negative("std"),)),
        Initializer(
            "trunc_normal", "normal, inside of a to b (absolute values)", (*_NORMAL, *_CUT),
            random=True, by_element=True, bounds=_CUT_BOUNDS, remark=_remark_on_cut, takes_complex=False,
        ),
        Initializer("constant", "val everywhere", _required("val"), by_element=True),
        Initializer("ones", "1 everywhere", by_element=True),
        Initializer("zeros", "0 everywhere", by_element=True),
        Initializer("eye", "identity matrix (2-D)", dimensions=(2, 2)),
        Initializer("dirac", "identity convolution (3-D to 5-D)", (Parameter("groups", "integer", 1),), dimensions=(3, 5)),
        _from_fans("xavier_uniform", "bound gain * sqrt(6 / (fan_in + fan_out))", _GAIN, _xavier_std),
        _from_fans("xavier_normal", "std gain * sqrt(2 / (fan_in + fan_out))", _GAIN, _xavier_std),
        _from_fans("kaiming_uniform", "bound gain * sqrt(3 / fan of mode)", _KAIMING, _kaiming_std),
        _from_fans("kaiming_normal", "std gain / sqrt(fan of mode)", _KAIMING, _kaiming_std),
        Initializer(
            "orthogonal", "orthonormal rows or columns, times gain", _GAIN,
            random=True, dimensions=_MATRIX, by_matrix=True, copies=3, takes_complex=False,
        ),
        Initializer(
            "sparse", "normal, a share of zeros a column (2-D)", _SPARSE,
            random=True, dimensions=(2, 2), bounds=(_SHARE, _not_negative("std")), global_generator=True,
        ),
        Initializer("add", "adds x to what is there", _required("x"), kind="edit"),
        Initializer("mul", "multiplies what is there by x", _required("x"), kind="edit"),
        Initializer(
            "clamp", "moves what is there into a to b", _required("a", "b"),
            kind="edit", bounds=(_above("b", "a"),), takes_complex=False,
        ),
        KEEP,
    )
}  # fmt: skip
"""By name; with an underscore behind it, the function of torch.nn.init or, of an edit, the method of a tensor."""

CHUNKS: Final = Parameter("chunks", "integer", 1)
"""What every rule but `keep` takes besides: equal parts of the first dimension, each with fans of its own."""

PART: Final = Parameter("part", "integer")
"""The same: which of so many equal parts of the first dimension it is for, 0/4 to 3/4; the others are left as they are."""

BESIDES: Final = (CHUNKS, PART)


def find_initializer(name: str, own: Mapping[str, Initializer]) -> Initializer | None:
    """The initializer of that name, with or without torch's underscore; the user's own ones go first."""
    for known in (own, INITIALIZERS):
        for each in (name, name.removesuffix("_")):
            if each in known:
                return known[each]
    return None


def suggest_gain(word: str, others: Iterable[str] = ()) -> str:
    """What to write for a nonlinearity that torch knows no gain for.

    Args:
        others: Further names that may have been meant.
    """
    near = None if word.lower() in WITHOUT_GAIN else closest(word, [*GAINS, *others])
    return near or f"torch has gains for {', '.join(each for each in GAINS if 'conv' not in each)}"
