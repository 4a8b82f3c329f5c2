"""Did you mean."""

from __future__ import annotations

from collections.abc import Iterable

MAX_CANDIDATES = 2_000
"""Names that are compared with one that is unknown."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """A hint with the known name that was meant, None where there is none like it.

    Letter case is tried first, then swapped letters: difflib finds nothing near `RELU` in a list with `ReLU`, and in a
    name as short as `dmi` two swapped letters weigh too much for it.
    """
    candidates = [candidate for _, candidate in zip(range(MAX_CANDIDATES), known, strict=False)]
    folded = _fold(name)
    for candidate in candidates:
        if _fold(candidate) == folded and candidate != name:
            return f"did you mean {candidate}?"
    for candidate in candidates:
        if sorted(_fold(candidate)) == sorted(folded) and candidate != name:
            return f"did you mean {candidate}?"
    import difflib

    by_fold = {_fold(candidate): candidate for candidate in reversed(candidates) if candidate != name}
    near = difflib.get_close_matches(folded[:100], by_fold, n=1, cutoff=0.7)
    return f"did you mean {by_fold[near[0]]}?" if near else None


def _fold(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")
