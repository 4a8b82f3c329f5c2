"""Tensors of a live model as those of files are given: as numpy has them, and as bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paraminspect.errors import CheckpointError, SourceError
from paraminspect.records import TensorRecord
from paraminspect.values.dtypes import is_foreign, numpy_dtype

Array = np.ndarray[Any, Any]

PIECE_BYTES = 1 << 20
"""Given at a time."""


def tensor_array(tensor: Tensor) -> Array:
    """A tensor of any device as an array, with the same numbers.

    Raises:
        SourceError: numpy has nothing for it: a sparse or quantised tensor.
    """
    name, layout = dtype_name(tensor), str(tensor.layout).removeprefix("torch.")
    dtype = numpy_dtype(name)
    if dtype is None or layout != "strided":
        raise SourceError(f"a tensor of {name} ({layout}) has no plain values")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    if is_foreign(dtype):  # its bits, which torch hands over as integers
        return plain.contiguous().view(torch.int16 if dtype.itemsize == 2 else torch.uint8).numpy().view(dtype)
    array: Array = plain.numpy()
    return array


def print_tensor(tensor: Tensor, columns: int | None = None) -> str:
    """The values as torch prints them, on a terminal of so many columns if not None.

    Raises:
        SourceError: It has no plain values.
    """
    from paraminspect.values.display import PrintOptions, format_tensor

    return format_tensor(tensor_array(tensor), dtype_name(tensor), PrintOptions(columns=columns))


def dtype_name(tensor: Tensor) -> str:
    """Its dtype as records have it: "bfloat16"."""
    return str(tensor.dtype).removeprefix("torch.")


class LiveContents:
    """The bytes of tensors, one at a time, each as a whole; may be used from several threads.

    Args:
        tensor: Gives the values of a tensor.
    """

    def __init__(self, tensor: Callable[[TensorRecord], Tensor]) -> None:
        self._tensor = tensor
        self._lock = threading.Lock()

    def pieces(self, record: TensorRecord) -> Iterator[bytes]:
        """All elements, row-major.

        Raises:
            CheckpointError: It is not dense, or has no values.
        """
        data = self._data(record)
        for at in range(0, len(data), PIECE_BYTES):
            yield data[at : at + PIECE_BYTES]

    def start(self, record: TensorRecord, length: int) -> bytes:
        """The first bytes."""
        return self._data(record)[:length]

    def _data(self, record: TensorRecord) -> bytes:
        with self._lock:
            tensor = self._tensor(record).detach().cpu()
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise CheckpointError("it is not dense")
        plain = tensor.resolve_conj().resolve_neg().reshape(-1)
        return plain.view(torch.uint8).numpy().tobytes()
