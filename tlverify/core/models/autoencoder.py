"""Autoencoders: plain, variational, with a codebook, and masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.models.dense import mlp
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape
from tlverify.core.nn.state import need_key


def autoencoder(sizes: Sequence[int]) -> nn.Sequential:
    """An mlp of `sizes` = (features, ..., code) and its mirror image; the code is any numbers."""
    return nn.Sequential(mlp(sizes), mlp(sizes[::-1]))


@dataclass(frozen=True)
class VAE:
    """A variational autoencoder (Kingma and Welling 2014): (..., features) to the same.

    In training the code is drawn with the key; in evaluation it is its mean. `loss` is the negative evidence bound.
    """

    sizes: tuple[int, ...]
    """(features, hidden ..., code)."""

    @property
    def encoder(self) -> nn.Sequential:
        """To the mean and the logarithm of the variance of the code, side by side."""
        return mlp((*self.sizes[:-1], 2 * self.sizes[-1]))

    @property
    def decoder(self) -> nn.Sequential:
        """From a code to logits of the features."""
        return mlp(self.sizes[::-1])

    def init(self, rng: np.random.Generator) -> Params:
        return {"encoder": self.encoder.init(rng), "decoder": self.decoder.init(rng)}

    def init_state(self) -> Any:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return self.apply(params, {}, x, False, None)[0]

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        """(..., features + 2 code): logits of the features, mean, and logarithm of the variance."""
        mean, log_variance = ops.split(self.encoder(params["encoder"], x), self.sizes[-1], -1)
        code = mean
        if train:
            noise = ops.random_normal(need_key(self, key), mean.shape, str(mean.dtype))
            code = ops.add(mean, ops.mul(noise, ops.exp(ops.mul(log_variance, 0.5))))
        return ops.concat([self.decoder(params["decoder"], code), mean, log_variance], -1), state

    def loss(self, outputs: Any, targets: Any) -> Any:
        """Binary cross-entropy of the features in [0, 1] plus the divergence of the code, mean over examples."""
        code = self.sizes[-1]
        logits, mean, log_variance = ops.split(outputs, (self.sizes[0], code, code), -1)
        errors = ops.sub(ops.softplus(logits), ops.mul(logits, targets))
        spread = ops.sub(ops.add(ops.exp(log_variance), ops.square(mean)), ops.add(log_variance, 1.0))
        return ops.mean(ops.add(ops.sum(errors, -1), ops.mul(ops.sum(spread, -1), 0.5)))

    def decode(self, params: Params, code: Any) -> Any:
        """Features in [0, 1] from codes (..., code)."""
        return ops.sigmoid(self.decoder(params["decoder"], code))

    def check(self, shape: PartialShape) -> PartialShape:
        self.encoder.check(shape)
        return (*shape[:-1], self.sizes[0] + 2 * self.sizes[-1])

    def __str__(self) -> str:
        return f"VAE({', '.join(map(str, self.sizes))})"


@dataclass(frozen=True)
class VectorQuantizer:
    """The nearest of `count` learned codes in place of each vector (..., features) (van den Oord et al. 2017).

    The derivative passes through as if nothing had changed. `losses` are the two terms that train codes and encoder.
    """

    count: int
    features: int

    def init(self, rng: np.random.Generator) -> Params:
        return {"weight": rng.uniform(-1 / self.count, 1 / self.count, (self.count, self.features)).astype(np.float32)}

    def indices(self, params: Params, x: Any) -> Any:
        """The index of the nearest code, int64 (...)."""
        table = params["weight"]
        distances = ops.sub(ops.sum(ops.square(table), -1), ops.mul(ops.linear(x, table), 2.0))
        return ops.argmin(distances)

    def __call__(self, params: Params, x: Any) -> Any:
        code = ops.embedding(self.indices(params, x), params["weight"])
        return ops.add(x, ops.detach(ops.sub(code, x)))

    def losses(self, params: Params, x: Any, commitment: float = 0.25) -> Any:
        """Mean squared distance of codes to vectors, plus `commitment` times that of vectors to codes."""
        code = ops.embedding(self.indices(params, x), params["weight"])
        to_codes = ops.mean(ops.square(ops.sub(code, ops.detach(x))))
        to_vectors = ops.mean(ops.square(ops.sub(ops.detach(code), x)))
        return ops.add(to_codes, ops.mul(to_vectors, commitment))

    def check(self, shape: PartialShape) -> PartialShape:
        return nn.Linear(self.features, self.features).check(shape)

    def __str__(self) -> str:
        return f"VectorQuantizer({self.count}, {self.features})"
