"""Optimizers that look at weights as matrices: Muon, and low-rank projection."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.backend import namespace
from tlverify.train.optim.adam import AdamW
from tlverify.train.optim.base import Optimizer, require

# Jordan et al. 2024, "Muon": coefficients of the quintic step, chosen for the slope at 0.
_QUINTIC = (3.4445, -4.7750, 2.0315)


@pytree.register
@dataclass(frozen=True)
class MuonState:
    """Momenta of the matrices (None for other leaves), and the state of the optimizer of the others."""

    momentum: tuple[Any, ...]
    others: Any


@dataclass(frozen=True)
class Muon:
    """Momentum whose matrix is made nearly orthogonal by Newton-Schulz steps, for leaves with two axes.

    Jordan et al. 2024; PyTorch's `torch.optim.Muon` in the precision of the parameters (it uses bfloat16). The step of
    a matrix (m, n) has the learning rate lr * sqrt(max(1, m / n)). Leaves with another number of axes go to `others`.
    """

    lr: float = 1e-3
    momentum: float = 0.95
    nesterov: bool = True
    weight_decay: float = 0.1
    steps: int = 5
    others: Optimizer = field(default_factory=AdamW)

    def __post_init__(self) -> None:
        require(self.lr > 0, "Muon", "lr", "above 0", self.lr)
        require(0 <= self.momentum < 1, "Muon", "momentum", "in [0, 1)", self.momentum)
        require(self.weight_decay >= 0, "Muon", "weight_decay", "0 or more", self.weight_decay)
        require(self.steps >= 1, "Muon", "steps", "1 or more", self.steps)

    def init(self, params: Any) -> MuonState:
        """Momenta of zero."""
        leaves, _ = pytree.flatten(params)
        momentum = tuple(np.zeros_like(leaf) if leaf.ndim == 2 else None for leaf in leaves)
        return MuonState(momentum, self.others.init([leaf for leaf in leaves if leaf.ndim != 2]))

    def update(self, grads: Any, state: MuonState, params: Any, lr: float | None = None) -> tuple[Any, MuonState]:
        """New parameters and state; `lr` changes the learning rate of `others` in proportion."""
        rate = self.lr if lr is None else lr
        leaves, tree = pytree.flatten(params)
        slopes, _ = pytree.flatten(grads)
        rest = [i for i, leaf in enumerate(leaves) if leaf.ndim != 2]
        given = [[values[i] for i in rest] for values in (slopes, leaves)]
        moved, others = self.others.update(given[0], state.others, given[1], self.others.lr * rate / self.lr)
        result, momentum = list(leaves), list(state.momentum)
        for i, leaf in zip(rest, moved, strict=True):
            result[i] = leaf
        for i, buffer in enumerate(state.momentum):
            if buffer is None:
                continue
            buffer = momentum[i] = self.momentum * buffer + (1 - self.momentum) * slopes[i]
            direction = (1 - self.momentum) * slopes[i] + self.momentum * buffer if self.nesterov else buffer
            rows, columns = leaves[i].shape
            size = rate * math.sqrt(max(1.0, rows / columns))
            result[i] = leaves[i] * (1 - rate * self.weight_decay) - size * orthogonalized(direction, self.steps)
        return pytree.unflatten(tree, result), MuonState(tuple(momentum), others)


def orthogonalized(matrix: Any, steps: int = 5) -> Any:
    """U V^T of the singular vectors of a matrix, nearly: its singular values come to lie around 1."""
    a, b, c = _QUINTIC
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / np.maximum(np.linalg.norm(x), 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x if wide else x.T


@pytree.register
@dataclass(frozen=True)
class LowRankState:
    """Steps done, the bases of the projected matrices (None for other leaves), and the state of the inner optimizer."""

    step: int
    bases: tuple[Any, ...]
    inner: Any


@dataclass(frozen=True)
class LowRank:
    """Gradients of matrices projected to `rank` before the `inner` optimizer, whose state is then small.

    Zhao et al. 2024, "GaLore", algorithm 2: the basis is the first singular vectors of the gradient, renewed every
    `every` steps, and the step is multiplied by `scale`. Leaves that are no matrix, or have a side of at most
    `rank`, go to `inner` as they are. Weight decay of `inner` acts on those only.
    """

    inner: Optimizer = field(default_factory=AdamW)
    rank: int = 8
    every: int = 200
    scale: float = 0.25

    def __post_init__(self) -> None:
        require(self.rank >= 1, "LowRank", "rank", "1 or more", self.rank)
        require(self.every >= 1, "LowRank", "every", "1 or more", self.every)
        require(self.scale > 0, "LowRank", "scale", "above 0", self.scale)

    @property
    def lr(self) -> float:
        """The learning rate of `inner`."""
        return self.inner.lr

    def init(self, params: Any) -> LowRankState:
        """Bases of zero, which the first step replaces."""
        leaves, _ = pytree.flatten(params)
        bases = tuple(self._basis(np.zeros_like(leaf)) if self._projects(leaf) else None for leaf in leaves)
        return LowRankState(0, bases, self.inner.init(self._small(leaves, bases)))

    def update(self, grads: Any, state: LowRankState, params: Any, lr: float | None = None) -> tuple[Any, LowRankState]:
        """New parameters and state."""
        leaves, tree = pytree.flatten(params)
        slopes, _ = pytree.flatten(grads)
        bases = state.bases
        if state.step % self.every == 0:
            bases = tuple(None if old is None else self._basis(g) for old, g in zip(bases, slopes, strict=True))
        origin = [
            leaf if basis is None else np.zeros_like(_project(leaf, basis))
            for leaf, basis in zip(leaves, bases, strict=True)
        ]
        moved, inner = self.inner.update(self._small(slopes, bases), state.inner, origin, lr)
        result = [
            step if basis is None else leaf + self.scale * _lift(step, basis, leaf.shape)
            for leaf, step, basis in zip(leaves, moved, bases, strict=True)
        ]
        return pytree.unflatten(tree, result), LowRankState(state.step + 1, bases, inner)

    def _projects(self, leaf: Any) -> bool:
        return bool(leaf.ndim == 2 and min(leaf.shape) > self.rank)

    def _basis(self, matrix: Any) -> Any:
        """Orthonormal columns for the shorter side: (min(m, n), rank)."""
        left, _, right = namespace(matrix).linalg.svd(matrix, full_matrices=False)
        return left[:, : self.rank] if matrix.shape[0] <= matrix.shape[1] else right[: self.rank].T

    def _small(self, leaves: list[Any], bases: tuple[Any, ...]) -> list[Any]:
        return [leaf if basis is None else _project(leaf, basis) for leaf, basis in zip(leaves, bases, strict=True)]


def _project(matrix: Any, basis: Any) -> Any:
    return basis.T @ matrix if matrix.shape[0] <= matrix.shape[1] else matrix @ basis


def _lift(small: Any, basis: Any, shape: tuple[int, ...]) -> Any:
    return basis @ small if shape[0] <= shape[1] else small @ basis.T
