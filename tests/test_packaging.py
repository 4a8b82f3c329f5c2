"""The files around the package: what they claim about it."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from paraminspect import __version__

ROOT = Path(__file__).resolve().parent.parent


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
