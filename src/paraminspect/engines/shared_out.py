"""Work of known sizes, shared out once and for all: what ranks do, who cannot take the next task when they are free."""

from __future__ import annotations

from collections.abc import Sequence


def share_out(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Places of so many lots of about one sum, each in ascending order: the largest first to whom has least."""
    lots: list[list[int]] = [[] for _ in range(workers)]
    sums = [0] * workers
    for place in sorted(range(len(sizes)), key=lambda place: -sizes[place]):
        least = sums.index(min(sums))
        lots[least].append(place)
        sums[least] += sizes[place] + 1
    return [sorted(lot) for lot in lots if lot]
