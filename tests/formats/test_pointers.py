"""Pointers of Git LFS and DVC: what they say, and text that is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.formats.pointers import Pointer, read_pointer

SHA, MD5 = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393", "a304afb96060aad90176268345e10355"
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 12345\n"
EXTENDED = LFS.replace("oid", f"ext-0-foo sha256:{SHA}\noid")
DVC = f"outs:\n- md5: {MD5}\n  size: 37891850\n  hash: md5\n  path: model.safetensors\n"
FOLDER = (
    f"# kept\r\nmd5: {SHA[:32]}\r\nouts:\r\n  - md5: {MD5}.dir\r\n    size: 9\r\n    nfiles: 2\r\n    path: 'a b'\r\n"
)
IMPORTED = f"deps:\n- path: x\n  md5: {SHA[:32]}\nouts:\n- path: y\n  md5: {MD5}\nmeta:\n  size: 7\n"


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (LFS, Pointer("Git LFS", "sha256", SHA, 12345)),
        (EXTENDED, Pointer("Git LFS", "sha256", SHA, 12345)),
        (DVC, Pointer("DVC", "md5", MD5, 37891850, "model.safetensors")),
        (FOLDER, Pointer("DVC", "md5", f"{MD5}.dir", 9, "a b")),
        (IMPORTED, Pointer("DVC", "md5", MD5, None, "y")),
    ],
)
def test_what_a_pointer_says(text: str, pointer: Pointer) -> None:
    assert read_pointer(text.encode()) == pointer


@pytest.mark.parametrize(
    "text",
    [
        "", "model: [ReLU]\n", "outs:\n", "outs:\n- path: x\n", LFS.replace(SHA, "../../x"), LFS.replace("12345", "-1"),
        DVC.replace(MD5, "../../../etc/passwd"), DVC.replace("  path", "  other"), f"x\0{DVC}", DVC.replace("outs", "deps"),
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert read_pointer(text.encode()) is None


@given(st.binary() | st.text(alphabet="outs:-md5 \n\r'" + MD5).map(str.encode))
def test_any_bytes_are_a_pointer_or_none(text: bytes) -> None:
    assert read_pointer(b"outs:\n- " + text) is None or read_pointer(b"outs:\n- " + text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (LFS, f".git/lfs/objects/{SHA[:2]}/{SHA[2:4]}/{SHA}"),
        (DVC, f".dvc/cache/files/md5/{MD5[:2]}/{MD5[2:]}"),
        (DVC, f".dvc/cache/{MD5[:2]}/{MD5[2:]}"),
        (FOLDER, f".dvc/cache/files/md5/{MD5[:2]}/{MD5[2:]}.dir"),
    ],
)
def test_what_has_been_fetched_is_found(text: str, kept: str, tmp_path: Path) -> None:
    pointer = read_pointer(text.encode())
    assert pointer is not None
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    assert pointer.find_kept(str(folder)) is None
    path = tmp_path / kept
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    assert pointer.find_kept(str(folder)) == (None if text == FOLDER else str(path))


@pytest.mark.parametrize(
    ("text", "path", "command"),
    [
        (LFS, "sub/a b.pt", "git lfs pull --include 'a b.pt'"),
        (LFS, None, "git lfs pull"),
        (DVC, "sub/a b.pt.dvc", "dvc pull 'sub/a b.pt.dvc'"),
        (DVC, None, "dvc pull FILE.dvc"),
    ],
)
def test_how_it_is_fetched(text: str, path: str | None, command: str) -> None:
    pointer = read_pointer(text.encode())
    assert pointer is not None
    assert pointer.how_to_fetch(path) == command
