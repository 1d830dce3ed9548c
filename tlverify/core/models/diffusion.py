"""Denoising diffusion: the noise schedule, the training loss, and deterministic sampling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.core import nn, ops
from tlverify.graph import ShapeError

Denoiser = Callable[[Any, Any, Any], Any]
"""(params, x with noise, time in [0, 1]) -> the noise."""


@dataclass(frozen=True)
class Diffusion:
    """Gaussian diffusion over `steps` with linear betas (Ho et al. 2020) and DDIM sampling (Song et al. 2021)."""

    steps: int = 100
    first: float = 1e-4
    last: float = 0.02

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.first <= self.last < 1:
            raise ShapeError(f"{self}: expected one or more steps, and 0 < first <= last < 1")

    @property
    def kept(self) -> npt.NDArray[np.float64]:
        """(steps,): the share of the variance that is signal after each step."""
        # Betas are those of 1000 steps, of which `steps` equally spaced ones are used.
        whole = np.cumprod(1 - np.linspace(self.first, self.last, 1000))
        kept: npt.NDArray[np.float64] = whole[np.linspace(0, 999, self.steps + 1).round().astype(int)[1:]]
        return kept

    def loss(self, model: Denoiser, params: Any, x: Any, key: Any) -> Any:
        """Mean squared error of the predicted noise at random times, for examples x (n, ...)."""
        dtype = str(x.dtype)
        times = ops.cast(ops.mul(ops.random_uniform(ops.fold_in(key, 0), x.shape[:1], dtype), self.steps), "int64")
        noise = ops.random_normal(ops.fold_in(key, 1), x.shape, dtype)
        kept = ops.take(self.kept.astype(dtype), times)
        share = ops.reshape(kept, -1, *(1,) * (x.ndim - 1))
        noisy = ops.add(ops.mul(x, ops.sqrt(share)), ops.mul(noise, ops.sqrt(ops.sub(1.0, share))))
        found = model(params, noisy, ops.div(ops.cast(times, dtype), float(self.steps)))
        return ops.mean(ops.square(ops.sub(found, noise)))

    def sample(
        self, model: Denoiser, params: Any, noise: npt.NDArray[Any], count: int | None = None, limit: float = 1.0
    ) -> npt.NDArray[Any]:
        """Examples from noise (n, ...) in `count` deterministic steps (all by default).

        Estimates of the example are limited to [-limit, limit], as those from almost pure noise can be far away.
        """
        times = np.linspace(self.steps - 1, 0, count or self.steps).round().astype(int)
        kept, x = self.kept, noise
        for i, time in enumerate(times):
            level = np.full(len(x), time / self.steps, x.dtype)
            direction = np.asarray(model(params, x, level))
            share = kept[time]
            clean = np.clip((x - np.sqrt(1 - share) * direction) / np.sqrt(share), -limit, limit)
            direction = (x - np.sqrt(share) * clean) / np.sqrt(1 - share)
            after = kept[times[i + 1]] if i + 1 < len(times) else 1.0
            x = (np.sqrt(after) * clean + np.sqrt(1 - after) * direction).astype(noise.dtype)
        return x


def time_features(time: Any, features: int) -> Any:
    """(n,) in [0, 1] -> (n, features): sines and cosines of growing frequency."""
    frequencies = (2.0 ** np.arange(features // 2) * np.pi).astype(str(time.dtype))
    angles = ops.mul(ops.expand_dims(time, -1), frequencies)
    return ops.concat([ops.sin(angles), ops.cos(angles)], -1)


def mlp_denoiser(features: int, hidden: int = 128, time_size: int = 16) -> tuple[nn.Sequential, Denoiser]:
    """An mlp of examples (n, features) and their times: the layer to initialise, and the denoiser."""
    layers = nn.Sequential(
        nn.Linear(features + time_size, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, features),
    )

    def denoise(params: Any, x: Any, time: Any) -> Any:
        return layers(params, ops.concat([x, time_features(time, time_size)], -1))

    return layers, denoise
