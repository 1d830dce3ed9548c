"""What a claim with the semantics float32 takes for granted of an execution, and what such an execution may be off by.

A contract says how an execution rounds, not in which order it works: any order of summation, blocking, split-K and any
contraction of a product and a sum to FMA is covered. Let a value be z = W x + b with n products, x as executed. Then
what is executed is z + e, with

    |e| <= relative (|W| |x| + |b|) + 2 tiny (2n + 3 + |W|_1 + |x|_1),    relative = (1 + d) (1 + gamma) - 1,

gamma = k u / (1 - k u) for k = n + 1 roundings, or one more than the depth of the tree of sums that is promised
(Higham, Accuracy and Stability of Numerical Algorithms, 2002, sections 3.1 and 4.2). u is the relative error of one
operation, 1 + d that of a product of rounded operands, tiny what underflow may take, gradual or flushed to zero, from
operands and results. Nothing overflows if |W| |x| + |b| and |W|_1 + |x|_1 are below 2^126. Lemmas: `proofs/float32.py`.

Not covered, so no contract says it: Winograd, Strassen and Fourier products, products emulated in shorter formats,
"fast-math" that assumes more than this. An op whose accuracy is not known is refused when the graph is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.errors import Malformed, Rejected
from tlverify.certify.kernel.reader import fields

RELATIVE_BITS = 60  # a relative error is rounded up to a multiple of 2^-60
OVERFLOW = 126  # |W| |x| + |b| stays below 2^126, so that no partial sum overflows
DIGITS, LEAST = 24, -149  # a float32 is an integer of DIGITS bits times 2^(LEAST or more)
LARGEST = 1 << 128 - LEAST  # in units of 2^LEAST float32 numbers are below
GUARD = 64  # bits of a quotient that are kept below 2^LEAST, and one that says whether there are more
LEAST_TF32 = -136  # that of TF32, which has 11 bits: relative errors of operands hold above 2^-126 only

# The least relative error of one operation, as a power of two.
ROUNDINGS = {"nearest": -24, "any": -23}
# What underflow takes at most: gradual underflow errs by less than the least number, a flush by less than a normal one.
SUBNORMALS = {"gradual": -149, "any": -126}
# The relative error of an operand before it is multiplied, and of one operation of the sum.
OPERANDS: dict[str, tuple[Fraction, int | None]] = {
    "float32": (Fraction(0), None),
    "tf32-rounded": (Fraction(1, 1 << 11), -22),
    "tf32-truncated": (Fraction(1, 1 << 10), -22),
}


@dataclass(frozen=True)
class Contract:
    """`rounding` is "nearest" or "any" direction; `subnormals` "gradual" or "any" (which allows flushing to zero);
    `operands` of products are as stored, or rounded to TF32; the tree of a sum is at most `depth` deep, 0: any."""

    rounding: str
    subnormals: str
    operands: str
    depth: int

    def relative(self, products: int, more: int = 0) -> int:
        """The relative error, in units of 2^-RELATIVE_BITS, of a sum of products and a bias; of one rounding if 0.
        `more` roundings come before or after the sum, whatever its depth."""
        operand, own = OPERANDS[self.operands] if products else OPERANDS["float32"]
        unit = Fraction(2) ** max(ROUNDINGS[self.rounding], own or ROUNDINGS[self.rounding])
        count = min(products, self.depth or products) + 1 + more
        if count * unit >= Fraction(1, 4):
            raise Malformed(f"a sum of {products} products is too long for a bound in float32")
        error = (1 + operand) ** 2 / (1 - count * unit) - 1  # 1 + gamma = 1 / (1 - k u)
        return -(-(error.numerator << RELATIVE_BITS) // error.denominator)

    @property
    def tiny(self) -> int:
        """What underflow takes at most, as a power of two, subnormal operands that are rounded to TF32 among it."""
        return max(SUBNORMALS[self.subnormals], LEAST if self.operands == "float32" else LEAST_TF32)

    def __str__(self) -> str:
        sums = f"sums in any order of depth at most {self.depth}" if self.depth else "sums in any order"
        rounding = "rounded to nearest" if self.rounding == "nearest" else "rounded in any direction"
        flush = "gradual underflow" if self.subnormals == "gradual" else "subnormal numbers kept or flushed to zero"
        operands = "" if self.operands == "float32" else f", operands of products as stored or {self.operands}"
        how = f"{sums}, with or without FMA, {rounding}, {flush}{operands}"
        return f"every float32 execution of the graph on inputs that are float32 numbers ({how})"


def read_contract(data: Any) -> Contract:
    """From the JSON of a claim."""
    rounding, subnormals, operands, depth = fields(
        data, "contract", rounding=str, subnormals=str, operands=str, depth=int
    )
    for what, found, known in (
        ("rounding", rounding, ROUNDINGS),
        ("subnormals", subnormals, SUBNORMALS),
        ("operands", operands, OPERANDS),
    ):
        if found not in known:
            raise Malformed(f"contract: {what} {found[:40]!r} is not one of {', '.join(known)}")
    if not 0 <= depth < 1 << 20:
        raise Malformed("contract: depth is from 0, which stands for any, to 2^20")
    if depth and operands != "float32":
        raise Malformed("contract: depth is 0 for operands in TF32, whose hardware adds blocks of products at once")
    return Contract(rounding, subnormals, operands, depth)


def representable(value: Fraction) -> bool:
    """Whether float32 has this number."""
    if value == 0:
        return True
    power = value.denominator.bit_length() - 1
    if value.denominator != 1 << power or power > -LEAST:
        return False
    odd = abs(value.numerator)
    odd //= odd & -odd
    return odd.bit_length() <= DIGITS and abs(value) < Fraction(2) ** 128


def nearest(integer: int, places: int) -> int:
    """integer * 2^-places rounded to the nearest float32, in units of 2^LEAST."""
    magnitude = abs(integer) if places >= 0 else abs(integer) << -places
    places = max(places, 0)
    drop = max(magnitude.bit_length() - DIGITS, places)
    kept = magnitude >> drop
    if drop:
        rest, half = magnitude - (kept << drop), 1 << drop - 1
        kept += rest > half or (rest == half and kept & 1)
    result: int = kept << drop - places
    if result >= LARGEST:
        raise Rejected("witness", "its execution overflows")
    return result if integer >= 0 else -result


def quotient(integer: int, divisor: int) -> int:
    """integer / divisor rounded to the nearest float32: enough bits and whether anything is left decide it."""
    kept, rest = divmod(abs(integer) << GUARD, divisor)
    result = nearest(kept << 1 | (rest != 0), GUARD + 1)
    return result if integer >= 0 else -result
