"""A source, or two, as one page: all that the other functions say of it, collected."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from paraminspect.errors import ParamInspectError
from paraminspect.files.seen import reading
from paraminspect.library.compared import Advance, compare_models
from paraminspect.models.open import Opened
from paraminspect.names.listing import Listing, make_listing
from paraminspect.records import TensorRecord
from paraminspect.render.rows import Rows
from paraminspect.summaries import Finding
from paraminspect.text import escape_text
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.engines.pool import Pool
    from paraminspect.live.grad.asked import BackwardPlan
    from paraminspect.values.collecting import Failure

FRAME_HEIGHT: Final = 720
"""Pixels of the page inside of a notebook."""


class Report:
    """A page that holds its data, asks for nothing and opens from disk."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    def pieces(self) -> Iterator[bytes]:
        """The page, in UTF-8, one piece after another."""
        from paraminspect.pages.page import render_page

        return render_page(self.document)

    @property
    def html(self) -> str:
        """The page."""
        return b"".join(self.pieces()).decode()

    def write(self, path: str, *, force: bool = False) -> None:
        """Write it to a file that appears whole or not at all.

        Raises:
            TargetError: It is there already, or cannot be written.
        """
        from paraminspect.writers.small_file import write_whole

        write_whole(path, self.pieces(), force=force)

    def __repr__(self) -> str:
        return f"Report({', '.join(escape_text(str(each['info']['source'])) for each in self.document['sources'])})"

    def _repr_html_(self) -> str:
        from html import escape

        return (
            f'<iframe title="paraminspect report" width="100%" height="{FRAME_HEIGHT}" sandbox="allow-scripts" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )


class Part(NamedTuple):
    """One source on the page.

    Attributes:
        members: As the page has it.
        notes: Remarks on it.
        failures: Tensors whose values could not be read.
    """

    members: Mapping[str, Any]
    notes: tuple[str, ...]
    failures: Sequence[Failure]


def plan_listing(opened: Opened, *, everything: bool) -> Listing:
    """The tensors of a source that the page shows, under all their names."""
    return make_listing(opened.checkpoint.tensors, everything=everything, aliases=True)


def records_of(listing: Listing) -> list[TensorRecord]:
    """Those whose values are read: each tensor once."""
    repeated = {*listing.repeated, *listing.tied_to}
    return [record for index, record in enumerate(listing.records) if index not in repeated]


def describe_source(
    opened: Opened,
    listing: Listing,
    *,
    values: bool = True,
    advance: Advance = lambda _: None,
    pool: Pool | None = None,
    deep: Callable[[int, int], None] | None = None,
) -> Part:
    """What the page says of one source.

    Args:
        listing: Of its tensors, as `plan_listing` has it.
        values: Whether they are read.
        advance: Is told of the bytes that are read.
        pool: Who reads them; None for this thread.
        deep: Asks for the findings of `check --deep`, which read all once more, and is told of bytes done of how many.

    Raises:
        ParamInspectError: It cannot be read.
    """
    from paraminspect.library.info import Described
    from paraminspect.pages.document import source_part

    described = Described(opened)
    statistics, failures = _statistics(opened, listing, advance, pool) if values else (None, [])
    notes = (*opened.checkpoint.notes, *described.notes, *_name_failures(failures))
    members = source_part(
        described.info, listing, notes=notes, findings=_find(opened, deep), statistics=statistics, ties=_ties(opened)
    )
    if opened.is_live:
        members["tensors"]["types"] = {path: each.classes[0] for path, each in opened.outline.once().items()}
    return Part(members, notes, failures)


def count_bytes(opened: Sequence[Opened], listings: Sequence[Listing]) -> int:
    """All that is read of one source, or of two that are compared too; each pass counts."""
    from paraminspect.library.compared import count_compared, pair_models

    read = sum(record.nbytes or 0 for listing in listings for record in records_of(listing))
    return read + (count_compared(*pair_models((opened[0], opened[1]))) if len(opened) > 1 else 0)


def compare(before: Opened, after: Opened, advance: Advance = lambda _: None, *, values: bool = True) -> Rows:
    """The rows of `diff` between two sources: of their parameters and buffers."""
    from paraminspect.values.tabled import change_rows

    found = compare_models((before, after), only=None if values else "shapes", advance=advance)
    return change_rows(found, before.checkpoint, after.checkpoint)


def report_models(
    opened: Sequence[Opened],
    *,
    values: bool = True,
    gradients: bool = False,
    everything: bool = False,
    deep: bool = False,
) -> Report:
    """The page of one source, or of two.

    Args:
        values: Whether they are read.
        gradients: Whether the first, which can run, is run backward once.
        everything: Buffers, optimizer state and other tensors too.
        deep: Whether values and checksums are read for findings.
    """
    rows = None
    if gradients:
        from paraminspect.live.grad.asked import BackwardPlan

        rows, _ = gradients_of(opened[0], BackwardPlan(uses=True))
    parts = []
    for each in opened:
        with reading(each.seen):
            listing = plan_listing(each, everything=everything)
            parts.append(describe_source(each, listing, values=values, deep=_say_nothing if deep else None))
    if len(opened) < 2:
        return make_report(parts, None, rows)
    with reading(*(each.seen for each in opened)):
        return make_report(parts, compare(opened[0], opened[1], values=values), rows)


def gradients_of(opened: Opened, plan: BackwardPlan) -> tuple[Rows, list[str]]:
    """The rows of `grad`, and what is to be said of them.

    Raises:
        ParamInspectError: It cannot run.
    """
    from paraminspect.live.grad.run import run_backward

    assert opened.live is not None  # it was opened to run
    told = run_backward(opened.live, plan, on_step=lambda _: None)
    return told.rows(), told.notes


def make_report(parts: Sequence[Part], changes: Rows | None = None, gradients: Rows | None = None) -> Report:
    """The page of one source, or of two of which the second is the later one."""
    from paraminspect.pages.document import change_part, document, gradient_part

    changed = None if changes is None else change_part(changes)
    passed = None if gradients is None else gradient_part(gradients)
    return Report(document(sys.modules["paraminspect"].__version__, [part.members for part in parts], changed, passed))


def _find(opened: Opened, deep: Callable[[int, int], None] | None) -> list[Finding]:
    from paraminspect.checks.opened import check_opened

    if opened.is_live:
        return check_opened(opened, deep=deep is not None)
    from paraminspect.checks.check import check_stored

    path = opened.source or opened.checkpoint.source
    try:
        return check_stored(path, deep=deep is not None, progress=deep or _say_nothing)[0]
    except ParamInspectError:  # a pipe is read once
        return check_opened(opened, deep=deep is not None)


def _say_nothing(done: int, total: int) -> None:
    """Nobody asked."""


def _ties(opened: Opened) -> list[Any]:
    from paraminspect.sharing.search import search

    found, _ = search(opened, everything=False, equal=False)
    return found.found.groups


def _statistics(
    opened: Opened, listing: Listing, advance: Advance, pool: Pool | None
) -> tuple[list[tuple[Any, ...] | None], list[Failure]]:
    """The cells of each tensor of a listing; none of a second name."""
    from paraminspect.values.collecting import collect
    from paraminspect.values.tabled import statistics_values

    records = records_of(listing)
    opened.expect(records)
    read = collect([[record] for record in records], opened.numbers, advance, pool)
    repeated = {*listing.repeated, *listing.tied_to}
    cells: list[tuple[Any, ...] | None] = []
    failures: list[Failure] = []
    for index in range(len(listing.records)):
        if index in repeated:
            cells.append(None)
            continue
        result = next(read)
        failures += result.failures
        cells.append(statistics_values(result.stats) if result.stats is not None else None)
    return cells, failures


def _name_failures(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    from paraminspect.values.tabled import failures_as_errors

    return [error.message for error in failures_as_errors(failures, "")]
