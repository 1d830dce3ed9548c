"""Attention (Vaswani et al. 2017, section 3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.core import ops
from tlverify.core.nn import init as initialise
from tlverify.core.nn.embedding import rotary
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size, require_sizes
from tlverify.graph import ShapeError

Mask = Any
"""bool, True where a query may see a key; it broadcasts to (..., queries, keys)."""


def causal_mask(queries: int, keys: int | None = None) -> npt.NDArray[np.bool_]:
    """(queries, keys): each query sees the keys up to its own place; the last query has the last place."""
    count = queries if keys is None else keys
    return np.tril(np.ones((queries, count), bool), count - queries)


def attend(query: Any, key: Any, value: Any, mask: Mask | None = None) -> Any:
    """softmax(query key^T / sqrt(features)) value: (..., queries, features) and (..., keys, features).

    A query that may see no key gets 0.
    """
    scores = ops.mul(ops.matmul(query, ops.swapaxes(key, -1, -2)), 1.0 / math.sqrt(query.shape[-1]))
    weights = ops.softmax(scores) if mask is None else ops.masked_softmax(scores, mask)
    return ops.matmul(weights, value)


@dataclass(frozen=True)
class MultiheadAttention:
    """Attention with `heads` heads on (..., steps, features), by default of x to itself.

    Parameters are named as in PyTorch: in_proj_weight (3 features, features), in_proj_bias, out_proj. With `causal`
    a step sees itself and those before it; with `rotary` queries and keys are turned by their positions.
    """

    features: int
    heads: int
    bias: bool = True
    causal: bool = False
    rotary: bool = False

    def __post_init__(self) -> None:
        require_sizes(self, features=self.features, heads=self.heads)
        if self.features % self.heads:
            raise ShapeError(f"{self}: expected a number of heads that divides the features")

    def init(self, rng: np.random.Generator) -> Params:
        size = self.features
        params: Params = {
            "in_proj_weight": initialise.xavier_uniform(rng, (3 * size, size)),
            "out_proj": {"weight": initialise.fan_in_uniform(rng, (size, size))},
        }
        if self.bias:
            params["in_proj_bias"] = np.zeros(3 * size, np.float32)
            params["out_proj"]["bias"] = np.zeros(size, np.float32)
        return params

    def __call__(self, params: Params, x: Any, memory: Any = None, mask: Mask | None = None) -> Any:
        """x (..., queries, features), and what it looks at: memory (..., keys, features), x itself by default."""
        source = x if memory is None else memory
        size = self.features
        weights = ops.split(params["in_proj_weight"], size)
        biases = ops.split(params["in_proj_bias"], size) if self.bias else (None,) * 3
        inputs = (x, source, source)
        query, key, value = (
            self._heads(ops.linear(v, weight, bias)) for v, weight, bias in zip(inputs, weights, biases, strict=True)
        )
        if self.rotary:
            query, key = rotary(query), rotary(key)
        if self.causal:
            below = causal_mask(x.shape[-2], source.shape[-2])
            mask = below if mask is None else ops.logical_and(mask, below)
        merged = ops.swapaxes(attend(query, key, value, mask), -2, -3)
        out = params["out_proj"]
        return ops.linear(ops.reshape(merged, x.shape), out["weight"], out["bias"] if self.bias else None)

    def check(self, shape: PartialShape) -> PartialShape:
        size = last(self, shape, 2, f"(..., steps, {self.features})")[1]
        require_size(self, size, self.features, "features")
        return shape

    def _heads(self, x: Any) -> Any:
        """(..., steps, features) -> (..., heads, steps, features / heads)."""
        parts = ops.reshape(x, *x.shape[:-1], self.heads, self.features // self.heads)
        return ops.swapaxes(parts, -2, -3)

    def __str__(self) -> str:
        return f"MultiheadAttention({self.features}, {self.heads})"
