"""Holds the table of torch's layers against the torch that is installed: `python -m scripts.check_layers [CALLS]`.

Every class of torch.nn must be in the table or left to torch; its base classes must be those that the table says; and for
CALLS random calls of each class that the table admits, names, shapes, types and the printed arguments must be torch's, without
a warning. Exit status 1 if anything differs.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from torch import nn

from paraminspect.architecture.layer_facts import LayerFacts, layer_facts
from paraminspect.architecture.layer_rows import DoubtError
from paraminspect.architecture.nodes import Mark
from paraminspect.architecture.plan import ModulePlan
from paraminspect.architecture.torch_layers import LAYERS, LEFT_TO_TORCH
from paraminspect.architecture.torch_version import prints_as_told
from paraminspect.errors import SpecError
from paraminspect.live.build.construct import Construction, construct, constructing, torch_types

VALUES: Final = (
    1, 2, 3, 4, 6, 8, 12, 0, -1, -2, 5, 64, 1 << 31, 1 << 40, True, False, None, 0.0, 0.1, 0.5, 1.0, 2.0, -0.5, 1e-5, 1.5,
    float("inf"), "mean", "sum", "none", "same", "valid", "tanh", "relu", "gelu", "zeros", "circular", "max", "nearest",
    "bilinear", "float32", "bfloat16", "float64", "int64", "complex64", "", (1,), (2, 3), (1, 1), (0, 0), (2, 2, 2), (None, 7),
    (1, 2, 3, 4), (0,), (), (1.5, 2.0), (True, 1), ("a", 1), ((1, 2), 3), (1, 0, 2, 1, 0, 3),
)  # fmt: skip
"""Of arguments: those that fit somewhere, and those that fit nowhere."""

FITTING: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("size", "whole", "sizes", "wholes", "gaps"), (1, 2, 4, 8, 2, 4, 8, 3, 6, 12)),
    **dict.fromkeys(
        ("tuple", "tuple0", "pads", "shape"),
        (1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 1, 2, (2,), (1, 2), (2, 3, 1), (1, 2, 3, 4), (2, 1) * 3),
    ),
    **dict.fromkeys(("float", "share", "above0"), (0.1, 0.5, 1e-5, 0.0)),
    "number": (1, 2.0, 0.1, -1.5),
    "int": (0, 1, -1, 2),
    "ints": ((2, 3), (-1, 4)),
    "flag": (True, False),
    "null": (None,),
    "dtype": ("float32", "float64", "bfloat16", "float16", None),
}
"""Values that the kinds of arguments admit; of a kind that is not here, its words."""

CALLS: Final = 300


def kept_by_torch(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> LayerFacts | str:
    """What torch builds, or what it complains of, a warning included."""
    plan = ModulePlan("module", "layer", name, Mark(1, 1), args, kwargs)
    notes: list[str] = []
    try:
        with constructing(Construction("meta")):
            made: nn.Module = construct(plan, torch_types()[name], notes)
    except SpecError as error:
        return error.message
    return notes[0] if notes else _facts(made)


def _facts(module: nn.Module) -> LayerFacts:
    def held(tensors: Iterator[tuple[str, Any]]) -> tuple[tuple[str, tuple[int, ...], str], ...]:
        return tuple((key, tuple(each.shape), str(each.dtype).removeprefix("torch.")) for key, each in tensors)

    padding = getattr(module, "padding_idx", None)
    assert all(each.requires_grad for each in module.parameters())
    assert not module._non_persistent_buffers_set
    return LayerFacts(
        tuple(f"{each.__module__}.{each.__qualname__}" for each in type(module).__mro__[:-1]),
        module.extra_repr(),
        held(module.named_parameters(recurse=False)),  # type: ignore[arg-type]
        held(module.named_buffers(recurse=False)),  # type: ignore[arg-type]
        tuple((key, _facts(child)) for key, child in module.named_children()),
        padding if isinstance(padding, int) else None,
    )


def random_call(name: str, chance: random.Random, odd: float = 0.07) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a class, some by position and some by name.

    Args:
        odd: Share of those that may fit nowhere.
    """
    words = [word for word in LAYERS[name].takes.split() if word != "..."]
    by_place = words[: words.index("*")] if "*" in words else words
    required = sum("=" not in word and not word.endswith(("?", "null")) for word in by_place)
    count = chance.choice((chance.randint(0, len(by_place)), required))

    def value(word: str) -> Any:
        kinds = word.partition(":")[2].partition("=")[0].removesuffix("?").split("|")
        fitting = [each for kind in kinds for each in FITTING.get(kind, (kind,))]
        return chance.choice(VALUES if chance.random() < odd else fitting)

    args = tuple(map(value, by_place[:count]))
    named = [word for word in words[count:] if word != "*" and (word in by_place[:required] or chance.random() < 0.4)]
    kwargs = {word.partition(":")[0]: value(word) for word in named}
    return args, kwargs | ({"sideways": 1} if chance.random() < odd / 4 else {})


def is_admitted(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the table answers for a call."""
    try:
        layer_facts(name, args, kwargs)
    except DoubtError:
        return False
    return True


def differences(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[str]:
    """What the table says otherwise than torch, of a call that it admits."""
    if not is_admitted(name, args, kwargs):
        return
    told, due = layer_facts(name, args, kwargs), kept_by_torch(name, args, kwargs)
    if not isinstance(due, str) and not prints_as_told():
        told, due = without_text(told), without_text(due)
    if told != due:
        yield f"{name} {args} {dict(kwargs)}\n  table: {told}\n  torch: {due}"


def without_text(facts: LayerFacts) -> LayerFacts:
    """What every torch has alike."""
    return facts._replace(extra="", parts=tuple((name, without_text(part)) for name, part in facts.parts))


def missing() -> list[str]:
    """Classes of torch that the table lacks; of the torch that it was made after, those that torch lacks too."""
    known = LAYERS.keys() | LEFT_TO_TORCH
    return sorted(torch_types().keys() ^ known if prints_as_told() else torch_types().keys() - known)


def main(calls: int) -> int:
    chance = random.Random(0)
    found = [f"{name}: not in both" for name in missing()]
    admitted = 0
    for name in LAYERS:
        for _ in range(calls):
            args, kwargs = random_call(name, chance)
            found += differences(name, args, kwargs)
            admitted += is_admitted(name, args, kwargs)
    total = f"{len(LAYERS)} classes, {calls * len(LAYERS):,} calls, {admitted:,} told without torch, {len(found)} differences"
    sys.stdout.write("\n".join([*found[:20], total, ""]))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS))
