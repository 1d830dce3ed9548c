"""Stored floats: the integers that the kernel reads from the bits have the value IEEE 754 gives the word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import z3

from proofs.lemma import Lemma, Mutant

RNE = z3.RNE


@dataclass(frozen=True)
class Format:
    """A binary interchange format. One more exponent bit makes the wide format, which holds the integers and
    the powers of two of its values exactly."""

    name: str
    exponent_bits: int
    mantissa_bits: int

    @property
    def bias(self) -> int:
        """A word's integer is multiplied by 2^(exponent field - bias)."""
        return (1 << self.exponent_bits - 1) - 1 + self.mantissa_bits

    @property
    def wide(self) -> z3.FPSortRef:
        return z3.FPSort(self.exponent_bits + 1, self.mantissa_bits + 1)

    def fields(self, word: z3.BitVecRef) -> tuple[z3.BitVecRef, z3.BitVecRef, z3.BitVecRef]:
        """Sign, exponent and fraction of a stored word."""
        width = self.exponent_bits + self.mantissa_bits
        return (
            z3.Extract(width, width, word),
            z3.Extract(width - 1, self.mantissa_bits, word),
            z3.Extract(self.mantissa_bits - 1, 0, word),
        )

    def stored(self, word: z3.BitVecRef) -> z3.FPRef:
        """The value IEEE 754 gives the word, in the wide format."""
        value = z3.fpBVToFP(word, z3.FPSort(self.exponent_bits, self.mantissa_bits + 1))
        return z3.fpFPToFP(RNE(), value, self.wide)

    def decoded(self, word: z3.BitVecRef, hidden: int, power: z3.BitVecRef) -> z3.FPRef:
        """(-1)^sign (hidden 2^mantissa_bits + fraction) 2^(power - bias), in the wide format."""
        sign, _, fraction = self.fields(word)
        integer = z3.fpUnsignedToFP(RNE(), z3.Concat(z3.BitVecVal(hidden, 1), fraction), self.wide)
        wide_field = z3.ZeroExt(1, power) + ((1 << self.exponent_bits) - 1 - self.bias)
        return z3.fpMul(RNE(), integer, z3.fpFP(sign, wide_field, z3.BitVecVal(0, self.mantissa_bits)))

    def subnormal(self, word: z3.BitVecRef, field: z3.BitVecRef) -> z3.BoolRef:
        """The word's value is that of the normal word with this exponent field, without its hidden bit.

        Rounded down and rounded up the difference is the same, so it is exact.
        """
        sign, _, fraction = self.fields(word)
        whole, hidden = z3.fpFP(sign, field, fraction), z3.fpFP(sign, field, z3.BitVecVal(0, self.mantissa_bits))
        value = z3.fpBVToFP(word, z3.FPSort(self.exponent_bits, self.mantissa_bits + 1))
        return z3.And(*(z3.fpEQ(value, z3.fpSub(mode(), whole, hidden)) for mode in (z3.RTN, z3.RTP)))


FORMATS = (Format("float32", 8, 23), Format("float64", 11, 52))


def lemmas() -> Iterator[Lemma]:
    for form in FORMATS:
        word = z3.BitVec("word", 1 + form.exponent_bits + form.mantissa_bits)
        _, exponent, _ = form.fields(word)
        one = z3.BitVecVal(1, form.exponent_bits)
        normal, finite = exponent != 0, exponent != (1 << form.exponent_bits) - 1
        stored = form.stored(word)
        yield Lemma(
            f"decode_{form.name}_normal",
            f"a normal word is (-1)^sign (2^{form.mantissa_bits} + fraction) 2^(exponent - {form.bias})",
            ("decode",),
            {"exponent > 0": normal, "finite": finite},
            z3.fpEQ(stored, form.decoded(word, 1, exponent)),
            (
                Mutant("hidden bit forgotten", z3.fpEQ(stored, form.decoded(word, 0, exponent))),
                Mutant("bias off by one", z3.fpEQ(stored, form.decoded(word, 1, exponent - 1))),
                Mutant("sign dropped", z3.fpEQ(stored, z3.fpAbs(form.decoded(word, 1, exponent)))),
            ),
        )
        yield Lemma(
            f"decode_{form.name}_subnormal",
            f"a zero or subnormal word is (-1)^sign fraction 2^(1 - {form.bias}): exponent 1 without the hidden bit",
            ("decode",),
            {"exponent = 0": exponent == 0},
            form.subnormal(word, one),
            (
                Mutant("hidden bit", z3.fpEQ(stored, form.decoded(word, 1, one))),
                Mutant("exponent 2 for 1", form.subnormal(word, one + 1)),
            ),
        )
