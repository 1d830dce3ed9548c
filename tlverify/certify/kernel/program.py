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
    Vector,
    bits,
    outward,
)
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
        parts = self._parts(x, self.in_features)
        if bits(x) > INTERVAL_BITS + 2:
            return [sum(w * v for w, v in zip(row, part, strict=True)) for part in parts for row in self.rows]
        return [v for part in parts for v in self.by_column.combine(part)]

    def magnitude(self, x: Sequence[int]) -> list[int]:
        """|M| x."""
        parts = self._parts(x, self.in_features)
        if bits(x) > INTERVAL_BITS + 2:
            return [sum(abs(w) * v for w, v in zip(row, part, strict=True)) for part in parts for row in self.rows]
        return [v for part in parts for v in self.magnitude_by_column.combine(part)]

    def backward(self, row: Sequence[int]) -> list[int]:
        """row M, for a row of COEFFICIENT_BITS."""
        return [v for part in self._parts(row, self.out_features) for v in self.by_row.combine(part)]

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

    def backward(self, row: Sequence[int]) -> list[int]:
        """row M."""
        result = [0] * self.columns
        for a, pairs in zip(row, self.entries, strict=True):
            if a:
                for index, c in pairs:
                    result[index] += a * c
        return result


Map = Dense | Sparse
MAX_ORDERS = 256  # remembered by a program


@dataclass(frozen=True)
class Value:
    """One value of the program: an input, `sum of map(source) + bias`, or relu(source).

    `direct`, if given, encloses the value of a composite op from intervals of the op's own inputs, `direct_sources`;
    it only makes interval steps tighter.
    """

    name: str
    size: int
    kind: str
    terms: Sequence[tuple[str, Map]] = ()
    bias: Vector | None = None
    source: str = ""
    direct: Callable[[Sequence[Interval]], Interval] | None = None
    direct_sources: Sequence[str] = ()

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


def enclose_value(value: Value, bounds: Mapping[str, Interval], shortened: bool = True) -> Interval:
    """The interval of a value from the intervals of its sources: exact, then rounded outward if `shortened`.

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
    exponent = min(part[2] for part in parts)
    lower: Sequence[int] = [0] * value.size
    upper: Sequence[int] = [0] * value.size
    for below, above, own in parts:
        places = own - exponent
        lower = [total + (v << places) for total, v in zip(lower, below, strict=True)]
        upper = [total + (v << places) for total, v in zip(upper, above, strict=True)]
    if shortened:
        return outward(lower, upper, exponent - 1)
    if max(bits(lower), bits(upper)) > MAX_WITNESS_BITS:
        raise Rejected("witness", f"value {value.name!r} needs more than the limit of {MAX_WITNESS_BITS} bits")
    return Interval(lower, upper, exponent - 1)


def reach(bounds: Interval) -> int:
    """The largest that sum |x_i| can be, in units of the interval."""
    return sum(max(-low, high) for low, high in zip(bounds.lower, bounds.upper, strict=True))
