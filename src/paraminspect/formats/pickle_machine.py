"""An inert interpreter of pickles: every opcode of protocols 0 to 5, and nothing is imported or called.

A pickle is a program for a stack machine. We run the program, but GLOBAL, INST and STACK_GLOBAL push a `Global`
(or a `Builder`, if the caller's allow-list knows the name), and REDUCE, NEWOBJ, OBJ and BUILD make inert values
(see `inert`). So the structure of any pickle can be read, whatever it would have done.

Bounds: opcodes, objects, memo entries and kept text are counted; lengths are checked against the bytes that are
there before anything is allocated; keys are never hashed by value unless they are strings; nothing recurses.
The bytes are read through a window, so a pickle may be larger than memory.

Tensors come in hundreds of thousands, each as some 33 opcodes that torch always writes in the same order; a
`Shortcut` recognises that sequence and makes the tensor at once. It leaves memo entries out; should one of them be
asked for, the pickle is read again without it.

Source: the opcode descriptions of CPython's `pickletools`; torch's use of them from files torch wrote.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final, Protocol

from paraminspect.errors import LimitExceededError, MalformedError, ParamInspectError, TruncatedError
from paraminspect.formats.blob import Blob
from paraminspect.formats.inert import Builder, LongBytes, Opaque, describe_key
from paraminspect.formats.limits import (
    MAX_INTEGER_BYTES,
    MAX_NAME_BYTES,
    MAX_PICKLE_MEMO,
    MAX_PICKLE_OBJECTS,
    MAX_PICKLE_OPS,
    MAX_PICKLE_TEXT,
    MAX_TENSORS,
)

WINDOW: Final = 1 << 20
"""Bytes read from the file at a time."""

LONGEST_FIXED: Final = 16
"""More than any opcode without a length prefix takes."""

LONGEST_LINE: Final = 1 << 16
"""Bytes of an argument that ends with a newline (protocol 0, names of globals)."""

KEEP_TEXT: Final = 4096
"""Bytes; longer strings and byte strings are not kept, only their place (`LongBytes`), until one turns out to be a key."""

SHORT_TEXT: Final = 256
"""Strings up to this length are mostly in the window already."""

SHORT_KEY: Final = 16
"""Characters of a described key that count as one object; every two more count as another."""

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_F64 = struct.Struct(">d").unpack_from


class _Mark:
    """What MARK puts on the stack."""


_MARK: Final = _Mark()


class _MemoSkippedError(Exception):
    """A memo entry was asked for that the shortcut left out."""


class Shortcut(Protocol):
    """Makes a whole tensor from the opcodes that follow the function that rebuilds it."""

    builder: Builder
    """The function: with it on the stack, MARK is where the shortcut may begin."""

    def take(
        self, buffer: bytes, position: int, memo: dict[int, object], first: int
    ) -> tuple[list[object], int, int] | None:
        """What the opcodes at `position` make, if they are the expected sequence.

        Args:
            buffer: Opcodes.
            position: Of MARK.
            memo: Entries stored so far; those of tensors, names and storage keys are stored there,
                others are left out.
            first: The next memo index that was never stored.

        Returns:
            The values that take the place of the builder on the stack, the position behind their opcodes, and the
            highest memo index used; None if the opcodes must be run. All indices from `first` up to that one are
            stored once, in order.
        """

    def forget(self) -> None:
        """The memo changed where it had been read."""


class PickleMachine:
    """Reads one pickle.

    Args:
        blob: The bytes.
        find_global: (module, name) -> the `Global` or `Builder` to push.
        load_persistent: The persistent id (any inert value) -> the value to push.
        begin: Offset of the pickle in the blob.
        shortcut: Takes the opcodes of a whole tensor at once; None for opcode by opcode.
    """

    def __init__(
        self,
        blob: Blob,
        find_global: Callable[[str, str], object],
        load_persistent: Callable[[object], object] | None = None,
        *,
        begin: int = 0,
        shortcut: Shortcut | None = None,
    ) -> None:
        self._blob = blob
        self._find_global = find_global
        self._load_persistent = load_persistent
        self._begin = begin
        self._shortcut = shortcut
        self._restart()

    def _restart(self) -> None:
        self._buffer = b""
        self._base = self._begin  # offset in the blob of the first byte of the buffer
        self._pos = 0
        self._low_water = -1
        self._stack: list[object] = []
        self._memo: dict[int, object] = {}
        self._top = -1  # highest memo index in use
        self._skipped = False
        self._objects = 0
        self._text = 0  # bytes of strings
        self._taken = 0  # values made by the shortcut
        if self._shortcut is not None:
            self._shortcut.forget()

    @property
    def position(self) -> int:
        """Offset in the blob of the next byte that is not read yet."""
        return self._base + self._pos

    def load(self) -> object:
        """The value the pickle stands for.

        Raises:
            TruncatedError: The bytes end before STOP.
            MalformedError: Not a pickle, or one no unpickler would accept.
            LimitExceededError: More of something than the named bounds allow.
        """
        try:
            return self._run()
        except _MemoSkippedError:
            self._restart()
            self._shortcut = None
            return self._run()

    def _run(self) -> object:
        handlers = _HANDLERS
        op = -1
        try:
            for _ in range(MAX_PICKLE_OPS):
                if self._pos > self._low_water:
                    self._refill(LONGEST_FIXED)
                op = self._buffer[self._pos]
                self._pos += 1
                if op == 0x2E:  # STOP
                    return self._stack.pop()
                handlers[op](self)
        except struct.error:
            raise _truncated(self._blob) from None
        except IndexError:  # a missing byte or an empty stack
            if self._pos >= len(self._buffer) and self._base + len(self._buffer) >= self._blob.size:
                raise _truncated(self._blob) from None
            raise MalformedError(f"opcode 0x{op:02x} at byte {self.position:,} finds no value on the stack") from None
        except ParamInspectError:
            raise
        except (ValueError, OverflowError, UnicodeError) as error:
            text = f"bad argument of opcode 0x{op:02x} at byte {self.position:,}: {error}"
            raise MalformedError(text[:200]) from None
        raise LimitExceededError("opcodes in one pickle", limit=MAX_PICKLE_OPS, actual=None)

    # --- bytes -----------------------------------------------------------------------------------------------

    def _refill(self, need: int) -> None:
        """Drop what is read and see that `need` bytes are in the buffer, if the blob has them."""
        self._base += self._pos
        self._buffer = self._blob.read_ahead(self._base, need, WINDOW)
        self._pos = 0
        at_end = self._base + len(self._buffer) >= self._blob.size
        self._low_water = len(self._buffer) if at_end else len(self._buffer) - LONGEST_FIXED

    def _take(self, length: int) -> bytes:
        if self._pos + length > len(self._buffer):
            if length > self._blob.size - self.position:
                raise _truncated(self._blob)
            self._refill(length)
        data = self._buffer[self._pos : self._pos + length]
        self._pos += length
        return data

    def _line(self) -> bytes:
        end = self._buffer.find(b"\n", self._pos)
        if end < 0:
            self._refill(LONGEST_LINE)
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) < LONGEST_LINE:
                    raise _truncated(self._blob)
                raise LimitExceededError("bytes in one line of a pickle", limit=LONGEST_LINE, actual=None)
        if end - self._pos > LONGEST_LINE:
            raise LimitExceededError("bytes in one line of a pickle", limit=LONGEST_LINE, actual=end - self._pos)
        data = self._buffer[self._pos : end]
        self._pos = end + 1
        self._count_text(len(data))
        return data

    def _payload(self, length: int, *, text: bool) -> bytes | LongBytes:
        """The bytes of a string, or only their place where there are many."""
        if length <= KEEP_TEXT:
            self._count_text(length)
            return self._take(length)
        begin = self.position
        if length > self._blob.size - begin:
            raise _truncated(self._blob)
        self._pos += length  # past the buffer, mostly; it is filled again before the next opcode
        return LongBytes(begin, length, text)

    def _count_text(self, length: int) -> None:
        self._text += length
        if self._text > MAX_PICKLE_TEXT:
            raise LimitExceededError("bytes of strings in one pickle", limit=MAX_PICKLE_TEXT, actual=None)

    # --- values ----------------------------------------------------------------------------------------------

    def _count_objects(self, count: int) -> None:
        self._objects += count
        if self._objects > MAX_PICKLE_OBJECTS:
            raise LimitExceededError("objects in one pickle", limit=MAX_PICKLE_OBJECTS, actual=None)

    def _push_object(self, value: object) -> None:
        self._objects += 1
        if self._objects > MAX_PICKLE_OBJECTS:
            raise LimitExceededError("objects in one pickle", limit=MAX_PICKLE_OBJECTS, actual=None)
        self._stack.append(value)

    def _pop_mark(self) -> list[object]:
        """What stands above the last MARK, which goes with it."""
        stack = self._stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is _MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise MalformedError(f"no MARK on the stack at byte {self.position:,}")

    def _put(self, index: int) -> None:
        if index > self._top:
            self._top = index
        elif self._shortcut is not None:
            self._shortcut.forget()  # an entry it may remember is overwritten
        memo = self._memo
        value = memo[index] = self._stack[-1]
        if value is _MARK:
            raise self._mark_as_value()
        if len(memo) > MAX_PICKLE_MEMO:
            raise LimitExceededError("memo entries in one pickle", limit=MAX_PICKLE_MEMO, actual=None)

    def _mark_as_value(self) -> MalformedError:
        """If a MARK could be copied, GET and DUP could push one."""
        return MalformedError(f"a MARK is used as a value at byte {self.position:,}")

    def _get(self, index: int) -> None:
        try:
            self._stack.append(self._memo[index])
        except KeyError:
            if self._skipped:
                raise _MemoSkippedError from None
            raise MalformedError(f"memo entry {index} at byte {self.position:,} was never stored") from None

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise MalformedError(f"a global at byte {self.position:,} is not named by strings")
        self._push_object(self._find_global(module, name))

    def _call(self, func: object, args: object) -> None:
        if isinstance(func, Builder) and isinstance(args, tuple):
            first = args[0] if args else None
            if isinstance(first, dict | list | tuple):  # which may be copied
                self._count_objects(len(first))
            elif isinstance(first, str):
                self._count_text(len(first))
            self._push_object(func.build(args))
        else:
            self._push_object(Opaque(func, args))

    def _persistent(self, pid: object) -> None:
        if self._load_persistent is None:
            raise MalformedError(f"a persistent id at byte {self.position:,}, where none belongs")
        self._push_object(self._load_persistent(pid))

    def _set_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            if target.entries is None:
                target.entries = {}
            target = target.entries
        if not isinstance(target, dict):
            raise MalformedError(f"SETITEMS at byte {self.position:,} on something that is no dictionary")
        if len(items) % 2:
            raise MalformedError(f"a key without a value at byte {self.position:,}")
        for index in range(0, len(items), 2):
            key = items[index]
            if type(key) is str:
                target[key] = items[index + 1]
            else:
                target[self._key(key)] = items[index + 1]

    def _key(self, key: object) -> object:
        """What stands for a key that is no short string."""
        if isinstance(key, LongBytes):
            return self._long_key(key)
        if isinstance(key, list | dict):
            raise MalformedError(f"a {type(key).__name__} as a dictionary key at byte {self.position:,}")
        if isinstance(key, Opaque):
            return key
        odd = describe_key(key)
        self._count_objects(1 + max(0, len(odd.text) - SHORT_KEY) // 2)
        return odd

    def _long_key(self, key: LongBytes) -> object:
        if key.length > MAX_NAME_BYTES:
            raise LimitExceededError("bytes in one dictionary key", limit=MAX_NAME_BYTES, actual=key.length)
        self._count_text(key.length)
        data = self._blob.read(key.begin, key.length)
        return decode_text(data) if key.text else describe_key(data)

    def _append_items(self, items: list[object]) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            if target.items is None:
                target.items = []
            target = target.items
        if not isinstance(target, list):
            raise MalformedError(f"APPENDS at byte {self.position:,} on something that is no list")
        target.extend(items)

    def _build(self, state: object) -> None:
        target = self._stack[-1]
        if isinstance(target, Opaque):
            if isinstance(target.state, dict) and isinstance(state, dict):
                self._count_objects(len(target.state) + len(state))
                target.state = {**target.state, **state}  # a second BUILD updates __dict__
            else:
                target.state = state

    # --- the shortcut ----------------------------------------------------------------------------------------

    def _mark(self) -> None:
        stack = self._stack
        shortcut = self._shortcut
        if shortcut is not None and stack and stack[-1] is shortcut.builder:
            taken = shortcut.take(self._buffer, self._pos - 1, self._memo, self._top + 1)
            if taken is not None:
                values, self._pos, self._top = taken
                stack[-1:] = values
                self._skipped = True
                self._taken += len(values)
                if self._taken > 2 * MAX_TENSORS:
                    raise LimitExceededError("tensors in one pickle", limit=MAX_TENSORS, actual=None)
                return
        stack.append(_MARK)


def _truncated(blob: Blob) -> TruncatedError:
    return TruncatedError(
        f"the file ends at byte {blob.size:,}, inside a pickle",
        hint="it was not written or copied to its end: fetch or save it again",
    )


def decode_text(data: bytes) -> str:
    r"""UTF-8 as pickle writes it; a lone surrogate or a stray byte becomes visible text (`\ud800`)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("utf-8", "surrogatepass").encode("utf-8", "backslashreplace").decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decode_python2(data: bytes) -> str:
    """A byte string of Python 2, which torch reads as UTF-8 text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


# --- opcodes: one function each, in the order of pickletools ------------------------------------------------------

_Handler = Callable[[PickleMachine], None]
_HANDLERS: list[_Handler] = []


def _unknown(machine: PickleMachine) -> None:
    op = machine._buffer[machine._pos - 1]
    raise MalformedError(f"0x{op:02x} at byte {machine.position - 1:,} is not a pickle opcode")


_HANDLERS.extend([_unknown] * 256)


def _opcode(code: int) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _HANDLERS[code] = handler
        return handler

    return register


def _fixed(code: int, size: int, decode: Callable[[bytes, int], object]) -> None:
    """An opcode that pushes a number of `size` bytes."""

    def handler(m: PickleMachine) -> None:
        m._stack.append(decode(m._buffer, m._pos))
        m._pos += size

    _HANDLERS[code] = handler


_fixed(0x4B, 1, lambda data, at: data[at])  # BININT1
_fixed(0x4D, 2, lambda data, at: _U16(data, at)[0])  # BININT2
_fixed(0x4A, 4, lambda data, at: _I32(data, at)[0])  # BININT
_fixed(0x47, 8, lambda data, at: _F64(data, at)[0])  # BINFLOAT


def _constant(code: int, value: object) -> None:
    _HANDLERS[code] = lambda m: m._stack.append(value)


_constant(0x4E, None)  # NONE
_constant(0x88, True)  # NEWTRUE
_constant(0x89, False)  # NEWFALSE
_constant(0x29, ())  # EMPTY_TUPLE


def _sized(code: int, prefix: int, finish: Callable[[PickleMachine, int], object]) -> None:
    """An opcode with a little-endian length of `prefix` bytes before its argument."""

    def handler(m: PickleMachine) -> None:
        data = m._buffer
        at = m._pos
        if at + prefix > len(data):
            raise _truncated(m._blob)
        length = data[at] if prefix == 1 else int.from_bytes(data[at : at + prefix], "little")
        m._pos = at + prefix
        m._stack.append(finish(m, length))

    _HANDLERS[code] = handler


def _unicode(m: PickleMachine, length: int) -> object:
    data = m._payload(length, text=True)
    return data if isinstance(data, LongBytes) else decode_text(data)


def _bytes(m: PickleMachine, length: int) -> object:
    return m._payload(length, text=False)


def _python2_string(m: PickleMachine, length: int) -> object:
    data = m._payload(length, text=False)
    return data if isinstance(data, LongBytes) else _decode_python2(data)


def _signed_string(m: PickleMachine, length: int) -> object:
    if length >= 1 << 31:
        raise MalformedError(f"a string of negative length at byte {m.position:,}")
    return _python2_string(m, length)


def _long(m: PickleMachine, length: int) -> object:
    if length > MAX_INTEGER_BYTES:
        raise LimitExceededError("bytes in one integer", limit=MAX_INTEGER_BYTES, actual=length)
    m._count_text(length)
    return int.from_bytes(m._take(length), "little", signed=True)


@_opcode(0x58)
def _binunicode(m: PickleMachine) -> None:  # BINUNICODE: most opcodes of a checkpoint that are not in a tensor
    at = m._pos
    length = _U32(m._buffer, at)[0]
    end = at + 4 + length
    if end <= len(m._buffer) and length <= SHORT_TEXT:
        m._pos = end
        m._stack.append(decode_text(m._buffer[at + 4 : end]))
        m._count_text(length)
    else:
        m._pos = at + 4
        m._stack.append(_unicode(m, length))


_sized(0x8C, 1, _unicode)  # SHORT_BINUNICODE
_sized(0x8D, 8, _unicode)  # BINUNICODE8
_sized(0x43, 1, _bytes)  # SHORT_BINBYTES
_sized(0x42, 4, _bytes)  # BINBYTES
_sized(0x8E, 8, _bytes)  # BINBYTES8
_sized(0x96, 8, _bytes)  # BYTEARRAY8
_sized(0x55, 1, _python2_string)  # SHORT_BINSTRING
_sized(0x54, 4, _signed_string)  # BINSTRING
_sized(0x8A, 1, _long)  # LONG1
_sized(0x8B, 4, _long)  # LONG4


@_opcode(0x49)
def _int_line(m: PickleMachine) -> None:  # INT
    text = m._line()
    m._stack.append(text == b"01" if text in (b"00", b"01") else _number(text))


@_opcode(0x4C)
def _long_line(m: PickleMachine) -> None:  # LONG
    m._stack.append(_number(m._line().rstrip(b"L")))


def _number(text: bytes) -> int:
    if len(text) > MAX_INTEGER_BYTES:
        raise LimitExceededError("digits in one integer", limit=MAX_INTEGER_BYTES, actual=len(text))
    return int(text)


@_opcode(0x46)
def _float_line(m: PickleMachine) -> None:  # FLOAT
    m._stack.append(float(m._line()))


@_opcode(0x53)
def _string_line(m: PickleMachine) -> None:  # STRING
    text = m._line().strip()
    if len(text) < 2 or text[:1] not in b"'\"" or text[-1:] != text[:1]:
        raise MalformedError(f"a string without quotes before byte {m.position:,}")
    m._stack.append(_decode_python2(_ESCAPE.sub(_unescape, text[1:-1])))


_ESCAPE: Final = re.compile(rb"\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS: Final = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


def _unescape(match: re.Match[bytes]) -> bytes:
    r"""What `\n`, `\x41`, `\101` or `\'` of a Python 2 string stands for; an unknown escape stands for itself."""
    code: bytes = match[1]
    if len(code) == 3 and code[:1] == b"x":
        return bytes([int(code[1:], 16)])
    if code.isdigit() and code[0] < 0x38:
        return bytes([int(code, 8) & 0xFF])
    if code in b"\\'\"":
        return code
    return bytes([_LETTERS[code[0]]]) if code[0] in _LETTERS else match[0]


@_opcode(0x56)
def _unicode_line(m: PickleMachine) -> None:  # UNICODE
    text = m._line().decode("raw_unicode_escape")
    m._stack.append(text.encode("utf-8", "backslashreplace").decode())


@_opcode(0x71)
def _binput(m: PickleMachine) -> None:  # BINPUT
    index = m._buffer[m._pos]
    m._pos += 1
    m._put(index)


@_opcode(0x72)
def _long_binput(m: PickleMachine) -> None:  # LONG_BINPUT
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._put(index)


@_opcode(0x94)
def _memoize(m: PickleMachine) -> None:  # MEMOIZE
    m._put(len(m._memo))
    # the shortcut leaves entries out, after which len(memo) no longer counts them
    if m._skipped:
        raise _MemoSkippedError


@_opcode(0x70)
def _put_line(m: PickleMachine) -> None:  # PUT
    m._put(_number(m._line()))


@_opcode(0x68)
def _binget(m: PickleMachine) -> None:  # BINGET
    index = m._buffer[m._pos]
    m._pos += 1
    m._get(index)


@_opcode(0x6A)
def _long_binget(m: PickleMachine) -> None:  # LONG_BINGET
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._get(index)


@_opcode(0x67)
def _get_line(m: PickleMachine) -> None:  # GET
    m._get(_number(m._line()))


_HANDLERS[0x28] = PickleMachine._mark  # MARK


@_opcode(0x30)
def _pop(m: PickleMachine) -> None:  # POP
    m._stack.pop()


@_opcode(0x31)
def _pop_mark(m: PickleMachine) -> None:  # POP_MARK
    m._pop_mark()


@_opcode(0x32)
def _dup(m: PickleMachine) -> None:  # DUP
    if m._stack[-1] is _MARK:
        raise m._mark_as_value()
    m._stack.append(m._stack[-1])


@_opcode(0x5D)
def _empty_list(m: PickleMachine) -> None:  # EMPTY_LIST
    m._push_object([])


@_opcode(0x6C)
def _list(m: PickleMachine) -> None:  # LIST
    m._push_object(m._pop_mark())


@_opcode(0x61)
def _append(m: PickleMachine) -> None:  # APPEND
    m._append_items([m._stack.pop()])


@_opcode(0x65)
def _appends(m: PickleMachine) -> None:  # APPENDS
    m._append_items(m._pop_mark())


@_opcode(0x74)
def _tuple(m: PickleMachine) -> None:  # TUPLE
    m._push_object(tuple(m._pop_mark()))


@_opcode(0x85)
def _tuple1(m: PickleMachine) -> None:  # TUPLE1
    m._push_object((m._stack.pop(),))


@_opcode(0x86)
def _tuple2(m: PickleMachine) -> None:  # TUPLE2
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second))


@_opcode(0x87)
def _tuple3(m: PickleMachine) -> None:  # TUPLE3
    third = m._stack.pop()
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second, third))


@_opcode(0x7D)
def _empty_dict(m: PickleMachine) -> None:  # EMPTY_DICT
    m._push_object({})


@_opcode(0x64)
def _dict(m: PickleMachine) -> None:  # DICT
    items = m._pop_mark()
    m._push_object({})
    m._set_items(items)


@_opcode(0x73)
def _setitem(m: PickleMachine) -> None:  # SETITEM
    value = m._stack.pop()
    m._set_items([m._stack.pop(), value])


@_opcode(0x75)
def _setitems(m: PickleMachine) -> None:  # SETITEMS
    m._set_items(m._pop_mark())


@_opcode(0x8F)
def _empty_set(m: PickleMachine) -> None:  # EMPTY_SET: kept as a list, in the order of the file
    m._push_object([])


_HANDLERS[0x90] = _appends  # ADDITEMS


@_opcode(0x91)
def _frozenset(m: PickleMachine) -> None:  # FROZENSET
    m._push_object(tuple(m._pop_mark()))


@_opcode(0x63)
def _global_line(m: PickleMachine) -> None:  # GLOBAL
    module = _decode_python2(m._line())
    m._global(module, _decode_python2(m._line()))


@_opcode(0x93)
def _stack_global(m: PickleMachine) -> None:  # STACK_GLOBAL
    name = m._stack.pop()
    m._global(m._stack.pop(), name)


@_opcode(0x52)
def _reduce(m: PickleMachine) -> None:  # REDUCE
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x81)
def _newobj(m: PickleMachine) -> None:  # NEWOBJ
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x92)
def _newobj_ex(m: PickleMachine) -> None:  # NEWOBJ_EX
    m._stack.pop()  # keyword arguments
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x69)
def _inst(m: PickleMachine) -> None:  # INST
    module = _decode_python2(m._line())
    name = _decode_python2(m._line())
    cls = m._find_global(module, name)  # looked up first, as Python does
    m._call(cls, tuple(m._pop_mark()))


@_opcode(0x6F)
def _obj(m: PickleMachine) -> None:  # OBJ
    items = m._pop_mark()
    if not items:
        raise MalformedError(f"OBJ without a class at byte {m.position:,}")
    m._call(items[0], tuple(items[1:]))


@_opcode(0x62)
def _build(m: PickleMachine) -> None:  # BUILD
    state = m._stack.pop()
    m._build(state)


@_opcode(0x51)
def _binpersid(m: PickleMachine) -> None:  # BINPERSID
    m._persistent(m._stack.pop())


@_opcode(0x50)
def _persid_line(m: PickleMachine) -> None:  # PERSID
    m._persistent(_decode_python2(m._line()))


def _extension(size: int) -> _Handler:
    def handler(m: PickleMachine) -> None:  # EXT1, EXT2, EXT4: a code of a registry that only the writer has
        m._global("copyreg", f"extension_{int.from_bytes(m._take(size), 'little')}")

    return handler


_HANDLERS[0x82] = _extension(1)
_HANDLERS[0x83] = _extension(2)
_HANDLERS[0x84] = _extension(4)


@_opcode(0x80)
def _proto(m: PickleMachine) -> None:  # PROTO
    version = m._buffer[m._pos]
    if version > 5:
        raise MalformedError(f"pickle protocol {version}; the highest is 5")
    m._pos += 1


@_opcode(0x95)
def _frame(m: PickleMachine) -> None:  # FRAME: a hint for buffering that is not needed
    if m._pos + 8 > len(m._buffer):
        raise _truncated(m._blob)
    m._pos += 8


@_opcode(0x97)
def _next_buffer(m: PickleMachine) -> None:  # NEXT_BUFFER
    raise MalformedError(f"an out-of-band buffer at byte {m.position:,}, which a file cannot have")


@_opcode(0x98)
def _readonly_buffer(m: PickleMachine) -> None:  # READONLY_BUFFER: the same bytes
    if not m._stack:
        raise IndexError
