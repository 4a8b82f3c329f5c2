"""The pre-commit hook and the GitHub action: what they install, and the script that chooses the files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from packaging.requirements import Requirement

from paraminspect.formats.table import FORMATS
from scripts import fill_formats

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "check_changed.sh"
EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
ZEROS = "0" * 40


def light_dependencies() -> dict[str, Requirement]:
    """What a file is checked with: everything but torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {need.name: need for need in map(Requirement, project["dependencies"])}
    del needed["torch"]
    return needed


def closure(names: list[str]) -> set[str]:
    """Packages, and all that they depend on here."""
    found: set[str] = set()
    while names:
        name = names.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            needs = map(Requirement, requires(name) or [])
            names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_the_hook_names_all_it_needs_and_no_torch() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    flag, *named = hooks["paraminspect-check"]["additional_dependencies"]
    assert flag == "--no-deps"
    given = {need.name.replace("_", "-"): need for need in map(Requirement, named)}
    for name, need in light_dependencies().items():
        assert given[name.replace("_", "-")].specifier == need.specifier
    assert closure([*light_dependencies()]) <= set(given)
    assert "torch" not in given
    assert all(hook["args"] == ["--"] for hook in hooks.values())


def listed_for_files() -> list[str]:
    lines = (ROOT / fill_formats.LIGHT).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_list_for_files_is_that_of_the_hook() -> None:
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert hooks["paraminspect-check"]["additional_dependencies"][1:] == listed_for_files()


def test_windows_gets_what_it_needs_beside() -> None:
    needs = map(Requirement, listed_for_files())
    elsewhere = {need.name: need.marker for need in needs if need.marker is not None}
    assert [marker.evaluate({"platform_system": "Windows"}) for marker in elsewhere.values()] == [True]
    assert "colorama" in elsewhere


def test_the_action_installs_the_same() -> None:
    steps = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    (line,) = (line for step in steps for line in step.get("run", "").splitlines() if "pip install" in line)
    assert f'--no-deps --requirement "$ACTION/{fill_formats.LIGHT}" "$ACTION"' in line


@pytest.mark.parametrize(
    ("name", "chosen"),
    [("a.pt", True), ("a b/c.PTH", True), ("-x.bin", True), ("x.pth.tar", True), ("model.safetensors.index.json", True),
     ("a.pt2", True), ("a.onnx", True), ("__0_0.distcp", True), ("a.th", True), ("a.joblib", True), ("a.mar", True),
     ("step/.metadata", True), (".metadata", True), ("a.metadata", False),
     ("a.pt.txt", False), ("apt", False), ("config.json", False), ("new\nline.npz", True), ("a.pt\n", False)],
)  # fmt: skip
def test_hook_and_script_choose_the_same_files(name: str, chosen: bool) -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    (pattern,) = {hook["files"] for hook in hooks}
    script = re.search(r"^names='(.+)'$", SCRIPT.read_text(), re.MULTILINE)
    assert script is not None
    assert pattern == f"(?i){script[1]}"
    if "\n" not in name or chosen:  # git and pre-commit quote what they cannot show
        assert bool(re.search(pattern, name)) is chosen


def test_every_ending_of_the_table_is_chosen() -> None:
    for name in (name for row in FORMATS for name in (*row.endings, *row.names)):
        assert re.search(fill_formats.pattern(), f"folder/{name}"), name


@pytest.mark.parametrize("name", fill_formats.FILES)
def test_the_files_say_what_the_table_says(name: str) -> None:
    fill, text = fill_formats.FILES[name], (ROOT / name).read_text()
    assert fill(text) == text
    for old, new in ((".pt2", ".pt3"), ("|pt2|", "|"), ("rich>=13", "rich>=12")):
        if old in text and (name == "docs/formats.md" or old != ".pt2"):
            assert fill(text.replace(old, new, 1)) == text


