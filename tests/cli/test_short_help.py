"""`-h` is a screen, `--help` everything, `help TOPIC` what commands share."""

from __future__ import annotations

from typing import Any

import pytest

from paraminspect.cli.app import COMMANDS, find_declared
from paraminspect.cli.topics import TOPICS
from paraminspect.formats.table import FORMATS
from paraminspect.rules.initializers import INITIALIZERS


@pytest.mark.parametrize("command", COMMANDS)
def test_a_screen(run: Any, command: str) -> None:
    result = run(command, "-h", terminal=True, COLUMNS="80")
    lines = result.stdout.splitlines()
    assert result.status == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[5].strip() == find_declared(command).examples[0]
    assert "…" not in result.stdout
    assert len(run(command, "--help").stdout.splitlines()) > len(lines)


def test_words_to_choose_from_are_on_the_screen(run: Any) -> None:
    """Also where there is no room for them beside the option."""
    for command, words in (
        ("list", "auto, table, tsv, csv, json, jsonl"),
        ("cost", "adamw, adam, sgd"),
        ("diff", "names|shapes"),
    ):
        assert words in " ".join(run(command, "-h", terminal=True, COLUMNS="80").stdout.split())


@pytest.mark.parametrize("topic", TOPICS)
def test_topics(run: Any, topic: str) -> None:
    result = run("help", topic)
    assert result.status == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    words = {row.name for row in FORMATS} if topic == "formats" else set(INITIALIZERS) if topic == "rules" else set()
    assert all(f"\n  {word}" in result.stdout for word in words)


def test_help_of_a_command_is_all_of_it(run: Any) -> None:
    assert run("help", "list").stdout == run("list", "--help").stdout
