"""The pickle of a state dict, opcode by opcode as `torch.save` of `OrderedDict[str, Tensor]` writes it.

Protocol 2: `collections.OrderedDict()`, then names and tensors, 1,000 pairs at a time. A tensor is a call of
`torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, OrderedDict())`, whose storage is the
persistent id ("storage", class, key, "cpu", numel); dtypes younger than storage classes are an `UntypedStorage`,
counted in bytes, and `_rebuild_tensor_v3`, which takes the dtype last. A tensor of several names is made once and is a
memo reference from then on, as pickle writes an object it meets again.

Memo indices are handed out where Python's own pickler would, so the bytes are those that torch writes.

Source: `torch._tensor.Tensor._reduce_ex_internal`; `batch_dict` in Python's `_pickle.c`; files of torch 2.13.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from paraminspect.formats.dtypes import STORAGE_TYPES
from paraminspect.formats.shapes import contiguous_stride
from paraminspect.writers.layout import OutTensor

BATCH: Final = 1000
"""Pairs that one SETITEMS takes."""

UNTYPED: Final = frozenset({
    "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2",
    "complex32", "uint16", "uint32", "uint64", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
})  # fmt: skip
"""Dtypes without a storage class: `torch.storage._new_dtypes`."""

TYPED: Final = {
    dtype: name
    for name, dtype in STORAGE_TYPES.items()
    if not name.endswith("UntypedStorage") and not dtype.startswith("q")
}
"""The storage class of each other dtype; quantised tensors carry scales, which are not written."""

_MARK, _STOP, _REDUCE, _PERSISTENT, _TUPLE = b"(", b".", b"R", b"Q", b"t"
_EMPTY_TUPLE, _FALSE, _TRUE, _SETITEM, _SETITEMS = b")", b"\x89", b"\x88", b"s", b"u"
_SHORT_TUPLES: Final = (_EMPTY_TUPLE, b"\x85", b"\x86", b"\x87")


def pickle_state_dict(tensors: Sequence[OutTensor]) -> bytes:
    """The bytes of `data.pkl`; storage keys are the tensors' indices.

    Args:
        tensors: Of dtypes in `TYPED` or `UNTYPED`, with names that can be encoded. Aliases follow their tensor.
    """
    return _Pickler().state_dict(tensors)


class _Pickler:
    """What has been written, and the memo."""

    def __init__(self) -> None:
        self._out = bytearray(b"\x80\x02")
        self._memo: dict[object, int] = {}
        self._next = 0

    def state_dict(self, tensors: Sequence[OutTensor]) -> bytes:
        self._new_dict()
        pairs = _pairs(tensors)
        while True:
            batch = list(islice(pairs, BATCH))
            if len(batch) > 1:
                self._out += _MARK
            for index, name in batch:
                self._text(name)
                self._tensor(index, tensors[index])
            if batch:
                self._out += _SETITEMS if len(batch) > 1 else _SETITEM
            if len(batch) < BATCH:
                return bytes(self._out + _STOP)

    def _tensor(self, index: int, tensor: OutTensor) -> None:
        """The tensor, or the memo reference to it."""
        if self._get(index):
            return
        untyped = tensor.dtype in UNTYPED
        self._global("torch._utils", "_rebuild_tensor_v3" if untyped else "_rebuild_tensor_v2")
        self._out += _MARK
        self._storage(index, tensor, untyped)
        self._int(0)
        self._sizes(tensor.shape)
        self._sizes(contiguous_stride(tensor.shape))
        self._out += _TRUE if tensor.trainable else _FALSE
        self._new_dict()  # no backward hooks
        if untyped:
            self._global("torch", tensor.dtype)
        self._out += _TUPLE
        self._put()
        self._out += _REDUCE
        self._put(index)

    def _storage(self, index: int, tensor: OutTensor, untyped: bool) -> None:
        self._out += _MARK
        self._text("storage", shared=True)
        if untyped:
            self._global("torch.storage", "UntypedStorage")
        else:
            self._global("torch", TYPED[tensor.dtype])
        self._text(str(index))
        self._text("cpu", shared=True)
        self._int(tensor.nbytes if untyped else tensor.numel)
        self._out += _TUPLE
        self._put()
        self._out += _PERSISTENT

    def _new_dict(self) -> None:
        self._global("collections", "OrderedDict")
        self._out += _EMPTY_TUPLE + _REDUCE
        self._put()

    def _sizes(self, sizes: Sequence[int]) -> None:
        short = len(sizes) < len(_SHORT_TUPLES)
        if not short:
            self._out += _MARK
        for size in sizes:
            self._int(size)
        self._out += _SHORT_TUPLES[len(sizes)] if short else _TUPLE
        if sizes:
            self._put()

    def _global(self, module: str, name: str) -> None:
        if not self._get((module, name)):
            self._out += f"c{module}\n{name}\n".encode()
            self._put((module, name))

    def _text(self, text: str, *, shared: bool = False) -> None:
        """A string; a shared one is the same object each time."""
        if shared and self._get(text):
            return
        data = text.encode()
        self._out += b"X" + len(data).to_bytes(4, "little") + data
        self._put(text if shared else None)

    def _int(self, value: int) -> None:
        if value < 1 << 8:
            self._out += b"K" + value.to_bytes(1, "little")
        elif value < 1 << 16:
            self._out += b"M" + value.to_bytes(2, "little")
        elif value < 1 << 31:
            self._out += b"J" + value.to_bytes(4, "little")
        else:
            length = value.bit_length() // 8 + 1  # signed
            self._out += b"\x8a" + length.to_bytes(1, "little") + value.to_bytes(length, "little")

    def _put(self, key: object = None) -> None:
        """Give what was made last the next memo index, under which `key` is found again."""
        index = self._next
        self._next += 1
        if key is not None:
            self._memo[key] = index
        self._out += b"q" + index.to_bytes(1, "little") if index < 1 << 8 else b"r" + index.to_bytes(4, "little")

    def _get(self, key: object) -> bool:
        """Refer to what was remembered as `key`, if anything was."""
        index = self._memo.get(key)
        if index is None:
            return False
        self._out += b"h" + index.to_bytes(1, "little") if index < 1 << 8 else b"j" + index.to_bytes(4, "little")
        return True


def _pairs(tensors: Sequence[OutTensor]) -> Iterator[tuple[int, str]]:
    for index, tensor in enumerate(tensors):
        yield index, tensor.name
        for alias in tensor.aliases:
            yield index, alias
