"""Files of safetensors, by hand: what they say need not be so."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def raw_safetensors(header: str | bytes | Mapping[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    """A file of this header, true or false, and this data; `length` is what it says of the header's."""
    text = json.dumps(header) if isinstance(header, Mapping) else header
    encoded = text.encode() if isinstance(text, str) else text
    return (len(encoded) if length is None else length).to_bytes(8, "little") + encoded + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def safetensors_bytes(
    tensors: Mapping[str, tuple[str, Sequence[int], bytes]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Tensors one behind the other: name -> (dtype, shape, values)."""
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    data = b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = entry(dtype, list(shape), [len(data), len(data) + len(values)])
        data += values
    return raw_safetensors(header, data)


def save_shapes(path: Path, shapes: Mapping[str, Sequence[int]]) -> Path:
    """A file of tensors without elements."""
    path.write_bytes(safetensors_bytes({name: ("F32", shape, b"") for name, shape in shapes.items()}))
    return path


def header_of(data: bytes) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)
