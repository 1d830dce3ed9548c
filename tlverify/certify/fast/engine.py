"""The arithmetic `fast`: kernel.backward.propagate for many jobs at once, bit for bit, on float64 BLAS.

What cannot be done exactly in float64 (a guard says so) is done again by `exact`; both are the same definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT, EXACT, Array
from tlverify.certify.fast.freivalds import recompute
from tlverify.certify.fast.linear import Linear, most
from tlverify.certify.fast.selftest import self_test
from tlverify.certify.kernel.arithmetic import Constant, Interval, Vector, accumulate
from tlverify.certify.kernel.backward import CHORD_BITS, SLOPE_BITS, Bounds, Job, propagate, reduce
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import Map, Program, reach

BATCH_ENTRIES = 1 << 16  # rows times the widest value: what a cache holds


@dataclass
class Batch:
    """Jobs being propagated together: coefficients by value (batch, n) with an exponent for each job, and constants.

    `cut[name]` lists phases that jobs fix: (jobs, neurons, whether active). `boxes[name]` replaces the ends of an
    input, in digits, (batch, n), and `negatives[name]` is then the sum of its min(0, lower). `slopes[name]` is
    (batch, n) in units of 2^-SLOPE_BITS. `undone` jobs are left to `exact`.
    """

    pending: dict[str, tuple[Array, Array]]
    total: Array
    unit: Array
    undone: Array
    cut: Mapping[str, tuple[Array, Array, Array]] = field(default_factory=dict)
    boxes: Mapping[str, tuple[list[Array], list[Array]]] = field(default_factory=dict)
    negatives: Mapping[str, Array] = field(default_factory=dict)
    slopes: Mapping[str, Array] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)


class Prepared:
    """A program and a table of bounds as arrays."""

    def __init__(self, program: Program, bounds: Bounds, xp: ModuleType, maps: dict[int, Linear], verify: bool) -> None:
        self.program = program
        self.bounds = bounds
        self.xp = xp
        self.maps = maps
        self.verify = verify
        self.batch = max(32, BATCH_ENTRIES // max(value.size for value in program.values.values()))
        self.relu_sources = {value.source for value in program.values.values() if value.kind == "relu"}
        self._relus: dict[str, tuple[Any, ...]] = {}
        self._boxes: dict[str, tuple[list[Array], list[Array]]] = {}
        self._biases: dict[str, tuple[list[Array], float]] = {}
        self._negatives: dict[str, float] = {}
        self._lower: dict[str, Array] = {}

    def inherit(self, other: Prepared) -> None:
        """Take over what another table of the same program has made of values whose bounds are the same here."""
        self._biases.update(other._biases)
        same = [name for name, known in self.bounds.items() if other.bounds.get(name) is known]
        caches: list[tuple[dict[str, Any], dict[str, Any]]] = [
            (self._relus, other._relus),
            (self._boxes, other._boxes),
            (self._negatives, other._negatives),
            (self._lower, other._lower),
        ]
        for own, made in caches:
            own.update({name: made[name] for name in same if name in made})

    def linear(self, matrix: Map) -> Linear:
        if id(matrix) not in self.maps:
            self.maps[id(matrix)] = Linear(matrix, self.xp, self.verify)
        return self.maps[id(matrix)]

    def product(self, row: Array, columns: Array, undone: Array) -> Array:
        """row @ columns, for a vector or a few columns."""
        found = row @ columns
        if self.verify:
            recompute(row, columns, found, undone)
        return found

    def negative(self, name: str) -> float:
        """sum of min(0, lower), or NaN if that is not exact."""
        if name not in self._negatives:
            total = sum(low for low in self.bounds[name].lower if low < 0)
            self._negatives[name] = float(total) if -total < 1 << 52 else float("nan")
        return self._negatives[name]

    def lower(self, name: str) -> Array:
        """Lower ends as floats, held to -2^52."""
        if name not in self._lower:
            ends = [float(min(max(low, -int(EXACT)), 0)) for low in self.bounds[name].lower]
            self._lower[name] = self.xp.asarray(ends)
        return self._lower[name]

    def box(self, name: str) -> tuple[list[Array], list[Array]]:
        """The ends of an input in digits."""
        if name not in self._boxes:
            known = self.bounds[name]
            self._boxes[name] = (_columns(known.lower, self.xp), _columns(known.upper, self.xp))
        return self._boxes[name]

    def bias(self, name: str, bias: Vector) -> tuple[list[Array], float]:
        if name not in self._biases:
            split = digits.split(bias.integers)
            self._biases[name] = ([self.xp.asarray(part, dtype=float) for part in split], most(split))
        return self._biases[name]

    def relu(self, source: str) -> tuple[Any, ...]:
        """For a ReLU's input: factors for coefficients above and below 0, which neurons are unstable, and columns: the
        lower ends of the unstable in digits."""
        if source not in self._relus:
            phases, size = self.bounds.phases(source), len(self.bounds[source].lower)
            above, below, lower, unstable = ([0] * size for _ in range(4))
            for index in phases.active:
                above[index] = below[index] = 1 << CHORD_BITS
            for neuron in phases.unstable:
                above[neuron.index] = neuron.default_slope << CHORD_BITS - SLOPE_BITS
                below[neuron.index] = neuron.chord
                lower[neuron.index] = neuron.lower
                unstable[neuron.index] = 1
            xp = self.xp
            columns = xp.stack([xp.asarray(part, dtype=float) for part in digits.split(lower)], 1)
            arrays = (xp.asarray(part, dtype=float) / DIGIT for part in (above, below))
            self._relus[source] = (*arrays, xp.asarray(unstable, dtype=bool), columns)
        return self._relus[source]


def _columns(values: Sequence[int], xp: ModuleType) -> list[Array]:
    return [xp.asarray(part, dtype=float) for part in digits.split(values)]


def run(prepared: Prepared, batch: Batch) -> None:
    """Propagate to the inputs. Follows kernel.backward.propagate step by step."""
    xp, program = prepared.xp, prepared.program
    for name in program.order(tuple(sorted(batch.pending))):
        if name not in batch.pending:
            continue
        row, exponent = batch.pending.pop(name)
        if name in batch.short:
            batch.short.discard(name)
        else:
            row, exponent = _shorten(prepared, batch, name, [row], exponent)
        value = program.values[name]
        if value.kind == "input":
            _least(prepared, batch, name, row, exponent)
        elif value.kind == "relu":
            _join(batch, value.source, _relu(prepared, batch, name, value.source, row, exponent), exponent, xp)
        else:
            for source, matrix in value.terms:
                linear = prepared.linear(matrix)
                if matrix.inexact or value.size * DIGIT * linear.most >= EXACT:
                    weight = xp.abs(row).sum(1)
                    batch.undone |= weight * linear.most >= EXACT
                if matrix.inexact:
                    far = digits.split([reach(prepared.bounds[source])])
                    if source in batch.cut:  # their reach is less
                        batch.undone[batch.cut[source][0]] = True
                    if source in batch.boxes:
                        batch.undone[:] = True
                    batch.undone |= weight * DIGIT >= EXACT
                    unit = exponent + matrix.exponent + prepared.bounds[source].exponent
                    _gain(batch, [-weight * float(digit) for (digit,) in far], unit, xp)
                product = digits.carry(linear.apply(row, batch.undone, xp), xp)
                part, own = _shorten(prepared, batch, source, product, exponent + linear.exponent)
                _join(batch, source, part, own, xp, short=True)
            if value.bias is not None:
                parts, largest = prepared.bias(name, value.bias)
                if value.size * DIGIT * largest >= EXACT:
                    batch.undone |= xp.abs(row).sum(1) * largest >= EXACT
                gained = [prepared.product(row, part, batch.undone) for part in parts]
                _gain(batch, gained, exponent + value.bias.exponent, xp)


def _shorten(prepared: Prepared, batch: Batch, name: str, row: list[Array], exponent: Array) -> tuple[Array, Array]:
    xp = prepared.xp
    short, exponent, floored, undone = digits.shorten(row, exponent, xp)
    batch.undone |= undone
    charge = prepared.negative(name)
    if name in batch.negatives:
        _gain(batch, [xp.where(floored, batch.negatives[name], 0.0)], exponent + prepared.bounds[name].exponent, xp)
    elif charge or name in batch.cut:
        if charge != charge:
            batch.undone |= floored
            charge = 0.0
        negative = xp.full(len(short), charge)
        if name in batch.cut:
            jobs, neurons, active = batch.cut[name]
            lower = prepared.lower(name)[neurons]
            batch.undone[jobs[lower <= -EXACT]] = True
            xp.add.at(negative, jobs, xp.where(active, -xp.minimum(lower, 0.0), 0.0))
        _gain(batch, [xp.where(floored, negative, 0.0)], exponent + prepared.bounds[name].exponent, xp)
    return short, exponent


def _gain(batch: Batch, value: list[Array], exponent: Array, xp: ModuleType) -> None:
    batch.total, batch.unit = digits.accumulate(batch.total, batch.unit, digits.carry(value, xp), exponent, xp)


def _join(batch: Batch, name: str, row: Array, exponent: Array, xp: ModuleType, short: bool = False) -> None:
    """Exact sum with what is pending for the value; a row of zeros counts as nothing. `short` rows alone stay as they
    are when they are reached."""
    if name not in batch.pending:
        batch.pending[name] = (row, exponent)
        if short:
            batch.short.add(name)
        return
    batch.short.discard(name)
    other, unit = batch.pending[name]
    own, known = row.any(1), other.any(1)
    least = xp.where(own & known, xp.minimum(exponent, unit), xp.where(known, unit, exponent))
    up, over = xp.where(own, exponent - least, 0), xp.where(known, unit - least, 0)
    for part, places in ((row, up), (other, over)):  # each below 2^51, so the sum is exact
        batch.undone |= xp.abs(part).max(1) * digits.power(places, xp) >= EXACT / 2
    total = row * digits.power(up, xp)[:, None] + other * digits.power(over, xp)[:, None]
    batch.pending[name] = (total, least)


def _relu(prepared: Prepared, batch: Batch, name: str, source: str, row: Array, exponent: Array) -> Array:
    xp = prepared.xp
    above, below, unstable, lower = prepared.relu(source)
    if name in batch.slopes:
        given = batch.slopes[name] * (0.5**SLOPE_BITS)
        above = xp.where(unstable & (given >= 0), given, above)
    result = xp.floor(row * xp.where(row > 0, above, below))
    taken = xp.minimum(result, 0.0)
    if source in batch.cut:
        jobs, neurons, active = batch.cut[source]
        result[jobs, neurons] = xp.where(active, row[jobs, neurons], 0.0)
        taken[jobs, neurons] = 0.0
    batch.undone |= -taken.sum(1) * DIGIT >= EXACT
    columns = -prepared.product(taken, lower, batch.undone)
    parts = [columns[:, k] for k in range(columns.shape[1])]
    _gain(batch, parts, exponent + prepared.bounds[source].exponent, xp)
    return result


def _least(prepared: Prepared, batch: Batch, name: str, row: Array, exponent: Array) -> None:
    xp = prepared.xp
    lower, upper = batch.boxes.get(name) or prepared.box(name)
    up, down = xp.maximum(row, 0.0), xp.minimum(row, 0.0)
    batch.undone |= xp.abs(row).sum(1) * DIGIT >= EXACT
    count = max(len(lower), len(upper))
    parts = []
    for k in range(count):
        part = xp.zeros(len(row))
        for side, ends in ((up, lower), (down, upper)):
            if k < len(ends):
                end, own = ends[k], ends[k].ndim == 2  # a box for each job
                part = part + ((side * end).sum(1) if own else prepared.product(side, end, batch.undone))
        parts.append(part)
    _gain(batch, parts, exponent + prepared.bounds[name].exponent, xp)


class Engine:
    """`engine(program, bounds, jobs)`: the lower bounds that `exact` gives, for all jobs in batches.

    `verify_products` checks each product of BLAS. SelfTestError if this machine's float64 is not as it should be.
    """

    def __init__(self, xp: ModuleType = numpy, verify_products: bool = False) -> None:
        self_test(xp)
        self.xp = xp
        self.verify = verify_products
        self._maps: WeakKeyDictionary[Program, dict[int, Linear]] = WeakKeyDictionary()
        self._last: tuple[list[Interval], Prepared] | None = None

    def prepare(self, program: Program, bounds: Bounds) -> Prepared:
        """Arrays for a table; kept as long as the table stays as it is."""
        seen = list(bounds.values())
        if self._last is not None:
            known, prepared = self._last
            same = len(known) == len(seen) and all(a is b for a, b in zip(known, seen, strict=True))
            if same and prepared.program is program:
                return prepared
        prepared = Prepared(program, bounds.copy(), self.xp, self._maps.setdefault(program, {}), self.verify)
        if self._last is not None and self._last[1].program is program:
            prepared.inherit(self._last[1])
        self._last = (seen, prepared)
        return prepared

    def __call__(self, program: Program, bounds: Bounds, jobs: Sequence[Job]) -> list[Constant]:
        prepared = self.prepare(program, bounds)
        result: list[Constant] = []
        for start in range(0, len(jobs), prepared.batch):
            part = jobs[start : start + prepared.batch]
            missing = next((n for job in part for n in program.order(tuple(sorted(job.rows))) if n not in bounds), None)
            if missing is not None:
                raise Rejected("bounds", f"{missing!r} has none yet; an interval step must come first")
            batch = gather(prepared, part)
            run(prepared, batch)
            result += finish(prepared, batch, part)
        return result


def gather(prepared: Prepared, jobs: Sequence[Job]) -> Batch:
    """Jobs as arrays."""
    xp, program, count = prepared.xp, prepared.program, len(jobs)
    undone = numpy.zeros(count, dtype=bool)
    rows: dict[str, Any] = {}
    exponents: dict[str, Any] = {}
    constants = [accumulate((0, 0), job.constant) for job in jobs]
    slopes: dict[str, Any] = {}
    phases: dict[str, dict[tuple[int, int], bool]] = {}
    boxes: dict[str, Any] = {}
    for j, job in enumerate(jobs):
        for name, row in job.rows.items():
            if name not in rows:
                rows[name] = numpy.zeros((count, program.values[name].size))
                exponents[name] = numpy.zeros(count, dtype=numpy.int64)
            reduced, exponents[name][j] = reduce(row, job.exponent)
            undone[j] |= any(abs(v) >= EXACT for v in reduced.values())
            if not undone[j]:
                rows[name][j, list(reduced)] = list(reduced.values())
        for name, given in job.slopes.items():
            if name not in slopes:
                slopes[name] = numpy.full((count, program.values[name].size), -1.0)
            slopes[name][j, list(given)] = list(given.values())
        for name, index, upper, end in job.path:
            if program.values[name].kind == "input":
                _narrow(prepared, boxes, name, count, j, index, upper, end)
            elif end == 0 and name in prepared.relu_sources:
                known = phases.setdefault(name, {})
                known[j, index] = known.get((j, index), False) or not upper or prepared.bounds[name].lower[index] >= 0
            else:
                undone[j] = True
    negatives = {}
    for name, (low, _) in boxes.items():
        totals = [sum(v for v in row if v < 0) for row in low]
        undone |= numpy.array([-total >= EXACT or name in prepared.relu_sources for total in totals])
        negatives[name] = xp.asarray([float(max(total, -(1 << 52))) for total in totals])
    return Batch(
        {name: (xp.asarray(row), xp.asarray(exponents[name])) for name, row in rows.items()},
        xp.asarray([float(c) for c, _ in constants]),
        xp.asarray([e for _, e in constants], dtype=numpy.int64),
        xp.asarray(undone),
        {name: _cut(known, xp) for name, known in phases.items()},
        {name: (_digits_of(low, xp), _digits_of(high, xp)) for name, (low, high) in boxes.items()},
        negatives,
        {name: xp.asarray(given) for name, given in slopes.items()},
    )


def _cut(known: dict[tuple[int, int], bool], xp: ModuleType) -> tuple[Array, Array, Array]:
    jobs, neurons = zip(*known, strict=True)
    return xp.asarray(jobs), xp.asarray(neurons), xp.asarray(list(known.values()), dtype=bool)


def _narrow(
    prepared: Prepared, boxes: dict[str, Any], name: str, count: int, job: int, index: int, upper: bool, end: int
) -> None:
    bounds = prepared.bounds[name]
    if name not in boxes:
        boxes[name] = ([list(bounds.lower) for _ in range(count)], [list(bounds.upper) for _ in range(count)])
    low, high = boxes[name]
    if upper:
        high[job][index] = min(high[job][index], end)
    else:
        low[job][index] = max(low[job][index], end)


def _digits_of(rows: list[list[int]], xp: ModuleType) -> list[Array]:
    parts = digits.split([v for row in rows for v in row])
    return [xp.asarray(part, dtype=float).reshape(len(rows), -1) for part in parts]


def finish(prepared: Prepared, batch: Batch, jobs: Sequence[Job]) -> list[Constant]:
    """The bounds as integers; what was not exact is done by `exact`."""
    ends = zip(batch.total.tolist(), batch.unit.tolist(), batch.undone.tolist(), jobs, strict=True)
    return [
        propagate(prepared.program, prepared.bounds.along(job.path), job) if undone else (int(total), unit)
        for total, unit, undone, job in ends
    ]
