"""Nodes -> how the inputs and the target are made, and what the loss is."""

from __future__ import annotations

import math
from typing import Final, cast

from paraminspect.architecture.expressions import MAX_INTEGER
from paraminspect.architecture.fields import parse_name, refuse_unknown_keys
from paraminspect.architecture.loss import LOSSES, WITH_TARGET, LossText, read_loss
from paraminspect.architecture.model import Distribution, Loss, TensorInput
from paraminspect.architecture.nodes import ListNode, MapNode, Mark, Node, Scalar, describe
from paraminspect.architecture.plan import INPUT
from paraminspect.architecture.values import Scope
from paraminspect.errors import ParamInspectError
from paraminspect.names.suggestions import closest, suggest
from paraminspect.text import shorten

MAX_DIMENSIONS: Final = 64
"""Of one tensor, as torch has it."""

MAX_INPUT_NUMEL: Final = 1 << 30
"""Elements of one input, which is drawn before the model runs."""

INPUT_KEYS = {
    "shape": "Sizes, the batch first: [2, 4].",
    "dtype": "torch's name: float32, int64, ...",
    "dist": "Distribution of the elements: uniform (from low to high) or normal (mean 0, deviation 1).",
    "low": "Lower end of the uniform distribution; 0 if left out.",
    "high": "Its upper end, excluded; 1 if left out, to be given for an integer dtype.",
    "fill": "One value for all elements, instead of drawing them.",
    "seed": "Seed of this tensor alone; the run's seed if left out.",
    "file": "A .npy, .safetensors or .pt file in the folder of the spec or below, instead of all the others.",
}
FLOAT_DTYPES = ("float32", "float64", "float16", "bfloat16")
INTEGER_DTYPES = ("int64", "int32", "int16", "int8", "uint8", "bool")
DISTRIBUTIONS = ("uniform", "normal")
INPUT_FILES = (".npy", ".safetensors", ".pt", ".pth")


def parse_inputs(node: Node, scope: Scope) -> tuple[TensorInput, ...]:
    """One input, or several named ones.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if not isinstance(node, MapNode) or any(key.text in INPUT_KEYS for key, _ in node.entries):
        return (parse_tensor(node, INPUT, scope),)
    if not node.entries:
        raise node.mark.error("input is empty", hint="write input: [2, 4]")
    inputs = []
    for key, value in node.entries:
        if not isinstance(value, (ListNode, MapNode)):
            hint = suggest(key.text, list(INPUT_KEYS), most=len(INPUT_KEYS))
            raise key.mark.error(f"unknown key {shorten(key.text)!r} of input", hint=hint)
        inputs.append(parse_tensor(value, parse_name(key, "the name of an input").text, scope))
    return tuple(inputs)


def parse_tensor(node: Node, name: str, scope: Scope) -> TensorInput:
    """A shape, or a mapping of INPUT_KEYS.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if isinstance(node, ListNode):
        return TensorInput(name, node.mark, parse_shape(node, scope, "shape", MAX_INPUT_NUMEL))
    if not isinstance(node, MapNode):
        raise node.mark.error(f"{name} is {describe(node)}; expected a shape or a mapping", hint="write [2, 4]")
    refuse_unknown_keys(node, INPUT_KEYS, name)
    keys = {key.text: (key.mark, value) for key, value in node.entries}
    if "file" in keys:
        _refuse_beside(keys, "file", set(INPUT_KEYS) - {"file"})
        return TensorInput(name, node.mark, dtype=None, file=_file(keys["file"][1]))
    if "shape" not in keys:
        raise node.mark.error(f"{name} without shape", hint="write {shape: [2, 4]} or {file: x.npy}")
    shape = parse_shape(keys["shape"][1], scope, "shape", MAX_INPUT_NUMEL)
    dtype = _choice(node.get("dtype"), "dtype", (*FLOAT_DTYPES, *INTEGER_DTYPES)) or "float32"
    seed_node = node.get("seed")
    seed = None if seed_node is None else scope.integer(seed_node, "seed", 0, MAX_INTEGER)
    if "fill" in keys:
        _refuse_beside(keys, "fill", {"dist", "low", "high", "seed"})
        return TensorInput(name, node.mark, shape, dtype, fill=_number(keys["fill"][1], "fill", scope, dtype))
    dist = _choice(node.get("dist"), "dist", DISTRIBUTIONS) or "uniform"
    if dist == "normal":
        if dtype not in FLOAT_DTYPES:
            raise keys["dist"][0].error(f"dist normal with dtype {dtype}", hint="integers are uniform: low, high")
        _refuse_beside(keys, "dist: normal", {"low", "high"})
        return TensorInput(name, node.mark, shape, dtype, "normal", seed=seed)
    low, high = _range(node, dtype, name, scope)
    return TensorInput(name, node.mark, shape, dtype, cast(Distribution, dist), low, high, seed=seed)


