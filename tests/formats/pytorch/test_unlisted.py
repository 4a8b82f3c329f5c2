"""Tensors that no name leads to: each one that torch.load finds is listed or counted in a note."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from paraminspect.formats import open_source


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    weight: torch.Tensor
    count: int


class Stated:
    def __init__(self, size: int = 5) -> None:
        self.weight = torch.ones(4, size)

    def __getstate__(self) -> object:
        return 1, [2, self.weight], {"more": {3: torch.ones(2)}}

    def __setstate__(self, state: Any) -> None:
        self.weight = state[1][1]
        self.more = state[2]["more"]


class Alone:
    """Its state is a tensor."""

    def __getstate__(self) -> object:
        return torch.ones(6)

    def __setstate__(self, state: torch.Tensor) -> None:
        self.weight = state


class Plain:
    def __init__(self) -> None:
        self.weight = torch.ones(4, 5)


class Called:
    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    def __reduce__(self) -> tuple[Any, ...]:
        return Called, (self.weight,)


def with_attribute() -> torch.Tensor:
    tensor = torch.ones(2)
    tensor.extra = torch.ones(7)  # type: ignore[attr-defined]
    return tensor


def tensors_in(value: object, seen: set[int]) -> Iterator[torch.Tensor]:
    """Every tensor that a bare walk reaches, once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    if isinstance(value, dict):
        inside: list[object] = [*value.keys(), *value.values()]
    elif isinstance(value, np.ndarray):
        inside = list(value.flat) if value.dtype == object else []
    elif isinstance(value, list | tuple | set | frozenset):
        inside = list(value)
    elif isinstance(value, functools.partial):
        inside = [value.func, value.args, value.keywords]
    else:
        inside = [*getattr(value, "__dict__", {}).values()]
        inside += [getattr(value, name) for name in getattr(type(value), "__slots__", ()) if hasattr(value, name)]
    for each in inside:
        yield from tensors_in(each, seen)


VALUES: dict[str, Any] = {
    "frozen dataclass": lambda: {"config": Frozen(torch.ones(7, 8), 2)},
    "state of its own": lambda: {"a": torch.ones(3), "more": [Stated()]},
    "a tensor as state": lambda: {"alone": Alone()},
    "set": lambda: {"set": {torch.ones(2)}, "frozen": frozenset([torch.ones(3)])},
    "key": lambda: {torch.ones(2): 1, "a": torch.ones(3)},
    "keys in a tuple": lambda: {(torch.ones(2), 1): 1},
    "attribute of a tensor": lambda: {"a": with_attribute()},
    "array of objects": lambda: {"a": np.array([torch.ones(3), None], dtype=object)},
    "function": lambda: {"f": functools.partial(Plain, torch.ones(6), x=torch.ones(2)), "a": torch.ones(2)},
    "reduced": lambda: {"a": Called(torch.ones(5))},
    "plain object": lambda: {"a": Plain(), "b": [(torch.ones(3),)]},
    "optimizer": lambda: {"optimizer": torch.optim.Adam([torch.nn.Parameter(torch.ones(3))])},
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", VALUES)
def test_every_tensor_is_listed_or_counted(tmp_path: Path, kind: str, *, legacy: bool) -> None:
    path = tmp_path / "model.pt"
    torch.save(VALUES[kind](), path, _use_new_zipfile_serialization=not legacy)
    there = list(tensors_in(torch.load(path, weights_only=False), set()))
    checkpoint = open_source(path)
    counted = [int(match[1]) for note in checkpoint.notes if (match := re.match(r"(\d+) tensors? inside", note))]
    assert len(checkpoint.tensors) + sum(counted) == len(there) > 0


def names_of(value: object, path: Path) -> list[str]:
    torch.save(value, path)
    return [tensor.name for tensor in open_source(path).tensors]


def test_items_of_a_state_go_by_their_numbers(tmp_path: Path) -> None:
    value = {"config": Frozen(torch.ones(7, 8), 2), "more": [Stated()], "alone": Alone()}
    assert names_of(value, tmp_path / "m.pt") == ["config.0", "more.0.1.1", "more.0.2.more.3", "alone.0"]


def test_what_is_not_listed_is_named_by_its_place(tmp_path: Path) -> None:
    value = {torch.ones(9): 1, "a": with_attribute(), "b": np.array([torch.ones(3), None], dtype=object)}
    torch.save(value, tmp_path / "m.pt")
    (note,) = open_source(tmp_path / "m.pt").notes
    assert note.startswith(
        "3 tensors inside objects that are not understood are not listed: <key> [9], a.extra [7] of a tensor"
    )
    assert "b.4.0 [3] of numpy." in note


def test_the_first_ones_are_named_and_the_others_counted(tmp_path: Path) -> None:
    torch.save({torch.ones(size): size for size in range(1, 10)}, tmp_path / "m.pt")
    (note,) = open_source(tmp_path / "m.pt").notes
    assert "9 tensors" in note
    assert note.endswith("and 6 more")


def test_storages_without_a_tensor_are_counted(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "bytes": torch.UntypedStorage(8)}, tmp_path / "m.pt")
    assert open_source(tmp_path / "m.pt").notes[0] == "1 storage without a tensor is not listed: bytes"


