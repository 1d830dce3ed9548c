"""Dropout (Srivastava et al. 2014), with the random numbers of a key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape
from tlverify.core.nn.state import need_key
from tlverify.graph import ShapeError


def dropout(x: Any, probability: float, key: Any) -> Any:
    """Each element 0 with that probability, and otherwise divided by 1 - probability."""
    kept = ops.greater_equal(ops.random_uniform(key, x.shape, str(x.dtype)), probability)
    return ops.where(kept, ops.div(x, 1.0 - probability), 0)


@dataclass(frozen=True)
class Dropout:
    """In training each element is 0 with that probability; in evaluation y = x."""

    probability: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.probability, int | float) or not 0 <= self.probability < 1:
            raise ShapeError(f"Dropout: expected a probability in [0, 1), found {self.probability!r}")

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def init_state(self) -> Any:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return x

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        if not train or self.probability == 0:
            return x, state
        return dropout(x, self.probability, need_key(self, key)), state

    def check(self, shape: PartialShape) -> PartialShape:
        return shape

    def __str__(self) -> str:
        return f"Dropout({self.probability})"