def _range(node: MapNode, dtype: str, name: str, scope: Scope) -> tuple[int | float, int | float]:
    low_node, high_node = node.get("low"), node.get("high")
    if high_node is None and dtype in INTEGER_DTYPES and dtype != "bool":
        raise node.mark.error(f"{name} of dtype {dtype} without high", hint="write high: 10 for the integers 0 to 9")
    low = 0 if low_node is None else _number(low_node, "low", scope, dtype)
    high = (2 if dtype == "bool" else 1) if high_node is None else _number(high_node, "high", scope, dtype)
    if low >= high:
        raise (high_node or low_node or node).mark.error(f"low is {low} and high is {high}; expected low below high")
    return low, high


def _refuse_beside(keys: dict[str, tuple[Mark, Node]], what: str, unwanted: set[str]) -> None:
    for key, (mark, _) in keys.items():
        if key in unwanted:
            raise mark.error(f"{key} beside {what}, which decides it already", hint=f"remove {key}")


def parse_shape(node: Node, scope: Scope, what: str, most: int) -> tuple[int, ...]:
    """Sizes of one tensor of at most `most` elements; [] is a scalar.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value.startswith("$"):
        value = scope.value(node)
        if not isinstance(value, tuple):
            raise node.mark.error(f"{what} is {shorten(repr(value))}; expected a list of sizes")
        return check_shape(value, node.mark, what, most)
    if not isinstance(node, ListNode):
        raise node.mark.error(f"{what} is {describe(node)}; expected a list of sizes", hint=f"write {what}: [2, 4]")
    return check_shape(tuple(scope.integer(item, "a size", 1) for item in node.items), node.mark, what, most)


def check_shape(shape: tuple[object, ...], mark: Mark, what: str, most: int) -> tuple[int, ...]:
    """The shape itself, if torch can take it and it has at most `most` elements.

    Raises:
        SpecError: At `mark`.
    """
    sizes = [size for size in shape if isinstance(size, int) and not isinstance(size, bool) and size > 0]
    if len(sizes) != len(shape):
        raise mark.error(f"{what} is {shorten(str(list(shape)))}; expected integers of at least 1")
    if len(sizes) > MAX_DIMENSIONS:
        raise mark.error(f"{what} has {len(sizes)} dimensions; the limit is {MAX_DIMENSIONS}")
    numel = math.prod(sizes)
    if numel > most:
        found = f"{numel:,}" if numel <= MAX_INTEGER else "too many"
        raise mark.error(f"{what} has {found} elements; the limit is {most:,}")
    return tuple(sizes)


def _number(node: Node, what: str, scope: Scope, dtype: str) -> int | float | bool:
    value = scope.value(node)
    if dtype == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise node.mark.error(f"{what} is {describe(node)}; expected a number")
    if dtype in INTEGER_DTYPES and not isinstance(value, int):
        raise node.mark.error(f"{what} is {value} with dtype {dtype}; expected an integer")
    if abs(value) > MAX_INTEGER and isinstance(value, int):
        raise node.mark.error(f"{what} is past {MAX_INTEGER:,}")
    if what != "fill" and not math.isfinite(value):
        raise node.mark.error(f"{what} is {value}; expected a finite number")
    return value


def _choice(node: Node | None, what: str, choices: tuple[str, ...]) -> str | None:
    if node is None:
        return None
    if isinstance(node, Scalar) and node.text in choices:
        return node.text
    hint = closest(node.text, choices) if isinstance(node, Scalar) else None
    raise node.mark.error(f"{what} is {describe(node)}; expected one of {', '.join(choices)}", hint=hint)


def _file(node: Node) -> str:
    """A relative path that does not leave the spec's folder."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
        raise node.mark.error(f"file is {describe(node)}; expected a path")
    path = node.value
    parts = path.replace("\\", "/").split("/")
    if not path.lower().endswith(INPUT_FILES):
        raise node.mark.error(f"file is {shorten(path)!r}; expected one of {', '.join(INPUT_FILES)}")
    if not parts[0] or ":" in parts[0] or ".." in parts or "\0" in path:
        raise node.mark.error(
            f"file {shorten(path)!r} is outside the folder of the spec",
            hint="name it on the command line: --input FILE",
        )
    return path


def parse_loss(node: Node, scope: Scope) -> Loss:
    """A loss by its name, or {name: how the target is made}.

    Raises:
        SpecError: At the place of what is wrong.
    """
    if not isinstance(node, MapNode):
        text = _loss_text(node, f"loss is {describe(node)}; expected one of {', '.join(LOSSES)}, or output.NAME")
        return Loss(text.word, None, node.mark, text.part)
    if not node.entries:
        raise node.mark.error("loss is an empty mapping", hint="write {target: {shape: [2, 1]}}")
    (key, target), *more = node.entries
    text = _loss_text(key, f"unknown key {shorten(key.text)!r} of loss")
    if more:
        raise more[0][0].mark.error("a second loss; expected one")
    if not text.takes_target:
        raise key.mark.error(f"loss {text} takes no target", hint=f"those that do are {', '.join(WITH_TARGET)}")
    return Loss(text.word, parse_tensor(target, "target", scope), node.mark, text.part)


def _loss_text(node: Node, complaint: str) -> LossText:
    if not isinstance(node, Scalar):
        raise node.mark.error(complaint)
    try:
        return read_loss(node.text)
    except ParamInspectError as error:
        raise node.mark.error(complaint, hint=error.hint) from None
