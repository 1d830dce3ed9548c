"""Integers in float64 arrays, exactly: every number here is an integer below 2^53 in magnitude, or is reported.

A long integer is a list of digits, sum of digits[k] * 2^(22 k), of which the low ones are in [0, 2^22) once they have
been carried. Products of short integers are summed by BLAS in any order, since no partial sum reaches 2^53.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy
import numpy.typing as npt

from tlverify.certify.kernel.arithmetic import COEFFICIENT_BITS, CONSTANT_BITS

Array = Any
"""A float64 array of NumPy or CuPy that holds integers."""

DIGIT_BITS = 22
DIGIT = float(1 << DIGIT_BITS)
EXACT = float(1 << 52)


HALF_BITS = DIGIT_BITS // 2  # of the digits that a long sum of products takes


def split(integers: Sequence[int], width: int = DIGIT_BITS) -> list[npt.NDArray[numpy.int64]]:
    """The digits of integers, low ones first; the last is signed and has at most `width` bits as well."""
    try:
        rest = numpy.array(integers, dtype=numpy.int64)
    except OverflowError:
        rest = numpy.array(integers, dtype=object)
    digits = []
    while rest.size and not -(1 << width) <= rest.min() <= rest.max() < 1 << width:
        digits.append((rest & (1 << width) - 1).astype(numpy.int64))
        rest = rest >> width
    return [*digits, rest.astype(numpy.int64)]


def width(count: int) -> int:
    """How long digits may be, so that the sum of `count` products of them with coefficients stays exact."""
    return DIGIT_BITS if count * DIGIT * DIGIT < EXACT else HALF_BITS


def joined(parts: Sequence[Array], width: int, xp: ModuleType) -> list[Array]:
    """Digits of DIGIT_BITS, not carried, from such of `width`, each below 2^52."""
    if width == DIGIT_BITS:
        return list(parts)
    result: list[Array] = []
    over: Array = 0.0
    for k in range(0, len(parts), 2):
        digit = parts[k] + over
        if k + 1 < len(parts):
            over = xp.floor(parts[k + 1] * 2.0**-HALF_BITS)
            digit = digit + (parts[k + 1] - over * 2.0**HALF_BITS) * 2.0**HALF_BITS
        result.append(digit)
    return result if len(parts) % 2 else [*result, over]


def carry(digits: list[Array], xp: ModuleType) -> list[Array]:
    """The same number with the low digits in [0, 2^22)."""
    result = []
    high = digits[0]
    for digit in digits[1:]:
        over = high * (1 / DIGIT)
        xp.floor(over, out=over)
        result.append(high - over * DIGIT)
        over += digit
        high = over
    return [*result, high]


def length(values: Array, xp: ModuleType) -> Array:
    """For each value the least n with -2^n <= v < 2^n."""
    return xp.frexp(xp.maximum(values, -values - 1.0))[1]


def power(exponents: Array, xp: ModuleType) -> Array:
    """2^exponents as float64. Beyond 2^64 and 2^-64 nothing changes: a floor by 64 places leaves 0 or -1."""
    return _powers(xp)[xp.minimum(xp.maximum(exponents, -64), 64) + 64]


@functools.cache
def _powers(xp: ModuleType) -> Array:
    return xp.asarray([2.0**k for k in range(-64, 65)])


def longest(rows: Array, xp: ModuleType) -> Array:
    """The length of the longest entry of each column."""
    return length(xp.maximum(rows.max(0), -rows.min(0) - 1.0), xp)


def shorten(digits: list[Array], exponent: Array, xp: ModuleType) -> tuple[Array, Array, Array, Array]:
    """kernel.arithmetic.shorten for each column of carried digits (n, batch) with one exponent a column (batch,).

    Returns the rows, their exponents, whether they were floored, and which could not be done here: those whose top
    digit is only 0 and -1 while lower ones are not 0. The digits are overwritten.
    """
    *low, high = digits
    places = DIGIT_BITS * len(low)
    own = longest(high, xp)
    undone = own == 0 if low else xp.zeros(len(exponent), dtype=bool)
    drop = own + (places - COEFFICIENT_BITS)
    if undone.any():
        zero = undone & ~high.any(0)
        for digit in low:
            zero &= ~digit.any(0)
        undone &= ~zero
        drop = xp.where(zero, -COEFFICIENT_BITS, drop)
    high *= power(places - drop, xp)
    floored = drop > 0
    if low or floored.any():
        xp.floor(high, out=high)
    if low:
        keep = xp.minimum(xp.maximum(places - drop, 0), DIGIT_BITS)  # bits taken from the digit below the top
        low[-1] *= power(keep - DIGIT_BITS, xp)
        high += xp.floor(low[-1], out=low[-1])
    return high, exponent + drop, floored, undone


def accumulate(total: Array, unit: Array, digits: list[Array], exponent: Array, xp: ModuleType) -> tuple[Array, Array]:
    """kernel.arithmetic.accumulate for each of (batch,) totals in units 2^unit and values in carried digits."""
    *low, high = digits
    top, left = high, xp.full(high.shape, len(low), dtype=exponent.dtype)  # top digits merged while they are 0 or -1
    for index in range(len(low) - 1, -1, -1):
        small = (left == index + 1) & ((top == 0) | (top == -1))
        top = xp.where(small, top * DIGIT + low[index], top)
        left = xp.where(small, index, left)
    zero = (top == 0) & (left == 0)
    reach = length(top, xp) + DIGIT_BITS * left + exponent
    mine = length(total, xp) + unit
    new = xp.where(total == 0, reach, xp.maximum(mine, reach)) - CONSTANT_BITS
    moved = xp.floor(total * power(unit - new, xp))
    value = _floor_to(low, high, exponent, new, xp)
    return xp.where(zero, total, moved + value), xp.where(zero, unit, new)


def _floor_to(low: list[Array], high: Array, exponent: Array, unit: Array, xp: ModuleType) -> Array:
    """floor(value / 2^unit), which is below 2^51."""
    place = exponent + DIGIT_BITS * len(low)  # exponent of the digits gathered so far
    result = high
    for digit in reversed(low):
        take = xp.minimum(xp.maximum(place - unit, 0), DIGIT_BITS)  # how many bits of this digit are above the unit
        result = result * power(take, xp) + xp.floor(digit * power(take - DIGIT_BITS, xp))
        place = place - take
    return xp.floor(result * power(place - unit, xp))
