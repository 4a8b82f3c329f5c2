"""Equal contents, held against comparing every pair of tensors."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.engines.local import processes
from paraminspect.engines.local import threads as make_threads
from paraminspect.engines.pool import Shared
from paraminspect.errors import CheckpointError, LimitExceededError
from paraminspect.formats.source import open_source
from paraminspect.records import Storage, TensorRecord
from paraminspect.sharing import equal
from paraminspect.sharing.equal import Item, StoredContents, find_equal, have_equal_content
from paraminspect.values.parts import GRID


def threads(workers: int) -> Shared:
    """So many of them, each tensor by itself."""
    pool = make_threads(workers)
    pool.lot = 0
    return pool


class Memory:
    """Contents that are at hand, in pieces of `size` bytes."""

    def __init__(self, data: bytes, size: int = 8) -> None:
        self.data = data
        self.size = size
        self.read = 0

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        for at in range(0, len(self.data), self.size):
            self.read += len(self.data[at : at + self.size])
            yield self.data[at : at + self.size]

    def start(self, record: TensorRecord, length: int) -> bytes:
        return self.data[:length]


class Broken(Memory):
    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        yield self.data[: self.size]
        raise CheckpointError("the disk is gone")


def item(data: bytes, shape: Sequence[int] | None = None, contents: type[Memory] = Memory, **more: object) -> Item:
    dims = tuple(shape) if shape is not None else (len(data) // 4,)
    storage = more.pop("storage", Storage("0", len(data)))
    fields = {"dtype": "float32", **more}
    record = TensorRecord("t", dims, numel=prod(dims), nbytes=len(data), storage=storage, **fields)  # type: ignore[arg-type]
    return Item(record, contents(data))


A, B = bytes(range(16)), bytes(range(1, 17))


@pytest.mark.parametrize(
    ("items", "groups"),
    [
        ([], []),
        ([item(A)], []),
        ([item(A), item(A)], [[0, 1]]),
        ([item(A), item(B)], []),
        ([item(A), item(B), item(A), item(B), item(A)], [[0, 2, 4], [1, 3]]),
        ([item(A), item(A, (2, 2))], []),
        ([item(A), item(A, dtype="int32")], []),
        ([item(A[:4]), item(A[:4])], []),  # one element is a constant
        ([item(A + A), item(A + B)], []),
        ([item(b""), item(b"")], []),
    ],
)
def test_groups(items: list[Item], groups: list[list[int]]) -> None:
    assert find_equal(items).groups == groups
    assert find_equal(items) == find_equal(items, pool=threads(4))


@pytest.mark.parametrize(
    ("data", "is_constant"),
    [
        (bytes(400), True),
        (b"\0\0\x80\x3f" * 100, True),  # ones
        (b"\0\0\x80\x3f" * 99 + b"\0\0\x80\xbf", False),
        (b"\0\0\x80\xbf" + b"\0\0\x80\x3f" * 99, False),
        (bytes(399) + b"\1", False),
    ],
)
@pytest.mark.parametrize("size", [4, 12, 400, 1000])
def test_constants_are_left_out(data: bytes, is_constant: bool, size: int) -> None:
    items = [Item(one.record, Memory(data, size)) for one in (item(data), item(data))]
    found = find_equal(items)
    assert (found.groups, found.constant) == (([], [0, 1]) if is_constant else ([[0, 1]], []))


@pytest.mark.parametrize("block", [b"\0\0" + b"\x88" * 16, bytes(range(18))])
def test_a_constant_of_quantised_blocks(block: bytes) -> None:
    """Zeros in q4_0 are a scale of 0 and nibbles of 8; that all blocks are alike is all that can be seen."""
    data = block * 10
    record = item(data, (10, 32), dtype="q4_0", layout="gguf").record
    assert find_equal([Item(record, Memory(data, 40))] * 2).constant == [0, 1]
    assert find_equal([Item(record, Memory(data[:-1] + b"\1", 40))] * 2).groups == [[0, 1]]


def test_a_single_element_is_not_even_called_constant() -> None:
    assert find_equal([item(A[:4]), item(A[:4])]) == ([], [], {})


@pytest.mark.parametrize("at", [0, 5000, 12_000, 31_999])
def test_one_byte_anywhere_makes_a_difference(at: int) -> None:
    same, other = A * 2000, bytearray(A * 2000)
    other[at] ^= 255
    assert find_equal([item(same), item(bytes(other)), item(same)]).groups == [[0, 2]]


def test_what_differs_at_once_is_not_read() -> None:
    items = [item(bytes([n]) + bytes(4095)) for n in range(5)] + [item(A * 256), item(A * 256)]
    assert find_equal(items).groups == [[5, 6]]
    assert [one.contents.read for one in items] == [0] * 5 + [4096] * 2  # type: ignore[attr-defined]


def test_what_cannot_be_read_does_not_stop_the_rest() -> None:
    items = [item(A), item(A, contents=Broken), item(A), item(B, storage=None), item(B)]
    found = find_equal(items)
    assert found.groups == [[0, 2], [3, 4]]
    assert found.unread == {1: "the disk is gone"}


def test_views_of_the_same_bytes_are_bounded() -> None:
    storage = Storage("0", 160)
    items = [item(bytes(100), (25,), storage=storage) for _ in range(7)]
    with pytest.raises(LimitExceededError, match=r"700 bytes of tensors to compare, .*; the limit is 640"):
        find_equal(items)
    assert find_equal(items[:6]).constant == list(range(6))


def test_what_repeats_its_elements_is_not_counted_as_read() -> None:
    """An expanded tensor is larger than its storage, and its contents say that they cannot be read."""
    storages = [Storage(name, 16) for name in "ab"]
    assert find_equal([item(A * 100, storage=storage) for storage in storages]).groups == [[0, 1]]


def test_tensors_are_hashed_side_by_side() -> None:
    met = threading.Barrier(2, timeout=20)

    class Waiting(Memory):
        def pieces(self, record: TensorRecord) -> Iterator[bytes]:
            met.wait()
            return super().pieces(record)

    items = [item(A, contents=Waiting), item(A, contents=Waiting)]
    assert find_equal(items, pool=threads(2)).groups == [[0, 1]]


def test_progress_ends_at_the_total() -> None:
    said: list[tuple[int, int]] = []
    find_equal([item(A), item(A), item(B)], progress=lambda done, total: said.append((done, total)))
    assert said == [(8, 32), (16, 32), (24, 32), (32, 32)]


@given(st.lists(st.sampled_from([A, B, A[::-1], bytes(16)]), max_size=9), st.integers(1, 6), st.integers(4, 32))
def test_agrees_with_comparing_all_pairs(contents: list[bytes], sample: int, size: int) -> None:
    items = [Item(item(data).record, Memory(data, size - size % 4)) for data in contents]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equal, "START_BYTES", sample)
        found = find_equal(items, pool=threads(2))
    pairs = {
        (i, j) for i, j in itertools.combinations(range(len(contents)), 2)
        if contents[i] == contents[j] != bytes(16)
    }  # fmt: skip
    assert {pair for group in found.groups for pair in itertools.combinations(group, 2)} == pairs
    assert all(have_equal_content(items[i], items[j]) for i, j in pairs)


def test_two_tensors_are_compared_up_to_the_first_difference() -> None:
    one, other = item(A * 10), item(B * 10)
    assert not have_equal_content(one, other)
    assert one.contents.read == 8  # type: ignore[attr-defined]


def test_blocks_of_large_tensors_are_those_of_their_size(tmp_path: Path) -> None:
    ramp = torch.arange(2 * GRID + 7)
    due = {"a": ramp, "b": ramp.clone(), "c": torch.ones(2 * GRID + 7, dtype=torch.int64), "d": ramp.clone()}
    due |= {"e": due["c"].clone(), "t": ramp.clone().reshape(1, -1).expand(1, -1)}
    due["d"][-1] = 5
    torch.save(due, tmp_path / "m.pt")
    np.savez_compressed(tmp_path / "m.npz", a=ramp.numpy(), c=due["c"].numpy())
    items = [
        Item(record, StoredContents()) for name in ("m.pt", "m.npz") for record in open_source(tmp_path / name).tensors
    ]
    whole = find_equal(items)
    assert [[items[place].record.name for place in group] for group in whole.groups] == [["a", "b", "a"]]
    assert [items[place].record.name for place in whole.constant] == ["c", "e", "c"]
    for pool in (make_threads(2), processes(2, "fork")):
        pool.cut = 8 * GRID
        assert find_equal(items, pool=pool) == whole
