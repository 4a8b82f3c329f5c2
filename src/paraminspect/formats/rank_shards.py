r"""What ranks write with `HuggingFaceStorageWriter(save_distributed=True)`: safetensors files that are one model together.

Rank n has its part of each tensor in `shard-NNNNN-model-IIIII-of-CCCCC.safetensors`, and no index says so. Where a part
belongs stands in the metadata of the header, as JSON in a string:

    {"__metadata__": {"DCP_SHARDING_INFO": "{\"NAME\": {\"saved_offsets\": [4, 0]}, ..}", "DCP_VERSION": "1.0", ..}, ..}

How large the whole is follows from where its parts end; that the last rank's are missing does not show.

Source: `torch.distributed.checkpoint.hf_storage` and `._hf_utils` of torch 2.9 to 2.13, whose reader joins them alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from paraminspect.errors import MalformedError
from paraminspect.files.paths import join
from paraminspect.formats.dtypes import BITS
from paraminspect.formats.json_text import parse_object
from paraminspect.formats.pytorch.classify import kind_of
from paraminspect.formats.safetensors import OFFSETS_KEY
from paraminspect.formats.shapes import MAX_DIMENSIONS, check_sizes, count_elements
from paraminspect.formats.sharded import ReadFile, join_shards, read_shards
from paraminspect.formats.tiling import note_flaws
from paraminspect.records import Checkpoint, Encoding, Piece, TensorRecord
from paraminspect.text import quote

VERSION_KEY: Final = "DCP_VERSION"

_Parts = dict[str, list[tuple[tuple[int, ...], TensorRecord]]]


def read_rank_shards(folder: str, names: Sequence[str], read_file: ReadFile) -> Checkpoint:
    """Join what each rank has of each tensor.

    Args:
        folder: Where the files are.
        names: Of all of them.
        read_file: As that of `sharded.read_index`.

    Raises:
        MalformedError: A header does not say where its parts belong, or parts of a tensor do not fit each other.
        ParamInspectError: What `read_file` raises, for the first file that fails.
    """
    checkpoints = read_shards([join(folder, name) for name in names], read_file, names)
    parts: _Parts = {}
    for name, checkpoint in zip(names, checkpoints, strict=True):
        offsets = _offsets(checkpoint, name)
        for record in checkpoint.tensors:
            begin = offsets.get(record.name, (0,) * len(record.shape or ()))
            parts.setdefault(record.name, []).append((begin, record))
    tensors = [_whole(name, its) for name, its in parts.items()]
    joined = join_shards([each._replace(notes=()) for each in checkpoints], tensors, note_flaws(tensors))
    metadata = {key: text for key, text in joined.metadata.items() if key not in (OFFSETS_KEY, VERSION_KEY)}
    return joined._replace(metadata=metadata)


def _offsets(checkpoint: Checkpoint, file: str) -> Mapping[str, tuple[int, ...]]:
    """Where each tensor of a file begins in the whole; {} where all of them are whole."""
    text = checkpoint.metadata.get(OFFSETS_KEY)
    if text is None:
        return {}
    count = len(checkpoint.tensors)
    if text.count("{") + text.count("[") > 2 * count + 1 or text.count(",") > MAX_DIMENSIONS * count:
        raise MalformedError(f"{quote(file)} says of more tensors than it holds where they belong")
    entries = parse_object(text.encode(), OFFSETS_KEY)
    found = {}
    for record in checkpoint.tensors:
        entry = entries.get(record.name)
        begin = entry.get("saved_offsets") if isinstance(entry, dict) else None
        if not isinstance(begin, list) or len(begin) != len(record.shape or ()):
            raise MalformedError(f"{quote(file)} does not say where its part of {quote(record.name)} belongs")
        found[record.name] = check_sizes(begin, "offset")
    return found


def _whole(name: str, parts: Sequence[tuple[tuple[int, ...], TensorRecord]]) -> TensorRecord:
    """One tensor of its parts; one that a single rank has whole stays as it is."""
    first_begin, first = parts[0]
    if any((record.dtype, len(begin)) != (first.dtype, len(first_begin)) for begin, record in parts):
        raise MalformedError(f"the parts of {quote(name)} differ in type or in their number of dimensions")
    if len(parts) == 1 and not any(first_begin):
        return first
    shape = tuple(max(ends) for ends in zip(*(_ends(begin, record) for begin, record in parts), strict=True))
    numel = count_elements(shape)
    pieces = tuple(
        Piece(
            begin, record.shape or (), record.storage.path or "", record.storage.begin or 0, record.nbytes or 0, record
        )
        for begin, record in parts
        if record.storage is not None
    )
    return TensorRecord(
        name, shape, first.dtype, numel, numel * BITS.get(first.dtype, 8) // 8, kind_of(name, shape, first.dtype), None,
        first.role, first.part, layout="chunked", encoding=Encoding(pieces=pieces),
    )  # fmt: skip


def _ends(begin: Sequence[int], record: TensorRecord) -> tuple[int, ...]:
    return tuple(at + size for at, size in zip(begin, record.shape or (), strict=True))
