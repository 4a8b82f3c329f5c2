"""Checkpoints of several files: index files, and shards that are known by their names.

An index ("model.safetensors.index.json") is a JSON object:

    {"metadata": {"total_size": BYTES}, "weight_map": {TENSOR: FILE, ...}}

with FILE relative to the folder of the index. Without one, shards are told by their names, `NAME-00001-of-00003.EXT`,
as transformers and llama.cpp write them (`formats.loaders`). An index is untrusted like any file: it names files of its own
folder only, which may be symlinks, as in the Hugging Face cache. Which files of a folder are its model is the matter of
`formats.folders`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from paraminspect.errors import CheckpointError, FarError, LimitExceededError, MalformedError, SourceError
from paraminspect.files.blob import open_blob
from paraminspect.files.door import Look, place_of
from paraminspect.files.paths import base_name, folder_of, join, stays_inside
from paraminspect.files.seen import Version, note_all
from paraminspect.formats.json_text import MAX_JSON_BYTES, parse_object
from paraminspect.formats.table import SHARDED
from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.text import counted, list_some

MAX_SHARDS: Final = 20_000
"""Files of one model; the largest have some 200."""

ReadFile = Callable[[str], Checkpoint]

MAX_INDEX_ENTRIES = 1_000_000
"""Commas in an index: more entries than this would take more memory than any model's index needs."""

SLOW_READ_S = 0.005
"""A shard that takes longer lies on a disk or network worth waiting for in parallel."""

MAX_NOTES = 20
"""Remarks of shards that are passed on."""

MAX_NAMED = 5
"""Files or folders that a message names."""

FETCH_HINT = "fetch what is missing: a download may have been interrupted"


def read_index(path: str, read_file: ReadFile) -> Checkpoint:
    """Read the shards that an index names, side by side, and join their tensors.

    Args:
        read_file: Reads one shard, called from several threads; its errors name the file. It must not follow an index
            in place of a shard: two indexes could name each other.

    Returns:
        Shards in the order in which the index names them first, tensors in the order of their shard. A tensor that the
        index does not name is kept; of a name in two shards, the one that the index means.

    Raises:
        SourceError: The index cannot be opened.
        MalformedError: It is no index, names a file outside its folder, or a tensor that its shard lacks.
        CheckpointError: A shard is missing.
        LimitExceededError: The index or the number of shards is past its bound.
        ParamInspectError: What `read_file` raises, for the first shard that fails.
    """
    index = load_json(path)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise MalformedError(
            "the index has no weight_map" if weight_map is None else "weight_map is not an object with entries",
            hint="an index holds {'weight_map': {TENSOR: FILE, ...}}",
        )
    owners = _find_owners(weight_map)
    shards = list(dict.fromkeys(owners.values()))
    folder = folder_of(path)
    paths = [join(folder, shard) for shard in shards]
    known = _check_presence(path, paths, shards)
    checkpoints = read_shards(paths, read_file, shards, known)
    tensors, notes = _join_by_index(shards, checkpoints, owners)
    declared = index.get("metadata")
    if isinstance(declared, dict):
        notes += _compare_size(declared.get("total_size"), tensors)
    return join_shards(checkpoints, tensors, notes)


def shards_of(path: str) -> list[str]:
    """Paths of the files that an index names, in the order in which it names them first.

    Raises:
        ParamInspectError: As `read_index`, of the index alone.
    """
    weight_map = load_json(path).get("weight_map")
    owners = _find_owners(weight_map) if isinstance(weight_map, dict) else {}
    return [join(folder_of(path), shard) for shard in dict.fromkeys(owners.values())]


# The index.


def load_json(path: str, what: str = "index") -> Mapping[str, object]:
    """The JSON object in a small file.

    Args:
        what: What an error calls it.

    Raises:
        SourceError: It cannot be opened, or is not a regular file.
        MalformedError: No JSON, no object, or a key that comes twice.
        LimitExceededError: Larger than MAX_JSON_BYTES, or of more than MAX_INDEX_ENTRIES entries.
    """
    try:
        blob = open_blob(path)
    except (OSError, ValueError) as error:
        from paraminspect.files.reasons import reason_of

        raise SourceError(f"the {what} cannot be opened: {reason_of(error)}") from None
    except FarError:
        raise
    except SourceError as error:
        raise SourceError(f"the {what} is {error.message}") from None
    if blob.size > MAX_JSON_BYTES:
        raise LimitExceededError(f"bytes of {what}", limit=MAX_JSON_BYTES, actual=blob.size)
    text = blob.read(0, blob.size)
    if (entries := text.count(b",")) > MAX_INDEX_ENTRIES:
        raise LimitExceededError(f"entries of {what}", limit=MAX_INDEX_ENTRIES, actual=entries)
    return parse_object(text, f"the {what}", hint="fetch it again")


