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
from typing import Final, NamedTuple

from paraminspect.errors import CheckpointError, FarError, SourceError, TruncatedError
from paraminspect.files.door import is_there, list_folder, look
from paraminspect.files.paths import folder_of, is_far, join, relative, shown, split_query
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.shapes import is_dense
from paraminspect.formats.sharded import PICKLE_INDEX, SAFETENSORS_INDEX
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.text import quote
from paraminspect.writers.layout import Checksum, Copy, FileLayout, Layout, Piece, Slot
from paraminspect.writers.zip_checksums import CRC_BYTES, Changed, find_checksums

COMPANIONS: Final = (".json", ".txt", ".model")
"""Endings of files in a model's folder that are copied with it: configuration, index, vocabulary."""

_NEW_FILE: Final = "-o FILE.safetensors writes all tensors into a new file"


def plan_patch(checkpoint: Checkpoint, records: Sequence[TensorRecord]) -> Layout:
    """The checkpoint's own file or files, with places for new values of some tensors.

    Args:
        checkpoint: As `formats.open_source` read it.
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
    if is_far(checkpoint.files[0]):
        folder = source if look(source).kind == "folder" else folder_of(checkpoint.files[0])
        far = [*checkpoint.files, *_far_companions(folder, source, checkpoint.files)]
        return [(relative(path, folder), path) for path in far], True
    folder = source if os.path.isdir(source) else os.path.dirname(source or checkpoint.files[0])
    paths = [*checkpoint.files, *_companions(folder, checkpoint.files)]
    return [(os.path.relpath(path, folder or "."), path) for path in paths], True


def _companions(folder: str, files: Sequence[str]) -> list[str]:
    """Other files that belong to the model of a folder; not the index of shards that were not read."""
    found = []
    known = frozenset(files)
    for name in sorted(os.listdir(folder or ".")):
        path = os.path.join(folder, name)
        if path not in known and _is_companion(name, files) and os.path.isfile(path):
            found.append(path)
    return found


def _far_companions(folder: str, source: str, files: Sequence[str]) -> list[str]:
    """The same of a folder on a server; where it has no list, the index that was named."""
    try:
        names = list_folder(folder).files
    except FarError as error:
        if error.fault != "no-listing":
            raise
        names = [path for path in (source, join(folder, "config.json")) if path not in files]
        return [path for path in names if is_there(path)]
    known = frozenset(files)
    return [path for name in names if _is_companion(name, files) and (path := join(folder, name)) not in known]


def _is_companion(name: str, files: Sequence[str]) -> bool:
    """Whether a file of a folder belongs to the model that was read from `files`."""
    if name.startswith(".") or not name.endswith(COMPANIONS):
        return False
    of_safetensors, of_pickles = SAFETENSORS_INDEX.fullmatch(name), PICKLE_INDEX.fullmatch(name)
    if not of_safetensors and not of_pickles:
        return True
    ending = ".safetensors" if of_safetensors else ".bin"
    return any(split_query(file)[0].endswith(ending) for file in files)


def _size(path: str | None) -> int:
    if is_far(path) and path is not None:
        return look(path).size
    try:
        status = os.fstat(0) if path is None else os.stat(path)
        if path is None and (not stat.S_ISREG(status.st_mode) or os.lseek(0, 0, os.SEEK_CUR)):
            raise SourceError("standard input is a pipe, which cannot be copied", hint="write it to a file first")
        return status.st_size
    except OSError as error:
        raise SourceError(f"{path or 'standard input'} cannot be read: {error.strerror or error}") from None


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
    return checksum.index is not None and min(checksum.places) >= checksum.begin + checksum.nbytes
