"""Training on examples that an attack has changed, alone and mixed with the interval bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlverify.core import grad, nn, ops
from tlverify.train.losses.certified import IntervalCrossEntropy
from tlverify.train.losses.classification import cross_entropy, require


def attacked(
    model: nn.Model, params: Any, x: Any, y: Any, epsilon: Any, steps: int, minimum: float = 0.0, maximum: float = 1.0
) -> Any:
    """Examples within `epsilon` of x, and [minimum, maximum], with a greater loss; no derivative passes through.

    Projected gradient ascent of the cross-entropy from x (Madry et al. 2018): `steps` signed steps of
    2.5 * epsilon / steps.
    """
    slope_of = grad(lambda point: cross_entropy(model(params, point), y))
    lower = ops.maximum(ops.sub(x, epsilon), minimum)
    upper = ops.minimum(ops.add(x, epsilon), maximum)
    size = ops.mul(epsilon, 2.5 / steps)
    point = x
    for _ in range(steps):
        moved = ops.add(point, ops.mul(ops.sign(slope_of(point)), size))
        point = ops.minimum(ops.maximum(moved, lower), upper)
    return ops.detach(point)


@dataclass(frozen=True)
class AdversarialCrossEntropy:
    """Cross-entropy of attacked examples; the radius grows to `epsilon` over the first `ramp` of the training."""

    epsilon: float
    steps: int = 7
    ramp: float = 0.0
    smoothing: float = 0.0
    minimum: float = 0.0
    maximum: float = 1.0

    def __post_init__(self) -> None:
        name = "AdversarialCrossEntropy"
        require(self.epsilon > 0, f"{name}: epsilon", "above 0", self.epsilon)
        require(self.steps >= 1, f"{name}: steps", "of 1 or more", self.steps)
        require(0 <= self.ramp <= 1, f"{name}: ramp", "in [0, 1]", self.ramp)
        require(0 <= self.smoothing < 1, f"{name}: smoothing", "in [0, 1)", self.smoothing)
        require(self.minimum < self.maximum, f"{name}: maximum", f"above {self.minimum}", self.maximum)

    def coefficients(self, fraction: float) -> tuple[float]:
        """The radius after `fraction` of the training."""
        return (self.epsilon * (min(fraction / self.ramp, 1.0) if self.ramp else 1.0),)

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        """The loss on x (n, *features) with labels y (n,)."""
        (epsilon,) = coefficients or (self.epsilon,)
        changed = attacked(model, params, x, y, epsilon, self.steps, self.minimum, self.maximum)
        return cross_entropy(model(params, changed), y, self.smoothing)


@dataclass(frozen=True)
class MixedCrossEntropy:
    """(1 - alpha) * CE(attacked examples) + alpha * CE(worst logits): MTL-IBP of De Palma et al. 2024, eq. 9.

    The radius of both grows from 0 to `epsilon` over the first `ramp` of the training.
    """

    epsilon: float
    alpha: float = 0.1
    steps: int = 3
    ramp: float = 0.5
    smoothing: float = 0.0
    minimum: float = 0.0
    maximum: float = 1.0
    _attack: AdversarialCrossEntropy = field(init=False, repr=False)
    _interval: IntervalCrossEntropy = field(init=False, repr=False)

    def __post_init__(self) -> None:
        require(0 <= self.alpha <= 1, "MixedCrossEntropy: alpha", "in [0, 1]", self.alpha)
        # The parts check the settings that they share with this loss.
        shared = self.ramp, self.smoothing
        ends = self.minimum, self.maximum
        attack = AdversarialCrossEntropy(self.epsilon, self.steps, *shared, *ends)
        object.__setattr__(self, "_attack", attack)
        object.__setattr__(self, "_interval", IntervalCrossEntropy(self.epsilon, 0.0, 0.0, *shared, 1.0, *ends))

    def coefficients(self, fraction: float) -> tuple[float]:
        """The radius after `fraction` of the training."""
        return self._attack.coefficients(fraction)

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        """The loss on x (n, *features) with labels y (n,)."""
        (epsilon,) = coefficients or (self.epsilon,)
        attack = self._attack(model, params, x, y, epsilon)
        bound = self._interval(model, params, x, y, epsilon, 0.0)
        return ops.add(ops.mul(attack, 1.0 - self.alpha), ops.mul(bound, self.alpha))
