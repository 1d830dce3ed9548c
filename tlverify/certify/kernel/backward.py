"""Backward substitution: a lower bound of a linear function of values over a region, in the arithmetic `exact`.

Starting from coefficients on some values, each value is replaced by what it is computed from, users before what they
use, such that for every point of the region

    sum rows . values + constant  >=  sum rows' . values + constant'.

Every rounding is a floor whose loss is charged to the constant. The order of the steps below is part of the definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from tlverify.certify.kernel.arithmetic import Constant, Interval, Short, Vector, accumulate, add, shorten
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.phases import CHORD_BITS as CHORD_BITS
from tlverify.certify.kernel.phases import SLOPE_BITS as SLOPE_BITS
from tlverify.certify.kernel.program import Program, error_of, reach

Path = Sequence[tuple[str, int, bool, int]]
"""Ends that are tighter in a part of the region: (value, entry, is upper, integer in the unit of the table)."""
Slopes = Mapping[str, Mapping[int, int]]
"""For ReLUs by name: neuron to slope, where it differs from the default."""


class Bounds(dict[str, Interval]):
    """The table: intervals known to hold in a region, by value."""

    def copy(self) -> Bounds:
        return Bounds(self)

    def along(self, path: Path) -> Bounds:
        """The table with some ends tightened."""
        result = self.copy() if path else self
        for name, index, upper, end in path:
            result[name] = result[name].tightened(index, upper, end)
        return result


@dataclass(frozen=True)
class Job:
    """A linear function to be bounded from below: coefficients by value and entry times 2^exponent, plus `constant`.

    `path` tightens the table for this job only.
    """

    rows: Mapping[str, Mapping[int, int]]
    exponent: int
    constant: Constant
    slopes: Slopes
    path: Path = ()


def propagate_all(program: Program, bounds: Bounds, jobs: Sequence[Job]) -> list[Constant]:
    """Lower bounds of the jobs' functions over the region: the arithmetic `exact`.

    A job takes the tables of the one before as far as their paths agree, as those of neighbours in a tree mostly do.
    """
    found: list[Constant] = []
    path: Path = ()
    tables = [bounds]  # tables[k] is tightened by the first k ends of the path
    for job in jobs:
        common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, job.path, strict=False)))
        del tables[common + 1 :]
        for end in job.path[common:]:
            tables.append(tables[-1].along([end]))
        path = job.path
        found.append(propagate(program, tables[-1], job))
    return found


def propagate(program: Program, bounds: Bounds, job: Job) -> Constant:
    """A lower bound of the job's function over the region. Rejected if a value has no bounds."""
    start = {name: reduce(row, job.exponent) for name, row in job.rows.items()}
    pending: dict[str, Vector] = {}

    def gather(source: str, part: Vector) -> None:
        if source in pending:
            pending[source] = add(pending[source], part)
        else:
            pending[source] = enter(part, *start.pop(source)) if source in start else part

    constant, slopes = accumulate((0, 0), job.constant), job.slopes
    for name in program.order(tuple(sorted(job.rows))):
        if name in start:
            gather(name, Vector([0] * program.values[name].size, 0))
        if name not in pending:
            continue
        if name not in bounds:
            raise Rejected("bounds", f"{name!r} has none yet; an interval step must come first")
        row, constant = _shorten(pending.pop(name), bounds[name], constant)
        value = program.values[name]
        if value.kind == "input":
            constant = accumulate(constant, _least(row, bounds[name]))
        elif value.kind == "relu":
            part, gained = _relu(row, bounds[value.source], slopes.get(name, {}))
            constant = accumulate(constant, gained)
            gather(value.source, part)
        else:
            for source, matrix in value.terms:
                part = matrix.backward(row)
                if matrix.inexact:  # true coefficients are up to a unit more: |(row R) x| <= sum|row| sum|x|
                    lost = sum(map(abs, row.integers)) * reach(bounds[source])
                    constant = accumulate(constant, (-lost, part.exponent + bounds[source].exponent))
                part, constant = _shorten(part, bounds[source], constant)
                gather(source, part)
            if value.bias is not None:
                product = sum([a * b for a, b in zip(row.integers, value.bias.integers, strict=True)])
                constant = accumulate(constant, (product, row.exponent + value.bias.exponent))
            if value.rounding is not None:  # what is executed is off by e: row e >= -|row| |e|
                error = bounds[error_of(name)]
                lost = sum(abs(a) * e for a, e in zip(row.integers, error.upper, strict=True))
                constant = accumulate(constant, (-lost, row.exponent + error.exponent))
    return constant


def enter(row: Vector, entries: Mapping[int, int], exponent: int) -> Vector:
    """`add` for a vector of which few entries are given."""
    if not any(entries.values()):
        return row
    unit = min(row.exponent, exponent) if any(row.integers) else exponent
    integers = [value << row.exponent - unit for value in row.integers] if unit < row.exponent else list(row.integers)
    for index, value in entries.items():
        integers[index] += value << exponent - unit
    return Vector(integers, unit)


def reduce(row: Mapping[int, int], exponent: int) -> tuple[Mapping[int, int], int]:
    """The same row without common factors of two, so that it does not matter how it was written."""
    common = 0
    for value in row.values():
        common |= value
    zeros = max((common & -common).bit_length() - 1, 0)
    return {index: value >> zeros for index, value in row.items()}, exponent + zeros


def _shorten(row: Vector, bounds: Interval, constant: Constant) -> tuple[Short, Constant]:
    """Floor the coefficients. Each loses r with 0 <= r < 1 unit, and r v >= min(0, lower), which is charged."""
    short, dropped = shorten(row)
    if not dropped:
        return short, constant
    return short, accumulate(constant, (bounds.below, short.exponent + bounds.exponent))


def _least(row: Vector, bounds: Interval) -> Constant:
    """The minimum of row . v for v in the interval."""
    ends = zip(row.integers, bounds.lower, bounds.upper, strict=True)
    return sum(a * (low if a > 0 else high) for a, low, high in ends), row.exponent + bounds.exponent


def _relu(row: Vector, bounds: Interval, slopes: Mapping[int, int]) -> tuple[Vector, Constant]:
    """Active: the identity. Inactive: zero. Unstable, a > 0: any slope in [0, 1] through the origin is below.
    Unstable, a < 0: the chord from (lower, 0) is above, and floor(a * chord) <= a * chord keeps it so."""
    given = row.integers
    result = [0] * len(given)
    intercept = 0
    for index in bounds.phases.active:
        result[index] = given[index]
    for index, lower, chord, default in bounds.phases.unstable:
        a = given[index]
        if a > 0:
            result[index] = a * slopes.get(index, default) >> SLOPE_BITS
        elif a < 0:
            result[index] = taken = a * chord >> CHORD_BITS
            intercept -= taken * lower
    return Vector(result, row.exponent), (intercept, row.exponent + bounds.exponent)
