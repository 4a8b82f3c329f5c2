"""`paraminspect init`: rules to a plan, the plan to values, values to a report and perhaps a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from paraminspect.cli.init_report import init_rows, on_a_table, say_notes, say_unmatched
from paraminspect.cli.opened import REFUSED, open_one
from paraminspect.cli.output import Output
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.models.asked import Asked
from paraminspect.models.open import Model
from paraminspect.records import InitStep
from paraminspect.rules.steps import InitPlan, PlannedStep

if TYPE_CHECKING:
    from torch import Tensor

    from paraminspect.models.rules import ChosenRules

STDOUT = "-"


class InitOptions(NamedTuple):
    """What was typed: --dry-run, --show, -o and what belongs to it."""

    dry_run: bool = False
    show: bool = False
    file: str = ""
    shard_size: str = ""
    dtype: str = ""
    force: bool = False
    allow_unmatched: bool = False
    require_all: bool = False


Steps = list[tuple[PlannedStep, InitStep]]


def initialise(source: str, asked: Asked, how: InitOptions, columns: Sequence[str], output: Output) -> int:
    """Initialise one source; returns the exit status.

    Args:
        how: What is to be done.
        columns: Of the report; none means all.

    Raises:
        ParamInspectError: Anything that keeps it from being done; nothing is written then.
    """
    _check(how, output)
    opened = open_one(source, asked, output)
    if opened is None:
        output.finish()
        return output.status
    for note in opened.checkpoint.notes:
        output.note(note)
    plan, rules = opened.plan, opened.rules
    assert plan is not None
    assert rules is not None
    say_unmatched(plan, output)
    unmatched = bool(plan.unmatched) and not how.allow_unmatched
    refused = unmatched or (bool(plan.kept) and how.require_all)
    if refused:
        output.status = max(output.status, REFUSED)
    if unmatched:
        output.note("nothing was done; --allow-unmatched goes on")
    if not rules.rules:
        _say_no_rules(rules, output)
    head = {"source": shown(source), "format": opened.checkpoint.format, "seed": asked.seed, "dry_run": how.dry_run}
    if how.dry_run or refused:
        planned = [(step, step.record()) for step in plan.steps if step.rule is not None]
        if how.dry_run:
            _report(planned, head, plan, columns, output)
    else:
        texts: dict[int, str] = {}
        done = _carry_out(opened, asked, how, texts, output)
        places = {id(step): place for place, step in enumerate(plan.steps)}
        done.sort(key=lambda each: places[id(each[0])])
        if how.file != STDOUT:
            _report(done, head, plan, columns, output)
            output.write(texts[id(step)] for step, _ in done if id(step) in texts)
    if rules.rules and not unmatched:
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


def _carry_out(opened: Model, asked: Asked, how: InitOptions, texts: dict[int, str], output: Output) -> Steps:
    """Draw, measure and write; fills `texts` with the tensors, for --show."""
    from paraminspect.cli.progress import Progress
    from paraminspect.live.init.draw import Drawing
    from paraminspect.live.init.functions import OwnFunctions
    from paraminspect.live.init.run import Run
    from paraminspect.live.init.work import checkpoint_work, model_work

    plan, rules = opened.plan, opened.rules
    assert plan is not None
    assert rules is not None
    drawing = Drawing(asked.seed, rules.own or OwnFunctions())
    live = opened.live
    work = model_work(live, plan) if live is not None else checkpoint_work(opened.checkpoint, plan)
    look = _printer(texts) if how.show else None
    with Progress(output, "drawn") as progress:
        run = Run(drawing, dtype=how.dtype, look=look, progress=progress)
        if not how.file:
            return run.run([each for each in work if each.is_reported])
        from paraminspect.cli.init_output import write_checkpoint

        return write_checkpoint(
            opened.checkpoint, work, run, how.file, output, shard_size=how.shard_size, force=how.force
        )


def _printer(texts: dict[int, str]) -> Callable[[PlannedStep, Tensor], None]:
    """Keeps the text of each tensor under the id of its step."""
    from paraminspect.live.build.arrays import tensor_array
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
