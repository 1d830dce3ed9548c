"""A matrix as dense pieces, where most of it is 0: rows that see a window touch a few runs of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CHUNK = 64  # rows of a piece
GAP = 48  # zeros that are cheaper than another piece
FULL = 0.6  # of the entries in pieces: the matrix is one piece


@dataclass(frozen=True)
class Pieces:
    """`parts` are (first row, last, first column, last, entries); all else is 0."""

    shape: tuple[int, int]
    parts: Sequence[tuple[int, int, int, int, Any]]

    @classmethod
    def of(cls, matrix: Any) -> Pieces:
        """Of a matrix whose rows are sorted by where they are not 0."""
        rows, columns = matrix.shape
        places = []
        for first in range(0, rows, CHUNK):
            last = min(first + CHUNK, rows)
            places += [(first, last, *run) for run in _runs(matrix[first:last].any(0))]
        area = sum((last - first) * (stop - start) for first, last, start, stop in places)
        if area > FULL * rows * columns:
            return cls(matrix.shape, [(0, rows, 0, columns, matrix)])
        return cls(matrix.shape, [(a, b, c, d, np.ascontiguousarray(matrix[a:b, c:d])) for a, b, c, d in places])

    @property
    def area(self) -> int:
        """Entries that take part."""
        return sum(int(part[-1].size) for part in self.parts)

    def pulled(self, left: Any, start: Any) -> Any:
        """start + left @ matrix."""
        if len(self.parts) == 1 and self.parts[0][-1].shape == self.shape:
            result = left @ self.parts[0][-1]
            result += start
            return result
        result = start.copy()
        self.pull(left, result)
        return result

    def pull(self, left: Any, result: Any) -> None:
        """result += left @ matrix."""
        for first, last, start, stop, entries in self.parts:
            result[:, start:stop] += left[:, first:last] @ entries

    def push(self, left: Any, result: Any) -> None:
        """result += left @ matrix.T."""
        for first, last, start, stop, entries in self.parts:
            result[:, first:last] += left[:, start:stop] @ entries.T


def _runs(used: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last of each run of columns in use, short gaps taken in."""
    (where,) = np.nonzero(used)
    if not len(where):
        return []
    (breaks,) = np.nonzero(np.diff(where) > GAP)
    starts = where[np.concatenate([[0], breaks + 1])]
    stops = where[np.concatenate([breaks, [len(where) - 1]])] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
