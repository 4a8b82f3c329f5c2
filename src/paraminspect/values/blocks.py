"""Numbers of ggml's quantised blocks, as GGUF files hold them.

A block is a fixed number of elements packed into a fixed number of bytes (`formats.gguf.GGML_TYPES`): a scale of half
precision or less, and a few bits for each element. Each function takes the bytes of whole blocks as an array of
(blocks, bytes of a block) and gives float32 of (blocks, elements of a block). Multi-byte fields are little-endian.

The operations are done in float32, in the order of ggml, so that the numbers are those that a run would use.

Source:
    `ggml-common.h` and `dequantize_row_*` of `ggml-quants.c` (llama.cpp, MIT). `tests/values/test_blocks.py` holds
    them against the gguf package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from paraminspect.values.grids import grid, signs

Array = np.ndarray[Any, Any]

_NIBBLES: Final = (0, 4)
_PAIRS: Final = (0, 2, 4, 6)
_BYTES: Final = 8
_EACH: Final = 0x0101010101010101
"""Of a word of eight bytes, 1 in each."""

_IQ4: Final = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""The 16 numbers of `iq4_nl` and `iq4_xs`."""

_DELTA: Final = np.float32(0.125)
"""By which the numbers of `iq1_s` and `iq1_m` are off those of their grid."""

_E2M1: Final = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)
"""Twice the 16 numbers of a float of 4 bits; the scale of a block is halved instead."""


def decode_blocks(dtype: str, blocks: Array) -> Array:
    """The numbers of whole blocks.

    Args:
        dtype: Name of the block type ("q4_k").
        blocks: uint8 of (blocks, bytes of a block), contiguous.

    Returns:
        float32 of (blocks, elements of a block).

    Raises:
        KeyError: A type that is not in `DECODERS`.
    """
    with np.errstate(all="ignore"):  # scales may be infinite, or no number
        return DECODERS[dtype](blocks)


def _half(blocks: Array, at: int) -> Array:
    """A scale of half precision at byte `at`, as (blocks, 1)."""
    return blocks[:, at : at + 2].copy().view("<f2").astype(np.float32)


