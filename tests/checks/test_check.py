"""All findings of one source: passes over it, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paraminspect.checks import check
from paraminspect.checks.check import check_source, check_stored


@pytest.mark.parametrize("copies", [False, True])
def test_progress_counts_every_pass(tmp_path: Path, *, copies: bool) -> None:
    values = torch.arange(30_000.0)
    torch.save({"a": values, "b": values.clone() if copies else torch.ones(7)}, tmp_path / "m.pt")
    told: list[tuple[int, int]] = []
    check_stored(str(tmp_path / "m.pt"), deep=True, progress=lambda done, total: told.append((done, total)))
    done, total = told[-1]
    assert done == total
    values_read = 240_000 if copies else 120_028
    assert total > (3 if copies else 2) * values_read  # values, copies, checksums of all members
    assert [each for each, _ in told] == sorted(each for each, _ in told)


EVIL = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R."


def test_folders_inside_a_folder_are_looked_into(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcd")
    deep.mkdir(parents=True)
    torch.save({"a": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert check_source(tmp_path) == []
    (tmp_path / ".git").mkdir()
    for place in (deep, tmp_path / ".git"):
        (place / "x").write_bytes(EVIL)
    (found,) = check_source(tmp_path)
    assert (found.code, found.name) == ("pickle-danger", "a/b/c/d/x")


def test_more_files_than_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_SHARDS", 2)
    torch.save({"a": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    assert check_source(tmp_path) == []
    (tmp_path / "z.pkl").write_bytes(EVIL)
    (tmp_path / "z.txt").write_bytes(EVIL)
    assert {"pickle-danger", "limit"} <= {each.code for each in check_source(tmp_path)}
