"""Two sources, opened, compared and written: the rows of `diff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Literal

from paraminspect.cli.chosen import Choice, describe_hidden
from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import Given, prefixed
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.models.asked import Asked
from paraminspect.names.changes import both_stored, rename
from paraminspect.names.listing import select_records
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.models.open import Opened

ABSENT: Final = Checkpoint("none", ())
"""A side on which there is no model."""


class Comparing(NamedTuple):
    """How two models are compared: the values of the options."""

    asked: Asked
    choice: Choice
    maps: tuple[str, ...]
    only: Literal["names", "shapes", "values"] | None
    stored: bool
    rtol: float
    atol: float
    columns: tuple[str, ...]
    engine: str = "local"

    def write(self, given: tuple[Given, Given], out: Output) -> int:
        """Open both, write what has changed, and count it."""
        from paraminspect.cli.opened import open_pair
        from paraminspect.cli.progress import Progress
        from paraminspect.engines import open_engine
        from paraminspect.library.compared import compare_records, count_compared
        from paraminspect.values.compare import Tolerance
        from paraminspect.values.tabled import change_rows, describe_renamed, failures_as_errors

        sides = open_pair(given, self.asked, out)
        if sides is None:
            return 0
        sides = (sides[0].as_stored(), sides[1].as_stored()) if self.stored else sides
        titles = [title for _, title in given]
        chosen = [_choose(side, title, self.choice, titles, out) for side, title in zip(sides, titles, strict=True)]
        if not any(chosen):
            hint = "--all takes in optimizer state and plain attributes"
            raise SelectionError("nothing is left to compare", hint=hint)
        renamed = zip(both_stored(*chosen), titles, strict=True)
        old, new = (_renamed(records, self.maps, title) for records, title in renamed)
        tolerance = Tolerance(self.rtol, self.atol)
        with Progress(out, "comparing") as progress, open_engine(self.engine) as engine:
            advance = progress.counting(count_compared(old, new))
            diff = compare_records(sides, old, new, only=self.only, tolerance=tolerance, advance=advance, engine=engine)
        out.write_rows(out.pick(change_rows(diff, sides[0].checkpoint, sides[1].checkpoint), self.columns))
        out.notes(describe_renamed(diff))
        for error in failures_as_errors(diff.failures, titles[0]):
            out.error(error)
        return len(diff.changes)


def _choose(
    side: Opened, source: str, choice: Choice, sources: Sequence[str], output: Output
) -> Sequence[TensorRecord]:
    """The tensors of one side that are meant, under every name, buffers included."""
    if side.checkpoint is ABSENT:
        return ()
    try:
        chosen, hidden = select_records(
            side.checkpoint.tensors, choice.module.rstrip("."), choice.select, choice.exclude, choice.everything
        )
    except ParamInspectError as error:
        raise with_source(error, source) from None
    if what := describe_hidden(hidden).replace("shown", "compared", 1).replace("shows", "compares"):
        output.note(prefixed(what, source, sources))
    return chosen


def _renamed(records: Sequence[TensorRecord], maps: Sequence[str], source: str) -> dict[str, TensorRecord]:
    try:
        return rename(records, maps)
    except ParamInspectError as error:
        raise with_source(error, source) from None
