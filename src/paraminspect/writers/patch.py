"""A checkpoint as it is, byte for byte, but for the values of some of its tensors.

Nothing but those values changes: headers, metadata, pickles, other tensors and the padding between them are copied from
the file, whatever its format. In a zip the CRC-32 of a member that changes is corrected too, wherever it stands. Of a
folder the files that belong to the model are written: what holds tensors, the index, configurations and vocabularies.

New values have to fit in the place of the old ones, so they must lie in the file as they are: without gaps, not
compressed, in this machine's byte order. Of a transposed tensor they come in the order of the file.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from paraminspect.errors import CheckpointError, SourceError, TruncatedError
from paraminspect.files.door import look
from paraminspect.files.paths import folder_of, relative, shown
from paraminspect.files.reasons import reason_of
from paraminspect.formats.companions import find_companions
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.folders import find_index
from paraminspect.formats.shapes import is_dense
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.text import quote
from paraminspect.tuples import NamedTuple
from paraminspect.writers.layout import Checksum, Copy, FileLayout, Layout, Piece, Slot
from paraminspect.writers.zip_checksums import CRC_BYTES, Changed, find_checksums

_NEW_FILE: Final = "-o FILE.safetensors writes all tensors into a new file"


def plan_patch(checkpoint: Checkpoint, records: Sequence[TensorRecord]) -> Layout:
    """The checkpoint's own file or files, with places for new values of some tensors.

    Args:
        records: Of tensors that get new values of the same dtype and shape. Of tied names one is enough, and all see
            the new values: also those whose bytes are only in part the same.

    Returns:
        Slots by index of the record, whose bytes are those of its elements in the order of their strides
        (`formats.shapes.storage_order`). A folder for a folder or an index.

    Raises:
        CheckpointError: A tensor that cannot be written in place; it is named.
        SourceError: A file is gone, or the checkpoint came from a pipe.
        TruncatedError: A file is shorter than a record says.
    """
    files, is_folder = _list_files(checkpoint)
    sizes = [_size(path) for _, path in files]
    numbers = {path: number for number, (_, path) in enumerate(files)}
    spans = [_find_span(checkpoint, record, numbers) for record in records]
    for span, record in zip(spans, records, strict=True):
        if span.end > sizes[span.file]:
            raise TruncatedError(
                f"{quote(record.name)} ends at byte {span.end:,}, the file at byte {sizes[span.file]:,}",
                hint="the file became shorter: is it being written?",
            )
    by_file: dict[int, list[Changed]] = {}
    for index, span in enumerate(spans):
        if span.nbytes:
            by_file.setdefault(span.file, []).append(Changed(span.begin, span.end, index))
    layouts = []
    for number, (name, path) in enumerate(files):
        inside = sorted(by_file.get(number, ()))
        _check_overlap(inside, records)
        checksums = find_checksums(path, inside) if inside else ()
        layouts.append(FileLayout(name, sizes[number], _pieces(path, sizes[number], inside, checksums), checksums))
    slots = tuple(Slot(span.file, span.begin, span.nbytes) for span in spans)
    sequential = not is_folder and all(_follows(checksum) for checksum in layouts[0].checksums)
    return Layout(tuple(layouts), slots, is_folder, sequential)


class _Span(NamedTuple):
    """The bytes of a record, by the number of their file."""

    file: int
    begin: int
    end: int

    @property
    def nbytes(self) -> int:
        return self.end - self.begin


def _list_files(checkpoint: Checkpoint) -> tuple[list[tuple[str, str | None]], bool]:
    """Name in the output and path of each file, and whether they are written into a folder."""
    if not checkpoint.files:
        return [("", None)], False
    source = checkpoint.source
    if len(checkpoint.files) == 1 and source in ("", shown(checkpoint.files[0])):
        return [("", checkpoint.files[0])], False
    companions = find_companions(checkpoint)
    folder = folder_of(checkpoint.files[0]) if companions.folder is None else companions.folder
    index = find_index(checkpoint, companions.folder)
    paths = [*checkpoint.files, *([] if index is None else [index]), *companions.paths]
    return [(relative(path, folder), path) for path in dict.fromkeys(paths)], True


def _size(path: str | None) -> int:
    try:
        if path is not None:
            return look(path).size
        status = os.fstat(0)
        if not stat.S_ISREG(status.st_mode) or os.lseek(0, 0, os.SEEK_CUR):
            raise SourceError("standard input is a pipe, which cannot be copied", hint="write it to a file first")
        return status.st_size
    except OSError as error:
        raise SourceError(f"{path or 'standard input'} cannot be read: {reason_of(error)}") from None


def _find_span(checkpoint: Checkpoint, record: TensorRecord, numbers: dict[str | None, int]) -> _Span:
    """Where the bytes of a record are."""
    name = quote(record.name)
    if record.layout != "strided" or record.dtype not in BITS or record.shape is None or record.stride is None:
        what = record.layout if record.layout != "strided" else record.dtype
        raise CheckpointError(f"{name} is {what}, whose values cannot be replaced")
    place = record.byte_range
    if place is None or record.storage is None or place[0] not in numbers:
        raise CheckpointError(
            f"{name} cannot be changed where it is: compressed, in another byte order or inside a pickle "
            f"({checkpoint.format})",
            hint=_NEW_FILE,
        )
    if not is_dense(record.shape, record.stride):
        raise CheckpointError(
            f"{name} cannot be changed where it is: its values do not lie side by side", hint=_NEW_FILE
        )
    order = checkpoint.metadata.get("byteorder", sys.byteorder)
    if order != sys.byteorder and BITS[record.dtype] > 8:
        raise CheckpointError(f"{name} cannot be changed where it is: it is stored {order}-endian", hint=_NEW_FILE)
    path, begin, end = place
    nbytes = record.numel * BITS[record.dtype] // 8
    if end - begin != nbytes or begin < 0:
        raise CheckpointError(f"{name} takes {nbytes:,} bytes, and {end - begin:,} in the file", hint=_NEW_FILE)
    return _Span(numbers[path], begin, end)


def _check_overlap(inside: Sequence[Changed], records: Sequence[TensorRecord]) -> None:
    for before, after in pairwise(inside):
        if after.begin < before.end:
            raise CheckpointError(
                f"{quote(records[before.tensor].name)} and {quote(records[after.tensor].name)} share bytes, "
                "and cannot both get values of their own",
                hint="change one of them",
            )


def _pieces(path: str | None, size: int, inside: Sequence[Changed], checksums: Sequence[Checksum]) -> tuple[Piece, ...]:
    """Copies of what is between the new values, and room for the checksums."""
    gaps = [(each.begin, each.end, False) for each in inside]
    gaps += [(place, place + CRC_BYTES, True) for checksum in checksums for place in checksum.places]
    pieces = []
    position = 0
    for begin, end, is_checksum in [*sorted(gaps), (size, size, False)]:
        pieces.append(Piece(position, Copy(path, position, begin - position)))
        if is_checksum:
            pieces.append(Piece(begin, bytes(CRC_BYTES)))
        position = end
    return tuple(piece for piece in pieces if piece.nbytes)


def _follows(checksum: Checksum) -> bool:
    """Whether a checksum stands behind the tensor it is of."""
    return checksum.tensor is not None and min(checksum.places) >= checksum.begin + checksum.nbytes
