"""Adam and AdamW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.train.optim.base import require


@pytree.register
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
        require(self.lr > 0, "Adam", "lr", "above 0", self.lr)
        require(len(self.betas) == 2, "Adam", "betas", "two numbers", self.betas)
        require(all(0 <= beta < 1 for beta in self.betas), "Adam", "betas", "in [0, 1)", self.betas)
        require(self.eps > 0, "Adam", "eps", "above 0", self.eps)
        require(self.weight_decay >= 0, "Adam", "weight_decay", "0 or more", self.weight_decay)

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
        root = (1 - second**step) ** 0.5

        def move(p: Any, m: Any, v: Any) -> Any:
            return p - size * m / (np.sqrt(v) / root + self.eps)

        return pytree.map(move, params, mean, square), AdamState(step, mean, square)


@dataclass(frozen=True)
class AdamW:
    """Adam where weight decay first scales p by 1 - lr * weight_decay (Loshchilov and Hutter 2019, algorithm 2)."""

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-2

    def __post_init__(self) -> None:
        Adam(self.lr, self.betas, self.eps)
        require(self.weight_decay >= 0, "AdamW", "weight_decay", "0 or more", self.weight_decay)

    def init(self, params: Any) -> AdamState:
        """No steps and means of zero."""
        return Adam(self.lr).init(params)

    def update(self, grads: Any, state: AdamState, params: Any, lr: float | None = None) -> tuple[Any, AdamState]:
        """New parameters and means."""
        rate = self.lr if lr is None else lr
        shrunk = pytree.map(lambda p: p * (1 - rate * self.weight_decay), params)
        return Adam(self.lr, self.betas, self.eps).update(grads, state, shrunk, rate)
