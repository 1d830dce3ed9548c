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
from tlverify.certify.fast.linear import Linear
from tlverify.certify.fast.prepared import Prepared, Relaxation
from tlverify.certify.fast.selftest import self_test
from tlverify.certify.kernel.arithmetic import Constant, Interval, accumulate
from tlverify.certify.kernel.backward import SLOPE_BITS, Bounds, Job, propagate, reduce
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import Map, Program, error_of, reach
from tlverify.certify.kernel.proof import Machine


@dataclass(frozen=True)
class Pending:
    """Coefficients on a value (n, jobs) with an exponent for each job, and what is known of them:

    GIVEN and SUM nothing, SHORT that they are shortened, WITHIN that none is longer than COEFFICIENT_BITS. GIVEN rows
    are a job's own, mostly of one entry, so that the filter of products would seldom decide.
    """

    row: Array
    exponent: Array
    form: str


GIVEN, SUM, SHORT, WITHIN = "given", "sum", "short", "within"


@dataclass
class Batch:
    """Jobs being propagated together: one column each.

    `added[name]` are further coefficients of their own on a ReLU's input: (neurons, jobs, values, an exponent for each
    job, whether a job has any), of which no job has two on one neuron. `cut[name]` lists phases that jobs fix: (jobs,
    neurons, whether active). `boxes[name]` replaces the ends of an input, in digits, (n, jobs), and `negatives[name]`
    is then the sum of its min(0, lower), in digits. `slopes[name]` is (neurons, (neurons, jobs) in units of
    2^-SLOPE_BITS). `undone` jobs are left to `exact`.
    """

    pending: dict[str, Pending]
    total: Array
    unit: Array
    undone: Array
    added: dict[str, tuple[Array, Array, Array, Array, Array]] = field(default_factory=dict)
    cut: Mapping[str, tuple[Array, Array, Array]] = field(default_factory=dict)
    boxes: Mapping[str, tuple[list[Array], list[Array]]] = field(default_factory=dict)
    negatives: Mapping[str, list[Array]] = field(default_factory=dict)
    slopes: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)


def run(prepared: Prepared, batch: Batch) -> None:
    """Propagate to the inputs. Follows kernel.backward.propagate step by step."""
    xp, program = prepared.xp, prepared.program
    for name in program.order(tuple(sorted({*batch.pending, *batch.added}))):
        if name in batch.added:
            count = len(batch.undone)
            nothing = xp.zeros((program.values[name].size, count))
            _join(batch, name, Pending(nothing, xp.zeros(count, dtype=int), SUM), xp)
        if name not in batch.pending:
            continue
        found = batch.pending.pop(name)
        value = program.values[name]
        linears = [(source, matrix, prepared.linear(matrix)) for source, matrix in value.terms]
        filtered = found.form != GIVEN and all(linear.filtered for *_, linear in linears)
        if found.form == SHORT or (found.form == WITHIN and value.kind != "input" and linears and filtered):
            row, exponent = found.row, found.exponent
        else:
            row, exponent = _shorten(prepared, batch, name, [found.row], found.exponent)
        if value.kind == "input":
            _least(prepared, batch, name, row, exponent)
        elif value.kind == "relu":
            part = _relu(prepared, batch, name, value.source, row, exponent)
            _join(batch, value.source, Pending(part, exponent, WITHIN), xp)
        else:
            within = found.form == WITHIN and filtered
            for source, matrix, linear in linears:
                if matrix.inexact:
                    _gain_reach(prepared, batch, source, matrix, row, exponent)
                if filtered:
                    shortened = _filtered(prepared, batch, name, linear, row, exponent, within)
                else:
                    shortened = _product(prepared, batch, linear, row, exponent)
                part, own, floored, undone = shortened
                batch.undone |= undone
                _charge(prepared, batch, source, floored, own)
                _join(batch, source, Pending(part, own, SHORT), xp)
            if value.bias is not None:
                parts, heaviest = prepared.bias(name, value.bias)
                width = digits.width(len(row))
                if DIGIT * heaviest >= EXACT:
                    batch.undone |= xp.abs(row).sum(0) * 2.0**width >= EXACT
                gained = digits.joined(prepared.product(parts, row, batch.undone), width, xp)
                _gain(batch, gained, exponent + value.bias.exponent, xp)
            if value.rounding is not None:
                _gain_error(prepared, batch, name, row, exponent)


