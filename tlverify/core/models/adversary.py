"""Generative adversarial networks (Goodfellow et al. 2014): two networks, and a loss for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops, pytree
from tlverify.core.models.dense import mlp
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape
from tlverify.graph import GraphError


@dataclass(frozen=True)
class GAN:
    """A generator, noise (n, code) to examples (n, features), and a discriminator, examples to logits (n, 1).

    As a layer it is its generator. Parameters are `{"discriminator": ..., "generator": ...}`.
    """

    code: int
    features: int
    hidden: int = 64

    @property
    def generator(self) -> nn.Sequential:
        """Noise to examples."""
        return mlp((self.code, self.hidden, self.hidden, self.features))

    @property
    def discriminator(self) -> nn.Sequential:
        """Examples to logits of being real."""
        return mlp((self.features, self.hidden, self.hidden, 1), nn.LeakyReLU)

    def init(self, rng: np.random.Generator) -> Params:
        return {"generator": self.generator.init(rng), "discriminator": self.discriminator.init(rng)}

    def __call__(self, params: Params, x: Any) -> Any:
        return self.generator(params["generator"], x)

    def check(self, shape: PartialShape) -> PartialShape:
        return self.generator.check(shape)

    def generator_loss(self, params: Params, noise: Any) -> Any:
        """Mean of -log D(G(noise)), whose derivative does not vanish where the discriminator is sure."""
        judge = pytree.map(ops.detach, params["discriminator"])
        return ops.mean(ops.softplus(ops.neg(self.discriminator(judge, self(params, noise)))))

    def discriminator_loss(self, params: Params, x: Any, noise: Any) -> Any:
        """Mean of -log D(x) - log(1 - D(G(noise))) for real examples x (n, features)."""
        real, made = (
            self.discriminator(params["discriminator"], examples) for examples in (x, ops.detach(self(params, noise)))
        )
        return ops.mean(ops.add(ops.softplus(ops.neg(real)), ops.softplus(made)))


@dataclass(frozen=True)
class Turn:
    """The loss of one side, "generator" or "discriminator", on pairs x, y of real examples and noise.

    It is an objective for a Trainer, and gives the parameters of the other side no derivative.
    """

    gan: GAN
    side: str

    def __post_init__(self) -> None:
        if self.side not in ("generator", "discriminator"):
            raise GraphError(f"Turn: side: expected generator or discriminator, found {self.side!r}")

    def coefficients(self, fraction: float) -> tuple[float, ...]:
        """None."""
        return ()

    def __call__(self, model: nn.Model, params: Params, x: Any, y: Any, *coefficients: Any) -> Any:
        if self.side == "generator":
            return self.gan.generator_loss(params, y)
        return self.gan.discriminator_loss(params, x, y)
