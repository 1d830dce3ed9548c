"""Limits on gradients before a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlverify.core import ops, pytree
from tlverify.train.optim.base import Optimizer, require


class Clip(Protocol):
    """A rule that limits gradients, with a state of its own."""

    def init(self) -> Any: ...

    def __call__(self, grads: Any, state: Any) -> tuple[Any, Any]: ...


def global_norm(grads: Any) -> Any:
    """The 2-norm of all leaves together, in the dtype of the first."""
    first, *others = (ops.sum(ops.square(leaf)) for leaf in pytree.flatten(grads)[0])
    return ops.sqrt(sum((ops.cast(square, str(first.dtype)) for square in others), first))


@dataclass(frozen=True)
class ClipNorm:
    """All gradients scaled down so that their 2-norm is at most `most` (Pascanu et al. 2013), as in PyTorch."""

    most: float

    def __post_init__(self) -> None:
        require(self.most > 0, "ClipNorm", "most", "above 0", self.most)

    def init(self) -> Any:
        """None."""
        return None

    def __call__(self, grads: Any, state: Any) -> tuple[Any, Any]:
        factor = ops.minimum(1.0, self.most / (global_norm(grads) + 1e-6))
        return pytree.map(lambda g: g * ops.cast(factor, str(g.dtype)), grads), state


@dataclass(frozen=True)
class ClipValue:
    """Each element of a gradient limited to [-most, most]."""

    most: float

    def __post_init__(self) -> None:
        require(self.most > 0, "ClipValue", "most", "above 0", self.most)

    def init(self) -> Any:
        """None."""
        return None

    def __call__(self, grads: Any, state: Any) -> tuple[Any, Any]:
        return pytree.map(lambda g: ops.clip(g, -self.most, self.most), grads), state


@pytree.register
@dataclass(frozen=True)
class PercentileState:
    """Number of norms so far, and the last ones (window,), written round and round."""

    count: int
    norms: Any


@dataclass(frozen=True)
class ClipPercentile:
    """ClipNorm at a percentile of the norms so far, of the last `window` steps (Seetharaman et al. 2020, AutoClip)."""

    percentile: float = 10.0
    window: int = 1000

    def __post_init__(self) -> None:
        require(0 < self.percentile <= 100, "ClipPercentile", "percentile", "in (0, 100]", self.percentile)
        require(self.window >= 1, "ClipPercentile", "window", "1 or more", self.window)

    def init(self) -> PercentileState:
        """No norms."""
        return PercentileState(0, np.zeros(self.window))

    def __call__(self, grads: Any, state: PercentileState) -> tuple[Any, PercentileState]:
        norms = state.norms.copy()
        norms[state.count % self.window] = float(global_norm(grads))
        count = state.count + 1
        most = float(np.percentile(norms[:count], self.percentile))
        return (ClipNorm(most)(grads, None)[0] if most > 0 else grads), PercentileState(count, norms)


@dataclass(frozen=True)
class Clipped:
    """An optimizer that limits the gradients before each step."""

    optimizer: Optimizer
    clip: Clip

    @property
    def lr(self) -> float:
        """The learning rate of the optimizer."""
        return self.optimizer.lr

    def init(self, params: Any) -> Any:
        """The states of the optimizer and of the limit."""
        return self.optimizer.init(params), self.clip.init()

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """New parameters and states."""
        grads, clip = self.clip(grads, state[1])
        params, own = self.optimizer.update(grads, state[0], params, lr)
        return params, (own, clip)