def _unpack(packed: Array, shifts: tuple[int, ...], mask: int, run: int = 1) -> Array:
    """Fields of a few bits: of each `run` words first the lowest field of all, then the next.

    Returns:
        Words of (blocks, words * fields in a word), of the type of `packed`.
    """
    if packed.dtype == np.uint8 and run % _BYTES == 0:  # eight of them at a time; what moves into a neighbour is masked
        words = np.ascontiguousarray(packed).view(np.uint64)
        return _unpack(words, shifts, mask * _EACH, run // _BYTES).view(np.uint8)
    count = packed.shape[0]
    fields = packed.reshape(count, -1, 1, run) >> np.array(shifts, packed.dtype).reshape(1, 1, -1, 1)
    found: Array = (fields & packed.dtype.type(mask)).reshape(count, -1)
    return found


def _floats(numbers: Array) -> Array:
    return numbers.astype(np.float32)


def _signed(packed: Array, zero: int = 0) -> Array:
    """int8 fields, or those of a few bits less the one that stands for 0, as float32."""
    return np.ascontiguousarray(packed - np.uint8(zero) if zero else packed).view(np.int8).astype(np.float32)


def _scaled(scales: Array, numbers: Array) -> Array:
    """Each of the (blocks, s) scales times its share of the (blocks, n) numbers, in their place."""
    shares = numbers.reshape(*scales.shape, -1)
    shares *= scales[:, :, None]
    return numbers


def _less(numbers: Array, lows: Array) -> Array:
    """Each share of the (blocks, n) numbers less its one of the (blocks, s) lows, in their place."""
    shares = numbers.reshape(*lows.shape, -1)
    shares -= lows[:, :, None]
    return numbers


def _q4_0(blocks: Array) -> Array:
    return _scaled(_half(blocks, 0), _signed(_unpack(blocks[:, 2:], _NIBBLES, 15, 16), 8))


def _q4_1(blocks: Array) -> Array:
    return _less(_scaled(_half(blocks, 0), _floats(_unpack(blocks[:, 4:], _NIBBLES, 15, 16))), -_half(blocks, 2))


def _fifth_unpack(packed: Array) -> Array:
    """32 bits as the fifth one of 32 elements."""
    return np.unpackbits(packed, axis=1, bitorder="little") << np.uint8(4)


def _q5_0(blocks: Array) -> Array:
    numbers = _unpack(blocks[:, 6:], _NIBBLES, 15, 16) | _fifth_unpack(blocks[:, 2:6])
    return _scaled(_half(blocks, 0), _signed(numbers, 16))


def _q5_1(blocks: Array) -> Array:
    numbers = _unpack(blocks[:, 8:], _NIBBLES, 15, 16) | _fifth_unpack(blocks[:, 4:8])
    return _less(_scaled(_half(blocks, 0), _floats(numbers)), -_half(blocks, 2))


def _q8_0(blocks: Array) -> Array:
    return _scaled(_half(blocks, 0), _signed(blocks[:, 2:]))


def _q8_1(blocks: Array) -> Array:
    return _scaled(_half(blocks, 0), _signed(blocks[:, 4:]))


def _q8_k(blocks: Array) -> Array:
    scale: Array = blocks[:, :4].copy().view("<f4").astype(np.float32)
    return _scaled(scale, _signed(blocks[:, 4:260]))


def _q2_k(blocks: Array) -> Array:
    scales = blocks[:, :16]
    numbers = _floats(_unpack(blocks[:, 16:80], _PAIRS, 3, 32))
    steps, lows = _half(blocks, 80) * _floats(scales & np.uint8(15)), _half(blocks, 82) * _floats(scales >> np.uint8(4))
    return _less(_scaled(steps, numbers), lows)


def _q3_k(blocks: Array) -> Array:
    low, high = _unpack(blocks[:, 96:104], _NIBBLES, 15, 8), _unpack(blocks[:, 104:108], _PAIRS, 3, 4)
    scales = _floats(low | high << np.uint8(4)) - np.float32(32)
    third = _unpack(blocks[:, :32], tuple(range(8)), 1, 32)
    numbers = _floats(_unpack(blocks[:, 32:96], _PAIRS, 3, 32)) - _floats((third ^ np.uint8(1)) << np.uint8(2))
    return _scaled(_half(blocks, 108) * scales, numbers)


def _scales_and_lows(packed: Array) -> tuple[Array, Array]:
    """Eight scales and eight lows of 6 bits in 12 bytes: the last four of each are spread over two bytes."""
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    high = (first >> np.uint8(6)) << np.uint8(4), (second >> np.uint8(6)) << np.uint8(4)
    scales = np.concatenate([first & np.uint8(63), third & np.uint8(15) | high[0]], axis=1)
    lows = np.concatenate([second & np.uint8(63), third >> np.uint8(4) | high[1]], axis=1)
    return _floats(scales), _floats(lows)


def _q4_k(blocks: Array) -> Array:
    scales, lows = _scales_and_lows(blocks[:, 4:16])
    numbers = _floats(_unpack(blocks[:, 16:], _NIBBLES, 15, 32))
    return _less(_scaled(_half(blocks, 0) * scales, numbers), _half(blocks, 2) * lows)


def _q5_k(blocks: Array) -> Array:
    scales, lows = _scales_and_lows(blocks[:, 4:16])
    fifth = _unpack(blocks[:, 16:48], tuple(range(8)), 1, 32) << np.uint8(4)
    numbers = _floats(_unpack(blocks[:, 48:], _NIBBLES, 15, 32) | fifth)
    return _less(_scaled(_half(blocks, 0) * scales, numbers), _half(blocks, 2) * lows)


def _q6_k(blocks: Array) -> Array:
    low, high = _unpack(blocks[:, :128], _NIBBLES, 15, 64), _unpack(blocks[:, 128:192], _PAIRS, 3, 32)
    scales = _half(blocks, 208) * _signed(blocks[:, 192:208])
    return _scaled(scales, _signed(low | high << np.uint8(4), 32))


def _iq4_nl(blocks: Array) -> Array:
    return _scaled(_half(blocks, 0), _IQ4.take(_unpack(blocks[:, 2:], _NIBBLES, 15, 16)))


def _iq4_xs(blocks: Array) -> Array:
    low = blocks[:, 4:8, None] >> np.array(_NIBBLES, np.uint8) & np.uint8(15)
    high = blocks[:, 2:4, None] >> np.array(_PAIRS, np.uint8) & np.uint8(3)
    scales = _floats(low.reshape(-1, 8) | high.reshape(-1, 8) << np.uint8(4)) - np.float32(32)
    return _scaled(_half(blocks, 0) * scales, _IQ4.take(_unpack(blocks[:, 8:], _NIBBLES, 15, 16)))


def _trits(packed: Array, digits: int, run: int) -> Array:
    """Digits to the base 3 of a fraction in a byte: of each `run` bytes first the first digit of all."""
    count = packed.shape[0]
    powers = np.array([3**place for place in range(digits)], np.uint8).reshape(1, 1, -1, 1)
    shifted = packed.reshape(count, -1, 1, run) * powers  # modulo 256
    return (shifted.astype(np.uint16) * np.uint16(3) >> np.uint16(8)).reshape(count, -1)


def _tq1_0(blocks: Array) -> Array:
    digits = [_trits(blocks[:, :32], 5, 32), _trits(blocks[:, 32:48], 5, 16), _trits(blocks[:, 48:52], 4, 4)]
    return _scaled(_half(blocks, 52), _floats(np.concatenate(digits, axis=1)) - np.float32(1))


def _tq2_0(blocks: Array) -> Array:
    return _scaled(_half(blocks, 64), _signed(_unpack(blocks[:, :64], _PAIRS, 3, 32), 1))


def _mxfp4(blocks: Array) -> Array:
    exponent = blocks[:, :1].astype(np.uint32)
    small = np.uint32(0x00200000) << np.minimum(exponent, np.uint32(1))  # 2^-128 and 2^-127 are subnormal
    bits = np.where(exponent < 2, small, (np.maximum(exponent, 1) - np.uint32(1)) << np.uint32(23))
    return bits.astype(np.uint32).view(np.float32) * _E2M1.take(_unpack(blocks[:, 1:], _NIBBLES, 15, 16))


def _nvfp4(blocks: Array) -> Array:
    scale = blocks[:, :4]
    exponent, fraction = (scale >> np.uint8(3) & np.uint8(15)).astype(np.int32), _floats(scale & np.uint8(7))
    value = np.where(exponent == 0, np.ldexp(fraction, -9), np.ldexp(1 + fraction / 8, exponent - 7))
    value = np.where((scale == 0) | (scale == 0x7F), 0, value * np.float32(0.5)).astype(np.float32)
    return _scaled(value, _E2M1.take(_unpack(blocks[:, 4:], _NIBBLES, 15, 8)))


def _words(packed: Array, dtype: str) -> Array:
    """Bytes as little-endian words of (blocks, words)."""
    words: Array = np.ascontiguousarray(packed).view(dtype)
    return words


def _rows(name: str, codes: Array) -> Array:
    """The numbers for which (blocks, n) codes of a grid stand, as (blocks, numbers)."""
    rows: Array = grid(name)[codes].reshape(codes.shape[0], -1)
    return rows


_SEVENS: Final = (0, 7, 14, 21)
_ONES: Final = tuple(range(8))


def _signs_of(codes: Array) -> Array:
    """1 or -1 for each number: eight for each code of seven bits."""
    found: Array = signs()[codes].reshape(codes.shape[0], -1)
    return found


def _signs_in(packed: Array) -> Array:
    """1 or -1 for each number, a bit each."""
    return np.float32(1) - np.float32(2) * _floats(_unpack(packed, _ONES, 1))


def _steps(blocks: Array, scales: Array, unit: float) -> Array:
    """The scale of each group of a block, from the block's own and a few bits for the group."""
    return _half(blocks, 0) * (np.float32(0.5) + _floats(scales)) * np.float32(unit)


def _iq2_xxs(blocks: Array) -> Array:
    pairs = _words(blocks[:, 2:], "<u4").reshape(blocks.shape[0], 8, 2)
    codes = pairs[:, :, :1].astype("<u4").copy().view(np.uint8).reshape(blocks.shape[0], -1)
    steps = _steps(blocks, pairs[:, :, 1] >> np.uint32(28), 0.25)
    return _scaled(steps, _rows("iq2_xxs", codes)) * _signs_of(_unpack(pairs[:, :, 1], _SEVENS, 127))


def _iq2_xs(blocks: Array) -> Array:
    codes = _words(blocks[:, 2:66], "<u2")
    steps = _steps(blocks, _unpack(blocks[:, 66:], _NIBBLES, 15), 0.25)
    return _scaled(steps, _rows("iq2_xs", codes & np.uint16(511))) * _signs_of(codes >> np.uint16(9))


def _iq2_s(blocks: Array) -> Array:
    codes = blocks[:, 2:34].astype(np.uint16) | _unpack(blocks[:, 66:74], _PAIRS, 3).astype(np.uint16) << np.uint16(8)
    steps = _steps(blocks, _unpack(blocks[:, 74:], _NIBBLES, 15), 0.25)
    return _scaled(steps, _rows("iq2_s", codes)) * _signs_in(blocks[:, 34:66])


def _iq3_xxs(blocks: Array) -> Array:
    words = _words(blocks[:, 66:], "<u4")
    steps = _steps(blocks, words >> np.uint32(28), 0.5)
    return _scaled(steps, _rows("iq3_xxs", blocks[:, 2:66])) * _signs_of(_unpack(words, _SEVENS, 127))


def _iq3_s(blocks: Array) -> Array:
    codes = blocks[:, 2:66].astype(np.uint16) | _unpack(blocks[:, 66:74], _ONES, 1).astype(np.uint16) << np.uint16(8)
    steps = _half(blocks, 0) * (np.float32(1) + np.float32(2) * _floats(_unpack(blocks[:, 106:], _NIBBLES, 15)))
    return _scaled(steps, _rows("iq3_s", codes)) * _signs_in(blocks[:, 74:106])


def _iq1_s(blocks: Array) -> Array:
    high = _words(blocks[:, 34:], "<u2")
    codes = blocks[:, 2:34].astype(np.uint16) | _unpack(high, (0, 3, 6, 9), 7) << np.uint16(8)
    steps = _half(blocks, 0) * _floats(np.uint16(2) * (high >> np.uint16(12) & np.uint16(7)) + np.uint16(1))
    lows = np.where(high & np.uint16(0x8000), _DELTA, -_DELTA)
    return _scaled(steps, _less(_rows("iq1_s", codes), lows))


def _iq1_m(blocks: Array) -> Array:
    words = _words(blocks[:, 48:], "<u2")
    parts = (words & np.uint16(0xF000)) >> np.array([12, 8, 4, 0], np.uint16)
    scale = np.bitwise_or.reduce(parts, axis=1, keepdims=True).view(np.float16).astype(np.float32)
    codes = blocks[:, :32].astype(np.uint16) | _unpack(blocks[:, 32:48], _NIBBLES, 7).astype(np.uint16) << np.uint16(8)
    steps = scale * _floats(np.uint16(2) * _unpack(words, (0, 3, 6, 9), 7) + np.uint16(1))
    lows = np.where(_unpack(blocks[:, 32:48], (3, 7), 1), _DELTA, -_DELTA)
    return _scaled(steps, _less(_rows("iq1_s", codes), lows))


DECODERS: Final[dict[str, Callable[[Array], Array]]] = {
    "q4_0": _q4_0, "q4_1": _q4_1, "q5_0": _q5_0, "q5_1": _q5_1, "q8_0": _q8_0, "q8_1": _q8_1,
    "q2_k": _q2_k, "q3_k": _q3_k, "q4_k": _q4_k, "q5_k": _q5_k, "q6_k": _q6_k, "q8_k": _q8_k,
    "iq1_s": _iq1_s, "iq1_m": _iq1_m, "iq2_xxs": _iq2_xxs, "iq2_xs": _iq2_xs, "iq2_s": _iq2_s, "iq3_xxs": _iq3_xxs,
    "iq3_s": _iq3_s, "iq4_nl": _iq4_nl, "iq4_xs": _iq4_xs, "tq1_0": _tq1_0, "tq2_0": _tq2_0, "mxfp4": _mxfp4, "nvfp4": _nvfp4,
}  # fmt: skip
"""By block type."""
