"""The table of what rules may name: all of torch.nn.init, the edits, and `keep`.

Source:
    Signatures and defaults of torch.nn.init of torch 2.13; `tests/rules/test_initializers.py` holds the table against
    the functions themselves. Gains after `torch.nn.init.calculate_gain`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

from paraminspect.architecture.suggestions import closest
from paraminspect.rules.rule import Initializer, Parameter

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

_GAIN = Parameter("gain", "gain", 1.0)
_KAIMING = (
    Parameter("a", "number", 0.0),
    Parameter("mode", "mode", "fan_in"),
    Parameter("nonlinearity", "nonlinearity", "leaky_relu"),
)
_NORMAL = (Parameter("mean", "number", 0.0), Parameter("std", "number", 1.0))
_MATRIX: Final = (2, 64)

KEEP: Final = Initializer("keep", "leaves the tensor as it is", kind="keep")

INITIALIZERS: Final[Mapping[str, Initializer]] = {
    each.name: each
    for each in (
        Initializer(
            "uniform",
            "uniform from a to b",
            (Parameter("a", "number", 0.0), Parameter("b", "number", 1.0)),
            random=True,
        ),
        Initializer("normal", "normal", _NORMAL, random=True),
        Initializer(
            "trunc_normal",
            "normal, inside of a to b (absolute values)",
            (*_NORMAL, Parameter("a", "number", -2.0), Parameter("b", "number", 2.0)),
            random=True,
        ),
        Initializer("constant", "val everywhere", (Parameter("val", required=True),)),
        Initializer("ones", "1 everywhere"),
        Initializer("zeros", "0 everywhere"),
        Initializer("eye", "identity matrix (2-D)", dimensions=(2, 2)),
        Initializer(
            "dirac",
            "identity convolution (3-D to 5-D)",
            (Parameter("groups", "integer", 1),),
            dimensions=(3, 5),
        ),
        Initializer(
            "xavier_uniform",
            "bound gain * sqrt(6 / (fan_in + fan_out))",
            (_GAIN,),
            random=True,
            dimensions=_MATRIX,
            needs_fans=True,
        ),
        Initializer(
            "xavier_normal",
            "std gain * sqrt(2 / (fan_in + fan_out))",
            (_GAIN,),
            random=True,
            dimensions=_MATRIX,
            needs_fans=True,
        ),
        Initializer(
            "kaiming_uniform",
            "bound gain * sqrt(3 / fan of mode)",
            _KAIMING,
            random=True,
            dimensions=_MATRIX,
            needs_fans=True,
        ),
        Initializer(
            "kaiming_normal",
            "std gain / sqrt(fan of mode)",
            _KAIMING,
            random=True,
            dimensions=_MATRIX,
            needs_fans=True,
        ),
        Initializer(
            "orthogonal",
            "orthonormal rows or columns, times gain",
            (_GAIN,),
            random=True,
            dimensions=_MATRIX,
        ),
        Initializer(
            "sparse",
            "normal, a share of zeros a column (2-D)",
            (Parameter("sparsity", required=True), Parameter("std", "number", 0.01)),
            random=True,
            dimensions=(2, 2),
        ),
        Initializer("add", "adds x to what is there", (Parameter("x", required=True),), kind="edit"),
        Initializer("mul", "multiplies what is there by x", (Parameter("x", required=True),), kind="edit"),
        Initializer(
            "clamp",
            "moves what is there into a to b",
            (Parameter("a", required=True), Parameter("b", required=True)),
            kind="edit",
        ),
        KEEP,
    )
}
"""By name."""

CHUNKS: Final = Parameter("chunks", "integer", 1)
"""What every rule but `keep` takes besides: equal parts of the first dimension, each with fans of its own."""


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
        word: As it was written.
        others: Further names that may have been meant.
    """
    near = None if word.lower() in WITHOUT_GAIN else closest(word, [*GAINS, *others])
    return near or f"torch has gains for {', '.join(each for each in GAINS if 'conv' not in each)}"
