"""Forward and backward bounds in float64 that hold in spite of rounding, whatever the order of summation.

u bounds the relative error of one operation in any rounding mode, ETA what underflow can take from it, gradual or
flushed to zero; gamma_n = n u / (1 - n u) (Higham, Accuracy and Stability, 2002, section 3.1). Coefficients are used as
computed; the error of a product with a matrix is charged to the constant:

    |fl(row W) x - row W x| <= gamma_(m+1) |row| |W| |x|,

with |x| from the bounds at the root of the proof, so that |W| |x| is worked out once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy
import numpy.typing as npt

from tlverify.certify.kernel.arithmetic import Constant, Interval, bits
from tlverify.certify.kernel.backward import SLOPE_BITS, Bounds, Job
from tlverify.certify.kernel.contract import OVERFLOW, RELATIVE_BITS
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import Dense, Map, Program, Rounding, Value, error_of

Floats = npt.NDArray[numpy.float64]
Bits = npt.NDArray[numpy.bool_]
Ints = npt.NDArray[numpy.intp]

U = 2.0**-52
ETA = 2.0**-1020
SLACK = 1 + 2.0**-20  # covers the rounding of the error bounds themselves
LARGEST = 2.0**500  # magnitudes stay below this, so that nothing overflows
MAX_DENSE = 1 << 24
CHUNK = 1 << 16  # entries of the widest value in rows that are propagated together

Reaches = Mapping[str, tuple[Floats, float]]
"""`reach_of` a program"""
Seen = dict[str, Floats | None]
Watch = Callable[[Ints, Ints, Seen, Floats], None]
Columns = Ints | None
"""The entries of a value that rows hold; None: all."""


def gamma(n: int) -> float:
    """Relative error of a sum of n products in any order, with a margin for what is computed from it."""
    if n * U >= 2.0**-10:
        raise Rejected("interval", f"a sum of {n} terms is too long for float64")
    return n * U / (1 - n * U) * SLACK


def as_floats(integers: Sequence[int], exponent: int, what: str, exactly: bool = True) -> Floats:
    """integers * 2^exponent, if float64 holds each exactly; otherwise rounded, each by at most u of itself."""
    try:
        array = numpy.array(integers, dtype=numpy.float64)
    except OverflowError:
        raise Rejected("interval", f"{what} is too large for float64") from None
    exact = not (exactly and len(integers)) or bits(integers) <= 53
    exact = exact or all(int(f) == v for f, v in zip(array.tolist(), integers, strict=True))
    used = array[array != 0]
    if not exact or (len(used) and not _in_range(used, exponent)):
        raise Rejected("interval", f"{what} has more digits or range than float64")
    scaled: Floats = numpy.ldexp(array, exponent)
    return scaled


def _in_range(values: Floats, exponent: int) -> bool:
    top, bottom = numpy.frexp(numpy.abs(values).max())[1], numpy.frexp(numpy.abs(values).min())[1]
    return bool(top + exponent < 500 and bottom + exponent - 53 > -1000)


class Matrix:
    """A map in float64: one dense matrix (out, in) for each of `blocks` parts. A coefficient is exact, or `unit` off at
    most if the map is inexact."""

    def __init__(self, matrix: Map) -> None:
        if isinstance(matrix, Dense):
            self.blocks = matrix.blocks
            flat = [v for row in matrix.rows for v in row]
            shape = (matrix.out_features, matrix.in_features)
        else:
            if matrix.size * matrix.columns > MAX_DENSE:
                raise Rejected("interval", f"a sparse map of {matrix.size} x {matrix.columns} is too large")
            self.blocks = 1
            shape = (matrix.size, matrix.columns)
            flat = [0] * (shape[0] * shape[1])
            for row, pairs in enumerate(matrix.entries):
                for index, c in pairs:
                    flat[row * matrix.columns + index] += c
        rounded, self.unit = flat, 0.0
        if matrix.inexact:
            try:
                rounded = [int(float(v)) for v in flat]
            except OverflowError:
                raise Rejected("interval", "a weight is too large for float64") from None
            off = max(abs(v - w) for v, w in zip(flat, rounded, strict=True)) + 1
            self.unit = float(numpy.ldexp(float(off) * SLACK, matrix.exponent))
        self.weight = as_floats(rounded, matrix.exponent, "a weight").reshape(shape)
        self.magnitude = numpy.abs(self.weight)
        for array in (self.weight, self.magnitude):  # shared by all that work on the program
            array.setflags(write=False)

    def forward(self, x: Floats, weight: Floats) -> Floats:
        """x M^T for x (batch, in)."""
        return (x.reshape(len(x) * self.blocks, -1) @ weight.T).reshape(len(x), -1)

    def backward(self, row: Floats, out: Columns = None, into: Columns = None) -> Floats:
        """row M for rows (..., out) that hold the entries `out`, as far as the entries `into`."""
        if self.blocks != 1:
            whole = row if out is None else spread(row, out, self.blocks * len(self.weight))
            product: Floats = (whole.reshape(-1, len(self.weight)) @ self.weight).reshape(*row.shape[:-1], -1)
            return product if into is None else product[..., into]
        weight = self.weight if out is None else self.weight[out]
        weight = weight if into is None else weight[:, into]
        return row @ weight


class Network:
    """A program in float64."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.matrices = {
            (value.name, k): Matrix(matrix)
            for value in program.values.values()
            for k, (_, matrix) in enumerate(value.terms)
        }
        self.biases = {
            value.name: as_floats(value.bias.integers, value.bias.exponent, "a bias")
            for value in program.values.values()
            if value.bias is not None
        }
        self.chunk = max(64, CHUNK // max(value.size for value in program.values.values()))
        affine = {source for value in program.values.values() for source, _ in value.terms}
        self.only_relu = {value.source for value in program.values.values() if value.kind == "relu"} - affine
        self.only_relu -= set(program.inputs)  # whose ends are taken whole

    def terms(self, value: Value) -> list[tuple[str, Matrix]]:
        return [(source, self.matrices[value.name, k]) for k, (source, _) in enumerate(value.terms)]


@functools.lru_cache(maxsize=2)
def network_of(program: Program) -> Network:
    """Kept for the programs used last: a search and the check of what it found share it."""
    return Network(program)


@dataclass(frozen=True)
class Relaxed:
    """Relaxation of the ReLUs of one value in each region. The `alive` entries are those not 0 everywhere, first the
    `kept` ones that are their input everywhere; for the others default lower slope, chord's slope rounded up, lower
    ends of the unstable (else 0), each (regions, alive - kept); and the largest end of an unstable one."""

    alive: Ints
    kept: int
    below: Floats
    chord: Floats
    down: Floats
    reach: float


class Boxes:
    """Bounds of every value in each of several regions: lower and upper ends (regions, n) of the values that are `own`
    to each region, (1, n) of those that are the same for all."""

    def __init__(self, lower: dict[str, Floats], upper: dict[str, Floats], own: frozenset[str]) -> None:
        self.lower = lower
        self.upper = upper
        self.own = own
        self._relaxed: dict[str, tuple[Floats, Floats, Relaxed]] = {}

    def relaxed(self, name: str) -> Relaxed:
        """By the present bounds; worked out once for each pair of arrays."""
        low, high = self.lower[name], self.upper[name]
        known = self._relaxed.get(name)
        if known is None or known[0] is not low or known[1] is not high:
            known = self._relaxed[name] = (low, high, relax(low, high))
        return known[2]

    def far(self, name: str) -> Floats:
        """The largest magnitude of each entry of a value in any of the regions."""
        largest: Floats = numpy.maximum(-self.lower[name].min(0), self.upper[name].max(0))
        return numpy.maximum(largest, 0.0)

    def part(self, rows: Ints) -> Boxes:
        """A copy of some of the regions."""

        def chosen(ends: dict[str, Floats]) -> dict[str, Floats]:
            return {name: end.take(rows, 0) if name in self.own else end for name, end in ends.items()}

        return Boxes(chosen(self.lower), chosen(self.upper), self.own)

    def with_own(self, names: Iterable[str]) -> Boxes:
        """Of one region: a copy in which the bounds of the named values are its own."""
        own = frozenset(name for name in names if name in self.lower)

        def chosen(ends: dict[str, Floats]) -> dict[str, Floats]:
            return {name: end.copy() if name in own else end for name, end in ends.items()}

        return Boxes(chosen(self.lower), chosen(self.upper), own)

    @classmethod
    def stacked(cls, tables: Sequence[Boxes]) -> Boxes:
        """The regions of several tables, of which the same values are own and the others equal."""
        first = tables[0]

        def all_of(ends: Sequence[dict[str, Floats]]) -> dict[str, Floats]:
            return {n: numpy.concatenate([e[n] for e in ends]) if n in first.own else ends[0][n] for n in ends[0]}

        return cls(all_of([t.lower for t in tables]), all_of([t.upper for t in tables]), first.own)

    def require_own(self, name: str) -> None:
        """A bound found for one region must not be entered for all."""
        if name not in self.own:
            raise TypeError(f"the bounds of {name!r} are not each region's own")

    @classmethod
    def of(cls, bounds: Mapping[str, Interval]) -> Boxes:
        """One region, from the exact table. Rounding errors in it are ends like others."""
        ends = {n: (as_floats(b.lower, b.exponent, n), as_floats(b.upper, b.exponent, n)) for n, b in bounds.items()}
        lower, upper = {n: low[None] for n, (low, _) in ends.items()}, {n: high[None] for n, (_, high) in ends.items()}
        return cls(lower, upper, frozenset(ends))


def relax(low: Floats, high: Floats) -> Relaxed:
    """From bounds (regions, n)."""
    active = low.min(0) >= 0
    others = numpy.flatnonzero(~active & ((high.max(0) > 0) | (low.max(0) >= 0)))
    low, high = low[:, others], high[:, others]
    either = (low < 0) & (high > 0)
    width = numpy.where(either, high - low, 1.0)
    raised = numpy.minimum(1.0, high / width * (1 + 2.0**-47) + ETA)
    chord = numpy.where(either, raised, (low >= 0).astype(float))
    below = numpy.where(either, (high > -low).astype(float), chord)
    reach = float(numpy.where(either, numpy.maximum(-low, high), 0.0).max(initial=0.0))
    kept = numpy.flatnonzero(active)
    alive = numpy.concatenate([kept, others])
    return Relaxed(alive, len(kept), below, chord, numpy.where(either, low, 0.0), reach)


def spread(row: Floats, columns: Ints, size: int) -> Floats:
    """Rows that hold the entries `columns` of `size`, as whole rows."""
    whole = numpy.zeros((*row.shape[:-1], size))
    whole[..., columns] = row
    return whole


def rows_of(ends: Floats, at: Ints) -> Floats:
    """The rows of the regions `at`; one row, if all regions have the same."""
    return ends if len(ends) == 1 else ends.take(at, 0)


def reach_of(network: Network, root: Boxes) -> Reaches:
    """For each affine value, from the bounds at the root: per entry |W| |x| + |b| with what is inexact, and sum |x|."""
    result: dict[str, tuple[Floats, float]] = {}
    for value in network.program.values.values():
        if value.kind != "affine" or any(source not in root.lower for source, _ in value.terms):
            continue
        total = numpy.abs(network.biases.get(value.name, numpy.zeros(value.size)))
        inexact, far = 0.0, 0.0
        for source, matrix in network.terms(value):
            x = numpy.maximum(numpy.abs(root.lower[source]), numpy.abs(root.upper[source]))
            total = total + matrix.forward(x, matrix.magnitude)[0] * SLACK
            far += float(x.sum())
            inexact += matrix.unit * float(x.sum()) * SLACK
        error = gamma(sum(m.columns for _, m in value.terms) + value.size + 8) * total + inexact
        if not numpy.isfinite(error).all() or (error > LARGEST).any():
            raise Rejected("interval", f"the bounds of {value.name!r} are too large for float64")
        result[value.name] = (error * SLACK, far)
    return result


def rounding_errors(value: Value, rounding: Rounding, size: Floats, far: Floats) -> Floats:
    """What an execution in float32 may miss the entries of an affine value by: contract.py's formula for
    size >= |W| |x| + |b| and far >= |x|_1, rounded up."""
    flushed = numpy.array(rounding.tiny, dtype=float) + far
    if not ((size < 2.0 ** (OVERFLOW - rounding.headroom)).all() and (flushed < 2.0**OVERFLOW).all()):
        raise Rejected("float32", f"an execution of {value.name!r} may overflow")
    tiny = numpy.ldexp(flushed, rounding.tiny_exponent)
    error: Floats = (math.ldexp(rounding.relative, -RELATIVE_BITS) * size + tiny) * SLACK + ETA
    return error


def interval_step(network: Network, boxes: Boxes, name: str) -> None:
    """Forward bounds of one value in every region, intersected with what is known."""
    value = network.program.values[name]
    if value.kind == "relu":
        low, high = numpy.maximum(boxes.lower[value.source], 0), numpy.maximum(boxes.upper[value.source], 0)
    else:
        bias = network.biases.get(name, numpy.zeros(value.size))
        center, around = bias[None, :], 0.0 * bias[None, :]
        size, sum_of_x = numpy.abs(center), 0.0 * center[:, :1]
        for (source, matrix), (_, given) in zip(network.terms(value), value.terms, strict=True):
            middle = (boxes.lower[source] + boxes.upper[source]) / 2
            width = numpy.maximum(boxes.upper[source] - middle, middle - boxes.lower[source]) * (1 + 8 * U) + ETA
            n = given.columns + 4
            far = matrix.forward(numpy.abs(middle), matrix.magnitude)
            center = center + matrix.forward(middle, matrix.weight)
            around = around + matrix.forward(width, matrix.magnitude) * (1 + gamma(n)) + far * gamma(n)
            if matrix.unit:
                around = around + matrix.unit * (numpy.abs(middle) + width).sum(1, keepdims=True) * SLACK
            around = around + 4 * U * numpy.abs(center) + n * ETA
            if value.rounding is not None:
                most = (numpy.abs(middle) + width).sum(1, keepdims=True) * SLACK
                sum_of_x = sum_of_x + most
                size = size + (far + matrix.forward(width, matrix.magnitude) + matrix.unit * most) * SLACK + n * ETA
        if value.rounding is not None:
            missed = rounding_errors(value, value.rounding, size * SLACK, sum_of_x)
            boxes.require_own(error_of(name))
            missed = numpy.broadcast_to(missed, boxes.lower[error_of(name)].shape)  # one row if all sources are shared
            boxes.lower[error_of(name)], boxes.upper[error_of(name)] = -missed, missed
            around = around + missed
        around = (around + 8 * U * (numpy.abs(center) + around)) * SLACK
        low, high = center - around, center + around
    boxes.require_own(name)
    if not (numpy.isfinite(low).all() and numpy.isfinite(high).all()):
        raise Rejected("interval", f"the bounds of {name!r} are too large for float64")
    if name in boxes.lower:
        low, high = numpy.maximum(low, boxes.lower[name]), numpy.minimum(high, boxes.upper[name])
    boxes.lower[name], boxes.upper[name] = low, high


def backward(
    network: Network,
    reaches: Reaches,
    boxes: Boxes,
    at: Ints,
    start: Mapping[str, Floats],
    constant: Floats,
    slopes: Mapping[str, Floats],
    error: Floats | None = None,
    seen: Seen | None = None,
) -> Floats:
    """Lower bounds (..., rows) of start . values + constant, row r in region `at[r]` of `boxes`.

    `start[name]` is (..., rows, n); `slopes[name]` is (rows, n), or NaN for the default. `error` bounds what start and
    constant may be off by. The names in `seen` are given the coefficients on their value when it was reached.

    Rows on a ReLU hold only the entries that do not give 0 in all regions. So do rows on its input, if
    nothing else uses it.
    """

    def columns(name: str) -> Columns:
        value = network.program.values[name]
        if value.kind == "relu":
            return boxes.relaxed(value.source).alive
        return boxes.relaxed(name).alive if name in network.only_relu and name not in start else None

    order = network.program.order(tuple(sorted(start)))
    holds = {name: columns(name) for name in order}
    pending = {name: row if holds[name] is None else row[..., holds[name]] for name, row in start.items()}
    total, size = constant.copy(), numpy.abs(constant)  # of what is summed
    error = numpy.zeros(constant.shape) if error is None else error
    for name in order:
        row = pending.pop(name, None)
        if row is None:
            continue
        value, held = network.program.values[name], holds[name]
        n = value.size
        if seen is not None and name in seen:
            seen[name] = row if held is None else spread(row, held, n)
        if value.kind == "input":
            low, high = rows_of(boxes.lower[name], at), rows_of(boxes.upper[name], at)
            ends = numpy.where(row > 0, low, high)
            gained = numpy.einsum("...ij,...ij->...i", row, ends)
            far = numpy.maximum(numpy.abs(low), numpy.abs(high))
            lost = gamma(n + 2) * (numpy.abs(row) * far).sum(-1)
        elif value.kind == "relu":
            part, gained, lost = _relu(boxes, value.source, at, row, slopes.get(name))
            into = holds[value.source]
            if held is not None and into is not held:
                part = spread(part, held, n)
                part = part if into is None else part[..., into]
            lost = lost + _join(pending, value.source, part, into, boxes)
        else:
            (vector, far_sum), bias = reaches[name], network.biases.get(name, numpy.zeros(n))
            if held is not None:
                vector, bias = vector[held], bias[held]
            gained = row @ bias
            lost = numpy.abs(row) @ vector + ETA * (n + 1) * (1 + far_sum)
            if value.rounding is not None:
                missed = rows_of(boxes.upper[error_of(name)], at)
                missed = missed if held is None else missed[:, held]
                lost = lost + (numpy.abs(row) * missed).sum(-1) * SLACK
            for source, matrix in network.terms(value):
                into = holds[source]
                lost = lost + _join(pending, source, matrix.backward(row, held, into), into, boxes)
        total += gained
        size += numpy.abs(gained)
        error = error + (lost + ETA * n)
    error = (error + gamma(len(order) + 1) * size) * SLACK
    result: Floats = numpy.nextafter(total - error * SLACK, -numpy.inf) - ETA
    if not numpy.isfinite(result).all():
        raise Rejected("interval", "a bound is too large for float64")
    return result


def _join(pending: dict[str, Floats], name: str, part: Floats, held: Columns, boxes: Boxes) -> Floats | float:
    """Add to what is pending for a value; gives what rounding the sum may take: u |sum| |v|."""
    if name not in pending:
        pending[name] = part
        return 0.0
    pending[name] = pending[name] + part
    far = boxes.far(name) if held is None else boxes.far(name)[held]
    lost: Floats = 4 * U * (numpy.abs(pending[name]) @ far) + ETA * (1 + far.sum())
    return lost


def _relu(boxes: Boxes, source: str, at: Ints, row: Floats, slopes: Floats | None) -> tuple[Floats, Floats, Floats]:
    """fl(a slope) is in [0, a] for a slope in [0, 1]. For a < 0 the chord's slope is raised beyond its rounding. The
    row, in place, the constant, and what that may be off by."""
    relaxed = boxes.relaxed(source)
    below, chord, down = (rows_of(part, at) for part in (relaxed.below, relaxed.chord, relaxed.down))
    if slopes is not None:
        chosen = slopes[:, relaxed.alive[relaxed.kept :]]
        below = numpy.where((down < 0) & ~numpy.isnan(chosen), chosen, below)
    given = row[..., relaxed.kept :].copy()
    n = given.shape[-1]
    taken = numpy.minimum(given, 0.0)
    taken *= chord
    result = numpy.maximum(given, 0.0, out=given)
    result *= below
    result += taken
    row[..., relaxed.kept :] = result
    taken *= down
    gained = -(taken @ numpy.ones(n))
    lost = gamma(n + 4) * numpy.abs(gained) + ETA * n * (1 + 2 * relaxed.reach)
    return row, gained, lost


def rebound(network: Network, reaches: Reaches, boxes: Boxes, name: str, watch: Watch | None = None) -> None:
    """Backward bounds of every entry of a value that can have either sign, each in its own region. `watch` is told the
    regions, the entries, the coefficients on each value (2, rows, n) of the lower bounds of plus and minus the entry,
    and these bounds."""
    boxes.require_own(name)
    either = (boxes.lower[name] < 0) & (boxes.upper[name] > 0)
    regions, entries = numpy.divmod(numpy.flatnonzero(either), either.shape[1])
    if not len(regions):
        return
    low, high = boxes.lower[name].copy(), boxes.upper[name].copy()
    for first in range(0, len(regions), network.chunk):
        at, index = regions[first : first + network.chunk], entries[first : first + network.chunk]
        start, constant = _units(network, name, index)
        seen: Seen | None = None if watch is None else dict.fromkeys(network.program.inputs)
        found = backward(network, reaches, boxes, at, start, constant, {}, seen=seen)
        if watch is not None and seen is not None:
            watch(at, index, seen, found)
        low[at, index] = numpy.maximum(low[at, index], found[0])
        high[at, index] = numpy.minimum(high[at, index], -found[1])
    boxes.lower[name], boxes.upper[name] = low, high


def _units(network: Network, name: str, index: Ints) -> tuple[dict[str, Floats], Floats]:
    """plus and minus single entries of a value, (2, rows, n): as rows of its own matrix, which are exact, if that is
    all there is to it."""
    value = network.program.values[name]
    sign = numpy.array([1.0, -1.0])
    if value.kind == "affine" and len(value.terms) == 1 and value.rounding is None:
        ((source, matrix),) = network.terms(value)
        if matrix.blocks == 1 and not matrix.unit:
            bias = network.biases[name][index] if name in network.biases else numpy.zeros(len(index))
            return {source: matrix.weight[index] * sign[:, None, None]}, bias * sign[:, None]
    unit = numpy.zeros((2, len(index), value.size))
    for k in range(2):
        unit[k, numpy.arange(len(index)), index] = sign[k]
    return {name: unit}, numpy.zeros((2, len(index)))


class Engine:
    """`engine(program, bounds, jobs)`; the last program and table are kept in float64."""

    def __init__(self) -> None:
        self._network: Network | None = None
        self._seen: list[Interval] = []
        self._root: tuple[Boxes, Reaches] | None = None

    def prepare(self, program: Program, bounds: Bounds) -> tuple[Network, Boxes, Reaches]:
        """The program, the table as one region, and what `reach_of` says of it."""
        if self._network is None or self._network.program is not program:
            self._network, self._root = network_of(program), None
        seen = list(bounds.values())
        same = len(seen) == len(self._seen) and all(a is b for a, b in zip(seen, self._seen, strict=True))
        if self._root is None or not same:
            root = Boxes.of(bounds)
            self._seen, self._root = seen, (root, reach_of(self._network, root))
        return self._network, *self._root

    @numpy.errstate(over="ignore", invalid="ignore")  # what is not finite is refused
    def __call__(self, program: Program, bounds: Bounds, jobs: Sequence[Job]) -> list[Constant]:
        network, root, reaches = self.prepare(program, bounds)
        result: list[Constant] = []
        for start in range(0, len(jobs), network.chunk):
            part = jobs[start : start + network.chunk]
            boxes, at = root, numpy.zeros(len(part), dtype=numpy.intp)
            if any(job.path for job in part):
                tables = [Boxes.of(bounds.along(job.path)) for job in part]
                boxes, at = Boxes.stacked(tables), numpy.arange(len(part))
            rows, constant, slopes = arrays(program, part)
            for name in program.order(tuple(sorted(rows))):
                if name not in bounds:
                    raise Rejected("bounds", f"{name!r} has none yet; an interval step must come first")
            found = backward(network, reaches, boxes, at, rows, constant, slopes)
            result += [as_constant(value) for value in found.tolist()]
        return result


def as_constant(value: float) -> Constant:
    """A float as integer and exponent, exactly."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, 1 - denominator.bit_length()


def arrays(program: Program, jobs: Sequence[Job]) -> tuple[dict[str, Floats], Floats, dict[str, Floats]]:
    """Coefficients, constants and slopes of jobs."""
    rows: dict[str, Floats] = {}
    slopes: dict[str, Floats] = {}
    for j, job in enumerate(jobs):
        for name, row in job.rows.items():
            if name not in rows:
                rows[name] = numpy.zeros((len(jobs), program.values[name].size))
            rows[name][j, list(row)] = as_floats(list(row.values()), job.exponent, "a coefficient")
        for name, given in job.slopes.items():
            if name not in slopes:
                slopes[name] = numpy.full((len(jobs), program.values[name].size), numpy.nan)
            slopes[name][j, list(given)] = numpy.array(list(given.values())) / 2.0**SLOPE_BITS
    return rows, numpy.array([below(*job.constant) for job in jobs]), slopes


def below(integer: int, exponent: int) -> float:
    """A float64 that is at most integer * 2^exponent."""
    drop = max(0, integer.bit_length() - 52)
    return float(as_floats([integer >> drop], exponent + drop, "a constant")[0])
