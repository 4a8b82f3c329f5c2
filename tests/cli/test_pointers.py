"""A file that Git LFS has not fetched: every command says what it is, and how to get the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("workplace")

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
WHAT = f"the file is a Git LFS pointer, not the file it stands for: 12,345 bytes, sha256 {'0' * 64}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "{}"], ["tree", "{}"], ["show", "{}", "a.weight"], ["shared", "{}"], ["shared", "{}", "--equal"],
        ["stats", "{}"], ["diff", "{}", "{}"], ["grad", "{}"], ["init", "{}", "--rule", "*=zeros", "-o", "x.safetensors"],
        ["convert", "{}", "-o", "x.safetensors"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("name", ["model.pt", "folder"])
def test_every_command_knows_a_pointer(arguments: list[str], name: str, run: Any, workplace: Path) -> None:
    file = workplace / "folder" / "model.safetensors" if name == "folder" else workplace / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(POINTER)
    result = run(*(argument.format(name) for argument in arguments))
    assert result.status == 2
    error, blank, hint, *_ = result.stderr.splitlines()
    assert (error.startswith(f"error: {name}: "), WHAT in error, blank) == (True, True, "")
    assert hint == f"hint: git lfs pull --include {file.name}"
    assert not (workplace / "x.safetensors").exists()


def test_check_fails_on_a_pointer(run: Any, workplace: Path) -> None:
    (workplace / "model.pt").write_bytes(POINTER)
    result = run("check", "model.pt")
    assert result.status == 1
    assert result.stdout.split("\t")[1:5] == ["error", "unknown-format", "", WHAT]
    assert result.stdout.endswith("\tgit lfs pull --include model.pt\n")
