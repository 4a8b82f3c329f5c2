"""What runs leave in folders."""

from __future__ import annotations

from pathlib import Path


def litter(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith("."))
