"""`paraminspect init`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from paraminspect.cli import options, written
from paraminspect.cli.declare import Table, declare
from paraminspect.cli.output import Output
from paraminspect.cli.ranks import together
from paraminspect.cli.written import STDOUT, TABLES, check_wanted
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.render.columns import STEPS

if TYPE_CHECKING:
    from paraminspect.library.init import Steps
    from paraminspect.library.init_wanted import Wanted
    from paraminspect.models.asked import Want
    from paraminspect.models.open import Opened
    from paraminspect.rules.steps import InitPlan

DryRun = Annotated[bool, Option("--dry-run", help="Print what would be done, and stop.")]
RequireAll = Annotated[bool, Option("--require-all", help="Exit 1 if no rule matches some parameter.")]
Show = Annotated[bool, Option("--show", help="Print the tensors as well.")]


@declare(
    Table(STEPS),
    examples="""
paraminspect init gpt2.yaml --dtype bfloat16 -o gpt2.safetensors
paraminspect init mlp.yaml --rule gaussian -o - | paraminspect list -
""",
    often="rules dry_run output_file seed config show force shard_size dtype",
    status="0, 1 if a rule matches nothing or --require-all finds a parameter that none matches, 2 after an error;"
    " torchrun makes 1 of both, and the last line says which.",
)
def command(
    source: options.Source,
    *,
    rules: options.Rules,
    dry_run: DryRun = False,
    show: Show = False,
    output_file: written.OutputFile = None,
    shard_size: options.ShardSize = "",
    dtype: written.Dtype = None,
    to: written.To = None,
    force: options.Force = False,
    allow_unmatched: options.AllowUnmatched = False,
    require_all: RequireAll = False,
    rows: options.Rows,
    build: options.Build,
    feed: options.Feed,
    output: options.Output,
) -> int:
    """Initialise parameters by rules, and say what that did.

    A rule is selector=action, such as '*.weight=normal(std=0.02)'; the last one that matches a parameter wins, and
    'paraminspect rules' lists the actions. Rules come from the spec or --config, then from --rule. Each tensor is drawn
    from its own stream, so the others do not matter. Without -o nothing is written. Started by torchrun, all ranks write a
    folder together, the same bytes as one process (of --to dcp, the same values).
    """
    from paraminspect.cli.opened import REFUSED, open_one
    from paraminspect.library.init_wanted import Wanted
    from paraminspect.live.init.told import describe_no_rules, describe_notes
    from paraminspect.outcomes import SEEDS

    if output_file == "":
        raise ParamInspectError("-o without a name", hint="-o FILE.safetensors; is a variable of the shell empty?")
    if show and output.format == "auto":
        output = output._replace(format="table")
    out = output.open(rows.header)
    wanted = Wanted(output_file or "", dtype or "", shard_size, force, to or "")
    check_wanted(wanted, out, show=show)
    one = together()
    if one is not None and not one.launched.is_first and (dry_run or not wanted.file):
        return 0  # there is nothing to share
    columns = rows.choose(STEPS)
    want: Want = "plan" if dry_run else "values"
    model = open_one(source, options.asked(want, build, rules, feed, edits=True, allow_unmatched=True), out)
    if model is not None and model.plan is not None and model.rules is not None:
        plan = model.plan
        out.notes([*model.checkpoint.notes, *plan.complaints()])
        unmatched = bool(plan.unmatched) and not allow_unmatched
        refused = unmatched or (bool(plan.kept) and require_all)
        if refused:
            out.status = max(out.status, REFUSED)
        if unmatched:
            out.note("nothing was done; --allow-unmatched goes on")
        if not model.rules.rules:
            out.note(describe_no_rules([name for config in model.rules.configs for name in config.names]))
        head = {
            "source": shown(source),
            "format": model.checkpoint.format,
            "seed": rules.seed,
            "seeds": SEEDS,
            "dry_run": dry_run,
        }
        if dry_run:
            _print([(act, act.record()) for act in plan.acts], head, plan, columns, out)
        elif not refused:
            _carry_out(model, wanted, head, columns, out, show=show)
        if model.rules.rules and not unmatched:
            as_table = wanted.file == STDOUT or out.format in TABLES
            out.notes(describe_notes(plan, tensors=as_table))
            if refused and not dry_run:
                out.note("nothing was done, since --require-all wants a rule for each")
    out.finish()
    return out.status


def _carry_out(
    model: Opened, wanted: Wanted, head: Mapping[str, Any], columns: Sequence[str], out: Output, *, show: bool
) -> None:
    from paraminspect.cli.progress import Progress
    from paraminspect.library.init import initialise

    assert model.plan is not None
    one = together()
    meeting = one.meet() if one is not None and wanted.file else None
    with Progress(out, "drawn") as progress:
        done = initialise(model, head["seed"], wanted, progress, shows=show, columns=out.style().width, meeting=meeting)
    out.notes(done.notes)
    if wanted.file != STDOUT:
        _print(done.steps, head, model.plan, columns, out)
        out.write_text(done.texts)


def _print(steps: Steps, head: Mapping[str, Any], plan: InitPlan, columns: Sequence[str], out: Output) -> None:
    from paraminspect.live.init.told import init_rows, on_a_table

    rows = init_rows(steps, head, plan)
    if out.format in TABLES and not columns:
        rows = on_a_table(rows, steps)
    out.write_rows(out.pick(rows, columns))
