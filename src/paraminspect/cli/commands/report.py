"""`paraminspect report`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, declare
from paraminspect.cli.output import Output
from paraminspect.cli.run_options import Run
from paraminspect.errors import ParamInspectError

if TYPE_CHECKING:
    from paraminspect.engines.pool import Engine
    from paraminspect.models.open import Opened
    from paraminspect.render.rows import Rows

After = Annotated[str, Argument(metavar="[SOURCE2]", help="A later one: what has changed is shown too."), Is("source")]
File = Annotated[str, Option("--output", "-o", metavar="FILE.html", help="Where to; else to a pipe."), options.FILE]
Show = Annotated[bool, Option("--open", help="Open it in a browser.")]
NoValues = Annotated[bool, Option("--no-values", help="Read headers only: no statistics, no changes of values.")]
Deep = Annotated[bool, Option("--deep", help="The findings of check --deep too, which reads all values once more.")]
Grad = Annotated[bool, Option("--grad", help="Run a spec or factory backward once, and show its gradients.")]


@declare(
    examples="""
paraminspect report model.safetensors -o report.html
paraminspect report base.safetensors tuned.safetensors | gzip > changes.gz
""",
    often="output_file show no_values grad inputs force",
    status="0, 2 after an error.",
)
def command(
    source: options.Source,
    after: After = "",
    *,
    output_file: File = "",
    show: Show = False,
    no_values: NoValues = False,
    deep: Deep = False,
    grad: Grad = False,
    everything: options.All = False,
    force: options.Force = False,
    feed: options.Feed,
    run: Run,
    rules: options.Rules,
    build: options.Build,
    color: options.Color = "auto",
) -> int:
    """Write one HTML page to look at and hand around.

    It holds its data, asks for nothing and opens from disk. What info, check, tree, stats, shared, diff and grad say, to filter, sort, zoom and compare: a map of the modules, a
    table of all tensors with their histograms, layers side by side, ties, changes, gradients. Of a file, values are
    read once and nothing of it is executed.
    """
    from paraminspect.cli.opened import open_one
    from paraminspect.cli.progress import Progress
    from paraminspect.library.report import compare, count_bytes, describe_source, make_report, plan_listing
    from paraminspect.writers.destination import check_before

    out = Output("auto", colour=color)
    options.refuse_without_output(output_file, {"--force": force})
    if output_file not in ("", "-"):
        check_before(output_file, force=force)
    elif show:
        raise ParamInspectError("--open needs a file to show", hint="-o report.html")
    elif not output_file and out.is_terminal:
        raise ParamInspectError("a page is no text for a terminal", hint="-o report.html, or a pipe")
    if deep and no_values:
        raise ParamInspectError("--deep reads values, and --no-values reads none", hint="leave out one of them")
    if grad and after:
        raise ParamInspectError("--grad shows one model", hint="leave out the second source")
    asked = options.asked("memory" if grad else "names" if no_values else "values", build, rules, feed)
    opened = [open_one(each, asked, out) for each in (source, after) if each]
    models = [model for model in opened if model is not None]
    if len(models) < len(opened):
        out.finish()
        return out.status
    gradients = _run(models[0], run, rules, out) if grad else None
    listings = [plan_listing(model, everything=everything) for model in models]
    nbytes = 0 if no_values else count_bytes(models, listings)
    with (
        _open_engine(values=not no_values) as engine,
        Progress(out, "reading") as progress,
        Progress(out, "checking") as checking,
    ):
        advance, told = progress.counting(nbytes), checking if deep else None
        pools = [None if engine is None else model.pool(engine, nbytes, holds_lock=True) for model in models]
        parts = [
            describe_source(model, listing, values=not no_values, advance=advance, pool=pool, deep=told)
            for model, listing, pool in zip(models, listings, pools, strict=True)
        ]
        changes = compare(models[0], models[1], advance, values=not no_values) if after else None
    out.notes(note for part in parts for note in part.notes)
    page = make_report(parts, changes, gradients)
    if output_file in ("", "-"):
        out.write_bytes(page.pieces())
    else:
        page.write(output_file, force=force)
        out.note(f"wrote {output_file}")
    if show:
        _open(output_file)
    out.finish()
    return out.status


def _open_engine(*, values: bool) -> AbstractContextManager[Engine | None]:
    """Who reads values; nobody where none are read."""
    if not values:
        return nullcontext()
    from paraminspect.engines import open_engine

    return open_engine()


def _run(model: Opened, run: Run, rules: options.Rules, out: Output) -> Rows:
    from paraminspect.cli.progress import Waiting
    from paraminspect.live.grad.asked import plan_backward

    if model.live is None:
        raise ParamInspectError(
            "a checkpoint cannot run", hint="name a spec or factory, with --weights", source=model.source
        )
    plan = plan_backward(**run._asdict(), uses=True, seed=rules.seed)
    from paraminspect.live.grad.run import run_backward

    with Waiting(out, "forward and backward"):
        told = run_backward(model.live, plan, on_step=lambda _: None)
    out.notes(told.notes)
    return told.rows()


def _open(path: str) -> None:
    import os
    import webbrowser
    from pathlib import Path

    if not webbrowser.open(Path(os.path.abspath(path)).as_uri()):
        raise ParamInspectError("no browser could be started", hint=f"open {path} in one")
