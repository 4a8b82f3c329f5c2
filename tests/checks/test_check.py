"""All findings of one source: passes over it, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from paraminspect.checks.check import check_stored


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
