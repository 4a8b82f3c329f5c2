"""What is published: the README of an index, the addresses of the project, what the workflows run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from hatch_build import CustomMetadataHook, make_absolute
from paraminspect import __version__
from scripts import check_package

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://github.com/example/paraminspect"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def described(**settings: str) -> dict[str, Any]:
    metadata = {"version": "1.2"}
    CustomMetadataHook(str(ROOT), {"repository": "", "email": "", **settings}).update(metadata)
    return metadata


def test_links_are_absolute_once_there_is_an_address() -> None:
    text = "![a](docs/tree.svg) [b](docs/specs.md#part), [c](#here) [d](https://x.org/y) [e](configs)\n```\n[f](g.md)\n```\n[h](i.md)"
    assert make_absolute(text, REPOSITORY, "v1.2", ROOT) == (
        f"![a]({REPOSITORY}/raw/v1.2/docs/tree.svg) [b]({REPOSITORY}/blob/v1.2/docs/specs.md#part), [c](#here) "
        f"[d](https://x.org/y) [e]({REPOSITORY}/tree/v1.2/configs)\n```\n[f](g.md)\n```\n[h]({REPOSITORY}/blob/v1.2/i.md)"
    )


def test_without_an_address_none_is_claimed() -> None:
    metadata = described()
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text()
    assert "urls" not in metadata
    assert metadata["authors"] == [{"name": "paraminspect developers"}]


def test_with_one_no_link_is_relative() -> None:
    metadata = described(repository=f"{REPOSITORY}/", email="a@example.org")
    text = re.sub(r"```.*?```|`[^`\n]*`", "", metadata["readme"]["text"], flags=re.DOTALL)
    assert check_package.RELATIVE_LINK.findall(text) == []
    assert f"]({REPOSITORY}/blob/v1.2/" in text
    assert metadata["urls"]["Changelog"] == f"{REPOSITORY}/blob/v1.2/CHANGELOG.md"
    assert metadata["authors"] == [{"name": "paraminspect developers", "email": "a@example.org"}]


def test_what_the_hook_fills_in_is_called_dynamic() -> None:
    filled = {*described(repository=REPOSITORY)} - {"version"}
    assert filled <= {*PROJECT["project"]["dynamic"]}


def test_a_release_without_an_address_is_refused(tmp_path: Path) -> None:
    settings = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    assert settings.keys() == check_package.TEST_VALUES.keys()
    if not all(settings.values()):
        with pytest.raises(check_package.PackageError, match=r"pyproject\.toml has no "):
            check_package.release(f"v{__version__}", tmp_path)


def test_settings_are_filled_for_a_test(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text((ROOT / "pyproject.toml").read_text())
    check_package.fill(path, check_package.TEST_VALUES)
    settings = tomllib.loads(path.read_text())["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    assert settings == check_package.TEST_VALUES


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["project"]["license"]


def test_each_python_that_is_claimed_is_tested() -> None:
    suite = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]["suite"]
    matrix = suite["strategy"]["matrix"]
    claimed = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["project"]["classifiers"]), re.MULTILINE)
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"
    assert {*claimed} <= {*matrix["python"]}
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_is_there_with_no_more_rights_than_it_says(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        rights = {name for name, right in job["permissions"].items() if right == "write"}
        assert rights <= {"id-token", "pages"}
        assert not rights or "environment" in job
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
            for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    assert all(re.search(r"# v\d", line) for line in path.read_text().splitlines() if "uses:" in line)


def test_the_image_is_built_of_files_that_are_there() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE):
        for name in line.split():
            assert (ROOT / name).exists()
            assert f"!{name}" in (ROOT / ".dockerignore").read_text().splitlines()
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users
    assert users[-1] not in ("0", "root")
