"""`paraminspect init`: rules to a plan, the plan to values, values to a report and perhaps a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paraminspect.cli.chosen import Build, is_live
from paraminspect.cli.init_report import init_rows, on_a_table, say_notes, say_unmatched
from paraminspect.cli.output import Output
from paraminspect.cli.rules import ChosenRules, RuleOptions, collect_rules
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.records import Checkpoint, InitStep
from paraminspect.rules.steps import InitPlan, PlannedStep, plan_rules

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.live.build.live_model import LiveModel

STDOUT = "-"
REFUSED = 1
"""Exit status when a rule matches nothing, or --require-all finds a parameter without a rule."""


class InitOptions(NamedTuple):
    """What was typed: --rule and what belongs to it, --dry-run, --show, -o and what belongs to it."""

    rules: RuleOptions
    dry_run: bool = False
    show: bool = False
    file: str = ""
    shard_size: str = ""
    dtype: str = ""
    force: bool = False
    allow_unmatched: bool = False
    require_all: bool = False


Steps = list[tuple[PlannedStep, InitStep]]


class _Opened(NamedTuple):
    """A source: a live model or a checkpoint, and what rules do to it."""

    checkpoint: Checkpoint
    live: LiveModel | None
    plan: InitPlan


def initialise(source: str, build: Build, how: InitOptions, columns: Sequence[str], output: Output) -> int:
    """Initialise one source; returns the exit status.

    Args:
        source: What the user typed.
        build: How a spec or factory is built.
        how: What is to be done.
        columns: Of the report; none means all.
        output: Takes the report.

    Raises:
        ParamInspectError: Anything that keeps it from being done; nothing is written then.
    """
    _check(how, output)
    chosen = collect_rules(source, build, how.rules, output)
    opened = _open(source, how, chosen, output)
    if opened is None:
        output.finish()
        return output.status
    for note in opened.checkpoint.notes:
        output.note(note)
    plan = opened.plan
    say_unmatched(plan, output)
    unmatched = bool(plan.unmatched) and not how.allow_unmatched
    refused = unmatched or (bool(plan.kept) and how.require_all)
    if refused:
        output.status = max(output.status, REFUSED)
    if unmatched:
        output.note("nothing was done; --allow-unmatched goes on")
    if not chosen.rules:
        _say_no_rules(chosen, output)
    head = {"source": shown(source), "format": opened.checkpoint.format, "seed": how.rules.seed, "dry_run": how.dry_run}
    if how.dry_run or refused:
        planned = [(step, step.record()) for step in plan.steps if step.rule is not None]
        if how.dry_run:
            _report(planned, head, plan, columns, output)
    else:
        texts: dict[int, str] = {}
        done = _carry_out(opened, how, chosen, texts, output)
        places = {id(step): place for place, step in enumerate(plan.steps)}
        done.sort(key=lambda each: places[id(each[0])])
        if how.file != STDOUT:
            _report(done, head, plan, columns, output)
            output.write(texts[id(step)] for step, _ in done if id(step) in texts)
    if chosen.rules and not unmatched:
        say_notes(plan, output, tensors=how.file == STDOUT or output.format in ("table", "markdown"))
        if refused and not how.dry_run:
            output.note("nothing was done, since --require-all wants a rule for each")
    output.finish()
    return output.status


def _check(how: InitOptions, output: Output) -> None:
    if how.file == STDOUT and output.is_terminal:
        raise ParamInspectError(
            "a checkpoint is binary, and standard output is a terminal", hint="-o FILE.safetensors, or a pipe"
        )
    if how.show and output.format not in ("table", "markdown"):
        raise ParamInspectError(f"--show prints text, not {output.format}", hint="leave out --format, or use 'show'")
    if how.show and how.file == STDOUT:
        raise ParamInspectError("--show and -o - both write to standard output", hint="-o FILE")
    for option, value in (("--shard-size", how.shard_size), ("--dtype", how.dtype), ("--force", how.force)):
        if value and not how.file:
            raise ParamInspectError(f"{option} without -o", hint="-o FILE says where to write")


def _open(source: str, how: InitOptions, chosen: ChosenRules, output: Output) -> _Opened | None:
    """The source and its plan; None if weights do not fit."""
    if not is_live(source):
        from paraminspect.formats import open_source

        chosen.build.refuse()
        checkpoint = open_source(source)
        from paraminspect.live.init.find import checkpoint_targets  # imports torch, for what can be read

        found = checkpoint_targets(checkpoint.tensors)
        return _Opened(checkpoint, None, plan_rules(found.targets, chosen.rules, found.others))
    from paraminspect.cli.live import open_model
    from paraminspect.live.init.find import model_targets

    live = open_model(source, chosen.build, output, values=True, seed=how.rules.seed)
    if live is None:
        return None
    found = model_targets(live.model)
    return _Opened(live.checkpoint, live, plan_rules(found.targets, chosen.rules, found.others))


def _carry_out(opened: _Opened, how: InitOptions, chosen: ChosenRules, texts: dict[int, str], output: Output) -> Steps:
    """Draw, measure and write; fills `texts` with the tensors, for --show."""
    from paraminspect.cli.progress import Progress
    from paraminspect.live.init.draw import Drawing
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.live.init.run import Run
    from paraminspect.live.init.work import checkpoint_work, model_work

    drawing = Drawing(how.rules.seed, chosen.own or OwnFunctions())
    if opened.live is not None:
        work = model_work(opened.live, opened.plan)
    else:
        work = checkpoint_work(opened.checkpoint, opened.plan)
    look = _printer(texts) if how.show else None
    with Progress(output, "drawn") as progress:
        run = Run(drawing, dtype=how.dtype, look=look, progress=progress)
        if not how.file:
            return run.run([each for each in work if each.is_reported])
        from paraminspect.cli.init_output import write_checkpoint

        return write_checkpoint(opened.checkpoint, work, run, how, output)


def _printer(texts: dict[int, str]) -> Callable[[PlannedStep, Tensor], None]:
    """Keeps the text of each tensor under the id of its step."""
    from paraminspect.cli.live import tensor_array
    from paraminspect.text import escape_text
    from paraminspect.values.display import format_tensor

    def look(step: PlannedStep, tensor: Tensor) -> None:
        dtype = str(tensor.dtype).removeprefix("torch.")
        shape = ",".join(map(str, tensor.shape))
        values = format_tensor(tensor_array(tensor), dtype)
        texts[id(step)] = f"\n{escape_text(step.target.name)}  {dtype}  [{shape}]\n{values}\n"

    return look


def _say_no_rules(chosen: ChosenRules, output: Output) -> None:
    names = [name for config in chosen.configs for name in config.names]
    if names:
        output.note(f"no rule applies: the rule sets are {', '.join(names)} (--rule NAME chooses)")
    else:
        output.note("no rule applies: --rule 'SELECTOR=ACTION' gives one")


def _report(steps: Steps, head: Mapping[str, Any], plan: InitPlan, columns: Sequence[str], output: Output) -> None:
    rows = init_rows(steps, head, plan)
    if output.format in ("table", "markdown") and not columns:
        rows = on_a_table(rows, steps)
    output.write_rows(output.pick(rows, columns))
