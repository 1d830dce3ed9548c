"""Adagrad, RMSprop and Adadelta, with the formulas of PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.train.optim.base import decayed, require, zeros


@pytree.register
@dataclass(frozen=True)
class AdagradState:
    """Steps done, and sums of the squared gradients."""

    step: int
    total: Any


@dataclass(frozen=True)
class Adagrad:
    """p -= lr / (1 + steps * lr_decay) * g / (sqrt(sum of g^2) + eps) (Duchi et al. 2011)."""

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        require(self.lr > 0, "Adagrad", "lr", "above 0", self.lr)
        require(self.lr_decay >= 0, "Adagrad", "lr_decay", "0 or more", self.lr_decay)
        require(self.weight_decay >= 0, "Adagrad", "weight_decay", "0 or more", self.weight_decay)
        require(self.eps > 0, "Adagrad", "eps", "above 0", self.eps)

    def init(self, params: Any) -> AdagradState:
        """No steps and sums of zero."""
        return AdagradState(0, zeros(params))

    def update(self, grads: Any, state: AdagradState, params: Any, lr: float | None = None) -> tuple[Any, AdagradState]:
        """New parameters and sums."""
        rate = (self.lr if lr is None else lr) / (1 + state.step * self.lr_decay)
        grads = decayed(grads, params, self.weight_decay)
        total = pytree.map(lambda s, g: s + g * g, state.total, grads)
        params = pytree.map(lambda p, g, s: p - rate * g / (np.sqrt(s) + self.eps), params, grads, total)
        return params, AdagradState(state.step + 1, total)


@pytree.register
@dataclass(frozen=True)
class RMSpropState:
    """Running means of the squared gradients and, if centered, of the gradients; velocities with momentum."""

    square: Any
    mean: Any
    velocity: Any


@dataclass(frozen=True)
class RMSprop:
    """p -= lr * g / (sqrt(running mean of g^2) + eps) (Tieleman and Hinton 2012).

    `centered` subtracts the squared running mean of g under the root; `momentum` smooths the steps.
    """

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        require(self.lr > 0, "RMSprop", "lr", "above 0", self.lr)
        require(0 <= self.alpha < 1, "RMSprop", "alpha", "in [0, 1)", self.alpha)
        require(self.eps > 0, "RMSprop", "eps", "above 0", self.eps)
        require(self.weight_decay >= 0, "RMSprop", "weight_decay", "0 or more", self.weight_decay)
        require(0 <= self.momentum < 1, "RMSprop", "momentum", "in [0, 1)", self.momentum)

    def init(self, params: Any) -> RMSpropState:
        """Zeros; None for what the settings do not need."""
        mean = zeros(params) if self.centered else None
        return RMSpropState(zeros(params), mean, zeros(params) if self.momentum else None)

    def update(self, grads: Any, state: RMSpropState, params: Any, lr: float | None = None) -> tuple[Any, RMSpropState]:
        """New parameters and state."""
        rate, keep = self.lr if lr is None else lr, self.alpha
        grads = decayed(grads, params, self.weight_decay)
        square = pytree.map(lambda v, g: keep * v + (1 - keep) * g * g, state.square, grads)
        mean, spread = state.mean, square
        if self.centered:
            mean = pytree.map(lambda m, g: keep * m + (1 - keep) * g, state.mean, grads)
            spread = pytree.map(lambda v, m: v - m * m, square, mean)
        steps = pytree.map(lambda g, v: g / (np.sqrt(v) + self.eps), grads, spread)
        velocity = state.velocity
        if self.momentum:
            steps = velocity = pytree.map(lambda b, s: self.momentum * b + s, state.velocity, steps)
        return pytree.map(lambda p, s: p - rate * s, params, steps), RMSpropState(square, mean, velocity)


@pytree.register
@dataclass(frozen=True)
class AdadeltaState:
    """Running means of the squared gradients and of the squared steps."""

    square: Any
    delta: Any


@dataclass(frozen=True)
class Adadelta:
    """Steps of g * RMS(earlier steps) / RMS(g), times lr (Zeiler 2012, algorithm 1)."""

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require(self.lr > 0, "Adadelta", "lr", "above 0", self.lr)
        require(0 <= self.rho < 1, "Adadelta", "rho", "in [0, 1)", self.rho)
        require(self.eps > 0, "Adadelta", "eps", "above 0", self.eps)
        require(self.weight_decay >= 0, "Adadelta", "weight_decay", "0 or more", self.weight_decay)

    def init(self, params: Any) -> AdadeltaState:
        """Means of zero."""
        return AdadeltaState(zeros(params), zeros(params))

    def update(
        self, grads: Any, state: AdadeltaState, params: Any, lr: float | None = None
    ) -> tuple[Any, AdadeltaState]:
        """New parameters and means."""
        rate, keep = self.lr if lr is None else lr, self.rho
        grads = decayed(grads, params, self.weight_decay)
        square = pytree.map(lambda v, g: keep * v + (1 - keep) * g * g, state.square, grads)
        steps = pytree.map(
            lambda g, v, d: np.sqrt(d + self.eps) / np.sqrt(v + self.eps) * g, grads, square, state.delta
        )
        delta = pytree.map(lambda d, s: keep * d + (1 - keep) * s * s, state.delta, steps)
        return pytree.map(lambda p, s: p - rate * s, params, steps), AdadeltaState(square, delta)
