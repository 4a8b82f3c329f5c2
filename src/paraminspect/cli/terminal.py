"""What a stream can show. `rich` is asked, and imported, of one that is looked at or that shall have colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

from paraminspect.render.style import Codes, Style
from paraminspect.render.theme import THEME, Ink

if TYPE_CHECKING:
    from rich.console import Console

Colour = Literal["auto", "always", "never"]

MAX_DIGITS: Final = 6
"""Of COLUMNS: no terminal is wider, and a number of a million digits takes its time to read."""

FALL_BACK: Final = "standard"
"""Colours where they are asked for and nothing tells which there are."""


def style_of(
    stream: TextIO | None,
    environ: Mapping[str, str],
    colour: Colour = "auto",
    *,
    wide: bool = False,
    paged: bool = False,
) -> Style:
    """What a stream can show.

    Args:
        environ: NO_COLOR, FORCE_COLOR, TERM, COLORTERM and COLUMNS count.
        colour: "auto" asks the environment and the stream.
        wide: Whether lines may be longer than the terminal is wide; off a terminal they may.
        paged: Whether it is a pipe to a pager on a terminal, which shows what that would.
    """
    terminal, coloured = paged or is_terminal(stream), has_colour(stream, environ, colour, paged=paged)
    plain = Style(unicode=_has_unicode(stream))
    if stream is None or not (terminal or coloured):
        return plain
    console = open_console(stream, environ)
    inks = _inks_of(console) if coloured else {}
    width = console.width if terminal and not wide else None
    return plain._replace(inks=inks, width=width, drawn=terminal, links=terminal and bool(inks))


def open_console(stream: TextIO, environ: Mapping[str, str], **options: Any) -> Console:
    """The console on a stream that is a terminal, or is to be treated as one. Nothing in a text is markup."""
    from rich.console import Console

    known = {name: value for name, value in environ.items() if name != "COLUMNS"}
    columns = environ.get("COLUMNS", "")[:MAX_DIGITS]
    if columns.isdecimal() and int(columns):
        options |= {"width": int(columns), "height": 25}  # rich takes both or neither
    return Console(
        file=stream, force_terminal=True, markup=False, emoji=False, highlight=False, _environ=known, **options
    )


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at it."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _inks_of(console: Console) -> dict[Ink, Codes]:
    """Codes of every style; none for a console of Windows that knows no codes."""
    from rich.color import ColorSystem
    from rich.console import COLOR_SYSTEMS
    from rich.style import Style as RichStyle

    if console.legacy_windows:
        return {}
    system = COLOR_SYSTEMS[console.color_system or FALL_BACK]
    found: dict[Ink, Codes] = {}
    for ink, look in THEME.items():
        definition = look.own if system == ColorSystem.STANDARD else look.fixed
        before, _, behind = RichStyle.parse(definition).render("\0", color_system=system).partition("\0")
        found[ink] = (before, behind)
    return found


def has_colour(stream: TextIO | None, environ: Mapping[str, str], colour: Colour, *, paged: bool = False) -> bool:
    """Whether colours are wanted on it."""
    if colour != "auto":
        return colour == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return environ.get("TERM") != "dumb" and (paged or is_terminal(stream))


def _has_unicode(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
