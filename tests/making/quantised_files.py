"""Folders of quantised weights, with zeros for values: a file of safetensors and a config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.making.safetensors_files import safetensors_bytes

BYTES = {"I32": 4, "U32": 4, "U8": 1, "I8": 1, "F16": 2, "BF16": 2, "F32": 4, "F8_E4M3": 1, "I64": 8}


class Packed(NamedTuple):
    """One way to pack a weight.

    Attributes:
        tensors: Type and shape by name; bytes where they matter.
        config: What the model says.
        name: Of the tensor whose row stands for all.
        stands: Name of the tensor that is meant.
        shape: Its shape.
        label: As people call it.
        dtype: Of its numbers.
    """

    tensors: Mapping[str, tuple[str, tuple[int, ...]] | tuple[str, tuple[int, ...], bytes]]
    config: Mapping[str, Any]
    name: str
    stands: str
    shape: tuple[int, ...]
    label: str
    dtype: str


def _method(name: str, **more: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": name, **more}}


def _state(kind: str) -> bytes:
    return json.dumps({"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": [8, 32]}).encode()


def _four_bits(kind: str) -> Packed:
    state = _state(kind)
    tensors = {
        "q.weight": ("U8", (128, 1)), "q.weight.absmax": ("F32", (4,)), "q.weight.quant_map": ("F32", (16,)),
        f"q.weight.quant_state.bitsandbytes__{kind}": ("U8", (len(state),), state),
    }  # fmt: skip
    return Packed(tensors, {}, "q.weight", "q.weight", (8, 32), f"bitsandbytes {kind}", "bfloat16")  # type: ignore[arg-type]


PACKED = {
    "gptq": Packed(
        {"q.qweight": ("I32", (8, 16)), "q.qzeros": ("I32", (2, 2)), "q.scales": ("F16", (2, 16)), "q.g_idx": ("I32", (64,))},
        _method("gptq", bits=4), "q.qweight", "q.weight", (16, 64), "gptq 4-bit", "float16",
    ),
    "gptq of 3 bits": Packed(
        {"q.qweight": ("I32", (6, 32)), "q.qzeros": ("I32", (2, 3)), "q.scales": ("F16", (2, 32)), "q.g_idx": ("I32", (64,))},
        _method("gptq", bits=3), "q.qweight", "q.weight", (32, 64), "gptq 3-bit", "float16",
    ),
    "awq": Packed(
        {"q.qweight": ("I32", (64, 2)), "q.qzeros": ("I32", (2, 2)), "q.scales": ("F16", (2, 16))},
        _method("awq", bits=4, version="gemm"), "q.qweight", "q.weight", (16, 64), "awq 4-bit", "float16",
    ),
    "nf4": _four_bits("nf4"),
    "fp4": _four_bits("fp4"),
    "bitsandbytes int8": Packed(
        {"q.weight": ("I8", (8, 32)), "q.SCB": ("F32", (8,)), "q.weight_format": ("U8", (), b"\0")},
        {}, "q.weight", "q.weight", (8, 32), "bitsandbytes int8", "float32",
    ),
    "mxfp4": Packed(
        {"e.down_proj_blocks": ("U8", (2, 8, 3, 16)), "e.down_proj_scales": ("U8", (2, 8, 3))},
        _method("mxfp4"), "e.down_proj_blocks", "e.down_proj", (2, 96, 8), "mxfp4", "bfloat16",
    ),
    "mlx": Packed(
        {"q.weight": ("U32", (8, 4)), "q.scales": ("BF16", (8, 1)), "q.biases": ("BF16", (8, 1))},
        {"quantization": {"group_size": 32, "bits": 4}}, "q.weight", "q.weight", (8, 32), "mlx 4-bit", "bfloat16",
    ),
    "pack-quantized": Packed(
        {"q.weight_packed": ("I32", (8, 4)), "q.weight_scale": ("BF16", (8, 1)),
         "q.weight_shape": ("I64", (2,), (8).to_bytes(8, "little") + (32).to_bytes(8, "little"))},
        _method("compressed-tensors"), "q.weight_packed", "q.weight", (8, 32), "compressed-tensors 4-bit", "bfloat16",
    ),
    "nvfp4 of compressed-tensors": Packed(
        {"q.weight_packed": ("U8", (8, 16)), "q.weight_scale": ("F8_E4M3", (8, 2)), "q.weight_global_scale": ("F32", (1,))},
        _method("compressed-tensors"), "q.weight_packed", "q.weight", (8, 32), "nvfp4", "bfloat16",
    ),
    "nvfp4 of ModelOpt": Packed(
        {"q.weight": ("U8", (8, 16)), "q.weight_scale": ("F8_E4M3", (8, 2)), "q.weight_scale_2": ("F32", ())},
        _method("modelopt"), "q.weight", "q.weight", (8, 32), "nvfp4", "bfloat16",
    ),
    "fp8 of DeepSeek": Packed(
        {"q.weight": ("F8_E4M3", (130, 32)), "q.weight_scale_inv": ("F32", (2, 1))},
        _method("fp8", weight_block_size=[128, 128]), "q.weight", "q.weight", (130, 32), "fp8 scaled", "float32",
    ),
    "fp8 with a scale a row": Packed(
        {"q.weight": ("F8_E4M3", (8, 32)), "q.weight_scale": ("BF16", (8, 1))},
        _method("compressed-tensors"), "q.weight", "q.weight", (8, 32), "fp8 scaled", "bfloat16",
    ),
    "int8 of compressed-tensors": Packed(
        {"q.weight": ("I8", (8, 32)), "q.weight_scale": ("BF16", (8, 1))},
        _method("compressed-tensors"), "q.weight", "q.weight", (8, 32), "compressed-tensors int8", "bfloat16",
    ),
}  # fmt: skip
"""By what they are called here."""


def save_packed(
    folder: Path,
    tensors: Mapping[str, tuple[str, tuple[int, ...]] | tuple[str, tuple[int, ...], bytes]],
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A folder of a model, values zero where none are given."""
    filled: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for name, (dtype, shape, *data) in tensors.items():
        numel = 1
        for size in shape:
            numel *= size
        filled[name] = (dtype, shape, data[0] if data else bytes(numel * BYTES[dtype]))
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(safetensors_bytes(filled))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder
