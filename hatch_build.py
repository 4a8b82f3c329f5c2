"""What a package index shows: the README, whose links are relative in the repository, and where the project lives.

Both follow `[tool.hatch.metadata.hooks.custom]` in pyproject.toml: `repository` is an address as
https://github.com/NAME/paraminspect, `email` one of the developers. While they are empty, links are left as they are and no
address is claimed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
OUTSIDE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")
"""How a target begins that is not a file of the repository."""

AUTHORS = "paraminspect developers"
FENCE = "```"
PAGES = {"Source": "", "Changelog": "/blob/{tag}/CHANGELOG.md", "Issues": "/issues"}


class CustomMetadataHook(MetadataHookInterface):
    """Fills in what pyproject.toml calls dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the README and the addresses."""
        repository, tag = str(self.config["repository"]).rstrip("/"), f"v{metadata['version']}"
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        if repository:
            text = make_absolute(text, repository, tag, Path(self.root))
            metadata["urls"] = {name: repository + page.format(tag=tag) for name, page in PAGES.items()}
        email = {"email": self.config["email"]} if self.config["email"] else {}
        metadata["authors"] = [{"name": AUTHORS, **email}]
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


def make_absolute(text: str, repository: str, tag: str, root: Path) -> str:
    """Markdown whose links to files and folders of the repository are addresses; blocks of code are left alone."""

    def replace(match: re.Match[str]) -> str:
        target, _, part = match["target"].partition("#")
        if OUTSIDE.match(match["target"]):
            return match[0]
        kind = "raw" if match["picture"] else "tree" if (root / target).is_dir() else "blob"
        address = f"{repository}/{kind}/{tag}/{target.removeprefix('./')}{'#' * bool(part)}{part}"
        return f"{match['picture']}[{replace_all(match['text'])}]({address})"

    def replace_all(line: str) -> str:
        return LINK.sub(replace, line)

    blocks = text.split(FENCE)  # every second one is code
    return FENCE.join(block if number % 2 else replace_all(block) for number, block in enumerate(blocks))
