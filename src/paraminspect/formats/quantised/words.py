"""Integers in words of 32 bits: GPTQ, AWQ, MLX, and the packed format of compressed-tensors.

All of them put the first integer into the lowest bits of the first word and the others behind it, across the border of
words where their width is 3, 5 or 6. GPTQ packs along the inputs and stores its weight transposed; AWQ packs along the
outputs, eight of them in an order of its own, and is transposed too; MLX and compressed-tensors pack along the inputs of a
weight as torch has it.

Source: `pack_block` and `dequantize_weight` of gptqmodel 7.7, `packing_utils` of autoawq 0.2.9, `mlx.core.quantize` of
mlx 0.32, `pack_quantized` of compressed-tensors 0.20.
"""

from __future__ import annotations

from paraminspect.formats.quantised.found import FLOATS, WIDTHS, Found, must, other, untold
from paraminspect.records import Logical


def _bits(words: int, count: int) -> int:
    """The width of so many integers in so many words."""
    must(count > 0 and words * 32 % count == 0)
    bits = words * 32 // count
    must(bits in WIDTHS)
    return bits


def read_gptq(found: Found) -> Logical:
    """(inputs * bits / 32, outputs), a scale and a zero point for each group of inputs and each output."""
    words, outputs = found.shape("qweight", 2)
    groups, width = found.shape("scales", 2)
    inputs = found.shape("g_idx", 1)[0]
    bits = _bits(words, inputs)
    must(width == outputs and found.dtype("scales") in FLOATS)
    must(found.shape("qzeros", 2) == (groups, -(-outputs * bits // 32)))
    problem, lowered = ("", ""), True
    quantisation, method = found.settings.quantisation, found.settings.method
    form = quantisation.get("checkpoint_format", "gptq")
    if method == "auto-round":
        form = {"auto_round:auto_gptq": "gptq"}.get(str(quantisation.get("packing_format")), form)
    if method not in ("gptq", "auto-round"):
        problem = untold("whether zero points are stored less one (gptq) or as they are (gptq_v2)")
    elif form in ("gptq", "gptq_v2"):
        lowered = form == "gptq"
    else:
        problem = other(f"gptq of the format {form!r:.40}")
    dtype = found.dtype("scales")
    return found.logical(f"gptq {bits}-bit", (outputs, inputs), dtype, problem=problem, bits=bits, lowered=lowered)


def read_awq(found: Found) -> Logical:
    """(inputs, outputs * bits / 32), a scale and a zero point for each group of inputs and each output."""
    inputs, words = found.shape("qweight", 2)
    groups, outputs = found.shape("scales", 2)
    bits = _bits(words, outputs)
    must("g_idx" not in found.parts and found.dtype("scales") in FLOATS)
    must(found.shape("qzeros", 2) == (groups, words) and groups and inputs % groups == 0)
    problem = ("", "")
    version = found.settings.quantisation.get("version", "gemm")
    if found.settings.method != "awq":
        problem = untold("the order of the integers in a word")
    elif str(version).lower() != "gemm" or bits != 4:
        problem = other(f"awq of the version {version!r:.40} with {bits} bits")
    return found.logical(f"awq {bits}-bit", (outputs, inputs), found.dtype("scales"), problem=problem, bits=bits)


def read_mlx(found: Found) -> Logical:
    """(.., outputs, inputs * bits / 32), a scale and a bias for each group of inputs."""
    *outer, words = found.rows("weight")
    said = found.settings.mlx(found.name.removesuffix(".weight"))
    bits, group, mode = said.get("bits"), said.get("group_size"), said.get("mode", "affine")
    must(type(bits) is int and bits in WIDTHS and type(group) is int and group > 0)  # the one, or the other
    assert isinstance(bits, int)
    assert isinstance(group, int)
    inputs, rest = divmod(words * 32, bits)
    must(outer and not rest and inputs % group == 0 and found.shape("scales") == (*outer, inputs // group))
    problem = ("", "")
    if mode == "affine" and "biases" in found.parts:
        must(found.shape("biases") == found.shape("scales") and found.dtype("scales") in FLOATS)
        must(found.dtype("biases") == found.dtype("scales"))
    else:
        problem = other(f"mlx in the mode {mode!r:.40}")
    label = f"mlx {bits}-bit" if mode == "affine" else f"mlx {mode!s:.20}"
    dtype = found.dtype("scales") if found.dtype("scales") in FLOATS else "bfloat16"
    return found.logical(label, (*outer, inputs), dtype, problem=problem, bits=bits, group=group)


def read_packed(found: Found) -> Logical:
    """(.., outputs, inputs * bits / 32) of compressed-tensors; the shape is in a tensor of its own."""
    *outer, words = found.rows("packed")
    told = found.shape("shape", 1)[0]
    must(found.dtype("shape") in ("int64", "int32") and told == len(outer) + 1 and found.dtype("scale") in FLOATS)
    data, size = found.read(found.parts["shape"]), 8 if found.dtype("shape") == "int64" else 4
    shape = tuple(int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size))
    must(shape[:-1] == tuple(outer) and shape[-1] > 0)
    fitting = [bits for bits in range(1, 9) if -(-shape[-1] * bits // 32) == words]
    must(len(fitting) == 1)
    bits = fitting[0]
    scales = found.shape("scale")
    must(len(scales) == len(shape) and scales[:-1] == shape[:-1] and scales[-1] and shape[-1] % scales[-1] == 0)
    problem = ("", "")
    if found.settings.method != "compressed-tensors":
        problem = untold("how the integers are packed")
    elif "g_idx" in found.parts or len(shape) != 2:
        problem = other("compressed-tensors with a group index" if len(shape) == 2 else "a packed stack of weights")
    return found.logical(f"compressed-tensors {bits}-bit", shape, found.dtype("scale"), problem=problem, bits=bits)
