"""SARIF held against what its schema and GitHub's code scanning ask for; `scripts/validate_sarif.py` asks the schema."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.checks.codes import CODES, SEVERITIES
from paraminspect.render import sarif
from paraminspect.render.sarif import render_sarif
from paraminspect.summaries import Finding, Severity

TEXTS = st.text(max_size=20)
FINDINGS = st.builds(
    Finding,
    st.sampled_from(SEVERITIES), st.sampled_from(sorted(CODES)), TEXTS, TEXTS, TEXTS,
    st.none() | st.text(min_size=1, max_size=20), st.none() | st.integers(0, 1 << 60),
)  # fmt: skip

REQUIRED: dict[str, set[str]] = {
    "run": {"tool", "results", "invocations", "columnKind"},
    "rule": {"id", "shortDescription", "fullDescription", "help", "defaultConfiguration", "name"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"},
}
"""Keys that GitHub says are required, and none that the schema does not have."""

URI = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?#\[\]-]|%[0-9A-F]{2})+")


def written(findings: list[tuple[str, Finding]], **more: Any) -> dict[str, Any]:
    document = json.loads("".join(render_sarif(findings, CODES, "1.0", **more)))
    assert set(document) == {"$schema", "version", "runs"}
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def found(severity: Severity = "danger", **more: Any) -> Finding:
    return Finding(severity, **{"code": "pickle-danger", "name": "", "message": "m", "hint": "", **more})


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), FINDINGS), max_size=8), st.lists(TEXTS, max_size=2))
def test_any_findings_are_what_code_scanning_takes(findings: list[tuple[str, Finding]], unread: list[str]) -> None:
    run = written(findings, unread=unread)
    assert set(run) == REQUIRED["run"]
    driver = run["tool"]["driver"]
    assert set(driver) == {"name", "version", "semanticVersion", "rules"}
    rules = driver["rules"]
    for rule in rules:
        assert REQUIRED["rule"] <= set(rule) <= REQUIRED["rule"] | {"properties"}
        assert rule["defaultConfiguration"]["level"] in {"note", "warning", "error"}
        assert all(rule[key]["text"] for key in ("shortDescription", "fullDescription", "help"))
        assert 0 <= float(rule.get("properties", {}).get("security-severity", "0")) <= 10
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert set(result) == REQUIRED["result"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"note", "warning", "error"}
        (location,) = result["locations"]
        region = location["physicalLocation"]["region"]
        assert region["startLine"] == 1
        assert region.keys() <= {"startLine", "byteOffset", "byteLength"}
        assert URI.fullmatch(location["physicalLocation"]["artifactLocation"]["uri"])
        assert re.fullmatch(r"[0-9a-f]{16}:1", result["partialFingerprints"]["primaryLocationLineHash"])
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is not bool(unread)
    ranks = [SEVERITIES.index(result["properties"]["severity"]) for result in run["results"]]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize(
    ("path", "uri", "base"),
    [
        ("models/a.pt", "models/a.pt", "%SRCROOT%"),
        ("a b%20c.pt", "a%20b%2520c.pt", "%SRCROOT%"),
        ("c:\\a.pt", "c%3A%5Ca.pt", "%SRCROOT%"),
        ("#?\n.pt", "%23%3F%0A.pt", "%SRCROOT%"),
        ("é.pt", "%C3%A9.pt", "%SRCROOT%"),
        ("bad\udcff.pt", "bad%FF.pt", "%SRCROOT%"),
        ("/tmp/a b.pt", "file:///tmp/a%20b.pt", None),
        ("https://example.org/a%20b.pt?x=1", "https://example.org/a%20b.pt?***", None),
        ("hf://org/name", "hf://org/name", None),
    ],
)
def test_paths_are_uris(path: str, uri: str, base: str | None) -> None:
    (result,) = written([(path, found(path=path))])["results"]
    artifact = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert (artifact["uri"], artifact.get("uriBaseId")) == (uri, base)
    if base:
        assert unquote_to_bytes(uri) == path.encode("utf-8", "surrogateescape")


def test_standard_input_is_called_what_the_user_called_it() -> None:
    (result,) = written([("-", found(path="/tmp/spool"))])["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "-"


def test_a_fingerprint_outlives_what_moves() -> None:
    def fingerprint(**more: Any) -> str:
        (result,) = written([("a.pt", found(**more))])["results"]
        return str(result["partialFingerprints"]["primaryLocationLineHash"])

    first = fingerprint(message="calls os.system at byte 1,024", offset=1024)
    assert fingerprint(message="calls os.system at byte 99", offset=99) == first
    others = [fingerprint(message="calls os.popen at byte 99"), fingerprint(path="b.pt"), fingerprint(name="x"),
              fingerprint(code="crc", message="calls os.system at byte 99")]  # fmt: skip
    assert len({first, *others}) == 5


def test_no_more_results_than_are_taken_and_the_worst_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MAX_RESULTS", 2)
    run = written([("a", found("info", code="remark")), ("b", found("danger")), ("c", found("warning"))])
    assert [result["level"] for result in run["results"]] == ["error", "warning"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["pickle-danger"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["message"]["text"] == "1 finding beyond the first 2 left out"


def test_what_could_not_be_read_is_said() -> None:
    run = written([], unread=["a.pt: no such file"])
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "a.pt: no such file"


def test_half_a_surrogate_pair_in_a_name_is_no_obstacle() -> None:
    document = written([("a.pt2", found(name="\ud800c.weight"))])
    assert document["results"][0]["partialFingerprints"]
