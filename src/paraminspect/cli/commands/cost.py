"""`paraminspect cost`."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import NOTHING_MATCHED
from paraminspect.cli.declare import Table, declare
from paraminspect.cli.opened import open_each
from paraminspect.cli.results import cost_rows, describe_cost
from paraminspect.live.cost.cost_plan import Attention, CostPlan
from paraminspect.live.cost.optimizers import Optimizer
from paraminspect.render.columns import COST_TOTALS, COSTS
from paraminspect.text import join_words, wrap
from paraminspect.tuples import NamedTuple

Depth = Annotated[
    int | None, Option("--depth", "-d", callback=options.not_negative, metavar="N", help="Only N levels of modules.")
]
Total = Annotated[bool, Option("--total", help="Only the totals.")]


class Plan(NamedTuple):
    """What is counted."""

    optimizer: Annotated[Optimizer, Option("--optimizer", help="Whose state training takes.")] = "adamw"
    dtype: Annotated[
        options.FloatName | None, Option("--dtype", help="Of parameters and inputs.  [default: as they are]")
    ] = None
    train: Annotated[bool | None, Option("--train/--eval", help="Mode of the modules.  [default: as built]")] = None
    attention: Annotated[
        Attention,
        Option("--attention", help="Kernel: auto as on a CPU, math keeps the scores, fused none, with dropout too."),
    ] = "auto"
    batch: Annotated[int | None, Option("--batch", min=1, metavar="N", help="Of a folder: sequences.")] = None
    context: Annotated[
        int | None,
        Option("--context", min=1, metavar="N", help="Of a folder: tokens of each.  [default: of its config]"),
    ] = None


@declare(
    Table(COSTS),
    Table(COST_TOTALS, "with --total", option="total_only"),
    examples="""
paraminspect cost model.yaml --optimizer sgd-momentum --dtype bfloat16
paraminspect cost build.py:make_net -i 2,3,32,32 | sort -k7nr | head
""",
    often="inputs optimizer dtype batch context depth columns format",
    status="0, 1 if --select or --exclude leave nothing, 2 after an error.",
)
def command(
    source: options.Source,
    *,
    choose: options.Choose,
    depth: Depth = None,
    plan: Plan,
    total_only: Total = False,
    rows: options.Rows,
    build: options.Build,
    feed: options.Feed,
    output: options.Output,
) -> int:
    """Count what a model takes: FLOPs and memory.

    A spec or factory runs once forward and backward without values, so that a model of any size takes seconds; each
    module has what those inside it take. Of a folder with a config.json: the weights, and the keys and values that a
    decoder keeps. A note says what is not counted.
    """
    from paraminspect.library.cost import choose_modules, tell_cost
    from paraminspect.models.open import open_model

    out = output.open(rows.header)
    columns = rows.choose(COST_TOTALS if total_only else COSTS)
    asked = options.asked("pass", build, feed=feed)
    wanted = CostPlan(**plan._asdict())
    for model in open_each([source], asked, out):
        cost = tell_cost(model, wanted, in_memory=lambda: open_model(source, asked._replace(want="memory")))
        out.notes(cost.notes)
        shown = choose_modules(cost, choose.module.rstrip("."), choose.select, choose.exclude, depth)
        if not shown.modules and not total_only:
            out.note(f"no module matches {join_words([repr(each) for each in choose.select or choose.exclude])}")
            out.status = max(out.status, NOTHING_MATCHED)
        if total_only and out.format == "table" and not columns:
            lines = describe_cost(cost.totals).splitlines()
            out.write(f"{wrap(line, out.style().width)}\n" for line in lines)
        else:
            out.write_rows(out.pick(cost_rows(shown, model, total_only=total_only), columns))
    out.finish()
    return out.status
