"""The network under proof, reduced to two kinds of step: affine maps and ReLU.

Every op of a graph is lowered to these by its row in `rules.py`, so the calculus has two cases to be right about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tlverify.certify.kernel.arithmetic import (
    COEFFICIENT_BITS,
    INTERVAL_BITS,
    Interval,
    Packed,
    Short,
    Vector,
    bits,
    floor_to,
    outward,
)
from tlverify.certify.kernel.contract import OVERFLOW, RELATIVE_BITS, Contract
from tlverify.certify.kernel.errors import MAX_WITNESS_BITS, Rejected


class Dense:
    """A stored matrix (out, in) of integers times 2^exponent, applied to each of `blocks` parts of the source."""

    inexact = False

    def __init__(self, rows: Sequence[Sequence[int]], exponent: int, blocks: int = 1) -> None:
        self.rows = rows
        self.exponent = exponent
        self.blocks = blocks
        self.out_features, self.in_features = len(rows), len(rows[0])
        self.size, self.columns = self.out_features * blocks, self.in_features * blocks

    @cached_property
    def by_row(self) -> Packed:
        return Packed(self.rows, self.in_features, COEFFICIENT_BITS)

    @cached_property
    def by_column(self) -> Packed:
        return Packed(list(zip(*self.rows, strict=True)), self.out_features, INTERVAL_BITS + 2)

    @cached_property
    def magnitude_by_column(self) -> Packed:
        absolute = [[abs(value) for value in column] for column in zip(*self.rows, strict=True)]
        return Packed(absolute, self.out_features, INTERVAL_BITS + 2)

    def forward(self, x: Sequence[int]) -> list[int]:
        """M x."""
        parts, length = self._parts(x, self.in_features), bits(x)
        if length > INTERVAL_BITS + 2:
            return [sum(w * v for w, v in zip(row, part, strict=True)) for part in parts for row in self.rows]
        return [v for part in parts for v in self.by_column.combine(part, length)]

    def magnitude(self, x: Sequence[int]) -> list[int]:
        """|M| x."""
        parts, length = self._parts(x, self.in_features), bits(x)
        if length > INTERVAL_BITS + 2:
            return [sum(abs(w) * v for w, v in zip(row, part, strict=True)) for part in parts for row in self.rows]
        return [v for part in parts for v in self.magnitude_by_column.combine(part, length)]

    def backward(self, row: Short) -> Vector:
        """row M."""
        if self.blocks == 1:
            result = self.by_row.combine(row.integers, COEFFICIENT_BITS)
        else:
            parts = self._parts(row.integers, self.out_features)
            result = [v for part in parts for v in self.by_row.combine(part, COEFFICIENT_BITS)]
        return Vector(result, row.exponent + self.exponent)

    def _parts(self, values: Sequence[int], length: int) -> list[Sequence[int]]:
        return [values[start : start + length] for start in range(0, len(values), length)]


class Sparse:
    """For each entry of the result, the (index, integer) pairs of the source that it sums, times 2^exponent.

    If `inexact`, the true coefficient of each pair is at least that and less than one unit more.
    """

    def __init__(
        self, entries: Sequence[Sequence[tuple[int, int]]], columns: int, exponent: int = 0, inexact: bool = False
    ) -> None:
        self.entries = entries
        self.exponent = exponent
        self.inexact = inexact
        self.size, self.columns = len(entries), columns

    def forward(self, x: Sequence[int]) -> list[int]:
        """M x."""
        return [sum(c * x[i] for i, c in pairs) for pairs in self.entries]

    def magnitude(self, x: Sequence[int]) -> list[int]:
        """|M| x."""
        return [sum(abs(c) * x[i] for i, c in pairs) for pairs in self.entries]

    def backward(self, row: Short) -> Vector:
        """row M."""
        result = [0] * self.columns
        for a, pairs in zip(row.integers, self.entries, strict=True):
            if a:
                for index, c in pairs:
                    result[index] += a * c
        return Vector(result, row.exponent + self.exponent)


Map = Dense | Sparse
MAX_ORDERS = 256  # remembered by a program
ERROR_BITS = 22  # bits kept of a rounding error, relative to the largest of its value


@dataclass(frozen=True)
class Rounding:
    """By how much an execution may miss map(source) + bias (see contract.py): `relative` in units of 2^-RELATIVE_BITS,
    `tiny[i]` in units of 2^tiny_exponent for entry i. If `ordered` it is a sum of products in some order, else the
    exact number rounded once. `divisors`, if any, divide sums of the source itself. What is worked out on the way is
    at most 2^headroom times as large as |map| |source| + |bias|."""

    relative: int
    tiny: Sequence[int]
    tiny_exponent: int
    ordered: bool
    divisors: Sequence[int]
    headroom: int

    @classmethod
    def of(
        cls,
        contract: Contract,
        terms: Sequence[tuple[str, Map]],
        products: int,
        divisors: Sequence[int] = (),
        more: int = 0,
        headroom: int = 0,
    ) -> Rounding:
        """For a sum of `products` products in each entry and `more` roundings; 0: for the exact number rounded once."""
        count = products + more
        tiny = [2 * max(count, len(terms)) + 3] * terms[0][1].size
        for _, matrix in terms:
            weight = Vector(matrix.magnitude([1] * matrix.columns), matrix.exponent)
            extra = count if matrix.inexact else 0
            whole = [extra - floor_to((-w, weight.exponent), 0) for w in weight.integers]
            tiny = [a + b for a, b in zip(tiny, whole, strict=True)]
        return cls(contract.relative(products, more), tiny, contract.tiny + 1, products > 0, divisors, headroom)


@dataclass(frozen=True)
class Value:
    """One value of the program: an input, `sum of map(source) + bias`, or relu(source).

    `direct`, if given, encloses the value of a composite op from intervals of the op's own inputs, `direct_sources`;
    it only makes interval steps tighter. `rounding`, if given, says how far what is executed may be from the map.
    """

    name: str
    size: int
    kind: str
    terms: Sequence[tuple[str, Map]] = ()
    bias: Vector | None = None
    source: str = ""
    direct: Callable[[Sequence[Interval]], Interval] | None = None
    direct_sources: Sequence[str] = ()
    rounding: Rounding | None = None

    @property
    def sources(self) -> list[str]:
        """The values it is computed from."""
        return [self.source] if self.kind == "relu" else [source for source, _ in self.terms]


@dataclass(frozen=True, eq=False)
class Program:
    """Values by name in an order of use after definition, and what the claim may speak of."""

    digest: str
    values: Mapping[str, Value]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    contract: Contract | None = None
    orders: dict[tuple[str, ...], list[str]] = field(default_factory=dict, repr=False)

    def order(self, targets: tuple[str, ...]) -> list[str]:
        """The targets and all that they are computed from, users before what they use."""
        if targets not in self.orders:
            if len(self.orders) >= MAX_ORDERS:
                self.orders.clear()
            needed, found = set(targets), []
            for name in reversed(list(self.values)):
                if name in needed:
                    found.append(name)
                    needed.update(self.values[name].sources)
            self.orders[targets] = found
        return self.orders[targets]


def error_of(name: str) -> str:
    """Under which name the table of bounds keeps by how much an execution may miss a value: an interval [-e, e]."""
    return f"{name}#e"


def enclose_error(value: Value, bounds: Mapping[str, Interval]) -> Interval:
    """The rounding errors of a value from the intervals of its sources, rounded up to ERROR_BITS."""
    rounding = value.rounding
    if rounding is None:
        raise TypeError(f"{value.name} is not rounded")
    parts: list[tuple[Sequence[int], int]] = []
    tiny = [(rounding.tiny, rounding.tiny_exponent)]
    if value.bias is not None:
        parts.append(([abs(v) for v in value.bias.integers], value.bias.exponent))
    for source, matrix in value.terms:
        x = bounds[source]
        extra = reach(x) if matrix.inexact else 0
        far = matrix.magnitude([max(-low, high) for low, high in zip(x.lower, x.upper, strict=True)])
        parts.append(([v + extra for v in far], matrix.exponent + x.exponent))
        tiny.append(([reach(x)] * value.size, rounding.tiny_exponent + x.exponent))
    sizes, exponent = _total(parts, value.size)
    relative = [rounding.relative * v for v in sizes]
    flushed, least = _total(tiny, value.size)
    errors, unit = _total([(relative, exponent - RELATIVE_BITS), (flushed, least)], value.size)
    operands = bits(flushed) + least - rounding.tiny_exponent  # |W|_1 and |x|_1 are below 2^operands
    if max(bits(sizes) + exponent + rounding.headroom, operands) > OVERFLOW:
        raise Rejected("float32", f"an execution of {value.name!r} may overflow")
    drop = max(bits(errors) - ERROR_BITS, 0)
    upper = [-(-v >> drop) for v in errors]
    return Interval([-v for v in upper], upper, unit + drop)


def _total(parts: Sequence[tuple[Sequence[int], int]], size: int) -> tuple[list[int], int]:
    """The exact sum of vectors with exponents of their own, and its exponent."""
    exponent = min(own for _, own in parts)
    total = [0] * size
    for integers, own in parts:
        total = [a + (b << own - exponent) for a, b in zip(total, integers, strict=True)]
    return total, exponent


def enclose_value(value: Value, bounds: Mapping[str, Interval], shortened: bool = True) -> Interval:
    """The interval of a value from the intervals of its sources: exact, then rounded outward if `shortened`. What an
    execution may miss it by must be in the table.

    With center c = l + u and radius r = u - l of a source: 2 M x is within M c -+ |M| r.
    """
    if value.kind == "relu":
        x = bounds[value.source]
        return Interval([max(v, 0) for v in x.lower], [max(v, 0) for v in x.upper], x.exponent)
    parts: list[tuple[Sequence[int], Sequence[int], int]] = []
    if value.bias is not None:
        twice = [2 * v for v in value.bias.integers]
        parts.append((twice, twice, value.bias.exponent))
    for source, matrix in value.terms:
        x = bounds[source]
        center = matrix.forward([a + b for a, b in zip(x.lower, x.upper, strict=True)])
        radius = matrix.magnitude([b - a for a, b in zip(x.lower, x.upper, strict=True)])
        extra = 2 * reach(x) if matrix.inexact else 0
        low = [c - r - extra for c, r in zip(center, radius, strict=True)]
        high = [c + r + extra for c, r in zip(center, radius, strict=True)]
        parts.append((low, high, matrix.exponent + x.exponent))
    if value.rounding is not None:
        error = bounds[error_of(value.name)]
        parts.append(([2 * v for v in error.lower], [2 * v for v in error.upper], error.exponent))
    lower, exponent = _total([(below, own) for below, _, own in parts], value.size)
    upper, _ = _total([(above, own) for _, above, own in parts], value.size)
    if shortened:
        return outward(lower, upper, exponent - 1)
    if max(bits(lower), bits(upper)) > MAX_WITNESS_BITS:
        raise Rejected("witness", f"value {value.name!r} needs more than the limit of {MAX_WITNESS_BITS} bits")
    return Interval(lower, upper, exponent - 1)


def reach(bounds: Interval) -> int:
    """The largest that sum |x_i| can be, in units of the interval."""
    return sum(max(-low, high) for low, high in zip(bounds.lower, bounds.upper, strict=True))
