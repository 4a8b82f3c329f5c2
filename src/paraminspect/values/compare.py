"""Whether two tensors hold the same values, and how far they are apart, a piece at a time.

The sums of each piece are kept, and added up when somebody asks by `math.fsum`, which rounds once: in whatever order
pieces come together, whoever compared them, the answer is the same to the last bit.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from paraminspect.errors import LimitExceededError
from paraminspect.limits import NUMBERS, effort
from paraminspect.values.decode import Numbers
from paraminspect.values.moments import sum_exactly, sum_of_products
from paraminspect.values.widen import widen

Array = np.ndarray[Any, Any]

CHUNK: Final = 1 << 17
"""Numbers of each side that are compared at a time."""


@dataclass(slots=True)
class Tolerance:
    """Values differ if |before - after| > atol + rtol * |after|."""

    rtol: float = 0.0
    atol: float = 0.0


@dataclass(slots=True)
class Difference:
    """How far two tensors are apart.

    Attributes:
        differs: Whether any value differs by more than the tolerance, or is NaN or infinite on one side only.
        nan_changed: Values that are NaN on one side only: then no number says how far they are apart.
        not_finite_before: Values before that are NaN or infinite.
        not_finite_after: The same after.
    """

    differs: bool = False
    nan_changed: int = 0
    not_finite_before: int = 0
    not_finite_after: int = 0
    _largest: float = 0.0
    _inf_changed: bool = False
    _inf_before: bool = False
    _apart: array[float] = field(default_factory=lambda: array("d"))
    _before: array[float] = field(default_factory=lambda: array("d"))
    _after: array[float] = field(default_factory=lambda: array("d"))
    _product: array[float] = field(default_factory=lambda: array("d"))

    def merge(self, other: Difference) -> None:
        """Take in what was found of other pieces of the same two tensors."""
        self.differs = self.differs or other.differs
        self.nan_changed += other.nan_changed
        self.not_finite_before += other.not_finite_before
        self.not_finite_after += other.not_finite_after
        self._largest = max(self._largest, other._largest)
        self._inf_changed = self._inf_changed or other._inf_changed
        self._inf_before = self._inf_before or other._inf_before
        self._apart += other._apart
        self._before += other._before
        self._after += other._after
        self._product += other._product

    @property
    def norm_before(self) -> float:
        """Norm of the values before that are finite on both sides."""
        return math.sqrt(sum_exactly(self._before))

    @property
    def norm_after(self) -> float:
        """The same of the values after."""
        return math.sqrt(sum_exactly(self._after))

    @property
    def is_measured(self) -> bool:
        """Whether values were looked at, and not only found to have equal bits."""
        return bool(self._before) or self.not_finite_before + self.not_finite_after > 0

    @property
    def max_abs(self) -> float:
        """Largest absolute difference, infinite ones too; NaN where some value became NaN, or was."""
        return math.nan if self.nan_changed else math.inf if self._inf_changed else self._largest

    @property
    def relative(self) -> float | None:
        """Norm of the difference, relative to the norm before; None where that is 0, else NaN as `max_abs`."""
        if self.nan_changed or self._inf_before:
            return math.nan
        if self._inf_changed:
            return math.inf
        before = sum_exactly(self._before)
        return math.sqrt(sum_exactly(self._apart) / before) if before else None

    @property
    def cosine(self) -> float | None:
        """Of the angle between both; None where one is 0, NaN where values became infinite or NaN, or were."""
        if self.nan_changed or self._inf_changed:
            return math.nan
        lengths = self.norm_before * self.norm_after
        return max(-1.0, min(1.0, sum_exactly(self._product) / lengths)) if lengths else None


def compare_values(
    before: Numbers,
    after: Numbers,
    tolerance: Tolerance,
    advance: Callable[[int], None] = lambda _: None,
    *,
    measured: bool = False,
) -> Difference:
    """Compare two tensors of one number of values, in row-major order.

    A value differs if |before - after| > atol + rtol * |after|. Two NaN do not differ, nor do two equal infinities.

    Args:
        measured: Whether norms are wanted of tensors whose bits are equal too: they may be parts of larger ones.

    Raises:
        ParamInspectError: One of them cannot be read to its end, or repeats a few numbers very often.
    """
    _count_repeated(before, after)
    found = Difference()
    begin = 0 if measured else _skip_equal(before, after, advance)
    if begin == before.numel:
        return found
    for first in range(0, before.numel, CHUNK):
        last = min(first + CHUNK, before.numel)
        _add(found, before.read(first, last), after.read(first, last), tolerance.rtol, tolerance.atol)
        if first >= begin:
            advance(last - first)
    return found


def digest_values(numbers: Numbers) -> bytes:
    """A digest of the values of a tensor in row-major order; equal bits, equal digest.

    Raises:
        ParamInspectError: It cannot be read to its end.
    """
    _count_repeated(numbers)
    digest = hashlib.blake2b(digest_size=16)
    for first in range(0, numbers.numel, CHUNK):
        part = np.ascontiguousarray(numbers.read(first, min(first + CHUNK, numbers.numel)))
        digest.update(part.view(np.uint8).data)
    return digest.digest()


def _count_repeated(*numbers: Numbers) -> None:
    """A tensor of a few bytes may have any number of elements that stand in one place."""
    if any(each.repeats > 1 for each in numbers):
        run, count = effort(), max(each.numel for each in numbers)
        if count > run.limit(NUMBERS):  # which says nothing of other tensors
            raise LimitExceededError(
                "numbers of one tensor, most of them the same", limit=run.limit(NUMBERS), actual=count
            )
        run.spend(NUMBERS, count)


def _skip_equal(before: Numbers, after: Numbers, advance: Callable[[int], None]) -> int:
    """Where the first piece begins whose bits differ."""
    for first in range(0, before.numel, CHUNK):
        last = min(first + CHUNK, before.numel)
        one, other = before.read(first, last), after.read(first, last)
        if one.dtype != other.dtype or not np.array_equal(_bits(one), _bits(other)):
            return first
        advance(last - first)
    return before.numel


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).view(np.uint8)


def _add(found: Difference, one: Array, other: Array, rtol: float, atol: float) -> None:
    same_type = one.dtype == other.dtype
    one, other = widen(one), widen(other)
    equal = one == other if same_type else None  # integers of 64 bits may be apart by less than a float64 shows
    kind = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
    old, new = np.asarray(one, kind), np.asarray(other, kind)
    if equal is None:
        equal = old == new
    finite = np.isfinite(old) & np.isfinite(new)
    if not finite.all():
        found.not_finite_before += int(np.count_nonzero(~np.isfinite(old)))
        found.not_finite_after += int(np.count_nonzero(~np.isfinite(new)))
        _add_not_finite(found, old[~finite], new[~finite], equal[~finite])
        old, new, equal = old[finite], new[finite], equal[finite]
        if not old.size:
            return
    with np.errstate(all="ignore"):
        apart = old - new
        size = np.abs(apart)
        found._largest = max(found._largest, float(size.max()))
        if not found.differs:
            allowed = atol + rtol * np.abs(new) if rtol else atol
            found.differs = bool((~equal & ~(size <= allowed)).any() if rtol or atol else not equal.all())
        # of complex numbers, real and imaginary parts stand side by side
        found._apart.append(sum_of_products(apart.view(np.float64), apart.view(np.float64)))
        found._before.append(sum_of_products(old.view(np.float64), old.view(np.float64)))
        found._after.append(sum_of_products(new.view(np.float64), new.view(np.float64)))
        found._product.append(sum_of_products(old.view(np.float64), new.view(np.float64)))


def _add_not_finite(found: Difference, old: Array, new: Array, equal: Array) -> None:
    """Pairs of which one at least is NaN or infinite."""
    was, became = np.isnan(old), np.isnan(new)
    changed = ~equal & ~was & ~became
    found.nan_changed += int(np.count_nonzero(was != became))
    found._inf_changed = found._inf_changed or bool(changed.any())
    found._inf_before = found._inf_before or bool(np.isinf(old[changed]).any())
    found.differs = found.differs or bool(found.nan_changed) or found._inf_changed
