"""A map of the program as matrices, applied by BLAS: in digits, exactly, or at once, to within a proved error."""

from __future__ import annotations

from types import ModuleType

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT_BITS, Array
from tlverify.certify.fast.freivalds import Freivalds
from tlverify.certify.kernel.arithmetic import COEFFICIENT_BITS
from tlverify.certify.kernel.program import Dense, Map, Sparse

MAX_DENSE = 1 << 22  # entries up to which a sparse map is applied as a dense matrix
FILTER_DIGITS = 3  # longer entries are applied in digits only
PAUSE = 16  # applications without the filter after one that decided less than half


class Linear:
    """A map's integer matrix, transposed, applied to coefficients (out, batch).

    `parts` are its digits (in, out), or `gathers` if it is sparse. `most` is the largest digit, and `heaviest` the
    largest sum of magnitudes of one digit over the entries that make a result. `whole` is the matrix in float64.
    """

    def __init__(self, matrix: Map, xp: ModuleType, verify: bool) -> None:
        self.exponent = matrix.exponent
        self.blocks = matrix.blocks if isinstance(matrix, Dense) else 1
        self.gathers: list[tuple[Array, list[Array]]] = []
        self.parts: list[Array] = []
        self.most = self.heaviest = 0.0
        self.whole: Array = None
        self._pause = 0
        if isinstance(matrix, Dense):
            self._fill([v for column in zip(*matrix.rows, strict=True) for v in column], len(matrix.rows), xp, verify)
        elif matrix.size * matrix.columns <= MAX_DENSE:
            flat = [0] * (matrix.size * matrix.columns)
            for row, pairs in enumerate(matrix.entries):
                for index, c in pairs:
                    flat[index * matrix.size + row] += c
            self._fill(flat, matrix.size, xp, verify)
        else:
            self._gather(matrix, xp)
        self.checks = [Freivalds(part.T, xp) for part in self.parts] if verify else []

    def _fill(self, flat: list[int], size: int, xp: ModuleType, verify: bool) -> None:
        """From the transposed entries, `size` in a row."""
        split = digits.split(flat)
        self.parts = [xp.asarray(part, dtype=float).reshape(-1, size) for part in split]
        self.most = most(split)
        self.heaviest = float(max(_heaviest(part, size) for part in split))
        if 2 <= len(split) <= FILTER_DIGITS and not verify:
            self.whole = xp.asarray([float(v) for v in flat]).reshape(-1, size)
            # |computed - exact| <= gamma sum |a| |w| for sums in any order, fused or not, and entries rounded once
            self.slack = 1.02 * (size + 4) * 2.0**-53 * 2.0**COEFFICIENT_BITS * float(_heaviest(flat, size))

    def _gather(self, matrix: Sparse, xp: ModuleType) -> None:
        """For the k-th result entry that a source entry goes into: its number, and the digits of its coefficient."""
        users: list[list[tuple[int, int]]] = [[] for _ in range(matrix.columns)]
        for row, pairs in enumerate(matrix.entries):
            for index, c in pairs:
                users[index].append((row, c))
        depth = max(1, max(map(len, users)))
        count = len(digits.split([c for pairs in users for _, c in pairs] or [0]))
        for k in range(depth):
            rows = [pairs[k][0] if k < len(pairs) else 0 for pairs in users]
            split = digits.split([pairs[k][1] if k < len(pairs) else 0 for pairs in users])
            split += [[-1 if v < 0 else 0 for v in split[-1]] for _ in range(count - len(split))]
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
        if self.blocks > 1:
            row = row.reshape(self.blocks, -1, row.shape[1])
        product = (whole @ row).reshape(-1, row.shape[-1])
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
        stacked = row.reshape(self.blocks, -1, row.shape[1]) if self.blocks > 1 else row
        products = [part @ stacked for part in self.parts]
        if self.checks:
            self._check(stacked, products, undone, xp)
        return [product.reshape(-1, row.shape[1]) for product in products]

    def _check(self, stacked: Array, products: list[Array], undone: Array, xp: ModuleType) -> None:
        sure = ~undone if undone.any() else slice(None)
        for block in range(self.blocks):
            own = stacked[block] if self.blocks > 1 else stacked
            left = own[:, sure].astype("int64").T
            for check, product in zip(self.checks, products, strict=True):
                check.check(left, (product[block] if self.blocks > 1 else product)[:, sure].T)


def _heaviest(flat: list[int], size: int) -> int:
    return max(sum(map(abs, flat[k : k + size])) for k in range(0, len(flat), size))


def _extend(split: list[list[int]]) -> list[list[int]]:
    """Digits whose negative top was moved up: each digit below the top again in [0, 2^22)."""
    carried = [[v & (1 << DIGIT_BITS) - 1 for v in part] for part in split[:-1]]
    return [*carried, split[-1]]


def most(split: list[list[int]]) -> float:
    return float(max(max(map(abs, part)) for part in split))
