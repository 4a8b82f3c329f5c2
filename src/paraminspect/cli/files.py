"""Files that a command writes."""

from __future__ import annotations

from collections.abc import Iterable

from paraminspect.cli.output import Output


def write_to(file: str, pieces: Iterable[bytes], output: Output) -> None:
    """Write to standard output ("" or "-"), or to a file that appears whole or not at all.

    Raises:
        TargetError: The file cannot be written.
        OutputError: Standard output cannot be.
    """
    if file in ("", "-"):
        output.write_bytes(pieces)
        return
    from paraminspect.writers.whole_files import write_whole

    write_whole(file, pieces)
