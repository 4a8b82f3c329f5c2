"""The manual pages: made from the commands, and what groff and mandoc take for right."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paraminspect.cli.app import COMMANDS, find_declared, make_group
from paraminspect.cli.first_word import PROGRAM
from scripts.make_man import FOLDER, INLINE, escape, fill, make_pages, rows

ROOT = Path(__file__).resolve().parent.parent
PAGES = make_pages()

UNESCAPED = {r"\e": "\\", r"\-": "-", r"\(aq": "'", r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\&": ""}


def plain(page: str) -> str:
    """The text of a page without its requests and escapes, on one line."""
    text = re.sub(r"^\.\\\".*|\\f[BIR]", "", page)
    text = re.sub(r"\\\[u([0-9A-F]+)\]", lambda match: chr(int(match[1], 16)), text)
    return " ".join(re.sub(r"\\(?:\(..|.)", lambda match: UNESCAPED[match[0]], text).split())


def test_the_pages_that_are_installed_are_these() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == PAGES
    assert set(PAGES) == {f"{PROGRAM}.1", *(f"{PROGRAM}-{name}.1" for name in COMMANDS)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_all_that_the_help_has(name: str) -> None:
    page = plain(PAGES[f"{PROGRAM}-{name}.1"])
    command = make_group().get_command(None, name)
    declared = find_declared(name)
    for sentence in re.split(r"(?<=\.)\s+", " ".join(f"{declared.about} {declared.status}".split())):
        assert sentence in page
        assert sentence in " ".join(command.help.split())
    for column in [column for table in declared.tables for column in table.columns]:
        assert f"{column.name} {', '.join(column.words)}" in page
        assert " ".join(INLINE.sub(lambda match: match[1], column.about).split()) in page
    for each in command.params:
        assert " ".join((each.help or "").split()) in page
        assert all(option in page for option in each.opts if option.startswith("-"))
    for line in declared.examples:
        assert line in page


def test_the_page_of_the_program_has_the_tables_of_the_site() -> None:
    page = plain(PAGES[f"{PROGRAM}.1"])
    for word in ("TorchScript archive", "GGUF", "NO_COLOR", "PARAMINSPECT_DEBUG", "Ctrl-C", *COMMANDS):
        assert word in page
    assert "---" not in page


def test_a_table_that_is_not_there_gives_nothing() -> None:
    assert list(rows("shell", "Formats")) == []


def test_every_variable_that_is_read_is_explained() -> None:
    read = set()
    for path in (ROOT / "src").rglob("*.py"):
        read |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z]\w*)"', path.read_text(encoding="utf-8")))
    assert {"NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "HOME"} <= read
    _, _, environment = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8").partition("\n## Environment\n")
    explained = set(re.findall(r"`([A-Z_]+)`", environment.partition("\n## ")[0]))
    assert read <= explained


@example(".TH")
@example("'quoted'")
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    filled = fill(escape(text))
    assert not any(line.startswith((".", "'")) for line in filled.splitlines())
    assert filled.isascii()
    assert plain(filled) == " ".join(text.split())


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
@pytest.mark.parametrize("name", PAGES)
def test_groff_has_nothing_to_say(name: str) -> None:
    words = ["groff", "-man", "-ww", "-z", "-Tutf8"]
    done = subprocess.run(words, input=PAGES[name], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.extra
@pytest.mark.skipif(shutil.which("mandoc") is None, reason="there is no mandoc here")
@pytest.mark.parametrize("name", PAGES)
def test_mandoc_has_nothing_to_say(name: str) -> None:
    words = ["mandoc", "-Tlint", "-W", "warning"]
    done = subprocess.run(words, input=PAGES[name], capture_output=True, text=True, check=False, timeout=60)
    # a page has a date once its version is released
    assert [line for line in done.stdout.splitlines() if "missing date" not in line] == []
