"""The bytes of stored tensors, a piece at a time: numpy is loaded for those that have to be decoded alone."""

from __future__ import annotations

from collections.abc import Iterator

from paraminspect.records import TensorRecord
from paraminspect.values.stored_bytes import FileBytes, Files, find_bytes


def read_pieces(record: TensorRecord, files: Files, size: int) -> Iterator[bytes]:
    """All bytes of a tensor, row by row in this machine's order, so many at a time: no tensor is in memory as a whole.

    Those of one that has to be decoded are those of its numbers; blocks come as they are, and so does what stands for
    another tensor together with others.

    Raises:
        CheckpointError: They cannot be had, and why.
        TruncatedError: The file has become shorter.
    """
    record = record.as_stored
    run = find_bytes(record)
    if run is not None:
        source = FileBytes(files.blob(run.path), run.begin, run.nbytes)
        for begin in range(0, run.nbytes, size):
            yield source.read(begin, min(size, run.nbytes - begin))
        return
    from paraminspect.values.read import open_elements  # numpy, which few files need here

    elements = open_elements(record, files)
    step = max(1, size // elements.read(0, min(1, elements.numel)).itemsize)
    for begin in range(0, elements.numel, step):
        yield elements.read(begin, min(begin + step, elements.numel)).tobytes()
