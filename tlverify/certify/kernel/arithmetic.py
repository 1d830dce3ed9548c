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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tlverify.certify.kernel.errors import Malformed, Rejected

INTERVAL_BITS = 44  # bits kept of an interval's end points, relative to the largest of its value
COEFFICIENT_BITS = 22  # bits kept of a backward coefficient, relative to the largest of its row
CONSTANT_BITS = 50  # bits kept of the constant that a backward pass gathers


@dataclass(frozen=True)
class Vector:
    """Entries `integers[i] * 2**exponent`."""

    integers: Sequence[int]
    exponent: int


@dataclass(frozen=True)
class Interval:
    """Entries between `lower[i] * 2**exponent` and `upper[i] * 2**exponent`."""

    lower: Sequence[int]
    upper: Sequence[int]
    exponent: int


def bits(integers: Sequence[int]) -> int:
    """The least n such that -2^n <= v < 2^n for all."""
    return max(max(integers), ~min(integers), 0).bit_length()


def shift(integers: Iterable[int], places: int) -> list[int]:
    """Multiply by 2^places, which is >= 0: exact."""
    return [value << places for value in integers]


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


def shorten(row: Vector) -> tuple[Vector, bool]:
    """The row with exactly COEFFICIENT_BITS: shifted, or floored so that each entry loses less than one unit of the
    result. Whether it was floored."""
    drop = bits(row.integers) - COEFFICIENT_BITS
    if drop <= 0:
        return Vector(shift(row.integers, -drop), row.exponent + drop), False
    return Vector([a >> drop for a in row.integers], row.exponent + drop), True


Constant = tuple[int, int]
"""integer, exponent"""


def accumulate(total: Constant, value: Constant) -> Constant:
    """A lower bound of the sum: both floored to the unit that leaves the longer one CONSTANT_BITS. 0 adds nothing."""
    if value[0] == 0:
        return total
    tops = [max(integer, ~integer).bit_length() + exponent for integer, exponent in (total, value) if integer]
    unit = max(tops) - CONSTANT_BITS
    return floor_to(total, unit) + floor_to(value, unit), unit


def floor_to(value: Constant, unit: int) -> int:
    """floor(value / 2^unit)."""
    places = value[1] - unit
    return value[0] << places if places >= 0 else value[0] >> -places


def decode(dtype: str, data: memoryview, what: str) -> Vector:
    """Stored floats as exact integers with a shared exponent. NaN and infinities are Malformed."""
    code, width, bias, mantissa = ("I", 8, 150, 23) if dtype == "F32" else ("Q", 11, 1075, 52)
    words = struct.unpack(f"<{len(data) * 8 // (width + mantissa + 1)}{code}", data)
    fraction, special = (1 << mantissa) - 1, (1 << width) - 1
    parts = []
    for word in words:
        field = word >> mantissa & special
        if field == special:
            raise Malformed(f"{what}: holds a NaN or an infinity")
        integer = word & fraction | (1 << mantissa if field else 0)
        parts.append((-integer if word >> (width + mantissa) else integer, max(field, 1)))
    lowest = min((field for integer, field in parts if integer), default=1)
    integers = [integer << (field - lowest) if integer else 0 for integer, field in parts]
    zeros = min(((v & -v).bit_length() - 1 for v in integers if v), default=0)
    return Vector([value >> zeros for value in integers], lowest - bias + zeros)


class Packed:
    """A matrix whose rows are each one big integer with a lane per entry (Kronecker substitution).

    A lane is wide enough for a column's sum of products with factors of `factor_bits` bits, so `combine` is exact; a
    factor longer than that is Rejected.
    """

    def __init__(self, rows: Sequence[Sequence[int]], columns: int, factor_bits: int) -> None:
        heaviest = max(sum(map(abs, column)) for column in zip(*rows, strict=True))
        self.factor_bits = factor_bits
        self.columns = columns
        self._width = -(-(heaviest.bit_length() + factor_bits + 2) // 8)
        self._lanes = struct.Struct(f"{self._width}s" * columns)
        self._half = 1 << (8 * self._width - 1)
        self._offset = int.from_bytes(self._half.to_bytes(self._width, "little") * columns, "little")
        self._rows = [self._pack(row) for row in rows]

    def _pack(self, row: Sequence[int]) -> int:
        lanes = b"".join((value + self._half).to_bytes(self._width, "little") for value in row)
        return int.from_bytes(lanes, "little") - self._offset

    def combine(self, factors: Sequence[int]) -> list[int]:
        """sum_i factors[i] * row_i, exactly."""
        if bits(factors) > self.factor_bits:
            raise Rejected("arithmetic", f"a factor is longer than the {self.factor_bits} bits of its lane")
        total = self._offset
        for factor, row in zip(factors, self._rows, strict=True):
            if factor:
                total += factor * row
        lanes = self._lanes.unpack(total.to_bytes(self._lanes.size, "little"))
        return [int.from_bytes(lane, "little") - self._half for lane in lanes]
