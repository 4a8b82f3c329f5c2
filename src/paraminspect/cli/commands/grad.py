"""`paraminspect grad`."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Table, declare
from paraminspect.cli.output import Output
from paraminspect.cli.ranks import joined, together
from paraminspect.cli.run_options import Run
from paraminspect.cli.shown import JSON, Shown, check_shard, check_shown
from paraminspect.render.columns import GRADIENT_CHANGES, GRADIENTS, SPREAD, USES
from paraminspect.text import list_some

if TYPE_CHECKING:
    from paraminspect.live.grad.told import Told

FOUND = 1
"""Exit status of --fail-on and --compare when there is something to find."""


@declare(
    Table(GRADIENTS),
    Table(GRADIENT_CHANGES, "with --compare", option="compare"),
    Table(USES, "with --all-uses", option="all_uses"),
    Table(USES, "with --uses", option="uses"),
    Table(SPREAD, "with --steps", option="steps", is_added=True),
    examples="""
paraminspect grad model.yaml -w model.safetensors --plot grads.svg
paraminspect grad build.py:make_net -i 2,3,32,32 | awk -F'\\t' '$3 != "ok"'
""",
    often="inputs loss uses steps fail_on plot save compare weights format",
    status="0, 1 for --fail-on, a difference of --compare or --weights that do not fit, 2 after an error; torchrun makes 1 of"
    " both, and the last line says which.",
)
def command(
    source: options.Source,
    *,
    feed: options.Feed,
    run: Run,
    rules: options.Rules,
    init: Annotated[bool, Option("--init", help="Initialise by the rules of the spec, after --weights too.")] = False,
    allow_unmatched: options.AllowUnmatched = False,
    shown: Shown,
    drawing: options.Drawing,
    rows: options.Rows,
    build: options.Build,
    output: options.Output,
) -> int:
    """Run a model backward once and say what came of every parameter.

    A state is ok, zero, none (no gradient, though one was wanted), frozen, nan or inf. On a terminal, norms are a chart;
    --format table has all columns. --uses splits the gradient of a tied parameter into one row a use.
    """
    from paraminspect.cli.opened import open_one
    from paraminspect.cli.progress import Progress, Waiting
    from paraminspect.live.grad.asked import plan_backward
    from paraminspect.live.init.told import describe_no_rules

    out = output.open(rows.header)
    shown = shown._replace(uses=shown.uses or shown.all_uses)
    check_shown(shown, output.format, out)
    drawing.check()
    known = USES if shown.uses and output.format not in JSON else (*GRADIENTS, *(SPREAD if shown.steps > 1 else ()))
    columns = rows.choose(GRADIENT_CHANGES if shown.compare else known)
    plan = plan_backward(**run._asdict(), steps=shown.steps, uses=shown.uses, seed=rules.seed, shard=shown.shard)
    one = together()
    check_shard(shown, run.device, one)
    asked = options.asked(
        "values" if shown.shard else "memory", build, rules, feed, edits=init, allow_unmatched=allow_unmatched
    )
    model = open_one(source, asked, out)
    if model is not None and model.live is not None:
        out.notes(model.plan.complaints() if model.plan is not None else ())
        if (init or rules.config) and (model.plan is None or not model.plan.rules):
            out.note(describe_no_rules())
        from paraminspect.live.grad.run import run_backward  # imports torch, for what can be built

        with nullcontext() if one is None else joined(one, model, rules.seed) as give:
            with Waiting(out, "forward and backward"), Progress(out, "run", "batches") as progress:
                told = run_backward(model.live, plan, on_step=lambda done: progress(done, shown.steps), give=give)
            if one is not None:
                one.meet().agree(None)
            is_first = one is None or one.launched.is_first
            if is_first:
                out.remark(*told.before)
                out.notes(told.notes)
                if drawing.plot:
                    drawing.draw(told.picture(), out)
            if is_first or shown.has_tensors:  # of which each process has a part
                _print(told, shown, columns, out, is_free=output.format == "auto", is_first=is_first)
        for state in shown.fail_on:
            if names := told.in_state(state):
                out.status = max(out.status, FOUND)
                out.note(f"--fail-on {state}: {list_some(names, 5)}")
    out.finish()
    return out.status


def _print(told: Told, shown: Shown, columns: tuple[str, ...], out: Output, *, is_free: bool, is_first: bool) -> None:
    """Files first, then rows, or a chart if the format is free; only the first of several processes writes files."""
    if shown.save and is_first:
        out.write_to(shown.save, told.encoded(), force=shown.force)
    elif shown.save:
        deque(told.encoded(), maxlen=0)
    if is_first and shown.save not in ("", "-"):
        out.note(f"wrote {shown.save}: {told.saved()}")
    if shown.compare:
        found = told.change_rows(shown.compare, shown.tolerance)
        out.write_rows(out.pick(found, columns))
        out.status = max(out.status, FOUND if found.values else 0)
    if shown.save == "-" or shown.compare:
        return
    if shown.tensors and out.format not in JSON:
        out.write_text(told.texts(out.style().width))
    elif shown.uses and out.format not in JSON:
        found = told.use_rows(every=shown.all_uses)
        if not found.values:
            out.note("no parameter is used more than once (--all-uses shows every use)")
        out.write_rows(out.pick(found, columns))
    elif is_free and out.is_terminal and not columns:
        out.write(told.chart(out.style()))
    else:
        found = out.pick(told.rows(), columns)
        out.write_rows(told.with_values(found) if shown.tensors else found)
