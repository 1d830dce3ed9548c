"""Batches that are made, not stored: collocation points, rollouts, windows of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.graph import Shape
from tlverify.train.data import Array, DataError


@dataclass(frozen=True)
class StepStream:
    """`function(step)` gives the batch (x, y) of each step, counted from 0.

    `x_shape` and `y_shape` are those of a batch; a batch with another shape, or with a NaN, is an error that names
    the step. The function should depend on the step alone, as `numpy.random.default_rng((seed, step))` does: then
    training can be taken up again at any step.
    """

    function: Callable[[int], tuple[Any, Any]]
    x_shape: Shape
    y_shape: Shape

    @classmethod
    def fixed(cls, x: Any, y: Any) -> StepStream:
        """The same batch at every step."""
        x, y = np.asarray(x), np.asarray(y)
        return cls(lambda step: (x, y), x.shape, y.shape)

    @classmethod
    def cycle(cls, batches: list[tuple[Any, Any]]) -> StepStream:
        """The batches one after another, again and again."""
        if not batches:
            raise DataError("StepStream.cycle: expected one or more batches, found none")
        pairs = [(np.asarray(x), np.asarray(y)) for x, y in batches]
        return cls(lambda step: pairs[step % len(pairs)], pairs[0][0].shape, pairs[0][1].shape)

    @property
    def features(self) -> Shape:
        """Shape of one example."""
        return tuple(self.x_shape[1:])

    def batch(self, step: int) -> tuple[Array, Array]:
        """The checked batch of a step."""
        x, y = self.function(step)
        return self._checked("x", x, self.x_shape, step), self._checked("y", y, self.y_shape, step)

    def _checked(self, name: str, value: Any, shape: Shape, step: int) -> Array:
        array = np.asarray(value)
        if array.shape != tuple(shape):
            raise DataError(f"step {step}: {name}: expected shape {list(shape)}, found {list(array.shape)}")
        if np.issubdtype(array.dtype, np.integer):
            return array.astype(np.int64, copy=False)
        if array.dtype not in (np.float32, np.float64):
            raise DataError(f"step {step}: {name}: expected floats or integers, found {array.dtype}")
        if not np.isfinite(array).all():
            raise DataError(f"step {step}: {name}: expected finite numbers, found NaN or infinity")
        return array.astype(np.float32, copy=False)
