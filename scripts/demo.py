"""The files that `make demo` makes, and a folder in which they lie beside `configs`, as the documents have it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DEMO: Final = ROOT / "demo"

FILES: Final = (
    "training.pt", "finetuned.safetensors", "base.pt", "tuned.safetensors", "quantised.gguf", "hostile.pt", "gpt2.pt",
)  # fmt: skip
"""What `make_demo` writes, the one that `make` waits for last; whatever else lies there is a user's."""


def link(folder: Path) -> None:
    """Links in a folder to the demo's files and to `configs`; those that are there already stay."""
    for path in (ROOT / "configs", *(DEMO / name for name in FILES)):
        if path.exists() and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
