"""Low-rank adaptation (Hu et al. 2022): a trained model with small matrices to train on top."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops, pytree
from tlverify.core.nn.layers import Layer, Params
from tlverify.core.nn.shapes import PartialShape
from tlverify.graph import GraphError


@dataclass(frozen=True, eq=False)
class LoRA:
    """`model` with weight + (alpha / rank) up @ down in place of each matrix of `base` that a pattern matches.

    Only `up` (out, rank), which begins at 0, and `down` (rank, in) are parameters.
    """

    model: Layer
    base: Any
    rank: int = 4
    alpha: float = 8.0
    patterns: Sequence[str] = ("*weight",)

    def __post_init__(self) -> None:
        if self.rank < 1 or not self._names():
            raise GraphError(
                f"LoRA: expected a rank of 1 or more and patterns that match a matrix, found {self.patterns}"
            )

    def init(self, rng: np.random.Generator) -> Params:
        params = {}
        for name, leaf in self._names().items():
            down = rng.normal(0, 1 / self.rank, (self.rank, leaf.shape[1])).astype(leaf.dtype)
            params[name.replace(".", "/")] = {"down": down, "up": np.zeros((leaf.shape[0], self.rank), leaf.dtype)}
        return params

    def merge(self, params: Params) -> Any:
        """Parameters of `model` with the products added."""
        leaves, tree = pytree.flatten(self.base)
        merged = []
        for name, leaf in zip(pytree.paths(tree), leaves, strict=True):
            part = params.get(name.replace(".", "/"))
            change = None if part is None else ops.mul(ops.matmul(part["up"], part["down"]), self.alpha / self.rank)
            merged.append(leaf if change is None else ops.add(leaf, change))
        return pytree.unflatten(tree, merged)

    def __call__(self, params: Params, x: Any) -> Any:
        return self.model(self.merge(params), x)

    def check(self, shape: PartialShape) -> PartialShape:
        return self.model.check(shape)

    def _names(self) -> dict[str, Any]:
        leaves, tree = pytree.flatten(self.base)
        return {
            name: leaf
            for name, leaf in zip(pytree.paths(tree), leaves, strict=True)
            if leaf.ndim == 2 and any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)
        }

    def __str__(self) -> str:
        return f"LoRA({self.model}, rank={self.rank})"
