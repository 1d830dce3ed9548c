"""Backward substitution: a lower bound of a linear function of values over a region, in the arithmetic `exact`.

Starting from coefficients on some values, each value is replaced by what it is computed from, users before what they
use, such that for every point of the region

    sum rows . values + constant  >=  sum rows' . values + constant'.

Every rounding is a floor whose loss is charged to the constant. The order of the steps below is part of the definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlverify.certify.kernel.arithmetic import Constant, Interval, Vector, accumulate, add, shorten
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import Program, error_of, reach

SLOPE_BITS = 7  # a proposed slope is k / 2^7 with 0 <= k <= 2^7
CHORD_BITS = 22  # a chord's slope is rounded up to a multiple of 2^-22

Path = Sequence[tuple[str, int, bool, int]]
"""Ends that are tighter in a part of the region: (value, entry, is upper, integer in the unit of the table)."""
Slopes = Mapping[str, Mapping[int, int]]
"""For ReLUs by name: neuron to slope, where it differs from the default."""


@dataclass(frozen=True)
class Unstable:
    """A neuron with lower < 0 < upper: its lower end, its chord's slope rounded up, its default lower slope."""

    index: int
    lower: int
    chord: int
    default_slope: int


@dataclass(frozen=True)
class Phases:
    """The neurons of a ReLU that pass their input on, and those that may do either; the others give 0."""

    active: Sequence[int]
    unstable: Sequence[Unstable]
    exponent: int


def classify(bounds: Interval) -> Phases:
    """The phases of a ReLU by the bounds of its input."""
    everyone = range(len(bounds.lower))
    unstable = [_unstable(bounds, i) for i in everyone if bounds.lower[i] < 0 < bounds.upper[i]]
    return Phases([i for i in everyone if bounds.lower[i] >= 0], unstable, bounds.exponent)


def revise(phases: Phases, bounds: Interval, index: int) -> Phases:
    """The phases after the bounds of one neuron have changed."""
    active = [i for i in phases.active if i != index]
    unstable = [neuron for neuron in phases.unstable if neuron.index != index]
    if bounds.lower[index] >= 0:
        active.append(index)
    elif bounds.upper[index] > 0:
        unstable.append(_unstable(bounds, index))
    return Phases(active, unstable, bounds.exponent)


