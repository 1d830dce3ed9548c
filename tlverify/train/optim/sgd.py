"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.train.optim.base import require


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
        require(self.lr > 0, "SGD", "lr", "above 0", self.lr)
        require(0 <= self.momentum < 1, "SGD", "momentum", "in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "SGD", "weight_decay", "0 or more", self.weight_decay)
        require(not self.nesterov or self.momentum > 0, "SGD", "momentum", "above 0 with nesterov", self.momentum)

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
