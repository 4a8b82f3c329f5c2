"""`paraminspect help TOPIC`: what several commands share, a screen or two each."""

from __future__ import annotations

from typing import Final

from paraminspect.files.beside_code import read_beside

TOPICS: Final = ("specs", "rules", "patterns", "formats")


def read_topic(name: str) -> str:
    """The text of a topic; that of the formats is made of their table, that of the rules ends with all initializers."""
    text = read_beside(__file__, f"{name}.txt")
    if name == "formats":
        return text + _list_formats()
    return text + _list_initializers() if name == "rules" else text


def _list_formats() -> str:
    from paraminspect.formats.table import FORMATS

    rows = [(row.name, " ".join(row.endings)) for row in FORMATS]
    width = max(len(name) for name, _ in rows)
    return "".join(f"  {name:<{width}}  {endings}".rstrip() + "\n" for name, endings in rows)


def _list_initializers() -> str:
    from paraminspect.rules.initializers import INITIALIZERS

    rows = [(name, each.summary) for name, each in INITIALIZERS.items()]
    width = max(len(name) for name, _ in rows)
    return "".join(f"  {name:<{width}}  {about}\n" for name, about in rows)
