"""A map of the program as matrices of digits, applied to rows by BLAS."""

from __future__ import annotations

from types import ModuleType

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT_BITS, Array
from tlverify.certify.fast.freivalds import Freivalds
from tlverify.certify.kernel.program import Dense, Map, Sparse

MAX_DENSE = 1 << 22  # entries up to which a sparse map is applied as a dense matrix


class Linear:
    """A map's integer matrix in digits, applied to rows by BLAS."""

    def __init__(self, matrix: Map, xp: ModuleType, verify: bool) -> None:
        self.exponent = matrix.exponent
        self.blocks = matrix.blocks if isinstance(matrix, Dense) else 1
        self.gathers: list[tuple[Array, list[Array]]] = []
        self.parts: list[Array] = []
        if isinstance(matrix, Dense):
            flat = [v for row in matrix.rows for v in row]
            shape = (matrix.out_features, matrix.in_features)
            self.parts = [xp.asarray(part, dtype=float).reshape(shape) for part in digits.split(flat)]
            self.most = most(digits.split(flat))
        elif matrix.size * matrix.columns <= MAX_DENSE:
            self._densify(matrix, xp)
        else:
            self._gather(matrix, xp)
        self.checks = [Freivalds(part, xp) for part in self.parts] if verify else []

    def _densify(self, matrix: Sparse, xp: ModuleType) -> None:
        flat = [0] * (matrix.size * matrix.columns)
        for row, pairs in enumerate(matrix.entries):
            for index, c in pairs:
                flat[row * matrix.columns + index] += c
        split = digits.split(flat)
        self.parts = [xp.asarray(part, dtype=float).reshape(matrix.size, matrix.columns) for part in split]
        self.most = most(split)

    def _gather(self, matrix: Sparse, xp: ModuleType) -> None:
        """For the k-th result entry that a source entry goes into: its number, and the digits of its coefficient."""
        users: list[list[tuple[int, int]]] = [[] for _ in range(matrix.columns)]
        for row, pairs in enumerate(matrix.entries):
            for index, c in pairs:
                users[index].append((row, c))
        depth = max(1, max(map(len, users)))
        count = len(digits.split([c for pairs in users for _, c in pairs] or [0]))
        self.most = 0.0
        for k in range(depth):
            rows = [pairs[k][0] if k < len(pairs) else 0 for pairs in users]
            split = digits.split([pairs[k][1] if k < len(pairs) else 0 for pairs in users])
            split += [[-1 if v < 0 else 0 for v in split[-1]] for _ in range(count - len(split))]
            if len(split) > 1:  # sign extension: lower digits stay in [0, 2^22)
                split = _extend(split)
            self.most = max(self.most, most(split))
            self.gathers.append((xp.asarray(rows), [xp.asarray(part, dtype=float) for part in split]))

    def apply(self, row: Array, undone: Array, xp: ModuleType) -> list[Array]:
        """The digits of row M, not carried, for rows (batch, out). Rejected if a product is verified and wrong, but for
        the rows that are undone."""
        if self.gathers:
            count = len(self.gathers[0][1])
            result = [xp.zeros((len(row), len(self.gathers[0][0]))) for _ in range(count)]
            for rows, parts in self.gathers:
                picked = row[:, rows]
                for total, part in zip(result, parts, strict=True):
                    total += picked * part
            return result
        stacked = row.reshape(len(row) * self.blocks, -1)
        products = [stacked @ part for part in self.parts]
        if self.checks:
            sure = ~undone.repeat(self.blocks) if undone.any() else slice(None)
            left = stacked[sure].astype("int64")
            for check, product in zip(self.checks, products, strict=True):
                check.check(left, product[sure])
        return [product.reshape(len(row), -1) for product in products]


def _extend(split: list[list[int]]) -> list[list[int]]:
    """Digits whose negative top was moved up: each digit below the top again in [0, 2^22)."""
    carried = [[v & (1 << DIGIT_BITS) - 1 for v in part] for part in split[:-1]]
    return [*carried, split[-1]]


def most(split: list[list[int]]) -> float:
    return float(max(max(map(abs, part)) for part in split))
