"""Ties that went wrong: declared but stored twice, or stored apart with the same content."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from paraminspect.checks.codes import find
from paraminspect.engines.pool import Pool
from paraminspect.errors import ParamInspectError
from paraminspect.formats.stored_twice import SECOND_TIME
from paraminspect.limits import EffortError
from paraminspect.records import Checkpoint
from paraminspect.sharing.find import find_equal_in, find_in, open_stored
from paraminspect.summaries import Finding
from paraminspect.text import format_bytes, list_some

MAX_TOLD: Final = 50
"""Groups of equal tensors that are told."""

MAX_NAMED: Final = 3
"""Other names of one group that are told."""

EMBEDDINGS: Final = ("embed", "wte", "token", "shared")
HEADS: Final = ("lm_head", "head.weight", "output.weight", "decoder.weight", "proj.weight", "classifier.weight")
"""Parts of the names of tensors that language models tie."""

AVERAGE: Final = re.compile("ema|av(era)?g|shadow|teacher|target|momentum|swa|polyak", re.IGNORECASE)
"""In the first parts of names of a second model that follows the first; it is needed to know one of a single tensor."""


def check_declared(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Ties that are declared while both tensors are stored; only those tensors are read."""
    if not checkpoint.declared:
        return
    notes = [note for note in checkpoint.notes if SECOND_TIME in note]
    try:
        notes += find_in(open_stored(checkpoint, everything=True)).notes
    except ParamInspectError as error:
        yield find("not-checked", "", error.message)
        return
    for note in notes:
        alias = next((each.alias for each in checkpoint.declared if each.alias in note), "")
        yield find("tie-contradicted", alias, note)


def check_copies(
    checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None, pool: Pool | None = None
) -> Iterator[Finding]:
    """Tensors that are stored apart with the same content.

    Args:
        pool: Who reads them; None for this thread.
    """
    try:
        source = open_stored(checkpoint)
        groups = find_equal_in([source], [find_in(source)], progress, pool).groups
    except EffortError:
        raise
    except ParamInspectError as error:
        yield find("not-checked", "", error.message)
        return
    again = _repeated_roots(checkpoint)
    groups = [group for group in groups if not _is_model_again(group.names, again)]
    for group in groups[:MAX_TOLD]:
        name, *others = group.names
        size = format_bytes(group.nbytes or 0)
        tied = any(part in each for each in group.names for part in EMBEDDINGS) and any(
            part in each for each in group.names for part in HEADS
        )
        message = f"stored again with the same content as {list_some(others, MAX_NAMED)} ({size} each)"
        yield find("tie-broken", name, message, severity=None if tied else "info")


def _repeated_roots(checkpoint: Checkpoint) -> set[frozenset[str]]:
    """Pairs of first parts of names below which there is the same model: its own, and that of its moving average."""
    below: dict[str, set[tuple[str, object]]] = {}
    for record in checkpoint.tensors:
        root, _, rest = record.name.partition(".")
        if rest:
            below.setdefault(root, set()).add((rest, record.shape))
    alike: dict[frozenset[tuple[str, object]], list[str]] = {}
    for root, names in below.items():
        alike.setdefault(frozenset(names), []).append(root)
    return {
        frozenset(roots)
        for names, roots in alike.items()
        if len(roots) > 1 and (len(names) > 1 or any(AVERAGE.search(root) for root in roots))
    }


def _is_model_again(names: Sequence[str], again: set[frozenset[str]]) -> bool:
    """Whether names differ only by such roots."""
    roots = {name.partition(".")[0] for name in names}
    return len({name.partition(".")[2] for name in names}) == 1 and any(roots <= each for each in again)
