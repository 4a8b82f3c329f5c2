"""`torch.distributed.checkpoint` (DCP): a folder with `.metadata` and the pieces of each rank.

`.metadata` is one pickle, a `Metadata` object: `state_dict_metadata` maps each dotted name to its global size, dtype and
chunks (offsets, sizes), or to `BytesStorageMetadata` for what is no tensor; `planner_data` maps it to the path of
keys it was flattened from; `storage_data` maps (name, offset of the chunk) to a file, an offset and a length. Each
piece in a `.distcp` file is a torch zip of its own.

Source: `torch.distributed.checkpoint.metadata` and `.filesystem`; folders of torch 2.1 to 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.files.door import Look, look, place_of
from paraminspect.files.paths import join, stays_inside
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.inert import Dtype, OddKey, Opaque
from paraminspect.formats.pickles.machine import PickleMachine
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.classify import kind_of, role_of_key
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.shapes import MAX_TENSORS, check_sizes, count_elements
from paraminspect.formats.sharded import MAX_SHARDS
from paraminspect.records import Checkpoint, Encoding, Piece, Role, TensorRecord
from paraminspect.text import list_some, quote

METADATA_MARK: Final = b"torch.distributed.checkpoint.metadata"
METADATA_HEAD: Final = 4096
"""Bytes that are searched for the mark."""

_Places = dict[tuple[str, tuple[int, ...] | None], tuple[str, int, int]]


def is_metadata(blob: Blob) -> bool:
    """Whether a pickle is the `.metadata` of such a folder."""
    return METADATA_MARK in blob.read_up_to(0, METADATA_HEAD)


def read_distributed(metadata: Blob, folder: str) -> Checkpoint:
    """Tensors of a DCP folder, with their global shapes.

    Raises:
        MalformedError: The pickle is no DCP metadata.
        CheckpointError: A piece is missing.
        TruncatedError: A piece ends before the range the metadata gives.
    """
    table = GlobalTable()
    root = PickleMachine(metadata, table.find).load()
    state = _state(root, "Metadata")
    if state is None:
        raise MalformedError(
            "not the metadata of torch.distributed.checkpoint"
            + "".join(f" ({note})" for note in note_calls(table.foreign))
        )
    places = _places(state)
    tensors = list(_tensors(state, folder, places))
    sizes = _piece_sizes(places)
    files = _check_pieces(folder, sizes)
    others = len(_dict(state.get("state_dict_metadata"))) - len(tensors)
    notes = list(note_calls(table.foreign))
    if others:
        notes.append(f"entries that are no tensors: {others:,}")
    return Checkpoint("torch distributed", tensors, {}, tuple(notes), files=files)


def _state(value: object, name: str) -> dict[object, object] | None:
    """The instance dictionary of an object of a class of that name."""
    if isinstance(value, Opaque) and value.class_name.rpartition(".")[2] == name and isinstance(value.state, dict):
        return value.state
    return None


def _dict(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _tensors(state: dict[object, object], folder: str, places: _Places) -> Iterator[TensorRecord]:
    paths = _dict(state.get("planner_data"))
    entries = _dict(state.get("state_dict_metadata"))
    if len(entries) > MAX_TENSORS:
        raise LimitExceededError("entries in a distributed checkpoint", limit=MAX_TENSORS, actual=len(entries))
    for name, entry in entries.items():
        tensor = _state(entry, "TensorStorageMetadata")
        if tensor is None:
            if isinstance(entry, Opaque):
                continue
            raise MalformedError("an entry of the metadata is no object")
        if not isinstance(name, str):
            raise MalformedError("a name in the metadata is no string")
        record = _record(name, tensor, paths.get(name))
        yield record._replace(encoding=Encoding(pieces=tuple(_pieces(record, tensor, folder, places))))


def _pieces(record: TensorRecord, tensor: dict[object, object], folder: str, places: _Places) -> Iterator[Piece]:
    """Where each chunk of a tensor lies; one whose place the metadata do not give is left out.

    Raises:
        MalformedError: A chunk that reaches past the tensor.
    """
    shape = record.shape or ()
    chunks = tensor.get("chunks")
    for chunk in chunks if isinstance(chunks, list | tuple) else ():
        box = _state(chunk, "ChunkStorageMetadata") or {}
        offsets, sizes = check_sizes(box.get("offsets"), "chunk"), check_sizes(box.get("sizes"), "chunk")
        if len(offsets) != len(shape) or len(sizes) != len(shape):
            raise MalformedError(f"a chunk of {quote(record.name)} has other dimensions")
        if any(begin + size > whole for begin, size, whole in zip(offsets, sizes, shape, strict=True)):
            raise MalformedError(f"a chunk of {quote(record.name)} reaches past its end")
        place = places.get((record.name, offsets))
        if place is not None:
            yield Piece(offsets, sizes, join(folder, place[0]), *place[1:])


def _record(name: str, tensor: dict[object, object], path: object) -> TensorRecord:
    dims = check_sizes(tensor.get("size"))
    numel = count_elements(dims)
    dtype = _dtype(name, tensor.get("properties"))
    keys = path if isinstance(path, tuple) else tuple(name.split("."))
    role = _role(keys)
    part = keys[0] if len(keys) > 1 and isinstance(keys[0], str) and isinstance(path, tuple) else ""
    kind = kind_of(name, dims, dtype) if role == "model" else "tensor"
    return TensorRecord(
        name, dims, dtype, numel, numel * BITS[dtype] // 8, kind, None, role, part, layout="chunked"
    )  # fmt: skip


def _role(path: tuple[object, ...]) -> Role:
    """Where a flattened path stands; "opt.state.." and "optim.param_groups.." say it in their second key."""
    for key in path[:2]:
        role = role_of_key(key) if isinstance(key, str) else None
        if role is not None and len(path) > 1:
            return role
    return "optimizer" if len(path) > 2 and path[1] == "state" else "model"


def _dtype(name: str, properties: object) -> str:
    """The first item of the state of `TensorProperties`: a dtype (a dictionary in old versions)."""
    state = properties.state if isinstance(properties, Opaque) else None
    dtype = state[0] if isinstance(state, tuple) and state else _dict(state).get("dtype")
    if not isinstance(dtype, Dtype):
        raise MalformedError(f"tensor {quote(name)} has no dtype")
    return dtype.name


def _places(state: dict[object, object]) -> _Places:
    """File, offset and length of each piece.

    Raises:
        MalformedError: A file outside the folder, a negative range.
    """
    places: _Places = {}
    for key, value in _dict(state.get("storage_data")).items():
        info = _state(value, "_StorageInfo")
        index = key.value if isinstance(key, OddKey) else key
        if info is None or not isinstance(index, Opaque):
            continue
        file, offset, length = info.get("relative_path"), info.get("offset"), info.get("length")
        if type(offset) is not int or type(length) is not int or offset < 0 or length < 0:
            raise MalformedError("a piece of the checkpoint has no range")
        if not isinstance(file, str) or not stays_inside(file):
            raise MalformedError(f"the metadata names a file outside its folder: {file!r}"[:200], fault="path-escape")
        places[_index_key(index)] = file, offset, length
    return places


def _index_key(index: Opaque) -> tuple[str, tuple[int, ...] | None]:
    """Name and offset of a chunk, as `MetadataIndex(fqn, offset, index)` has them; no tensor has an offset of None."""
    state = _dict(index.state)
    name, offset = state.get("fqn"), state.get("offset")
    return name if isinstance(name, str) else "", None if offset is None else check_sizes(offset, "chunk")


def _piece_sizes(places: _Places) -> dict[str, int]:
    """How long each file must be: the largest end of a range in it."""
    sizes: dict[str, int] = {}
    for file, offset, length in places.values():
        sizes[file] = max(sizes.get(file, 0), offset + length)
    if len(sizes) > MAX_SHARDS:
        raise LimitExceededError("files of a distributed checkpoint", limit=MAX_SHARDS, actual=len(sizes))
    return sizes


def _check_pieces(folder: str, sizes: dict[str, int]) -> tuple[str, ...]:
    paths = [join(folder, file) for file in sizes]
    found = _look_at(paths, folder)
    missing = [file for file, each in zip(sizes, found, strict=True) if each is None or each.kind != "file"]
    if missing:
        raise CheckpointError(
            f"{list_some([quote(file) for file in missing], 1)} of the checkpoint's {len(sizes)} files missing",
            hint="copy the whole folder: every rank wrote its own .distcp files",
            fault="missing-file",
        )
    for (file, needed), each in zip(sizes.items(), found, strict=True):
        if each is not None and each.size < needed:
            raise TruncatedError(f"{quote(file)} has {each.size:,} bytes, the metadata needs {needed:,}")
    return tuple(paths)


def _look_at(paths: Sequence[str], folder: str) -> Sequence[Look | None]:
    """What each path leads to; None for nothing."""
    found = place_of(folder).presence(paths)
    return [look(path) for path in paths] if found is None else found
