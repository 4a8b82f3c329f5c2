"""Tar archives of torch 0.1, written by hand and read by torch.load as well."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paraminspect.errors import (
    CheckpointError,
    LimitExceededError,
    MalformedError,
    ParamInspectError,
    TruncatedError,
    UnknownFormatError,
)
from paraminspect.files.blob import Blob
from paraminspect.formats.pytorch import tar as torch_tar
from paraminspect.formats.pytorch.tar import read_torch_tar
from paraminspect.formats.source import open_source
from paraminspect.records import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")

LikeTorch = Callable[..., None]


class Storage(NamedTuple):
    key: object = 1
    numel: int = 6
    data: bytes = struct.pack("<6f", *range(6))
    kind: type = torch.FloatStorage


class Tensor(NamedTuple):
    key: object
    storage: object = 1
    sizes: tuple[int, ...] = (2, 3)
    strides: tuple[int, ...] = (3, 1)
    offset: int = 0
    ndim: int | None = None


class Persistent:
    """Pickled as a persistent id."""

    def __init__(self, pid: object) -> None:
        self.pid = pid


class Pickler(pickle.Pickler):
    def persistent_id(self, value: object) -> object:
        return value.pid if isinstance(value, Persistent) else None


def dump(value: object) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, 2).dump(value)
    return stream.getvalue()


def write_storages(storages: list[Storage], views: object = ()) -> bytes:
    parts = [dump(len(storages))]
    for key, numel, data, kind in storages:
        parts += [dump((key, "cpu", kind)), struct.pack("<q", numel), data]
    return b"".join([*parts, dump(views)])


def write_tensors(tensors: list[Tensor]) -> bytes:
    parts = [dump(len(tensors))]
    for key, storage, sizes, strides, offset, ndim in tensors:
        numbers = struct.pack(f"<{len(sizes)}q{len(strides)}qq", *sizes, *strides, offset)
        parts += [
            dump((key, storage, torch.FloatTensor)),
            struct.pack("<ii", len(sizes) if ndim is None else ndim, 0),
            numbers,
        ]
    return b"".join(parts)


def pack(members: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:", format=format) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = kind
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def torch_tar_file(
    root: object, tensors: list[Tensor], storages: list[Storage] | None = None, views: object = ()
) -> bytes:
    storages = [Storage()] if storages is None else storages
    return pack({"storages": write_storages(storages, views), "tensors": write_tensors(tensors), "pickle": dump(root)})


def read(data: bytes) -> Checkpoint:
    return read_torch_tar(Blob.from_bytes(data, "x.pt"))


ITEMSIZES = {"Double": 8, "Float": 4, "Half": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
ALL_KINDS = [Storage(kind, 3, bytes(range(3 * n)), getattr(torch, f"{kind}Storage")) for kind, n in ITEMSIZES.items()]

FILES: dict[str, bytes] = {
    "one": torch_tar_file({"weight": Persistent(5)}, [Tensor(5)]),
    "nested": torch_tar_file(
        {"model": {"w": Persistent(5), "tied": Persistent(5)}, "list": [Persistent(6), 3]},
        [Tensor(5), Tensor(6, sizes=(3, 2), strides=(1, 3))],
    ),
    "shared": torch_tar_file(
        {"row": Persistent(5), "all": Persistent(6), "scalar": Persistent(7)},
        [Tensor(5, sizes=(3,), strides=(1,), offset=3), Tensor(6), Tensor(7, sizes=(), strides=(), offset=5)],
    ),
    "views": torch_tar_file(
        {"root": Persistent(5), "view": Persistent(6), "view of a view": Persistent(7)},
        [Tensor(5), Tensor(6, 20, (3,), (1,), 1), Tensor(7, 21, (2,), (1,))],
        views=[(20, 1, 2, 4), (21, 20, 1, 3)],
    ),
    "types": torch_tar_file(
        {kind: Persistent(i) for i, kind in enumerate(ITEMSIZES)},
        [Tensor(i, kind, (3,), (1,)) for i, kind in enumerate(ITEMSIZES)],
        ALL_KINDS,
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_like_torch(name: str, tmp_path: Path, assert_like_torch: LikeTorch) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(FILES[name])
    checkpoint = open_source(path)
    assert checkpoint.format == "torch tar"
    # torch makes a view of a storage a storage of its own, over the same memory
    assert_like_torch(checkpoint, torch.load(path, weights_only=False), shared=name != "views")


def test_views_share_the_storage_they_are_views_of() -> None:
    root, view, inner = read(FILES["views"]).tensors
    assert root.storage is view.storage is inner.storage
    assert (root.offset, view.offset, inner.offset) == (0, 4 * (2 + 1), 4 * (2 + 1))


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_every_tar_dialect(tar_format: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(FILES["one"])) as archive:
        members = {f"./{m.name}": archive.extractfile(m).read() for m in archive.getmembers()}  # type: ignore[union-attr]
    assert read(pack(members, format=tar_format)).tensors == read(FILES["one"]).tensors


def test_a_class_of_a_module_is_a_persistent_id_too() -> None:
    data = torch_tar_file([Persistent((dict, "source.py", "class ..")), Persistent("5")], [Tensor(5)])
    assert [record.name for record in read(data).tensors] == ["1"]


def test_a_name_that_runs_code_is_noted() -> None:
    data = pack({"storages": write_storages([]), "tensors": write_tensors([]), "pickle": b"cos\nsystem\nU\1x\x85R."})
    assert "os.system" in read(data).notes[0]


# --- archives that do not fit -----------------------------------------------------------------------------------

ROOT = [Persistent(5)]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (pack({"storages": b"", "tensors": b""}), UnknownFormatError, "without the member 'pickle'"),
        (
            pack({"../storages": b"", "tensors": b"", "pickle": b""}),
            UnknownFormatError,
            "without the member 'storages'",
        ),
        (pack({"storages": b"", "tensors": b"", "pickle": b""}, kind=tarfile.SYMTYPE), UnknownFormatError, "without"),
        (pack({"storages": dump("x"), "tensors": b"", "pickle": b""}), MalformedError, "begin with a count"),
        (pack({"storages": dump(-1), "tensors": b"", "pickle": b""}), MalformedError, "begin with a count"),
        (pack({"storages": dump(10**9), "tensors": b"", "pickle": b""}), LimitExceededError, "storages or tensors"),
        (pack({"storages": dump(1) + dump("x"), "tensors": b"", "pickle": b""}), MalformedError, "no .key, .., type"),
        (torch_tar_file(ROOT, [], [Storage(key=None)]), MalformedError, "neither number nor text"),
        (torch_tar_file(ROOT, [], [Storage(kind=dict)]), MalformedError, "none of torch's"),
        (torch_tar_file(ROOT, [], [Storage(numel=-1)]), MalformedError, "-1 elements"),
        (torch_tar_file(ROOT, [], [Storage(numel=2**60)]), TruncatedError, "of a file of"),
        (torch_tar_file(ROOT, [], views=[1]), MalformedError, "no .key, root, offset, size"),
        (torch_tar_file(ROOT, [], views=[(2, 9, 0, 1)]), MalformedError, "names no storage"),
        (torch_tar_file(ROOT, [], views=[(2, 1, -1, 1)]), MalformedError, "names no storage"),
        (torch_tar_file(ROOT, [], views=[(2, 1, 3, 4)]), MalformedError, "past its storage"),
        (torch_tar_file(ROOT, [Tensor(5, storage=9)]), MalformedError, "no storage"),
        (torch_tar_file(ROOT, [Tensor(5, offset=1)]), MalformedError, "needs 28 bytes"),
        (torch_tar_file(ROOT, [Tensor(5, offset=-1)]), MalformedError, "offset"),
        (torch_tar_file(ROOT, [Tensor(5, sizes=(-2, 3))]), MalformedError, "negative"),
        (torch_tar_file(ROOT, [Tensor(5, ndim=-1)]), MalformedError, "-1 dimensions"),
        (torch_tar_file(ROOT, [Tensor(5, ndim=10_000)]), MalformedError, "10000 dimensions"),
        (torch_tar_file(ROOT, [Tensor(5, ndim=60)]), TruncatedError, "too early"),
        (torch_tar_file(ROOT, [Tensor(6)]), MalformedError, "names no tensor"),
        (torch_tar_file([Persistent(2.5)], [Tensor(6)]), MalformedError, "neither number nor text"),
    ],
)
def test_archives_that_contradict_themselves(data: bytes, error: type[CheckpointError], message: str) -> None:
    with pytest.raises(error, match=message):
        read(data)


def test_a_limit_on_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_tar, "MAX_COUNT", 2)
    read(torch_tar_file([], [Tensor(5), Tensor(6)]))
    with pytest.raises(LimitExceededError, match="3 storages or tensors in a tar; the limit is 2"):
        read(torch_tar_file([], [Tensor(5), Tensor(6), Tensor(7)]))


def test_a_size_that_is_no_number() -> None:
    with pytest.raises(MalformedError, match="has no size"):
        read(FILES["one"].replace(b"0000000", b"xxxxxxx", 3))


def test_prefixes_give_records_or_an_error() -> None:
    data = FILES["nested"]
    last = data.index(b"pickle\0") + 512  # behind the last member's header: its data, then padding
    for length in range(0, last, 41):
        with pytest.raises(CheckpointError):
            read(data[:length])


@given(
    st.sampled_from(list(FILES.values())), st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255)), max_size=4)
)
def test_flipped_bytes_give_records_or_an_error(seed: bytes, flips: list[tuple[int, int]]) -> None:
    data = bytearray(seed)
    for position, byte in flips:
        data[position % len(data)] = byte
    with contextlib.suppress(ParamInspectError):
        read(bytes(data))


@given(st.binary(max_size=60), st.sampled_from(["storages", "tensors", "pickle"]))
def test_any_bytes_in_a_member(data: bytes, name: str) -> None:
    members = {"storages": write_storages([Storage()]), "tensors": write_tensors([Tensor(5)]), "pickle": dump(ROOT)}
    with contextlib.suppress(ParamInspectError):
        read(pack({**members, name: data}))
