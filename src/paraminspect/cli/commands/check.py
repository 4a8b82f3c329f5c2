"""`paraminspect check`."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.output import Output
from paraminspect.records import Severity
from paraminspect.render.columns import FINDINGS
from paraminspect.render.rows import Format

FailOn = Annotated[Literal[Severity, "never"], Option("--fail-on", help="Exit 1 from a finding of this severity up.")]
Deep = Annotated[bool, Option("--deep", help="Read the values and all checksums too, not only headers and pickles.")]
Quiet = Annotated[bool, Option("--quiet", "-q", help="Print nothing but errors: the exit status says it.")]
Ignore = Annotated[
    tuple[str, ...], Option("--ignore", metavar="CODE", help="Leave out findings of this kind. Repeatable."), Is("code")
]
CheckFormat = Annotated[
    Literal["auto", Format, "sarif"],
    Option(
        "--format",
        "-f",
        help="auto is text on a terminal and tsv in a pipe; sarif is for code scanning.",
        rich_help_panel=options.OUTPUT,
    ),
]


@declare(
    Table(FINDINGS),
    examples="""
paraminspect check -q model.pt || echo bad
paraminspect check *.pt -f jsonl | jq 'select(.severity == "danger").name'
""",
    status="0, 1 from --fail-on up, 2 if a source cannot be opened.",
)
def command(
    source: options.Sources,
    *,
    deep: Deep = False,
    fail_on: FailOn = "error",
    ignore: Ignore = (),
    quiet: Quiet = False,
    rows: options.Rows,
    build: options.Build,
    rules: options.Rules,
    output_format: CheckFormat = "auto",
    color: options.Color = "auto",
) -> int:
    """Check that a model file is whole, sane and safe to load.

    Nothing of the file is run. A pickle, wherever in the file it hides, is read as far as a loader would, and each
    class and function it names is reported unless torch itself writes it: as danger if it can do harm, as warning if it
    is not known. Severities: info, warning, error (damaged), danger (do not load).
    """
    from paraminspect.cli.check import CheckOptions, report_findings

    output = Output("json" if output_format == "sarif" else output_format, colour=color, header=rows.header)
    chosen = rows.choose(FINDINGS)
    how = CheckOptions(deep, fail_on, ignore, quiet, chosen, output_format == "sarif")
    return report_findings(source, options.asked("values" if deep else "plan", build, rules), how, output)
