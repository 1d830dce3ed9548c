"""Replaying a rational point, as kernel.witness replays one of floats: no tolerance, and no Z3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from tlverify.certify.kernel.arithmetic import Interval, Vector
from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.program import Program, enclose_value


def reaches(program: Program, claim: Claim, point: Mapping[str, Sequence[Fraction]]) -> bool:
    """Whether the point, given by input name, is in the region and surely in the bad set.

    Affine maps and ReLU commute with a factor > 0 if the biases take it too, so the common denominator of the point
    makes all numbers integers. Values after an inexact map are enclosed; an inequality must hold on all of that.
    """
    for name, box in claim.region.items():
        ends = zip(box.lower, point[name], box.upper, strict=True)
        if not all(low <= value <= high for low, value, high in ends):
            return False
    scale = math.lcm(*(value.denominator for name in program.inputs for value in point[name]))
    found: dict[str, Interval] = {}
    for name in program.inputs:
        integers = [int(value * scale) for value in point[name]]
        found[name] = Interval(integers, integers, 0)
    for name, value in program.values.items():
        if value.kind != "input":
            if value.bias is not None:
                value = replace(value, bias=Vector([b * scale for b in value.bias.integers], value.bias.exponent))
            found[name] = enclose_value(value, found, shortened=False)

    def least(row: Inequality) -> Fraction:
        total = Fraction(0)
        for name, index, coefficient in row.terms:
            end = found[name].lower if coefficient > 0 else found[name].upper
            total += coefficient * end[index] * Fraction(2) ** found[name].exponent
        return total / scale

    return any(
        all(least(row) > row.bound or (least(row) == row.bound and not row.strict) for row in disjunct)
        for disjunct in claim.bad
    )
