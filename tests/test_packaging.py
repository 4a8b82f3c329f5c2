"""The files around the package: what they claim about it, and the tools that keep the documents true."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from paraminspect import __version__
from paraminspect.render.columns import GROUPS, TENSORS
from paraminspect.render.rows import Column

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def fill_docs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    module = importlib.import_module("scripts.fill_docs")
    monkeypatch.setattr(module, "DEMO", tmp_path)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return module


@pytest.fixture
def benchmark_main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.__main__")


def constraints() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {normalise(name): Version(version) for name, version in pins}


def normalise(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_changelog_starts_with_this_version() -> None:
    first = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == __version__


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    listed = [*project["project"]["dependencies"], *groups["dev"], *groups["docs"]]
    wanted = [Requirement(text) for text in listed if isinstance(text, str)]
    pins = constraints()
    assert {normalise(need.name) for need in wanted} <= pins.keys()
    assert [str(need) for need in wanted if pins[normalise(need.name)] not in need.specifier] == []


def test_licence_is_the_one_that_is_declared() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_ci_runs_what_a_user_runs() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    made = [line.split()[1] for line in lines if line.startswith("make ")]
    assert made == ["demo", "test", "test-extra"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


@pytest.mark.parametrize(("command", "columns"), [("list", TENSORS), ("shared", GROUPS)])
def test_readme_explains_every_column(command: str, columns: Sequence[Column]) -> None:
    _, _, section = (ROOT / "README.md").read_text().partition(f"\n## `paraminspect {command} ")
    _, _, table = section.partition("| column, JSON key | meaning |\n")
    explained = re.findall(r"^\| `(\w+)` \| ", table.partition("\n\n")[0], re.MULTILINE)
    assert explained == [column.name for column in columns]


def test_a_block_is_what_its_command_prints(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "before\n\n<!-- run: printf 'a  \\nb' -->\n```console\nstale\n```\n\nafter `run`\n"
    assert fill_docs.fill(text, tmp_path) == (
        "before\n\n<!-- run: printf 'a  \\nb' -->\n```console\n$ printf 'a  \\nb'\na\nb\n```\n\nafter `run`\n"
    )


def test_a_table_of_columns_is_what_is_declared(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "a\n\n<!-- columns: grad --steps -->\n| old |\n| --- |\n\nb\n"
    assert fill_docs.fill(text, tmp_path).splitlines()[3:] == [
        "| column, JSON key | meaning |",
        "| --- | --- |",
        "| `norm_std` | deviation of the norm over the batches |",
        "| `untouched` | rows that none of them gave a gradient |",
        "",
        "b",
    ]
    for wrong in ("grad --no", "gard", "tree"):
        with pytest.raises(fill_docs.DocumentError, match="has no columns"):
            fill_docs.fill(f"<!-- columns: {wrong} -->\n| old |\n", tmp_path)


def test_a_command_runs_on_a_terminal_without_colour(fill_docs: ModuleType, tmp_path: Path) -> None:
    assert fill_docs.run_shell('test -t 1 && test -t 2 && echo "$NO_COLOR"', tmp_path, colour=False) == "1\n"
    assert fill_docs.run_shell("stty size <&1", tmp_path, colour=False) == f"50 {fill_docs.COLUMNS}\n"


def test_a_command_with_another_exit_status_is_an_error(fill_docs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(fill_docs.DocumentError, match="exit status 2, not 0"):
        fill_docs.fill("<!-- run: exit 2 -->\n```\n```\n", tmp_path)
    assert "$ exit 2" in fill_docs.fill("<!-- run, exit 2: exit 2 -->\n```\n```\n", tmp_path)


def test_a_document_has_a_folder_of_its_own_with_the_files_of_the_demo(fill_docs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("a model")
    (tmp_path / "configs").mkdir()
    lines = "cat model.pt; ls; echo x > left.pt"
    (tmp_path / "a.md").write_text(f"<!-- run: {lines} -->\n```\n```\n<!-- run: cat left.pt -->\n```\n```\n")
    (filled,) = fill_docs.fill_document("a.md").values()
    assert "a modela.md  configs  model.pt" in filled
    assert "$ cat left.pt\nx\n" in filled
    assert not (tmp_path / "left.pt").exists()


def test_check_writes_nothing_and_fails_on_a_stale_block(
    fill_docs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stale = "<!-- run: echo new -->\n```\nold\n```\n"
    (tmp_path / "README.md").write_text(stale)
    monkeypatch.setattr(fill_docs, "DOCUMENTS", ("README.md",))
    monkeypatch.setattr("sys.argv", ["fill_docs", "--check"])
    assert fill_docs.main() == 1
    assert (tmp_path / "README.md").read_text() == stale
    monkeypatch.setattr("sys.argv", ["fill_docs"])
    assert fill_docs.main() == 0
    assert "$ echo new\nnew\n" in (tmp_path / "README.md").read_text()
    monkeypatch.setattr("sys.argv", ["fill_docs", "--check"])
    assert fill_docs.main() == 0


def test_a_picture_is_drawn_alike_each_time_and_loads_nothing(fill_docs: ModuleType, tmp_path: Path) -> None:
    text = "<!-- picture: printf '\\033[31mred\\033[0m <name>' -->\n![words](docs/red.svg)\n"
    ((path, drawn),) = fill_docs.make_pictures(text, tmp_path).items()
    assert path == tmp_path / "docs" / "red.svg"
    assert fill_docs.make_pictures(text, tmp_path) == {path: drawn}
    assert ">red</text>" in drawn
    assert "&lt;name&gt;" in drawn
    assert re.findall(r"https?://[^\"]+", drawn) == ["http://www.w3.org/2000/svg"]


def test_a_link_that_leads_nowhere_is_an_error(fill_docs: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "there.md").touch()
    fill_docs.check_links("[a](there.md) [b](there.md#part) [c](https://example.org/x) [d](#part)", tmp_path)
    with pytest.raises(fill_docs.DocumentError, match=r"gone\.md"):
        fill_docs.check_links("[a](gone.md)", tmp_path)


def test_a_python_session_that_prints_something_else_is_an_error(fill_docs: ModuleType, tmp_path: Path) -> None:
    fill_docs.check_doctests("```pycon\n>>> n = 2\n```\ntext\n```pycon\n>>> n + 1\n3\n```\n", "README.md", tmp_path)
    with pytest.raises(fill_docs.DocumentError, match="Expected:"):
        fill_docs.check_doctests("```pycon\n>>> 1 + 1\n3\n```\n", "README.md", tmp_path)


def test_gpt2_has_as_many_parameters_as_the_published_one(benchmark_main: ModuleType) -> None:
    gpt2 = importlib.import_module("scripts.gpt2")
    shapes = gpt2.gpt2_shapes()
    assert len(shapes) == 148
    assert sum(width * (height[0] if height else 1) for width, *height in shapes.values()) == gpt2.PARAMETERS


def test_a_budget_is_not_met_by_a_command_that_failed(benchmark_main: ModuleType) -> None:
    cases = importlib.import_module("benchmarks.cases")
    measure = importlib.import_module("benchmarks.measure")
    case = cases.Case("one", "one", {}, cases.START_UP)

    def verdicts(elapsed_s: float, peak: int, status: int) -> list[str]:
        ours, other = measure.Run(elapsed_s, 1.0, peak, 10, status), measure.Run(1.0, 1.0, 1, 0, 0)
        measured = {cases.LIST: measure.summarise([ours]), cases.TYPER: measure.summarise([other])}
        return [benchmark_main.budget_row(case, budget, measured).split(" | ")[-1] for budget in case.budgets]

    slower, megabytes = (budget.bound for budget in cases.START_UP)
    assert verdicts(slower, int(megabytes * 1e6), 0) == ["yes |", "yes |"]
    assert verdicts(slower + 0.1, int(megabytes * 1e6) + 1_000_000, 0) == ["**no** |", "**no** |"]
    assert verdicts(0.1, 1, 2) == ["**no** |", "**no** |"]


def test_the_median_of_even_and_odd_numbers_of_runs(benchmark_main: ModuleType) -> None:
    measure = importlib.import_module("benchmarks.measure")

    def median(*times: float) -> float:
        return measure.summarise([measure.Run(time, 0.0, 1, 0, 0) for time in times]).median_s

    assert median(3.0, 1.0, 2.0) == 2.0
    assert median(4.0, 1.0, 2.0, 3.0) == 2.5
