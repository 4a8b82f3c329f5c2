"""Formats, colours and widths as the stream and the environment ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from paraminspect.cli import app
from paraminspect.cli.output import Output


def test_pipe_gets_tsv_and_terminal_a_table(run: Any) -> None:
    assert run("list", "net.pt").stdout.startswith("0.weight\t[3,4]\t")
    assert run("list", "net.pt", terminal=True, NO_COLOR="1").stdout.startswith("name      shape  dtype")


@pytest.mark.parametrize(
    ("terminal", "environ", "option", "coloured"),
    [
        (True, {}, "auto", True),
        (False, {}, "auto", False),
        (True, {"NO_COLOR": "1"}, "auto", False),
        (True, {"NO_COLOR": ""}, "auto", True),
        (True, {"TERM": "dumb"}, "auto", False),
        (False, {"FORCE_COLOR": "1"}, "auto", True),
        (False, {"FORCE_COLOR": "0"}, "auto", False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False),
        (True, {"NO_COLOR": "1"}, "always", True),
        (True, {"FORCE_COLOR": "1"}, "never", False),
    ],
)
def test_colour(run: Any, terminal: bool, environ: dict[str, str], option: str, coloured: bool) -> None:
    result = run("list", "net.pt", "--format", "table", "--color", option, terminal=terminal, **environ)
    assert ("\x1b[" in result.stdout, "\x1b[" in result.stderr) == (coloured, coloured)


@pytest.mark.parametrize("output_format", ["tsv", "csv", "json", "jsonl", "markdown", "names"])
def test_only_tables_are_coloured(run: Any, output_format: str) -> None:
    result = run("list", "net.pt", "--format", output_format, "--color", "always", terminal=True)
    assert "\x1b" not in result.stdout


def test_rows_of_a_pipe_are_never_shortened(run: Any) -> None:
    text = run("list", "gpt2.safetensors", "--format", "table", COLUMNS="20").stdout
    assert "h.11.attn.c_attn.weight  [768,2304]" in text
    assert "…" not in text


@pytest.mark.parametrize("columns", ["0", "-1", "wide", "", "²"])
def test_odd_columns_variable_means_80(run: Any, columns: str) -> None:
    text = run("list", "gpt2.safetensors", terminal=True, COLUMNS=columns).stdout
    assert text == run("list", "gpt2.safetensors", terminal=True, COLUMNS="80").stdout


def test_terminal_without_unicode_gets_ascii(run: Any) -> None:
    for name in ("list", "tree"):
        result = run(name, "gpt2.safetensors", terminal=True, encoding="ascii", COLUMNS="30")
        assert result.status == 0
        assert result.stdout.isascii()
        assert "..." in result.stdout
    assert "|   |-- " in run("tree", "gpt2.safetensors", terminal=True, encoding="ascii", NO_COLOR="1").stdout


def test_text_that_the_terminal_lacks_is_escaped(run: Any) -> None:
    result = run("list", "hostile.safetensors", terminal=True, encoding="latin-1", NO_COLOR="1")
    assert result.status == 0
    assert "\\u5c42.\\u6743\\u91cd" in result.stdout
    for arguments in (("tree", "--help"), ("list", "--help")):
        assert run(*arguments, encoding="latin-1").status == 0


def test_nothing_but_rows_is_on_standard_output(run: Any) -> None:
    result = run("list", "training.pt", "broken.pt", "--format", "jsonl")
    assert [json.loads(line)["source"] for line in result.stdout.splitlines()] == ["training.pt"] * 3
    assert [line.split(":")[0] for line in result.stderr.splitlines() if line] == ["error", "hint", "note", "note"]


def test_all_sources_bad_leaves_standard_output_empty(run: Any) -> None:
    for output_format in ("table", "tsv", "csv", "json", "jsonl", "markdown", "names"):
        result = run("list", "broken.pt", "nowhere.pt", "--format", output_format)
        assert (result.status, result.stdout) == (2, "")


def test_header_is_written_once(run: Any) -> None:
    for options in (["--header"], ["--format", "csv"]):
        assert run("list", "net.pt", "training.pt", *options).stdout.count("tied_to") == 1


def test_message_of_untrusted_text_is_escaped_on_standard_error(run: Any) -> None:
    assert run("list", "no\x1b[31m\u202e\nfile").stderr == "error: no\\x1b[31m\\u202e\\nfile: no such file or folder\n"


def test_tree_of_standard_input_has_a_title(run: Any) -> None:
    assert run("tree", "-").stdout.startswith("standard input  ")


def test_file_in_place_of_a_command(run: Any, tmp_path: Any) -> None:
    path = tmp_path / "model.pt"
    path.touch()
    assert run(str(path)) == run("info", str(path))


def test_unexpected_exception_of_a_command_is_reported(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "write_rows", lambda *_: {}["missing"])
    result = run("list", "net.pt")
    assert result.status == 2
    assert result.stderr.startswith("error: internal error: KeyError: 'missing'\n\nhint: ")
    assert run("list", "net.pt", PARAMINSPECT_DEBUG="1").stderr.startswith("Traceback (most recent call last)")
    assert not run("list", "net.pt", PARAMINSPECT_DEBUG="0").stderr.startswith("Traceback")


def test_no_command_shows_help_on_standard_error(run: Any) -> None:
    result = run()
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == run("--help").stdout


def test_every_command_has_two_examples_of_which_one_is_a_pipe(run: Any) -> None:
    for name in app.COMMANDS:
        examples = run(name, "--help").stdout.partition("Examples:\n")[2].strip().splitlines()
        assert len(examples) == 2
        assert all(example.strip().startswith(f"paraminspect {name} ") for example in examples)
        assert any(" | " in example for example in examples)
        assert max(map(len, run(name, "--help").stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("list --selct x m", "--select"),
        ("tree --wiht-shapes m", "--with-shapes"),
        ("list m --sort nmae", "name"),
        ("list m --format jsno", "json"),
        ("lits m", "paraminspect list m"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(run: Any, line: str, meant: str) -> None:
    result = run(*line.split())
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith(f"\nhint: did you mean {meant}?\n")


@pytest.mark.parametrize("line", ["list m --sort", "list m --sort zzz", "list m --zzz", "list", "list m --depth x"])
def test_any_other_mistake_is_answered_with_where_help_is(run: Any, line: str) -> None:
    result = run(*line.split())
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.endswith("\nhint: paraminspect list -h shows arguments, options and examples\n")


def test_help_as_a_command(run: Any) -> None:
    assert run("help", "list") == run("list", "--help")
    assert run("help") == run("--help")
    assert "did you mean paraminspect list --help?" in run("help", "lits").stderr
