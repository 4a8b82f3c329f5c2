"""Floating-point numbers of eight and four bits with scales beside them: FP8, MXFP4, NVFP4; and integers of eight bits.

Scales are of blocks of rows and columns, of rows, or of the whole; the numbers are multiplied by them. MXFP4 and NVFP4 are
pairs of e2m1, the first in the lower bits. The scales of MXFP4 are exponents of 2, those of NVFP4 float8 with one more
scale for the whole, by which they are multiplied (ModelOpt) or divided (compressed-tensors).

Source: `Fp8Dequantize` and `convert_moe_packed_tensors` of transformers 5.24, compressed-tensors 0.20.
"""

from __future__ import annotations

from paraminspect.formats.quantised.found import FLOATS, Found, block_of, must, other, untold
from paraminspect.records import Logical

METHODS = ("fp8", "compressed-tensors", "modelopt", "fbgemm_fp8")
"""Of models whose float8 weights are multiplied by what is beside them."""

COMPRESSED = "compressed-tensors"


def _grid(found: Found, shape: tuple[int, ...], scale: str) -> tuple[int, int]:
    """Rows and columns of a block that one scale is for."""
    scales = found.shape(scale)
    if found.parts[scale].numel == 1:
        return shape[-2], shape[-1]
    if len(shape) == 2 and scales == shape[:1]:
        return 1, shape[1]
    must(len(scales) == len(shape) and scales[:-2] == shape[:-2])
    said = found.settings.quantisation.get("weight_block_size")
    if isinstance(said, list) and len(said) == 2 and all(type(size) is int and size > 0 for size in said):
        rows, columns = said
        if scales[-2:] == (-(-shape[-2] // rows), -(-shape[-1] // columns)):
            return rows, columns
    return block_of(shape, scales)


def read_scaled(found: Found) -> Logical:
    """float8, or integers of eight bits, with a scale for each block."""
    shape, stored = found.shape("weight"), found.dtype("weight")
    must(len(shape) >= 2 and 0 not in shape)
    block = _grid(found, shape, "scale")
    must(found.dtype("scale") in (*FLOATS, "float8_e8m0fnu"))
    method = found.settings.method
    problem = ("", "")
    if stored == "int8":
        must(method == COMPRESSED)
        label = "compressed-tensors int8"
    else:
        label = "fp8 scaled"
        if method not in METHODS:
            problem = untold("what is done with the scales")
    if "zero_point" in found.parts:
        must(found.shape("zero_point") == found.shape("scale"))
    dtype = found.dtype("scale") if found.dtype("scale") in FLOATS else "bfloat16"
    return found.logical(label, shape, dtype, problem=problem, block=block)


def read_experts(found: Found) -> Logical:
    """(experts, outputs, groups, 16) bytes of MXFP4, as gpt-oss has them: its layers take the transpose of each."""
    experts, outputs, groups, each = found.shape("blocks", 4)
    must(each == 16 and found.shape("scales", 3) == (experts, outputs, groups))
    problem = ("", "") if found.settings.method == "mxfp4" else untold("the order of the numbers in a byte")
    return found.logical("mxfp4", (experts, 32 * groups, outputs), "bfloat16", problem=problem)


def read_pairs(found: Found) -> Logical:
    """(.., outputs, inputs / 2) bytes with a scale for each 16 or 32 of a row."""
    *outer, half = found.rows("weight")
    shape = (*outer, 2 * half)
    *rows, groups = found.rows("scale")
    must(outer and groups and shape[-1] % groups == 0 and rows == outer)
    group, method, stored = shape[-1] // groups, found.settings.method, found.dtype("scale")
    problem, label = ("", ""), "nvfp4"
    if stored == "uint8":
        must(group == 32 and method == COMPRESSED)
        label = "mxfp4"
    else:
        must(stored == "float8_e4m3fn" and group == 16)
        whole = "global_scale" if "global_scale" in found.parts else "scale_2"
        must(whole in found.parts and found.parts[whole].numel == 1)
        if method != (COMPRESSED if whole == "global_scale" else "modelopt") and not (
            method in ("", "nvfp4") and found.settings.quantisation.get("quant_algo") == "NVFP4"
        ):
            problem = untold("what is done with the scales")
    if "zero_point" in found.parts:
        problem = other(f"{label} with zero points")
    return found.logical(label, shape, "bfloat16", problem=problem, group=group)
