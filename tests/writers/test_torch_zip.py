from __future__ import annotations

import io
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import LimitExceededError, ParamInspectError
from paraminspect.files.blob import Blob
from paraminspect.files.local import LocalFile
from paraminspect.formats.source import open_source
from paraminspect.formats.zip_file import read_zip_directory
from paraminspect.tied.shared_bytes import find_ties
from paraminspect.writers import zip_write as zip_archive
from paraminspect.writers.layout import Layout, OutTensor
from paraminspect.writers.torch_pickle import TYPED, UNTYPED
from paraminspect.writers.torch_zip import plan_torch_zip
from tests.making.newer_torch import dtypes

pytestmark = pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")

HELD = sorted({*TYPED, *UNTYPED})
DIFFERENTIABLE = ("float64", "float32", "float16", "bfloat16", "complex64")

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def tensor_lists(draw: st.DrawFn) -> list[OutTensor]:
    every = draw(st.lists(names, unique=True, max_size=12))
    made = []
    while every:
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=5)))
        count = draw(st.integers(1, 3))
        aliases = tuple(every[1:count])
        dtype = draw(st.sampled_from([name for name in HELD if hasattr(torch, name)]))
        trainable = dtype in DIFFERENTIABLE and draw(st.booleans())
        made.append(OutTensor(every[0], dtype, shape, aliases, trainable))
        every = every[count:]
    return made


@given(tensors=tensor_lists())
def test_what_is_written_is_read_back(tensors: list[OutTensor], values: Any, write: Any, raw: Any) -> None:
    due = values(tensors)
    with TemporaryDirectory() as folder:
        path = Path(folder, "m.pt")
        write(plan_torch_zip(tensors, "m"), path, due)
        loaded = torch.load(path, weights_only=True)
        assert isinstance(loaded, OrderedDict)
        assert list(loaded) == [name for each in tensors for name in (each.name, *each.aliases)]
        for each, data in zip(tensors, due, strict=True):
            tensor = loaded[each.name]
            assert (str(tensor.dtype)[6:], tuple(tensor.shape)) == (each.dtype, each.shape)
            assert tensor.is_contiguous()
            assert tensor.requires_grad == each.trainable
            assert raw(tensor) == data
            assert all(loaded[alias] is tensor for alias in each.aliases)
        assert zipfile.ZipFile(path).testzip() is None
        ours = open_source(path)
        assert [record.name for record in ours.tensors] == list(loaded)
        ties = {group.names for group in find_ties(ours.tensors)}
        assert ties == {(each.name, *each.aliases) for each in tensors if each.aliases and each.numel}


@pytest.mark.parametrize("dtype", dtypes(HELD))
def test_every_dtype(dtype: str, tmp_path: Path, values: Any, write: Any, raw: Any) -> None:
    tensors = [OutTensor("a", dtype, (3, 2))]
    write(plan_torch_zip(tensors), tmp_path / "a", values(tensors))
    loaded = torch.load(tmp_path / "a", weights_only=True)["a"]
    assert (loaded.dtype, loaded.shape) == (getattr(torch, dtype), (3, 2))
    assert raw(loaded) == values(tensors)[0]


def as_torch(tensors: list[OutTensor], values: list[bytes]) -> Iterator[tuple[str, torch.Tensor]]:
    for each, data in zip(tensors, values, strict=True):
        flat = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.zeros(0, dtype=torch.uint8)
        tensor = flat.clone().view(getattr(torch, each.dtype)).reshape(each.shape).requires_grad_(each.trainable)
        for name in (each.name, *each.aliases):
            yield name, tensor


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1000, 1001, 2300])
def test_the_pickle_is_the_one_torch_writes(count: int, values: Any) -> None:
    kinds = [
        ("float32", (2, 3), ("tied",)), ("bfloat16", (70000,), ()), ("int64", (), ()), ("float8_e4m3fn", (300,), ()),
        ("float32", (0, 3), ()), ("complex32", (1, 2, 3, 4, 5), ()), ("uint16", (2, 2, 2), ()), ("bool", (1,), ()),
    ]  # fmt: skip
    tensors = []
    for number in range(count):
        dtype, shape, aliases = kinds[number % 8]
        trainable = number % 3 == 0 and dtype == "float32"
        tensors.append(OutTensor(f"n{number}é", dtype, shape, tuple(f"{each}{number}" for each in aliases), trainable))
    saved = io.BytesIO()
    torch.save(OrderedDict(as_torch(tensors, values(tensors))), saved)
    theirs = zipfile.ZipFile(saved)
    pickled = next(piece.content for piece in plan_torch_zip(tensors).files[0].pieces)
    assert isinstance(pickled, bytes)
    assert theirs.read("archive/data.pkl") in pickled


