"""A program over a box as linear equations over the rationals, and pairs of variables of which one is 0.

A ReLU that may do either is h - s = z with h, s >= 0 and (h <= 0 or s <= 0): h is its value, s what it cuts off. The
encoding has a solution for every point of the box, and nothing but points of the box if no map is inexact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from tlverify.certify.kernel.arithmetic import Interval, intersect
from tlverify.certify.kernel.claim import Claim
from tlverify.certify.kernel.program import Dense, Map, Program, Value, enclose_value

Form = Mapping[int, Fraction]
"""sum of coefficient * variable. Variable 0 is the constant 1."""
ONE = 0


@dataclass
class Problem:
    """Variables by number with their ranges, forms that are 0, pairs (h, s) of which one is 0, each value's forms."""

    ranges: list[tuple[Fraction, Fraction]] = field(default_factory=lambda: [(Fraction(1), Fraction(1))])
    zeros: list[Form] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    values: dict[str, Sequence[Form]] = field(default_factory=dict)

    def variable(self, lower: Fraction, upper: Fraction) -> int:
        self.ranges.append((lower, upper))
        return len(self.ranges) - 1


def enclosures(program: Program, claim: Claim) -> dict[str, Interval]:
    """Exact intervals of every value over the claim's region, rounded outward."""
    found = {name: box.enclosure() for name, box in claim.region.items()}
    for name, value in program.values.items():
        if value.kind != "input":
            found[name] = enclose_value(value, found)
            if value.direct is not None:
                found[name] = intersect(found[name], value.direct([found[s] for s in value.direct_sources]))
    return found


def unstable(program: Program, bounds: Mapping[str, Interval], needed: Sequence[str]) -> int:
    """How many neurons of the needed ReLUs may be on either side of 0."""
    sources = [bounds[program.values[name].source] for name in needed if program.values[name].kind == "relu"]
    return sum(low < 0 < high for b in sources for low, high in zip(b.lower, b.upper, strict=True))


def encode(
    program: Program, claim: Claim, bounds: Mapping[str, Interval], needed: Sequence[str], deadline: float = math.inf
) -> Problem:
    """The needed values, users before what they use, over the claim's region. TimeoutError after the deadline, which is
    a time of `time.monotonic`."""
    problem = Problem()
    for name in reversed(needed):
        value = program.values[name]
        if value.kind == "input":
            box = claim.region[name]
            ends = zip(box.lower, box.upper, strict=True)
            problem.values[name] = [{problem.variable(low, high): Fraction(1)} for low, high in ends]
        elif value.kind == "relu":
            problem.values[name] = _relu(problem, problem.values[value.source], bounds[value.source])
        else:
            problem.values[name] = _affine(problem, value, bounds, deadline)
    return problem


def _relu(problem: Problem, forms: Sequence[Form], bounds: Interval) -> list[Form]:
    unit = Fraction(2) ** bounds.exponent
    result: list[Form] = []
    for form, low, high in zip(forms, bounds.lower, bounds.upper, strict=True):
        if low >= 0:
            result.append(form)
        elif high <= 0:
            result.append({})
        else:
            h, s = problem.variable(Fraction(0), high * unit), problem.variable(Fraction(0), -low * unit)
            problem.zeros.append(combine([(Fraction(1), form), (Fraction(-1), {h: Fraction(1), s: Fraction(-1)})]))
            problem.pairs.append((h, s))
            result.append({h: Fraction(1)})
    return result


def _affine(problem: Problem, value: Value, bounds: Mapping[str, Interval], deadline: float) -> list[Form]:
    terms: list[list[tuple[Fraction, Form]]] = [[] for _ in range(value.size)]
    if value.bias is not None:
        unit = Fraction(2) ** value.bias.exponent
        for row, integer in zip(terms, value.bias.integers, strict=True):
            row.append((integer * unit, {ONE: Fraction(1)}))
    for source, matrix in value.terms:
        unit, x, forms = Fraction(2) ** matrix.exponent, bounds[source], problem.values[source]
        for row, pairs in zip(terms, entries(matrix), strict=True):
            row += [(integer * unit, forms[index]) for index, integer in pairs if integer]
            if matrix.inexact:  # true coefficients are up to a unit more
                step = unit * Fraction(2) ** x.exponent
                low = sum(min(0, x.lower[index]) for index, _ in pairs)
                high = sum(max(0, x.upper[index]) for index, _ in pairs)
                row.append((Fraction(1), {problem.variable(low * step, high * step): Fraction(1)}))
    result = []
    for row in terms:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the time was over while {value.name!r} was encoded")
        result.append(combine(row))
    return result


def entries(matrix: Map) -> Sequence[Sequence[tuple[int, int]]]:
    """For each entry of the result, the (index, integer) pairs that it sums."""
    if not isinstance(matrix, Dense):
        return matrix.entries
    return [
        [(block * matrix.in_features + index, integer) for index, integer in enumerate(row)]
        for block in range(matrix.blocks)
        for row in matrix.rows
    ]


def combine(terms: Sequence[tuple[Fraction, Form]]) -> Form:
    """sum of factor * form."""
    total: dict[int, Fraction] = {}
    for factor, form in terms:
        for variable, coefficient in form.items():
            total[variable] = total.get(variable, Fraction(0)) + factor * coefficient
    return {variable: coefficient for variable, coefficient in total.items() if coefficient}
