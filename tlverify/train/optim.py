"""Optimizers and learning-rate schedules: frozen settings and plain functions over pytrees of arrays.

`state = optimizer.init(params)`, then `params, state = optimizer.update(grads, state, params)` for each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlverify.core import pytree
from tlverify.graph import TlverifyError

Schedule = Callable[[float], float]
"""From the fraction of training done, in [0, 1], to a factor of the learning rate."""


class Optimizer(Protocol):
    """What a Trainer needs of an optimizer."""

    @property
    def lr(self) -> float: ...

    def init(self, params: Any) -> Any:
        """The state before the first step."""

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """New parameters and state after one step with `grads`; `lr` stands in for the optimizer's own."""


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum, as in Sutskever et al. 2013 and PyTorch's `torch.optim.SGD`.

    With gradient g of the parameter p: g += weight_decay * p; v = momentum * v + g (v = g at the first step);
    p -= lr * (g + momentum * v if nesterov, else v).
    """

    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _require(self.lr > 0, "SGD", "lr", "above 0", self.lr)
        _require(0 <= self.momentum < 1, "SGD", "momentum", "in [0, 1)", self.momentum)
        _require(self.weight_decay >= 0, "SGD", "weight_decay", "0 or more", self.weight_decay)
        _require(not self.nesterov or self.momentum > 0, "SGD", "momentum", "above 0 with nesterov", self.momentum)

    def init(self, params: Any) -> Any:
        """Velocities of zero; None without momentum."""
        return pytree.map(np.zeros_like, params) if self.momentum else None

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """New parameters and velocities."""
        rate = self.lr if lr is None else lr
        if self.weight_decay:
            grads = pytree.map(lambda g, p: g + self.weight_decay * p, grads, params)
        steps = grads
        if self.momentum:
            state = pytree.map(lambda v, g: self.momentum * v + g, state, grads)
            steps = pytree.map(lambda v, g: g + self.momentum * v, state, grads) if self.nesterov else state
        return pytree.map(lambda p, s: p - rate * s, params, steps), state


@dataclass(frozen=True)
class AdamState:
    """Steps done, and running means of the gradients and of their squares."""

    step: int
    mean: Any
    square: Any


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), as in PyTorch's `torch.optim.Adam`.

    `weight_decay` adds weight_decay * p to the gradient of p.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _require(self.lr > 0, "Adam", "lr", "above 0", self.lr)
        _require(len(self.betas) == 2, "Adam", "betas", "two numbers", self.betas)
        _require(all(0 <= beta < 1 for beta in self.betas), "Adam", "betas", "in [0, 1)", self.betas)
        _require(self.eps > 0, "Adam", "eps", "above 0", self.eps)
        _require(self.weight_decay >= 0, "Adam", "weight_decay", "0 or more", self.weight_decay)

    def init(self, params: Any) -> AdamState:
        """No steps and means of zero."""
        return AdamState(0, pytree.map(np.zeros_like, params), pytree.map(np.zeros_like, params))

    def update(self, grads: Any, state: AdamState, params: Any, lr: float | None = None) -> tuple[Any, AdamState]:
        """New parameters and means."""
        rate = self.lr if lr is None else lr
        first, second = self.betas
        if self.weight_decay:
            grads = pytree.map(lambda g, p: g + self.weight_decay * p, grads, params)
        step = state.step + 1
        mean = pytree.map(lambda m, g: first * m + (1 - first) * g, state.mean, grads)
        square = pytree.map(lambda v, g: second * v + (1 - second) * (g * g), state.square, grads)
        size = rate / (1 - first**step)
        root = math.sqrt(1 - second**step)

        def move(p: Any, m: Any, v: Any) -> Any:
            return p - size * m / (np.sqrt(v) / root + self.eps)

        return pytree.map(move, params, mean, square), AdamState(step, mean, square)


def constant(fraction: float) -> float:
    """The factor 1 throughout."""
    return 1.0


def cosine(fraction: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, eq. 5, without restarts)."""
    return 0.5 * (1.0 + math.cos(math.pi * fraction))


def _require(condition: bool, optimizer: str, name: str, expected: str, found: object) -> None:
    if not condition:
        raise TlverifyError(f"{optimizer}: {name}: expected {expected}, found {found!r}")
