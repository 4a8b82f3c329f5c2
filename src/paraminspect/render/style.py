"""How text looks on one stream."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from paraminspect.render.theme import Ink
from paraminspect.tuples import NamedTuple

Codes = tuple[str, str]
"""What stands before and behind a text of one style."""

_NO_CODES: Codes = ("", "")
_NO_INKS: Mapping[Ink, Codes] = MappingProxyType({})


class Style(NamedTuple):
    """What a stream can show.

    Attributes:
        inks: Codes of each style; none on a stream without colours, which only repeat what the words say.
        unicode: Whether it shows more than ASCII.
        width: Columns there are; None where lines may have any length.
        drawn: Whether a person looks at it: bars may stand beside numbers.
        links: Whether a text can be a link to a file.
    """

    inks: Mapping[Ink, Codes] = _NO_INKS
    unicode: bool = True
    width: int | None = None
    drawn: bool = False
    links: bool = False

    @property
    def ellipsis(self) -> str:
        """What stands for text that was cut out."""
        return "…" if self.unicode else "..."

    def codes(self, ink: Ink) -> Codes:
        """What stands before and behind a text in this ink."""
        return self.inks.get(ink, _NO_CODES)

    def ink(self, ink: Ink, text: str) -> str:
        """The text in this ink."""
        before, behind = self.inks.get(ink, _NO_CODES)
        return f"{before}{text}{behind}" if text else text

    def link(self, target: str, text: str) -> str:
        """The text, as a link (OSC 8) to a URL that holds neither control characters nor spaces."""
        return f"\x1b]8;;{target}\x1b\\{text}\x1b]8;;\x1b\\" if self.links and target and text else text
