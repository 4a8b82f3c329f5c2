"""The opcodes torch writes for a tensor, recognised at once.

In protocol 2 and 3 the arguments of `_rebuild_tensor_v2`, its call, and the PUTs between them always come in one order;
only names, numbers and memo indices differ. One regular expression matches the sequence. The result is what the opcodes
would have made: whatever is unusual (a memo index out of turn, a storage tag that is no "storage", hooks) does not match
or is given back to the machine. In a dictionary of tensors each is followed by the next name: there many are taken
side by side, a column at a time, and what tensors have in common (`_Form`) is looked into once.

Source: pickles of torch 0.4 to 2.13, opcode by opcode.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from paraminspect.errors import ParamInspectError
from paraminspect.formats.pickles.inert import Builder, StorageRef, StorageType, TensorValue
from paraminspect.tuples import NamedTuple

if TYPE_CHECKING:
    from paraminspect.formats.pickles.state import MachineState, Taken

_GET = rb"(?:h.|j.{4})"
_INT = rb"(?:K.|M..|J.{4})"
_INTS = rb"(?:" + _INT + rb"\x85|" + _INT * 2 + rb"\x86|" + _INT * 3 + rb"\x87|\(" + _INT + rb"{1,16}t|\))"
_PUT = rb"r(.{4})"

LONGEST_NAME: Final = 256
"""Bytes of a name that is taken along; longer ones are left to the machine, which counts them."""

_KEY: Final = rb"X(.)\0\0\0([0-9]{1,20})" + _PUT
"""Of a storage."""

_KEYS: Final = re.compile(_KEY, re.DOTALL)

_NAME: Final = rb"X(.{2}\0\0)([^\0]{0,%d})" % LONGEST_NAME + _PUT + rb"(" + _GET + rb")"
"""A key of the dictionary, and the function that rebuilds what stands under it."""

_TENSOR: Final = (
    # the persistent id of the storage: ("storage", type, key, location, numel), in legacy files with a None behind
    rb"\(\((" + _GET + _GET + rb")" + _KEY + rb"(" + _GET + _INT + rb")N?t" + _PUT + rb"Q"
    # storage offset and shape, stride, requires_grad and no backward hooks: OrderedDict()
    + rb"(" + _INT + _INTS + rb")(?:" + _PUT + rb")?(" + _INTS + rb")(?:" + _PUT + rb")?([\x88\x89]" + _GET + rb")\)R"
    + _PUT + rb"t" + _PUT + rb"R" + _PUT
)  # fmt: skip
"""From the MARK of the arguments to the PUT of the tensor."""

_ENTRY: Final = re.compile(rb"(?:" + _NAME + rb")?" + _TENSOR, re.DOTALL)

FEWEST_BYTES: Final = 1 << 10
"""That are looked at together; twice as many after each time that all tensors in them were as expected."""

MOST_BYTES: Final = 1 << 18
"""No more than that: while they are looked at, each tensor takes a kilobyte."""

MAX_REMEMBERED: Final = 20_000
"""Forms whose bytes are not looked into anew."""

Layout = tuple[tuple[int, ...], tuple[int, ...], int, int]
"""Shape, stride, number of elements, elements from the first to the last inclusive."""


class _Form(NamedTuple):
    """What tensors have in common whose opcodes differ in names and memo indices only.

    Attributes:
        dtype: Of the storage and the tensor.
        nbytes: Of the storage.
        offset: In elements.
        shape: Of the tensor.
        stride: In elements.
        numel: Number of its elements.
        trainable: Whether it requires a gradient.
    """

    dtype: str
    nbytes: int
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    numel: int
    trainable: bool


_Entries = list[tuple[bytes, Sequence[object]]]
"""Memo indices, and what the memo would have there."""

_Row = tuple[bytes, bytes, bytes, bytes, bytes]
"""The bytes that a form is told by."""


class TensorShortcut:
    """See `state.Shortcut`.

    Args:
        builder: Stands for `_rebuild_tensor_v2`.
        measure: Checks (shape, stride) and gives their layout.

    Attributes:
        declare: Is told of storages by their keys, and says whether none of them had been declared before; then, and
            where nobody asks, they are those that the machine's `load_persistent` would give.
    """

    def __init__(self, builder: Builder, measure: Callable[[tuple[int, ...], tuple[int, ...]], Layout]) -> None:
        self.builder = builder
        self.declare: Callable[[dict[str, StorageRef]], bool] | None = None
        self._measure = measure
        self._forms: dict[_Row, _Form] = {}
        self._reach = FEWEST_BYTES
        self._left: list[tuple[int, _Entries]] = []  # by the first of their indices

    def forget(self) -> None:
        self._forms.clear()

    def begin(self) -> None:
        self.forget()
        self._left.clear()

    def take(self, buffer: bytes, position: int, memo: dict[int, object], first: int) -> Taken | None:
        """The tensor whose arguments begin at `position`, and every (name, tensor) that follows it."""
        values: list[object] = []
        end, last = position, first - 1
        while matches := _find_all(_ENTRY, buffer, end, end + self._reach):
            self._reach = min(2 * self._reach, MOST_BYTES)
            made = self._make(matches, memo, last + 1, is_named=bool(values))
            if made is None:  # of one at least
                self._reach = FEWEST_BYTES
                del matches[1:]
                made = self._make(matches, memo, last + 1, is_named=bool(values))
            if made is None:
                break
            values += made[0]
            end, last = matches[-1].end(), made[1]
        return (values, end, last) if values else None

    def _make(
        self, matches: Sequence[re.Match[bytes]], memo: dict[int, object], first: int, *, is_named: bool
    ) -> tuple[list[object], int] | None:
        """Names and tensors by turns, and the highest memo index; None if the opcodes must be run.

        Args:
            is_named: Whether there is a name before the first tensor, as before all others.
        """
        (
            lengths, names, put0, gets, types, sizes, keys, put1, counts, put2, shapes, put3, strides, put4, ends, *puts
        ) = zip(*[match.groups(b"") for match in matches], strict=True)  # fmt: skip
        # fresh, consecutive memo entries, one for each object: what every pickler writes
        indices = b"".join(chain.from_iterable(zip(put0, put1, put2, put3, put4, *puts, strict=True)))
        if not _follow(indices, first) or b"".join(sizes) != bytes(map(len, keys)):
            return None
        begin = 0 if is_named else 1
        keyed = self._read_names(lengths[begin:], names[begin:], gets[begin:], memo)
        forms = self._find_forms(list(zip(types, counts, shapes, strides, ends, strict=True)), memo)
        if keyed is None or forms is None or (begin and gets[0]):
            return None
        texts = list(map(bytes.decode, keys))
        storages = [StorageRef(key, form[0], form[1]) for key, form in zip(texts, forms, strict=True)]
        if self.declare is not None:
            declared = dict(zip(texts, storages, strict=True))
            if len(declared) != len(storages) or not self.declare(declared):
                return None  # one was declared before, perhaps as another type: the machine asks again
        tensors: list[object] = [
            TensorValue(storage, offset, shape, stride, dtype, numel, trainable=trainable)
            for storage, (dtype, _, offset, shape, stride, numel, trainable) in zip(storages, forms, strict=True)
        ]
        entries: _Entries = [(b"".join(put1), texts), (b"".join(puts[-1]), tensors), (b"".join(put0), keyed)]
        self._left.append((first, entries))
        values = [*tensors[:begin], *chain.from_iterable(zip(keyed, tensors[begin:], strict=True))]
        return values, first + (len(indices) >> 2) - 1

    def take_keys(self, buffer: bytes, position: int, first: int) -> Taken | None:
        matches = _find_all(_KEYS, buffer, position, len(buffer))
        if not matches:
            return None
        sizes, keys, puts = zip(*[match.groups() for match in matches], strict=True)
        indices = b"".join(puts)
        if not _follow(indices, first) or b"".join(sizes) != bytes(map(len, keys)):
            return None
        texts = list(map(bytes.decode, keys))
        self._left.append((first, [(indices, texts)]))
        return [*texts], matches[-1].end(), first + len(keys) - 1

    def restore(self, m: MachineState, index: int) -> bool:
        at = bisect_right(self._left, index, key=lambda each: each[0]) - 1
        if at >= 0:
            first, entries = self._left[at]
            self._left[at] = first, []
            for indices, values in entries:
                for each, value in zip(_numbers(indices), values, strict=True):
                    m._memo.setdefault(each, value)  # it may have been stored anew
        return index in m._memo

    def _read_names(
        self, lengths: Sequence[bytes], names: Sequence[bytes], gets: Sequence[bytes], memo: dict[int, object]
    ) -> list[str] | None:
        """The keys, if each is as long as it says, and followed by the function."""
        if _numbers(b"".join(lengths)) != tuple(map(len, names)):
            return None
        if any(memo.get(_index(get)) is not self.builder for get in set(gets)):
            return None
        try:
            return list(map(bytes.decode, names))
        except UnicodeDecodeError:
            return None

    def _find_forms(self, rows: Sequence[_Row], memo: dict[int, object]) -> list[_Form] | None:
        known = self._forms
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        for row in set(rows).difference(known):
            form = self._read_form(row, memo)
            if form is None:
                return None
            known[row] = form
        return list(map(known.__getitem__, rows))

    def _read_form(self, row: _Row, memo: dict[int, object]) -> _Form | None:
        """None unless the storage's tag says "storage", there is a location, which may be anything, and all fits."""
        types, count, shape, stride, end = row
        tag, kind, ordered = (memo.get(_index(get)) for get in (*_cut(types), end[1:]))
        location, numel = _cut(count)
        if tag != "storage" or not isinstance(kind, StorageType) or _index(location) not in memo:
            return None
        if not isinstance(ordered, Builder) or ordered.name != "OrderedDict":
            return None
        offset, shape = _cut(shape)
        begin, nbytes = _integer(offset), _integer(numel) * kind.itemsize
        try:
            dims, steps, elements, reach = self._measure(_integers(shape), _integers(stride))
        except ParamInspectError:
            return None  # the opcodes run into it too
        if begin < 0 or nbytes < 0 or (elements and (begin + reach) * kind.itemsize > nbytes):
            return None
        return _Form(kind.dtype, nbytes, begin, dims, steps, elements, end[:1] == b"\x88")