@pytest.mark.parametrize("value", [{"a": Plain()}, [torch.ones(3)], {"a": torch.ones(9).to_sparse()}])
def test_what_is_listed_or_a_part_of_it_is_no_news(tmp_path: Path, value: object) -> None:
    torch.save(value, tmp_path / "m.pt")
    assert open_source(tmp_path / "m.pt").notes == ()


def test_an_object_that_holds_itself_ends(tmp_path: Path) -> None:
    loop: list[object] = [Stated()]
    loop.append(loop)
    assert names_of({"a": torch.ones(3), "loop": loop}, tmp_path / "m.pt") == ["a", "loop.0.1.1", "loop.0.2.more.3"]
    key = (torch.ones(3), loop)
    torch.save({"a": torch.ones(2), "keys": {Frozen(torch.ones(1), 1): key}}, tmp_path / "m.pt")
    assert open_source(tmp_path / "m.pt").tensors


@pytest.fixture
def two_ranks() -> Iterator[None]:
    import torch.distributed as dist
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:Please use DTensor")
@pytest.mark.usefixtures("two_ranks")
def test_shards_of_other_ranks_are_said_to_be_elsewhere(tmp_path: Path) -> None:
    from torch.distributed._shard.metadata import ShardMetadata
    from torch.distributed._shard.sharded_tensor import Shard, ShardedTensor, ShardedTensorMetadata, TensorProperties
    from torch.distributed.tensor import DTensor, Replicate, init_device_mesh
    from torch.distributed.tensor import Shard as Sharded

    mesh = init_device_mesh("cpu", (2,))
    places = [ShardMetadata([2 * rank, 0], [2, 3], f"rank:{rank}/cpu") for rank in range(2)]
    metadata = ShardedTensorMetadata(places, torch.Size([4, 3]), TensorProperties(dtype=torch.float32))
    value = {
        "half": DTensor.from_local(torch.ones(2, 3), mesh, [Sharded(0)]),
        "whole": DTensor.from_local(torch.ones(2, 3), mesh, [Replicate()]),
        "shard": ShardedTensor._init_from_local_shards_and_global_metadata(
            [Shard(torch.ones(2, 3), places[0])], metadata
        ),
    }
    torch.save(value, tmp_path / "m.pt")
    checkpoint = open_source(tmp_path / "m.pt")
    found = [(each.name, each.shape, each.nbytes, each.storage is not None) for each in checkpoint.tensors]
    assert found == [("half", (4, 3), 24, False), ("whole", (2, 3), 24, True), ("shard", (4, 3), 24, False)]
    assert checkpoint.notes == (
        "2 tensors are here in part, the rest is in files of other ranks: half [4,3], shard [4,3]",
    )
