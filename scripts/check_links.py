"""Links of a document into the repository: each leads to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from pathlib import Path

CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")


def find_broken_links(path: Path) -> list[str]:
    """Targets of the document's relative links that lead nowhere, as they are written."""
    broken = []
    for match in LINK.finditer(without_code(path)):
        if ":" not in match["path"]:
            target = path.parent / match["path"] if match["path"] else path
            is_there = target.exists() and (
                not match["heading"] or target.suffix != ".md" or match["heading"] in headings(target)
            )
            if not is_there:
                broken.append(match[0].removeprefix("](").removesuffix(")"))
    return broken


def headings(path: Path) -> set[str]:
    """What links call the headings of a document: as GitHub and the site do."""
    found: set[str] = set()
    for match in HEADING.finditer(CODE.sub(_keep_inline, path.read_text(encoding="utf-8"))):
        slug = re.sub(r"[^\w\- ]", "", match["title"].strip().lower()).replace(" ", "-")
        number = 1
        unique = slug
        while unique in found:
            unique = f"{slug}-{number}"
            number += 1
        found.add(unique)
    return found


def without_code(path: Path) -> str:
    """The text of a document but for what it shows as code."""
    return CODE.sub("", path.read_text(encoding="utf-8"))


def _keep_inline(match: re.Match[str]) -> str:
    return "" if match["fence"] else match[0]
