"""Masked autoencoders (He et al. 2022): a Transformer that sees some patches of an image and predicts the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, require_size
from tlverify.core.nn.state import need_key
from tlverify.graph import ShapeError


@dataclass(frozen=True)
class MaskedAutoencoder:
    """Patches (..., count, size) to (..., count, size + 1): the predicted patches, and 1 where a patch was hidden.

    In training a share `hidden` of the patches, chosen by the key, is replaced by a learned vector; in evaluation none.
    """

    count: int
    size: int
    features: int = 32
    heads: int = 4
    depth: int = 2
    hidden: float = 0.5

    def __post_init__(self) -> None:
        if min(self.count, self.size, self.features, self.depth) < 1 or not 0 < self.hidden < 1:
            raise ShapeError(f"{self}: expected sizes of 1 or more, and a share hidden in (0, 1)")

    @property
    def body(self) -> nn.Sequential:
        """From embedded patches to predicted ones."""
        block = nn.TransformerEncoderLayer(self.features, self.heads, 4 * self.features, 0.0, "gelu", norm_first=True)
        blocks = [block] * self.depth
        return nn.Sequential(
            nn.SinusoidalPositions(self.count, self.features), *blocks, nn.Linear(self.features, self.size)
        )

    def init(self, rng: np.random.Generator) -> Params:
        embedding = nn.Linear(self.size, self.features).init(rng)
        return {"embedding": embedding, "hidden": nn.init.normal(rng, (self.features,)), "body": self.body.init(rng)}

    def init_state(self) -> Any:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return self.apply(params, {}, x, False, None)[0]

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        self.check(tuple(x.shape))
        embedded = nn.Linear(self.size, self.features)(params["embedding"], x)
        mask = ops.zeros_like(ops.slice(x, ..., slice(0, 1)))
        if train:
            draws = ops.random_uniform(need_key(self, key), (*x.shape[:-1], 1), str(x.dtype))
            mask = ops.cast(ops.less(draws, self.hidden), str(x.dtype))
            embedded = ops.where(ops.greater(mask, 0), params["hidden"], embedded)
        return ops.concat([self.body(params["body"], embedded), mask], -1), state

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Mean squared error over the hidden patches; over all of them where none was hidden."""
        found, mask = ops.split(outputs, (self.size, 1), -1)
        errors = ops.mean(ops.square(ops.sub(found, targets)), -1, keepdims=True)
        total = ops.sum(mask)
        some = ops.greater(total, 0)
        hidden = ops.div(ops.sum(ops.mul(errors, mask)), ops.where(some, total, 1))
        return ops.where(some, hidden, ops.mean(errors))

    def check(self, shape: PartialShape) -> PartialShape:
        count, size = last(self, shape, 2, f"(..., {self.count}, {self.size})")
        require_size(self, count, self.count, "patches")
        require_size(self, size, self.size, "values of a patch")
        return (*shape[:-1], self.size + 1)

    def __str__(self) -> str:
        return f"MaskedAutoencoder({self.count}, {self.size})"


def patches(images: Any, size: int) -> Any:
    """Images (..., height, width) -> (..., count, size * size), row by row."""
    height, width = images.shape[-2:]
    if height % size or width % size:
        raise ShapeError(f"patches: expected sides that {size} divides, found {height} x {width}")
    lead = images.shape[: images.ndim - 2]
    cut = ops.reshape(images, *lead, height // size, size, width // size, size)
    return ops.reshape(ops.swapaxes(cut, -2, -3), *lead, -1, size * size)
