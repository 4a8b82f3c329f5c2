"""An array as `print(tensor)` shows a tensor.

Source:
    torch/_tensor_str.py of torch 2.13, with its defaults: 4 digits, the first and last 3 of each dimension where there
    are more than 1,000 elements, 80 columns, scientific notation where the numbers span more than three decades or
    are very large or small. `tests/values/test_display.py` holds it against torch's own.

torch fills its 80 columns as if a zero, a nan and an inf took no more than the other numbers, or one column where there
are none, and does not count the brackets at the end: 24 zeros are a line of 104, 24 times -inf one of 152. That is kept
where lines may have any length, not on a terminal.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from paraminspect.values.dtypes import is_floating, is_foreign
from paraminspect.values.widen import to_float64, to_python

Array = np.ndarray[Any, Any]

PREFIX: Final = "tensor("
DEFAULT_DTYPES: Final = frozenset({"float32", "complex64", "int64", "bool"})
"""Not named after the values, as torch has it."""

SEPARATOR: Final = len(", ")
CUT: Final = " ..."

FULL: Final = 1 << 62
"""A threshold that no tensor reaches."""


@dataclass(frozen=True, slots=True)
class PrintOptions:
    """What `torch.set_printoptions` sets, and how wide the terminal is.

    Attributes:
        precision: Digits behind the point.
        threshold: Elements from which on a tensor is summarised.
        edgeitems: Of each dimension, at both ends of a summary; 1 or more.
        linewidth: Columns, as torch counts them.
        columns: Of the terminal, which no line passes; None where it may.
    """

    precision: int = 4
    threshold: int = 1000
    edgeitems: int = 3
    linewidth: int = 80
    columns: int | None = None

    @property
    def suffix_width(self) -> int:
        """Columns at which a line ends rather than to take what stands behind the numbers."""
        return min(self.linewidth, self.columns or self.linewidth)

    def per_line(self, indent: int, width: int, widest: int) -> int:
        """Numbers in a line.

        Args:
            indent: Columns before it.
            width: Of a number as torch counts them.
            widest: Of one as it is.
        """
        count = (self.linewidth - indent) // (width + SEPARATOR)
        if self.columns is not None:
            brackets = indent - len(PREFIX) + 1  # as many at the end as at the begin
            count = min(count, (self.columns - indent - brackets) // (widest + SEPARATOR))
        return max(1, count)


DEFAULTS: Final = PrintOptions()


def format_tensor(array: Array, dtype: str, options: PrintOptions = DEFAULTS) -> str:
    """The text that torch prints for a tensor on the CPU without gradient.

    Args:
        array: Only as much of it as is printed is touched.
        dtype: torch's name ("bfloat16").
        options: How much of it.

    Example:
        >>> format_tensor(np.array([1.5, 2.0], np.float32), "float32")
        'tensor([1.5000, 2.0000])'
    """
    suffixes = []
    if array.size == 0:
        text = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if dtype != "float32":
            suffixes.append(f"dtype=torch.{dtype}")
    else:
        text = _contents(array, options)
        if dtype not in DEFAULT_DTYPES:
            suffixes.append(f"dtype=torch.{dtype}")
    return _add_suffixes(PREFIX + text, suffixes, options.suffix_width)


class _Formatter:
    """Width and notation that all numbers of a tensor share; `widest` counts those too that `width` leaves out."""

    def __init__(self, values: Array, precision: int) -> None:
        self.precision = precision
        self.floating = is_floating(values.dtype)
        self.integers = True
        self.scientific = False
        self.width = self.widest = 1
        flat = values.reshape(-1)
        if not self.floating:
            self.width = self.widest = max(1, *(len(str(value)) for value in flat.tolist()))
            return
        every = to_float64(flat)
        is_counted = np.isfinite(every) & (every != 0)
        numbers = every[is_counted]
        rest = np.unique(every[~is_counted].view(np.int64)).view(np.float64)  # as bits, for -0 is wider than 0
        if numbers.size:
            self._measure(numbers)
        self.widest = max(self.width, *(len(self._number(value)) for value in rest.tolist()), 0)

    def _measure(self, numbers: Array) -> None:
        low, high = float(np.abs(numbers).min()), float(np.abs(numbers).max())
        self.integers = bool((numbers == np.ceil(numbers)).all())
        self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        self.width = max(1, *(len(self._number(value)) for value in numbers.tolist()))

    def _number(self, value: float) -> str:
        if self.scientific:
            return f"{value:.{self.precision}e}"
        if not self.integers:
            return f"{value:.{self.precision}f}"
        return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"

    def format(self, value: Any) -> str:
        """One number, filled up on the left."""
        return (self._number(value) if self.floating else str(value)).rjust(self.width)


class _Complex:
    """The same for real and imaginary parts."""

    def __init__(self, values: Array, precision: int) -> None:
        self.real = _Formatter(values.real, precision)
        self.imaginary = _Formatter(values.imag, precision)
        self.width = self.real.width + self.imaginary.width + 1
        self.widest = self.real.widest + self.imaginary.widest + len("+j")

    def format(self, value: complex) -> str:
        """One number."""
        imaginary = f"{self.imaginary.format(value.imag)}j".lstrip()
        sign = "" if imaginary[0] in "+-" else "+"
        return f"{self.real.format(value.real)}{sign}{imaginary}"


class _Contents:
    def __init__(self, options: PrintOptions, formatter: _Formatter | _Complex, *, summarise: bool) -> None:
        self.options = options
        self.formatter = formatter
        self.summarise = summarise

    def text(self, array: Array, indent: int) -> str:
        if array.ndim == 0:
            return self.formatter.format(to_python(array))
        edge = self.options.edgeitems
        cut = self.summarise and array.shape[0] > 2 * edge
        if array.ndim == 1:
            return self._vector(array, indent, cut=cut)
        size = array.shape[0]
        places = [*range(edge), *range(size - edge, size)] if cut else range(size)
        parts = [self.text(array[place], indent + 1) for place in places]
        if cut:
            parts.insert(edge, "...")
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"

    def _vector(self, array: Array, indent: int, *, cut: bool) -> str:
        widest = max(self.formatter.widest, len(CUT) * cut)
        per_line = self.options.per_line(indent, self.formatter.width, widest)
        edge = self.options.edgeitems
        ends = array[:edge], array[-edge:]
        data = [*self._numbers(ends[0]), CUT, *self._numbers(ends[1])] if cut else self._numbers(array)
        lines = [", ".join(data[start : start + per_line]) for start in range(0, len(data), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    def _numbers(self, array: Array) -> list[str]:
        return [self.formatter.format(value) for value in to_python(array)]


def _contents(array: Array, options: PrintOptions) -> str:
    summarise = array.size > options.threshold
    sample = summarised(array, options.edgeitems) if summarise else array
    formatter = (_Complex if array.dtype.kind == "c" else _Formatter)(sample, options.precision)
    return _Contents(options, formatter, summarise=summarise).text(array, len(PREFIX))


def summarised(array: Array, edgeitems: int) -> Array:
    """The first and last `edgeitems` of each dimension that has more than twice as many; at most that is copied."""
    for axis, size in enumerate(array.shape):
        if size > 2 * edgeitems:
            places = [*range(edgeitems), *range(size - edgeitems, size)]
            array = np.take(array, places, axis)
    return array


def _add_suffixes(text: str, suffixes: list[str], linewidth: int) -> str:
    last_line = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last_line + len(suffix) + 2 > linewidth:
            text += f",\n{' ' * len(PREFIX)}{suffix}"
            last_line = len(PREFIX) + len(suffix)
        else:
            text += f", {suffix}"
            last_line += len(suffix) + 2
    return f"{text})"


def nested_values(array: Array) -> Any:
    """Python numbers in nested lists, one number for a tensor without dimensions.

    A float32 has as many digits as tell it from its neighbours (0.1, not 0.10000000149011612); a complex number is a
    pair, real and imaginary part.
    """
    if array.dtype.kind == "c":
        return nested_values(np.stack([array.real, array.imag], axis=-1))
    if array.dtype == np.float32:
        texts = np.array([float(str(value)) for value in array.reshape(-1)], np.float64)
        return texts.reshape(array.shape).tolist()
    return to_python(array)


def encode_npy(array: Array) -> tuple[bytes, str | None]:
    """The bytes of a .npy file; a note where numpy has no name for the type and it was widened to float32."""
    note = None
    if is_foreign(array.dtype):
        note = f"npy has no {array.dtype.name}: written as float32, without loss"
        array = array.astype(np.float32)
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return file.getvalue(), note
