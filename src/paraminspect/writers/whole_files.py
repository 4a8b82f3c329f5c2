"""Outputs that appear whole or not at all: files, folders, and streams where only those are to be had.

Values go into a temporary file or folder beside the target (see `partial`), which takes its name once everything has
arrived on the disk. Until then, whatever happens, the target is what it was. A folder that is the input itself is
treated file by file: each of its shards that changes is replaced, all others stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from paraminspect.errors import TargetError
from paraminspect.files.storing import write_all
from paraminspect.writers.copying import CHUNK, open_sources, read_at
from paraminspect.writers.destination import check_space, explained, open_stream_at
from paraminspect.writers.layout import Layout
from paraminspect.writers.outputs import Look, choose_output
from paraminspect.writers.sink import FileSink, Sink, StreamSink

__all__ = ["Sink", "open_stream", "open_target"]


@contextmanager
def open_target(layout: Layout, path: str, *, force: bool = False, look: Look | None = None) -> Iterator[Sink]:
    """Write a layout to a file, a folder or whatever stands under a path.

    Args:
        path: Where to. A symbolic link is followed and stays. What is no file or folder (a FIFO, /dev/null) is
            written into. It may be what the layout copies from.
        force: Whether a file or folder that is there is replaced. An empty folder always is.
        look: Called with the path of what has been written, complete, before it takes its name; what it raises leaves
            the target as it was. Not called for what is no file or folder, nor where a layout copies from the target.

    Yields:
        Takes the values. On leaving, the target appears; if the body raises, it stays as it was.

    Raises:
        TargetError: It is there already, its folder is not, another run is writing it, there is not enough space, a
            folder to be replaced holds something else than a checkpoint, or the system refuses.
        SourceError: A file to be copied cannot be read.
        ValueError: Not all bytes were put.
    """
    with explained(path):
        fd = open_stream_at(path)
    if fd is not None:
        with _stream(layout, fd, path, owned=True) as sink:
            yield sink
        return
    with explained(path):
        output = choose_output(layout, path, force)
    output.look = look
    try:
        with explained(path):
            output.begin()
        yield output.sink
        output.sink.close()
        output.sink.check_complete()
        with explained(path):
            output.finish()
    finally:
        if output.sink.close():
            output.end()


@contextmanager
def open_stream(layout: Layout, fd: int, path: str = "-") -> Iterator[Sink]:
    """Write a layout to a pipe or device.

    Tensors must come in the order of `layout.order`, each from front to back. What cannot go out in one pass is
    collected in an unnamed temporary file first.

    Args:
        fd: Where to; it is not closed.
        path: What errors call it.

    Raises:
        TargetError: The layout is a folder, or the system refuses.
        BrokenPipeError: Nobody reads any more.
        ValueError: Not all bytes were put.
    """
    with _stream(layout, fd, path, owned=False) as sink:
        yield sink


@contextmanager
def _stream(layout: Layout, fd: int, path: str, *, owned: bool) -> Iterator[Sink]:
    """A sink into a descriptor, which is closed at the end if it is ours and nobody writes into it any more."""
    sink: Sink | None = None
    try:
        if layout.is_folder:
            raise TargetError("several files cannot go into a pipe", hint="name a folder", source=path)
        if layout.sequential:
            with open_sources(layout.files) as sources:
                sink = stream = StreamSink(layout, path, fd, sources)
                yield stream
                stream.close()
                stream.check_complete()
                with explained(path):
                    stream.finish()
        else:
            with _spool(layout, fd, path) as sink:
                yield sink
    finally:
        # a thread may be blocked in a pipe that nobody reads: not waited for
        if (sink is None or sink.close(wait=False)) and owned:
            os.close(fd)


@contextmanager
def _spool(layout: Layout, fd: int, path: str) -> Iterator[Sink]:
    """Collect a file that cannot go out in one pass, then send it."""
    import tempfile

    with explained(path), tempfile.TemporaryFile() as file:
        spool = os.dup(file.fileno())
    sink = FileSink(layout, path, lambda _: nullcontext(spool))
    try:
        with explained(path), open_sources(layout.files) as sources:
            check_space(layout.nbytes, spool, tempfile.gettempdir())
            sink.write_pieces(0, sources)
        yield sink
        sink.close()
        sink.check_complete()
        with explained(path):
            sink.write_checksums(0)
            for begin in range(0, layout.nbytes, CHUNK):
                write_all(fd, read_at(spool, min(CHUNK, layout.nbytes - begin), begin))
    finally:
        if sink.close():
            os.close(spool)
