"""The reference: each operation on the bits of binary32 numbers, computed exactly and rounded once.

Source: IEEE 754-2019, sections 5 to 7. Slow and plain: `vector` gives the same bits on arrays.
"""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from tlverify.core.binary32.format import (
    INFINITY,
    NAN,
    NEAREST,
    SIGN,
    Mode,
    check_bits,
    exact,
    is_infinite,
    is_nan,
    is_subnormal,
    rounded,
)


def neg(a: int) -> int:
    """-a; exact, and never flushed."""
    check_bits(a)
    return NAN if is_nan(a) else a ^ SIGN


def add(a: int, b: int, mode: Mode = NEAREST) -> int:
    a, b = _operands(mode, a, b)
    return _sum(a, b, mode)


def sub(a: int, b: int, mode: Mode = NEAREST) -> int:
    return add(a, neg(b), mode)


def mul(a: int, b: int, mode: Mode = NEAREST) -> int:
    a, b = _operands(mode, a, b)
    special = _special_product(a, b)
    return rounded(exact(a) * exact(b), mode, (a ^ b) & SIGN) if special is None else special


def div(a: int, b: int, mode: Mode = NEAREST) -> int:
    a, b = _operands(mode, a, b)
    sign = (a ^ b) & SIGN
    if is_nan(a) or is_nan(b) or (is_infinite(a) and is_infinite(b)) or not (a | b) & ~SIGN:
        return NAN
    if is_infinite(a) or not b & ~SIGN:
        return sign | INFINITY
    return sign if is_infinite(b) else rounded(exact(a) / exact(b), mode, sign)


def sqrt(a: int, mode: Mode = NEAREST) -> int:
    (a,) = _operands(mode, a)
    if is_nan(a) or not a & ~SIGN:
        return a
    if a & SIGN:
        return NAN
    if is_infinite(a):
        return a
    # 2^149 a is an integer; 40 further bits and a sticky bit below them decide every rounding.
    scaled = int(exact(a) * (1 << 150)) << 160
    root = isqrt(scaled)
    return rounded(Fraction(2 * root + (root * root != scaled), 1 << 156), mode)


def fma(a: int, b: int, c: int, mode: Mode = NEAREST) -> int:
    """a b + c with one rounding."""
    a, b, c = _operands(mode, a, b, c)
    special = _special_product(a, b)
    if is_nan(c) or special == NAN:
        return NAN
    if special is not None:
        return _sum(special, c, mode)
    if is_infinite(c):
        return c
    product = (a ^ b) & SIGN
    return rounded(exact(a) * exact(b) + exact(c), mode, _zero(product, c & SIGN, mode))


def minimum(a: int, b: int, mode: Mode = NEAREST) -> int:
    """The smaller one, NaN if either is NaN, and -0 < +0 (`minimum` of IEEE 754-2019)."""
    return neg(maximum(neg(a), neg(b), mode))


def maximum(a: int, b: int, mode: Mode = NEAREST) -> int:
    """The larger one, NaN if either is NaN, and -0 < +0 (`maximum` of IEEE 754-2019)."""
    a, b = _operands(mode, a, b)
    return NAN if is_nan(a) or is_nan(b) else max(a, b, key=_place)


def equal(a: int, b: int, mode: Mode = NEAREST) -> bool:
    """a = b; the zeros are equal, and NaN is equal to nothing."""
    a, b = _operands(mode, a, b)
    return not (is_nan(a) or is_nan(b)) and (a == b or not (a | b) & ~SIGN)


def less(a: int, b: int, mode: Mode = NEAREST) -> bool:
    """a < b; False where either is NaN."""
    a, b = _operands(mode, a, b)
    return not (is_nan(a) or is_nan(b) or equal(a, b)) and _place(a) < _place(b)


def less_equal(a: int, b: int, mode: Mode = NEAREST) -> bool:
    """a <= b; False where either is NaN."""
    return less(a, b, mode) or equal(a, b, mode)


def _operands(mode: Mode, *values: int) -> tuple[int, ...]:
    check_bits(*values)
    plain = (NAN if is_nan(bits) else bits for bits in values)
    return tuple(bits & SIGN if mode.daz and is_subnormal(bits) else bits for bits in plain)


def _place(bits: int) -> int:
    """An integer that orders numbers as they lie on the line, with -0 before +0."""
    return ~(bits ^ SIGN) if bits & SIGN else bits


def _zero(left: int, right: int, mode: Mode) -> int:
    """The zero that a sum of values of these signs gives."""
    return left if left == right else SIGN if mode.rounding == "down" else 0


def _sum(a: int, b: int, mode: Mode) -> int:
    if is_nan(a) or is_nan(b) or (is_infinite(a) and is_infinite(b) and a != b):
        return NAN
    if is_infinite(a) or is_infinite(b):
        return a if is_infinite(a) else b
    return rounded(exact(a) + exact(b), mode, _zero(a & SIGN, b & SIGN, mode))


def _special_product(a: int, b: int) -> int | None:
    """NaN or an infinity, or None for a product of finite numbers."""
    if is_nan(a) or is_nan(b):
        return NAN
    if is_infinite(a) or is_infinite(b):
        return (a ^ b) & SIGN | INFINITY if a & ~SIGN and b & ~SIGN else NAN
    return None
