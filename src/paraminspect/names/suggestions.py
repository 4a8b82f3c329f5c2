"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from paraminspect.text import list_some

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
    letters = sorted(folded)
    for fold, candidate in reversed(by_fold.items()):
        if len(fold) == len(folded) and sorted(fold) == letters:
            return candidate
    import difflib

    near = difflib.get_close_matches(folded[:100], by_fold, n=1, cutoff=0.7)
    return by_fold[near[0]] if near else None


def _fold(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
