"""README.md and the pages of docs/: what they claim, and the tools that keep them true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import paraminspect
from paraminspect.cli.app import COMMANDS, find_declared, make_group
from paraminspect.formats.shapes import MAX_TENSORS
from paraminspect.limits import OPCODES
from scripts import demo, make_demo, site_pages
from scripts.check_links import find_broken_links

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fill_docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.import_module("scripts.fill_docs")
    monkeypatch.setattr(demo, "DEMO", tmp_path)
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return module


def test_a_block_is_what_its_command_prints(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "before\n\n<!-- run: printf 'a  \\nb' -->\n```console\nstale\n```\n\nafter `run`\n"
    assert fill_docs.fill(text, tmp_path) == (
        "before\n\n<!-- run: printf 'a  \\nb' -->\n```console\n$ printf 'a  \\nb'\na\nb\n```\n\nafter `run`\n"
    )


def test_documents_see_of_the_demo_what_make_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, made = tmp_path / "folder", tmp_path / "demo"
    folder.mkdir()
    made.mkdir()
    for name in (*demo.FILES, "fc.safetensors"):  # a reader of the README typed what makes the last one
        (made / name).touch()
    monkeypatch.setattr(demo, "DEMO", made)
    demo.link(folder)
    demo.link(folder)
    assert {path.name for path in folder.iterdir()} == {"configs", *demo.FILES}


def test_the_demo_is_what_it_is_said_to_be() -> None:
    made = Path(make_demo.__file__).read_text()
    assert all(f'"{name}"' in made for name in demo.FILES)
    assert set(re.findall(r'folder / "([^"]+)"', made)) == {"configs", *demo.FILES}


def test_a_table_of_columns_is_what_is_declared(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "a\n\n<!-- columns: grad with --steps -->\n| old |\n| --- |\n\nb\n"
    assert fill_docs.fill(text, tmp_path).splitlines()[3:] == [
        "| column, JSON key | meaning |",
        "| --- | --- |",
        "| `norm_std` | deviation of the norm over the batches |",
        "| `untouched` | rows that none of them gave a gradient |",
        "",
        "b",
    ]
    for wrong in ("grad with --no", "gard", "tree"):
        with pytest.raises(fill_docs.DocumentError, match="has no columns"):
            fill_docs.fill(f"<!-- columns: {wrong} -->\n| old |\n", tmp_path)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_page_with_all_that_is_declared(name: str) -> None:
    page = (ROOT / "docs" / "commands" / f"{name}.md").read_text()
    assert page.startswith(f"# {name}\n")
    for table in find_declared(name).tables:
        assert f"<!-- columns: {f'{name} {table.when}'.strip()} -->\n| column" in page
    frame = site_pages.fill_page(page, ROOT / "docs" / "commands" / f"{name}.md", "")
    for option in (each for each in make_group().get_command(None, name).params if each.opts[0].startswith("-")):
        assert re.search(rf"^````{{option}} .*{re.escape(option.opts[-1])}\b", frame, re.MULTILINE)
        assert site_pages.escape(" ".join(option.help.split())) in frame
    assert "\n".join(find_declared(name).examples) in frame


@pytest.mark.parametrize(
    ("link", "without", "with_address"),
    [
        ("[a](../src/x.py)", "[a](../src/x.py)", "[a](https://host/src/x.py)"),
        ("[a](../src)", "a", "[a](https://host/src)"),
        ("[a](../NOTES.md)", "a", "[a](https://host/NOTES.md)"),
        ("[a](../docs/other.md)", "[a](../docs/other.md)", "[a](../docs/other.md)"),
        ("[a](other.md) [b](https://other)", "[a](other.md) [b](https://other)", "[a](other.md) [b](https://other)"),
    ],
)
def test_a_link_out_of_the_site(
    link: str, without: str, with_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(site_pages, "ROOT", tmp_path)
    (tmp_path / "src").mkdir()
    page = tmp_path / "docs" / "page.md"
    assert site_pages.fill_page(link, page, "") == without
    assert site_pages.fill_page(link, page, "https://host") == with_address


def test_the_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "library.md").read_text()
    listed = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", page, re.MULTILINE)
    assert sorted([*listed, "__version__"]) == sorted(paraminspect.__all__)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("*b* <c> [d] {f} g_h", r"\*b\* \<c\> \[d\] \{f\} g\_h"),
        ("unless --all-of is `a_*.b`, a_b", r"unless `--all-of` is `a_*.b`, a\_b"),
        ("a ` alone", r"a \` alone"),
    ],
)
def test_help_is_shown_as_it_stands(text: str, escaped: str) -> None:
    assert site_pages.escape(text) == escaped


def test_a_command_runs_on_a_terminal_without_colour(fill_docs: ModuleType, tmp_path: Path) -> None:
    assert fill_docs.run_shell('test -t 1 && test -t 2 && echo "$NO_COLOR"', tmp_path, colour=False) == "1\n"
    assert fill_docs.run_shell("stty size <&1", tmp_path, colour=False) == f"50 {fill_docs.COLUMNS}\n"


def test_a_command_with_another_exit_status_is_an_error(fill_docs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(fill_docs.DocumentError, match="exit status 2, not 0"):
        fill_docs.fill("<!-- run: exit 2 -->\n```\n```\n", tmp_path)
    assert "$ exit 2" in fill_docs.fill("<!-- run, exit 2: exit 2 -->\n```\n```\n", tmp_path)


def test_a_block_is_left_alone_where_the_program_that_it_needs_is_not_there(
    fill_docs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "<!-- run, needs no_such_program: echo new -->\n```\nold\n```\n"
    assert fill_docs.fill(text, tmp_path) == text
    assert capsys.readouterr().err == "there is no no_such_program, so this was not run: echo new\n"
    assert "$ echo new\nnew\n" in fill_docs.fill(text.replace("no_such_program", "sh"), tmp_path)


def test_commands_find_the_files_of_their_document(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "<!-- file: net.yaml -->\n```yaml\nmodel: []\n```\n<!-- run: cat net.yaml -->\n```\n```\n"
    assert fill_docs.fill(text, tmp_path).endswith("$ cat net.yaml\nmodel: []\n```\n")


def test_tables_say_what_the_constants_are(fill_docs: ModuleType, tmp_path: Path) -> None:
    filled = fill_docs.fill("<!-- limits: bounds -->\n| old |\n\n<!-- limits: budget -->\n| old |\n", tmp_path)
    assert f"| `MAX_TENSORS` | {MAX_TENSORS:,} | In one file; " in filled
    assert f"| opcodes of pickles | {OPCODES.free:,} | {OPCODES.per_byte:g} |" in filled


def test_layers_are_those_of_the_contract_and_say_what_they_are_for(fill_docs: ModuleType, tmp_path: Path) -> None:
    rows = fill_docs.fill("<!-- layers: what it is for -->\n| old |\n", tmp_path).splitlines()
    assert rows[1] == "| layer | what it is for |"
    assert "| `formats` | Bytes to records |" in rows
    assert [row for row in rows if row.endswith("|  |")] == []


def test_a_page_says_which_budgets_are_not_met(fill_docs: ModuleType, tmp_path: Path) -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    filled = fill_docs.fill("<!-- measured: missed -->\n| old |\n", tmp_path)
    assert len(filled.splitlines()) == 3 + results.count("| **no** |")


def run(fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["fill_docs", *words])
    return int(fill_docs.main())


def test_check_writes_nothing_and_fails_on_a_stale_block(
    fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stale = "<!-- run: echo new -->\n```\nold\n```\n"
    (tmp_path / "README.md").write_text(stale)
    assert run(fill_docs, monkeypatch, "--check") == 1
    assert (tmp_path / "README.md").read_text() == stale
    assert run(fill_docs, monkeypatch) == 0
    assert "$ echo new\nnew\n" in (tmp_path / "README.md").read_text()
    assert run(fill_docs, monkeypatch, "--check") == 0


def test_pages_are_made_with_the_readme_each_in_a_folder_of_its_own(
    fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "<!-- run: cat model.pt; ls; echo changed > other && mv other model.pt; cat model.pt -->\n```\n```\n"
    pages = [tmp_path / name for name in ("README.md", "docs/a.md", "docs/commands/b.md")]
    (tmp_path / "docs" / "commands").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr(demo, "FILES", ("model.pt",))
    (tmp_path / "model.pt").write_text("as it was\n")
    for page in pages:
        page.write_text(text)
    assert run(fill_docs, monkeypatch) == 0
    assert ["as it was\nconfigs  model.pt\nchanged\n" in page.read_text() for page in pages] == [
        True,
        True,
        True,
    ]
    assert (tmp_path / "model.pt").read_text() == "as it was\n"


def test_only_the_documents_that_are_named_are_made(
    fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pages = [tmp_path / "README.md", tmp_path / "other.md"]
    for page in pages:
        page.write_text("<!-- run: echo new -->\n```\n```\n")
    assert run(fill_docs, monkeypatch, "other.md") == 0
    assert ["new\n```" in page.read_text() for page in pages] == [False, True]


def test_a_picture_is_drawn_alike_each_time_and_loads_nothing(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "<!-- picture: printf '\\033[31mred\\033[0m <name>' -->\n![words](docs/red.svg)\n"
    ((path, drawn),) = fill_docs.make_pictures(text, tmp_path, tmp_path).items()
    assert path == tmp_path / "docs" / "red.svg"
    assert fill_docs.make_pictures(text, tmp_path, tmp_path) == {path: drawn}
    assert ">red</text>" in drawn
    assert "&lt;name&gt;" in drawn
    assert re.findall(r"https?://[^\"]+", drawn) == ["http://www.w3.org/2000/svg"]


@pytest.mark.parametrize(
    ("link", "broken"),
    [
        ("[a](there.md)", []),
        ("[a](gone.md)", ["gone.md"]),
        ("[a](there.md#one-part)", []),
        ("[a](there.md#1-two-code)", []),
        ("[a](there.md#one-part-1)", []),
        ("[a](there.md#one-part-2)", ["there.md#one-part-2"]),
        ("[a](there.md#not-a-heading)", ["there.md#not-a-heading"]),
        ("[a](#here) [b](#there)", ["#there"]),
        ("[a](https://example.org/x)", []),
        ("![a](gone.svg)", ["gone.svg"]),
        ("`[a](gone.md)`\n\n```\n[a](gone.md)\n```\n", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(link: str, broken: list[str], tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# One part\n\n```sh\n# not a heading\n```\n\n## 1. Two `code`\n\n## One part\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\n{link}\n")
    assert find_broken_links(page) == broken


def test_a_broken_link_fails_the_check(fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("[a](docs/gone.md)\n")
    assert run(fill_docs, monkeypatch, "--check") == 1


def test_a_python_session_that_prints_something_else_is_an_error(fill_docs: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("```pycon\n>>> n = 2\n```\ntext\n```pycon\n>>> n + 1\n3\n```\n")
    fill_docs.check_doctests(page)
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(fill_docs.DocumentError, match="Expected:"):
        fill_docs.check_doctests(page)
