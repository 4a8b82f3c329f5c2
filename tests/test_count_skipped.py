from __future__ import annotations

from pathlib import Path

from scripts.count_skipped import count_skipped

CASE = '<testcase classname="tests.a" name="{}">{}</testcase>'
SKIP = '<skipped type="pytest.skip" message="{}">where</skipped>'


def report(path: Path, **cases: str) -> Path:
    body = "".join(CASE.format(name, SKIP.format(reason) if reason else "") for name, reason in cases.items())
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>")
    return path


def test_what_one_run_skips_and_another_runs_has_run(tmp_path: Path) -> None:
    first = report(tmp_path / "1.xml", plain="", shell="there is no zsh", other="there is no zsh", root="root may read")
    second = report(tmp_path / "2.xml", shell="", other="there is no zsh")
    ran, skipped = count_skipped([first, second])
    assert ran == 2
    assert skipped == {"there is no zsh": 1, "root may read": 1}
