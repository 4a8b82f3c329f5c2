"""What a narrower type could not hold, told once it has been written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.conversion.plan import Item
from paraminspect.text import counted, quote

LARGEST: Final = {"float8_e4m3fn": "448, its largest number"}
"""What numbers become that are too large; of the other types an infinity."""


def describe_lost(items: Sequence[Item], lost: Mapping[str, tuple[int, int]]) -> list[str]:
    """Remarks, one for each type and kind of loss.

    Args:
        items: What was written.
        lost: By name: how many numbers were too large for their type, and how many too small.
    """
    dtypes = {item.out.name: item.out.dtype for item in items}
    notes = []
    for dtype in dict.fromkeys(dtypes[name] for name in lost):
        ours = {name: counts for name, counts in lost.items() if dtypes[name] == dtype}
        for place, size, instead in ((0, "large", LARGEST.get(dtype, "infinite")), (1, "small", "0")):
            names = [name for name, counts in ours.items() if counts[place]]
            if names:
                count = counted(sum(ours[name][place] for name in names), "number")
                where = (
                    f"of {quote(names[0])}"
                    if len(names) == 1
                    else f"of {len(names):,} tensors, first {quote(names[0])},"
                )
                was = "was" if count == "1 number" else "were"
                notes.append(f"{count} {where} {was} too {size} for {dtype} and became {instead}")
    return notes
