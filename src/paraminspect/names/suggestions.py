"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from paraminspect.text import list_some

SHORT_WORDS: Final[Mapping[str, str]] = {
    "half": "float16", "fp16": "float16", "f16": "float16", "bf16": "bfloat16", "float": "float32", "fp32": "float32",
    "f32": "float32", "double": "float64", "fp64": "float64", "f64": "float64", "fp8": "float8_e4m3fn",
    "long": "int64", "int": "int32", "short": "int16",
}  # fmt: skip
"""What people call dtypes, and their names."""

MAX_CANDIDATES = 5_000
"""Names that are compared with one that is unknown."""


def suggest(name: str, known: Sequence[str], what: str = "known are", most: int = 8) -> str | None:
    """A hint with the known name that was meant, or with the first few that are known; None where there is none.

    Args:
        what: Begins the list of those that are known.
    """
    return closest(name, known) or (f"{what} {list_some(known, most)}" if known else None)


def closest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name that was meant, None where there is none like it."""
    meant = find_meant(name, known)
    return None if meant is None else f"did you mean {meant}?"


def find_file(name: str, known: Iterable[str]) -> str | None:
    """The file that was meant, None where there is none like it.

    What most of them end in tells nothing: `ckpt.pt` is not like `gpt2.pt`. Of files with the same ending, what stands
    before it is compared, and the whole name with others.
    """
    names = list(known)
    stem, dot, ending = name.rpartition(".")
    if not stem:
        return find_meant(name, names)
    alike = [each[: -len(dot + ending)] for each in names if each.endswith(dot + ending)]
    meant = find_meant(stem, alike)
    if meant is not None:
        return meant + dot + ending
    return find_meant(name, [each for each in names if not each.endswith(dot + ending)])


def find_meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that was meant, None where there is none like it.

    Letter case is tried first, then swapped letters: difflib finds nothing near `RELU` in a list with `ReLU`, and in a
    name as short as `dmi` two swapped letters weigh too much for it.
    """
    candidates = [candidate for _, candidate in zip(range(MAX_CANDIDATES), known, strict=False) if candidate != name]
    by_fold = {_fold(candidate): candidate for candidate in reversed(candidates)}
    folded = _fold(name)
    if folded in by_fold:
        return by_fold[folded]
    if SHORT_WORDS.get(folded) in candidates:
        return SHORT_WORDS[folded]
    letters = sorted(folded)
    for fold, candidate in reversed(by_fold.items()):
        if len(fold) == len(folded) and sorted(fold) == letters:
            return candidate
    import difflib

    near = difflib.get_close_matches(folded[:100], by_fold, n=1, cutoff=0.7)
    return by_fold[near[0]] if near else None


def _fold(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
