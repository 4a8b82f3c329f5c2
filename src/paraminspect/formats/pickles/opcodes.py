"""What each opcode of a pickle does to the inert machine, as a table by code.

Source: the opcode descriptions of CPython's `pickletools`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.formats.pickles.inert import LongBytes
from paraminspect.formats.pickles.state import MARK, MachineState, MemoSkippedError, decode_text, truncated
from paraminspect.formats.shapes import MAX_TENSORS

MAX_INTEGER_BYTES: Final = 1024
"""Of one integer in a pickle."""

SHORT_TEXT: Final = 256
"""Strings up to this length are mostly in the window already."""

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_U32 = struct.Struct("<I").unpack_from
_F64 = struct.Struct(">d").unpack_from


def _decode_python2(data: bytes) -> str:
    """A byte string of Python 2, which torch reads as UTF-8 text."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


# --- opcodes: one function each, in the order of pickletools ------------------------------------------------------

Handler = Callable[[MachineState], None]
HANDLERS: list[Handler] = []


def _unknown(machine: MachineState) -> None:
    op = machine._buffer[machine._pos - 1]
    raise MalformedError(f"0x{op:02x} at byte {machine.position - 1:,} is not a pickle opcode")


HANDLERS.extend([_unknown] * 256)


def _opcode(code: int) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS[code] = handler
        return handler

    return register


def _fixed(code: int, size: int, decode: Callable[[bytes, int], object]) -> None:
    """An opcode that pushes a number of `size` bytes."""

    def handler(m: MachineState) -> None:
        m._stack.append(decode(m._buffer, m._pos))
        m._pos += size

    HANDLERS[code] = handler


_fixed(0x4B, 1, lambda data, at: data[at])  # BININT1
_fixed(0x4D, 2, lambda data, at: _U16(data, at)[0])  # BININT2
_fixed(0x4A, 4, lambda data, at: _I32(data, at)[0])  # BININT
_fixed(0x47, 8, lambda data, at: _F64(data, at)[0])  # BINFLOAT


def _constant(code: int, value: object) -> None:
    HANDLERS[code] = lambda m: m._stack.append(value)


_constant(0x4E, None)  # NONE
_constant(0x88, True)  # NEWTRUE
_constant(0x89, False)  # NEWFALSE
_constant(0x29, ())  # EMPTY_TUPLE


def _sized(code: int, prefix: int, finish: Callable[[MachineState, int], object]) -> None:
    """An opcode with a little-endian length of `prefix` bytes before its argument."""

    def handler(m: MachineState) -> None:
        data = m._buffer
        at = m._pos
        if at + prefix > len(data):
            raise truncated(m._blob)
        length = data[at] if prefix == 1 else int.from_bytes(data[at : at + prefix], "little")
        m._pos = at + prefix
        m._stack.append(finish(m, length))

    HANDLERS[code] = handler


def _unicode(m: MachineState, length: int) -> object:
    data = m._payload(length, text=True)
    return data if isinstance(data, LongBytes) else decode_text(data)


def _bytes(m: MachineState, length: int) -> object:
    return m._payload(length, text=False)


def _python2_string(m: MachineState, length: int) -> object:
    data = m._payload(length, text=False)
    return data if isinstance(data, LongBytes) else _decode_python2(data)


def _signed_string(m: MachineState, length: int) -> object:
    if length >= 1 << 31:
        raise MalformedError(f"a string of negative length at byte {m.position:,}")
    return _python2_string(m, length)


def _long(m: MachineState, length: int) -> object:
    if length > MAX_INTEGER_BYTES:
        raise LimitExceededError("bytes in one integer", limit=MAX_INTEGER_BYTES, actual=length)
    m._count_text(length)
    return int.from_bytes(m._take(length), "little", signed=True)


@_opcode(0x58)
def _binunicode(m: MachineState) -> None:  # BINUNICODE: most opcodes of a checkpoint that are not in a tensor
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
def _int_line(m: MachineState) -> None:  # INT
    text = m._line()
    m._stack.append(text == b"01" if text in (b"00", b"01") else _number(text))