def _find_owners(weight_map: Mapping[str, object]) -> dict[str, str]:
    """The shard of each tensor; nothing is opened yet."""
    files = weight_map.values()
    if odd := next((kind for kind in dict.fromkeys(map(type, files)) if kind is not str), None):
        raise MalformedError(f"the index has a value of type {odd.__name__} where a file name is due")
    spelled = {file: _checked_shard(file) for file in dict.fromkeys(cast("Iterable[str]", files))}
    return dict(zip(weight_map, map(spelled.__getitem__, cast("Iterable[str]", files)), strict=True))


def _checked_shard(file: str) -> str:
    """The file an index names, below its folder and spelled in one way."""
    if not stays_inside(file):
        raise MalformedError(f"index names a file outside its folder: {shown_name(file)}", fault="path-escape")
    try:
        os.fsencode(file)
    except UnicodeError:
        raise MalformedError(f"index names a file that cannot be: {shown_name(file)}") from None
    return os.path.normpath(file)


def _check_presence(index: str, paths: Sequence[str], shards: Sequence[str]) -> dict[str, Version]:
    """See that all shards are there; as they are, as far as that is known."""
    if len(shards) > MAX_SHARDS:
        raise LimitExceededError("shards", limit=MAX_SHARDS, actual=len(shards))
    found = place_of(index).presence(paths)
    if found is None:  # what is missing shows when it is opened
        found = [Look("file")] * len(paths)
    if None in found:
        raise _missing_shards([shard for shard, each in zip(shards, found, strict=True) if each is None], len(shards))
    for shard, each in zip(shards, found, strict=True):
        if each is not None and each.kind == "denied":
            raise SourceError(f"no permission to read shard {shown_name(shard)}")
        if each is None or each.kind != "file" or shard == base_name(index):
            raise MalformedError(
                f"the index names {shown_name(shard)} as a shard, which is no model file", fault="index-mismatch"
            )
    return {path: each.version for path, each in zip(paths, found, strict=True) if each is not None and each.version}


def _missing_shards(missing: Sequence[str], count: int) -> CheckpointError:
    verb = "are missing, the first is" if len(missing) > 1 else "is missing:"
    return CheckpointError(
        f"{len(missing):,} of {count:,} shards {verb} {shown_name(missing[0])}", hint=FETCH_HINT, fault="missing-file"
    )


def _compare_size(declared: object, tensors: Sequence[TensorRecord]) -> list[str]:
    """A note if `total_size` is the size of the tensors in no way of counting."""
    if isinstance(declared, bool) or not isinstance(declared, (int, float)):
        return []
    sizes = [tensor.nbytes for tensor in tensors]
    each = sum(size or 0 for size in sizes)
    if None in sizes or declared == each:
        return []
    once = {id(tensor.storage or tensor): tensor.nbytes or 0 for tensor in tensors}
    if declared == sum(once.values()):
        return []
    return [f"the index says {str(declared)[:40]} bytes of tensors, the shards hold {each}"]


# Reading and joining.


def read_shards(
    paths: Sequence[str],
    read_file: ReadFile,
    shards: Sequence[str],
    known: Mapping[str, Version] = MappingProxyType({}),
) -> list[Checkpoint]:
    """One checkpoint a path, in their order; of several errors that of the first path is raised.

    Args:
        paths: Of the shards.
        read_file: As that of `read_index`.
        shards: What they are called.
        known: As of `seen.note_all`.

    Headers at hand take 0.2 ms each, one after the other; threads would double that. Those of a server may turn out not
    to be there.
    """

    def read(path: str) -> Checkpoint | None:
        try:
            return read_file(path)
        except FarError as error:
            if error.fault not in ("missing", "gone"):
                raise
            return None

    note_all(paths, known)  # a shard that is replaced before its turn does not belong to those before it
    read_ones = place_of(paths[0]).each(read, paths, SLOW_READ_S) if paths else []
    checkpoints = [each for each in read_ones if each is not None]
    if len(checkpoints) < len(paths):
        missing = [shard for shard, each in zip(shards, read_ones, strict=True) if each is None]
        raise _missing_shards(missing, len(paths))
    return checkpoints


