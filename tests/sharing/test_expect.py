"""Groups of names that must be one tensor."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.sharing import expect
from paraminspect.sharing.expect import find_broken, parse_expected, read_expected

NAMES = ["wte.weight", "lm_head.weight", "wpe.weight", "odd\x1bname"]
TIED = {"wte.weight": "wte.weight", "lm_head.weight": "wte.weight", "odd\x1bname": "wte.weight"}


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("a,b", [("a", "b")]), ("a\tb\tc\n", [("a", "b", "c")]), ("# remark\n\n a , b \n", [("a", "b")]),
        ("a,b\nc,d", [("a", "b"), ("c", "d")]), ("", []), ("a,a,b", [("a", "b")]),
        ('{"groups": [{"name": "a", "aliases": ["b", "c"], "kind": "alias"}]}', [("a", "b", "c")]),
        ('  {"groups": []}', []),
    ],
)  # fmt: skip
def test_lines_and_the_json_of_shared(text: str, due: list[tuple[str, ...]]) -> None:
    assert parse_expected(text) == due


@pytest.mark.parametrize("text", ["a", "a,a", ",", "a,b\nc"])
def test_a_group_of_one_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ParamInspectError, match=rf"^line {len(text.splitlines())} has fewer than two names"):
        parse_expected(text)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"groups": 3}',
        '{"groups": [{"name": "a"}]}',
        '{"groups": [{"name": 3, "aliases": []}]}',
        '{"a":' * 100_000,
    ],
)
def test_json_of_something_else(text: str) -> None:
    with pytest.raises(ParamInspectError, match="not the JSON of shared"):
        parse_expected(text)


@pytest.mark.parametrize(
    ("group", "due"),
    [
        (("wte.weight", "lm_head.weight"), None),
        (("lm_head.weight", "wte.weight", "odd\\x1bname"), None),  # as it is printed
        (("wte.weight", "wpe.weight"), "wte.weight and wpe.weight are not tied"),
        (("wpe.weight", "wte.weight"), "wpe.weight and wte.weight are not tied"),
        (("wte.weight", "lm_head.wieght"), "there is no lm_head.wieght; did you mean lm_head.weight?"),
        (("wte.weight", "mask"), "mask is no parameter, and left out without --all"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_said(group: tuple[str, ...], due: str | None) -> None:
    broken = find_broken([group], NAMES, TIED, hidden={"mask"})
    assert [line[-len(due or "") :] for line in broken] == ([due] if due else [])


def test_two_tensors_that_are_tied_to_others_are_not_tied_to_each_other() -> None:
    tied = {"a": "a", "b": "a", "c": "c", "d": "c"}
    assert find_broken([("a", "b"), ("c", "d"), ("a", "c")], "abcd", tied) == ["a and c are not tied"]


def test_names_that_were_meant_are_looked_for_a_few_times() -> None:
    broken = find_broken([("lm_head.wieght", "y")] * 100, NAMES, TIED)
    assert [("did you mean" in line) for line in broken] == [True] * expect.MAX_EXPLAINED + [False] * 90


def test_a_file_and_words_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ties").write_text("c,d\n")
    assert read_expected(["a,b"], str(tmp_path / "ties")) == [("a", "b"), ("c", "d")]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"e,f")))
    assert read_expected([], "-") == [("e", "f")]


@pytest.mark.parametrize(
    ("data", "message"), [(b"\xff,b", "not UTF-8"), (b"a", "line 1 has fewer"), (None, "no such file")]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "ties"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ParamInspectError, match=message) as caught:
        read_expected([], str(path))
    assert caught.value.source == str(path)


def test_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expect, "MAX_EXPECT_BYTES", 3)
    (tmp_path / "ties").write_text("a,b")
    assert read_expected([], str(tmp_path / "ties")) == [("a", "b")]
    (tmp_path / "ties").write_text("a,b\n")
    with pytest.raises(LimitExceededError):
        read_expected([], str(tmp_path / "ties"))
