"""Element types: torch's names and what numpy calls them, with ml_dtypes for those that numpy lacks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_NUMPY: Final = frozenset({
    "float64", "float32", "float16", "complex128", "complex64", "bool",
    "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
})  # fmt: skip
_ML_DTYPES: Final = frozenset({
    "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
})  # fmt: skip
"""Of the same name in ml_dtypes."""


_NAMELESS: Final = {"V2": "bfloat16", "V1": "float8, float6, float4 and int4"}
"""Types of ml_dtypes by what numpy writes for them in an npy file."""


def numpy_dtype(name: str) -> np.dtype[Any] | None:
    """What numpy calls torch's type of that name; None for those it has nothing for (quantised blocks, packed pairs)."""
    if name in _NUMPY:
        return np.dtype(name)
    if name in _ML_DTYPES:
        import ml_dtypes

        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return dtype
    return None


def why_no_numbers(name: str) -> tuple[str, str | None]:
    """Why there are no numbers of a type that `numpy_dtype` does not know, and the way out."""
    kinds = _NAMELESS.get(name.lstrip("<|>"))
    if kinds is not None:
        return (
            f"its type is not in the file: numpy writes {kinds} as {name}, bytes without a type",
            "save it as float32, or as safetensors or .pt, which have a name for it",
        )
    if name.startswith("float6"):
        return (
            f"values of {name} cannot be decoded: safetensors does not say in which order their bits lie",
            "decode it with the program that wrote it",
        )
    return f"{name} has no arithmetic", None


def is_floating(dtype: np.dtype[Any]) -> bool:
    """Whether it is a real floating-point type, those of ml_dtypes included."""
    return dtype.kind == "f" or is_foreign(dtype)


def is_foreign(dtype: np.dtype[Any]) -> bool:
    """Whether it comes from ml_dtypes: numpy's own file formats have no name for it."""
    return dtype.type.__module__ == "ml_dtypes"
