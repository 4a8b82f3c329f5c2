"""Which bytes a strided tensor covers, and whether two such sets meet or are the same, decided exactly.

A tensor of shape (d0, ..., dn), stride (s0, ..., sn) and a given itemsize covers the bytes

    { offset + itemsize * (i0*s0 + ... + in*sn) + u  :  0 <= ik < dk, 0 <= u < itemsize }

which is a start plus a sum of arithmetic progressions, the bytes of an element being one of them (stride 1). Two such
sets meet when start_a + sum(i*s) + u = start_b + sum(j*t) + v has a solution within the bounds. Counting each j from
its other end turns every sign positive, so the question becomes whether one number lies in one such set: a bounded
linear Diophantine equation, solved by branch and bound over the dimensions, widest stride first.

- Slices, transposes, windows and diagonals of an ordinary tensor are *nested*: each stride is at least the extent of
  all narrower ones together. Then an index leaves room for few choices of the next, and the search stays narrow.
- An index is only tried if what it leaves fits the gcd of the narrower strides; the next one that does is found by
  the Euclidean algorithm. With one narrower stride that condition is sufficient.
- Nested sets are equal only if their normal forms are; other sets are written out as bits and compared.

A file can declare strides for which this is as hard as subset sum. The work is therefore bounded by an `Effort`, a
search by `MAX_NODES` and a bit set by `MAX_BITS`: sets whose extents meet and that stay undecided count as meeting,
but not as equal. While effort is left, all sets that span at most `MAX_BITS` units of their common stride are decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import gcd, prod

from paraminspect.tuples import NamedTuple

MAX_NODES = 20_000
"""Indices one search may try; then the set is written out as bits."""

MAX_BITS = 1 << 26
"""Length of a set written out as bits (8 MiB), in units of the gcd of its strides."""

BITS_A_STEP = 1 << 14
"""Bits that are shifted and joined in the time of one step of effort (about a microsecond)."""

HASH_PASSES = 5
"""A digest takes about as long as so many shifts."""

NODE_STEPS = 4
"""Steps of effort to try one index, of 60 bits."""

PAIR_STEPS = 4
"""Steps of effort to set up the comparison of two sets, beside one for each dimension."""


class Effort:
    """What is left of the work that may be spent on strides that a file makes hard.

    Args:
        steps: Of about a microsecond each.
    """

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int) -> bool:
        """Take steps off; False once nothing is left."""
        self.left -= steps
        return self.left >= 0


class ByteSet(NamedTuple):
    """The bytes { start + i1*s1 + ... + ik*sk + u : 0 <= ij < nj, 0 <= u < run }, in normal form.

    Attributes:
        start: Lowest byte.
        end: One past the highest.
        run: Bytes that follow each other without a gap, at `start` at least.
        dims: (stride, count) by ascending stride; every stride > run, every count > 1. Empty for an interval.
    """

    start: int
    end: int
    run: int
    dims: tuple[tuple[int, int], ...]


def interval(start: int, nbytes: int) -> ByteSet:
    """The bytes from `start` on."""
    return ByteSet(start, start + nbytes, nbytes, ())


def strided_set(offset: int, shape: Sequence[int], stride: Sequence[int], itemsize: int) -> ByteSet:
    """The bytes of a strided tensor that is not empty.

    Args:
        offset: Of the element at index (0, ..., 0), in bytes.
        shape: (d0, ..., dn), each at least 1.
        stride: As long as `shape`, in elements; 0 in an expanded dimension, negative in a flipped one.
        itemsize: In bytes, at least 1.
    """
    terms = []
    for count, step in zip(shape, stride, strict=True):
        if count > 1 and step:
            if step < 0:
                offset += (count - 1) * step * itemsize
                step = -step  # noqa: PLW2901
            terms.append((step * itemsize, count))
    return _normal(offset, itemsize, terms)


def share_bytes(a: ByteSet, b: ByteSet, effort: Effort) -> bool:
    """Whether the sets have a byte in common; True as well if their extents do and that stayed undecided."""
    if a.end <= b.start or b.end <= a.start:
        return False
    if not a.dims and not b.dims:
        return True
    if not effort.spend(PAIR_STEPS + len(a.dims) + len(b.dims)):
        return True
    both = _normal(0, a.run + b.run - 1, [*a.dims, *b.dims])
    return _contains(both, b.end - 1 - a.start, effort) is not False


def equal_sets(sets: Sequence[ByteSet], effort: Effort) -> list[int]:
    """For each of several sets that differ in form, the place of the first one with the same bytes.

    Sets that are not nested, and too long or too many to be written out, count as equal only in the same form.
    """
    first = list(range(len(sets)))
    loose = {_outline(one) for one in sets if len(one.dims) > 1 and not _is_nested(one)}
    if not loose:
        return first
    alike: dict[tuple[int, int, int, int], list[int]] = {}
    for place, one in enumerate(sets):
        if (outline := _outline(one)) in loose:
            alike.setdefault(outline, []).append(place)
    for (_, _, run, _), places in alike.items():
        if len(places) > 1:
            unit = gcd(*(stride for place in places for stride, _ in sets[place].dims), run)
            known: dict[bytes, int] = {}
            for place in places:
                digest = _digest(sets[place], unit, effort)
                if digest is not None:
                    first[place] = known.setdefault(digest, place)
    return first


def count_bytes(sets: Sequence[ByteSet], effort: Effort) -> int | None:
    """How many different bytes the sets cover together; None if that stayed undecided."""
    if all(not one.dims for one in sets):
        total, reached = 0, min((one.start for one in sets), default=0)
        for one in sorted(sets):
            total += max(0, one.end - max(one.start, reached))
            reached = max(reached, one.end)
        return total
    if len(sets) == 1 and _is_nested(sets[0]):
        return sets[0].run * prod(count for _, count in sets[0].dims)
    start = min(one.start for one in sets)
    unit = gcd(*(stride for one in sets for stride, _ in one.dims), *(one.run for one in sets))
    unit = gcd(unit, *(one.start - start for one in sets))
    union = 0
    for one in sets:
        dims = [(1, one.run // unit), *((stride // unit, count) for stride, count in one.dims)]
        bits = _bits(dims, (one.end - one.start) // unit, effort)
        if (
            bits is None
            or (one.end - start) // unit > MAX_BITS
            or not effort.spend((one.end - start) // unit // BITS_A_STEP)
        ):
            return None
        union |= bits << (one.start - start) // unit
    return union.bit_count() * unit


def separate(sets: Sequence[ByteSet], effort: Effort) -> list[list[int]]:
    """Find the lots that may have bytes in common, in O(n log n).

    Split by extent first; then, where all strides of a lot are multiples of some m, by position modulo m (columns of
    a matrix), and what is left by position divided by m, until nothing splits.

    Returns:
        Places of two or more sets, lot by lot. A set in no lot meets no other; members of one lot need not meet.
    """
    lots = []
    waiting: list[tuple[Sequence[ByteSet], Sequence[int]]] = [(sets, range(len(sets)))]
    while waiting:
        of, places = waiting.pop()
        for lot in _split_by_extent(of):
            part = [of[at] for at in lot]
            quotients = _quotients(part, effort)
            if quotients is None:
                lots.append([places[at] for at in lot])
            else:
                waiting += [(quotient, [places[lot[at]] for at in ats]) for quotient, ats in quotients]
    return lots


def _normal(start: int, run: int, terms: list[tuple[int, int]]) -> ByteSet:
    """Join progressions that continue or fill each other; of nested sets this form is the only one."""
    if not terms:
        return ByteSet(start, start + run, run, ())
    terms.sort()
    length = run
    dims: list[tuple[int, int]] = []
    for stride, count in terms:
        length += stride * (count - 1)
        if stride <= run:
            run += stride * (count - 1)
        elif dims and stride % dims[-1][0] == 0 and stride <= dims[-1][0] * dims[-1][1]:
            inner, inner_count = dims[-1]
            dims[-1] = inner, inner_count + stride // inner * (count - 1)
        else:
            dims.append((stride, count))
    return ByteSet(start, start + length, run, tuple(dims))


def _is_nested(one: ByteSet) -> bool:
    extent = one.run
    for stride, count in one.dims:
        if stride < extent:
            return False
        extent += stride * (count - 1)
    return True


def _contains(one: ByteSet, target: int, effort: Effort) -> bool | None:
    """Whether a position between the ends of a set that starts at 0 is in it; None if that stayed undecided."""
    dims, run = one.dims, one.run
    gcds = [0]
    reach = [run - 1]
    for stride, count in dims:
        gcds.append(gcd(gcds[-1], stride))
        reach.append(reach[-1] + stride * (count - 1))
    if not dims:
        return True
    if target % gcds[-1] >= run:
        return False
    nodes = 0

    def search(level: int, rest: int) -> bool | None:
        """Whether the `level` narrowest strides reach `rest`, which is within their reach and fits their gcd."""
        nonlocal nodes
        if level <= 1:
            return True
        stride, count = dims[level - 1]
        index = max(0, -((reach[level - 1] - rest) // stride))
        last = min(count - 1, rest // stride)
        while index <= last:
            nodes += 1
            if nodes > MAX_NODES or not effort.spend(NODE_STEPS):
                return None
            skip = _first_fit(rest - index * stride, stride, gcds[level - 1], run)
            if skip is None or (index := index + skip) > last:
                return False
            answer = search(level - 1, rest - index * stride)
            if answer is not False:
                return answer
            index += 1
        return False

    answer = search(len(dims), target)
    if answer is None:
        return _contains_bit(one, min(target, reach[-1] - target), effort)
    return answer


def _contains_bit(one: ByteSet, target: int, effort: Effort) -> bool | None:
    """The same by writing the set out up to `target`."""
    unit = gcd(*(stride for stride, _ in one.dims))
    first = max(0, -((one.run - 1 - target) // unit))
    last = target // unit
    bits = _bits([(stride // unit, count) for stride, count in one.dims], last + 1, effort)
    return None if bits is None else bits >> first & ((1 << last + 1 - first) - 1) != 0


def _first_fit(rest: int, stride: int, modulus: int, run: int) -> int | None:
    """Smallest i >= 0 for which (rest - i*stride) mod modulus < run, or None."""
    high = rest % modulus
    if high < run:
        return 0
    return _first_in_range(stride % modulus, modulus, high - run + 1, high)


def _first_in_range(factor: int, modulus: int, low: int, high: int) -> int | None:
    """Smallest x >= 0 with low <= factor * x mod modulus <= high, where 0 < low <= high < modulus, or None.

    Euclid: if no multiple of the factor lies in the range itself, ask how often the product must wrap around, which is
    the same question modulo the factor.
    """
    if factor == 0:
        return None
    first = -(-low // factor)
    if first * factor <= high:
        return first
    wraps = _first_in_range(modulus % factor, factor, -high % factor, -low % factor)
    return None if wraps is None else -(-(low + modulus * wraps) // factor)


def _bits(dims: Iterable[tuple[int, int]], length: int, effort: Effort) -> int | None:
    """The set of all sums as the bits of an integer, up to `length` of them; None if that is too much work."""
    if length > MAX_BITS or not effort.spend(1 + length // BITS_A_STEP):
        return None
    bits = 1
    whole = (1 << length) - 1
    for stride, count in dims:
        done = 1
        while done < count and done * stride < length:
            if not effort.spend(1 + length // BITS_A_STEP):
                return None
            more = min(done, count - done)
            bits |= bits << more * stride
            done += more
        bits &= whole
    return bits


def _digest(one: ByteSet, unit: int, effort: Effort) -> bytes | None:
    """A digest of the set itself, whatever its form; `unit` divides its run and strides."""
    dims = [(1, one.run // unit), *((stride // unit, count) for stride, count in one.dims)]
    length = (one.end - one.start) // unit
    bits = _bits(dims, length, effort)
    if bits is None or not effort.spend(HASH_PASSES * (length // BITS_A_STEP)):
        return None
    from hashlib import sha256  # here, as hardly any file needs it

    return sha256(bits.to_bytes(-(-length // 8), "little")).digest()


def _outline(one: ByteSet) -> tuple[int, int, int, int]:
    """Both ends, the first run and the step to the second one: the same in every form of a set."""
    return one.start, one.end, one.run, one.dims[0][0] if one.dims else 0


def _split_by_extent(sets: Sequence[ByteSet]) -> list[list[int]]:
    """Places of two or more sets, cut where no extent reaches across.

    The running maximum of the ends matters: extents may be nested in one another.
    """
    order = sorted(range(len(sets)), key=[one.start for one in sets].__getitem__)
    lots = []
    begin = 0
    highest = sets[order[0]].end if order else 0
    for at, place in enumerate(order):
        start, end, _, _ = sets[place]
        if start >= highest:
            if at - begin > 1:
                lots.append(order[begin:at])
            begin = at
        highest = max(highest, end)
    if len(order) - begin > 1:
        lots.append(order[begin:])
    return lots


def _quotients(sets: Sequence[ByteSet], effort: Effort) -> list[tuple[list[ByteSet], list[int]]] | None:
    """Cut the circle of positions modulo the gcd of all strides where no run reaches across.

    Returns:
        The lots of two or more, each as the sets of its positions divided by the gcd, with their places; None if the
        gcd is 1 or there is no place to cut.
    """
    modulus = gcd(*(stride for one in sets for stride, _ in one.dims))
    if modulus < 2 or not effort.spend(sum(1 + len(one.dims) for one in sets)):
        return None
    arcs = sorted((one.start % modulus, one.run) for one in sets)
    covered = max(begin + run for begin, run in arcs) - modulus
    for cut, run in arcs:
        if cut >= covered:
            break
        covered = max(covered, cut + run)
    else:
        return None
    lots = []
    for lot in _split_by_extent([interval((one.start - cut) % modulus, one.run) for one in sets]):
        quotient = []
        for place in lot:
            start, _, _, dims = sets[place]
            quotient.append(
                _normal((start - cut) // modulus, 1, [(stride // modulus, count) for stride, count in dims])
            )
        lots.append((quotient, lot))
    return lots
