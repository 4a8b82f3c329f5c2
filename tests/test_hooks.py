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
COMMENT = SCRIPT.with_name("comment_changed.sh")
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
    script = re.search(r"^names='(.+)'$", SCRIPT.with_name("model_files.sh").read_text(), re.MULTILINE)
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

    def run(self, script: Path = SCRIPT, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, "SARIF": "out.sarif", "FAIL_ON": "error", "DEEP": "false", "FILES": "", **more}
        return subprocess.run(
            ["bash", script], cwd=self.path, env=environ, capture_output=True, text=True, check=False, timeout=120
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


GH = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
for word; do case "$word" in body=@*) cp "${word#body=@}" "$CALLS.body"; exit "${POSTED:-0}";; esac; done
printf '%s' "${OLD:-}"
"""
"""What the script takes for `gh`: it keeps what it is called with, and answers the ids of comments."""


class PullRequest(Repository):
    """A scratch repository, and the script that comments on a pull request of it."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        super().__init__(path)
        self.calls = path.with_name("calls")
        binaries = path.with_name("bin")
        binaries.mkdir()
        (binaries / "gh").write_text(GH)
        (binaries / "gh").chmod(0o755)
        self.environ |= {
            "PATH": f"{binaries}{os.pathsep}{self.environ['PATH']}", "CALLS": str(self.calls), "REPOSITORY": "us/ours",
            "PULL_REQUEST": "7", "GITHUB_STEP_SUMMARY": str(path.with_name("summary")),
        }  # fmt: skip

    def comment(self, **more: str) -> tuple[str, str]:
        """What it posts how: the last call, and the text of the comment."""
        done = self.run(COMMENT, **more)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        body = self.calls.with_name("calls.body")
        last = self.calls.read_text().splitlines()[-1] if self.calls.exists() else done.stdout
        return last.partition(" -F ")[0], body.read_text() if body.exists() else ""


@pytest.fixture
def pull_request(tmp_path: Path) -> PullRequest:
    return PullRequest(tmp_path / "repository")


def saved(path: Path, *shape: int) -> bytes:
    torch.save({"a|`@all": torch.ones(shape)}, path)
    return path.read_bytes()


def test_a_comment_says_what_a_pull_request_changes(pull_request: PullRequest, tmp_path: Path) -> None:
    attributes, file = b"*.pt binary diff=lfs\n", tmp_path / "x.pt"
    base = pull_request.commit(
        **{".gitattributes": attributes, "a.pt": saved(file, 2), "old.pt": saved(file, 5), "same.pt": saved(file, 7)}
    )
    pull_request.commit(
        **{"a.pt": saved(file, 3), "old.pt": None, "new.pt": saved(file, 5), "@team.pt": b"no model", "text.txt": b"x"}
    )
    call, body = pull_request.comment(BASE=base)
    assert call == "api --silent --method POST repos/us/ours/issues/7/comments"
    assert body.startswith("<!-- paraminspect -->\n## What changes in the models\n\n")
    assert re.findall("^### (.*)$", body, re.MULTILINE) == ["`@team.pt`", "`a.pt`", "`new.pt`"]
    assert "| `` a\\|`@all `` | shape | [2] | [3] |" in body
    assert "`rename from old.pt`\n`rename to new.pt`" in body
    assert "\n    error: b/@team.pt: the file is text, not a model\n" in body
    assert "### `a.pt`" in (tmp_path / "summary").read_text()


def test_one_comment_is_written_anew(pull_request: PullRequest, tmp_path: Path) -> None:
    base = pull_request.commit(**{"a.pt": saved(tmp_path / "x.pt", 2)})
    pull_request.commit(**{"a.pt": saved(tmp_path / "x.pt", 3)})
    call, body = pull_request.comment(BASE=base, OLD="41\n42\n")
    assert call == "api --silent --method PATCH repos/us/ours/issues/comments/41"
    assert "`a.pt`" in body
    pull_request.commit(**{"a.pt": saved(tmp_path / "x.pt", 2)})
    assert pull_request.comment(BASE="HEAD", OLD="41")[1].endswith("\nNothing any more.\n")


def test_nothing_is_said_where_nothing_is_to_be_said(pull_request: PullRequest) -> None:
    base = pull_request.commit(**{"a.pt": EVIL})
    pull_request.commit(**{"text.txt": b"x"})
    call, body = pull_request.comment(BASE=base)
    assert (call.startswith("api --paginate repos/us/ours/issues/7/comments --jq"), body) == (True, "")
    pull_request.calls.unlink()
    assert "fetch-depth: 0" in pull_request.comment(BASE=ZEROS)[0]


def test_who_may_not_comment_has_the_summary(pull_request: PullRequest, tmp_path: Path) -> None:
    base = pull_request.commit(**{"text.txt": b"x"})
    pull_request.commit(**{"a.pt": saved(tmp_path / "x.pt", 3)})
    done = pull_request.run(COMMENT, BASE=base, POSTED="1")
    assert done.returncode == 0
    assert "::warning::paraminspect may not comment here" in done.stdout
    assert "`a.pt`" in (tmp_path / "summary").read_text()


def test_a_long_comment_is_cut_between_lines(pull_request: PullRequest, tmp_path: Path) -> None:
    base = pull_request.commit(**{"text.txt": b"x"})
    torch.save({f"layers.{number}.weight": torch.ones(1) for number in range(2000)}, tmp_path / "x.pt")
    pull_request.commit(**{"a.pt": (tmp_path / "x.pt").read_bytes()})
    _, body = pull_request.comment(BASE=base)
    assert 50_000 < len(body) < 65_536
    assert body.endswith(" |\n\n… and more: the summary of the run has all of it.\n")


def test_the_action_comments_only_when_it_is_asked() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (step,) = [step for step in action["runs"]["steps"] if "GH_TOKEN" in step.get("env", {})]
    assert action["inputs"]["comment"]["default"] == "false"
    assert step["if"] == "inputs.comment == 'true' && github.event_name == 'pull_request'"
    assert "comment_changed.sh" in step["run"]


def test_every_action_is_pinned_by_the_hash_of_a_commit_with_its_version_behind() -> None:
    lines = [line for line in (ROOT / "action.yml").read_text().splitlines() if "uses:" in line]
    assert lines
    assert all(re.fullmatch(r" +- uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line) for line in lines)
