"""Records of tensors that lie in no file."""

from __future__ import annotations

import math
from typing import Any

from paraminspect.records import Storage, TensorRecord

SIZES = {"float32": 4, "bfloat16": 2, "float16": 2, "int64": 8, "int8": 1, "uint8": 1, "bool": 1}


def tensor(name: str, *shape: int, dtype: str = "float32", storage: Storage | None = None, **more: Any) -> TensorRecord:
    numel = math.prod(shape)
    return TensorRecord(name, shape, dtype, numel, numel * SIZES[dtype], storage=storage, **more)


def stored(name: str, *shape: int, dtype: str = "float32", storage: Storage | None = None) -> TensorRecord:
    """One that has a storage of its own, or this one."""
    nbytes = math.prod(shape) * SIZES[dtype]
    return tensor(name, *shape, dtype=dtype, storage=storage or Storage(name, nbytes))
