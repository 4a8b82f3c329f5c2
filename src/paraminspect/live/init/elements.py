"""Elements drawn one like the other, in row-major order: which stream each comes from, and how many are drawn together.

Elements are counted over what one rule is for, a tensor or a part of it. Each `BLOCK` of them has a stream of its own, so
that threads and machines can share a large tensor, and is drawn some elements at a time, so that it need not be in memory
as a whole. Both numbers are part of what `SEEDS` says: with others, other values come out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from torch import Tensor, nn

from paraminspect.live.build.seeds import make_generator
from paraminspect.rules.functions import GENERATOR
from paraminspect.rules.steps import PlannedStep

BLOCK: Final = 1 << 28
"""Elements that one stream gives."""

PIECE: Final = 1 << 20
"""Elements that are drawn together; of some distributions torch makes several copies meanwhile."""

LEAST: Final = 16
"""Elements of a last piece: torch draws the last 16 of normal numbers anew where there are not whole sixteens (2.13)."""

Fill = Callable[[Tensor], object]
"""Fills the next elements, which are contiguous."""


def count_blocks(numel: int) -> int:
    """How many blocks so many elements have; one of none."""
    return max(1, -(-numel // BLOCK))


def block_range(number: int, numel: int) -> range:
    """The elements of a block."""
    return range(number * BLOCK, min((number + 1) * BLOCK, numel))


def block_of(element: int) -> int:
    """Which block an element is in."""
    return element // BLOCK


def rows_of_blocks(shape: Sequence[int]) -> list[int]:
    """First rows of parts that are whole rows: each begins with the first row that begins in a block.

    So a part has the elements of a block but for those before that row, and from the next block the rest of its last row.
    [0] where there are no such parts.
    """
    numel = math.prod(shape)
    width = numel // shape[0] if shape and numel else 0
    if not 0 < width <= BLOCK:
        return [0]
    return [row for number in range(count_blocks(numel)) if (row := -(-number * BLOCK // width)) < shape[0]]


def blocks_of_part(shape: Sequence[int], part: int) -> range:
    """The blocks that one of these parts has all of, or all but what stands before its first row."""
    parts, blocks = len(rows_of_blocks(shape)), count_blocks(math.prod(shape))
    return range(part, part + 1 if part + 1 < parts else blocks)


def pieces_of(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Elements from `begin` to `end` cut into what is drawn together: (from, to)."""
    while begin < end:
        stop = end if end - begin < PIECE + LEAST else begin + PIECE
        yield begin, stop
        begin = stop


def fill_tensor(tensor: Tensor, step: PlannedStep, seed: int) -> None:
    """Fill a contiguous tensor, block after block; each of its chunks as if the one before ended there."""
    assert step.resolved is not None
    flat = tensor.view(-1)
    size = len(flat) // step.resolved.chunks
    for number in range(count_blocks(len(flat))):
        block = block_range(number, len(flat))
        fill = filler(step, seed, number)
        cuts = [block.start, *range((block.start // size + 1) * size, block.stop, size), block.stop]
        for begin, end in pairwise(cuts):
            for start, stop in pieces_of(begin, end):
                fill(flat[start:stop])


def filler(step: PlannedStep, seed: int, block: int) -> Fill:
    """What fills the elements of one block, one piece after the other."""
    initializer, resolved = step.initializer, step.resolved
    assert initializer is not None
    assert resolved is not None
    given: dict[str, object] = dict(resolved.arguments)
    name = initializer.name
    if "std" in resolved.derived:
        name, given = "normal", {"mean": 0.0, "std": resolved.derived["std"]}
    elif "bound" in resolved.derived:
        bound = resolved.derived["bound"]
        name, given = "uniform", {"a": -bound, "b": bound}
    if initializer.random:
        stream = " ".join(filter(None, (part_text(step), f"block {block}" if block else "")))
        given[GENERATOR] = make_generator(seed, step.target.name, stream)
    fill = getattr(nn.init, f"{name}_")
    return lambda piece: fill(piece, **given)


def part_text(step: PlannedStep) -> str:
    """What the streams of a part go by behind the tensor's name; "" for the whole."""
    return "" if step.part is None else f"part {step.part}"
