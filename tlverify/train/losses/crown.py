"""The cross-entropy of the least margins in a box, bounded by CROWN-IBP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.graph import TlverifyError
from tlverify.train.crown import SLOPES, Slopes, crown_lower_bounds
from tlverify.train.losses.certified import IntervalCrossEntropy
from tlverify.train.losses.classification import cross_entropy, require


@dataclass(frozen=True)
class CrownCrossEntropy:
    """kappa * CE(logits) + (1 - kappa) * CE(-margins): CROWN-IBP of Zhang et al. 2020, eq. 9 and 11.

    A margin is a lower bound of the logit of the label minus that of another class, in the l-infinity ball of radius
    `epsilon` clipped to `[minimum, maximum]`: beta times that of CROWN, which costs about as much as a forward pass
    for each class, plus (1 - beta) times that of intervals. CROWN keeps early training stable; so beta goes from 1 to
    `beta` over the ramp. Radius, `kappa`, `warmup`, `ramp` and `smoothing` are those of IntervalCrossEntropy; `slopes`
    says how CROWN bounds a ReLU from below, see `crown_lower_bounds`.
    """

    epsilon: float
    kappa: float = 0.5
    beta: float = 0.0
    warmup: float = 0.0
    ramp: float = 0.5
    smoothing: float = 0.0
    minimum: float = 0.0
    maximum: float = 1.0
    slopes: Slopes = "adaptive"
    _interval: IntervalCrossEntropy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require(0 <= self.beta <= 1, "CrownCrossEntropy: beta", "in [0, 1]", self.beta)
        if self.slopes not in SLOPES:
            raise TlverifyError(f"CrownCrossEntropy: slopes: expected {' or '.join(SLOPES)}, found {self.slopes!r}")
        schedule = self.epsilon, self.kappa, self.warmup, self.ramp, self.smoothing
        # It checks the settings that it shares with this loss.
        interval = IntervalCrossEntropy(*schedule, 1.0, self.minimum, self.maximum)
        object.__setattr__(self, "_interval", interval)

    def coefficients(self, fraction: float) -> tuple[float, float, float]:
        """Radius, weight of the natural term and weight of CROWN after `fraction` of the training."""
        epsilon, kappa = self._interval.coefficients(fraction)
        return epsilon, kappa, 1.0 - (1.0 - self.beta) * epsilon / self.epsilon

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        """The loss on x (n, *features) with labels y (n,), at the end of training if no coefficients are given."""
        epsilon, kappa, beta = coefficients or (self.epsilon, self.kappa, self.beta)
        margins = self.margins(model, params, x, y, epsilon, beta)
        certified = cross_entropy(ops.neg(margins), y, self.smoothing)
        if not self.kappa:
            return certified
        natural = cross_entropy(model(params, x), y, self.smoothing)
        return ops.add(ops.mul(natural, kappa), ops.mul(certified, ops.sub(1.0, kappa)))

    def margins(self, model: nn.Model, params: Any, x: Any, y: Any, epsilon: Any, beta: Any) -> Any:
        """Lower bounds (n, classes) of the logit at the label y (n,) minus each logit; 0 at the label itself."""
        lower = ops.clip(ops.sub(x, epsilon), self.minimum, self.maximum)
        upper = ops.clip(ops.add(x, epsilon), self.minimum, self.maximum)
        classes = model(params, x).shape[-1]
        eye = np.eye(classes, dtype=str(x.dtype))
        weights = ops.sub(ops.expand_dims(ops.one_hot(y, classes, str(x.dtype)), 1), eye)
        bounds = [
            crown_lower_bounds(model, params, lower, upper, weights, self.slopes, relax) for relax in (True, False)
        ]
        return ops.add(ops.mul(bounds[0], beta), ops.mul(bounds[1], ops.sub(1.0, beta)))
