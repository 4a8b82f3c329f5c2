"""A folder that several ranks write: byte for byte what one process writes, or nothing."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import pytest

from paraminspect.errors import ParamInspectError, TargetError
from paraminspect.library import init_together
from paraminspect.library.init import Initialised, Wanted, initialise
from paraminspect.models.asked import Asked
from paraminspect.models.open import Opened, open_model
from paraminspect.ranks.meeting import EndedError, Meeting
from tests.making.meetings import by_ranks

pytestmark = pytest.mark.torch

SPEC = """
model:
  - {Embedding: [50, 8], name: embed}
  - {Linear: [8, 30], name: a}
  - {Linear: [30, 8], name: b}
  - {Linear: [8, 50, {bias: false}], name: head}
tie: {head.weight: embed.weight}
init: ['*weight=normal(std=0.02)', 'a.weight=orthogonal', 'b.weight=uniform(part=1/2)']
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(SPEC)
    return path


def opened(source: Path, **asked: Any) -> Opened:
    return open_model(str(source), Asked("values", edits=True, **asked))


def written(source: Path, target: Path, meeting: Meeting | None = None, **wanted: Any) -> Initialised:
    asked = Wanted(f"{target}/", "bfloat16", wanted.pop("shard_size", "700B"), **wanted)
    return initialise(opened(source), 5, asked, lambda done, total: None, meeting=meeting)


def same_folders(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    found = filecmp.cmpfiles(one, other, names, shallow=False)
    return names == sorted(path.name for path in other.iterdir()) and found == (names, [], [])


@pytest.mark.parametrize("world", [2, 3, 9])
def test_any_number_of_ranks_writes_the_same_bytes_and_says_the_same(spec: Path, tmp_path: Path, world: int) -> None:
    alone = written(spec, tmp_path / "alone")
    found = by_ranks(world, lambda meeting: written(spec, tmp_path / "together", meeting))
    assert same_folders(tmp_path / "alone", tmp_path / "together")
    assert [step for _, step in found[0].steps] == [step for _, step in alone.steps]
    assert all(not each.steps for each in found[1:])
    assert sum(path.suffix == ".safetensors" for path in (tmp_path / "together").iterdir()) == 3
    assert f"written by {min(world, 3)} of {world} ranks" in found[0].notes[0]


def test_a_folder_of_shards_is_edited_together_into_another_one(spec: Path, tmp_path: Path) -> None:
    written(spec, tmp_path / "base")
    written(tmp_path / "base", tmp_path / "alone")
    by_ranks(2, lambda meeting: written(tmp_path / "base", tmp_path / "together", meeting))
    assert same_folders(tmp_path / "alone", tmp_path / "together")


@pytest.mark.parametrize("bad", [0, 1])
def test_one_that_fails_leaves_nothing_behind(spec: Path, tmp_path: Path, bad: int) -> None:
    rules = tmp_path / "mine.py"
    rules.write_text("def bad(tensor):\n    raise ValueError('broken here')\n")

    def work(meeting: Meeting) -> Initialised:
        asked: dict[str, Any] = {"rules": ("*=bad",), "rules_file": str(rules)} if meeting.launched.rank == bad else {}
        wanted = Wanted(f"{tmp_path / 'out'}/", "bfloat16", "700B")
        return initialise(opened(spec, **asked), 5, wanted, lambda done, total: None, meeting=meeting)

    found = by_ranks(3, work)
    assert "broken here" in str(found[0])
    assert str(found[0]).startswith("rank 1 (host1): ") == (bad == 1)
    assert isinstance(found[2], EndedError | TargetError)  # it may see first that the folder is gone
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "net.yaml", "__pycache__"}


def test_storage_that_is_not_shared_is_told(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = init_together.find_nonce
    monkeypatch.setattr(
        init_together, "find_nonce", lambda folder, nonce, path: find(f"{folder}-elsewhere", nonce, path)
    )
    found = by_ranks(2, lambda meeting: written(spec, tmp_path / "out", meeting))
    assert "is not seen here" in str(found[0])
    assert found[0].hint == "name a folder on storage that all hosts share"
    assert isinstance(found[1], TargetError)
    assert [path.name for path in tmp_path.iterdir()] == ["net.yaml"]


def test_ranks_that_plan_other_files_do_not_begin(spec: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("30", "31"))
    found = by_ranks(
        3, lambda meeting: written(other if meeting.launched.rank == 2 else spec, tmp_path / "out", meeting)
    )
    assert str(found[0]) == "rank 2 would write other files than rank 0"
    assert not (tmp_path / "out").exists()


def test_one_file_is_not_shared(spec: Path, tmp_path: Path) -> None:
    wanted = Wanted(str(tmp_path / "out.safetensors"))
    found = by_ranks(2, lambda meeting: initialise(opened(spec), 5, wanted, lambda *_: None, meeting=meeting))
    assert all(isinstance(each, ParamInspectError) for each in found)
    assert "is one file, and 2 processes" in str(found[0]) or "is one file, and 2 processes" in str(found[1])
