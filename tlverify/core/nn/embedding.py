"""Embeddings of indices, and encodings of positions: learned, sinusoidal, rotary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.core import ops
from tlverify.core.nn.init import generator
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size, require_sizes
from tlverify.graph import ShapeError


@dataclass(frozen=True)
class Embedding:
    """Rows of a table (count, features) at int64 indices: (...) -> (..., features). Rows are standard normal."""

    count: int
    features: int

    def __post_init__(self) -> None:
        require_sizes(self, count=self.count, features=self.features)

    def init(self, rng: np.random.Generator) -> Params:
        return {"weight": generator(rng).normal(size=(self.count, self.features)).astype(np.float32)}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.embedding(x, params["weight"])

    def check(self, shape: PartialShape) -> PartialShape:
        return (*shape, self.features)

    def __str__(self) -> str:
        return f"Embedding({self.count}, {self.features})"


@dataclass(frozen=True)
class LearnedPositions:
    """x (..., steps, features) plus a learned vector for each step, of at most `length`."""

    length: int
    features: int

    def init(self, rng: np.random.Generator) -> Params:
        return {"weight": (0.02 * generator(rng).normal(size=(self.length, self.features))).astype(np.float32)}

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        return ops.add(x, ops.slice(params["weight"], slice(0, x.shape[-2])))

    def check(self, shape: PartialShape) -> PartialShape:
        return _check_steps(self, shape, self.length, self.features)

    def __str__(self) -> str:
        return f"LearnedPositions({self.length}, {self.features})"


@dataclass(frozen=True)
class SinusoidalPositions:
    """x (..., steps, features) plus sines and cosines of the step (Vaswani et al. 2017, section 3.5)."""

    length: int
    features: int

    def __post_init__(self) -> None:
        if self.features % 2:
            raise ShapeError(f"{self}: expected an even number of features")

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        return ops.add(x, sinusoids(x.shape[-2], self.features).astype(str(x.dtype)))

    def check(self, shape: PartialShape) -> PartialShape:
        return _check_steps(self, shape, self.length, self.features)

    def __str__(self) -> str:
        return f"SinusoidalPositions({self.length}, {self.features})"


def sinusoids(steps: int, features: int, base: float = 10000.0) -> npt.NDArray[np.float64]:
    """(steps, features): sin(p / base^(2i / features)) at 2i, cos of the same at 2i + 1."""
    angles = np.arange(steps)[:, None] / base ** (np.arange(0, features, 2) / features)
    return np.stack([np.sin(angles), np.cos(angles)], -1).reshape(steps, features)


def rotary(x: Any, start: int = 0, base: float = 10000.0) -> Any:
    """x (..., steps, features) with each pair of features turned by an angle that grows with its step (Su et al. 2021).

    The product of two rotated vectors depends on the distance of their steps only. `start` is the first step, for
    generation with a cache. Pairs are features 2i and 2i + 1, turned by step / base^(2i / features).
    """
    steps, features = x.shape[-2:]
    if features % 2:
        raise ShapeError(f"rotary: expected an even number of features, found {list(x.shape)}")
    turns = sinusoids(start + steps, features, base)[start:].reshape(steps, features // 2, 2).astype(str(x.dtype))
    pairs = ops.reshape(x, *x.shape[:-1], features // 2, 2)
    # A pair is a complex number, and (cos, sin) the one that turns it.
    return ops.reshape(ops.complex_mul(pairs, turns[..., ::-1].copy()), x.shape)


def _check_steps(layer: object, shape: PartialShape, length: int, features: int) -> PartialShape:
    steps, size = last(layer, shape, 2, f"(..., steps, {features})")
    require_size(layer, size, features, "features")
    if steps is not None and steps > length:
        raise ShapeError(f"{layer} expects at most {length} steps")
    return shape
