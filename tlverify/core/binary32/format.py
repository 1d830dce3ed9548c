"""The format: a binary32 number is a Python integer of 32 bits, and a finite one is an exact Fraction.

Source: IEEE 754-2019, sections 3.4 and 4.3. Every NaN is the one quiet NaN `NAN`: payloads are not modelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from tlverify.graph import TlverifyError

Rounding = Literal["nearest", "zero", "up", "down"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)

SIGN, INFINITY, NAN, LARGEST, LEAST_NORMAL = 0x80000000, 0x7F800000, 0x7FC00000, 0x7F7FFFFF, 0x00800000


class Binary32Error(TlverifyError):
    """Bits that are not 32 bits, an unknown mode, or a graph that the executable arithmetic does not run."""


@dataclass(frozen=True)
class Mode:
    """How results are rounded (nearest is ties to even), and what happens to subnormal numbers.

    `ftz`: a result that is subnormal after rounding becomes a zero of its sign. `daz`: a subnormal operand counts as
    a zero of its sign. Machines differ on a result that only rounding lifts to 2^-126; here it is not flushed.
    """

    rounding: Rounding = "nearest"
    ftz: bool = False
    daz: bool = False

    def __post_init__(self) -> None:
        if self.rounding not in ROUNDINGS:
            raise Binary32Error(f"rounding: expected one of {', '.join(ROUNDINGS)}, found {self.rounding!r}")


NEAREST = Mode()


def check_bits(*values: int) -> None:
    """Binary32Error unless each value is an integer from 0 to 2^32 - 1."""
    for bits in values:
        if type(bits) is not int or not 0 <= bits < 1 << 32:
            raise Binary32Error(f"binary32: expected the 32 bits as an integer >= 0, found {bits!r}")


def is_nan(bits: int) -> bool:
    return bits & ~SIGN > INFINITY


def is_infinite(bits: int) -> bool:
    return bits & ~SIGN == INFINITY


def is_subnormal(bits: int) -> bool:
    return 0 < bits & ~SIGN < LEAST_NORMAL


def exact(bits: int) -> Fraction:
    """The value of a finite number; both zeros are 0."""
    check_bits(bits)
    if bits & ~SIGN >= INFINITY:
        raise Binary32Error(f"binary32 {bits:#010x} is not finite, so it has no exact value")
    exponent, mantissa = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    if exponent:
        mantissa, exponent = mantissa | 1 << 23, exponent - 1
    magnitude = Fraction(mantissa << exponent, 1 << 149)
    return -magnitude if bits & SIGN else magnitude


def rounded(value: Fraction, mode: Mode = NEAREST, zero: int = 0) -> int:
    """The bits of `value` rounded by `mode`; `zero` is the answer where the value is exactly 0."""
    if value == 0:
        return zero
    sign = SIGN if value < 0 else 0
    numerator, denominator = abs(value.numerator), value.denominator
    exponent = numerator.bit_length() - denominator.bit_length()
    if numerator << max(-exponent, 0) < denominator << max(exponent, 0):
        exponent -= 1
    unit = max(exponent - 23, -149)  # the last place of the result is 2^unit
    scaled, divisor = numerator << max(-unit, 0), denominator << max(unit, 0)
    mantissa, rest = divmod(scaled, divisor)
    if rest and (
        mode.rounding == _away(sign) or (mode.rounding == "nearest" and (2 * rest, mantissa & 1) > (divisor, 0))
    ):
        mantissa += 1
    bits = (unit + 150 << 23) + mantissa - LEAST_NORMAL  # a carry of the mantissa is a carry into the exponent
    if bits >= INFINITY:
        bits = INFINITY if mode.rounding in ("nearest", _away(sign)) else LARGEST
    return sign | (0 if mode.ftz and bits < LEAST_NORMAL else bits)


def _away(sign: int) -> Rounding:
    """The directed rounding that leads away from zero."""
    return "down" if sign else "up"
