"""A network over a region as wires: neurons that are not dead, joined by sparse matrices.

Folding (fold.py) merges active neurons into those above them, which makes windows of a convolution grow until a neuron
sees all inputs. Wires keep them: with `v` the inputs of the wires and `w` their outputs (relu(v) of an unstable neuron,
v of an active one),

    v = T t + V w + constant,    V strictly lower triangular by layers,

which has a tenth of the entries in a convolutional network. The machine code for it needs numba (extra `native`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.search import machine_code
from tlverify.certify.search.layers import INPUT, Affine
from tlverify.certify.search.matrices import Matrix, Sparse

KERNEL = "wires_kernel"
COMPILING = 30.0  # seconds that must be left before ten of them are spent on a compiler

Ints = npt.NDArray[np.intp]
MOST = 4  # rows of a group

Rows = tuple[npt.NDArray[np.intp], npt.NDArray[np.uint32], npt.NDArray[np.float32]]


def ready(seconds: float) -> bool:
    """Whether there is machine code, or a compiler for it and time: it takes ten seconds, once on a machine."""
    return machine_code.installed() and (machine_code.made(KERNEL) or seconds > COMPILING)


@dataclass(frozen=True)
class Groups:
    """Sparse rows, those of one layer that have the same places (as channels at one place of a convolution) together.

    `layers[k]` is the first group of layer k, `members` (groups, MOST) the rows, `sizes` how many. Each of `sums` is a
    sparse matrix as (first place of each group, places, first weight, weights), with 1, 2 or 4 weights at a place.
    """

    layers: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    sums: Sequence[tuple[Any, Any, Any, Any]]

    @property
    def parts(self) -> tuple[Any, ...]:
        """As the machine code takes them."""
        return (self.layers, self.members, self.sizes, *self.sums)

    @classmethod
    def of(cls, matrices: Sequence[Rows], ends: Sequence[tuple[int, int]]) -> Groups:
        """Of rows that lie in layers `ends`."""
        layers, members = [0], []
        for first, last in ends:
            alike: dict[tuple[bytes, ...], list[int]] = {}
            for row in range(first, last):
                key = tuple([places[starts[row] : starts[row + 1]].tobytes() for starts, places, _ in matrices])
                alike.setdefault(key, []).append(row)
            members += [rows[k : k + MOST] for rows in alike.values() for k in range(0, len(rows), MOST)]
            layers.append(len(members))
        table = np.array([rows + [-1] * (MOST - len(rows)) for rows in members], np.int64).reshape(-1, MOST)
        sizes = np.array([len(rows) for rows in members], np.int64)
        sums = [_group_sums(matrix, members) for matrix in matrices]
        return cls(np.array(layers, np.int64), table, sizes, sums)


def _group_sums(matrix: Rows, members: Sequence[Sequence[int]]) -> tuple[Any, Any, Any, Any]:
    starts, places, values = matrix
    kept, weights = [places[:0]], [values[:0]]
    for rows in members:
        kept.append(places[starts[rows[0]] : starts[rows[0] + 1]])
        block = np.zeros((len(kept[-1]), len(rows) if len(rows) < 3 else MOST), np.float32)
        for column, row in enumerate(rows):
            block[:, column] = values[starts[row] : starts[row + 1]]
        weights.append(block.ravel())
    first, from_ = (np.cumsum([0, *map(len, parts[1:])]).astype(np.uint64) for parts in (kept, weights))
    return first, np.concatenate(kept), from_, np.concatenate(weights)


@dataclass(frozen=True)
class Wires:
    """A layer's wires are its unstable neurons, in the order of the fold, and then its active ones; `ends[k]` are the
    first and last of layer k. `area` counts the entries of V and T.

    `up`: for each wire what sees it. `down`: for each wire the inputs that it sees, and the wires. `inputs`: for each
    input the wires that see it.
    """

    ends: Sequence[tuple[int, int]]
    area: int
    up: Groups
    down: Groups
    inputs: Groups

    @classmethod
    def of(cls, forms: Sequence[Affine], alive: Sequence[Ints], radius: npt.NDArray[np.float64]) -> Wires:
        """`alive[k]` are the neurons of layer k that are wires, in their order."""
        starts = np.cumsum([0, *map(len, alive)]).tolist()
        inner: list[tuple[Ints, Ints, Any]] = []
        outer: list[tuple[Ints, Ints, Any]] = []
        everything = np.arange(len(radius))
        for k, mine in enumerate(alive):
            for key, matrix in forms[k].parts.items():
                if key == INPUT:
                    rows, columns, values = _entries(matrix, mine, everything)
                    outer.append((rows + starts[k], columns, values * radius[columns]))
                else:
                    rows, columns, values = _entries(matrix, mine, alive[key])
                    inner.append((rows + starts[k], columns + starts[key], values))
        wires, inputs = starts[-1], len(radius)
        down, up = _both(inner, wires, wires)
        sees, seen = _both(outer, wires, inputs)
        ends = [(starts[k], starts[k + 1]) for k in range(len(alive))]
        groups = Groups.of([up], ends), Groups.of([sees, down], ends), Groups.of([seen], [(0, inputs)])
        return cls(ends, len(up[2]) + len(seen[2]), *groups)


def _entries(matrix: Matrix, rows: Ints, columns: Ints) -> tuple[Ints, Ints, Any]:
    """Where some rows and columns of a matrix are not 0, and what is there."""
    if matrix is None:
        order = {int(column): place for place, column in enumerate(columns.tolist())}
        pairs = [(k, order[row]) for k, row in enumerate(rows.tolist()) if row in order]
        found = np.array(pairs, np.intp).reshape(-1, 2)
        return found[:, 0], found[:, 1], np.ones(len(found))
    if isinstance(matrix, Sparse):
        part = matrix.restricted(rows, columns)
        return part.rows, part.columns, part.values
    chosen = matrix[np.ix_(rows, columns)]
    own, other = np.nonzero(chosen)
    return own, other, chosen[own, other]


def _both(parts: Sequence[tuple[Ints, Ints, Any]], rows: int, columns: int) -> tuple[Rows, Rows]:
    """A matrix by rows and by columns."""
    empty = np.zeros(0, np.intp)
    own = np.concatenate([empty, *(part[0] for part in parts)])
    other = np.concatenate([empty, *(part[1] for part in parts)])
    values = np.concatenate([np.zeros(0), *(part[2] for part in parts)]).astype(np.float32)
    return _sorted(own, other, values, rows), _sorted(other, own, values, columns)


def _sorted(own: Ints, other: Ints, values: Any, size: int) -> Rows:
    order = np.lexsort((other, own))
    starts = np.searchsorted(own[order], np.arange(size + 1))
    return starts.astype(np.uint64), other[order].astype(np.uint32), np.ascontiguousarray(values[order])
