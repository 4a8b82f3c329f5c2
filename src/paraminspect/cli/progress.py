"""How far a long piece of work is: one line of `rich` on standard error, on a terminal only, gone when the work is."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal

from paraminspect.cli.output import Output

if TYPE_CHECKING:
    from threading import Timer

    from rich.progress import Progress as Bar

SHOWN_AFTER_S = 0.5
"""What is done sooner needs no bar."""

REDRAWN_AFTER_S = 0.1
"""Nobody reads faster."""

CELLS: Final = 20


class Progress:
    """A bar of work of which the amount is known; used as a context, and called with (done, total).

    It is drawn by whoever calls: no thread is there while workers are forked.

    Args:
        output: Has the terminal.
        what: Is done, in a word or two.
        unit: Of the numbers.
    """

    def __init__(self, output: Output, what: str, unit: Literal["bytes", "batches"] = "bytes") -> None:
        self._output = output
        self._what = what
        self._unit = unit
        self._start = monotonic()
        self._drawn = 0.0
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.show(None)

    def __call__(self, done: int, total: int) -> None:
        """Draw it anew."""
        now = monotonic()
        if not self._output.shows_progress or now - self._start < SHOWN_AFTER_S:
            return
        if done < total and now - self._drawn < REDRAWN_AFTER_S:
            return
        self._drawn = now
        if self._bar is None:
            self._bar = self._open()
            self._bar.add_task(self._what, total=total, completed=done)
        self._output.show(self._bar)
        self._bar.update(self._bar.task_ids[0], total=total, completed=done, refresh=True)

    def counting(self, total: int) -> Callable[[int], None]:
        """What is to be called with the bytes that are done since the last call, of so many in total."""
        done = 0

        def advance(nbytes: int) -> None:
            nonlocal done
            done += nbytes
            self(min(done, total), total)

        return advance

    def _open(self) -> Bar:
        from rich import progress as parts

        counted: tuple[parts.ProgressColumn, ...] = (
            (parts.DownloadColumn(binary_units=True), parts.TransferSpeedColumn())
            if self._unit == "bytes"
            else (parts.MofNCompleteColumn(), parts.TextColumn(self._unit))
        )
        return parts.Progress(
            parts.TextColumn("{task.description}"), parts.BarColumn(CELLS), *counted, parts.TimeRemainingColumn(),
            console=self._output.error_console(), auto_refresh=False, transient=True, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip


class Waiting:
    """A line that says what is done, and for how long, while nothing can be counted; used as a context.

    A thread draws it: no process may be forked inside.

    Args:
        output: Has the terminal.
        what: Is done, in a few words.
    """

    def __init__(self, output: Output, what: str) -> None:
        self._output = output
        self._what = what
        self._timer: Timer | None = None

    def __enter__(self) -> None:
        if self._output.shows_progress:
            from threading import Timer

            self._timer = Timer(SHOWN_AFTER_S, self._open)
            self._timer.daemon = True
            self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
            self._output.show(None)

    def _open(self) -> None:
        from rich import progress as parts

        bar = parts.Progress(
            parts.SpinnerColumn(), parts.TextColumn("{task.description}"), parts.TimeElapsedColumn(),
            console=self._output.error_console(), transient=True, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        bar.add_task(self._what, total=None)
        self._output.show(bar)
