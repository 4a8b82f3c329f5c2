"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import typer

SPECS = "Specs and factories"
OUTPUT = "Output"
"""Headings of the help under which options stand that are alike in all commands."""

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="Model files, folders, URLs, specs, factories (module:callable), or -.",
        show_default=False,
    ),
]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="Model file, folder, URL, spec, factory (module:callable), or -.", show_default=False
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select", "-s", metavar="PATTERN", help="Only names that match: a glob, /REGEX/ or TYPE:glob. Repeatable."
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", "-x", metavar="PATTERN", help="Leave out names that match. Repeatable.")
]
Module = Annotated[
    str, typer.Option("--module", "-m", metavar="PATH", help="Stay inside one module; names are relative to it.")
]
All = Annotated[bool, typer.Option("--all", "-a", help="Buffers, optimizer state and all other tensors too.")]
Columns = Annotated[
    str,
    typer.Option(
        "--columns",
        "-c",
        metavar="A,B,..",
        help="Only these columns, in this order.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Column names first, in tsv and csv.  [default: in csv]",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]


def not_negative(value: int | None) -> int | None:
    """Check a number of levels.

    Raises:
        typer.BadParameter: It is below zero.
    """
    if value is not None and value < 0:
        raise typer.BadParameter(f"{value} is below 0")
    return value


FormatName = Literal["auto", "table", "tsv", "csv", "json", "jsonl", "markdown", "names"]
OutputFormat = Annotated[
    FormatName,
    typer.Option("--format", "-f", help="auto is a table on a terminal and tsv in a pipe.", rich_help_panel=OUTPUT),
]
Color = Annotated[
    Literal["auto", "always", "never"],
    typer.Option("--color", help="auto is yes on a terminal, unless NO_COLOR is set.", rich_help_panel=OUTPUT),
]

Define = Annotated[
    list[str] | None,
    typer.Option(
        "--define", "-D", metavar="NAME=VALUE", help="Set a variable of a spec. Repeatable.", rich_help_panel=SPECS
    ),
]
ModulesFile = Annotated[
    str,
    typer.Option(
        "--modules-file",
        metavar="FILE",
        help="Python file with layers for a spec; runs.",
        show_default=False,
        rich_help_panel=SPECS,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="KEY=VALUE", help="An argument of a factory. Repeatable.", rich_help_panel=SPECS),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        "-w",
        metavar="CHECKPOINT",
        help="Load it into a spec or factory.",
        show_default=False,
        rich_help_panel=SPECS,
    ),
]
StripPrefix = Annotated[
    str,
    typer.Option(
        "--strip-prefix",
        metavar="TEXT",
        help="Take it off the checkpoint's names.",
        show_default=False,
        rich_help_panel=SPECS,
    ),
]
AddPrefix = Annotated[
    str,
    typer.Option("--add-prefix", metavar="TEXT", help="Put it before them.", show_default=False, rich_help_panel=SPECS),
]
AllowMismatch = Annotated[
    bool,
    typer.Option(
        "--allow-mismatch", help="Go on with what fits of the checkpoint.", show_default=False, rich_help_panel=SPECS
    ),
]
Rules = Annotated[
    list[str] | None,
    typer.Option(
        "--rule", metavar="RULE", help="selector=action, or the name of a rule set. Repeatable; the last match wins."
    ),
]
ConfigFile = Annotated[
    str, typer.Option("--config", metavar="FILE", help="Rule sets kept apart from the model.", show_default=False)
]
RulesFile = Annotated[
    str,
    typer.Option(
        "--rules-file", metavar="FILE", help="Python file with initializers of your own; runs.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of all that is drawn.")]


class TreeOptions(NamedTuple):
    """How a live model is drawn: the values of --module, --depth, --no-fold, --with-shapes and --format."""

    module: str = ""
    depth: int | None = None
    fold: bool = True
    with_shapes: bool = False
    json: bool = False
