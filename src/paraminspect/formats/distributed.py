"""`torch.distributed.checkpoint` (DCP): a folder with `.metadata` and the pieces of each rank.

`.metadata` is one pickle, a `Metadata` object: `state_dict_metadata` maps each dotted name to its global size, dtype and
chunks (offsets, sizes), or to `BytesStorageMetadata` for what is no tensor; `planner_data` maps it to the path of
keys it was flattened from; `storage_data` maps (name, offset of the chunk) to a file, an offset and a length. Each
piece in a `.distcp` file is a torch zip of its own.

Source: `torch.distributed.checkpoint.metadata` and `.filesystem`; folders of torch 2.1 to 2.13.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError, SourceError, TruncatedError
from paraminspect.formats.blob import Blob
from paraminspect.formats.classify import kind_of, role_of_key
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.inert import Dtype, OddKey, Opaque
from paraminspect.formats.limits import MAX_SHARDS, MAX_TENSORS
from paraminspect.formats.pickle_danger import note_calls
from paraminspect.formats.pickle_machine import PickleMachine
from paraminspect.formats.shapes import check_sizes, count_elements
from paraminspect.formats.torch_objects import GlobalTable
from paraminspect.records import Checkpoint, Role, TensorRecord

METADATA_FILE: Final = ".metadata"
FORMAT: Final = "torch distributed"


class Piece(NamedTuple):
    """A part of a tensor: a torch zip of its own inside a file.

    Attributes:
        path: Of the file.
        begin: Offset of the zip in it.
        nbytes: Length of the zip.
        offset: Index of the part's first element in the whole tensor.
    """

    path: str
    begin: int
    nbytes: int
    offset: tuple[int, ...]


def read_distributed(metadata: Blob, folder: str) -> Checkpoint:
    """Tensors of a DCP folder, with their global shapes.

    Args:
        metadata: The `.metadata` file.
        folder: Where the pieces lie.

    Raises:
        MalformedError: The pickle is no DCP metadata.
        SourceError: A piece is missing.
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
    tensors = list(_tensors(state))
    sizes = _piece_sizes(state)
    files = _check_pieces(folder, sizes)
    others = len(_dict(state.get("state_dict_metadata"))) - len(tensors)
    notes = list(note_calls(table.foreign))
    if others:
        notes.append(f"entries that are no tensors: {others:,}")
    return Checkpoint(FORMAT, tensors, {}, tuple(notes), files=files)


def find_pieces(metadata: str) -> dict[str, list[Piece]]:
    """Where the parts of each tensor of a folder lie.

    Args:
        metadata: Path of its `.metadata`, which has been read before.

    Raises:
        MalformedError: A range that is none, or ranges that overlap.
        CheckpointError: The file is gone.
    """
    blob = _open(metadata)
    state = _state(PickleMachine(blob, GlobalTable().find).load(), "Metadata") or {}
    sizes = _piece_sizes(state)
    taken = dict.fromkeys(sizes, 0)
    pieces: dict[str, list[Piece]] = {}
    for index, file, begin, nbytes in _ranges(state):
        taken[file] += nbytes
        if taken[file] > sizes[file]:
            raise MalformedError(f"pieces in {file!r} overlap"[:200])
        name, offset = index.get("fqn"), index.get("offset")
        if isinstance(name, str) and isinstance(offset, tuple | list):
            path = os.path.join(os.path.dirname(metadata), file)
            pieces.setdefault(name, []).append(Piece(path, begin, nbytes, check_sizes(offset, "offset")))
    return pieces


