"""The opcodes torch writes for a tensor, recognised at once.

In protocol 2 and 3 the arguments of `_rebuild_tensor_v2`, its call, and the PUTs between them always come in one order;
only names, numbers and memo indices differ. One regular expression matches the sequence. The result is what the opcodes
would have made: whatever is unusual (a memo index out of turn, a storage tag that is no "storage", hooks) does not match
or is given back to the machine. In a dictionary of tensors each is followed by the next name, so that the whole
dictionary is taken in one go.

Source: pickles of torch 0.4 to 2.13, opcode by opcode.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from paraminspect.formats.pickles.inert import Builder, StorageRef, StorageType, TensorValue

_GET = rb"(?:h.|j.{4})"
_INT = rb"(?:K.|M..|J.{4})"
_INTS = rb"(" + _INT + rb"\x85|" + _INT * 2 + rb"\x86|" + _INT * 3 + rb"\x87|\(" + _INT + rb"{1,16}t|\))"
_PUT = rb"r(.{4})"
_TENSOR: Final = re.compile(
    # the persistent id of the storage: ("storage", type, key, location, numel), in legacy files with a None behind
    rb"\(\((" + _GET + _GET + rb")X(.)\0\0\0([0-9]{1,20})" + _PUT + rb"(" + _GET + rb")(" + _INT + rb")N?t" + _PUT + rb"Q"
    # storage offset, shape, stride, requires_grad
    + rb"(" + _INT + rb")" + _INTS + rb"(?:" + _PUT + rb")?" + _INTS + rb"(?:" + _PUT + rb")?([\x88\x89])"
    # no backward hooks: OrderedDict()
    + rb"(" + _GET + rb")\)R" + _PUT + rb"t" + _PUT + rb"R" + _PUT,
    re.DOTALL,
)  # fmt: skip
"""From the MARK of the arguments to the PUT of the tensor."""

_ONES: Final = tuple(sum(1 << 32 * i for i in range(count)) for count in range(8))
_STEPS: Final = tuple(sum(i << 32 * i for i in range(count)) for count in range(8))
"""`count` consecutive 32-bit numbers from n on, little-endian, are the integer n * _ONES[count] + _STEPS[count]."""

LONGEST_NAME: Final = 256
"""Bytes of a name that is taken along; longer ones are left to the machine, which counts them."""

MAX_REMEMBERED: Final = 20_000
"""Numbers, and shapes with strides, whose bytes are not decoded anew."""

Taken = tuple[list[object], int, int]
"""Values for the stack, the position behind their opcodes, and the highest memo index these use."""

Layout = tuple[tuple[int, ...], tuple[int, ...], int, int]
"""Shape, stride, number of elements, elements from the first to the last inclusive."""


class TensorShortcut:
    """See `state.Shortcut`.

    Args:
        builder: Stands for `_rebuild_tensor_v2`.
        measure: Checks (shape, stride) and gives their layout.

    Attributes:
        declare: Is told of each storage, as the machine's `load_persistent` would be, and gives the one that counts;
            None where nobody asks.
    """

    def __init__(self, builder: Builder, measure: Callable[[tuple[int, ...], tuple[int, ...]], Layout]) -> None:
        self.builder = builder
        self.declare: Callable[[StorageRef], StorageRef] | None = None
        self._measure = measure
        self._ints: dict[bytes, int] = {}
        self._layouts: dict[tuple[bytes, bytes], Layout] = {}
        self._types: dict[tuple[bytes, bytes, bytes], StorageType] = {}
        self._builder_get = b""  # the GET that was seen to push the builder

    def forget(self) -> None:
        self._types.clear()
        self._builder_get = b""

    def take(self, buffer: bytes, position: int, memo: dict[int, object], first: int) -> Taken | None:
        """The tensor whose arguments begin at `position`, and every (name, tensor) that follows it."""
        made: list[object] = []
        end = last = -1
        name = None
        while (taken := self._tensor(buffer, position, memo, first)) is not None:
            if name is not None:
                made.append(name)
            value, end, last = taken
            made.append(value)
            memo[last] = value
            named = self._name(buffer, end, memo, last + 1)
            if named is None:
                break
            name, position = named
            memo[last + 1] = name
            first = last + 2
        return (made, end, last) if made else None

    def _name(self, buffer: bytes, position: int, memo: dict[int, object], index: int) -> tuple[str, int] | None:
        """A key, its PUT as `index`, and the function again; the position of the MARK behind them."""
        if buffer[position : position + 1] != b"X":
            return None
        begin = position + 5
        at = begin + int.from_bytes(buffer[position + 1 : begin], "little")
        get_end = at + (7 if buffer[at + 5 : at + 6] == b"h" else 10)
        get = buffer[at + 5 : get_end]
        if at > begin + LONGEST_NAME or buffer[at : at + 5] != b"r" + index.to_bytes(4, "little"):
            return None
        if get != self._builder_get:
            if get[:1] not in (b"h", b"j") or memo.get(_index(get)) is not self.builder:
                return None
            self._builder_get = get
        try:
            return buffer[begin:at].decode(), get_end
        except UnicodeDecodeError:
            return None

    def _tensor(
        self, buffer: bytes, position: int, memo: dict[int, object], first: int
    ) -> tuple[TensorValue, int, int] | None:
        """The value, the position behind its PUT, and that PUT's index; None if the opcodes must be run."""
        match = _TENSOR.match(buffer, position)
        if match is None:
            return None
        types, length, key, put1, location, numel, put2, offset, shape, put3, stride, put4, grad, hooks, *puts = (
            match.groups()
        )
        storage_type = self._types.get((types, location, hooks)) or self._storage_type(types, location, hooks, memo)
        # fresh, consecutive memo entries, one for each object: what every pickler writes
        indices = b"".join([put1, put2, put3 or b"", put4 or b"", *puts])
        count = len(indices) >> 2
        if (
            storage_type is None
            or length[0] != len(key)
            or count != 5 + (shape != b")") + (stride != b")")
            or int.from_bytes(indices, "little") != first * _ONES[count] + _STEPS[count]
        ):
            return None
        nbytes = (self._ints.get(numel) or self._int(numel)) * storage_type.itemsize
        begin = self._ints.get(offset) or self._int(offset)
        if begin < 0 or nbytes < 0:
            return None  # the opcodes run into the error that explains it
        dims, steps, elements, reach = self._layouts.get((shape, stride)) or self._layout(shape, stride)
        if elements and (begin + reach) * storage_type.itemsize > nbytes:
            return None
        name = memo[first] = key.decode()  # the next tensor of this storage has it from the memo
        storage = StorageRef(name, storage_type.dtype, nbytes)
        if self.declare is not None and self.declare(storage) is not storage:
            return None  # it was declared before, perhaps as another type: the machine asks again
        value = TensorValue(storage, begin, dims, steps, storage_type.dtype, elements)
        value.trainable = grad == b"\x88"
        return value, match.end(), first + count - 1

    def _storage_type(self, types: bytes, location: bytes, hooks: bytes, memo: dict[int, object]) -> StorageType | None:
        """The class of the storage, if the tag before it says "storage" and the hooks are an OrderedDict.

        The location may be anything, but there must be one.
        """
        size = 2 if types[:1] == b"h" else 5
        tag, kind, ordered = (memo.get(_index(get)) for get in (types[:size], types[size:], hooks))
        if _index(location) not in memo:
            return None
        if tag != "storage" or not isinstance(kind, StorageType):
            return None
        if not isinstance(ordered, Builder) or ordered.name != "OrderedDict":
            return None
        _make_room(self._types)
        self._types[types, location, hooks] = kind
        return kind

    def _int(self, text: bytes) -> int:
        _make_room(self._ints)
        value = self._ints[text] = int.from_bytes(text[1:], "little", signed=text[:1] == b"J")
        return value

    def _layout(self, shape: bytes, stride: bytes) -> Layout:
        _make_room(self._layouts)
        layout = self._layouts[shape, stride] = self._measure(self._tuple(shape), self._tuple(stride))
        return layout

    def _tuple(self, text: bytes) -> tuple[int, ...]:
        body = text[1:-1] if text[:1] == b"(" else text[:-1]
        return tuple(self._int(number) for number in re.findall(_INT, body, re.DOTALL))


def _make_room(cache: dict[Any, Any]) -> None:
    """Forget everything once a file has too much variety to be worth remembering."""
    if len(cache) >= MAX_REMEMBERED:
        cache.clear()


def _index(get: bytes) -> int:
    """The memo index of a BINGET or LONG_BINGET."""
    return int.from_bytes(get[1:], "little")
