"""Files that torch.save writes, held against torch; archives that torch never wrote, made by hand."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import CheckpointError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.formats.pytorch.archive import read_torch_zip
from paraminspect.formats.source import open_source
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.records import Checkpoint
from tests.making.torch_files import torch_bytes
from tests.making.zips import zip_bytes, zip_members

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

LikeTorch = Callable[..., None]


def read(data: bytes) -> Checkpoint:
    return read_torch_zip(read_zip_directory(Blob.from_bytes(data, "x.pt")))


# --- what torch writes ------------------------------------------------------------------------------------------


def test_what_torch_saves(state: object, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    path = tmp_path / "model.pt"
    torch.save(state, path)
    checkpoint = open_source(path)
    assert checkpoint.format == "torch zip"
    assert_like_torch(checkpoint, torch.load(path, weights_only=False))


@pytest.mark.parametrize("protocol", [1, 3, 4, 5])
def test_every_protocol(protocol: int, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    value = {
        "model": {"weight": torch.ones(2, 3).t(), "tied": torch.ones(2)},
        "list": [torch.zeros(3, dtype=torch.int8)],
    }
    value["model"]["head"] = value["model"]["tied"]  # type: ignore[index, call-overload]
    path = tmp_path / "model.pt"
    torch.save(value, path, pickle_protocol=protocol)
    assert_like_torch(open_source(path), value)


def test_every_dtype(dtype: torch.dtype, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    whole = torch.arange(24 * dtype.itemsize, dtype=torch.uint8).view(dtype) if dtype.itemsize else torch.empty(0)
    path = tmp_path / "model.pt"
    torch.save({"whole": whole, "part": whole[5:]}, path)
    assert_like_torch(open_source(path), torch.load(path))


@pytest.mark.parametrize(("dtype", "nbytes"), [(torch.quint4x2, 9), (torch.quint2x4, 6)], ids=str)
def test_several_elements_in_a_byte(dtype: torch.dtype, nbytes: int) -> None:
    value = torch.quantize_per_channel(torch.ones(3, 5), torch.ones(3), torch.zeros(3), 0, dtype)
    (record,) = read(torch_bytes({"w": value})).tensors
    assert (record.name, record.shape, record.dtype, record.nbytes) == ("w", (3, 5), str(dtype)[6:], nbytes)
    assert record.storage is not None
    assert record.storage.nbytes == nbytes
    assert record.byte_range == ("x.pt", record.storage.begin, record.storage.begin + nbytes)  # type: ignore[operator]


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged], ids=str)
def test_nested_tensors_have_no_shape(layout: torch.layout) -> None:
    value = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=layout)
    (record,) = read(torch_bytes({"w": value})).tensors
    assert (record.name, record.shape, record.dtype, record.numel, record.layout) == (
        "w",
        None,
        "float32",
        18,
        "nested",
    )


def test_sparse_tensors_count_the_bytes_of_their_parts() -> None:
    coo, csr = read(torch_bytes([torch.eye(4).to_sparse(), torch.eye(4).to_sparse_csr()])).tensors
    assert (coo.nbytes, csr.nbytes) == (8 * 8 + 4 * 4, 5 * 8 + 4 * 8 + 4 * 4)
    assert coo.storage is csr.storage is coo.byte_range is None


def test_a_module_whose_class_is_gone(foreign_class: Any, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    cls, vanish = foreign_class
    net, path = cls(), tmp_path / "model.pt"
    torch.save(net, path)
    vanish()
    with pytest.raises(ModuleNotFoundError):
        torch.load(path, weights_only=False)
    checkpoint = open_source(path)
    assert_like_torch(checkpoint, net)
    assert [record.name for record in checkpoint.tensors if record.kind != "tensor"] == [
        "blocks.0.scale", "blocks.0.mask", "blocks.0.steps", "blocks.0.linear.weight", "blocks.0.linear.bias",
        "blocks.1.scale", "blocks.1.mask", "blocks.1.steps", "blocks.1.linear.weight", "blocks.1.linear.bias",
        "head.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked",
    ]  # fmt: skip
    attributes = [record for record in checkpoint.tensors if record.role == "attribute"]
    assert [record.name for record in attributes] == ["blocks.0.plain", "blocks.1.plain"]
    assert checkpoint.tensors[0].module_type == "vanishing.Block"
    assert not checkpoint.notes


def test_roles_and_parts(tmp_path: Path) -> None:
    net = torch.nn.BatchNorm1d(2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    state = {
        "model": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng_state": torch.get_rng_state(),
        "epoch": 3,
    }
    found = {record.name: (record.role, record.part, record.kind) for record in read(torch_bytes(state)).tensors}
    assert found == {
        "model.weight": ("model", "model", "tensor"),
        "model.bias": ("model", "model", "tensor"),
        "model.running_mean": ("model", "model", "buffer"),
        "model.running_var": ("model", "model", "buffer"),
        "model.num_batches_tracked": ("model", "model", "buffer"),
        "optimizer.state.0.momentum_buffer": ("optimizer", "optimizer", "tensor"),
        "optimizer.state.1.momentum_buffer": ("optimizer", "optimizer", "tensor"),
        "rng_state": ("state", "", "tensor"),
    }


def test_a_pickled_optimizer_is_no_model() -> None:
    optimizer = torch.optim.SGD(
        [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))], 0.1, momentum=0.9
    )
    optimizer.param_groups[0]["params"][0].sum().backward()
    optimizer.step()
    records = read(torch_bytes({"o": optimizer, "w": torch.ones(1)})).tensors
    assert {record.name: record.role for record in records} == {
        "o.state.<tensor>.momentum_buffer": "optimizer",
        "o.param_groups.0.params.0": "optimizer",
        "o.param_groups.0.params.1": "optimizer",
        "w": "model",
    }


def test_what_the_archive_says_of_itself() -> None:
    assert read(torch_bytes({})).metadata["byteorder"] == "little"
    assert read(torch_bytes({})).metadata["version"] == "3"


# --- archives that torch never wrote ----------------------------------------------------------------------------

ONE = torch_bytes({"weight": torch.ones(4)})


def test_a_name_that_runs_code_is_noted() -> None:
    (note,) = read(zip_bytes({"a/data.pkl": b"cos\nsystem\nU\1xR."})).notes
    assert "os.system" in note


def test_deflated_entries_have_no_place_in_the_file() -> None:
    (record,) = read(zip_bytes(zip_members(ONE), method=zipfile.ZIP_DEFLATED)).tensors
    assert record.shape == (4,)
    assert record.byte_range is None


def test_encrypted_storages_have_no_place_in_the_file() -> None:
    data = bytearray(ONE)
    at = 0
    while (at := data.find(b"PK\1\2", at + 1)) > 0:
        if b"data/0" in data[at : at + 80]:
            data[at + 8] |= 1
    (record,) = read(bytes(data)).tensors
    assert record.byte_range is None


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"archive/data/0": None}, MalformedError, "storage '0' is not in the archive"),
        ({"archive/data/0": b"\0" * 15}, TruncatedError, "storage '0' has 15 bytes of 16"),
        ({"archive/data.pkl": b""}, TruncatedError, "ends at byte 0"),
        ({"other/data.pkl": b"N."}, MalformedError, "2 archives"),
        ({"archive/DATA.PKL": b"N."}, MalformedError, "two entries named data.pkl"),
    ],
)
def test_entries_that_do_not_fit(change: dict[str, bytes | None], error: type[CheckpointError], message: str) -> None:
    changed = {**zip_members(ONE), **change}
    with pytest.raises(error, match=message):
        read(zip_bytes({name: content for name, content in changed.items() if content is not None}))


def test_two_entries_of_one_name() -> None:
    stream = io.BytesIO(ONE)
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as made:
        warnings.simplefilter("ignore")
        made.writestr("archive/data/0", b"\0" * 16)
    assert "1 names stand twice" in read(stream.getvalue()).notes[0]
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "a") as made:
        warnings.simplefilter("ignore")
        made.writestr("archive/data.pkl", b"N.")
    with pytest.raises(MalformedError, match=r"two entries named data\.pkl"):
        read(stream.getvalue())


def test_a_size_that_no_deflated_data_can_have() -> None:
    data = bytearray(zip_bytes({**zip_members(ONE), "archive/data/0": b"\0" * 10**6}, method=zipfile.ZIP_DEFLATED))
    at = data.rindex(b"PK\1\2", 0, data.index(b"archive/data/0", data.index(b"PK\1\2")))
    struct.pack_into("<L", data, at + 24, 2**31)
    with pytest.raises(MalformedError, match="declares 2,147,483,648 bytes, deflated to"):
        read(bytes(data))


def persistent(pid: bytes, numel: int = 4) -> bytes:
    """A tensor of `numel` elements over the storage that a persistent id names."""
    return b"ctorch._utils\n_rebuild_tensor_v2\n((" + pid + b"tQK\0K%c\x85K\1\x85\x89NtR." % numel


FLOAT = b"U\7storagectorch\nFloatStorage\n"


@pytest.mark.parametrize(
    ("pid", "message"),
    [
        (FLOAT + b"U\x010U\3cpuK\4N", None),
        (FLOAT + b"U\x010U\3cpuK\4(U\1vK\0K\4t", None),
        (b"U\7storagectorch.cuda\nFloatStorage\nK\0U\3cpuK\4", None),
        (FLOAT + b"U\x010U\3cpuK\x09", "has 16 bytes of 36"),
        (FLOAT + b"U\x010U\3cpuM\xff\0(U\1vK\1K\4t", "has 16 bytes of 20"),
        (FLOAT + b"U\x010U\3cpuK\4(U\1vK\1K\4t", "reaches past its end"),
        (FLOAT + b"U\x010U\3cpuK\4(U\1vJ\xff\xff\xff\xffK\4t", "reaches past its end"),
        (FLOAT + b"U\x010U\3cpuK\4K\1", "no .key, offset, size"),
        (FLOAT + b"U\x010U\3cpuJ\xff\xff\xff\xff", "negative or absurd"),
        (FLOAT + b"U\x010U\3cpu\x8a\x09\0\0\0\0\0\0\0\0\1", "negative or absurd"),
        (FLOAT + b"U\x010U\3cpuG\0\0\0\0\0\0\0\0", "negative or absurd"),
        (FLOAT + b"NU\3cpuK\4", "key is no string"),
        (b"U\7storageNU\x010U\3cpuK\4", "type that is none of torch's"),
        (b"U\7storagecm\nFloatStorage\nU\x010U\3cpuK\4", "type that is none of torch's"),
        (b"U\4evilK\1", "names no storage"),
        (FLOAT, "names no storage"),
        (b"", "names no storage"),
    ],
)
def test_persistent_ids(pid: bytes, message: str | None) -> None:
    data = zip_bytes({"a/data.pkl": persistent(pid), "a/data/0": b"\0" * 16})
    if message is None:
        assert read(data).tensors[0].shape == (4,)
    else:
        with pytest.raises(CheckpointError, match=message):
            read(data)


# --- damage -----------------------------------------------------------------------------------------------------

SEEDS = [ONE, torch_bytes({"model": torch.nn.Linear(2, 2), "s": torch.eye(2).to_sparse(), "q": {1: torch.ones(1)}})]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_prefix_is_a_file(seed: bytes) -> None:
    for length in (*range(0, len(seed), 61), len(seed) - 1):
        with pytest.raises(CheckpointError):
            read(seed[:length])


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=3))
def test_flipped_bytes_give_records_or_an_error(seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for position, byte in flips:
        data[position % len(data)] = byte
    with contextlib.suppress(ParamInspectError):
        read(bytes(data))


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x80\2", pickle.dumps({"a": 1}, 2)[:-1]]))
def test_any_pickle_gives_records_or_an_error(data: bytes, head: bytes) -> None:
    with contextlib.suppress(ParamInspectError):
        read(zip_bytes({"a/data.pkl": head + data + b"."}))
