"""Findings as rows, with what they amount to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from paraminspect.checks.codes import SEVERITIES, worst
from paraminspect.records import Checkpoint
from paraminspect.render.columns import FINDINGS
from paraminspect.render.rows import Rows, merge_rows
from paraminspect.summaries import Finding, Severity
from paraminspect.text import counted
from paraminspect.tuples import NamedTuple


class Checked(NamedTuple):
    """What was found in a source.

    Attributes:
        source: As rows name it.
        what: What was checked: "148 tensors, torch zip".
    """

    source: str
    findings: list[Finding]
    what: str

    @property
    def closing(self) -> str:
        """The last line about it: "1 danger (148 tensors, torch zip)"."""
        return f"{count_findings(self.findings)} ({self.what})"


def describe_checked(checkpoint: Checkpoint | None, findings: Sequence[Finding] = ()) -> str:
    """What was checked: "148 tensors, torch zip"."""
    if checkpoint is None:
        return "not readable as a model" if findings else "what a loader would run was looked at"
    return f"{counted(len(checkpoint.tensors), 'tensor')}, {checkpoint.format}"


def finding_rows(checked: Sequence[Checked], *, always_named: bool = False) -> Rows:
    """The rows of all sources.

    Args:
        always_named: Whether a finding without a name goes by that of its source.
    """
    parts = []
    for each in checked:
        instead = each.source if always_named else ""
        values = [(each.source, f.severity, f.code, f.name or instead, f.message, f.hint) for f in each.findings]
        tail = {"worst": worst(each.findings), "totals": _totals(each.findings)}
        parts.append(Rows("findings", FINDINGS, values, {"source": each.source}, tail, count_findings(each.findings)))
    everything = [finding for each in checked for finding in each.findings]
    tail = {"worst": worst(everything), "totals": _totals(everything)}
    return parts[0] if len(parts) == 1 else merge_rows(parts, tail, count_findings(everything))


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
