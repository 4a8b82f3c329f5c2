"""Options that several commands share: the groups of `declare`, and single ones that stand alone too."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, BadParameter, Option

from paraminspect.cli import output as writing
from paraminspect.cli.declare import Is
from paraminspect.errors import ParamInspectError
from paraminspect.models.asked import Asked, Want
from paraminspect.render.rows import Column, Format
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.render.chart import Chart

SPECS = "Specs and factories"
OUTPUT = "Output"
"""Headings of the help under which options stand that are alike in all commands."""

FILE = Is("file")

Sources = Annotated[
    tuple[str, ...],
    Argument(metavar="SOURCE...", help="Model files, folders, URLs, specs, factories (module:callable), or -."),
    Is("sources"),
]
Source = Annotated[
    str,
    Argument(metavar="SOURCE", help="Model file, folder, URL, spec, factory (module:callable), or -."),
    Is("source"),
]
All = Annotated[bool, Option("--all", "-a", help="All other tensors too: buffers, optimizer state, ..")]
Stored = Annotated[
    bool, Option("--stored", help="Quantised weights as they are stored, not the numbers that they stand for.")
]
Reverse = Annotated[bool, Option("--reverse", "-r", help="The last first.")]
Seed = Annotated[int, Option("--seed", metavar="N", help="Of all that is drawn.")]
Force = Annotated[bool, Option("--force", help="Overwrite.")]
AllowUnmatched = Annotated[bool, Option("--allow-unmatched", help="Go on if a rule matches nothing.")]
ShardSize = Annotated[
    str, Option("--shard-size", metavar="SIZE", help="Write a folder of files of at most this size: 5GB.")
]
RulesFile = Annotated[
    str, Option("--rules-file", metavar="FILE", help="Python file with initializers of your own; runs."), FILE
]
Color = Annotated[
    Literal["auto", "always", "never"],
    Option("--color", help="auto is yes on a terminal, unless NO_COLOR is set.", rich_help_panel=OUTPUT),
]
Wide = Annotated[
    bool,
    Option("--wide", help="Lines longer than the terminal is wide: all columns, for less -S.", rich_help_panel=OUTPUT),
]

Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Option("--device", help="auto takes an accelerator.")]
EngineName = Annotated[
    str,
    Option(
        "--engine",
        metavar="WHO",
        help="Who reads the values: local, dask (a cluster of this machine), dask://HOST:8786 or a scheduler file.",
    ),
    Is("engine"),
]
FloatName = Literal["float32", "float16", "bfloat16", "float64"]
"""Types that torch computes with on any device."""


class Choose(NamedTuple):
    """Which tensors are meant."""

    select: Annotated[
        tuple[str, ...],
        Option(
            "--select", "-s", metavar="PATTERN", help="Only names that match: a glob, /REGEX/ or TYPE:glob. Repeatable."
        ),
        Is("pattern"),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Option("--exclude", "-x", metavar="PATTERN", help="Leave out names that match. Repeatable."),
        Is("pattern"),
    ] = ()
    module: Annotated[
        str,
        Option("--module", "-m", metavar="PATH", help="Stay inside one module; names are relative to it."),
        Is("module"),
    ] = ""


class Build(NamedTuple):
    """How a spec or factory is built."""

    define: Annotated[
        tuple[str, ...],
        Option(
            "--define", "-D", metavar="NAME=VALUE", help="Set a variable of a spec. Repeatable.", rich_help_panel=SPECS
        ),
        Is("variable"),
    ] = ()
    modules_file: Annotated[
        str,
        Option(
            "--modules-file", metavar="FILE", help="Python file with layers for a spec; runs.", rich_help_panel=SPECS
        ),
        FILE,
    ] = ""
    arguments: Annotated[
        tuple[str, ...],
        Option("--arg", metavar="KEY=VALUE", help="An argument of a factory. Repeatable.", rich_help_panel=SPECS),
    ] = ()
    weights: Annotated[
        str,
        Option("--weights", "-w", metavar="CHECKPOINT", help="Load it into a spec or factory.", rich_help_panel=SPECS),
        FILE,
    ] = ""
    strip_prefix: Annotated[
        str, Option("--strip-prefix", metavar="TEXT", help="Take it off the checkpoint's names.", rich_help_panel=SPECS)
    ] = ""
    add_prefix: Annotated[
        str, Option("--add-prefix", metavar="TEXT", help="Put it before them.", rich_help_panel=SPECS)
    ] = ""
    allow_mismatch: Annotated[
        bool, Option("--allow-mismatch", help="Go on with what fits of the checkpoint.", rich_help_panel=SPECS)
    ] = False


class Rules(NamedTuple):
    """How parameters are initialised."""

    rules: Annotated[
        tuple[str, ...],
        Option(
            "--rule",
            metavar="RULE",
            help="selector=action, or the name of a rule set. Repeatable; the last match wins.",
        ),
        Is("rule"),
    ] = ()
    config: Annotated[str, Option("--config", metavar="FILE", help="Rule sets kept apart from the model."), FILE] = ""
    rules_file: RulesFile = ""
    seed: Seed = 0
    no_init: Annotated[bool, Option("--no-init", help="Leave out the rules that a spec applies by itself.")] = False


class Feed(NamedTuple):
    """What a model is called with."""

    inputs: Annotated[
        tuple[str, ...],
        Option(
            "--input",
            "-i",
            metavar="[NAME=]WHAT",
            help="An argument of forward: 2,4, {shape: .., dtype: ..}, a file, or !value. Repeatable.",
        ),
        FILE,
    ] = ()
    input_file: Annotated[
        str, Option("--input-file", metavar="FILE.py:NAME", help="A batch, or a function that makes one; runs."), FILE
    ] = ""


class Drawing(NamedTuple):
    """A picture beside the rows."""

    plot: Annotated[str, Option("--plot", metavar="FILE", help="Draw a picture: .svg, .html or .png."), FILE] = ""
    own_scale: Annotated[bool, Option("--own-scale", help="Of --plot: each row on a scale of its own.")] = False
    no_fold: Annotated[bool, Option("--no-fold", help="Of --plot: a row for each layer, those that are alike too.")] = (
        False
    )

    def check(self) -> None:
        """Refuse what cannot be drawn before anything slow is done.

        Raises:
            ParamInspectError: No such kind of picture, or an option of a picture without one.
        """
        from paraminspect.render.pictures import check_picture

        check_picture(self.plot)
        for name, given in (("--own-scale", self.own_scale), ("--no-fold", self.no_fold)):
            if given and not self.plot:
                raise ParamInspectError(f"{name} is about a picture, and there is no --plot", hint="--plot FILE.svg")

    def draw(self, chart: "Chart", out: writing.Output) -> None:
        """Write the picture, in place of the one before."""
        from paraminspect.render.chart import draw_chart
        from paraminspect.render.pictures import encode_picture, shown_by

        picture = draw_chart(chart, fold=not self.no_fold, own=self.own_scale, shown=shown_by(self.plot))
        out.write_to(self.plot, encode_picture(picture, self.plot), force=True)


class Rows(NamedTuple):
    """What is shown of rows."""

    columns: Annotated[
        str,
        Option("--columns", "-c", metavar="A,B,..", help="Only these columns, in this order.", rich_help_panel=OUTPUT),
        Is("column"),
    ] = ""
    header: Annotated[
        bool | None,
        Option(
            "--header/--no-header",
            help="Column names first, in tsv and csv.  [default: in csv]",
            rich_help_panel=OUTPUT,
        ),
    ] = None

    def choose(self, known: Sequence[Column]) -> tuple[str, ...]:
        """Names of the columns that are asked for; none means all of them.

        Raises:
            ParamInspectError: One is not known.
        """
        names = [name for word in self.columns.split(",") if (name := word.strip())]
        for name in names:
            if name not in (known_names := [column.name for column in known]):
                from paraminspect.names.suggestions import suggest

                hint = suggest(name, known_names, "the columns are", len(known_names))
                raise ParamInspectError(f"there is no column {name!r} here", hint=hint)
        return tuple(names)


class Output(NamedTuple):
    """How it is written."""

    format: Annotated[
        Literal["auto", Format],
        Option(
            "--format",
            "-f",
            help="Of what is printed: auto is a table on a terminal, tsv in a pipe.",
            rich_help_panel=OUTPUT,
        ),
    ] = "auto"
    color: Color = "auto"
    wide: Wide = False

    def open(self, header: bool | None = None, *, paged: bool = False) -> writing.Output:
        """What writes like this; `paged` into a pipe that a pager shows."""
        return writing.Output(self.format, colour=self.color, header=header, wide=self.wide, paged=paged)


def asked(
    want: Want,
    build: Build,
    rules: Rules | None = None,
    feed: Feed | None = None,
    *,
    edits: bool = False,
    allow_unmatched: bool = False,
) -> Asked:
    """What these options ask for.

    Args:
        want: What a source is opened for.
        rules: How it is initialised, of a command that has values.
        feed: What it is called with, of a command that runs it.

    Raises:
        ParamInspectError: An input is not described as it must be.
    """
    given = {**build._asdict(), **(rules._asdict() if rules is not None else {})}
    if feed is not None and (feed.inputs or feed.input_file):
        from paraminspect.architecture.given import plan_inputs

        given["inputs"] = plan_inputs(feed.inputs, feed.input_file)
    return Asked(want, edits, allow_unmatched=allow_unmatched, **given)


def refuse_without_output(file: str | None, given: Mapping[str, object]) -> None:
    """Refuse options that say how a file is written, where none is.

    Args:
        file: Of -o; "" or None where it was not typed.
        given: Option -> its value, which is false where it was not typed.
    """
    for option, value in given.items():
        if value and not file:
            raise ParamInspectError(f"{option} without -o", hint="-o FILE says where to write")


def not_negative(value: int | None) -> int | None:
    """Check a number of levels.

    Raises:
        BadParameter: It is below zero.
    """
    if value is not None and value < 0:
        raise BadParameter(f"{value} is below 0")
    return value


class TreeOptions(NamedTuple):
    """How a live model is drawn: the values of --module, --depth, --no-fold, --with-shapes and --format."""

    module: str = ""
    depth: int | None = None
    fold: bool = True
    with_shapes: bool = False
    json: bool = False
