"""`paraminspect check`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal

from typer import Option

from paraminspect.cli import options
from paraminspect.cli.declare import Is, Table, declare
from paraminspect.cli.explain import explain, with_source
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import file_url, shown
from paraminspect.render.columns import FINDINGS
from paraminspect.render.rows import Format
from paraminspect.summaries import Severity

if TYPE_CHECKING:
    from paraminspect.checks.summed import Checked
    from paraminspect.engines.pool import Engine
    from paraminspect.models.asked import Asked, Kind

FAILED: Final = 1
"""Exit status when a finding is as bad as --fail-on says."""

MAX_SHOWN: Final = 20
"""Findings of one source that a terminal gets; a pipe gets all."""

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
        help="Of what is printed: auto is text on a terminal, tsv in a pipe; sarif is for code scanning.",
        rich_help_panel=options.OUTPUT,
    ),
]


@declare(
    Table(FINDINGS),
    examples="""
paraminspect check -q model.pt || echo bad
paraminspect check *.pt -f jsonl | jq 'select(.severity == "danger").name'
""",
    often="deep fail_on ignore quiet output_format columns",
    status="0, 1 from --fail-on up, 2 if a source cannot be opened.",
)
def command(
    source: options.Sources,
    *,
    deep: Deep = False,
    fail_on: FailOn = "error",
    ignore: Ignore = (),
    quiet: Quiet = False,
    engine: options.EngineName = "local",
    rows: options.Rows,
    build: options.Build,
    rules: options.Rules,
    output_format: CheckFormat = "auto",
    color: options.Color = "auto",
    wide: options.Wide = False,
) -> int:
    """Check that a model file is whole, sane and safe to load.

    Nothing of the file is run. A pickle, wherever in the file it hides, is read as far as a loader would, and each
    class and function it names is reported unless torch itself writes it: as danger if it can do harm, as warning if it
    is not known. Severities: info, warning, error (damaged), danger (do not load).
    """
    from paraminspect.checks.codes import CODES, rank, refuse_unknown
    from paraminspect.cli.opened import find_kinds
    from paraminspect.engines import open_engine

    if engine != "local" and not deep:
        raise ParamInspectError("--engine reads values, and a check of headers reads none", hint="--deep")
    refuse_unknown(ignore)
    out = Output("json" if output_format == "sarif" else output_format, colour=color, wide=wide, header=rows.header)
    columns, asked = rows.choose(FINDINGS), options.asked("values" if deep else "plan", build, rules)
    kinds = find_kinds(source, asked)
    checked: list[Checked] = []
    unread: list[str] = []
    with open_engine(engine) as readers:
        for each in source:
            try:
                found = _check(each, asked, kinds, out, readers, deep=deep)
            except Exception as error:
                out.error(told := with_source(error, each))
                unread.append(explain(told)[0])
                continue
            found = found._replace(findings=[finding for finding in found.findings if finding.code not in ignore])
            checked.append(found)
            if fail_on != "never" and any(rank(finding.severity) >= rank(fail_on) for finding in found.findings):
                out.status = max(out.status, FAILED)
            if not quiet and out.streams:
                _write_rows([found], columns, out)
    if not quiet and output_format == "sarif":
        from paraminspect import __version__
        from paraminspect.render.sarif import render_sarif

        findings = [(each.source, finding) for each in checked for finding in each.findings]
        out.write(render_sarif(findings, CODES, __version__, unread=unread))
    elif not quiet and out.format == "table" and not columns:
        _write_text(checked, out)
    elif not quiet and not out.streams and checked:
        _write_rows(checked, columns, out)
    out.finish()
    return out.status


def _check(source: str, asked: Asked, kinds: Collection[Kind], out: Output, engine: Engine, *, deep: bool) -> Checked:
    from paraminspect.checks.summed import Checked, describe_checked
    from paraminspect.cli.opened import note_unloaded, open_one
    from paraminspect.models.recognise import recognise
    from paraminspect.models.standard_input import as_file

    if (kind := recognise(source).kind) != "checkpoint":
        from paraminspect.checks.opened import check_opened

        model = open_one(source, asked, out, kinds)
        if model is None:
            return Checked(source, [], "not checked")
        note_unloaded(model, asked, out)
        return Checked(source, check_opened(model, deep=deep), describe_checked(model.checkpoint))
    from paraminspect.checks.check import check_stored

    asked.kept_for(kind, kinds).refuse(kind)
    with as_file(source) as path, Progress(out, "reading") as progress:
        found, checkpoint = check_stored(path, deep=deep, progress=progress, engine=engine)
    return Checked(shown(source), found, describe_checked(checkpoint, found))


def _write_text(checked: Sequence[Checked], output: Output) -> None:
    from paraminspect.render.findings import render_findings

    style = output.style()
    for number, each in enumerate(checked):
        output.write(["\n"] if number else [])
        most = MAX_SHOWN if output.is_terminal else None  # the worst come first
        target = file_url(each.source)
        output.write(render_findings(each.source, each.findings, each.closing, style, most=most, target=target))


def _write_rows(checked: Sequence[Checked], columns: Sequence[str], output: Output) -> None:
    from paraminspect.checks.summed import finding_rows

    output.write_rows(output.pick(finding_rows(checked, always_named=output.format == "names"), columns))
