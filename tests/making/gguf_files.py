"""Files of GGUF, by hand and by the gguf package."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

F32, Q8_0, Q4_K = 0, 8, 12
UINT8, UINT32, FLOAT32, STRING, ARRAY = 0, 4, 6, 8, 9


def text(value: str | bytes, order: str = "<") -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(order + "Q", len(data)) + data


def key_value(key: str, kind: int, value: bytes, order: str = "<") -> bytes:
    return text(key, order) + struct.pack(order + "I", kind) + value


def array(kind: int, count: int, elements: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + elements


def info(name: str | bytes, dimensions: tuple[int, ...], type_id: int = F32, offset: int = 0) -> bytes:
    return (
        text(name)
        + struct.pack("<I", len(dimensions))
        + struct.pack(f"<{len(dimensions)}QIQ", *dimensions, type_id, offset)
    )


def make_gguf(
    keys: tuple[bytes, ...] = (),
    infos: tuple[bytes, ...] = (),
    data: bytes = b"",
    *,
    version: int = 3,
    tensor_count: int | None = None,
    key_count: int | None = None,
    alignment: int = 32,
) -> bytes:
    header = b"GGUF" + struct.pack(
        "<IQQ",
        version,
        len(infos) if tensor_count is None else tensor_count,
        len(keys) if key_count is None else key_count,
    )
    header += b"".join(keys) + b"".join(infos)
    return header + bytes(-len(header) % alignment) + data


def write_with_package(path: Path, tensors: dict[str, Any], **options: Any) -> None:
    """Write raw blocks: `tensors` maps a name to (type, shape in elements)."""
    import gguf
    import numpy as np

    alignment = options.pop("alignment", None)
    writer = gguf.GGUFWriter(path, "llama", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_float32("llama.rope.freq_base", 1e-5)
    writer.add_bool("llama.tied", True)
    writer.add_int64("llama.negative", -7)
    writer.add_string("general.name", "Ünï")
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", ""])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    for name, (kind, shape) in tensors.items():
        raw = np.zeros(gguf.quant_shape_to_byte_shape(shape, kind), np.uint8)
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_bytes(folder: Path, **tensors: Any) -> bytes:
    """As the package writes arrays of numpy."""
    import gguf

    path = folder / "scratch.gguf"
    writer = gguf.GGUFWriter(path, "test")
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    data = path.read_bytes()
    path.unlink()
    return data
