"""What has been written, read back by the reader of its format and held against the source."""

from __future__ import annotations

from collections.abc import Sequence

from paraminspect.conversion.bytes import Advance, Contents, find_copy
from paraminspect.conversion.plan import Item
from paraminspect.errors import ParamInspectError, TargetError
from paraminspect.files.storing import forget
from paraminspect.formats import open_source
from paraminspect.records import TensorRecord
from paraminspect.text import quote
from paraminspect.tied.shared_bytes import find_canonical


def verify(path: str, items: Sequence[Item], source: Contents, advance: Advance) -> None:
    """Compare names, shapes, types, ties and every byte.

    What the system keeps of the files in memory is given up first, so that they come from the disk.

    Args:
        path: Of the file or folder that has been written.
        items: What was to be written.
        source: Gives the bytes that were.
        advance: Called with the number of bytes that have been compared.

    Raises:
        TargetError: They differ, or it cannot be read.
    """
    try:
        written = open_source(path)
    except ParamInspectError as error:
        raise _differs(f"it cannot be read back: {error.message}") from None
    for file in written.files:
        forget(file)
    by_name = {record.name: (place, record.as_stored) for place, record in enumerate(written.tensors)}
    names = [name for item in items for name in (item.out.name, *item.out.aliases)]
    if sorted(by_name) != sorted(names):
        raise _differs(f"it holds {len(by_name):,} names, not the {len(names):,} that were written")
    roots = [place if first is None else first for place, first in enumerate(find_canonical(written.tensors))]
    from paraminspect.values.read import open_numbers
    from paraminspect.values.stored_bytes import Files

    files = Files()
    back = Contents(lambda record: open_numbers(record, files))
    try:
        for item in items:
            place, record = by_name[item.out.name]
            _check_header(item, record)
            for alias in item.out.aliases:
                if item.out.numel and roots[by_name[alias][0]] != roots[place]:
                    raise _differs(f"{quote(alias)} is not tied to {quote(item.out.name)}")
            _compare(item, record, source, back, advance)
    finally:
        back.close()
        source.close()


def _check_header(item: Item, record: TensorRecord) -> None:
    if (record.shape, record.dtype) != (item.out.shape, item.out.dtype):
        raise _differs(f"{quote(record.name)} is {record.dtype} {record.shape}")


def _compare(item: Item, record: TensorRecord, source: Contents, back: Contents, advance: Advance) -> None:
    """Piece by piece; the two may come in pieces of other lengths."""
    read = Item(item.out._replace(aliases=()), record, is_kept=True)
    if item.out.nbytes and find_copy(read) is None:
        raise _differs(f"{quote(record.name)} does not lie in the file as it is")
    theirs = back.pieces(read)
    left = memoryview(b"")
    at = 0
    for ours in source.pieces(item):
        begin = 0
        while begin < ours.nbytes:
            left = left or next(theirs, memoryview(b""))
            length = min(len(left), ours.nbytes - begin)
            if not length or left[:length] != ours[begin : begin + length]:
                raise _differs(f"{quote(record.name)} has other bytes from byte {at + begin:,} of it on")
            left, begin = left[length:], begin + length
        at += ours.nbytes
        advance(ours.nbytes)


def _differs(what: str) -> TargetError:
    return TargetError(
        f"what was written is not what was read: {what}",
        hint="nothing was put in its place; does the source change, or is the disk failing?",
    )
