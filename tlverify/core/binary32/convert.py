"""Conversions between binary32 and integers, float64 and decimal text."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from tlverify.core.binary32.format import (
    INFINITY,
    NAN,
    NEAREST,
    SIGN,
    Binary32Error,
    Mode,
    check_bits,
    exact,
    is_infinite,
    is_nan,
    rounded,
)

_DECIMAL = re.compile(r"([+-]?)(\d{1,400})(?:\.(\d{0,400}))?(?:[eE]([+-]?\d{1,4}))?", re.ASCII)


def from_int(value: int, mode: Mode = NEAREST) -> int:
    """The bits of an integer, rounded; 0 is +0."""
    return rounded(Fraction(value), mode)


def from_float64(value: float, mode: Mode = NEAREST) -> int:
    """The bits of a float64, rounded."""
    if math.isnan(value):
        return NAN
    sign = SIGN if math.copysign(1.0, value) < 0 else 0
    return sign | INFINITY if math.isinf(value) else rounded(Fraction(value), mode, sign)


def from_decimal(text: str, mode: Mode = NEAREST) -> int:
    """The bits of decimal text such as "-0.1" or "1e-45", rounded once; also "inf", "-inf" and "nan"."""
    named = {"inf": INFINITY, "+inf": INFINITY, "-inf": SIGN | INFINITY, "nan": NAN}
    if text in named:
        return named[text]
    match = _DECIMAL.fullmatch(text)
    if match is None:
        form = "digits with an optional sign, point and exponent of up to 4 digits, or inf, -inf, nan"
        raise Binary32Error(f"decimal: expected {form}, found {text[:80]!r}")
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    value = Fraction(int(whole + fraction)) * Fraction(10) ** (exponent - len(fraction))
    return rounded(-value, mode, SIGN) if sign == "-" else rounded(value, mode)


def to_float64(bits: int) -> float:
    """The same number as a float64; exact."""
    check_bits(bits)
    if is_nan(bits):
        return math.nan
    if is_infinite(bits):
        return -math.inf if bits & SIGN else math.inf
    return math.copysign(float(exact(bits)), -1.0 if bits & SIGN else 1.0)


def to_int(bits: int, mode: Mode = NEAREST) -> int:
    """The number rounded to an integer by the direction of `mode`; Binary32Error if it is not finite."""
    value = exact(bits)
    below = math.floor(value)
    return {
        "nearest": round(value),
        "zero": math.trunc(value),
        "up": below + (below != value),
        "down": below,
    }[mode.rounding]


def to_decimal(bits: int) -> str:
    """The shortest decimal text of up to 9 digits that `from_decimal` (nearest) reads back as these bits."""
    number = to_float64(bits)
    if not math.isfinite(number):
        return str(number)
    texts = (f"{number:.{digits}e}" for digits in range(9))
    return next(text for text in texts if from_decimal(text) == bits)


def bits_of(value: float) -> int:
    """The bits of a float that binary32 holds; Binary32Error for any other."""
    bits = from_float64(value)
    if not math.isnan(value) and to_float64(bits) != value:
        raise Binary32Error(f"expected a number that binary32 holds, found {value!r}")
    return bits