@_opcode(0x4C)
def _long_line(m: MachineState) -> None:  # LONG
    m._stack.append(_number(m._line().rstrip(b"L")))


def _number(text: bytes) -> int:
    if len(text) > MAX_INTEGER_BYTES:
        raise LimitExceededError("digits in one integer", limit=MAX_INTEGER_BYTES, actual=len(text))
    return int(text)


@_opcode(0x46)
def _float_line(m: MachineState) -> None:  # FLOAT
    m._stack.append(float(m._line()))


@_opcode(0x53)
def _string_line(m: MachineState) -> None:  # STRING
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
def _unicode_line(m: MachineState) -> None:  # UNICODE
    text = m._line().decode("raw_unicode_escape")
    m._stack.append(text.encode("utf-8", "backslashreplace").decode())


@_opcode(0x71)
def _binput(m: MachineState) -> None:  # BINPUT
    index = m._buffer[m._pos]
    m._pos += 1
    m._put(index)


@_opcode(0x72)
def _long_binput(m: MachineState) -> None:  # LONG_BINPUT
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._put(index)


@_opcode(0x94)
def _memoize(m: MachineState) -> None:  # MEMOIZE
    m._put(len(m._memo))
    # the shortcut leaves entries out, after which len(memo) no longer counts them
    if m._skipped:
        raise MemoSkippedError


@_opcode(0x70)
def _put_line(m: MachineState) -> None:  # PUT
    m._put(_number(m._line()))


@_opcode(0x68)
def _binget(m: MachineState) -> None:  # BINGET
    index = m._buffer[m._pos]
    m._pos += 1
    m._get(index)


@_opcode(0x6A)
def _long_binget(m: MachineState) -> None:  # LONG_BINGET
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._get(index)


@_opcode(0x67)
def _get_line(m: MachineState) -> None:  # GET
    m._get(_number(m._line()))


@_opcode(0x28)
def _mark(m: MachineState) -> None:  # MARK, where a shortcut may take a whole tensor
    stack = m._stack
    shortcut = m._shortcut
    if shortcut is not None and stack and stack[-1] is shortcut.builder:
        taken = shortcut.take(m._buffer, m._pos - 1, m._memo, m._top + 1)
        if taken is not None:
            values, m._pos, m._top = taken
            stack[-1:] = values
            m._skipped = True
            m._taken += len(values)
            if m._taken > 2 * MAX_TENSORS:
                raise LimitExceededError("tensors in one pickle", limit=MAX_TENSORS, actual=None)
            return
    stack.append(MARK)


@_opcode(0x30)
def _pop(m: MachineState) -> None:  # POP
    m._stack.pop()


@_opcode(0x31)
def _pop_mark(m: MachineState) -> None:  # POP_MARK
    m._pop_mark()


@_opcode(0x32)
def _dup(m: MachineState) -> None:  # DUP
    if m._stack[-1] is MARK:
        raise m._mark_as_value()
    m._stack.append(m._stack[-1])


@_opcode(0x5D)
def _empty_list(m: MachineState) -> None:  # EMPTY_LIST
    m._push_object([])


@_opcode(0x6C)
def _list(m: MachineState) -> None:  # LIST
    m._push_object(m._pop_mark())


@_opcode(0x61)
def _append(m: MachineState) -> None:  # APPEND
    m._append_items([m._stack.pop()])


@_opcode(0x65)
def _appends(m: MachineState) -> None:  # APPENDS
    m._append_items(m._pop_mark())


@_opcode(0x74)
def _tuple(m: MachineState) -> None:  # TUPLE
    m._push_object(tuple(m._pop_mark()))


@_opcode(0x85)
def _tuple1(m: MachineState) -> None:  # TUPLE1
    m._push_object((m._stack.pop(),))


@_opcode(0x86)
def _tuple2(m: MachineState) -> None:  # TUPLE2
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second))


