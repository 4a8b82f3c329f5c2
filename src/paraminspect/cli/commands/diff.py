"""`paraminspect diff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice, describe_hidden
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.explain import with_source
from paraminspect.cli.opened import prefixed
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError, SelectionError
from paraminspect.names.changes import both_stored, rename
from paraminspect.names.listing import select_records
from paraminspect.records import TensorRecord
from paraminspect.render.columns import CHANGES

if TYPE_CHECKING:
    from paraminspect.models.open import Opened

DIFFERENT: Final = 1
"""Exit status when something differs."""

Before = Annotated[str, Argument(metavar="BEFORE", help="As SOURCE of the other commands."), Is("source")]
After = Annotated[str, Argument(metavar="AFTER", help="The same."), Is("source")]
Only = Annotated[
    Literal["names", "shapes", "values"] | None,
    Option("--only", help="names, and shapes with types and ties, read headers alone."),
]
Rtol = Annotated[
    float, Option("--rtol", min=0, metavar="X", help="Values differ if |before - after| > atol + rtol * |after|.")
]
Atol = Annotated[float, Option("--atol", min=0, metavar="X", help="The same.")]
Map = Annotated[
    tuple[str, ...],
    Option("--map", metavar="FROM=TO", help="Rename tensors of both: 'module.*=*'. Repeatable."),
    Is("rename"),
]


@declare(
    Table(CHANGES),
    examples="""
paraminspect diff base.safetensors tuned.safetensors
paraminspect diff old.pt new.gguf --map 'module.*=*' -f names | sort -u
""",
    often="only select rtol atol map_ columns format",
    status="0 no difference, 1 different, 2 after an error, such as values that cannot be decoded.",
)
def command(
    before: Before,
    after: After,
    *,
    only: Only = None,
    rtol: Rtol = 0.0,
    atol: Atol = 0.0,
    map_: Map = (),
    choose: options.Choose,
    rows: options.Rows,
    everything: options.All = False,
    stored: options.Stored = False,
    rules: options.Rules,
    build: options.Build,
    output: options.Output,
) -> int:
    """What has changed between two models, whatever their formats.

    Of values: the largest absolute difference, the norm of the difference relative to the norm before, and the cosine
    of the angle between both; nan where a value became NaN, or was. Both sides are read a piece at a time; quantised
    weights are compared as the tensors that they stand for. Two NaN are equal, and so are 0 and -0. A tensor that is
    tied to the same other one on both sides is compared once.
    """
    from paraminspect.cli.opened import open_pair
    from paraminspect.cli.progress import Progress
    from paraminspect.library.compared import compare_records, count_compared
    from paraminspect.values.diff import Tolerance
    from paraminspect.values.tabled import change_rows, describe_renamed, failures_as_errors

    out = output.open(rows.header)
    columns = rows.choose(CHANGES)
    sources = (before, after)
    if sources == ("-", "-"):
        raise ParamInspectError("standard input can be read once", hint="name a file on one side")
    sides = open_pair(sources, options.asked("plan" if only in ("names", "shapes") else "values", build, rules), out)
    if sides is None:
        out.finish()
        return out.status
    sides = (sides[0].as_stored(), sides[1].as_stored()) if stored else sides
    choice = Choice(choose.module, choose.select, choose.exclude, everything)
    chosen = [_choose(side, source, choice, sources, out) for side, source in zip(sides, sources, strict=True)]
    if not any(chosen):
        raise SelectionError("nothing is left to compare", hint="--all takes in optimizer state and plain attributes")
    old, new = (_renamed(records, map_, source) for records, source in zip(both_stored(*chosen), sources, strict=True))
    with Progress(out, "comparing") as progress:
        advance = progress.counting(count_compared(old, new))
        diff = compare_records(sides, old, new, only=only, tolerance=Tolerance(rtol, atol), advance=advance)
    out.write_rows(out.pick(change_rows(diff, sides[0].checkpoint, sides[1].checkpoint), columns))
    out.notes(describe_renamed(diff))
    for error in failures_as_errors(diff.failures, before):
        out.error(error)
    out.finish()
    return max(out.status, DIFFERENT if diff.changes else 0)


def _choose(
    side: Opened, source: str, choice: Choice, sources: Sequence[str], output: Output
) -> Sequence[TensorRecord]:
    """The tensors of one side that are meant, under every name, buffers included."""
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
