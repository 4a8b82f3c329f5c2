"""Findings as SARIF 2.1.0, which code scanning services take.

One run; a rule for each kind of finding that was found; a result for each finding, with the file and, where it is known,
the offset of its bytes. SARIF has three levels, so that `danger` is an error with the property `severity`. Services show
lines: every result is on line 1, beside the offset that a binary file has instead.

Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", and "SARIF support for code scanning",
which says what GitHub needs of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from paraminspect.files.paths import uri_of
from paraminspect.summaries import Finding, Severity
from paraminspect.text import counted

SCHEMA_URI: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final[dict[Severity, str]] = {"info": "note", "warning": "warning", "error": "error", "danger": "error"}
SECURITY: Final[dict[Severity, str]] = {"warning": "4.0", "danger": "9.0"}
"""What GitHub calls security-severity, of kinds of finding about code that runs."""

MAX_RESULTS: Final = 25_000
"""GitHub refuses a file with more; those that are worst are kept."""

ROOT: Final = "%SRCROOT%"
"""What relative paths are relative to: the folder that is checked out."""

_WORST_FIRST: Final[tuple[Severity, ...]] = ("danger", "error", "warning", "info")


def render_sarif(
    findings: Sequence[tuple[str, Finding]],
    rules: Mapping[str, tuple[Severity, str, str]],
    version: str,
    *,
    unread: Sequence[str] = (),
) -> Iterator[str]:
    """One document.

    Args:
        rules: Severity, title and hint by code.
        unread: What keeps sources from being checked, one line each.
    """
    kept = sorted(findings, key=lambda each: _WORST_FIRST.index(each[1].severity))[:MAX_RESULTS]
    codes = {finding.code for _, finding in kept}
    used = [code for code in rules if code in codes]
    places = {code: place for place, code in enumerate(used)}
    driver = {
        "name": "paraminspect",
        "version": version,
        "semanticVersion": version,
        "rules": [_rule(code, *rules[code]) for code in used],
    }
    told = [("error", text) for text in unread]
    if len(kept) < len(findings):
        more = counted(len(findings) - len(kept), "finding")
        told.append(("warning", f"{more} beyond the first {MAX_RESULTS:,} left out"))
    invocation: dict[str, Any] = {"executionSuccessful": not unread}
    if told:
        invocation["toolExecutionNotifications"] = [{"level": level, "message": {"text": text}} for level, text in told]
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "columnKind": "unicodeCodePoints",
        "results": [_result(source, finding, places[finding.code]) for source, finding in kept],
    }
    yield json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(code: str, severity: Severity, title: str, hint: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": code,
        "name": "".join(word.capitalize() for word in code.split("-")),
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title}."},
        "help": {"text": f"{title}. What to do: {hint}." if hint else f"{title}."},
        "defaultConfiguration": {"level": LEVELS[severity]},
    }
    about_code = code.startswith(("pickle", "script", "polyglot", "zip", "path", "archive"))
    if about_code and severity in SECURITY:
        rule["properties"] = {"tags": ["security"], "security-severity": SECURITY[severity]}
    return rule


def _result(source: str, finding: Finding, rule: int) -> dict[str, Any]:
    path = source if finding.path is None or source == "-" else finding.path
    region: dict[str, Any] = {"startLine": 1}
    if finding.offset is not None:
        region |= {"byteOffset": finding.offset, "byteLength": 1}
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": _artifact(path), "region": region}}
    if finding.name:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.name}]
    place = f"{finding.name}: " if finding.name else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{place}{finding.message}"},
        "locations": [location],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(path, finding)},
        "properties": {"severity": finding.severity},
    }


def _fingerprint(path: str, finding: Finding) -> str:
    """The same for one finding in later versions of a file, as long as what it says is the same."""
    message = re.sub(r"\d[\d,]*", "0", finding.message)  # offsets and sizes move
    text = "\0".join((finding.code, path, finding.name, message))
    return f"{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}:1"


def _artifact(path: str) -> dict[str, str]:
    """Relative paths stay relative, which is what services want."""
    uri = uri_of(path)
    return {"uri": uri} if "://" in uri else {"uri": uri, "uriBaseId": ROOT}
