"""Whether loading a source runs code, in one line: what `check` finds of pickles, scripts and archives, in short."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from paraminspect.checks.check import scan_files
from paraminspect.checks.codes import rank
from paraminspect.formats.table import formats_of_files
from paraminspect.records import Checkpoint
from paraminspect.summaries import Finding, Safety

LOOK: Final = "run paraminspect check"

CODES: Final = frozenset(
    {
        "pickle-danger", "pickle-computed-call", "pickle-patch", "pickle-memory", "pickle-calls-unknown",
        "pickle-unknown", "pickle-broken", "pickle-hidden", "script-danger", "script-unknown", "native-code", "polyglot",
        "zip-duplicate", "zip-roots", "zip-mismatch", "path-escape", "archive-link", "limit",
    }
)  # fmt: skip
"""Findings that tell what a loader would run, or that it may read something else than we do."""

_UNKNOWN: Final = frozenset({"pickle-calls-unknown", "pickle-unknown", "script-unknown"})


def tell_safety(sources: Iterable[str], checkpoint: Checkpoint) -> Safety:
    """What stored files run, which are looked into again.

    Args:
        sources: Paths, URLs, or "-" for standard input that is a file.
    """
    is_pickle = any(row.is_pickle for row in formats_of_files(checkpoint))
    found = [
        each for source in sources for each in scan_files(source) if each.code in CODES and each.severity != "info"
    ]
    quiet = "pickle, nothing unknown" if is_pickle else f"no code: {checkpoint.format}"
    if not found:
        return Safety(quiet)
    worst = max(found, key=lambda each: rank(each.severity))  # the first of them
    more = sum(each.severity == worst.severity for each in found) - 1
    text = _in_short(worst) + (f" and {more:,} more" if more else "")
    if worst.code in _UNKNOWN:
        text += ", not torch's own"
    file = worst.name.partition("!")[0] if len(checkpoint.files) != 1 or not is_pickle else ""
    if not is_pickle and file:
        text = f"{quiet}; beside it {file} {text}"
    else:
        text = f"{file or ('pickle' if is_pickle else checkpoint.format)}: {text}"
    return Safety(f"{text} — {LOOK}", worst.severity)


def _in_short(finding: Finding) -> str:
    """The message without place, empty arguments and reasons: "calls posix.system('id')"."""
    return finding.message.partition(" at byte ")[0].removesuffix("()")