_WIDTHS: Final = {0x68: 2, 0x6A: 5, 0x4B: 2, 0x4D: 3, 0x4A: 5}
"""Bytes of the opcodes BINGET, LONG_BINGET, BININT1, BININT2 and BININT."""


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """The first opcode, and the rest."""
    width = _WIDTHS[text[0]]
    return text[:width], text[width:]


def _index(get: bytes) -> int:
    """The memo index of a BINGET or LONG_BINGET."""
    return int.from_bytes(get[1:], "little")


def _find_all(pattern: re.Pattern[bytes], buffer: bytes, begin: int, end: int) -> list[re.Match[bytes]]:
    """As many matches as follow each other without a gap."""
    scanner = pattern.scanner(buffer, begin, end)  # type: ignore[attr-defined]  # which re's own Scanner uses
    return list(iter(scanner.match, None))


def _follow(indices: bytes, first: int) -> bool:
    """Whether memo indices are those from `first` on, of which none is left out."""
    end = first + (len(indices) >> 2)
    return end <= 1 << 32 and indices == struct.pack(f"<{end - first}I", *range(first, end))


def _numbers(text: bytes) -> tuple[int, ...]:
    """Of four bytes each."""
    return struct.unpack(f"<{len(text) >> 2}I", text)


def _integer(text: bytes) -> int:
    return int.from_bytes(text[1:], "little", signed=text[:1] == b"J")


def _integers(text: bytes) -> tuple[int, ...]:
    """Those of a tuple."""
    body = text[1:-1] if text[:1] == b"(" else text[:-1]
    return tuple(_integer(number) for number in re.findall(_INT, body, re.DOTALL))
