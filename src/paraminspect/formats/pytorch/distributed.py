"""`torch.distributed.checkpoint` (DCP): a folder with `.metadata` and the pieces of each rank.

`.metadata` is one pickle, a `Metadata` object: `state_dict_metadata` maps each dotted name to its global size, dtype and
chunks (offsets, sizes), or to `BytesStorageMetadata` for what is no tensor; `planner_data` maps it to the path of
keys it was flattened from; `storage_data` maps (name, offset of the chunk) to a file, an offset and a length. Each
piece in a `.distcp` file is a torch zip of its own.

Source: `torch.distributed.checkpoint.metadata` and `.filesystem`; folders of torch 2.1 to 2.13.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from paraminspect.errors import CheckpointError, LimitExceededError, MalformedError, TruncatedError
from paraminspect.files.blob import Blob
from paraminspect.files.door import Look, look, place_of
from paraminspect.files.paths import join, stays_inside
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.pickles.inert import Dtype, OddKey, Opaque, Run
from paraminspect.formats.pickles.remark import note_calls
from paraminspect.formats.pytorch.classify import kind_of, role_of_key
from paraminspect.formats.pytorch.load import load_records
from paraminspect.formats.pytorch.objects import GlobalTable
from paraminspect.formats.pytorch.pieces import Boxes, Pieces, Places
from paraminspect.formats.shapes import MAX_NUMEL, MAX_TENSORS, check_sizes, count_elements
from paraminspect.formats.tiling import Box, Flaw, find_flaw, note_flaws
from paraminspect.limits import OPCODES, effort
from paraminspect.records import Checkpoint, Encoding, Role, TensorRecord
from paraminspect.text import list_some, quote

METADATA_MARK: Final = b"torch.distributed.checkpoint.metadata"
METADATA_HEAD: Final = 4096
"""Bytes that are searched for the mark."""

MAX_FILES: Final = 4_000_000
"""Of one checkpoint: ranks may write a file for each piece."""

TENSOR_COST: Final = 40
"""Opcodes that take as long as what is made of the metadata of a tensor."""

PIECE_COST: Final = 4
"""The same of a piece."""

MAX_KNOWN: Final = 1 << 12
"""Ways of dividing a tensor that are not looked at anew."""

FAR: Final = MAX_NUMEL // 2
"""No file is as long."""


_Known = dict[object, tuple[Boxes, Flaw | None]]


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
    root = load_records(metadata, table)
    state = _state(root, "Metadata")
    if state is None:
        raise MalformedError(
            "not the metadata of torch.distributed.checkpoint"
            + "".join(f" ({note})" for note in note_calls(table.foreign))
        )
    located = _Located(state)
    files = _check_pieces(folder, located.sizes())
    tensors = list(_tensors(state, folder, located))
    others = len(_dict(state.get("state_dict_metadata"))) - len(tensors)
    notes = [*note_calls(table.foreign), *note_flaws(tensors)]
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


def _tensors(state: dict[object, object], folder: str, located: _Located) -> Iterator[TensorRecord]:
    paths = _dict(state.get("planner_data"))
    entries = _dict(state.get("state_dict_metadata"))
    if len(entries) > MAX_TENSORS:
        raise LimitExceededError("entries in a distributed checkpoint", limit=MAX_TENSORS, actual=len(entries))
    known: _Known = {}
    for name, entry in entries.items():
        tensor = _state(entry, "TensorStorageMetadata")
        if tensor is None:
            if isinstance(entry, Opaque):
                continue
            raise MalformedError("an entry of the metadata is no object")
        if not isinstance(name, str):
            raise MalformedError("a name in the metadata is no string")
        record = _record(name, tensor, paths.get(name))
        boxes, flaw = _look_into(record, _boxes(tensor.get("chunks")), known)
        places = located.places.get(name) or Places()
        if flaw is None and (unknown := set(boxes[0]).difference(places.offsets)):
            flaw = Flaw("hole", f"of {len(unknown):,} of its {len(boxes[0]):,} pieces no file is known")
        yield record._replace(encoding=Encoding(pieces=Pieces(folder, located.files, boxes, places, flaw)))


def _look_into(record: TensorRecord, boxes: Boxes, known: _Known) -> tuple[Boxes, Flaw | None]:
    """The same boxes, and why they are not the tensor; most tensors are divided like another one.

    Raises:
        MalformedError: A piece that reaches past the tensor.
    """
    effort().spend(OPCODES, TENSOR_COST + PIECE_COST * len(boxes[0]))  # both may be those of many names
    key = record.shape, boxes
    if key not in known:
        each_once = dict.fromkeys(zip(*boxes, strict=True))
        _check_boxes(record, each_once)
        if len(known) >= MAX_KNOWN:
            known.clear()
        known[key] = boxes, find_flaw(record.shape or (), each_once)
    return known[key]


def _check_boxes(record: TensorRecord, boxes: Iterable[Box]) -> None:
    shape = record.shape or ()
    for offsets, sizes in boxes:
        if len(offsets) != len(shape) or len(sizes) != len(shape):
            raise MalformedError(f"a chunk of {quote(record.name)} has other dimensions")
        if any(begin + size > whole for begin, size, whole in zip(offsets, sizes, shape, strict=True)):
            raise MalformedError(f"a chunk of {quote(record.name)} reaches past its end")


def _boxes(chunks: object) -> Boxes:
    """What the pieces are of a tensor."""
    offsets: list[tuple[int, ...]] = []
    sizes: list[tuple[int, ...]] = []
    for chunk in chunks if isinstance(chunks, list | tuple) else ():
        if isinstance(chunk, Run):
            offsets += _sizes(chunk, "offsets")
            sizes += _sizes(chunk, "sizes")
        else:
            box = _state(chunk, "ChunkStorageMetadata") or {}
            offsets.append(check_sizes(box.get("offsets"), "chunk"))
            sizes.append(check_sizes(box.get("sizes"), "chunk"))
    return tuple(offsets), tuple(sizes)


def _sizes(chunks: Run, key: str) -> list[tuple[int, ...]]:
    column: list[tuple[int, ...]] = chunks.columns.get(key, [])
    if {type(each) for each in column} != {tuple}:
        raise MalformedError("a chunk's offsets are no list of sizes")
    return column


class _Located:
    """Where each piece of each tensor lies, as `storage_data` says.

    Attributes:
        files: Names of all files, each once.
        places: By name of the tensor.

    Raises:
        MalformedError: A file outside the folder, a negative range.
    """

    def __init__(self, state: dict[object, object]) -> None:
        self.files: list[str] = []
        self.places: dict[str, Places] = {}
        self._numbers: dict[str, int] = {}
        data = _dict(state.get("storage_data"))
        for key, value in data.items():
            index = key.value if isinstance(key, OddKey) else key
            if isinstance(index, Run) and isinstance(value, Run):
                self._add_run(index, value)
            elif isinstance(index, Opaque):
                self._add(index, _state(value, "_StorageInfo"))

    def _add(self, index: Opaque, info: dict[object, object] | None) -> None:
        if info is None:
            return
        state = _dict(index.state)
        name, offsets = state.get("fqn"), state.get("offset")
        begin, length = info.get("offset"), info.get("length")
        if type(begin) is not int or type(length) is not int or not 0 <= begin < FAR or not 0 <= length < FAR:
            raise MalformedError("a piece of the checkpoint has no range")
        known = None if offsets is None else check_sizes(offsets, "chunk")
        number = self._number(info.get("relative_path"))
        self._places(name if isinstance(name, str) else "").add(known, number, begin, length)

    def _add_run(self, index: Run, info: Run) -> None:
        """What `_add` does, of many."""
        keys, values = index.columns, info.columns
        unknown = [None] * index.count
        names, offsets = keys.get("fqn", unknown), keys.get("offset", unknown)
        files, begins, lengths = (values.get(key, unknown) for key in ("relative_path", "offset", "length"))
        if {type(each) for column in (begins, lengths) for each in column} != {int} or max(*begins, *lengths) >= FAR:
            raise MalformedError("a piece of the checkpoint has no range")
        numbers, places = self._numbers, self.places
        for name, at, file, begin, length in zip(names, offsets, files, begins, lengths, strict=True):
            number = numbers.get(file)
            (places.get(name) or self._places(name)).add(
                at, self._number(file) if number is None else number, begin, length
            )

    def _places(self, name: str) -> Places:
        if name not in self.places:
            self.places[name] = Places()
        return self.places[name]

    def _number(self, file: object) -> int:
        if not isinstance(file, str) or not stays_inside(file):
            raise MalformedError(f"the metadata names a file outside its folder: {file!r}"[:200], fault="path-escape")
        number = self._numbers.setdefault(file, len(self.files))
        if number == len(self.files):
            if number == MAX_FILES:
                raise LimitExceededError("files of a distributed checkpoint", limit=MAX_FILES, actual=None)
            self.files.append(file)
        return number

    def sizes(self) -> dict[str, int]:
        """How long each file must be: the largest end of a range in it."""
        ends = [0] * len(self.files)
        for places in self.places.values():
            for file, begin, length in zip(places.files, places.begins, places.lengths, strict=True):
                ends[file] = max(ends[file], begin + length)
        return dict(zip(self.files, ends, strict=True))


def _record(name: str, tensor: dict[object, object], path: object) -> TensorRecord:
    dims = check_sizes(tensor.get("size"))
    numel = count_elements(dims)
    dtype = _dtype(name, tensor.get("properties"))
    is_flat = not isinstance(path, tuple)
    keys = path if isinstance(path, tuple) else tuple(name.split("."))
    role = _role(keys, is_flat=is_flat)
    part = keys[0] if len(keys) > 1 and isinstance(keys[0], str) and not is_flat else ""
    kind = kind_of(name, dims, dtype) if role == "model" else "tensor"
    return TensorRecord(
        name, dims, dtype, numel, numel * BITS[dtype] // 8, kind, None, role, part, layout="chunked"
    )  # fmt: skip


def _role(path: tuple[object, ...], *, is_flat: bool) -> Role:
    """Where a flattened path stands; "opt.state.." and "optim.param_groups.." say it in their second key."""
    for key in path[:2]:
        role = role_of_key(key, is_flat=is_flat) if isinstance(key, str) else None
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
