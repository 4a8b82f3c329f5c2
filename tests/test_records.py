from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.records import Checkpoint, Storage, TensorRecord, TieGroup

BYTE_BOUNDS = getattr(np.lib, "array_utils", np).byte_bounds  # the latter until numpy 2
STORAGE = Storage("0", 1000, "model.pt", 64)


def record(
    shape: tuple[int, ...] | None, stride: tuple[int, ...] | None, nbytes: int | None, **more: object
) -> TensorRecord:
    numel = int(np.prod(shape)) if shape is not None else 3
    return TensorRecord("a", shape, "float32", numel, nbytes, stride=stride, **{"storage": STORAGE, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "stride", "nbytes", "span"),
    [
        ((2, 3), (3, 1), 24, 24),
        ((), (), 4, 4),
        ((3, 2), (1, 3), 24, 24),  # transposed
        ((2, 3), (10, 1), 24, 52),  # a slice: from the first element to the last
        ((4,), (0,), 16, 4),  # expanded: one element
        ((2, 3), (0, 1), 24, 12),
        ((0, 5), (5, 1), 0, 0),
        ((2, 3), None, 18, 18),  # blocks
        (None, None, 12, 12),  # ragged
    ],
)
def test_byte_range(shape: tuple[int, ...] | None, stride: tuple[int, ...] | None, nbytes: int, span: int) -> None:
    assert record(shape, stride, nbytes).byte_range == ("model.pt", 64, 64 + span)


def test_byte_range_starts_at_the_offset() -> None:
    assert record((2,), (1,), 8, offset=40).byte_range == ("model.pt", 104, 112)


def test_byte_range_of_standard_input_has_no_path() -> None:
    assert record((2,), (1,), 8, storage=Storage("0", 8, None, 16)).byte_range == (None, 16, 24)


@pytest.mark.parametrize(
    "unknown",
    [
        record((2,), (1,), 8, storage=None),
        record((2,), (1,), 8, storage=Storage("0", 8, "model.pt", None)),  # compressed
        record((2,), (1,), None),
    ],
)
def test_no_byte_range_where_it_is_not_known(unknown: TensorRecord) -> None:
    assert unknown.byte_range is None


SLICES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=3)


@given(SLICES, st.permutations([0, 1, 2]), st.integers(0, 9))
def test_byte_range_of_views_is_what_numpy_computes(
    slices: list[tuple[int, int]], order: list[int], begin: int
) -> None:
    base = np.zeros([size for size, _ in slices], np.int16)
    view = base[tuple(slice(None, None, step) for _, step in slices)]
    view = view.transpose([axis for axis in order if axis < view.ndim])
    stride = tuple(step // 2 for step in view.strides)
    low, high = BYTE_BOUNDS(view)
    found = record(view.shape, stride, view.nbytes, offset=begin).byte_range
    assert found == ("model.pt", 64 + begin, 64 + begin + high - low)


def test_records_do_not_change() -> None:
    with pytest.raises(AttributeError):
        record((2,), (1,), 8).name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        STORAGE.nbytes = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Checkpoint("safetensors", []).format = "gguf"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        TieGroup("alias", ("a", "b"), (0, 1)).kind = "view"  # type: ignore[misc]


def test_what_is_not_said_is_not_claimed() -> None:
    bare = TensorRecord("a", (2,), "float32", 2, 8)
    assert (bare.kind, bare.trainable, bare.role, bare.part, bare.module_type) == ("tensor", None, "model", "", None)
    assert (bare.layout, bare.storage, bare.offset, bare.stride) == ("strided", None, 0, None)
    empty = Checkpoint("safetensors", [])
    assert (empty.metadata, empty.notes, empty.source, empty.nbytes, empty.files) == ({}, (), "", 0, ())
