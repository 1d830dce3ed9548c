"""Data that is computed: functions on grids, transforms of data sets, batches made ahead of time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tlverify.train.data.dataset import Array, DataError, Dataset, tensor_dataset

T = TypeVar("T")


def grid(function: Callable[[Array], Any], lower: Sequence[float], upper: Sequence[float], points: int) -> Dataset:
    """`function` of all points x (n, k) of a regular grid with `points` along each of the k axes: n = points**k."""
    if len(lower) != len(upper) or not lower or points < 1:
        raise DataError(f"grid: expected ends of one length and 1 or more points, found {lower}, {upper}, {points}")
    axes = [np.linspace(a, b, points) for a, b in zip(lower, upper, strict=True)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)).astype(np.float32)
    y = np.asarray(function(x), np.float32)
    return tensor_dataset(x, y[:, None] if y.ndim == 1 else y)


def regression_grid_2to1() -> Dataset:
    """0.8 relu(x1 + x2) - 0.4 relu(x2 - x1) + 0.2 on the 25 points of a grid over [-1, 1]^2."""

    def target(x: Array) -> Array:
        a, b = x[:, 0], x[:, 1]
        return np.asarray(0.8 * np.maximum(a + b, 0) - 0.4 * np.maximum(b - a, 0) + 0.2)

    return grid(target, (-1, -1), (1, 1), 5)


@dataclass(frozen=True, eq=False)
class Normalize:
    """(x - mean) / deviation for each feature, as fitted to one data set and applied to others."""

    mean: Array
    deviation: Array

    @classmethod
    def fit(cls, data: Dataset, axes: Sequence[int] = (0,)) -> Normalize:
        """Mean and standard deviation of x over `axes`; a deviation of 0 counts as 1."""
        deviation = data.x.std(tuple(axes), keepdims=True)
        return cls(data.x.mean(tuple(axes), keepdims=True), np.where(deviation > 0, deviation, 1).astype(np.float32))

    def __call__(self, data: Dataset) -> Dataset:
        return tensor_dataset((data.x - self.mean) / self.deviation, data.y)


def transform(
    data: Dataset, x: Callable[[Array], Any] | None = None, y: Callable[[Array], Any] | None = None
) -> Dataset:
    """The data set with functions applied to all examples, or all targets, at once."""
    return tensor_dataset(data.x if x is None else x(data.x), data.y if y is None else y(data.y))


def prefetch(items: Iterable[T], count: int = 2) -> Iterator[T]:
    """The items in their order, made up to `count` ahead in a thread; its errors are raised here."""
    if count < 1:
        raise DataError(f"prefetch: expected a count of 1 or more, found {count}")
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(count)
    stopped = threading.Event()

    def put(entry: tuple[bool, Any]) -> bool:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.05)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    thread = threading.Thread(target=work, daemon=True, name="tlverify-prefetch")
    thread.start()
    try:
        while True:
            more, value = ready.get()
            if not more:
                if value is not None:
                    raise value
                return
            yield value
    finally:
        stopped.set()
        thread.join()
