"""Published ways past scanners, each as a file."""

from __future__ import annotations

from pathlib import Path

from benchmarks.bypasses import write_bypasses, write_unknown
from paraminspect.checks.check import check_source
from paraminspect.checks.codes import worst


def test_each_is_a_danger(tmp_path: Path) -> None:
    found = {name: worst(check_source(tmp_path / name)) for name in write_bypasses(tmp_path)}
    assert len(found) > 110
    assert {name: severity for name, severity in found.items() if severity != "danger"} == {}


def test_a_call_of_what_nobody_knows_is_an_error_at_least(tmp_path: Path) -> None:
    found = {name: worst(check_source(tmp_path / name)) for name in write_unknown(tmp_path)}
    assert len(found) > 45
    assert {name: severity for name, severity in found.items() if severity not in {"error", "danger"}} == {}


def test_an_archive_of_7z_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"7z\xbc\xaf\x27\x1c\0\4" + bytes(40))
    (finding,) = check_source(path)
    assert (finding.severity, finding.code, finding.hint) == ("error", "unknown-format", "unpack it first")
