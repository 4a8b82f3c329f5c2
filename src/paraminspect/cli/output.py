"""The one object that writes: rows to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TextIO

from paraminspect.cli.explain import FAILED, OutputError, excerpt, explain, wants_traceback
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.files.seen import raise_changed
from paraminspect.files.system import is_ending
from paraminspect.render import render_rows
from paraminspect.render.rows import Format, Rows
from paraminspect.render.style import Style
from paraminspect.text import escape_message

Colour = Literal["auto", "always", "never"]

DEFAULT_WIDTH = 80
STREAMED: frozenset[str] = frozenset({"tsv", "csv", "jsonl", "names"})
"""Formats in which rows of one source can be written before the next is read."""

_RED, _YELLOW, _CYAN = 31, 33, 36


class Output:
    """Writes in one format, with what the streams can show.

    Args:
        format_: "auto" is a table on a terminal and tsv elsewhere.
        colour: "auto" asks the environment and the stream.
        header: Names of the columns first, for tsv and csv; None means the format's own habit.
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
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._environ = environ
        self._colour = colour
        self._header = header
        self._later: list[str] = []
        self.is_terminal = _is_terminal(self._stdout)
        self.format: Format = ("table" if self.is_terminal else "tsv") if format_ == "auto" else format_
        self.status = 0
        self._begun = False
        self._progress = 0

    @property
    def streams(self) -> bool:
        """Whether rows can be written source by source."""
        return self.format in STREAMED

    def style(self) -> Style:
        """What standard output can show. Off a terminal, lines may have any length."""
        width = self._width() if self.is_terminal else None
        return Style(self._has_colour(self._stdout), _has_unicode(self._stdout), width)

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

    def write(self, pieces: Iterable[str]) -> None:
        """Write pieces of text to standard output, and flush it. Raises what `write_rows` does.

        Raises:
            ChangedError: They are about a file that has changed meanwhile.
        """
        raise_changed()
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

    def write_to(self, file: str, pieces: Iterable[bytes]) -> None:
        """Write to standard output ("" or "-"), or to a file that appears whole or not at all.

        Raises:
            TargetError: The file cannot be written.
            OutputError: Standard output cannot be.
        """
        if file in ("", "-"):
            self.write_bytes(pieces)
            return
        from paraminspect.writers.whole_files import write_whole

        self.notes(write_whole(file, pieces))

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
            self._say("note", _CYAN, text)

    def finish(self) -> None:
        """Say what was kept for the end."""
        for text in dict.fromkeys(self._later):
            self._say("note", _CYAN, text)
        self._later.clear()

    def report(self, rows: Rows) -> None:
        """Write a table to standard error: what a command has to say beside its own rows."""
        terminal = _is_terminal(self._stderr)
        style = Style(self._has_colour(self._stderr), _has_unicode(self._stderr), self._width() if terminal else None)
        self._to_stderr("".join(render_rows(rows, "table", style=style)))

    def progress(self, text: str) -> None:
        """Show one line on standard error in place of the last one; "" takes it away. On a terminal only."""
        if _is_terminal(self._stderr) and (text or self._progress):
            self._to_stderr(f"\r{text.ljust(self._progress)}" + ("" if text else "\r"))
            self._progress = len(text)

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
        self._say("error", _RED, message)
        self._to_stderr(excerpt(error, self._width()))
        if hint:
            self._to_stderr("\n")
            self._say("hint", _YELLOW, hint)

    def _say(self, word: str, colour: int, text: str) -> None:
        style = Style(self._has_colour(self._stderr))
        self._to_stderr(f"{style.label(f'{word}:', colour)} {escape_message(shown(text))}\n")

    def _to_stderr(self, text: str) -> None:
        if self._stderr is None:
            return
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except (OSError, ValueError):
            pass  # there is nobody left to tell

    def _has_colour(self, stream: TextIO | None) -> bool:
        if self._colour != "auto":
            return self._colour == "always"
        if self._environ.get("NO_COLOR"):
            return False
        if self._environ.get("FORCE_COLOR", "0") not in {"", "0"}:
            return True
        return self._environ.get("TERM") != "dumb" and _is_terminal(stream)

    def _width(self) -> int:
        columns = self._environ.get("COLUMNS", "")
        if columns.isdecimal() and int(columns[:6]) > 0:
            return int(columns[:6])
        try:
            return os.get_terminal_size(self._stdout.fileno()).columns or DEFAULT_WIDTH
        except (OSError, ValueError, AttributeError):  # no terminal, or no stream at all
            return DEFAULT_WIDTH


def print_whatever_happens(stream: TextIO | None) -> None:
    """Let a stream escape the characters its encoding lacks, as standard error does, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _has_unicode(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def _use_utf8(stream: TextIO | None) -> None:
    """Files and pipes get UTF-8 with bare line feeds, whatever the locale; a terminal, what it was set up for."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