def join_pieces(record: TensorRecord, pieces: Sequence[Piece]) -> list[TensorRecord]:
    """The parts of a tensor in the order of its elements.

    Raises:
        CheckpointError: They are not blocks of whole rows that make up the tensor (it is split along another
            dimension, say), or a part cannot be read.
    """
    shape, rows = record.shape or (), 0
    parts = []
    for piece in sorted(pieces, key=lambda piece: piece.offset):
        part = _read_piece(piece)
        due = (rows, *([0] * (len(shape) - 1))) if shape else ()
        if part is None or part.dtype != record.dtype or piece.offset != due or part.shape is None:
            break
        if len(part.shape) != len(shape) or part.shape[1:] != shape[1:]:
            break
        rows += part.shape[0] if shape else 1
        parts.append(part)
    if len(parts) != len(pieces) or rows != (shape[0] if shape else 1):
        raise CheckpointError("its parts are not blocks of whole rows")
    return parts


def _open(path: str) -> Blob:
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise CheckpointError(f"{os.path.basename(path)!r} cannot be read: {error.strerror}"[:200]) from None
    return Blob(os.fstat(fd).st_size, fd=fd, path=path)


def _read_piece(piece: Piece) -> TensorRecord | None:
    """The one tensor in a piece; None if there is another number of them."""
    from paraminspect.formats.sniff import read_blob  # which knows this module too

    tensors = read_blob(_open(piece.path).part(piece.begin, piece.nbytes)).tensors
    return tensors[0] if len(tensors) == 1 else None


def _state(value: object, name: str) -> dict[object, object] | None:
    """The instance dictionary of an object of a class of that name."""
    if isinstance(value, Opaque) and value.class_name.rpartition(".")[2] == name and isinstance(value.state, dict):
        return value.state
    return None


def _dict(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}


def _tensors(state: dict[object, object]) -> Iterator[TensorRecord]:
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
        yield _record(name, tensor, paths.get(name))


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
        raise MalformedError(f"tensor {name[:80]!r} has no dtype")
    return dtype.name


def _piece_sizes(state: dict[object, object]) -> dict[str, int]:
    """How long each file must be: the largest end of a range in it.

    Raises:
        MalformedError: A file outside the folder, a negative range.
    """
    sizes: dict[str, int] = {}
    for _, file, begin, nbytes in _ranges(state):
        sizes[file] = max(sizes.get(file, 0), begin + nbytes)
    if len(sizes) > MAX_SHARDS:
        raise LimitExceededError("files of a distributed checkpoint", limit=MAX_SHARDS, actual=len(sizes))
    return sizes


def _ranges(state: dict[object, object]) -> Iterator[tuple[dict[object, object], str, int, int]]:
    """Of each piece what it is of, its file, begin and length."""
    for key, value in _dict(state.get("storage_data")).items():
        info = _state(value, "_StorageInfo")
        index = key.value if isinstance(key, OddKey) else key
        if info is None or not isinstance(index, Opaque):
            continue
        file, offset, length = info.get("relative_path"), info.get("offset"), info.get("length")
        if type(offset) is not int or type(length) is not int or offset < 0 or length < 0:
            raise MalformedError("a piece of the checkpoint has no range")
        if not isinstance(file, str) or not _is_inside(file):
            raise MalformedError(f"the metadata names a file outside its folder: {file!r}"[:200])
        yield _dict(index.state), file, offset, length


def _is_inside(path: str) -> bool:
    return (
        bool(path) and "\0" not in path and not os.path.isabs(path) and ".." not in path.replace("\\", "/").split("/")
    )


def _check_pieces(folder: str, sizes: dict[str, int]) -> tuple[str, ...]:
    missing = [file for file in sizes if not os.path.isfile(os.path.join(folder, file))]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SourceError(
            f"{missing[0][:80]!r}{more} of the checkpoint's {len(sizes)} files missing",
            hint="copy the whole folder: every rank wrote its own .distcp files",
        )
    for file, needed in sizes.items():
        actual = os.path.getsize(os.path.join(folder, file))
        if actual < needed:
            raise TruncatedError(f"{file[:80]!r} has {actual:,} bytes, the metadata needs {needed:,}")
    return tuple(os.path.join(folder, file) for file in sizes)
