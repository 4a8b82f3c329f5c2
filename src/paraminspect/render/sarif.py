"""Findings as SARIF 2.1.0, which code scanning services take.

One run; a rule for each kind of finding that was found; a result for each finding, with the file and, where it is known,
the offset of its bytes. SARIF has three levels, so that `danger` is an error with the property `severity`.

Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", and the properties GitHub reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from paraminspect.places.names import is_far, shown
from paraminspect.records import Finding, Severity

SCHEMA_URI: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final[dict[Severity, str]] = {"info": "note", "warning": "warning", "error": "error", "danger": "error"}
SECURITY: Final[dict[Severity, str]] = {"warning": "4.0", "danger": "9.0"}
"""What GitHub calls security-severity, of kinds of finding about code that runs."""


def render_sarif(
    findings: Sequence[tuple[str, Finding]], rules: Mapping[str, tuple[Severity, str, str]], version: str
) -> Iterator[str]:
    """One document.

    Args:
        findings: Each with its source.
        rules: Severity, title and hint by code.
        version: Of this program.
    """
    used = [code for code in rules if any(finding.code == code for _, finding in findings)]
    driver = {
        "name": "paraminspect",
        "version": version,
        "rules": [_rule(code, *rules[code]) for code in used],
    }
    results = [_result(source, finding, used.index(finding.code)) for source, finding in findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    yield json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(code: str, severity: Severity, title: str, hint: str) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": title},
        "defaultConfiguration": {"level": LEVELS[severity]},
    }
    if hint:
        rule["help"] = {"text": hint}
    about_code = code.startswith(("pickle", "script", "polyglot", "zip", "path", "archive"))
    if about_code and severity in SECURITY:
        rule["properties"] = {"tags": ["security"], "security-severity": SECURITY[severity]}
    return rule


def _result(source: str, finding: Finding, rule: int) -> dict[str, Any]:
    path = finding.path or source
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(path)}}
    if finding.offset is not None:
        physical["region"] = {"byteOffset": finding.offset, "byteLength": 1}
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.name:
        location["logicalLocations"] = [{"fullyQualifiedName": finding.name}]
    place = f"{finding.name}: " if finding.name else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{place}{finding.message}"},
        "locations": [location],
        "properties": {"severity": finding.severity},
    }


def _uri(path: str) -> str:
    """A path as a URI: relative ones stay relative, which is what services want."""
    if is_far(path):
        return shown(path)
    text = quote(path.replace("\\", "/"), errors="surrogateescape")
    return f"file://{text}" if path.startswith("/") else text
