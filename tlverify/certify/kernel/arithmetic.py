"""Exact arithmetic on vectors of integers that share an exponent: an entry's value is integer * 2^exponent.

Products and sums are exact. Rounding happens in three named places only, always in the sound direction: `outward`
widens an interval to short integers, `shorten` floors coefficients, and `accumulate` floors a constant. What they do is
the definition that the other arithmetics repeat bit for bit.

The length of an integer is that of two's complement without the sign: v has n bits if -2^n <= v < 2^n. So a floor by k
places takes exactly k bits off.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, reduce
from itertools import compress, islice
from operator import mul, or_

from tlverify.certify.kernel.errors import Malformed, Rejected
from tlverify.certify.kernel.phases import Phases, classify

INTERVAL_BITS = 44  # bits kept of an interval's end points, relative to the largest of its value
COEFFICIENT_BITS = 22  # bits kept of a backward coefficient, relative to the largest of its row
CONSTANT_BITS = 50  # bits kept of the constant that a backward pass gathers


@dataclass(frozen=True)
class Vector:
    """Entries `integers[i] * 2**exponent`."""

    integers: Sequence[int]
    exponent: int


class Short(Vector):
    """A vector of exactly COEFFICIENT_BITS, or 0: what `shorten` gives."""


@dataclass(frozen=True)
class Interval:
    """Entries between `lower[i] * 2**exponent` and `upper[i] * 2**exponent`."""

    lower: Sequence[int]
    upper: Sequence[int]
    exponent: int

    @cached_property
    def below(self) -> int:
        """The sum of min(0, lower)."""
        return sum([low for low in self.lower if low < 0])

    @cached_property
    def phases(self) -> Phases:
        """Of ReLUs of this value."""
        return classify(self.lower, self.upper)

    def tightened(self, index: int, upper: bool, end: int) -> Interval:
        """The same with one end moved inward to `end`, if it is not there already."""
        ends = list(self.upper if upper else self.lower)
        ends[index] = min(ends[index], end) if upper else max(ends[index], end)
        low, high = (self.lower, ends) if upper else (ends, self.upper)
        result = Interval(low, high, self.exponent)
        result.__dict__["phases"] = self.phases.revised(index, low[index], high[index])
        return result


def bits(integers: Sequence[int]) -> int:
    """The least n such that -2^n <= v < 2^n for all."""
    return max(max(integers), ~min(integers)).bit_length()


def shift(integers: Sequence[int], places: int) -> Sequence[int]:
    """Multiply by 2^places, which is >= 0: exact."""
    return [value << places for value in integers] if places else integers


def add(left: Vector, right: Vector) -> Vector:
    """Exact sum."""
    if not any(left.integers):
        return right
    if not any(right.integers):
        return left
    exponent = min(left.exponent, right.exponent)
    a = shift(left.integers, left.exponent - exponent)
    b = shift(right.integers, right.exponent - exponent)
    return Vector([x + y for x, y in zip(a, b, strict=True)], exponent)


def outward(lower: Sequence[int], upper: Sequence[int], exponent: int) -> Interval:
    """The interval with end points shortened to INTERVAL_BITS: lower ones down, upper ones up."""
    drop = max(bits(lower), bits([-value for value in upper])) - INTERVAL_BITS
    if drop <= 0:
        return Interval(lower, upper, exponent)
    return Interval([v >> drop for v in lower], [-(-v >> drop) for v in upper], exponent + drop)


def intersect(one: Interval, two: Interval) -> Interval:
    """The points in both, widened by `outward`."""
    exponent = min(one.exponent, two.exponent)
    a, b = one.exponent - exponent, two.exponent - exponent
    lower = [max(x << a, y << b) for x, y in zip(one.lower, two.lower, strict=True)]
    upper = [min(x << a, y << b) for x, y in zip(one.upper, two.upper, strict=True)]
    return outward(lower, upper, exponent)


def enclose(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> Interval:
    """The tightest interval of INTERVAL_BITS around rational end points."""
    largest = max(abs(value) for value in (*lower, *upper))
    scale = largest.numerator.bit_length() - largest.denominator.bit_length() + 1  # largest <= 2^scale
    exponent = scale - INTERVAL_BITS
    unit = Fraction(2) ** exponent
    return Interval([math.floor(v / unit) for v in lower], [math.ceil(v / unit) for v in upper], exponent)


def shorten(row: Vector) -> tuple[Short, bool]:
    """The row with exactly COEFFICIENT_BITS: shifted, or floored so that each entry loses less than one unit of the
    result. Whether it was floored."""
    if isinstance(row, Short):
        return row, False
    drop = bits(row.integers) - COEFFICIENT_BITS
    if drop <= 0:
        return Short(shift(row.integers, -drop), row.exponent + drop), False
    return Short([a >> drop for a in row.integers], row.exponent + drop), True


Constant = tuple[int, int]
"""integer, exponent"""


def accumulate(total: Constant, value: Constant) -> Constant:
    """A lower bound of the sum: both floored to the unit that leaves the longer one CONSTANT_BITS. 0 adds nothing."""
    if value[0] == 0:
        return total
    unit = _top(value) - CONSTANT_BITS
    if total[0]:
        unit = max(unit, _top(total) - CONSTANT_BITS)
    return floor_to(total, unit) + floor_to(value, unit), unit


def _top(value: Constant) -> int:
    """The least n such that -2^n <= value < 2^n, for a value that is not 0."""
    integer, exponent = value
    return (integer if integer > 0 else ~integer).bit_length() + exponent


def floor_to(value: Constant, unit: int) -> int:
    """floor(value / 2^unit)."""
    places = value[1] - unit
    return value[0] << places if places >= 0 else value[0] >> -places


def decode(dtype: str, data: memoryview, what: str) -> Vector:
    """Stored floats as exact integers with a shared exponent. NaN and infinities are Malformed."""
    code, width, bias, mantissa = ("I", 8, 150, 23) if dtype == "F32" else ("Q", 11, 1075, 52)
    words = struct.unpack(f"<{len(data) * 8 // (width + mantissa + 1)}{code}", data)
    special, hidden, sign = (1 << width) - 1, 1 << mantissa, 1 << (width + mantissa)
    fields = [word >> mantissa & special for word in words]
    if special in fields:
        raise Malformed(f"{what}: holds a NaN or an infinity")
    sizes = [word & hidden - 1 | (hidden if field else 0) for word, field in zip(words, fields, strict=True)]
    lowest = min([field or 1 for size, field in zip(sizes, fields, strict=True) if size], default=1)
    sizes = [size << (field - lowest) if field > lowest else size for size, field in zip(sizes, fields, strict=True)]
    together = reduce(or_, sizes, 0)
    zeros = max((together & -together).bit_length() - 1, 0)
    integers = [-size >> zeros if word & sign else size >> zeros for word, size in zip(words, sizes, strict=True)]
    return Vector(integers, lowest - bias + zeros)


class Packed:
    """A matrix whose rows are each one big integer with a lane per entry (Kronecker substitution).

    A lane is wide enough for a column's sum of products with factors of `factor_bits` bits, so `combine` is exact; a
    factor longer than that is Rejected. Lanes of 8 bytes are read quickest. Where they are too short by a few bits that
    only small entries have, `low` bits are taken off all entries and what is left of those few is added one by one.
    """

    def __init__(self, rows: Sequence[Sequence[int]], columns: int, factor_bits: int) -> None:
        heaviest = max(sum(map(abs, column)) for column in zip(*rows, strict=True))
        self.factor_bits = factor_bits
        length = heaviest.bit_length() + factor_bits + 1
        self._low, self._rest = _low_bits(rows, columns, length - 64)
        self._width = max(-(-(length - self._low) // 8), 8)
        self._lanes = struct.Struct(f"<{columns}q" if self._width == 8 else f"{self._width}s" * columns)
        self._half = 1 << (8 * self._width - 1)
        self._halves = int.from_bytes(self._half.to_bytes(self._width, "little") * columns, "little")
        self._rows = [self._pack(row) for row in rows]

    def _pack(self, row: Sequence[int]) -> int:
        high = [_high(value, self._low) for value in row] if self._low else row
        if self._width > 8:
            lanes = b"".join([value.to_bytes(self._width, "little", signed=True) for value in high])
        else:
            lanes = self._lanes.pack(*high)
        return (int.from_bytes(lanes, "little") ^ self._halves) - self._halves  # each two's complement for itself

    def combine(self, factors: Sequence[int], length: int) -> list[int]:
        """sum_i factors[i] * row_i, exactly; the factors have `length` bits."""
        if len(factors) != len(self._rows):
            raise ValueError(f"expected {len(self._rows)} factors, found {len(factors)}")
        if length > self.factor_bits:
            raise Rejected("arithmetic", f"a factor is longer than the {self.factor_bits} bits of its lane")
        total = sum(map(mul, filter(None, factors), compress(self._rows, factors)), self._halves)
        lanes = self._lanes.unpack((total ^ self._halves).to_bytes(self._lanes.size, "little"))  # two's complements
        if self._width > 8:
            return [int.from_bytes(lane, "little", signed=True) for lane in lanes]
        result = [lane << self._low for lane in lanes] if self._low else list(lanes)
        for row, column, rest in self._rest:
            result[column] += factors[row] * rest
        return result


def _high(value: int, low: int) -> int:
    """The value without its `low` last bits, rounded towards 0: no column's sum of magnitudes grows."""
    return value >> low if value >= 0 else -(-value >> low)


def _low_bits(rows: Sequence[Sequence[int]], columns: int, low: int) -> tuple[int, Sequence[tuple[int, int, int]]]:
    """How many bits to take off, and what that leaves of (row, column): none if it leaves more than `columns` parts."""
    if low <= 0:
        return 0, ()
    parts = ((i, j, v - (_high(v, low) << low)) for i, row in enumerate(rows) for j, v in enumerate(row))
    rest = list(islice((part for part in parts if part[2]), columns + 1))
    return (low, rest) if len(rest) <= columns else (0, ())
