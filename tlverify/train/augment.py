"""Random changes of a batch of images that keep its labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tlverify.graph import Shape, ShapeError
from tlverify.train.data import Array


@dataclass(frozen=True)
class Jitter:
    """Each image (height, width) moved, turned, scaled and made noisy by its own uniform draw.

    `shift` in pixels, `rotate` in degrees, `scale` as the logarithm of the factor, each between minus and plus
    that number. Pixels are interpolated bilinearly, with 0 outside the image; then each gets noise in
    [-noise, noise] and is clipped to [0, 1].
    """

    shift: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    noise: float = 0.0

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A batch x (n, height, width) with values in [0, 1], changed by draws from `rng`."""
        if x.ndim != 3:
            raise ShapeError(f"Jitter: expected images (n, height, width), found {list(x.shape)}")
        count, height, width = x.shape
        shift = _uniform(rng, self.shift, (2, count, 1))
        angle = _uniform(rng, math.radians(self.rotate), (count, 1))
        factor = np.exp(_uniform(rng, self.scale, (count, 1)))
        row, column = (axis.ravel() for axis in np.indices((height, width), dtype=np.float32))
        row, column = row - (height - 1) / 2, column - (width - 1) / 2
        cosine, sine = np.cos(angle) / factor, np.sin(angle) / factor
        source_row = cosine * row - sine * column + (shift[0] + (height - 1) / 2)
        source_column = sine * row + cosine * column + (shift[1] + (width - 1) / 2)
        moved = _sample(x, source_row, source_column).reshape(x.shape)
        noisy: Array = np.clip(moved + _uniform(rng, self.noise, x.shape), 0.0, 1.0)
        return noisy


def _uniform(rng: np.random.Generator, bound: float, shape: Shape) -> Array:
    """Float32 draws from [-bound, bound)."""
    return (2 * rng.random(shape, dtype=np.float32) - 1) * bound


def _sample(x: Array, row: Array, column: Array) -> Array:
    """Bilinear interpolation of images (n, height, width) at points (n, k), with 0 outside."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    count, height, width = padded.shape
    row, column = np.clip(row + 1, 0, height - 1), np.clip(column + 1, 0, width - 1)
    top = np.minimum(row.astype(np.int64), height - 2)
    left = np.minimum(column.astype(np.int64), width - 2)
    down, right = row - top.astype(np.float32), column - left.astype(np.float32)
    corner = (np.arange(count)[:, None] * height + top) * width + left
    a, b, c, d = (padded.ravel().take(corner + offset) for offset in (0, 1, width, width + 1))
    upper, lower = a + (b - a) * right, c + (d - c) * right
    return upper + (lower - upper) * down  # type: ignore[no-any-return]
