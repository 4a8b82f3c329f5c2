"""Values of a checkpoint's tensors as torch tensors: what the reader of values gives, handed over."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from paraminspect.records import Checkpoint, TensorRecord
from paraminspect.values.dtypes import is_foreign
from paraminspect.values.read import read_tensor
from paraminspect.values.stored_bytes import Files, find_flips


class StoredTensors:
    """Reads tensors, each into memory of its own; may be used from several threads.

    Attributes:
        files: What is kept open between calls.
    """

    def __init__(self) -> None:
        self.files = Files()

    def read(self, record: TensorRecord) -> Tensor:
        """The values of a tensor, in its dtype; of blocks and scaled integers the numbers they stand for, in float32.

        Raises:
            ParamInspectError: As `values.read.read_tensor`.
        """
        array = read_tensor(record, self.files)
        if is_foreign(array.dtype):  # of which torch takes the bits
            dtype = getattr(torch, array.dtype.name)
            return torch.from_numpy(array.view("u1" if array.itemsize == 1 else "i2")).view(dtype)
        return torch.from_numpy(array)


def flipped(record: TensorRecord | None, values: Tensor) -> Tensor:
    """Values as the bytes of a negative or conjugate view have them; of its bytes, the values."""
    negated, conjugated = (False, False) if record is None else find_flips(record)
    values = values.conj_physical() if conjugated else values
    return -values if negated else values


def by_name(checkpoint: Checkpoint) -> Mapping[str, TensorRecord]:
    """The model's tensors by name, quantised ones as what they stand for; of two equal names the last one."""
    return {record.name: record for each in checkpoint.tensors if (record := each.as_meant).role == "model"}
