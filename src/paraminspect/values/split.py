"""The numbers of a tensor whose elements ranks have shared out among them: a stretch of each rank's row, one behind another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from paraminspect.errors import CheckpointError
from paraminspect.formats.tiling import Box
from paraminspect.records import Split, Stretch, TensorRecord
from paraminspect.values.boxes import Boxes
from paraminspect.values.decode import Dense, Element, Numbers
from paraminspect.values.stored_bytes import FileBytes, Files


def open_split(record: TensorRecord, split: Split, element: np.dtype[Any], files: Files) -> Numbers:
    """What reads them.

    Raises:
        CheckpointError: The stretches hold fewer than the shape needs.
    """
    boxes: list[Box] = []
    there: list[Stretch] = []
    at = 0
    for stretch in stretches(split):
        count = min(stretch.nbytes // element.itemsize, record.numel - at)
        if count > 0:
            boxes.append(((at,), (count,)))
            there.append(stretch)
            at += count
    if at < record.numel:
        raise CheckpointError(f"its ranks hold {at:,} of {record.numel:,} elements")

    def open_part(number: int) -> Numbers:
        stretch = there[number]
        source = FileBytes(files.blob(stretch.path), stretch.begin, stretch.nbytes)
        return Dense(source, 0, boxes[number][1][0], Element(element))

    return Boxes((record.numel,), boxes, open_part, element)


def stretches(split: Split) -> Iterator[Stretch]:
    """Where the bytes are, in their order; what stands behind the last element is padding."""
    for row in split.rows:
        begin, left = split.offset, split.nbytes
        for path, start, nbytes in row:
            if begin < nbytes and left > 0:
                taken = min(nbytes - begin, left)
                yield Stretch(path, start + begin, taken)
                left -= taken
            begin = max(0, begin - nbytes)