class Repository:
    """A scratch repository, and the script run in it as a runner would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PARAMINSPECT"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GITHUB_ACTIONS": "true",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        self.git("init", "-q")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environ, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, **files: bytes | None) -> str:
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def run(self, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, "SARIF": "out.sarif", "FAIL_ON": "error", "DEEP": "false", "FILES": "", **more}
        return subprocess.run(
            ["bash", SCRIPT], cwd=self.path, env=environ, capture_output=True, text=True, check=False, timeout=120
        )

    def checked(self) -> set[str]:
        """Files that the SARIF tells of."""
        (run,) = json.loads((self.path / "out.sarif").read_text())["runs"]
        locations = [result["locations"][0]["physicalLocation"] for result in run["results"]]
        return {location["artifactLocation"]["uri"] for location in locations}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.pt"
    torch.save({"a.weight": torch.ones(2)}, path)
    return path.read_bytes()


def test_a_pull_request_checks_what_it_changes(repository: Repository, good: bytes) -> None:
    base = repository.commit(**{"old.pt": EVIL, "moved.pt": EVIL + b"1", "gone.pt": EVIL, "text.txt": b"x"})
    repository.git("mv", "moved.pt", "renamed.pt")
    repository.commit(
        **{"gone.pt": None, "good.pt": good, "-dash.pt": EVIL, "a b.PT": EVIL, "new\nline.pkl": EVIL, "é.bin": EVIL,
           "text.txt": b"y"}
    )  # fmt: skip
    done = repository.run(BASE=base)
    assert done.returncode == 1
    assert repository.checked() == {"renamed.pt", "-dash.pt", "a%20b.PT", "new%0Aline.pkl", "%C3%A9.bin"}
    assert "old.pt" not in done.stdout
    assert "\nnew\\nline.pkl\tdanger\t" in f"\n{done.stdout}"


def test_only_good_files_pass(repository: Repository, good: bytes) -> None:
    base = repository.commit(**{"old.pt": EVIL})
    repository.commit(**{"good.pt": good})
    done = repository.run(BASE=base)
    assert (done.returncode, done.stderr) == (0, "")
    assert repository.checked() == set()


def test_no_model_file_changed(repository: Repository) -> None:
    base = repository.commit(**{"old.pt": EVIL})
    repository.commit(**{"text.txt": b"x"})
    done = repository.run(BASE=base)
    assert (done.returncode, done.stdout) == (0, "no model files to check\n")
    assert not (repository.path / "out.sarif").exists()


@pytest.mark.parametrize("base", [ZEROS, "--output=x"])
def test_a_base_that_is_not_there_checks_everything(repository: Repository, base: str) -> None:
    repository.commit(**{"old.pt": EVIL})
    repository.commit(**{"new.pt": EVIL})
    assert repository.run(BASE=base).returncode == 1
    assert repository.checked() == {"old.pt", "new.pt"}


def test_files_that_are_named(repository: Repository, good: bytes) -> None:
    repository.commit(**{"a.pt": EVIL, "b c.pt": good, "pointer.pt": POINTER})
    assert repository.run(FILES="\nb c.pt\na.pt\n").returncode == 1
    assert repository.run(FILES="a.pt", FAIL_ON="never").returncode == 0
    done = repository.run(FILES="pointer.pt")
    assert done.returncode == 1
    assert (
        f"a Git LFS pointer, not the file it stands for: 12 bytes, sha256 {ZEROS[:24] + ZEROS}\tgit lfs pull"
        in done.stdout
    )


def test_the_options_reach_the_command(repository: Repository, tmp_path: Path) -> None:
    state: dict[str, Any] = {"a.weight": torch.full((2, 2), torch.nan)}
    torch.save(state, tmp_path / "nan.pt")
    repository.commit()
    assert repository.run(FILES="nan.pt").returncode == 0
    assert repository.run(FILES="nan.pt", DEEP="true").returncode == 1


def test_every_action_is_pinned_by_the_hash_of_a_commit_with_its_version_behind() -> None:
    lines = [line for line in (ROOT / "action.yml").read_text().splitlines() if "uses:" in line]
    assert lines
    assert all(re.fullmatch(r" +- uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line) for line in lines)