def _unstable(bounds: Interval, index: int) -> Unstable:
    low, high = bounds.lower[index], bounds.upper[index]
    chord = -((-high << CHORD_BITS) // (high - low))
    return Unstable(index, low, chord, 1 << SLOPE_BITS if high > -low else 0)


class Bounds(dict[str, Interval]):
    """The table: intervals known to hold in a region, by value. Phases are worked out once for each interval."""

    def __init__(self, known: Mapping[str, Interval]) -> None:
        super().__init__(known)
        self._phases: dict[str, tuple[Interval, Phases]] = {}

    def copy(self) -> Bounds:
        result = Bounds(self)
        result._phases = dict(self._phases)
        return result

    def along(self, path: Path) -> Bounds:
        """The table with some ends tightened."""
        if not path:
            return self
        for name in {name for name, *_ in path}:
            self.phases(name)  # worked out once, here, and revised below
        result = self.copy()
        for name, index, upper, end in path:
            known, phases = result[name], result.phases(name)
            ends = list(known.upper if upper else known.lower)
            ends[index] = min(ends[index], end) if upper else max(ends[index], end)
            low, high = (known.lower, ends) if upper else (ends, known.upper)
            result[name] = Interval(low, high, known.exponent)
            result._phases[name] = (result[name], revise(phases, result[name], index))
        return result

    def phases(self, name: str) -> Phases:
        """Phases of the ReLUs whose input is `name`."""
        bounds, known = self[name], self._phases.get(name)
        if known is None or known[0] is not bounds:
            known = self._phases[name] = (bounds, classify(bounds))
        return known[1]


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
    """Lower bounds of the jobs' functions over the region: the arithmetic `exact`."""
    return [propagate(program, bounds.along(job.path), job) for job in jobs]


def propagate(program: Program, bounds: Bounds, job: Job) -> Constant:
    """A lower bound of the job's function over the region. Rejected if a value has no bounds."""
    pending = {name: _spread(row, program.values[name].size, job.exponent) for name, row in job.rows.items()}
    constant, slopes = accumulate((0, 0), job.constant), job.slopes
    for name in program.order(tuple(sorted(job.rows))):
        if name not in pending:
            continue
        if name not in bounds:
            raise Rejected("bounds", f"{name!r} has none yet; an interval step must come first")
        row, constant = _shorten(pending.pop(name), bounds[name], constant)
        value = program.values[name]
        if value.kind == "input":
            constant = accumulate(constant, _least(row, bounds[name]))
        elif value.kind == "relu":
            part, gained = _relu(row, bounds.phases(value.source), slopes.get(name, {}))
            constant = accumulate(constant, gained)
            pending[value.source] = add(pending[value.source], part) if value.source in pending else part
        else:
            for source, matrix in value.terms:
                part = Vector(matrix.backward(row.integers), row.exponent + matrix.exponent)
                if matrix.inexact:  # true coefficients are up to a unit more: |(row R) x| <= sum|row| sum|x|
                    lost = sum(map(abs, row.integers)) * reach(bounds[source])
                    constant = accumulate(constant, (-lost, part.exponent + bounds[source].exponent))
                part, constant = _shorten(part, bounds[source], constant)
                pending[source] = add(pending[source], part) if source in pending else part
            if value.bias is not None:
                product = sum(a * b for a, b in zip(row.integers, value.bias.integers, strict=True))
                constant = accumulate(constant, (product, row.exponent + value.bias.exponent))
            if value.rounding is not None:  # what is executed is off by e: row e >= -|row| |e|
                error = bounds[error_of(name)]
                lost = sum(abs(a) * e for a, e in zip(row.integers, error.upper, strict=True))
                constant = accumulate(constant, (-lost, row.exponent + error.exponent))
    return constant


def _spread(row: Mapping[int, int], size: int, exponent: int) -> Vector:
    integers = [0] * size
    reduced, own = reduce(row, exponent)
    for index, value in reduced.items():
        integers[index] = value
    return Vector(integers, own)


def reduce(row: Mapping[int, int], exponent: int) -> tuple[Mapping[int, int], int]:
    """The same row without common factors of two, so that it does not matter how it was written."""
    common = 0
    for value in row.values():
        common |= value
    zeros = max((common & -common).bit_length() - 1, 0)
    return {index: value >> zeros for index, value in row.items()}, exponent + zeros


def _shorten(row: Vector, bounds: Interval, constant: Constant) -> tuple[Vector, Constant]:
    """Floor the coefficients. Each loses r with 0 <= r < 1 unit, and r v >= min(0, lower), which is charged."""
    row, dropped = shorten(row)
    if not dropped:
        return row, constant
    charge = sum(low for low in bounds.lower if low < 0)
    return row, accumulate(constant, (charge, row.exponent + bounds.exponent))


def _least(row: Vector, bounds: Interval) -> Constant:
    """The minimum of row . v for v in the interval."""
    ends = zip(row.integers, bounds.lower, bounds.upper, strict=True)
    return sum(a * (low if a > 0 else high) for a, low, high in ends), row.exponent + bounds.exponent


def _relu(row: Vector, phases: Phases, slopes: Mapping[int, int]) -> tuple[Vector, Constant]:
    """Active: the identity. Inactive: zero. Unstable, a > 0: any slope in [0, 1] through the origin is below.
    Unstable, a < 0: the chord from (lower, 0) is above, and floor(a * chord) <= a * chord keeps it so."""
    given = row.integers
    result = [0] * len(given)
    intercept = 0
    for index in phases.active:
        result[index] = given[index]
    for neuron in phases.unstable:
        a = given[neuron.index]
        if a > 0:
            result[neuron.index] = a * slopes.get(neuron.index, neuron.default_slope) >> SLOPE_BITS
        elif a < 0:
            taken = a * neuron.chord >> CHORD_BITS
            result[neuron.index] = taken
            intercept -= taken * neuron.lower
    return Vector(result, row.exponent), (intercept, row.exponent + phases.exponent)
