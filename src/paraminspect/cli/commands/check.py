"""`paraminspect check`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from paraminspect.cli import options
from paraminspect.cli.chosen import Build
from paraminspect.cli.output import Output

EXAMPLES = """
paraminspect check -q model.pt || echo bad
paraminspect check *.pt -f jsonl | jq 'select(.severity == "danger").name'
"""

FailOn = Annotated[
    Literal["info", "warning", "error", "danger", "never"],
    typer.Option("--fail-on", help="Exit 1 from a finding of this severity up."),
]
Deep = Annotated[
    bool, typer.Option("--deep", help="Read the values and all checksums too, not only headers and pickles.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors: the exit status says it.")]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="CODE", help="Leave out findings of this kind. Repeatable.")
]
Format = Annotated[
    Literal["auto", "table", "tsv", "csv", "json", "jsonl", "markdown", "names", "sarif"],
    typer.Option(
        "--format",
        "-f",
        help="auto is text on a terminal and tsv in a pipe; sarif is for code scanning.",
        rich_help_panel=options.OUTPUT,
    ),
]


def command(
    source: options.Sources,
    *,
    deep: Deep = False,
    fail_on: FailOn = "error",
    ignore: Ignore = None,
    quiet: Quiet = False,
    columns: options.Columns = "",
    header: options.Header = None,
    define: options.Define = None,
    modules_file: options.ModulesFile = "",
    arguments: options.Arguments = None,
    weights: options.Weights = "",
    strip_prefix: options.StripPrefix = "",
    add_prefix: options.AddPrefix = "",
    allow_mismatch: options.AllowMismatch = False,
    rule: options.Rules = None,
    config: options.ConfigFile = "",
    rules_file: options.RulesFile = "",
    seed: options.Seed = 0,
    output_format: Format = "auto",
    color: options.Color = "auto",
) -> int:
    """Check that a model file is whole, sane and safe to load.

    Columns: source, severity, code, name, message, hint.

    Nothing of the file is run. A pickle, wherever in the file it hides, is read as far as a loader would, and each
    class and function it names is reported unless torch itself writes it: as danger if it can do harm, as warning if it
    is not known. Severities: info, warning, error (damaged), danger (do not load). Exit status: 0, 1 from --fail-on up,
    2 if a source cannot be opened.
    """
    from paraminspect.cli.check import How, report_findings
    from paraminspect.cli.rules import RuleOptions

    output = Output("json" if output_format == "sarif" else output_format, colour=color, header=header)
    build = Build(
        tuple(define or ()), modules_file, tuple(arguments or ()), weights, strip_prefix, add_prefix, allow_mismatch
    )
    rules = RuleOptions(tuple(rule or ()), config, rules_file, seed)
    how = How(deep, fail_on, tuple(ignore or ()), quiet, columns, output_format == "sarif", rules)
    return report_findings(source, build, how, output)
