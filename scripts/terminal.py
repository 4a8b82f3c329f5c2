"""Run a program on a terminal of a given width, and keep every byte that it was sent."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

END = b"\0end of output\0"
"""Written behind the last byte of the program."""

ROWS = 50
TIMEOUT_S = 60


def run_on_terminal(
    command: Sequence[str | Path], environment: Mapping[str, str], columns: int, folder: Path | None = None
) -> tuple[int, str]:
    """Exit status of a program, and what it wrote to both streams, a line feed at the end of each line.

    When the last descriptor of a terminal's inner side is closed, what has not been read yet may be lost. So that side
    stays open here, and a mark that is written into it once the program is gone tells where the output ends.

    Args:
        command: Program and arguments.
        environment: All of it.
        columns: Width of the terminal.
        folder: In which it runs; None for the present one.
    """
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=inner,
        stderr=inner,
    ) as process:

        def mark_end() -> None:
            try:
                process.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            os.write(inner, END)

        waiter = threading.Thread(target=mark_end)
        waiter.start()
        printed = b""
        while not printed.endswith(END):
            printed += os.read(outer, 1 << 16)
        waiter.join()
    os.close(outer)
    os.close(inner)
    return process.returncode, printed.removesuffix(END).decode().replace("\r\n", "\n")
