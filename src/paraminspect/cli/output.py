"""The one object that writes: rows to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TextIO

from paraminspect.cli.explain import FAILED, OutputError, excerpt, explain, wants_traceback
from paraminspect.cli.terminal import Colour, has_colour, is_terminal, open_console, style_of
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.files.seen import raise_changed
from paraminspect.files.system import is_ending
from paraminspect.render import render_rows
from paraminspect.render.delimited import fenced
from paraminspect.render.rows import Format, Rows
from paraminspect.render.style import Style
from paraminspect.render.theme import Ink
from paraminspect.text import escape_message

EXCERPT_WIDTH = 80
"""Columns of a line that is quoted where no terminal says how wide it is."""

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

STREAMED: frozenset[str] = frozenset({"tsv", "csv", "jsonl", "names"})
"""Formats in which rows of one source can be written before the next is read."""


class Output:
    """Writes in one format, with what the streams can show.

    Args:
        format_: "auto" is a table on a terminal and tsv elsewhere.
        colour: "auto" asks the environment and the stream.
        header: Names of the columns first, for tsv and csv; None means the format's own habit.
        wide: Lines may be longer than a terminal is wide.
        paged: Standard output is a pipe to a pager on a terminal.
        stdout: None, as Python has it, if it was closed.
        stderr: The same.
        environ: NO_COLOR, FORCE_COLOR, TERM and COLUMNS count.

    Attributes:
        status: Exit status of the run so far; commands raise it.
    """

    def __init__(
        self,
        format_: Format | Literal["auto"] = "auto",
        *,
        colour: Colour = "auto",
        header: bool | None = None,
        wide: bool = False,
        paged: bool = False,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._environ = environ
        self._colour = colour
        self._header = header
        self._wide = wide
        self._paged = paged
        self._later: list[str] = []
        self.is_terminal = is_terminal(self._stdout)
        self.format: Format = ("table" if self.is_terminal else "tsv") if format_ == "auto" else format_
        self.status = 0
        self._begun = False
        self._bar: Bar | None = None

    @property
    def streams(self) -> bool:
        """Whether rows can be written source by source."""
        return self.format in STREAMED

    def style(self) -> Style:
        """What standard output can show. Off a terminal, and in markdown, lines may have any length."""
        return self._style

    def pick(self, rows: Rows, columns: Sequence[str]) -> Rows:
        """The columns that --columns asks for, all if it asks for none; names are names whatever it asks for."""
        return rows.pick(columns) if columns and self.format != "names" else rows

    def write_rows(self, rows: Rows) -> None:
        """Write rows; of several calls, the first writes the header.

        Raises:
            OutputError: Standard output cannot be written.
            BrokenPipeError: Nobody reads it any more.
        """
        self.write(render_rows(rows, self.format, header=self._header, style=self.style()))
        self._header = False

    def write_text(self, pieces: Iterable[str]) -> None:
        """Write lines that are no rows, in markdown as a block of code. Raises what `write` does."""
        self.write(fenced(pieces) if self.format == "markdown" else pieces)

    def write(self, pieces: Iterable[str]) -> None:
        """Write pieces of text to standard output, and flush it. Raises what `write_rows` does.

        Raises:
            ChangedError: They are about a file that has changed meanwhile.
        """
        raise_changed()
        self.show(None)  # both may be the same terminal
        if self._stdout is None:
            raise OutputError(OSError(None, "it is closed"))
        try:
            if not self._begun and not self.is_terminal:
                _use_utf8(self._stdout)
            self._begun = True
            for piece in pieces:
                self._stdout.write(piece)
            self._stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error) from None

    def write_bytes(self, pieces: Iterable[bytes]) -> None:
        """Write pieces as they are, binary ones too. On a terminal they are text; raises what `write_rows` does."""
        binary = getattr(self._stdout, "buffer", None)
        if self.is_terminal or binary is None:
            self.write(piece.decode() for piece in pieces)
            return
        self.write(())
        try:
            for piece in pieces:
                binary.write(piece)
            binary.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error) from None

    def write_to(self, file: str, pieces: Iterable[bytes], *, force: bool) -> None:
        """Write to standard output ("" or "-"), or to a file that appears whole or not at all.

        Raises:
            TargetError: The file cannot be written, or is there already and not to be replaced.
            OutputError: Standard output cannot be.
        """
        if file in ("", "-"):
            self.write_bytes(pieces)
            return
        from paraminspect.writers.small_file import write_whole

        self.notes(write_whole(file, pieces, force=force))

    def refuse_binary(self, what: str, hint: str) -> None:
        """Keep what is no text from a terminal.

        Raises:
            ParamInspectError: Standard output is one.
        """
        if self.is_terminal:
            raise ParamInspectError(f"{what} is binary, and standard output is a terminal", hint=hint)

    def note(self, text: str) -> None:
        """Say something on standard error when all rows are out."""
        self._later.append(text)

    def notes(self, texts: Iterable[str]) -> None:
        """The same of several."""
        self._later += texts

    def remark(self, *texts: str) -> None:
        """Say something on standard error at once, before the rows that it is about."""
        for text in texts:
            self._say("note", text)

    def finish(self) -> None:
        """Say what was kept for the end."""
        for text in dict.fromkeys(self._later):
            self._say("note", text)
        self._later.clear()

    def report(self, rows: Rows) -> None:
        """Write a table to standard error: what a command has to say beside its own rows."""
        self._to_stderr("".join(render_rows(rows, "table", style=self._error_style)))

    @property
    def shows_progress(self) -> bool:
        """Whether somebody looks at standard error; TTY_INTERACTIVE=0 tells that nobody does, as it tells rich."""
        environ = self._environ
        animated = environ.get("TERM") != "dumb" and environ.get("TTY_INTERACTIVE") != "0"
        return animated and is_terminal(self._stderr)

    def error_console(self) -> Console:
        """Where progress is drawn. It is imported by work that lasts, on a terminal only."""
        assert self._stderr is not None
        no_color = not has_colour(self._stderr, self._environ, self._colour)
        return open_console(self._stderr, self._environ, no_color=no_color)

    def show(self, bar: Bar | None) -> None:
        """Draw what tells how far the work is in place of what did so before; None takes that away."""
        if self._bar is not bar:
            if self._bar is not None:
                self._bar.stop()
            if bar is not None:
                bar.start()
            self._bar = bar

    def error(self, error: BaseException) -> None:
        """Say what went wrong, and what to do next.

        Raises:
            KeyboardInterrupt: The process was asked to end, which is what went wrong.
        """
        if is_ending():
            raise KeyboardInterrupt
        self.status = FAILED
        if wants_traceback():
            import traceback

            self._to_stderr(shown("".join(traceback.format_exception(error))))
        message, hint = explain(error)
        self._say("error", message)
        self._to_stderr(excerpt(error, self._error_style.width or EXCERPT_WIDTH))
        if hint:
            self._to_stderr("\n")
            self._say("hint", hint)

    @cached_property
    def _style(self) -> Style:
        style = style_of(self._stdout, self._environ, self._colour, wide=self._wide, paged=self._paged)
        return Style(unicode=style.unicode) if self.format == "markdown" else style  # it is shown elsewhere

    @cached_property
    def _error_style(self) -> Style:
        return style_of(self._stderr, self._environ, self._colour)

    def _say(self, word: Ink, text: str) -> None:
        self._to_stderr(f"{self._error_style.ink(word, f'{word}:')} {escape_message(shown(text))}\n")

    def _to_stderr(self, text: str) -> None:
        if self._stderr is None:
            return
        self.show(None)
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except (OSError, ValueError):
            pass  # there is nobody left to tell


def print_whatever_happens(stream: TextIO | None) -> None:
    """Let a stream escape the characters its encoding lacks, as standard error does, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _use_utf8(stream: TextIO | None) -> None:
    """Files and pipes get UTF-8 with bare line feeds, whatever the locale; a terminal, what it was set up for."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
