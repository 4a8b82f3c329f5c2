"""Schemes of quantised weights, one row each: how stored tensors are recognised, and what they stand for.

A name alone says nothing: the others that belong to it must be there, with the types and shapes of the scheme; and where
these leave a choice, the model must say (`quantization_config` of its `config.json`). What is not told is not guessed: the
shape is known all the same, and the values are refused with the reason.

Readers and decoders are named as "module:object": decoders lie above this package, and take numpy.
"""

from __future__ import annotations

from typing import Final

from paraminspect.tuples import NamedTuple

_INTEGERS: Final = ("int32", "uint32")
_FLOAT8: Final = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")


class Scheme(NamedTuple):
    """One way to store a weight in several tensors.

    Attributes:
        name: For records.
        title: What the documents call it.
        key: What the name of the part ends in that few other tensors have; what stands before it, all parts begin with.
        parts: What each part is, and what its name ends in then; first the one whose row stands for all.
        dtypes: Types of that one; () for any.
        stands: What the name of the tensor that is meant ends in.
        optional: Parts that need not be there.
        reader: What judges them, called with a `Found`; it raises NotItError where they are something else.
        decoder: What reads their numbers, called with a `Logical` and Files; "" where nothing does.
    """

    name: str
    title: str
    key: str
    parts: tuple[tuple[str, str], ...]
    dtypes: tuple[str, ...]
    stands: str
    optional: tuple[tuple[str, str], ...]
    reader: str
    decoder: str


_HERE: Final = "paraminspect.formats.quantised"
_VALUES: Final = "paraminspect.values.quantised"
_STATE: Final = ".quant_state.bitsandbytes__"
_NESTED: Final = (("nested_absmax", ".nested_absmax"), ("nested_quant_map", ".nested_quant_map"))


def _four_bits(kind: str) -> Scheme:
    parts = (("weight", ""), ("absmax", ".absmax"), ("quant_map", ".quant_map"), ("state", _STATE + kind))
    title = f"bitsandbytes {kind}"
    return Scheme(
        title, title, _STATE + kind, parts, (), "", _NESTED, f"{_HERE}.bitsandbytes:read_four_bits",
        f"{_VALUES}:four_bits",
    )  # fmt: skip


SCHEMES: Final = (
    Scheme(
        "gptq", "GPTQ", "g_idx",
        (("qweight", "qweight"), ("qzeros", "qzeros"), ("scales", "scales"), ("g_idx", "g_idx")), _INTEGERS, "weight",
        (), f"{_HERE}.words:read_gptq", f"{_VALUES}:gptq",
    ),
    Scheme(
        "awq", "AWQ", "qzeros", (("qweight", "qweight"), ("qzeros", "qzeros"), ("scales", "scales")), _INTEGERS, "weight",
        (("g_idx", "g_idx"),), f"{_HERE}.words:read_awq", f"{_VALUES}:awq",
    ),
    _four_bits("nf4"),
    _four_bits("fp4"),
    Scheme(
        "bitsandbytes int8", "bitsandbytes int8", "SCB", (("weight", "weight"), ("SCB", "SCB")), ("int8",), "weight",
        (("weight_format", "weight_format"),), f"{_HERE}.bitsandbytes:read_eight_bits", f"{_VALUES}:rowwise",
    ),
    Scheme(
        "mxfp4 experts", "MXFP4 (gpt-oss)", "_scales", (("blocks", "_blocks"), ("scales", "_scales")), ("uint8",), "",
        (), f"{_HERE}.floats:read_experts", f"{_VALUES}:experts",
    ),
    Scheme(
        "mlx", "MLX", "scales", (("weight", "weight"), ("scales", "scales")), ("uint32",), "weight",
        (("biases", "biases"),), f"{_HERE}.words:read_mlx", f"{_VALUES}:mlx",
    ),
    Scheme(
        "pack-quantized", "compressed-tensors, packed", "_scale",
        (("packed", "_packed"), ("scale", "_scale"), ("shape", "_shape")), ("int32",), "",
        (("zero_point", "_zero_point"), ("g_idx", "_g_idx")), f"{_HERE}.words:read_packed", f"{_VALUES}:packed",
    ),
    Scheme(
        "fp4 packed", "NVFP4 and MXFP4 (compressed-tensors)", "_scale",
        (("weight", "_packed"), ("scale", "_scale")), ("uint8",), "",
        (("global_scale", "_global_scale"), ("zero_point", "_zero_point")), f"{_HERE}.floats:read_pairs",
        f"{_VALUES}:pairs",
    ),
    Scheme(
        "fp4", "NVFP4 (ModelOpt)", "_scale", (("weight", ""), ("scale", "_scale"), ("scale_2", "_scale_2")), ("uint8",),
        "", (), f"{_HERE}.floats:read_pairs", f"{_VALUES}:pairs",
    ),
    Scheme(
        "scaled inverse", "FP8 with scales of blocks (DeepSeek)", "_scale_inv",
        (("weight", ""), ("scale", "_scale_inv")), _FLOAT8, "", (), f"{_HERE}.floats:read_scaled", f"{_VALUES}:scaled",
    ),
    Scheme(
        "scaled", "FP8 and int8 with scales (compressed-tensors, ModelOpt, FBGEMM)", "_scale",
        (("weight", ""), ("scale", "_scale")), (*_FLOAT8, "int8"), "", (("zero_point", "_zero_point"),),
        f"{_HERE}.floats:read_scaled", f"{_VALUES}:scaled",
    ),
)  # fmt: skip
"""In the order in which they are tried: tensors are of the first that they can be."""

TOLD_BY_CONFIG: Final = frozenset(scheme.name for scheme in SCHEMES if "bitsandbytes" not in scheme.reader)
"""Schemes whose files alone do not tell what their weights stand for."""

DECODERS: Final = {
    **{scheme.name: scheme.decoder for scheme in SCHEMES},
    "torchao blocks": f"{_VALUES}:scaled",
    "torchao pairs": f"{_VALUES}:pairs",
    "torchao int4": "",
}
"""Of schemes by name; those of torchao are told by the class of the tensor, not by names."""

KEYS: Final = tuple({scheme.key for scheme in SCHEMES})
