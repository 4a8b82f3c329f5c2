"""`paraminspect tree`."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.chosen import Choice, choose_from
from paraminspect.cli.declare import declare
from paraminspect.cli.opened import open_each, title
from paraminspect.cli.output import Output
from paraminspect.cli.results import describe_totals, totals_object
from paraminspect.errors import ParamInspectError
from paraminspect.names.listing import make_tree, total
from paraminspect.render.checkpoint_tree import render_tree, tree_object

Depth = Annotated[
    int | None, Option("--depth", "-d", callback=options.not_negative, metavar="N", help="Only N levels of modules.")
]
NoFold = Annotated[bool, Option("--no-fold", help="Every module on its own line, those that repeat each other too.")]
WithShapes = Annotated[
    bool, Option("--with-shapes", help="Output shape of each layer, for the spec's input or --input.")
]
TreeFormat = Annotated[
    Literal["auto", "text", "markdown", "json"],
    Option(
        "--format",
        "-f",
        help="auto is text, on a terminal and in a pipe; markdown is a block of code.",
        rich_help_panel=options.OUTPUT,
    ),
]


@declare(
    examples="""
paraminspect tree model.safetensors
paraminspect tree training.pt --module model --depth 2 | less
""",
    often="depth select with_shapes inputs no_fold everything output_format wide",
    names="parameters",
)
def command(
    source: options.Source,
    *,
    choose: options.Choose,
    depth: Depth = None,
    no_fold: NoFold = False,
    everything: options.All = False,
    with_shapes: WithShapes = False,
    build: options.Build,
    feed: options.Feed,
    output_format: TreeFormat = "auto",
    color: options.Color = "auto",
    wide: options.Wide = False,
) -> int:
    """Show a model as a tree of its modules.

    Each line says how many parameters a module holds and what share of the total that is.

    Siblings that are alike are folded into one line: "h.0 … h.11  ×12" stands above the contents of h.0. A tied tensor
    is counted once; its other names are shown with "= NAME". Of a spec or factory, the modules are shown as
    print(model) shows them; with --select, --exclude or --all its tensors. Exit status as of list.
    """
    output = Output("auto" if output_format == "text" else output_format, colour=color, wide=wide)
    choice = Choice(choose.module, choose.select, choose.exclude, everything, aliases=True)
    module = choose.module.rstrip(".")
    with_shapes = with_shapes or bool(feed.inputs or feed.input_file)
    as_modules = not (choose.select or choose.exclude or everything)
    for model in open_each([source], options.asked("names", build, feed=feed), output):
        if model.is_live and as_modules:
            from paraminspect.cli.live_tree import show_live_tree

            how = options.TreeOptions(module, depth, not no_fold, with_shapes, output_format == "json")
            show_live_tree(model, how, output)
            continue
        if with_shapes:
            raise ParamInspectError(
                "--with-shapes needs a spec that says its input, drawn as modules",
                hint="leave out --select, --exclude and --all" if model.is_live else "a checkpoint cannot run",
            )
        for _, listing in choose_from([model], [source], choice, output):
            tree = make_tree(listing)
            totals = total(listing)
            if output_format == "json":
                from paraminspect.render.json_rows import render_object

                head = {"source": model.checkpoint.source, "format": model.checkpoint.format}
                output.write([render_object({**head, "tree": tree_object(tree), "totals": totals_object(totals)})])
                continue
            label = module or title(source)
            closing = describe_totals(totals)
            output.write_text(render_tree(tree, label, output.style(), depth=depth, fold=not no_fold, closing=closing))
    output.finish()
    return output.status
