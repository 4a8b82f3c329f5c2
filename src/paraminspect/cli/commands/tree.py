"""`paraminspect tree`."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.output import Output
from paraminspect.cli.report import describe_totals, totals_object
from paraminspect.cli.sources import Choice, choose_each
from paraminspect.modules import make_tree, total
from paraminspect.render.tree import render_tree, tree_object

EXAMPLES = """
paraminspect tree model.safetensors
paraminspect tree training.pt --module model --depth 2 | less
"""

Depth = Annotated[
    int | None,
    typer.Option("--depth", "-d", callback=options.not_negative, metavar="N", help="Only N levels of modules."),
]
NoFold = Annotated[
    bool, typer.Option("--no-fold", help="Every module on its own line, those that repeat each other too.")
]
TreeFormat = Annotated[
    Literal["auto", "text", "json"], typer.Option("--format", "-f", help="auto is text, on a terminal and in a pipe.")
]


def command(
    source: options.Source,
    *,
    select: options.Select = None,
    exclude: options.Exclude = None,
    module: options.Module = "",
    depth: Depth = None,
    no_fold: NoFold = False,
    everything: options.All = False,
    output_format: TreeFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Show a model as a tree of its modules.

    Each line says how many parameters a module holds and what share of the total that is.

    Siblings that are alike are folded into one line: "h.0 … h.11  ×12" stands above the contents of h.0. A tied tensor
    is counted once; its other names are shown with "= NAME". Exit status as of list.
    """
    output = Output("json" if output_format == "json" else "auto", colour=color)
    choice = Choice(module, tuple(select or ()), tuple(exclude or ()), everything=everything, aliases=True)
    for checkpoint, listing in choose_each([source], choice, output):
        tree = make_tree(listing)
        totals = total(listing)
        if output_format == "json":
            from paraminspect.render.json_rows import render_object

            head = {"source": checkpoint.source, "format": checkpoint.format}
            output.write([render_object({**head, "tree": tree_object(tree), "totals": totals_object(totals)})])
            continue
        label = module.rstrip(".") or _title(source)
        closing = describe_totals(totals)
        output.write(render_tree(tree, label, output.style(), depth=depth, fold=not no_fold, closing=closing))
    output.finish()
    return output.status


def _title(source: str) -> str:
    """What the first line calls a source: the last part of a path."""
    return "standard input" if source == "-" else os.path.basename(source.rstrip("/")) or source
