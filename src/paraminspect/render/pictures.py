"""What a picture is written as: the ending of a file's name decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from paraminspect.errors import ParamInspectError
from paraminspect.text import escape_text

if TYPE_CHECKING:
    from paraminspect.render.svg import Picture

ENDINGS: Final = (".svg", ".html", ".png")


def check_picture(path: str) -> None:
    """Refuse a name before anything slow is done; "" stands for no picture.

    Raises:
        ParamInspectError: It ends in none of `ENDINGS`, or what draws a png is missing.
    """
    ending = _ending(path)
    if path and ending not in ENDINGS:
        raise ParamInspectError(f"--plot {path}: no known kind of picture", hint=f"it ends in {', '.join(ENDINGS)}")
    if ending == ".png":
        from paraminspect.render.png import require_pillow

        require_pillow()


def shown_by(path: str) -> Callable[[str], str]:
    """What makes of a text what stands in a file of this name, so that there is room for it."""
    if _ending(path) == ".png":
        from paraminspect.render.png import in_letters

        return in_letters
    return escape_text


def encode_picture(picture: Picture, path: str) -> Iterator[bytes]:
    """The bytes of a file of this name.

    Raises:
        ParamInspectError: It is too large for a png.
    """
    if _ending(path) == ".png":
        from paraminspect.render.png import render_png

        yield render_png(picture)
        return
    from paraminspect.render.svg import render_html, render_svg

    pieces: Iterable[str] = render_svg(picture) if _ending(path) == ".svg" else render_html(picture)
    for piece in pieces:
        yield piece.encode("utf-8", "backslashreplace")


def _ending(path: str) -> str:
    return os.path.splitext(path)[1].lower()
