"""What each opcode of a pickle does to the inert machine, as a table by code.

Source: the opcode descriptions of CPython's `pickletools`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from typing import Final

from paraminspect.errors import LimitExceededError, MalformedError
from paraminspect.formats.pickles.inert import LongBytes
from paraminspect.formats.pickles.state import (
    MARK,
    STRING_COST,
    MachineState,
    MemoSkippedError,
    Taken,
    decode_text,
    truncated,
)
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


Handler = Callable[[MachineState], object]


def _unknown(m: MachineState) -> None:
    op = m._buffer[m._pos - 1]
    raise MalformedError(f"0x{op:02x} at byte {m.position - 1:,} is not a pickle opcode")


def _fixed(size: int, decode: Callable[[bytes, int], object]) -> Handler:
    """Pushes a number of `size` bytes."""

    def handler(m: MachineState) -> None:
        m._stack.append(decode(m._buffer, m._pos))
        m._pos += size

    return handler


def _constant(value: object) -> Handler:
    return lambda m: m._stack.append(value)


def _sized(prefix: int, finish: Callable[[MachineState, int], object]) -> Handler:
    """Has a little-endian length of `prefix` bytes before its argument."""

    def handler(m: MachineState) -> None:
        data = m._buffer
        at = m._pos
        if at + prefix > len(data):
            raise truncated(m._blob)
        length = data[at] if prefix == 1 else int.from_bytes(data[at : at + prefix], "little")
        m._pos = at + prefix
        m._stack.append(finish(m, length))

    return handler


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


def _binunicode(m: MachineState) -> None:
    """Most opcodes of a checkpoint that are not in a tensor."""
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


def _int_line(m: MachineState) -> None:
    text = m._line()
    m._stack.append(text == b"01" if text in (b"00", b"01") else _number(text))


def _number(text: bytes) -> int:
    if len(text) > MAX_INTEGER_BYTES:
        raise LimitExceededError("digits in one integer", limit=MAX_INTEGER_BYTES, actual=len(text))
    return int(text)


def _string_line(m: MachineState) -> None:
    line = m._text_line(_unfold_string)
    if isinstance(line, LongBytes):
        m._stack.append(line)
        return
    text = line.strip()
    if len(text) < 2 or text[:1] not in b"'\"" or text[-1:] != text[:1]:
        raise MalformedError(f"a string without quotes before byte {m.position:,}")
    m._stack.append(_decode_python2(re.sub(_ESCAPE, _unescape, text[1:-1])))


def _unfold_string(stored: bytes) -> bytes:
    """What a string of Python 2 stands for, or the begin of one: without its quotes and escapes."""
    return re.sub(_ESCAPE, _unescape, stored.strip()[1:].removesuffix(stored[:1]))


_ESCAPE: Final = rb"(?s)\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)"
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


def _unicode_line(m: MachineState) -> None:
    line = m._text_line(_unfold_unicode)
    if isinstance(line, LongBytes):
        m._stack.append(line)
    else:
        m._stack.append(line.decode("raw_unicode_escape").encode("utf-8", "backslashreplace").decode())


def _unfold_unicode(stored: bytes) -> bytes:
    return stored.decode("raw_unicode_escape", "ignore").encode("latin-1", "replace")


def _binput(m: MachineState) -> None:
    index = m._buffer[m._pos]
    m._pos += 1
    m._put(index)


def _long_binput(m: MachineState) -> None:
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._put(index)


def _memoize(m: MachineState) -> None:
    m._put(len(m._memo) + m._left_out)
    # the shortcut leaves entries out, after which len(memo) no longer counts them
    if m._skipped:
        raise MemoSkippedError


def _build(m: MachineState) -> None:
    """Behind which objects may follow that are like this one."""
    m._build(m._stack.pop())
    if m._repeats is not None:
        m._repeats.take(m)


def _binget(m: MachineState) -> None:
    index = m._buffer[m._pos]
    m._pos += 1
    m._get(index)


def _long_binget(m: MachineState) -> None:
    index = _U32(m._buffer, m._pos)[0]
    m._pos += 4
    m._get(index)


def _mark(m: MachineState) -> None:
    """Where a shortcut may take tensors, or the keys of a list of storages."""
    stack = m._stack
    shortcut = m._shortcut
    if shortcut is not None and stack:
        last = stack[-1]
        if last is shortcut.builder:
            taken = shortcut.take(m._buffer, m._pos - 1, m._memo, m._top + 1)
            if taken is not None:
                stack.pop()
                _push_taken(m, taken)
                return
        elif type(last) is list:
            begin = m._pos
            taken = shortcut.take_keys(m._buffer, begin, m._top + 1)
            if taken is not None:
                stack.append(MARK)
                _push_taken(m, taken)
                m._count_text(m._pos - begin + STRING_COST * len(taken[0]))  # in the file they are a little longer
                return
    stack.append(MARK)


def _push_taken(m: MachineState, taken: Taken) -> None:
    values, m._pos, m._top = taken
    m._stack += values
    m._skipped = True
    m._taken += len(values)
    if m._taken > 2 * MAX_TENSORS:
        raise LimitExceededError("tensors in one pickle", limit=MAX_TENSORS, actual=None)


def _dup(m: MachineState) -> None:
    if m._stack[-1] is MARK:
        raise m._mark_as_value()
    m._stack.append(m._stack[-1])


def _tuple2(m: MachineState) -> None:
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second))


def _tuple3(m: MachineState) -> None:
    third = m._stack.pop()
    second = m._stack.pop()
    m._push_object((m._stack.pop(), second, third))


def _dict(m: MachineState) -> None:
    items = m._pop_mark()
    m._push_object({})
    m._set_items(items)


def _setitem(m: MachineState) -> None:
    value = m._stack.pop()
    m._set_items([m._stack.pop(), value])


def _global_line(m: MachineState) -> None:
    module = _decode_python2(m._line())
    m._global(module, _decode_python2(m._line()))


def _stack_global(m: MachineState) -> None:
    name = m._stack.pop()
    m._global(m._stack.pop(), name)


def _reduce(m: MachineState) -> None:
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


def _newobj_ex(m: MachineState) -> None:
    m._stack.pop()  # keyword arguments
    args = m._stack.pop()
    m._call(m._stack.pop(), args)


def _inst(m: MachineState) -> None:
    module = _decode_python2(m._line())
    name = _decode_python2(m._line())
    cls = m._find_global(module, name)  # looked up first, as Python does
    m._call(cls, tuple(m._pop_mark()))


def _obj(m: MachineState) -> None:
    items = m._pop_mark()
    if not items:
        raise MalformedError(f"OBJ without a class at byte {m.position:,}")
    m._call(items[0], tuple(items[1:]))


def _extension(size: int) -> Handler:
    """A code of a registry that only the writer has."""
    return lambda m: m._global("copyreg", f"extension_{int.from_bytes(m._take(size), 'little')}")


def _proto(m: MachineState) -> None:
    version = m._buffer[m._pos]
    if version > 5:
        raise MalformedError(f"pickle protocol {version}; the highest is 5")
    m._pos += 1


def _frame(m: MachineState) -> None:
    """A hint for buffering that is not needed."""
    if m._pos + 8 > len(m._buffer):
        raise truncated(m._blob)
    m._pos += 8


def _next_buffer(m: MachineState) -> None:
    raise MalformedError(f"an out-of-band buffer at byte {m.position:,}, which a file cannot have")


def _readonly_buffer(m: MachineState) -> None:
    """The same bytes."""
    if not m._stack:
        raise IndexError


_KNOWN: Final[Mapping[int, Handler]] = {
    0x4B: _fixed(1, lambda data, at: data[at]),  # BININT1
    0x4D: _fixed(2, lambda data, at: _U16(data, at)[0]),  # BININT2
    0x4A: _fixed(4, lambda data, at: _I32(data, at)[0]),  # BININT
    0x47: _fixed(8, lambda data, at: _F64(data, at)[0]),  # BINFLOAT
    0x4E: _constant(None),  # NONE
    0x88: _constant(True),  # NEWTRUE
    0x89: _constant(False),  # NEWFALSE
    0x29: _constant(()),  # EMPTY_TUPLE
    0x58: _binunicode,
    0x8C: _sized(1, _unicode),  # SHORT_BINUNICODE
    0x8D: _sized(8, _unicode),  # BINUNICODE8
    0x43: _sized(1, _bytes),  # SHORT_BINBYTES
    0x42: _sized(4, _bytes),  # BINBYTES
    0x8E: _sized(8, _bytes),  # BINBYTES8
    0x96: _sized(8, _bytes),  # BYTEARRAY8
    0x55: _sized(1, _python2_string),  # SHORT_BINSTRING
    0x54: _sized(4, _signed_string),  # BINSTRING
    0x8A: _sized(1, _long),  # LONG1
    0x8B: _sized(4, _long),  # LONG4
    0x49: _int_line,
    0x4C: lambda m: m._stack.append(_number(m._line().rstrip(b"L"))),  # LONG
    0x46: lambda m: m._stack.append(float(m._line())),  # FLOAT
    0x53: _string_line,
    0x56: _unicode_line,
    0x71: _binput,
    0x72: _long_binput,
    0x94: _memoize,
    0x70: lambda m: m._put(_number(m._line(kept=False))),  # PUT
    0x68: _binget,
    0x6A: _long_binget,
    0x67: lambda m: m._get(_number(m._line(kept=False))),  # GET
    0x28: _mark,
    0x30: lambda m: m._stack.pop(),  # POP
    0x31: lambda m: m._pop_mark(),  # POP_MARK
    0x32: _dup,
    0x5D: lambda m: m._push_object([]),  # EMPTY_LIST
    0x6C: lambda m: m._push_object(m._pop_mark()),  # LIST
    0x61: lambda m: m._append_items([m._stack.pop()]),  # APPEND
    0x65: lambda m: m._append_items(m._pop_mark()),  # APPENDS
    0x74: lambda m: m._push_object(tuple(m._pop_mark())),  # TUPLE
    0x85: lambda m: m._push_object((m._stack.pop(),)),  # TUPLE1
    0x86: _tuple2,
    0x87: _tuple3,
    0x7D: lambda m: m._push_object({}),  # EMPTY_DICT
    0x64: _dict,
    0x73: _setitem,
    0x75: lambda m: m._set_items(m._pop_mark()),  # SETITEMS
    0x8F: lambda m: m._push_object([]),  # EMPTY_SET: kept as a list, in the order of the file
    0x90: lambda m: m._append_items(m._pop_mark()),  # ADDITEMS
    0x91: lambda m: m._push_object(tuple(m._pop_mark())),  # FROZENSET
    0x63: _global_line,
    0x93: _stack_global,
    0x52: _reduce,
    0x81: _reduce,  # NEWOBJ
    0x92: _newobj_ex,
    0x69: _inst,
    0x6F: _obj,
    0x62: _build,  # BUILD
    0x51: lambda m: m._persistent(m._stack.pop()),  # BINPERSID
    0x50: lambda m: m._persistent(_decode_python2(m._line())),  # PERSID
    0x82: _extension(1),  # EXT1
    0x83: _extension(2),  # EXT2
    0x84: _extension(4),  # EXT4
    0x80: _proto,
    0x95: _frame,
    0x97: _next_buffer,
    0x98: _readonly_buffer,
}
"""In the order of pickletools; a function is called as its opcode."""

HANDLERS: Final = [_KNOWN.get(code, _unknown) for code in range(256)]
"""By code."""
