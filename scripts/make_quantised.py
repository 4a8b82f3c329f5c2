"""Makes `tests/quantised/`: weights as real producers pack them, and the numbers that their own code makes of them.

    python scripts/make_quantised.py [PRODUCER ..]

Each case is a folder: `model.safetensors` (or `model.pt`) and the `config.json` that lies beside it, and `expected.safetensors`
with what the producer's dequantisation gives, under the names of the tensors that are meant. A producer that is not
installed is left out, and its old files stay. `versions.json` says which version wrote them.

autoawq is not made for torch of today: of its source archive only `awq/utils/packing_utils.py` is run, whose path is given
as AWQ_PACKING.
"""

# mypy: disable-error-code="import-not-found, import-untyped, no-untyped-call, attr-defined, misc"
# the producers are installed by who runs this, and many of them have no types

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

QUANTISED: Final = Path(__file__).parent.parent / "tests" / "quantised"


def _save(folder: Path, tensors: dict[str, Any], config: dict[str, Any], expected: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    save_file({key: each.contiguous() for key, each in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    _beside(folder, config, expected)


def _beside(folder: Path, config: dict[str, Any], expected: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    if config:
        (folder / "config.json").write_text(json.dumps(config) + "\n")
    save_file({key: each.contiguous() for key, each in expected.items()}, folder / "expected.safetensors")


def _method(name: str, **more: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": name, **more}}


def make_bitsandbytes(folder: Path) -> None:
    """Both types of four bits, in three types of numbers, with and without a second quantisation; eight bits.

    Rows are whole blocks: of others the kernel for processors gives other numbers than bitsandbytes' own reference.
    """
    import torch
    from bitsandbytes import functional

    config = _method("bitsandbytes", load_in_4bit=True)
    for kind, dtype, nested in (
        ("nf4", torch.bfloat16, True), ("nf4", torch.float16, False), ("fp4", torch.float32, True),
        ("fp4", torch.bfloat16, False), ("nf4", torch.float32, False),
    ):  # fmt: skip
        packed, state = functional.quantize_4bit(
            torch.randn(24, 128, dtype=dtype), quant_type=kind, compress_statistics=nested
        )
        parts = {f"l.weight.{key}": part for key, part in state.as_dict(packed=True).items()}
        name = f"{kind}-{str(dtype).removeprefix('torch.')}{'-nested' if nested else ''}"
        expected = {"l.weight": functional.dequantize_4bit(packed, state), "l.bias": torch.ones(24, dtype=dtype)}
        _save(folder / name, {"l.weight": packed, **parts, "l.bias": torch.ones(24, dtype=dtype)}, config, expected)
    packed, scales, _ = functional.int8_vectorwise_quant(torch.randn(8, 96, dtype=torch.float16))
    tensors = {"l.weight": packed, "l.SCB": scales, "l.weight_format": torch.tensor(0, dtype=torch.uint8)}
    expected = {"l.weight": functional.int8_vectorwise_dequant(packed, scales)}
    _save(folder / "int8", tensors, _method("bitsandbytes", load_in_8bit=True), expected)


def make_transformers(folder: Path) -> None:
    """Experts of gpt-oss in MXFP4, and FP8 with scales of blocks."""
    import torch
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks = torch.randint(0, 256, (3, 40, 4, 16), dtype=torch.uint8)
    scales = torch.randint(110, 135, (3, 40, 4), dtype=torch.uint8)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    expected = {name: convert_moe_packed_tensors(blocks.clone(), scales.clone())}
    _save(folder / "mxfp4", {f"{name}_blocks": blocks, f"{name}_scales": scales}, _method("mxfp4"), expected)
    for dtype in (torch.float8_e4m3fn, torch.float8_e5m2):
        weight, scale = torch.randn(128, 96).to(dtype), torch.rand(2, 3)
        config = _method("fp8", weight_block_size=[64, 32])
        expected = {"l.weight": Fp8Dequantize(None)._dequantize_one(weight, scale)}
        _save(folder / f"fp8-{str(dtype)[-4:]}", {"l.weight": weight, "l.weight_scale_inv": scale}, config, expected)


def make_compressed_tensors(folder: Path) -> None:
    """Integers of 2 to 8 bits, FP8 and FP4."""
    for bits in (2, 3, 4, 5, 8):
        for symmetric in (True, False) if bits in (3, 4) else (True,):
            case = f"int{bits}{'' if symmetric else '-zero-points'}"
            _compress(folder / case, "pack-quantized", num_bits=bits, type="int", symmetric=symmetric, strategy="group",
                      group_size=32)  # fmt: skip
    whole = {"num_bits": 8, "symmetric": True}
    _compress(folder / "int4-channel", "pack-quantized", num_bits=4, type="int", symmetric=True, strategy="channel")
    _compress(folder / "int8-channel", "int-quantized", type="int", strategy="channel", **whole)
    _compress(folder / "fp8-channel", "float-quantized", type="float", strategy="channel", **whole)
    _compress(folder / "fp8-tensor", "float-quantized", type="float", strategy="tensor", **whole)
    _compress(
        folder / "fp8-block", "float-quantized", type="float", strategy="block", block_structure=[16, 32], **whole
    )
    four = {"num_bits": 4, "type": "float", "symmetric": True}
    _compress(folder / "nvfp4", "nvfp4-pack-quantized", strategy="tensor_group", group_size=16, **four)
    _compress(folder / "mxfp4", "mxfp4-pack-quantized", strategy="group", group_size=32, **four)


def _compress(folder: Path, form: str, **arguments: Any) -> None:
    import torch

    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]  # transformers looks for it
    from compressed_tensors.compressors.base import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    asked = QuantizationArgs(**arguments)
    scheme = QuantizationScheme(targets=["Linear"], weights=asked)
    weight = torch.randn((32, 96), dtype=torch.bfloat16)
    state = {"weight": weight}
    whole = None
    if asked.strategy == "tensor_group":
        whole = state["weight_global_scale"] = generate_gparam(weight.min(), weight.max())
    rows, columns = {
        "channel": (1, 96), "tensor": (32, 96), "block": asked.block_structure or (1, 1)
    }.get(asked.strategy, (1, asked.group_size or 1))  # fmt: skip
    tiles = weight.reshape(32 // rows, rows, 96 // columns, columns)
    scale, zero = calculate_qparams(tiles.amin((1, 3)), tiles.amax((1, 3)), asked, global_scale=whole)
    state["weight_scale"] = scale if whole is not None else scale.to(weight.dtype)
    if not asked.symmetric:
        state["weight_zero_point"] = zero.to(torch.int8)
    compressor = BaseCompressor.get_value_from_registry(form)
    packed = compressor.compress(state, scheme)
    expected = {"l.weight": compressor.decompress(dict(packed), scheme)["weight"]}
    _save(
        folder, {f"l.{key}": part for key, part in packed.items()}, _method("compressed-tensors", format=form), expected
    )


def make_autoawq(folder: Path) -> None:
    """Random words, which stand for as good numbers as any."""
    import torch

    spec = importlib.util.spec_from_file_location("packing", os.environ["AWQ_PACKING"])
    assert spec is not None
    assert spec.loader is not None
    packing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(packing)
    words, zeros = (torch.randint(-(2**31), 2**31 - 1, shape, dtype=torch.int32) for shape in ((128, 6), (2, 6)))
    scales = torch.rand(2, 48).half()
    config = _method("awq", bits=4, group_size=64, version="gemm", zero_point=True)
    expected = {"l.weight": packing.dequantize_gemm(words, zeros, scales, 4, 64).T}
    _save(folder / "gemm", {"l.qweight": words, "l.qzeros": zeros, "l.scales": scales}, config, expected)


def make_mlx(folder: Path) -> None:
    """Every width of the affine mode, in three types of numbers."""
    import mlx.core as mx

    types = (mx.bfloat16, mx.float16, mx.float32)
    for bits, group, dtype in zip((2, 3, 4, 5, 6, 8), (32, 64, 64, 32, 64, 32), types * 2, strict=True):
        weight = mx.random.normal((12, 192)).astype(dtype)
        packed, scales, biases = mx.quantize(weight, group_size=group, bits=bits)
        case = folder / f"{bits}-bit"
        case.mkdir(parents=True)
        tensors = {"l.weight": packed, "l.scales": scales, "l.biases": biases}
        mx.save_safetensors(str(case / "model.safetensors"), tensors, metadata={"format": "mlx"})
        (case / "config.json").write_text(json.dumps({"quantization": {"group_size": group, "bits": bits}}) + "\n")
        numbers = mx.dequantize(packed, scales, biases, group_size=group, bits=bits)
        mx.save_safetensors(str(case / "expected.safetensors"), {"l.weight": numbers})


def make_torchao(folder: Path) -> None:
    """Weights of every class that runs without a device, as `torch.save` has them and flattened for safetensors."""
    import torch
    from safetensors.torch import save_file
    from torch import nn
    from torchao import quantization
    from torchao.prototype.mx_formats.mx_tensor import MXTensor
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
    from torchao.quantization.granularity import PerGroup, PerTensor

    weight = torch.randn(16, 64, dtype=torch.bfloat16)
    cases: dict[str, Any] = {
        "mxfp8": MXTensor.to_mx(weight, torch.float8_e4m3fn, 32),
        "mxfp4": MXTensor.to_mx(weight, torch.float4_e2m1fn_x2, 32),
        "nvfp4": NVFP4Tensor.to_nvfp4(weight),
    }
    for name, config in {
        "int8": quantization.Int8WeightOnlyConfig(),
        "int8-dynamic": quantization.Int8DynamicActivationInt8WeightConfig(),
        "float8-row": quantization.Float8WeightOnlyConfig(),
        "float8-tensor": quantization.Float8DynamicActivationFloat8WeightConfig(granularity=PerTensor()),
        "int4-group": quantization.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)),
    }.items():
        net = nn.Sequential(nn.Linear(64, 16, bias=False)).to(torch.float32 if name == "int8" else torch.bfloat16)
        try:
            quantization.quantize_(net, config)
        except (AssertionError, RuntimeError, ImportError) as error:
            sys.stderr.write(f"torchao: no {name}: {error}\n")
            continue
        cases[name] = net.state_dict()["0.weight"]
    for name, tensor in cases.items():
        expected = {"0.weight": tensor.dequantize()}
        (folder / f"{name}-pickle").mkdir(parents=True)
        torch.save({"0.weight": tensor}, folder / f"{name}-pickle" / "model.pt")
        _beside(folder / f"{name}-pickle", {}, expected)
        flat, metadata = flatten_tensor_state_dict({"0.weight": tensor})
        (folder / name).mkdir()
        save_file(flat, folder / name / "model.safetensors", metadata)
        _beside(folder / name, {}, expected)


MAKERS: Final[dict[str, Callable[[Path], None]]] = {
    "bitsandbytes": make_bitsandbytes, "transformers": make_transformers, "compressed-tensors": make_compressed_tensors,
    "autoawq": make_autoawq, "mlx": make_mlx, "torchao": make_torchao,
}  # fmt: skip


def main() -> None:
    """Make the cases of the producers that are named, or of all."""
    versions = QUANTISED / "versions.json"
    known: dict[str, str] = json.loads(versions.read_text()) if versions.exists() else {}
    for name in sys.argv[1:] or MAKERS:
        try:
            release = os.environ.get("AWQ_VERSION", "") if name == "autoawq" else version(name)
        except ImportError as error:
            sys.stderr.write(f"{name}: left out: {error}\n")
            continue
        shutil.rmtree(QUANTISED / name, ignore_errors=True)
        MAKERS[name](QUANTISED / name)
        known[name] = release
    versions.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