def _gain_reach(prepared: Prepared, batch: Batch, source: str, matrix: Map, row: Array, exponent: Array) -> None:
    """What an inexact map's coefficients may be more."""
    xp = prepared.xp
    weight = xp.abs(row).sum(0)
    width = digits.width(len(row))
    far = digits.split([reach(prepared.bounds[source])], width)
    if source in batch.cut:  # their reach is less
        batch.undone[batch.cut[source][0]] = True
    if source in batch.boxes:
        batch.undone[:] = True
    batch.undone |= weight * 2.0**width >= EXACT
    unit = exponent + matrix.exponent + prepared.bounds[source].exponent
    _gain(batch, digits.joined([-weight * float(digit) for (digit,) in far], width, xp), unit, xp)


def _gain_error(prepared: Prepared, batch: Batch, name: str, row: Array, exponent: Array) -> None:
    """What an execution may miss the value by."""
    xp = prepared.xp
    magnitude = xp.abs(row)
    if len(row) * DIGIT * DIGIT >= EXACT:
        batch.undone |= magnitude.sum(0) * DIGIT >= EXACT
    (lost,) = prepared.product(prepared.error(name), magnitude, batch.undone)
    _gain(batch, [-lost], exponent + prepared.bounds[error_of(name)].exponent, xp)


def _product(
    prepared: Prepared, batch: Batch, linear: Linear, row: Array, exponent: Array
) -> tuple[Array, Array, Array, Array]:
    """The row times a matrix, exactly, and then shortened."""
    xp, undone = prepared.xp, batch.undone
    if DIGIT * linear.heaviest >= EXACT:
        undone = undone | (xp.abs(row).sum(0) * linear.most >= EXACT)
    product = digits.carry(linear.apply(row, undone, xp), xp)
    short, own, floored, more = digits.shorten(product, exponent + linear.exponent, xp)
    return short, own, floored, undone | more


def _filtered(
    prepared: Prepared, batch: Batch, name: str, linear: Linear, row: Array, exponent: Array, within: bool
) -> tuple[Array, Array, Array, Array]:
    """The same by one product in float64, which decides nearly all floors; exactly for the jobs of the others."""
    xp, whole, some, undone = prepared.xp, linear.whole, row, batch.undone
    alive = prepared.alive(name) if linear.blocks == 1 and linear.groups is None else None
    if alive is not None and not bool(row[alive[1]].any()):
        whole, some = prepared.restricted(linear, name, alive[0]), row[alive[0]]
    short, drop, sure = linear.floors(whole, some, xp)
    (rest,) = xp.nonzero(~sure)
    own, floored = exponent + linear.exponent + drop, sure
    linear.decided(len(sure), len(rest))
    if len(rest):
        again, unit = row[:, rest], exponent[rest]
        if within:
            again, unit, *_ = digits.shorten([again], unit, xp)
        part = Batch({}, batch.total[rest], batch.unit[rest], undone[rest])
        short[:, rest], own[rest], floored[rest], more = _product(prepared, part, linear, again, unit)
        undone = undone.copy()
        undone[rest] |= more
    return short, own, floored, undone


def _shorten(prepared: Prepared, batch: Batch, name: str, row: list[Array], exponent: Array) -> tuple[Array, Array]:
    short, exponent, floored, undone = digits.shorten(row, exponent, prepared.xp)
    batch.undone |= undone
    _charge(prepared, batch, name, floored, exponent)
    return short, exponent


