"""Findings for people: a paragraph each, the worst first, wrapped to the width of the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from paraminspect.render.style import Style
from paraminspect.summaries import Finding
from paraminspect.text import counted, escape_message, wrap

INDENT: Final = "  "


def render_findings(
    source: str, findings: Sequence[Finding], closing: str, style: Style, *, most: int | None = None, target: str = ""
) -> Iterator[str]:
    """The source, its findings, and a closing line.

    Args:
        findings: In the order in which they are shown; hints are said once for findings of one kind that follow
            each other.
        closing: What is said at the end.
        most: So many findings are shown, the others counted; None for all.
        target: URL that the name of the source is a link to; "" without.
    """
    more = 0 if most is None else len(findings) - most
    findings = findings[:most]
    yield style.link(target, style.ink("heading", escape_message(source))) + "\n"
    for number, finding in enumerate(findings):
        label = style.ink(finding.severity, finding.severity)
        place = f" in {escape_message(finding.name)}" if finding.name else ""
        yield f"\n{label} {finding.code}{place}\n"
        yield _paragraph(escape_message(finding.message), style)
        following = findings[number + 1] if number + 1 < len(findings) else None
        if finding.hint and (following is None or (following.code, following.hint) != (finding.code, finding.hint)):
            yield style.ink("dim", _paragraph(f"hint: {escape_message(finding.hint)}", style).rstrip("\n")) + "\n"
    if more > 0:
        yield f"\nand {counted(more, 'more finding')}; a pipe or -f tsv gets all\n"
    yield ("\n" if findings else "") + wrap(closing, style.width) + "\n"


def _paragraph(text: str, style: Style) -> str:
    """Indented lines; a word that is longer than a line is broken by the terminal."""
    width = None if style.width is None else max(style.width - len(INDENT), 20)
    return "".join(f"{INDENT}{line}\n" for line in wrap(text, width).splitlines())
