"""Files of torch.save before 1.6, held against torch; those of older versions are written by hand."""

from __future__ import annotations

import contextlib
import ctypes
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.pickles.plain import read_pickle
from paraminspect.formats.pickles.state import FIRST_WINDOW
from paraminspect.formats.pytorch.legacy import MAGIC_NUMBER
from paraminspect.formats.source import open_source
from paraminspect.limits import WINDOWS, one_effort
from paraminspect.records import Checkpoint
from tests.making.pickles import SYSTEM, legacy_file, rebuilt, reference, storage_data
from tests.making.torch_files import legacy_bytes

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

LikeTorch = Callable[..., None]


def read(data: bytes) -> Checkpoint:
    return read_pickle(Blob.from_bytes(data, "x.pt"))


FLOATS = struct.pack("<4f", 1, 2, 3, 4)
ONE = legacy_file(rebuilt(reference()) + b".", ["7"], storage_data(4, FLOATS))


# --- what torch writes ------------------------------------------------------------------------------------------


def test_what_torch_saves(state: object, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    path = tmp_path / "model.pt"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    checkpoint = open_source(path)
    assert checkpoint.format == "torch legacy"
    assert_like_torch(checkpoint, torch.load(path, weights_only=False))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol(protocol: int, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    value = {"a": torch.ones(2, 3).t(), "b": [torch.zeros(3, dtype=torch.int8)], "c": torch.ones(0)}
    path = tmp_path / "model.pt"
    torch.save(value, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    assert_like_torch(open_source(path), value)


def test_the_weights_behind_short_pickles_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(legacy_bytes({"a": torch.zeros(1 << 20)}))
    with one_effort() as spent:
        open_source(path)
    assert spent.spent(WINDOWS) <= 5 * FIRST_WINDOW


def test_every_dtype(dtype: torch.dtype, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    whole = torch.arange(24 * dtype.itemsize, dtype=torch.uint8).view(dtype)
    value = {"whole": whole, "part": whole[5:], "other": torch.ones(3)}
    path = tmp_path / "model.pt"
    torch.save(value, path, _use_new_zipfile_serialization=False)
    assert_like_torch(open_source(path), value)  # torch itself cannot read the newer types again


def test_a_module_whose_class_is_gone(foreign_class: Any, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    cls, vanish = foreign_class
    net, path = cls(), tmp_path / "model.pt"
    torch.save(net, path, _use_new_zipfile_serialization=False)  # with the source of each class
    vanish()
    checkpoint = open_source(path)
    assert_like_torch(checkpoint, net)
    assert checkpoint.tensors[0].module_type == "vanishing.Block"


# --- what older versions wrote ----------------------------------------------------------------------------------


def test_python_2_and_the_first_rebuild_function() -> None:
    pid = reference().replace(b"ctorch\n", b"ctorch.cuda\n")
    pair = b"(U\6weightctorch._utils\n_rebuild_tensor\n(" + pid + b"K\0K\2K\2\x86K\2K\1\x86tRl"
    root = b"\x80\2ccollections\nOrderedDict\n](" + pair + b"e\x85R."
    (record,) = read(legacy_file(root, ["7"], storage_data(4, FLOATS))).tensors
    assert (record.name, record.shape, record.stride, record.dtype) == ("weight", (2, 2), (2, 1), "float32")
    assert record.trainable is None


@pytest.mark.parametrize(("offset", "size"), [(0, 4), (1, 3), (2, 1), (4, 0)])
def test_a_view_of_a_storage(offset: int, size: int, tmp_path: Path) -> None:
    view = b"(U\1vK%cK%ct" % (offset, size)
    root = b"}(U\4view" + rebuilt(reference(view=view), size) + b"U\4root" + rebuilt(reference()) + b"u."
    path = tmp_path / "model.pt"
    path.write_bytes(legacy_file(root, ["7"], storage_data(4, FLOATS)))
    view_record, root_record = open_source(path).tensors
    oracle = torch.load(path, weights_only=False)["view"]
    assert (view_record.shape, view_record.offset) == (tuple(oracle.shape), 4 * offset)
    assert view_record.storage is root_record.storage
    assert view_record.byte_range is not None
    _, begin, end = view_record.byte_range
    assert path.read_bytes()[begin:end] == ctypes.string_at(oracle.data_ptr(), 4 * size)


@pytest.mark.parametrize("little", [True, False])
def test_the_byte_order_of_the_writer_changes_nothing(little: bool) -> None:
    checkpoint = read(
        legacy_file(rebuilt(reference()) + b".", ["7"], storage_data(4, FLOATS), system={"little_endian": little})
    )
    assert checkpoint.metadata == {"byteorder": "little" if little else "big"}
    assert checkpoint.tensors[0].shape == (4,)


def test_keys_may_be_numbers() -> None:
    assert read(legacy_file(rebuilt(reference()) + b".", [7], storage_data(4, FLOATS))).tensors[0].storage is not None


# --- files that do not fit --------------------------------------------------------------------------------------

TWO = b"}(U\1a" + rebuilt(reference(numel=1), 1) + b"U\1b" + rebuilt(reference(numel=4), 4) + b"u."


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (legacy_file(b"N.", [], version=1002), MalformedError, "version 1002, expected 1001"),
        (legacy_file(b"N.", 5), MalformedError, "no list"),
        (legacy_file(b"N.", ["7"], storage_data(4, FLOATS)), MalformedError, "does not use"),
        (legacy_file(b"N.", [None]), MalformedError, "does not use"),
        (legacy_file(rebuilt(reference()) + b".", []), MalformedError, "is not in the list"),
        (legacy_file(rebuilt(reference()) + b".", ["7"]), TruncatedError, "too early"),
        (legacy_file(rebuilt(reference()) + b".", ["7"], storage_data(-5, FLOATS)), MalformedError, "-5 elements"),
        (legacy_file(rebuilt(reference()) + b".", ["7"], storage_data(3, FLOATS)), TruncatedError, "12 bytes of 16"),
        (legacy_file(rebuilt(reference()) + b".", ["7"], storage_data(2**40, FLOATS)), TruncatedError, "before the end of storage '7'"),
        (legacy_file(rebuilt(reference(), 5) + b".", ["7"], storage_data(4, FLOATS)), MalformedError, "needs 20 bytes"),
        (legacy_file(rebuilt(reference(view=b"(U\1vK\2K\3t")) + b".", ["7"]), MalformedError, "reaches past its end"),
        (legacy_file(TWO, ["7"], storage_data(1, FLOATS)), MalformedError, "needs 16 bytes of storage '7', which has 4"),
        (legacy_file(b"U\4evilQ.", []), MalformedError, "names no storage"),
    ],
)  # fmt: skip
def test_files_that_contradict_themselves(data: bytes, error: type[CheckpointError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


@pytest.mark.parametrize("place", ["object", "keys", "system"])
def test_a_name_that_runs_code_is_noted(place: str) -> None:
    evil = b"cos\nsystem\nU\4true\x85R."
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC_NUMBER, 1001))
    pickles = {"system": b"}.", "object": b"N.", "keys": b"]."}
    pickles[place] = evil[:-1] + b"0" + pickles[place]
    (note,) = read(head + b"".join(pickles.values())).notes
    assert "os.system" in note


SEEDS = [ONE, legacy_bytes({"a": torch.ones(3), "b": torch.nn.Linear(2, 2), "c": torch.ones(0)}), legacy_bytes([])]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_strict_prefix_is_an_error(seed: bytes) -> None:
    read(seed)
    for length in range(len(seed)):
        with pytest.raises(CheckpointError):
            read(seed[:length])


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes_give_records_or_an_error(seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for position, byte in flips:
        data[position % len(data)] = byte
    with contextlib.suppress(ParamInspectError):
        read(bytes(data))


@given(st.binary(max_size=80))
def test_any_bytes_behind_the_magic_number(data: bytes) -> None:
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC_NUMBER, 1001, SYSTEM))
    with contextlib.suppress(ParamInspectError):
        read(head + data)
