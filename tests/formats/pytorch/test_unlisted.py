"""Tensors inside objects whose state has no names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from paraminspect.formats import open_source


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    weight: torch.Tensor
    count: int


class Stated:
    def __init__(self) -> None:
        self.weight = torch.ones(4, 5)

    def __getstate__(self) -> object:
        return 1, [2, self.weight]


class Plain:
    def __init__(self) -> None:
        self.weight = torch.ones(4, 5)


def notes_of(value: object, path: Path, *, legacy: bool = False) -> list[str]:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return [note for note in open_source(path).notes if "not listed" in note]


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_in_states_without_names_are_named_by_their_place(tmp_path: Path, *, legacy: bool) -> None:
    value = {"a": torch.ones(3), "config": Frozen(torch.ones(7, 8), 2), "more": [Stated()]}
    (note,) = notes_of(value, tmp_path / "model.pt", legacy=legacy)
    assert "2 tensors inside objects" in note
    assert f"config.0 [7,8] of {__name__}.Frozen" in note
    assert f"more.0.1.1 [4,5] of {__name__}.Stated" in note


def test_the_first_ones_are_named_and_the_others_counted(tmp_path: Path) -> None:
    (note,) = notes_of(
        {str(k): Frozen(torch.ones(k + 1), k) for k in range(9)} | {"a": torch.ones(1)}, tmp_path / "m.pt"
    )
    assert "9 tensors" in note
    assert note.endswith("and 6 more")


@pytest.mark.parametrize("value", [{"a": Plain()}, [torch.ones(3)], {"a": torch.ones(9).to_sparse()}])
def test_what_is_listed_or_a_part_of_it_is_no_news(tmp_path: Path, value: object) -> None:
    assert not notes_of(value, tmp_path / "model.pt")


def test_an_object_that_holds_itself_ends(tmp_path: Path) -> None:
    loop: list[object] = [Stated()]
    loop.append(loop)
    (note,) = notes_of({"a": torch.ones(3), "loop": loop}, tmp_path / "model.pt")
    assert note.count("loop.0.1.1") == 1
