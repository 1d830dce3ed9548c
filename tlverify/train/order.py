"""The order of examples: batches of shuffled passes, from a position that can be saved and taken up again."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlverify.train.data import Array, Dataset


class ShuffledBatches:
    """Batches of `size` examples; each pass is in an order drawn from `rng`, and skips what is left at its end."""

    def __init__(self, data: Dataset, size: int, rng: np.random.Generator) -> None:
        self._data, self._size, self._rng = data, size, rng
        self._start: Any = rng.bit_generator.state
        self._order: Array | None = None
        self._place = 0

    @property
    def per_pass(self) -> int:
        """Batches of one pass."""
        return len(self._data) // self._size

    @property
    def at_end(self) -> bool:
        """Whether the batch that came last was the last one of its pass."""
        return self._place == 0

    @property
    def left(self) -> int:
        """Batches of this pass that are to come."""
        return self.per_pass - self._place

    def next(self) -> tuple[Array, Array]:
        """The next batch (x, y)."""
        index = self._next(1)
        return self._data.x[index], self._data.y[index]

    def take(self, count: int) -> tuple[Array, Array]:
        """The next batches (x, y), which may be of several passes, along a new first axis."""
        parts = []
        while count:
            parts.append(self._next(min(count, self.left)))
            count -= len(parts[-1]) // self._size
        index = np.concatenate(parts).reshape(-1, self._size)
        return self._data.x.take(index, 0), self._data.y.take(index, 0)

    def _next(self, count: int) -> Array:
        """The examples of the next batches, all of one pass."""
        if self._order is None:
            self._start = self._rng.bit_generator.state
            self._order = self._rng.permutation(len(self._data))
        index = self._order[self._place * self._size : (self._place + count) * self._size]
        self._place += count
        if self._place == self.per_pass:
            self._place, self._order = 0, None
        return index

    def position(self) -> dict[str, Any]:
        """The place in the order, as JSON data."""
        start = self._start if self._order is not None else self._rng.bit_generator.state
        return {"pass_start": start, "place": self._place}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on from a place that `position` gave."""
        self._rng.bit_generator.state = position["pass_start"]
        self._place, self._order = int(position["place"]), None
        if self._place:
            self._start = position["pass_start"]
            self._order = self._rng.permutation(len(self._data))
