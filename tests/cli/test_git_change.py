"""`diff --git` under git itself, in scratch repositories."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from paraminspect.cli.git_change import read_change
from paraminspect.errors import ParamInspectError

DOCUMENT = Path(__file__).parents[2] / "docs" / "git.md"
DRIVER = "paraminspect diff --git --"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
DVC = b"outs:\n- md5: %s\n  size: %d\n  hash: md5\n  path: m.pt\n"


class Repository:
    """A scratch repository whose models are shown by paraminspect."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PARAMINSPECT"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        }  # fmt: skip
        self.git("init", "-q", "-b", "main")
        self.git("config", "diff.model.command", DRIVER)
        self.write(
            **{".gitattributes": b"*.safetensors diff=model\n*.pt diff=model\n*.py diff=model\n*.dvc diff=model\n"}
        )

    def git(self, *arguments: str, status: int = 0, **environ: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode, arguments) == (status, arguments), done.stdout
        return done.stdout

    def write(self, **files: bytes) -> None:
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(content)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def diff(self, *arguments: str, **environ: str) -> dict[str, str]:
        """First line of what is said of each file -> the rest."""
        shown = self.git("-c", "diff.renames=true", "diff", *arguments, **environ).split("diff --paraminspect ")
        return {part.partition("\n")[0]: part.partition("\n")[2] for part in shown[1:]}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "repository"
    folder.mkdir()
    return Repository(folder)


def model(repository: Repository, name: str, **shapes: list[int]) -> None:
    save_file({key.replace("_", "."): np.ones(shape, "f4") for key, shape in shapes.items()}, repository.path / name)


def test_each_way_in_which_a_file_changes(repository: Repository) -> None:
    model(repository, "changed.safetensors", a_weight=[2, 0])
    model(repository, "moved.safetensors", b=[3])
    model(repository, "gone.safetensors", c=[5])
    model(repository, "mode.safetensors", d=[7])
    model(repository, "broken.safetensors", e=[1])
    repository.write(**{"build.py": b"raise SystemExit('was run')\n"})
    repository.commit()
    model(repository, "changed.safetensors", a_weight=[3, 0])
    repository.git("mv", "--", "moved.safetensors", "-a b.safetensors")
    (repository.path / "gone.safetensors").unlink()
    (repository.path / "mode.safetensors").chmod(0o755)
    repository.write(**{"broken.safetensors": b"no model", "build.py": b"raise SystemExit('is run')\n"})
    (repository.path / "link.safetensors").symlink_to("/etc/pass\x1b[1mwd")
    model(repository, "added.safetensors", f=[9])
    repository.git("add", "-AN")
    found = repository.diff("-M", "HEAD")
    head = lambda title: found[title].splitlines()  # noqa: E731
    assert "new file mode 100644" in head("a/added.safetensors b/added.safetensors")
    assert "f     added   float32 [9]" in found["a/added.safetensors b/added.safetensors"]
    assert "error: b/broken.safetensors: " in found["a/broken.safetensors b/broken.safetensors"]
    assert "error: a/build.py: the file is code" in found["a/build.py b/build.py"]
    assert "a.weight  shape   [2,0]   [3,0]" in found["a/changed.safetensors b/changed.safetensors"]
    assert head("a/gone.safetensors b/gone.safetensors")[0] == "deleted file mode 100644"
    assert "c     removed  float32 [5]" in found["a/gone.safetensors b/gone.safetensors"]
    assert "after   a link to /etc/pass\\x1b[1mwd" in head("a/link.safetensors b/link.safetensors")
    assert head("a/mode.safetensors b/mode.safetensors")[:2] == ["old mode 100644", "new mode 100755"]
    assert head("a/moved.safetensors b/-a b.safetensors")[:3] == [
        "similarity index 100%", "rename from moved.safetensors", "rename to -a b.safetensors",
    ]  # fmt: skip
    assert len(found) == 8


def test_a_file_that_is_not_merged(repository: Repository) -> None:
    for branch, shape in (("main", [1]), ("other", [2]), ("main", [3])):
        repository.git(
            "checkout", "-q", *(["-b", branch] if branch == "other" else [branch]) if shape != [1] else ["-b", "x"]
        )
        model(repository, "m.safetensors", a=shape)
        repository.commit()
        if shape == [1]:
            repository.git("branch", "-f", "main")
    repository.git("merge", "-q", "other", status=1)
    assert "* Unmerged path m.safetensors\n" in repository.git("diff", "--ours") + repository.git("diff", "--base")