def _charge(prepared: Prepared, batch: Batch, name: str, floored: Array, exponent: Array) -> None:
    """What flooring may have cost."""
    xp = prepared.xp
    if not (prepared.negative(name) or name in batch.negatives or name in batch.cut) or not floored.any():
        return
    if name in batch.negatives:
        negative = batch.negatives[name]
    else:
        lower = prepared.lower(name)
        negative = [xp.full(len(floored), digit) for digit in prepared.negative(name)]
        negative += [xp.zeros(len(floored)) for _ in range(len(lower) - len(negative))]
        if name in batch.cut:
            jobs, neurons, active = batch.cut[name]
            for total, ends in zip(negative, lower, strict=False):
                xp.add.at(total, jobs, xp.where(active, -ends[neurons], 0.0))
    charge = [xp.where(floored, digit, 0.0) for digit in negative]
    _gain(batch, charge, exponent + prepared.bounds[name].exponent, xp)


def _gain(batch: Batch, value: list[Array], exponent: Array, xp: ModuleType) -> None:
    batch.total, batch.unit = digits.accumulate(batch.total, batch.unit, digits.carry(value, xp), exponent, xp)


def _join(batch: Batch, name: str, part: Pending, xp: ModuleType) -> None:
    """Exact sum with what is pending for the value; a row of zeros counts as nothing."""
    if name in batch.added:
        part = _add(batch, part, *batch.added.pop(name), xp)
    if name not in batch.pending:
        batch.pending[name] = part
        return
    other = batch.pending[name]
    least, up, over = _align(part.row.any(0), part.exponent, other.row.any(0), other.exponent, xp)
    for row, places in ((part.row, up), (other.row, over)):  # each below 2^51, so the sum is exact
        batch.undone |= xp.abs(row).max(0) * digits.power(places, xp) >= EXACT / 2
    total = part.row * digits.power(up, xp) + other.row * digits.power(over, xp)
    batch.pending[name] = Pending(total, least, SUM)


def _align(own: Array, exponent: Array, known: Array, unit: Array, xp: ModuleType) -> tuple[Array, Array, Array]:
    """The exponent of a sum, and the places by which its parts are shifted up to it: those that are not 0."""
    least = xp.where(own & known, xp.minimum(exponent, unit), xp.where(known, unit, exponent))
    return least, xp.where(own, exponent - least, 0), xp.where(known, unit - least, 0)


def _add(
    batch: Batch, part: Pending, neurons: Array, jobs: Array, values: Array, unit: Array, known: Array, xp: ModuleType
) -> Pending:
    """The sum with a few coefficients of each job."""
    least, up, over = _align(part.row.any(0), part.exponent, known, unit, xp)
    if (up > 0).any():
        batch.undone |= xp.abs(part.row).max(0) * digits.power(up, xp) >= EXACT / 2
        row = part.row * digits.power(up, xp)
    else:
        row = part.row
    shifted = values * digits.power(over, xp)[jobs]
    batch.undone[jobs[xp.abs(shifted) >= EXACT / 2]] = True
    row[neurons, jobs] += shifted
    return Pending(row, least, SUM)


def _relu(prepared: Prepared, batch: Batch, name: str, source: str, row: Array, exponent: Array) -> Array:
    xp = prepared.xp
    phases = prepared.relu(source)
    above = phases.above
    if name in batch.slopes:
        above = _sloped(phases, row.shape, *batch.slopes[name], xp)
    taken = xp.minimum(row, 0.0)
    result = row - taken  # the positive part
    taken *= phases.below
    xp.floor(taken, out=taken)
    result *= above
    xp.floor(result, out=result)
    if source in batch.cut:
        jobs, neurons, active = batch.cut[source]
        taken[neurons, jobs] = 0.0
        result[neurons, jobs] = xp.where(active, row[neurons, jobs], 0.0)
    result += taken
    *columns, total = prepared.product(phases.lower, taken, batch.undone)
    width = digits.width(len(row))
    batch.undone |= -total * 2.0**width >= EXACT
    lost = digits.joined([-column for column in columns], width, xp)
    _gain(batch, lost, exponent + prepared.bounds[source].exponent, xp)
    return result


def _sloped(phases: Relaxation, shape: tuple[int, int], neurons: Array, slopes: Array, xp: ModuleType) -> Array:
    """Factors above 0 with slopes of the jobs' own, which only unstable neurons have."""
    given = xp.array(slopes, dtype=float, order="C")
    given *= 0.5**SLOPE_BITS
    result = xp.empty(shape)
    result[:] = phases.above
    free = phases.unstable[neurons]
    result[neurons[free]] = given if free.all() else given[free]
    return result


