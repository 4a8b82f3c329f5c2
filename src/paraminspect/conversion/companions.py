"""The companions of a model (`formats.companions`) as files of an output folder."""

from __future__ import annotations

from paraminspect.errors import ParamInspectError
from paraminspect.files.blob import open_blob
from paraminspect.files.door import is_there
from paraminspect.files.paths import folder_of, join
from paraminspect.formats.companions import CONFIG, MAX_NAMED, find_companions
from paraminspect.formats.json_text import parse_object
from paraminspect.formats.quantised.found import INNER, MLX, SAID_UNDER, is_object
from paraminspect.records import Checkpoint
from paraminspect.text import list_some
from paraminspect.writers.layout import FileLayout, Piece


def read_companions(
    checkpoint: Checkpoint, *, whole: bool, decoded: bool = False
) -> tuple[tuple[FileLayout, ...], list[str]]:
    """Files to be written beside the weights, byte for byte, and remarks.

    Args:
        whole: Whether all its weights are written under their names: else its configuration describes another model.
        decoded: Whether quantised weights are written as numbers, so that the configuration must not say how they were.
    """
    found = find_companions(checkpoint)
    if not whole:
        there = [*found.names, *found.left]
        return (), [f"not copied, as they describe the whole model: {list_some(there, MAX_NAMED)}"] if there else []
    files: list[FileLayout] = []
    changed: list[str] = []
    for name, path in zip(found.names, found.paths, strict=True):
        blob = open_blob(path)
        data = blob.read(0, blob.size)
        if decoded and name == CONFIG:
            data, dropped = _without_quantisation(data)
            changed += [f"{CONFIG} is copied without {key}" for key in dropped]
        files.append(FileLayout(name, len(data), (Piece(0, data),)))
    copied = [name for name in found.names if not (changed and name == CONFIG)]
    notes = [f"copied as they are: {list_some(copied, MAX_NAMED)}"] if copied else []
    return tuple(files), notes + changed + found.remarks


def has_config(checkpoint: Checkpoint) -> bool:
    """Whether a configuration lies beside the files of a checkpoint."""
    return bool(checkpoint.files) and is_there(join(folder_of(checkpoint.files[0]), CONFIG))


def _without_quantisation(data: bytes) -> tuple[bytes, list[str]]:
    """A configuration of weights that are not quantised, and the keys that it lacks then."""
    import json

    try:
        config = parse_object(data, CONFIG)
    except ParamInspectError:
        return data, []
    dropped: list[str] = []
    for outer, part in (("", config), *((f"{key}.", config.get(key)) for key in INNER)):
        if is_object(part):
            there = [key for key in (*SAID_UNDER, MLX) if key in part]
            for key in there:
                del part[key]
            dropped += [outer + key for key in there]
    if not dropped:
        return data, []
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"), dropped
