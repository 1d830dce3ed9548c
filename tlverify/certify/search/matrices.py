"""Matrices of a network in floats: dense arrays, sparse ones for convolutions, None for the identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.groups import Group, grouped, product

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

SMALL = 1 << 16  # entries up to which every matrix is dense
SPARSE = 8  # a larger one is dense if one entry in so many is not 0
VERY_SPARSE = 64  # with fewer, a product with many columns is faster without BLAS


@dataclass(frozen=True, eq=False)
class Sparse:
    """Entries by row and then column, each place once: matrix[rows[k], columns[k]] = values[k]."""

    shape: tuple[int, int]
    rows: Ints
    columns: Ints
    values: Array

    @classmethod
    def of(cls, shape: tuple[int, int], rows: Ints, columns: Ints, values: Array) -> Sparse:
        """From entries in any order; those of one place are added up."""
        place = rows * shape[1] + columns
        order = np.argsort(place, kind="stable")
        place = place[order]
        first = np.flatnonzero(np.diff(place, prepend=-1))
        total = np.add.reduceat(values[order], first) if len(first) else values[:0]
        return cls(shape, place[first] // shape[1], place[first] % shape[1], total)

    @property
    def worthwhile(self) -> bool:
        """Whether it is better than the dense one."""
        entries = self.shape[0] * self.shape[1]
        return entries > SMALL and len(self.values) * SPARSE < entries

    def whole(self) -> Array:
        """The same, dense."""
        result = np.zeros(self.shape)
        result[self.rows, self.columns] = self.values
        return result

    def restricted(self, rows: Ints, columns: Ints) -> Sparse:
        """Some rows and columns."""
        own, other = _places(rows, self.shape[0])[self.rows], _places(columns, self.shape[1])[self.columns]
        inside = (own >= 0) & (other >= 0)
        return Sparse.of((len(rows), len(columns)), own[inside], other[inside], self.values[inside])

    def after(self, inner: Sparse) -> Sparse:
        """self @ inner."""
        starts = np.searchsorted(inner.rows, np.arange(inner.shape[0] + 1))
        counts = np.diff(starts)[self.columns]
        mine = np.repeat(np.arange(len(self.values)), counts)
        ends = np.cumsum(counts)
        theirs = np.arange(len(mine)) - np.repeat(ends - counts, counts) + starts[self.columns][mine]
        values = self.values[mine] * inner.values[theirs]
        return Sparse.of((self.shape[0], inner.shape[1]), self.rows[mine], inner.columns[theirs], values)

    def times(self, right: Array) -> Array:
        """self @ right, (columns, n)."""
        return _product(self._forward, right, self.shape[0])

    def under(self, left: Array) -> Array:
        """left @ self, (n, rows)."""
        return np.ascontiguousarray(_product(self._backward, np.ascontiguousarray(left.T), self.shape[1]).T)

    @cached_property
    def _forward(self) -> list[tuple[Group, Array]]:
        return _stacks(self.rows, self.columns, self.values, self.shape[0])

    @cached_property
    def _backward(self) -> list[tuple[Group, Array]]:
        order = np.lexsort((self.rows, self.columns))
        return _stacks(self.columns[order], self.rows[order], self.values[order], self.shape[1])


Matrix = Array | Sparse | None


def _places(chosen: Ints, size: int) -> Ints:
    """Where each number stands among the chosen ones, or -1."""
    places = np.full(size, -1)
    places[chosen] = np.arange(len(chosen))
    return places


def _stacks(rows: Ints, columns: Ints, values: Array, size: int) -> list[tuple[Group, Array]]:
    starts = np.searchsorted(rows, np.arange(size + 1)).tolist()
    pairs = list(zip(columns.tolist(), values.tolist(), strict=True))
    groups = grouped([pairs[a:b] for a, b in pairwise(starts)])
    return [(group, np.array(group.coefficients).reshape(group.shape)) for group in groups]


def _product(stacks: Sequence[tuple[Group, Array]], source: Array, size: int) -> Array:
    result = np.zeros((size, source.shape[1]), source.dtype)
    product([group for group, _ in stacks], [matrix for _, matrix in stacks], source, result)
    return result


def dense(matrix: Matrix, rows: Ints, columns: Ints) -> Array:
    """Some rows and columns of a matrix."""
    if isinstance(matrix, Sparse):
        return matrix.restricted(rows, columns).whole()
    return (rows[:, None] == columns).astype(np.float64) if matrix is None else matrix[np.ix_(rows, columns)]


def through(matrix: Matrix, rows: Ints, columns: Ints, rights: Sequence[Array]) -> list[Array]:
    """Some rows and columns of a matrix times arrays (columns, ...)."""
    if isinstance(matrix, Sparse):
        part = matrix.restricted(rows, columns)
        if len(part.values) * VERY_SPARSE < part.shape[0] * part.shape[1]:
            filled, starts = np.unique(part.rows, return_index=True)
            results = [np.zeros((len(rows), *right.shape[1:])) for right in rights]
            for result, right in zip(results, rights, strict=True):
                values = part.values.reshape(-1, *([1] * (right.ndim - 1)))
                if len(filled):
                    result[filled] = np.add.reduceat(values * right[part.columns], starts)
            return results
    weight = dense(matrix, rows, columns)
    return [weight @ right for right in rights]


def apply(matrix: Matrix, points: Any) -> Any:
    """points @ matrix.T: the values at points (n, columns)."""
    if isinstance(matrix, Sparse):
        return matrix.times(np.ascontiguousarray(points.T)).T
    return points if matrix is None else points @ matrix.T


def pull(matrix: Matrix, coefficients: Any) -> Any:
    """coefficients @ matrix: from (n, rows) on the value to those on what it is made of."""
    if isinstance(matrix, Sparse):
        return matrix.under(coefficients)
    return coefficients if matrix is None else coefficients @ matrix


def add(one: Array | Sparse, two: Array | Sparse) -> Array | Sparse:
    """The sum of two matrices of one shape."""
    if isinstance(one, Sparse) and isinstance(two, Sparse):
        parts = [np.concatenate([getattr(m, name) for m in (one, two)]) for name in ("rows", "columns", "values")]
        return Sparse.of(one.shape, *parts)
    full = [m.whole() if isinstance(m, Sparse) else m for m in (one, two)]
    return full[0] + full[1]
