"""A map of the program as matrices, applied by BLAS: in digits, exactly, or at once, to within a proved error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy
import numpy.typing as npt

from tlverify.certify import groups
from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT_BITS, Array
from tlverify.certify.fast.freivalds import Freivalds
from tlverify.certify.kernel.arithmetic import COEFFICIENT_BITS
from tlverify.certify.kernel.program import Dense, Map

MAX_DENSE = 1 << 14  # entries up to which a sparse map is applied as a dense matrix
FILTER_DIGITS = 3  # longer entries are applied in digits only
PAUSE = 16  # applications without the filter after one that decided less than half


class Linear:
    """A map's integer matrix, transposed, applied to coefficients (out, batch).

    `parts` are its digits: matrices (in, out), or a list of small ones for the `groups` of a sparse map, which is
    gathered (`gathers`) if products are verified. `most` is the largest digit, and `heaviest` the largest sum of
    magnitudes of one digit over the entries that make a result. `whole` is the matrix in float64, like a part.
    """

    def __init__(self, matrix: Map, xp: ModuleType, verify: bool) -> None:
        self.exponent = matrix.exponent
        self.columns = matrix.columns
        self.blocks = matrix.blocks if isinstance(matrix, Dense) else 1
        self.gathers: list[tuple[Array, list[Array]]] = []
        self.groups: list[groups.Group] | None = None
        self.parts: list[Any] = []
        self.most = self.heaviest = 0.0
        self.whole: Any = None
        self._pause = 0
        if isinstance(matrix, Dense):
            flat = [v for column in zip(*matrix.rows, strict=True) for v in column]
            self._fill(flat, [(-1, len(matrix.rows))], xp, verify)
        elif matrix.size * matrix.columns <= MAX_DENSE:
            flat = [0] * (matrix.size * matrix.columns)
            for row, pairs in enumerate(matrix.entries):
                for index, c in pairs:
                    flat[index * matrix.size + row] += c
            self._fill(flat, [(-1, matrix.size)], xp, verify)
        else:
            users = groups.transposed(matrix.entries, matrix.columns)
            if verify:
                self._gather(users, xp)
            else:
                found = groups.grouped(users)
                self.groups = [groups.Group(xp.asarray(g.index), xp.asarray(g.result), ()) for g in found]
                flat = [c for group in found for c in group.coefficients]
                self._fill(flat or [0], [group.shape for group in found], xp, verify)
        self.checks = [Freivalds(part.T, xp) for part in self.parts] if verify else []

    def _fill(self, flat: list[int], shapes: Sequence[tuple[int, ...]], xp: ModuleType, verify: bool) -> None:
        """From the entries of matrices of these shapes, one after another, transposed: the last axis is summed over."""
        split = digits.split(flat)
        self.parts = [self._formed(part, shapes, xp) for part in split]
        self.most = most(split)
        self.heaviest = float(max(_heaviest(part.tolist(), shapes) for part in split))
        if 2 <= len(split) <= FILTER_DIGITS and not verify:
            self.whole = self._formed(numpy.array(flat, dtype=float), shapes, xp)
            size = max((shape[-1] for shape in shapes), default=1)
            # |computed - exact| <= gamma sum |a| |w| for sums in any order, fused or not, and entries rounded once
            self.slack = 1.02 * (size + 4) * 2.0**-53 * 2.0**COEFFICIENT_BITS * float(_heaviest(flat, shapes))

    def _formed(self, flat: npt.NDArray[Any], shapes: Sequence[tuple[int, ...]], xp: ModuleType) -> Any:
        """One matrix, or those of the groups."""
        values = xp.asarray(flat, dtype=float)
        if self.groups is None:
            return values.reshape(shapes[0])
        ends = numpy.cumsum([0, *(numpy.prod(shape) for shape in shapes)]).tolist()
        return [values[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]

    def _gather(self, users: list[list[tuple[int, int]]], xp: ModuleType) -> None:
        """For the k-th result entry that a source entry goes into: its number, and the digits of its coefficient."""
        depth = max(1, max(map(len, users)))
        count = len(digits.split([c for pairs in users for _, c in pairs] or [0]))
        for k in range(depth):
            rows = [pairs[k][0] if k < len(pairs) else 0 for pairs in users]
            split = digits.split([pairs[k][1] if k < len(pairs) else 0 for pairs in users])
            split += [split[-1] >> DIGIT_BITS for _ in range(count - len(split))]
            if len(split) > 1:  # sign extension: lower digits stay in [0, 2^22)
                split = _extend(split)
            self.most = max(self.most, most(split))
            self.gathers.append((xp.asarray(rows), [xp.asarray(part, dtype=float)[:, None] for part in split]))
        self.heaviest = self.most * depth

    @property
    def filtered(self) -> bool:
        """Whether `floors` is worth a try."""
        return self.whole is not None and not self._pause

    def decided(self, count: int, doubtful: int) -> None:
        """To be told of how many jobs `floors` has left open."""
        if 2 * doubtful > count:
            self._pause = PAUSE

    def floors(self, whole: Array, row: Array, xp: ModuleType) -> tuple[Array, Array, Array]:
        """For columns of coefficients of COEFFICIENT_BITS: their products with the matrix `whole`, floored to as many,
        by how many places, and for which columns all that is proved, and that there are such places."""
        product = self._times(whole, row, xp)
        largest = xp.maximum(product.max(0), -product.min(0))
        margin = 2 * self.slack + 4  # for the end points are rounded as well
        own = xp.frexp(largest + margin)[1]
        drop = own - COEFFICIENT_BITS
        sure = (largest > 2 * margin) & (xp.frexp(largest - margin)[1] == own) & (drop > 0) & (drop < 64)
        scale = digits.power(-drop, xp)
        product *= scale
        result = xp.floor(product)
        product -= result  # exact: what the floor took off
        doubt = 1.01 * self.slack * scale + 2.0**-40
        sure &= (product.min(0) >= doubt) & (product.max(0) <= 1 - doubt)
        return result, drop, sure

    def apply(self, row: Array, undone: Array, xp: ModuleType) -> list[Array]:
        """The digits of the product, not carried, (in, batch). Rejected if a product is verified and wrong, but for the
        columns that are undone."""
        self._pause = max(self._pause - 1, 0)
        if self.gathers:
            count = len(self.gathers[0][1])
            result = [xp.zeros((len(self.gathers[0][0]), row.shape[1])) for _ in range(count)]
            for rows, parts in self.gathers:
                picked = row[rows]
                for total, part in zip(result, parts, strict=True):
                    total += picked * part
            return result
        products = [self._times(part, row, xp) for part in self.parts]
        if self.checks:
            self._check(row, products, undone)
        return products

    def _times(self, matrix: Any, row: Array, xp: ModuleType) -> Array:
        """One part, or all of the matrix, applied: (in, batch)."""
        if self.groups is not None:
            result = xp.zeros((self.columns, row.shape[1]))
            groups.product(self.groups, matrix, row, result)
            return result
        if self.blocks > 1:
            row = row.reshape(self.blocks, -1, row.shape[1])
        return (matrix @ row).reshape(-1, row.shape[-1])

    def _check(self, row: Array, products: list[Array], undone: Array) -> None:
        sure = ~undone if undone.any() else slice(None)
        stacked = row.reshape(self.blocks, -1, row.shape[1]) if self.blocks > 1 else row
        products = [part.reshape(self.blocks, -1, row.shape[1]) if self.blocks > 1 else part for part in products]
        for block in range(self.blocks):
            own = stacked[block] if self.blocks > 1 else stacked
            left = own[:, sure].astype("int64").T
            for check, product in zip(self.checks, products, strict=True):
                check.check(left, (product[block] if self.blocks > 1 else product)[:, sure].T)


def _heaviest(flat: list[int], shapes: Sequence[tuple[int, ...]]) -> int:
    """The largest sum of magnitudes over the last axis."""
    largest = start = 0
    for shape in shapes:
        size = shape[-1]
        stop = start + math.prod(shape) if shape[0] >= 0 else len(flat)
        largest = max(largest, max(sum(map(abs, flat[k : k + size])) for k in range(start, stop, size)))
        start = stop
    return largest


def _extend(split: list[npt.NDArray[numpy.int64]]) -> list[npt.NDArray[numpy.int64]]:
    """Digits whose negative top was moved up: each digit below the top again in [0, 2^22)."""
    return [*(part & (1 << DIGIT_BITS) - 1 for part in split[:-1]), split[-1]]


def most(split: list[npt.NDArray[numpy.int64]]) -> float:
    return float(max(int(numpy.abs(part).max()) for part in split))
