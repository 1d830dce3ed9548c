"""Replaying a counterexample: exact membership in the region and in the bad set. No tolerance anywhere.

A claim about float32 is refuted by one execution of those that its contract allows; see execution.py.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.arithmetic import Interval
from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.contract import LEAST
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.execution import execute, read_orders
from tlverify.certify.kernel.program import Program, enclose_value


def check_witness(program: Program, claim: Claim, orders: dict[str, Any], payload: bytes) -> int:
    """The payload holds every input in graph order as little-endian float64. Returns the disjunct reached.

    In real arithmetic the outputs are intervals without any rounding: single points, unless an op has an irrational
    coefficient, which is enclosed. An inequality must hold on all of its interval. For float32, `orders` says in which
    order sums are executed.
    """
    sizes = [program.values[name].size for name in program.inputs]
    if len(payload) != 8 * sum(sizes):
        raise Rejected("witness", f"expected {sum(sizes)} float64 values, found {len(payload)} bytes")
    floats = iter(struct.unpack(f"<{sum(sizes)}d", payload))
    points = {
        name: _inside(name, [next(floats) for _ in range(size)], claim)
        for name, size in zip(program.inputs, sizes, strict=True)
    }
    if program.contract is not None:
        executed = execute(program, points, read_orders(orders, program))
        found = {name: Interval(integers, integers, LEAST) for name, integers in executed.items()}
    else:
        found = {name: _exactly(numbers) for name, numbers in points.items()}
        for name, value in program.values.items():
            if value.kind != "input":
                found[name] = enclose_value(value, found, shortened=False)

    def least(inequality: Inequality) -> Fraction:
        total = Fraction(0)
        for name, index, coefficient in inequality.terms:
            end = found[name].lower if coefficient > 0 else found[name].upper
            total += coefficient * end[index] * Fraction(2) ** found[name].exponent
        return total

    for number, disjunct in enumerate(claim.bad):
        if all(least(row) > row.bound or (least(row) == row.bound and not row.strict) for row in disjunct):
            return number
    what = "exact" if program.contract is None else "executed"
    raise Rejected("witness", f"its {what} outputs are not in the bad set")


def _inside(name: str, numbers: list[float], claim: Claim) -> list[Fraction]:
    box = claim.region[name]
    if not all(map(math.isfinite, numbers)):
        raise Rejected("witness", f"input {name!r} holds a NaN or an infinity")
    points = [Fraction(number) for number in numbers]
    for index, point in enumerate(points):
        if not box.holds(index, point):
            raise Rejected("witness", f"{name}[{index}] is outside its range in the region")
    if box.ball is not None and not box.ball.holds(points):
        raise Rejected("witness", f"input {name!r} is outside its ball")
    return points


def _exactly(points: list[Fraction]) -> Interval:
    exponent = -max((point.denominator.bit_length() - 1 for point in points), default=0)
    integers = [int(point * Fraction(2) ** -exponent) for point in points]
    return Interval(integers, integers, exponent)