def _join_by_index(
    shards: Sequence[str], checkpoints: Sequence[Checkpoint], owners: Mapping[str, str]
) -> tuple[list[TensorRecord], list[str]]:
    tensors: list[TensorRecord] = []
    unnamed: list[str] = []
    elsewhere: list[str] = []
    found: set[str] = set()
    for shard, checkpoint in zip(shards, checkpoints, strict=True):
        for tensor in checkpoint.tensors:
            owner = owners.get(tensor.name)
            if owner is not None and owner != shard:
                elsewhere.append(tensor.name)
                continue
            if owner is None:
                if not tensor.declared:
                    unnamed.append(tensor.name)
            else:
                found.add(tensor.name)
            tensors.append(tensor)
    if lacking := [name for name in owners if name not in found]:
        others = f" ({len(lacking) - 1:,} more like it)" if len(lacking) > 1 else ""
        raise MalformedError(
            f"the index names tensor {shown_name(lacking[0])} in shard {shown_name(owners[lacking[0]])}, which lacks it{others}",
            hint="index and shards are not of one model: fetch them again",
            fault="index-mismatch",
        )
    notes = []
    if unnamed:
        notes.append(f"{counted(len(unnamed), 'tensor')} not named by the index: {list_names(unnamed)}")
    if elsewhere:
        notes.append(
            f"{counted(len(elsewhere), 'tensor')} left out, as the index means another shard's: {list_names(elsewhere)}"
        )
    return tensors, notes


def read_numbered(folder: str, shard: re.Match[str], names: Sequence[str], read_file: ReadFile) -> Checkpoint:
    """Read shards without an index.

    Args:
        folder: Where they are.
        shard: The name of one of them, as `SHARD_NAME` takes it apart.
        names: Of those that are there.
        read_file: As that of `read_index`.

    Raises:
        CheckpointError: A shard is missing.
        LimitExceededError: There are too many.
        ParamInspectError: What `read_file` raises, for the first shard that fails.
    """
    count = int(shard["count"])
    if count > MAX_SHARDS:
        raise LimitExceededError("shards", limit=MAX_SHARDS, actual=count)
    there = set(names)
    wanted = [f"{shard['stem']}-{number:05}-of-{shard['count']}{shard['extension']}" for number in range(1, count + 1)]
    if missing := [name for name in wanted if name not in there]:
        raise _missing_shards(missing, count)
    checkpoints = read_shards([join(folder, name) for name in wanted], read_file, wanted)
    seen: set[str] = set()
    tensors = [tensor for checkpoint in checkpoints for tensor in checkpoint.tensors]
    notes = []
    for checkpoint in checkpoints:
        own = {tensor.name for tensor in checkpoint.tensors}
        if twice := seen & own:
            notes.append(f"{counted(len(twice), 'tensor')} in more than one shard: {list_names(sorted(twice))}")
            break
        seen |= own
    return join_shards(checkpoints, tensors, notes)


def join_shards(checkpoints: Sequence[Checkpoint], tensors: Sequence[TensorRecord], notes: Iterable[str]) -> Checkpoint:
    """Several files as one checkpoint with these tensors.

    Args:
        checkpoints: One or more.
        tensors: Of all of them together.
        notes: Said before those of the files.
    """
    said = {}
    for checkpoint in checkpoints:
        split = _split_note(checkpoint)
        said.update(dict.fromkeys(note for note in checkpoint.notes if note != split))
    notes = [*notes, *said]
    if len(notes) > MAX_NOTES:
        notes = [*notes[:MAX_NOTES], f"{len(notes) - MAX_NOTES:,} more remarks on the shards"]
    formats = dict.fromkeys(checkpoint.format for checkpoint in checkpoints)
    stored = [checkpoint.stored for checkpoint in checkpoints]
    return Checkpoint(
        f"{SHARDED} {' and '.join(formats)}",
        tensors,
        checkpoints[0].metadata,
        tuple(notes),
        nbytes=sum(checkpoint.nbytes for checkpoint in checkpoints),
        files=tuple(path for checkpoint in checkpoints for path in checkpoint.files),
        declared=tuple(each for checkpoint in checkpoints for each in checkpoint.declared),
        stored=None if None in stored else sum(filter(None, stored)),
    )


def _split_note(checkpoint: Checkpoint) -> str | None:
    """What a GGUF file says of being a part, which is no news once the parts are joined."""
    if "split.count" not in checkpoint.metadata:
        return None
    from paraminspect.formats.gguf import describe_split  # other shards do without that reader

    return describe_split(checkpoint.metadata)


# Words.


def list_names(names: Iterable[str]) -> str:
    """Up to `MAX_NAMED` names and how many more there are."""
    every = list(names)
    return list_some([shown_name(name) for name in every[:MAX_NAMED]], MAX_NAMED, len(every))


def shown_name(name: str) -> str:
    """A name as it is where it is harmless; else, or where it is long, as Python would write it."""
    short = name if len(name) <= 200 else name[:199] + "…"
    return short if short.isprintable() and short else repr(short)
