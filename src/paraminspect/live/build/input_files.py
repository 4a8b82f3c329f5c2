"""Tensors of a file that the user named: .npy, .npz, .safetensors, .pt and JSON, by what is in it."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor

from paraminspect.architecture.tensors import MAX_INPUT_NUMEL
from paraminspect.errors import ParamInspectError
from paraminspect.files.reasons import reason_of
from paraminspect.live.build.complaints import first_line

MAX_JSON_BYTES = 64 << 20
"""Of a JSON file, whose numbers take ten times that in memory."""

MAX_TENSORS = 1000
"""Of one file."""


def read_tensors(path: str) -> dict[str, Tensor]:
    """The tensors of a file by name, "" for one that has none; no code in it is run.

    JSON is one (nested) list of numbers, or a mapping of names to such lists: true and false make bool, integers
    int64, anything with a fraction float32.

    Raises:
        ParamInspectError: The file cannot be read, is too large, or holds no tensor.
    """
    try:
        tensors = _read_json(path) if _is_json(path) else _read_checkpoint(path)
    except OSError as error:
        raise ParamInspectError(f"{path}: {reason_of(error)}") from None
    except ParamInspectError as error:
        error.source = error.source or path
        raise
    if not tensors:
        raise ParamInspectError("no tensor in it", source=path)
    return tensors


def _is_json(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(64).lstrip()[:1] in (b"[", b"{")


def _read_json(path: str) -> dict[str, Tensor]:
    with open(path, "rb") as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise ParamInspectError(f"JSON of more than {MAX_JSON_BYTES:,} bytes", hint="save it as .npy or .safetensors")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParamInspectError(f"not JSON: {first_line(error)}") from None
    members = value if isinstance(value, dict) else {"": value}
    if len(members) > MAX_TENSORS:
        raise ParamInspectError(f"{len(members):,} tensors; the limit is {MAX_TENSORS:,}")
    return {name: _from_json(name, member) for name, member in members.items()}


def _from_json(name: str, value: Any) -> Tensor:
    what = f"{name}: " if name else ""
    if not isinstance(value, (list, int, float)):
        raise ParamInspectError(f"{what}a {type(value).__name__}; expected a list of numbers")
    try:
        return torch.tensor(value)
    except (ValueError, TypeError, RuntimeError, OverflowError, RecursionError) as error:
        raise ParamInspectError(f"{what}no tensor: {first_line(error)}") from None


def _read_checkpoint(path: str) -> dict[str, Tensor]:
    from paraminspect.formats.source import open_source

    checkpoint = open_source(path)
    if len(checkpoint.tensors) > MAX_TENSORS:
        raise ParamInspectError(f"{len(checkpoint.tensors):,} tensors; the limit is {MAX_TENSORS:,}")
    for record in checkpoint.tensors:
        if record.numel > MAX_INPUT_NUMEL:
            raise ParamInspectError(f"{record.name}: {record.numel:,} elements; the limit is {MAX_INPUT_NUMEL:,}")
    from paraminspect.live.build.stored import StoredTensors

    reader = StoredTensors()
    return {record.name: reader.read(record).clone() for record in checkpoint.tensors}
