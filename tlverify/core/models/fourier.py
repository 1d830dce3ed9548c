"""The Fourier neural operator on one axis (Li et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size
from tlverify.graph import ShapeError


@dataclass(frozen=True)
class SpectralConv1d:
    """(..., channels, points) to the same: the first `modes` frequencies are mixed by complex weights, others are 0."""

    channels: int
    modes: int

    def __post_init__(self) -> None:
        if min(self.channels, self.modes) < 1:
            raise ShapeError(f"{self}: expected one or more channels and modes")

    def init(self, rng: np.random.Generator) -> Params:
        """weight (modes, in, out, 2): real and imaginary parts, uniform on [0, 1 / channels^2]."""
        shape = (self.modes, self.channels, self.channels, 2)
        return {"weight": (rng.random(shape) / self.channels**2).astype(np.float32)}

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        points = x.shape[-1]
        spectrum = ops.slice(ops.rfft(x), ..., slice(0, self.modes), slice(None))
        real, imag = (ops.moveaxis(ops.slice(spectrum, ..., part), -1, -2) for part in (0, 1))
        weights = [ops.slice(params["weight"], ..., part) for part in (0, 1)]
        # Complex products of (..., modes, 1, in) and (modes, in, out).
        a, b = (ops.expand_dims(part, -2) for part in (real, imag))
        mixed = [
            ops.sub(ops.matmul(a, weights[0]), ops.matmul(b, weights[1])),
            ops.add(ops.matmul(a, weights[1]), ops.matmul(b, weights[0])),
        ]
        pairs = ops.stack([ops.moveaxis(ops.squeeze(part, -2), -1, -2) for part in mixed], -1)
        rest = points // 2 + 1 - self.modes
        return ops.irfft(ops.pad(pairs, (0, 0, 0, rest)), points)

    def check(self, shape: PartialShape) -> PartialShape:
        channels, points = last(self, shape, 2, f"(..., {self.channels}, points)")
        require_size(self, channels, self.channels, "channels")
        if points is not None and points // 2 + 1 < self.modes:
            raise ShapeError(f"{self} expects {2 * self.modes - 2} points or more")
        return shape

    def __str__(self) -> str:
        return f"SpectralConv1d({self.channels}, {self.modes})"


def fno1d(inputs: int, outputs: int, channels: int = 32, modes: int = 12, depth: int = 4) -> nn.Sequential:
    """Functions (..., inputs, points) to functions (..., outputs, points), for any number of points."""
    layers: list[nn.Layer] = [nn.Conv1d(inputs, channels, 1)]
    for i in range(depth):
        layers.append(nn.Parallel(SpectralConv1d(channels, modes), nn.Conv1d(channels, channels, 1)))
        if i < depth - 1:
            layers.append(nn.GELU())
    return nn.Sequential(*layers, nn.Conv1d(channels, 4 * channels, 1), nn.GELU(), nn.Conv1d(4 * channels, outputs, 1))
