"""What is asked of stored tensors, one by one."""

from __future__ import annotations

from paraminspect.records import TensorRecord
from paraminspect.values.read import open_numbers
from paraminspect.values.stats import TensorStats, summarise
from paraminspect.values.stored_bytes import Files


def tensor_stats(record: TensorRecord) -> TensorStats:
    return summarise(open_numbers(record, Files())).stats()
