"""The cross-entropy of the worst logits in a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import grad, nn, ops
from tlverify.train.interval import interval_bounds
from tlverify.train.losses.classification import cross_entropy, require


@dataclass(frozen=True)
class IntervalCrossEntropy:
    """kappa * CE(logits) + (1 - kappa) * CE(worst logits): Gowal et al. 2018, eq. 12 and section 4.

    The worst logits in the l-infinity ball of radius `epsilon`, clipped to `[minimum, maximum]`, are the lower
    bound for the label and the upper bounds for the other classes. In training, for a `warmup` fraction of the
    steps the radius is 0 and the weight of the natural term 1; over the next `ramp` fraction they go linearly to
    `epsilon` and `kappa`. With kappa 0 the natural term is left out from the start, as it is the certified one
    at radius 0. `smoothing` is the label smoothing of both terms.

    With `subset` below 1 only a part of the ball is bounded: the box of radius subset * epsilon around the point
    where one signed gradient step of (1 - subset) * epsilon leads (Müller et al. 2023, "Certified Training:
    Small Boxes Are All You Need"). The loss is then no bound, but regularizes less.
    """

    epsilon: float
    kappa: float = 0.5
    warmup: float = 0.0
    ramp: float = 0.5
    smoothing: float = 0.0
    subset: float = 1.0
    minimum: float = 0.0
    maximum: float = 1.0

    def __post_init__(self) -> None:
        name = "IntervalCrossEntropy"
        require(self.epsilon > 0, f"{name}: epsilon", "above 0", self.epsilon)
        require(0 <= self.kappa <= 1, f"{name}: kappa", "in [0, 1]", self.kappa)
        require(0 <= self.warmup < 1, f"{name}: warmup", "in [0, 1)", self.warmup)
        require(0 <= self.ramp <= 1 - self.warmup, f"{name}: ramp", "in [0, 1 - warmup]", self.ramp)
        require(0 <= self.smoothing < 1, f"{name}: smoothing", "in [0, 1)", self.smoothing)
        require(0 <= self.subset <= 1, f"{name}: subset", "in [0, 1]", self.subset)
        require(self.minimum < self.maximum, f"{name}: maximum", f"above {self.minimum}", self.maximum)

    def coefficients(self, fraction: float) -> tuple[float, float]:
        """Radius and weight of the natural term after `fraction` of the training."""
        done = (fraction - self.warmup) / self.ramp if self.ramp else float(fraction >= self.warmup)
        done = min(max(done, 0.0), 1.0)
        return self.epsilon * done, 1.0 - (1.0 - self.kappa) * done if self.kappa else 0.0

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        """The loss on x (n, *features) with labels y (n,), at the end of training if no coefficients are given."""
        epsilon, kappa = coefficients or (self.epsilon, self.kappa)
        certified = cross_entropy(self.worst_logits(model, params, x, y, epsilon), y, self.smoothing)
        if not self.kappa:
            return certified
        natural = cross_entropy(model(params, x), y, self.smoothing)
        return ops.add(ops.mul(natural, kappa), ops.mul(certified, ops.sub(1.0, kappa)))

    def worst_logits(self, model: nn.Model, params: Any, x: Any, y: Any, epsilon: Any) -> Any:
        """Lower bounds at the labels y (n,) and upper bounds elsewhere: (n, classes)."""
        radius = ops.mul(epsilon, self.subset)
        if self.subset < 1:
            slope = grad(lambda x: cross_entropy(model(params, x), y))(x)
            x = self._clip(ops.add(x, ops.mul(ops.detach(ops.sign(slope)), ops.sub(epsilon, radius))))
        low, high = interval_bounds(model, params, self._clip(ops.sub(x, radius)), self._clip(ops.add(x, radius)))
        classes = np.arange(low.shape[-1], dtype=np.int64)
        return ops.where(ops.equal(ops.reshape(y, (*y.shape, 1)), classes), low, high)

    def _clip(self, x: Any) -> Any:
        return ops.clip(x, self.minimum, self.maximum)
