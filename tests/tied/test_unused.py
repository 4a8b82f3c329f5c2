"""Bytes that no tensor uses, counted against a bare loop over what torch itself loads."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from paraminspect.checks.check import check_source
from paraminspect.formats import open_source
from paraminspect.records import Checkpoint, Storage, TensorRecord
from paraminspect.tied.unused import MIN_SHARE, MIN_UNUSED, find_unused
from tests.making.formats import export_bytes
from tests.making.numpy_files import npy_bytes
from tests.making.onnx_files import floats, model
from tests.making.zips import zip_bytes


def count_by_hand(state: dict[str, torch.Tensor]) -> tuple[int, int]:
    """Bytes that no tensor uses and bytes of all storages, byte by byte."""
    marks: dict[int, np.ndarray] = {}
    for tensor in state.values():
        storage = tensor.untyped_storage()
        mark = marks.setdefault(storage.data_ptr(), np.zeros(storage.nbytes(), bool))
        places = np.arange(storage.nbytes() // tensor.itemsize)
        used = torch.as_strided(torch.from_numpy(places), tensor.shape, tensor.stride(), tensor.storage_offset())
        for place in used.flatten().tolist():
            mark[place * tensor.itemsize : (place + 1) * tensor.itemsize] = True
    return sum(int((~mark).sum()) for mark in marks.values()), sum(len(mark) for mark in marks.values())


def make_views() -> dict[str, dict[str, torch.Tensor]]:
    big, other = torch.arange(60_000.0).reshape(200, 300), torch.arange(40_000.0)
    return {
        "a slice": {"a": big[:3]},
        "slices that meet": {"a": big[:9], "b": big[5:20], "c": big[100:]},
        "strides": {"a": big[::7], "b": big.t()[3], "c": big[2:90:5, 10:20]},
        "several storages": {"a": big[:3], "b": other[10:20], "whole": torch.ones(7)},
        "a whole and its part": {"part": other[:5], "other": other, "a": big[1]},
        "other types": {"a": big.to(torch.bfloat16)[:3], "b": torch.zeros(100_000, dtype=torch.uint8)[::2]},
        "as many bytes as the storage, not all of it": {"a": big.as_strided((200, 300), (0, 1))},
        "no elements": {"a": big[:0]},
    }


@pytest.mark.parametrize("kind", make_views())
@pytest.mark.parametrize("form", ["zip", "legacy", "plain"])
def test_views_leave_the_rest_of_their_storage(tmp_path: Path, kind: str, form: str) -> None:
    state, path = make_views()[kind], tmp_path / "views.pt"
    if form == "plain":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    found = find_unused(open_source(path))
    assert found is not None
    loaded = pickle.loads(path.read_bytes()) if form == "plain" else torch.load(path)
    assert found[:2] == count_by_hand(loaded)


WHOLE: dict[str, Callable[[], object]] = {
    "plain": lambda: {"a": torch.ones(300, 200), "b": torch.ones(5)},
    "LSTM": lambda: torch.nn.LSTM(100, 100, 2).state_dict(),
    "transposed": lambda: {"a": torch.ones(300, 200).t()},
    "quantised": lambda: {
        "a": torch.quantize_per_channel(torch.ones(30_000, 2), torch.ones(30_000), torch.zeros(30_000), 0, torch.qint8)
    },
}


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("kind", WHOLE)
def test_nothing_is_said_where_all_is_used(tmp_path: Path, kind: str) -> None:
    torch.save(WHOLE[kind](), tmp_path / "whole.pt")
    checkpoint = open_source(tmp_path / "whole.pt")
    assert checkpoint.stored
    assert checkpoint.stored > MIN_UNUSED
    assert find_unused(checkpoint) is None


def test_nothing_is_said_where_a_tensor_lies_in_storages_that_are_not_known(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(100_000)[:3], "b": torch.eye(300).to_sparse()}, tmp_path / "sparse.pt")
    assert find_unused(open_source(tmp_path / "sparse.pt")) is None


def views_of(stored: int, *sizes: int) -> Checkpoint:
    storages = [Storage(str(number), size) for number, size in enumerate(sizes)]
    tensors = [TensorRecord(s.key, (s.nbytes,), "uint8", s.nbytes, s.nbytes, storage=s, stride=(1,)) for s in storages]
    return Checkpoint("torch zip", tensors, stored=stored)


def test_what_writers_pad_is_not_worth_a_word() -> None:
    assert find_unused(views_of(MIN_UNUSED + 9, 10)) is None
    assert find_unused(views_of(MIN_UNUSED + 10, 10)) is not None


def test_a_small_part_of_a_large_file_is_not_worth_a_word() -> None:
    stored = MIN_SHARE * MIN_UNUSED * 10
    assert find_unused(views_of(stored, stored - 10 * MIN_UNUSED + 1)) is None
    assert find_unused(views_of(stored, stored - 10 * MIN_UNUSED)) is not None


def test_views_are_named_by_what_they_leave(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(50_000)[:3], "b": torch.ones(90_000)[:3], "c": torch.ones(3)}, tmp_path / "views.pt")
    found = find_unused(open_source(tmp_path / "views.pt"))
    assert found is not None
    assert found.views == ("b", "a")
    assert found.describe().startswith("559,976 of 560,012 bytes")


def test_a_hostile_file_costs_no_more_than_its_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage("0", 1 << 30)
    tensors = [
        TensorRecord(str(k), (50, 50, 50), "uint8", 125_000, 125_000, storage=storage, stride=(7001 + k, 997, 31 + k))
        for k in range(3_000)
    ]
    assert find_unused(Checkpoint("torch zip", tensors, stored=1 << 30)) is None


def test_bytes_behind_the_arrays_of_numpy(tmp_path: Path) -> None:
    array = npy_bytes(np.zeros(10, np.float32))
    (tmp_path / "a.npy").write_bytes(array + bytes(MIN_UNUSED))
    (tmp_path / "a.npz").write_bytes(zip_bytes({"a.npy": array + bytes(MIN_UNUSED), "b.npy": array}))
    for name, stored in (("a.npy", 40 + MIN_UNUSED), ("a.npz", 80 + MIN_UNUSED)):
        assert find_unused(open_source(tmp_path / name)) == (MIN_UNUSED, stored, ())
    (tmp_path / "a.npz").write_bytes(zip_bytes({"a.npy": array, "b.npy": array}))
    assert find_unused(open_source(tmp_path / "a.npz")) is None


def test_an_array_that_another_of_its_name_hides(tmp_path: Path) -> None:
    array = npy_bytes(np.zeros(MIN_UNUSED, np.float32))
    (tmp_path / "a.npz").write_bytes(zip_bytes([("a.npy", array), ("a.npy", array)]))
    assert find_unused(open_source(tmp_path / "a.npz")) == (len(array), len(array) + 4 * MIN_UNUSED, ())


def test_members_of_an_exported_program(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_bytes(export_bytes())
    checkpoint = open_source(path)
    assert (checkpoint.stored, find_unused(checkpoint)) == (8, None)
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/data/weights/weight_9", bytes(MIN_UNUSED))
        archive.writestr(f"{root}/data/extra", bytes(MIN_UNUSED))
    assert find_unused(open_source(path)) == (MIN_UNUSED, MIN_UNUSED + 8, ())
    found = [each.code for each in check_source(path) if each.code.startswith("unused")]
    assert found == ["unused-bytes"]


def outside(name: str, offset: int) -> onnx.TensorProto:
    """Eight numbers in the file "w"."""
    tensor = floats(name, 8)
    onnx.external_data_helper.set_external_data(tensor, "w", offset, 32)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    return tensor


@pytest.mark.parametrize(("gap", "said"), [(4096, False), (MIN_UNUSED, False), (MIN_UNUSED + 1, True)])
def test_holes_in_external_data(tmp_path: Path, gap: int, *, said: bool) -> None:
    weights = np.ones(8, np.float32).tobytes()
    (tmp_path / "w").write_bytes(weights + bytes(gap) + weights)
    tensors = [outside("a", 0), outside("b", 32 + gap)]
    (tmp_path / "m.onnx").write_bytes(model(*tensors).SerializeToString())
    found = find_unused(open_source(tmp_path / "m.onnx"))
    assert (found is not None) is said
    assert found is None or (found.nbytes, found.views) == (gap, ())
    codes = [each.code for each in check_source(tmp_path / "m.onnx")]
    assert codes == ["unused-storage"] * said
