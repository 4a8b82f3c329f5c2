"""Arrays for other programs: nested lists for JSON, and the npy format."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from paraminspect.values.dtypes import is_foreign
from paraminspect.values.widen import to_python

Array = np.ndarray[Any, Any]


def nested_values(array: Array) -> Any:
    """Python numbers in nested lists, one number for a tensor without dimensions.

    A float32 has as many digits as tell it from its neighbours (0.1, not 0.10000000149011612); a complex number is a
    pair, real and imaginary part.
    """
    if array.dtype.kind == "c":
        return nested_values(np.stack([array.real, array.imag], axis=-1))
    if array.dtype == np.float32:
        texts = np.array([float(str(value)) for value in array.reshape(-1)], np.float64)
        return texts.reshape(array.shape).tolist()
    return to_python(array)


def encode_npy(array: Array) -> tuple[bytes, str | None]:
    """The bytes of a .npy file; a note where numpy has no name for the type and it was widened to float32."""
    note = None
    if is_foreign(array.dtype):
        note = f"npy has no {array.dtype.name}: written as float32, without loss"
        array = array.astype(np.float32)
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue(), note