def _least(prepared: Prepared, batch: Batch, name: str, row: Array, exponent: Array) -> None:
    xp = prepared.xp
    lower, upper = batch.boxes.get(name) or prepared.box(name)
    down = xp.minimum(row, 0.0)
    up = row - down
    width = digits.width(len(row))
    if len(row) * DIGIT * 2.0**width >= EXACT:
        batch.undone |= xp.abs(row).sum(0) * 2.0**width >= EXACT
    parts = [xp.zeros(row.shape[1]) for _ in range(max(len(lower), len(upper)))]
    for side, ends in ((up, lower), (down, upper)):
        if ends[0].shape[1] > 1:  # a box for each job
            products = [(side * end).sum(0) for end in ends]
        else:
            products = list(prepared.product(xp.concatenate(ends, 1).T, side, batch.undone))
        for k, product in enumerate(products):
            parts[k] += product
    _gain(batch, digits.joined(parts, width, xp), exponent + prepared.bounds[name].exponent, xp)


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
        self.ahead: WeakKeyDictionary[Machine, dict[int, Any]] = WeakKeyDictionary()  # see fast.ahead

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
    phases: dict[str, dict[tuple[int, int], bool]] = {}
    boxes: dict[str, Any] = {}
    for j, job in enumerate(jobs):
        for name, row in job.rows.items():
            if name not in rows:
                rows[name] = numpy.zeros((program.values[name].size, count))
                exponents[name] = numpy.zeros(count, dtype=numpy.int64)
            reduced, exponents[name][j] = reduce(row, job.exponent)
            undone[j] |= any(abs(v) >= EXACT for v in reduced.values())
            if not undone[j]:
                rows[name][list(reduced), j] = list(reduced.values())
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
        undone |= name in prepared.relu_sources
        negatives[name] = [xp.asarray(digit, dtype=float) for digit in digits.split(totals)]
    return Batch(
        {name: Pending(xp.asarray(row), xp.asarray(exponents[name]), GIVEN) for name, row in rows.items()},
        xp.asarray([float(c) for c, _ in constants]),
        xp.asarray([e for _, e in constants], dtype=numpy.int64),
        xp.asarray(undone),
        {},
        {name: _cut(known, xp) for name, known in phases.items()},
        {name: (_digits_of(low, xp), _digits_of(high, xp)) for name, (low, high) in boxes.items()},
        negatives,
        _slopes(prepared, jobs),
    )


def _slopes(prepared: Prepared, jobs: Sequence[Job]) -> dict[str, tuple[Array, Array]]:
    """The slopes of the neurons for which any job gives one, with the default for the others."""
    result = {}
    for name in {name for job in jobs for name in job.slopes}:
        phases = prepared.bounds[prepared.program.values[name].source].phases
        default = {neuron.number: neuron.default_slope for neuron in phases.unstable}
        given = [job.slopes.get(name, {}) for job in jobs]
        neurons = sorted({index for known in given for index in known} & default.keys())
        table = [[known.get(index, default[index]) for known in given] for index in neurons]
        if neurons:
            result[name] = (prepared.xp.asarray(neurons), prepared.xp.asarray(table, dtype=float))
    return result


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
    parts = digits.split([v for row in rows for v in row], digits.width(len(rows[0])))
    return [xp.ascontiguousarray(xp.asarray(part, dtype=float).reshape(len(rows), -1).T) for part in parts]


def finish(prepared: Prepared, batch: Batch, jobs: Sequence[Job]) -> list[Constant]:
    """The bounds as integers; what was not exact is done by `exact`."""
    ends = zip(batch.total.tolist(), batch.unit.tolist(), batch.undone.tolist(), jobs, strict=True)
    return [
        propagate(prepared.program, prepared.bounds.along(job.path), job) if undone else (int(total), unit)
        for total, unit, undone, job in ends
    ]
