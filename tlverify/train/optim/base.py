"""What an optimizer is: frozen settings and plain functions over pytrees of arrays.

`state = optimizer.init(params)`, then `params, state = optimizer.update(grads, state, params)` for each step.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tlverify.core import pytree
from tlverify.graph import TlverifyError


class Optimizer(Protocol):
    """What a Trainer needs of an optimizer."""

    @property
    def lr(self) -> float: ...

    def init(self, params: Any) -> Any:
        """The state before the first step."""

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """New parameters and state after one step with `grads`; `lr` stands in for the optimizer's own."""


def zeros(params: Any) -> Any:
    """A tree of zeros like the parameters."""
    return pytree.map(np.zeros_like, params)


def decayed(grads: Any, params: Any, weight_decay: float) -> Any:
    """Gradients of the loss plus weight_decay / 2 times the squared norm of the parameters."""
    return pytree.map(lambda g, p: g + weight_decay * p, grads, params) if weight_decay else grads


def require(condition: bool, optimizer: str, name: str, expected: str, found: object) -> None:
    if not condition:
        raise TlverifyError(f"{optimizer}: {name}: expected {expected}, found {found!r}")
