"""`paraminspect check`: findings of each source, and whether they are bad enough to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from paraminspect.checks.check import (
    arrange,
    check_checkpoint,
    check_deep,
    read_checkpoint,
    scan_files,
)
from paraminspect.checks.codes import CODES, SEVERITIES, rank, worst
from paraminspect.cli.explain import explain, with_source
from paraminspect.cli.opened import find_kinds, note_unloaded, open_one
from paraminspect.cli.output import Output
from paraminspect.cli.progress import Progress
from paraminspect.errors import ParamInspectError
from paraminspect.files.paths import shown
from paraminspect.models.asked import Asked, Kind
from paraminspect.models.recognise import recognise
from paraminspect.models.standard_input import as_file
from paraminspect.names.suggestions import suggest
from paraminspect.records import Checkpoint, Finding, Severity
from paraminspect.render.columns import FINDINGS
from paraminspect.render.rows import Rows, merge_rows
from paraminspect.text import counted

FAILED_CHECK: Final = 1
"""Exit status when a finding is as bad as --fail-on says."""


class CheckOptions(NamedTuple):
    """What is checked and how it is told: the values of --deep, --fail-on, --ignore, --quiet, --columns and sarif."""

    deep: bool = False
    fail_on: str = "error"
    ignore: tuple[str, ...] = ()
    quiet: bool = False
    columns: tuple[str, ...] = ()
    sarif: bool = False


class _Checked(NamedTuple):
    source: str
    findings: list[Finding]
    what: str


def report_findings(sources: Sequence[str], asked: Asked, how: CheckOptions, output: Output) -> int:
    """Check each source; returns the exit status.

    Raises:
        ParamInspectError: A code that there is not.
    """
    for code in how.ignore:
        if code not in CODES:
            hint = suggest(code, list(CODES), "the codes are", most=len(CODES))
            raise ParamInspectError(f"--ignore {code!r} is no kind of finding", hint=hint)
    checked: list[_Checked] = []
    unread: list[str] = []
    kinds = find_kinds(sources, asked)
    for source in sources:
        try:
            each = _check(source, asked, how, output, kinds)
        except Exception as error:
            told = with_source(error, source)
            output.error(told)
            unread.append(explain(told)[0])
            continue
        each = each._replace(findings=[finding for finding in each.findings if finding.code not in how.ignore])
        checked.append(each)
        if how.fail_on != "never" and any(rank(f.severity) >= _rank_of(how.fail_on) for f in each.findings):
            output.status = max(output.status, FAILED_CHECK)
        if not how.quiet and output.streams and not how.sarif:
            _write_rows([each], how.columns, output)
    if not how.quiet:
        _write(checked, unread, how, output)
    return output.status


def _rank_of(severity: str) -> int:
    return next(place for place, each in enumerate(SEVERITIES) if each == severity)


def _check(source: str, asked: Asked, how: CheckOptions, output: Output, kinds: Collection[Kind]) -> _Checked:
    kind = recognise(source).kind
    if kind != "checkpoint":
        return _check_live(source, asked, how, output, kinds)
    asked.kept_for(kind, kinds).refuse(kind)
    with as_file(source) as path:
        checkpoint, said = read_checkpoint(path)
        found = scan_files(path)
        if checkpoint is not None:
            said += check_checkpoint(checkpoint)
            if how.deep:
                from paraminspect.checks.values import stored_once

                total = sum(record.nbytes or 0 for record in stored_once(checkpoint.tensors))
                with Progress(output, "reading") as progress:
                    said += check_deep(checkpoint, progress.counting(total))
    return _Checked(shown(source), arrange(found, said), _describe(checkpoint))


def _check_live(source: str, asked: Asked, how: CheckOptions, output: Output, kinds: Collection[Kind]) -> _Checked:
    """Findings of a spec or factory: of its tensors, and with --deep of their values."""
    model = open_one(source, asked, output, kinds)
    if model is None:
        return _Checked(source, [], "the weights do not fit")
    note_unloaded(model, asked, output)
    found = check_checkpoint(model.checkpoint)
    if how.deep:
        from paraminspect.checks.values import check_values

        found += check_values(model.checkpoint.tensors, model.numbers)
    return _Checked(source, arrange([], found), _describe(model.checkpoint))


def _describe(checkpoint: Checkpoint | None) -> str:
    """What was checked: "148 tensors, torch zip"."""
    if checkpoint is None:
        return "not readable as a model"
    return f"{counted(len(checkpoint.tensors), 'tensor')}, {checkpoint.format}"


def _write(checked: Sequence[_Checked], unread: Sequence[str], how: CheckOptions, output: Output) -> None:
    if how.sarif:
        from paraminspect import __version__
        from paraminspect.render.sarif import render_sarif

        findings = [(each.source, finding) for each in checked for finding in each.findings]
        output.write(render_sarif(findings, CODES, __version__, unread=unread))
    elif output.format == "table" and not how.columns:
        _write_text(checked, output)
    elif not output.streams and checked:
        _write_rows(checked, how.columns, output)


def _write_text(checked: Sequence[_Checked], output: Output) -> None:
    from paraminspect.render.findings import render_findings

    style = output.style()
    for number, each in enumerate(checked):
        if number:
            output.write(["\n"])
        output.write(
            render_findings(each.source, each.findings, f"{count_findings(each.findings)} ({each.what})", style)
        )


def _write_rows(checked: Sequence[_Checked], columns: Sequence[str], output: Output) -> None:
    parts = []
    for each in checked:
        instead = each.source if output.format == "names" else ""  # a line says what it is about
        values = [(each.source, f.severity, f.code, f.name or instead, f.message, f.hint) for f in each.findings]
        head = {"source": each.source}
        tail = {"worst": worst(each.findings), "totals": _totals(each.findings)}
        parts.append(Rows("findings", FINDINGS, values, head, tail, count_findings(each.findings)))
    everything = [finding for each in checked for finding in each.findings]
    tail = {"worst": worst(everything), "totals": _totals(everything)}
    rows = parts[0] if len(parts) == 1 else merge_rows(parts, tail, count_findings(everything))
    output.write_rows(output.pick(rows, columns))


def _totals(findings: Sequence[Finding]) -> dict[Severity, int]:
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in SEVERITIES}


def count_findings(findings: Sequence[Finding]) -> str:
    """The closing line: "1 danger, 2 warnings", or "nothing found"."""
    counts = Counter(finding.severity for finding in findings)
    words = {"info": "info", "warning": "warning", "error": "error", "danger": "danger"}
    parts = [
        f"{counts[each]:,} {words[each]}{'s' * (counts[each] > 1 and each in ('warning', 'error'))}"
        for each in reversed(SEVERITIES)
        if counts[each]
    ]
    return ", ".join(parts) or "nothing found"
