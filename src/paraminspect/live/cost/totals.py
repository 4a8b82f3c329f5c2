"""What weights, gradients and the state of an optimizer take. Imports no torch: it is asked of files too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from paraminspect.formats.dtypes import BITS
from paraminspect.live.cost.optimizers import Optimizer, state_bytes
from paraminspect.names.listing import make_listing, total
from paraminspect.outcomes import CostTotals, ModuleCost
from paraminspect.records import TensorRecord

TRAINED: Final = frozenset({"float64", "float32", "float16", "bfloat16", "complex128", "complex64"})
"""Types of parameters that optimizers take."""


def weigh(
    records: Sequence[TensorRecord],
    optimizer: Optimizer,
    dtype: str | None = None,
    whole: ModuleCost | None = None,
) -> CostTotals:
    """Add up what a model takes.

    Args:
        records: Of all its tensors, under every name.
        optimizer: Whose state is counted for parameters that train.
        dtype: Of parameters and buffers of floating-point numbers, quantised ones among them; None leaves them as they
            are.
        whole: What its outermost module takes, if it ran.

    Raises:
        ParamInspectError: There is no such optimizer.
    """
    listing = make_listing(records)
    everything = make_listing(records, everything=True)
    buffers = [each for each in everything.records if each.kind == "buffer" and each.role in ("model", "unsaved")]
    totals = total(listing)
    parameter_bytes = totals.nbytes if dtype is None else _sum([_size(each, dtype) for each in listing.records])
    buffer_bytes = _sum([_size(each, dtype) for each in buffers])
    trained = [each for each in listing.records if each.trainable is not False]
    gradient_bytes = optimizer_bytes = None
    if all(_type(each, dtype) in TRAINED for each in trained):
        gradient_bytes = _sum([_size(each, dtype) for each in trained])
        optimizer_bytes = sum(_state(each, dtype, optimizer) for each in trained)
    saved = whole.saved_bytes if whole is not None else None
    return CostTotals(
        parameters=totals.parameters,
        parameter_bytes=parameter_bytes,
        buffer_bytes=buffer_bytes,
        gradient_bytes=gradient_bytes,
        optimizer=optimizer,
        optimizer_bytes=optimizer_bytes,
        saved_bytes=saved,
        training_bytes=_sum([parameter_bytes, buffer_bytes, gradient_bytes, optimizer_bytes, saved]),
        kv_cache_bytes=None,
        inference_bytes=_sum([parameter_bytes, buffer_bytes]),
        flops_forward=whole.flops_forward if whole is not None else None,
        flops_backward=whole.flops_backward if whole is not None else None,
    )


def _sum(sizes: Sequence[int | None]) -> int | None:
    """None if one is not known."""
    known = [each for each in sizes if each is not None]
    return sum(known) if len(known) == len(sizes) else None


def _type(record: TensorRecord, dtype: str | None) -> str:
    is_number = record.encoding_label is not None or record.dtype in TRAINED or record.dtype.startswith("float")
    return dtype if dtype is not None and is_number and not record.dtype.startswith("complex") else record.dtype


def _size(record: TensorRecord, dtype: str | None) -> int | None:
    kind = _type(record, dtype)
    return record.nbytes if kind == record.dtype else record.meant_numel * BITS[kind] // 8


def _state(record: TensorRecord, dtype: str | None, optimizer: Optimizer) -> int:
    shape = record.logical_shape or record.shape
    return state_bytes(optimizer, (record.meant_numel,) if shape is None else shape, BITS[_type(record, dtype)] // 8)
