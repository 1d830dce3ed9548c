"""Generative adversarial networks (Goodfellow et al. 2014): two networks and a loss for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.models.dense import mlp
from tlverify.core.nn.layers import Params


@dataclass(frozen=True)
class GAN:
    """A generator, noise (n, code) to examples (n, features), and a discriminator, examples to logits (n, 1)."""

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

    def init(self, rng: np.random.Generator) -> tuple[Params, Params]:
        """Parameters of the generator and of the discriminator."""
        return self.generator.init(rng), self.discriminator.init(rng)

    def noise(self, key: Any, count: int) -> Any:
        """Standard normal codes (count, code)."""
        return ops.random_normal(key, (count, self.code))

    def generator_loss(self, generator: Params, discriminator: Params, key: Any, count: int) -> Any:
        """Mean of -log D(G(noise)), whose derivative does not vanish where the discriminator is sure."""
        made = self.generator(generator, self.noise(key, count))
        return ops.mean(ops.softplus(ops.neg(self.discriminator(discriminator, made))))

    def discriminator_loss(self, discriminator: Params, generator: Params, x: Any, key: Any) -> Any:
        """Mean of -log D(x) - log(1 - D(G(noise))) for real examples x (n, features)."""
        made = ops.detach(self.generator(generator, self.noise(key, x.shape[0])))
        real = ops.softplus(ops.neg(self.discriminator(discriminator, x)))
        return ops.mean(ops.add(real, ops.softplus(self.discriminator(discriminator, made))))
