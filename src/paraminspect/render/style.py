"""How text looks on one stream."""

from __future__ import annotations

from typing import NamedTuple


class Style(NamedTuple):
    """What a stream can show.

    Attributes:
        colour: Whether to use colours; they only repeat what the words say.
        unicode: Whether it shows more than ASCII.
        width: Columns there are; None where lines may have any length.
    """

    colour: bool = False
    unicode: bool = True
    width: int | None = None

    @property
    def ellipsis(self) -> str:
        """What stands for text that was cut out."""
        return "…" if self.unicode else "..."

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.colour and text else text

    def label(self, text: str, code: int) -> str:
        """First word of a line, bold in the colour of an SGR code: 31 red, 33 yellow, 36 cyan."""
        return f"\x1b[1;{code}m{text}\x1b[0m" if self.colour else text
