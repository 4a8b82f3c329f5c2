"""One changed file as git tells an external diff driver of it, and what `diff --git` says around its rows.

git gives PATH OLD-FILE OLD-HEX OLD-MODE NEW-FILE NEW-HEX NEW-MODE, of a renamed file NEW-PATH and its own lines about
that too, and PATH alone of one that is not merged yet. A side that is not there is /dev/null, with "." for the rest. A
file of the working tree has zeros for its digest. All of it comes from a repository that nobody need trust.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from paraminspect.cli.comparing import ABSENT
from paraminspect.cli.explain import with_source
from paraminspect.cli.options import Output as OutputOptions
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError, UnknownFormatError
from paraminspect.formats.pointers import MAX_BYTES, Pointer, read_pointer
from paraminspect.models.recognise import recognise
from paraminspect.records import Checkpoint
from paraminspect.render.delimited import code_span
from paraminspect.text import escape_text, shorten
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.cli.opened import Given

NOWHERE: Final = "/dev/null"
LINK: Final = "120000"
"""Mode of a symbolic link; what git gives is a file with its target."""

SHORT_HEX: Final = 7
PAGER: Final = "GIT_PAGER_IN_USE"
TEXTS: Final = ("table", "markdown")
"""Formats in which something stands around the rows."""


class Side(NamedTuple):
    """The file before or after.

    Attributes:
        title: What messages call it.
        file: Where git has put it.
        hex: Digest of its content, in git's way; zeros of a file of the working tree.
        mode: Six octal digits.
    """

    title: str
    file: str
    hex: str
    mode: str

    @property
    def is_there(self) -> bool:
        """Whether the file is, or was."""
        return self.file != NOWHERE

    def read_pointer(self) -> Pointer | None:
        """What it says, if it stands for a file that is kept elsewhere."""
        return read_pointer(self._begin()) if self.is_there else None

    def read_link(self) -> str | None:
        """Where it leads, if it is a symbolic link."""
        return self._begin().decode(errors="replace") if self.mode == LINK else None

    def _begin(self) -> bytes:
        with open(self.path, "rb") as file:
            return file.read(MAX_BYTES)

    @property
    def path(self) -> str:
        """The file as no option, URL or factory, whatever it is called."""
        return self.file if os.path.isabs(self.file) else os.path.join(os.curdir, self.file)


class Change(NamedTuple):
    """A changed file.

    Attributes:
        path: In the repository.
        sides: Before and after; None of a file that is not merged.
        told: What git says of a renamed or copied file, in lines.
    """

    path: str
    sides: tuple[Side, Side] | None
    told: str = ""


def read_change(words: Sequence[str]) -> Change:
    """What git gives.

    Raises:
        ParamInspectError: It is something else.
    """
    if len(words) == 1:
        return Change(words[0], None)
    if not 7 <= len(words) <= 9:
        hint = "git config diff.model.command 'paraminspect diff --git --'"
        raise ParamInspectError(f"--git takes the 1, 7 or 9 arguments that git gives, not {len(words)}", hint=hint)
    path, old_file, old_hex, old_mode, new_file, new_hex, new_mode = words[:7]
    new_path, told = (*words[7:], "")[:2] if len(words) > 7 else (path, "")
    before = Side(f"a/{path}", old_file, old_hex, old_mode)
    return Change(path, (before, Side(f"b/{new_path}", new_file, new_hex, new_mode)), told)


def show_change(
    change: Change,
    options: OutputOptions,
    header: bool | None,
    compare: Callable[[tuple[Given, Given], Output], object],
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Say what has changed; 0 whatever that is, for git stops at anything else and shows no other file.

    Args:
        options: How it is written; what goes to a pager looks as on its terminal, and a table is what git is asked for.
        compare: Writes the rows.
    """
    chosen = options._replace(format="table") if options.format == "auto" else options
    out = chosen.open(header, paged=environ.get(PAGER) == "true" and chosen.format == "table")
    if out.format in TEXTS:
        out.write(_begin(change, out))
    if change.sides is not None:
        try:
            _show_sides(change.sides, out, compare)
        except BrokenPipeError:
            raise
        except Exception as error:
            out.error(error)
    out.finish()
    if out.format in TEXTS:
        out.write(["\n"])
    return 0


def _show_sides(
    sides: tuple[Side, Side], out: Output, compare: Callable[[tuple[Given, Given], Output], object]
) -> None:
    if sides[0].hex == sides[1].hex and sides[0].hex.strip("0"):
        return  # another name or mode
    given, lines = [], []
    for side, word in zip(sides, ("before", "after"), strict=True):
        try:
            source, line = _find(side, word)
        except Exception as error:
            raise _about(side, error) from None
        given.append((source, side.title))
        lines += [f"{word:<6}  {line}\n"] if line else []
    if lines and out.format in TEXTS:
        out.write_text(lines)
    before, after = given
    if before[0] is None or after[0] is None:
        return
    try:
        compare((before, after), out)  # type: ignore[arg-type]
    except ParamInspectError as error:
        raise next((_about(side, error) for side in sides if error.source == side.path), error) from None


def _find(side: Side, word: str) -> tuple[str | Checkpoint | None, str]:
    """What to open of a side, None where it has no model here; and a line about it, "" where there is nothing to say.

    Raises:
        UnknownFormatError: It would have to be run.
    """
    if not side.is_there:
        return ABSENT, ""
    if (target := side.read_link()) is not None:
        return None, f"a link to {escape_text(shorten(target))}"
    if (pointer := side.read_pointer()) is None:
        if recognise(side.path).kind not in ("checkpoint", "spec"):
            raise UnknownFormatError("the file is code, which is not run", hint="*.safetensors diff=model")
        return side.path, ""
    kept = pointer.find_kept(os.curdir)
    fetch = f": {pointer.how_to_fetch(side.title[2:])}" if word == "after" else ""
    here = "" if kept else f", not here{fetch}"
    return kept, escape_text(f"{pointer.keeper}, {pointer.described}{here}")


def _about(side: Side, error: Exception) -> Exception:
    """The same error, calling the file what the repository calls it."""
    if isinstance(error, ParamInspectError):
        error.source = None
    return with_source(error, side.title)


def _begin(change: Change, out: Output) -> Iterator[str]:
    """Lines before the rows, as git has them."""
    if change.sides is None:
        yield f"* Unmerged path {escape_text(change.path)}\n"
        return
    before, after = change.sides
    lines = list(_describe(before, after, change.told))
    if out.format == "markdown":
        yield f"### {code_span(escape_text(after.title[2:]))}\n\n"
        yield from (f"{code_span(line)}\n" for line in lines if not line.startswith(("index ", "similarity ")))
        yield "\n"
        return
    ink = out.style().ink
    titles = f"{escape_text(before.title)} {escape_text(after.title)}"
    yield from (f"{ink('heading', line)}\n" for line in (f"diff --paraminspect {titles}", *lines))


def _describe(before: Side, after: Side, told: str) -> Iterator[str]:
    """How a file has changed beside its content, in git's words."""
    if not before.is_there:
        yield f"new file mode {escape_text(after.mode)}"
    elif not after.is_there:
        yield f"deleted file mode {escape_text(before.mode)}"
    elif before.mode != after.mode:
        yield f"old mode {escape_text(before.mode)}"
        yield f"new mode {escape_text(after.mode)}"
    if told:
        yield from (escape_text(line) for line in told.splitlines())
    else:
        yield f"index {'..'.join(escape_text(side.hex[:SHORT_HEX].replace('.', '0' * SHORT_HEX)) for side in (before, after))}"