@_opcode(0x87)
def _tuple3(m: MachineState) -> None:  # TUPLE3
    third = m._stack.pop()
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second, third))


@_opcode(0x7D)
def _empty_dict(m: MachineState) -> None:  # EMPTY_DICT
    m._push_object({})


@_opcode(0x64)
def _dict(m: MachineState) -> None:  # DICT
    items = m._pop_mark()
    m._push_object({})
    m._set_items(items)


@_opcode(0x73)
def _setitem(m: MachineState) -> None:  # SETITEM
    value = m._stack.pop()
    m._set_items([m._stack.pop(), value])


@_opcode(0x75)
def _setitems(m: MachineState) -> None:  # SETITEMS
    m._set_items(m._pop_mark())


@_opcode(0x8F)
def _empty_set(m: MachineState) -> None:  # EMPTY_SET: kept as a list, in the order of the file
    m._push_object([])


HANDLERS[0x90] = _appends  # ADDITEMS


@_opcode(0x91)
def _frozenset(m: MachineState) -> None:  # FROZENSET
    m._push_object(tuple(m._pop_mark()))


@_opcode(0x63)
def _global_line(m: MachineState) -> None:  # GLOBAL
    module = _decode_python2(m._line())
    m._global(module, _decode_python2(m._line()))


@_opcode(0x93)
def _stack_global(m: MachineState) -> None:  # STACK_GLOBAL
    name = m._stack.pop()
    m._global(m._stack.pop(), name)


@_opcode(0x52)
def _reduce(m: MachineState) -> None:  # REDUCE
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x81)
def _newobj(m: MachineState) -> None:  # NEWOBJ
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x92)
def _newobj_ex(m: MachineState) -> None:  # NEWOBJ_EX
    m._stack.pop()  # keyword arguments
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


@_opcode(0x69)
def _inst(m: MachineState) -> None:  # INST
    module = _decode_python2(m._line())
    name = _decode_python2(m._line())
    cls = m._find_global(module, name)  # looked up first, as Python does
    m._call(cls, tuple(m._pop_mark()))


@_opcode(0x6F)
def _obj(m: MachineState) -> None:  # OBJ
    items = m._pop_mark()
    if not items:
        raise MalformedError(f"OBJ without a class at byte {m.position:,}")
    m._call(items[0], tuple(items[1:]))


@_opcode(0x62)
def _build(m: MachineState) -> None:  # BUILD
    state = m._stack.pop()
    m._build(state)


@_opcode(0x51)
def _binpersid(m: MachineState) -> None:  # BINPERSID
    m._persistent(m._stack.pop())


@_opcode(0x50)
def _persid_line(m: MachineState) -> None:  # PERSID
    m._persistent(_decode_python2(m._line()))


def _extension(size: int) -> Handler:
    def handler(m: MachineState) -> None:  # EXT1, EXT2, EXT4: a code of a registry that only the writer has
        m._global("copyreg", f"extension_{int.from_bytes(m._take(size), 'little')}")

    return handler


HANDLERS[0x82] = _extension(1)
HANDLERS[0x83] = _extension(2)
HANDLERS[0x84] = _extension(4)


@_opcode(0x80)
def _proto(m: MachineState) -> None:  # PROTO
    version = m._buffer[m._pos]
    if version > 5:
        raise MalformedError(f"pickle protocol {version}; the highest is 5")
    m._pos += 1


@_opcode(0x95)
def _frame(m: MachineState) -> None:  # FRAME: a hint for buffering that is not needed
    if m._pos + 8 > len(m._buffer):
        raise truncated(m._blob)
    m._pos += 8


@_opcode(0x97)
def _next_buffer(m: MachineState) -> None:  # NEXT_BUFFER
    raise MalformedError(f"an out-of-band buffer at byte {m.position:,}, which a file cannot have")


@_opcode(0x98)
def _readonly_buffer(m: MachineState) -> None:  # READONLY_BUFFER: the same bytes
    if not m._stack:
        raise IndexError
