"""Arrays that `joblib.dump` writes raw between the opcodes of a pickle.

Behind the BUILD of a `joblib.numpy_pickle.NumpyArrayWrapper`, whose state has shape, order and dtype, `joblib.load`
leaves the pickle and reads on in the file:

    1 byte    number of bytes of padding (since joblib 1.2, where the state has `numpy_array_alignment_bytes`)
    N bytes   0xff
    the rest  the elements

or, where the dtype has Python objects, another pickle. Then the pickle goes on.

Source: `NumpyArrayWrapper.read_array` of joblib 1.6.
"""

from __future__ import annotations

import re
from typing import Final

from paraminspect.errors import MalformedError
from paraminspect.formats.pickles.inert import Opaque

WRAPPER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
_CODE: Final = re.compile(r"[a-zA-Z]([0-9]{1,9})")
_OBJECTS: Final = 1
"""Flag of a dtype that holds references."""


def is_wrapper(target: object) -> bool:
    """Whether an array follows once the object has its state."""
    return isinstance(target, Opaque) and target.class_name == WRAPPER


def count_bytes(wrapper: Opaque, first: int) -> int | None:
    """Bytes up to the next opcode; None where a pickle stands there instead.

    Args:
        wrapper: With its state.
        first: The byte that follows.

    Raises:
        MalformedError: The state is not that of an array.
    """
    state = wrapper.state if isinstance(wrapper.state, dict) else {}
    shape, dtype = state.get("shape"), state.get("dtype")
    itemsize = _itemsize(dtype)
    if itemsize is None:
        return None
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise MalformedError("an array of joblib has no shape")
    numel = 1
    for size in shape:
        numel = min(numel * size, 1 << 62)
    padding = 1 + first if state.get("numpy_array_alignment_bytes") is not None else 0
    return padding + numel * itemsize


def _itemsize(dtype: object) -> int | None:
    """Bytes of an element; None of Python objects."""
    known = isinstance(dtype, Opaque) and dtype.class_name == "numpy.dtype" and isinstance(dtype.args, tuple)
    code = dtype.args[0] if known and dtype.args else None  # type: ignore[attr-defined]
    match = _CODE.fullmatch(code) if isinstance(code, str) else None
    if match is None:
        raise MalformedError("an array of joblib has no type that is known")
    state = dtype.state  # type: ignore[attr-defined]
    flags = state[7] if isinstance(state, tuple) and len(state) > 7 else 0
    if match[0][0] == "O" or (type(flags) is int and flags & _OBJECTS):
        return None
    return int(match[1]) * (4 if match[0][0] == "U" else 1)