@pytest.mark.parametrize("keeper", ["lfs", "dvc"])
def test_pointers(repository: Repository, keeper: str) -> None:
    old, new = (b"a" * 64, b"b" * 64) if keeper == "lfs" else (b"a" * 32, b"b" * 32)
    name, text = ("m.pt", LFS) if keeper == "lfs" else ("m.pt.dvc", DVC)
    repository.write(**{name: text % (old, 4096)})
    repository.commit()
    repository.write(**{name: text % (new, 8192)})
    title, hint = f"a/{name} b/{name}", f"git lfs pull --include {name}" if keeper == "lfs" else f"dvc pull {name}"
    shown = repository.diff()[title].splitlines()[1:3]
    assert [line.split(", ", 1)[1] for line in shown] == [
        f"4,096 bytes, {'sha256' if keeper == 'lfs' else 'md5'} {old.decode()}, not here",
        f"8,192 bytes, {'sha256' if keeper == 'lfs' else 'md5'} {new.decode()}, not here: {hint}",
    ]
    for digest, shape in ((old.decode(), [2]), (new.decode(), [3])):
        place = f".git/lfs/objects/{digest[:2]}/{digest[2:4]}/{digest}" if keeper == "lfs" else (
            f".dvc/cache/files/md5/{digest[:2]}/{digest[2:]}"
        )  # fmt: skip
        (repository.path / place).parent.mkdir(parents=True)
        model(repository, place, a=shape)
    assert "a     shape   [2]     [3]" in repository.diff()[title]


def test_what_the_document_says_works_as_it_is_pasted(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.git("config", "--unset", "diff.model.command")
    (tmp_path / ".gitattributes").unlink()
    pasted = re.search(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert pasted is not None
    subprocess.run(["sh", "-c", pasted[1]], cwd=tmp_path, env=repository.environ, check=True)
    model(repository, "m.safetensors", a=[1])
    repository.write(**{"lfs.pt": LFS % (b"a" * 64, 12)})
    repository.commit()
    model(repository, "m.safetensors", a=[2])
    repository.write(**{"lfs.pt": LFS % (b"b" * 64, 12)})
    assert "a     shape   [1]     [2]" in repository.git("diff")
    repository.commit()
    logged = repository.git("log", "-1", "-p")
    assert "-a\t[1]\tfloat32\t1.0\t\t1.0\n+a\t[2]\tfloat32\t1.0\t0.0\t1.4142135623730951\n" in logged
    assert f"12 bytes, sha256 {'b' * 64}" in logged


def test_formats(repository: Repository) -> None:
    model(repository, "a`|b.safetensors", a=[1])
    repository.commit()
    model(repository, "a`|b.safetensors", a=[2])
    repository.git("config", "diff.model.command", "paraminspect diff --git -f markdown --")
    assert repository.git("diff").startswith("### `` a`|b.safetensors ``\n\n\n| name | change |")
    repository.git("config", "diff.model.command", "paraminspect diff --git -f tsv -c name,change --")
    assert repository.git("diff") == "a\tshape\n"


def test_a_pager_is_a_terminal(repository: Repository) -> None:
    model(repository, "a.safetensors", a=[1])
    repository.commit()
    model(repository, "a.safetensors", a=[2])
    environ = {"GIT_PAGER_IN_USE": "true", "TERM": "xterm", "COLUMNS": "30", "NO_COLOR": ""}
    assert "\x1b[1mdiff --paraminspect" in repository.git("diff", **environ)
    assert "\x1b" not in repository.git("diff", **{**environ, "NO_COLOR": "1"})
    assert "\x1b" not in repository.git("diff", **{**environ, "GIT_PAGER_IN_USE": ""})


@pytest.mark.parametrize("count", [2, 6, 10])
def test_other_arguments(count: int) -> None:
    with pytest.raises(ParamInspectError, match=f"not {count}"):
        read_change(["x"] * count)


def test_newer_git_may_leave_out_what_it_says_of_a_copy() -> None:
    words = ["a", "/tmp/a", "0", "100644", "/tmp/b", "0", "100644", "b"]
    assert read_change(words).told == ""
    assert [side.title for side in read_change(words).sides or ()] == ["a/a", "b/b"]
