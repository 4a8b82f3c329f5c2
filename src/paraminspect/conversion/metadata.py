"""What a file says of itself, carried into another one: only safetensors has room for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from paraminspect.errors import ParamInspectError
from paraminspect.formats.quantised.torchao import NAMES, is_flattened
from paraminspect.formats.table import formats_of_files
from paraminspect.records import Checkpoint
from paraminspect.text import quote

_OF_THE_FORMAT: Final = frozenset({"general.alignment", "general.quantization_version", "general.file_type"})
"""They tell how the tensors are stored in a GGUF file."""


def parse_metadata(texts: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` texts.

    Raises:
        ParamInspectError: No `=`, no key, or a key twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ParamInspectError(f"--metadata {quote(text)}; expected KEY=VALUE", hint="--metadata author=me")
        if key in found:
            raise ParamInspectError(f"--metadata {key} is given twice")
        found[key] = value
    return found


def carry_metadata(checkpoint: Checkpoint, *, decoded: bool = False) -> dict[str, str]:
    """What of a source's metadata describes the model: all of safetensors but its ties, `general.*` of GGUF.

    Args:
        decoded: Whether quantised weights are written as numbers, so that nothing may say how they were packed.
    """
    rows = formats_of_files(checkpoint)
    begin = rows[0].carried if rows else None  # the metadata are those of the first file
    if begin is None:
        return {}
    left = {NAMES, *_names_of_torchao(checkpoint)} if decoded and NAMES in checkpoint.metadata else set()
    ties = left | {each.alias for each in checkpoint.declared if each.origin == "metadata"}
    return {
        key: value
        for key, value in checkpoint.metadata.items()
        if key.startswith(begin) and key not in ties and not (begin and key in _OF_THE_FORMAT)
    }


def _names_of_torchao(checkpoint: Checkpoint) -> set[str]:
    return {key for key, value in checkpoint.metadata.items() if is_flattened(value)}


def merge_metadata(
    carried: Mapping[str, str], given: Mapping[str, str], names: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """The metadata of the output, and remarks.

    Args:
        given: By the user; it wins.
        names: Of all tensors that are written: an entry whose value is one of them would declare a tie.

    Raises:
        ParamInspectError: The user's would.
    """
    known = set(names)
    for key, value in given.items():
        if value in known and key not in (value, "format"):
            raise ParamInspectError(
                f"--metadata {key}={value} would declare a tensor {key!r} that is tied to {value!r}",
                hint="choose another value",
            )
    lost = [key for key, value in carried.items() if value in known and key not in (value, "format")]
    notes = [f"metadata {key!r} left out: it would declare a tie" for key in lost]
    return {**{key: value for key, value in carried.items() if key not in lost}, **given}, notes
