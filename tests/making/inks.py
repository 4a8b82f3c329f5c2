"""Colours that can be read: `<error>word</error>`."""

from __future__ import annotations

import re
from typing import Final

from paraminspect.render.style import Codes
from paraminspect.render.theme import THEME, Ink

INKS: Final[dict[Ink, Codes]] = {ink: (f"<{ink}>", f"</{ink}>") for ink in THEME}

_CODE: Final = re.compile("</?(?:" + "|".join(THEME) + ")>")


def without_inks(text: str) -> str:
    """The text that the colours only repeat."""
    return _CODE.sub("", text)