def test_the_records_are_those_of_torch(tmp_path: Path, values: Any, write: Any) -> None:
    tensors = [OutTensor("a", "float32", (5,), ("b",)), OutTensor("c", "float16", (7,))]
    write(plan_torch_zip(tensors, "ours"), tmp_path / "ours.pt", values(tensors))
    torch.save(OrderedDict(as_torch(tensors, values(tensors))), tmp_path / "ours.torch.pt")
    ours, theirs = (zipfile.ZipFile(tmp_path / name) for name in ("ours.pt", "ours.torch.pt"))

    def records(archive: zipfile.ZipFile) -> list[tuple[str, int, int]]:
        return [(each.filename.partition("/")[2], each.file_size, each.CRC) for each in archive.infolist()]

    assert records(ours)[:-1] == records(theirs)[:-1]
    assert records(ours)[-1][:2] == records(theirs)[-1][:2]  # the serialization id: another number of forty digits
    assert ours.read("ours/.data/serialization_id").isdigit()


def test_the_data_are_aligned(tmp_path: Path, values: Any, write: Any) -> None:
    tensors = [OutTensor(f"a{n}", "uint8", (n,)) for n in range(1, 130)]
    layout = plan_torch_zip(tensors, "x" * 37)
    assert all(slot.offset % 64 == 0 for slot in layout.slots)
    write(layout, tmp_path / "a.pt", values(tensors))
    assert torch.load(tmp_path / "a.pt", weights_only=True, mmap=True)["a7"].numel() == 7


@pytest.mark.parametrize("root", ["", "a/b", "a\\b", "nul\0", "\udcff", "x" * 201])
def test_a_root_that_no_zip_can_hold(root: str, tmp_path: Path, write: Any) -> None:
    write(plan_torch_zip([], root), tmp_path / "a.pt", [])
    assert zipfile.ZipFile(tmp_path / "a.pt").namelist()[0] == "archive/data.pkl"


def test_quantised_tensors_are_refused() -> None:
    with pytest.raises(ParamInspectError, match="cannot hold 'q' of dtype quint8"):
        plan_torch_zip([OutTensor("q", "quint8", (2,))])


def test_more_tensors_than_readers_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_ZIP_ENTRIES", 7)
    with pytest.raises(LimitExceededError, match="8 entries"):
        plan_torch_zip([OutTensor("a", "uint8", ()), OutTensor("b", "uint8", ())])


def test_more_entries_than_16_bits_count(tmp_path: Path, write: Any) -> None:
    tensors = [OutTensor(f"a{n}", "uint8", (1,)) for n in range(65_600)]
    write(plan_torch_zip(tensors), tmp_path / "a.pt", [b"\1"] * len(tensors))
    archive = zipfile.ZipFile(tmp_path / "a.pt")
    assert len(archive.namelist()) == 65_606
    assert archive.read("archive/data/65599") == b"\1"
    assert len(open_source(tmp_path / "a.pt").tensors) == 65_600


def fake(layout: Layout, path: Path) -> None:
    """Everything that is known beforehand, in a file with holes in the place of tensors."""
    with path.open("wb") as file:
        file.truncate(layout.nbytes)
        for piece in layout.files[0].pieces:
            assert isinstance(piece.content, bytes)
            os.pwrite(file.fileno(), piece.content, piece.offset)


def test_sizes_beyond_32_bits(tmp_path: Path) -> None:
    """A tensor of over 4 GiB, and a small one behind it."""
    tensors = [OutTensor("big", "uint8", (2**32 + 5,)), OutTensor("small", "uint8", (4,))]
    layout = plan_torch_zip(tensors)
    path = tmp_path / "big.pt"
    fake(layout, path)
    if path.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("the file system has no sparse files")
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"last", layout.slots[1].offset)
        os.pwrite(file.fileno(), b"!", layout.slots[0].offset + 2**32 + 4)
    archive = zipfile.ZipFile(path)
    assert archive.getinfo("archive/data/0").file_size == 2**32 + 5
    assert archive.getinfo("archive/data/1").header_offset > 2**32
    assert archive.read("archive/version") == b"3\n"
    loaded = torch.load(path, weights_only=True, mmap=True)
    assert loaded["big"].numel() == 2**32 + 5
    assert loaded["big"][-1] == ord("!")
    assert bytes(loaded["small"].numpy()) == b"last"
    assert [record.byte_range for record in open_source(path).tensors] == [
        (str(path), slot.offset, slot.offset + slot.nbytes) for slot in layout.slots
    ]


@pytest.mark.parametrize("nbytes", [2**32 - 2, 2**32 - 1, 2**32])
def test_the_edge_of_32_bits(nbytes: int, tmp_path: Path) -> None:
    layout = plan_torch_zip([OutTensor("big", "uint8", (nbytes,))])
    path = tmp_path / "big.pt"
    fake(layout, path)
    assert zipfile.ZipFile(path).getinfo("archive/data/0").file_size == nbytes
    with path.open("rb") as file:
        directory = read_zip_directory(Blob(LocalFile(layout.nbytes, os.dup(file.fileno()))))
    entry = directory.entries["archive/data/0"]
    assert (entry.size, directory.data_offset(entry)) == (nbytes, layout.slots[0].offset)
    header = directory.blob.read(entry.header_offset, 64)  # sizes of 8 bytes follow if it says so
    assert (header[18:26] == b"\xff" * 8) == (nbytes >= 2**32 - 1) == (header[44:48] == b"\1\0\x10\0")
    assert torch.load(path, weights_only=True, mmap=True)["big"].numel() == nbytes
