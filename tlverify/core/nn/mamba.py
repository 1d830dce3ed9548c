"""The selective state-space block of Mamba (Gu and Dao 2023, algorithm 2 and figure 3). Steps are unrolled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.backend import namespace
from tlverify.core.nn.init import fan_in_uniform, uniform
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size, require_sizes
from tlverify.graph import ShapeError


@dataclass(frozen=True)
class Mamba:
    """(..., steps, features) to the same, causal: a step depends on itself and those before it.

    `states` numbers are kept for each of expand * features channels, `kernel` steps are convolved, and the step size
    is made from `rank` numbers.
    """

    features: int
    states: int = 16
    expand: int = 2
    kernel: int = 4
    rank: int = 0

    def __post_init__(self) -> None:
        require_sizes(self, features=self.features, states=self.states, expand=self.expand, kernel=self.kernel)
        if not isinstance(self.rank, int) or self.rank < 0:
            raise ShapeError(f"Mamba: rank: expected an integer of 0 or more, found {self.rank!r}")

    @property
    def channels(self) -> int:
        """Width inside the block."""
        return self.expand * self.features

    @property
    def step_rank(self) -> int:
        """`rank`, or features / 16 rounded up."""
        return self.rank or -(-self.features // 16)

    def init(self, rng: np.random.Generator) -> Params:
        """The step sizes at 0 are log-uniform on [0.001, 0.1], and A is -1, ..., -states for each channel."""
        inner, rank = self.channels, self.step_rank
        step = np.exp(rng.uniform(math.log(1e-3), math.log(1e-1), inner))
        decay = np.tile(np.arange(1, self.states + 1), (inner, 1))
        return {
            "in_proj": {"weight": fan_in_uniform(rng, (2 * inner, self.features))},
            "conv1d": {
                "weight": fan_in_uniform(rng, (inner, 1, self.kernel)),
                "bias": uniform(rng, (inner,), 1 / math.sqrt(self.kernel)),
            },
            "x_proj": {"weight": fan_in_uniform(rng, (rank + 2 * self.states, inner))},
            "dt_proj": {
                "weight": uniform(rng, (inner, rank), rank**-0.5),
                "bias": np.log(np.expm1(step)).astype(np.float32),
            },
            "A_log": np.log(decay).astype(np.float32),
            "D": np.ones(inner, np.float32),
            "out_proj": {"weight": fan_in_uniform(rng, (self.features, inner))},
        }

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        u, gate = ops.split(ops.linear(x, params["in_proj"]["weight"]), self.channels, -1)
        convolution = params["conv1d"]
        mixed = ops.conv1d(
            ops.swapaxes(u, -1, -2),
            convolution["weight"],
            convolution["bias"],
            padding=(self.kernel - 1, 0),
            groups=self.channels,
        )
        u = ops.silu(ops.swapaxes(mixed, -1, -2))
        y = ops.add(self._scan(params, u), ops.mul(u, params["D"]))
        return ops.linear(ops.mul(y, ops.silu(gate)), params["out_proj"]["weight"])

    def check(self, shape: PartialShape) -> PartialShape:
        steps, size = last(self, shape, 2, f"(..., steps, {self.features})")
        require_size(self, size, self.features, "features")
        if steps == 0:
            raise ShapeError(f"{self} expects one or more steps")
        return shape

    def _scan(self, params: Params, u: Any) -> Any:
        """h = exp(step A) h + step B u and y = C h, with step, B and C made from u (..., steps, channels)."""
        sizes = (self.step_rank, self.states, self.states)
        low, b, c = ops.split(ops.linear(u, params["x_proj"]["weight"]), sizes, -1)
        step = ops.softplus(ops.linear(low, params["dt_proj"]["weight"], params["dt_proj"]["bias"]))
        rate = ops.neg(ops.exp(params["A_log"]))
        decay = ops.exp(ops.mul(ops.expand_dims(step, -1), rate))
        drive = ops.mul(ops.expand_dims(ops.mul(step, u), -1), ops.expand_dims(b, -2))
        h = namespace(params["D"]).zeros((*u.shape[:-2], self.channels, self.states), str(u.dtype))
        outputs = []
        for t in range(u.shape[-2]):
            now = (..., t, slice(None), slice(None))
            h = ops.add(ops.mul(ops.slice(decay, *now), h), ops.slice(drive, *now))
            outputs.append(ops.sum(ops.mul(h, ops.expand_dims(ops.slice(c, ..., t, slice(None)), -2)), -1))
        return ops.stack(outputs, -2)

    def __str__(self) -> str:
        return f"Mamba({self.features})"
