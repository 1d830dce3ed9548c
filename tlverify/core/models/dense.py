"""Fully connected networks, and networks of splines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tlverify.core import nn, ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, replaced, require_size
from tlverify.graph import ShapeError


def mlp(sizes: Sequence[int], activation: Callable[[], nn.Layer] = nn.ReLU, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of `sizes` = (inputs, hidden ..., outputs), with an activation between them."""
    if len(sizes) < 2:
        raise ShapeError(f"mlp: expected two or more sizes, found {list(sizes)}")
    layers: list[nn.Layer] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers[: -2 if dropout else -1])


@dataclass(frozen=True)
class KANLinear:
    """Sums of learned functions of each input (Liu et al. 2024): (..., inputs) -> (..., outputs).

    A function is a B-spline of `degree` on `intervals` equal parts of [lower, upper], plus a multiple of silu. Splines
    are written with powers of relu, so with degree 1 and `base=False` the layer is piecewise linear.
    """

    inputs: int
    outputs: int
    intervals: int = 5
    degree: int = 3
    lower: float = -1.0
    upper: float = 1.0
    base: bool = True

    def __post_init__(self) -> None:
        if min(self.inputs, self.outputs, self.intervals, self.degree) < 1 or not self.lower < self.upper:
            raise ShapeError(f"{self}: expected sizes of 1 or more, and lower < upper")

    def init(self, rng: np.random.Generator) -> Params:
        """Small splines, and the base as nn.Linear has it."""
        shape = (self.outputs, self.inputs * (self.intervals + self.degree))
        params = {"spline": nn.init.normal(rng, shape, 0.1 / math.sqrt(self.inputs))}
        if self.base:
            params["base"] = nn.init.fan_in_uniform(rng, (self.outputs, self.inputs))
        return params

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        basis = self.basis(x)
        y = ops.linear(ops.reshape(basis, *x.shape[:-1], -1), params["spline"])
        return ops.add(y, ops.linear(ops.silu(x), params["base"])) if self.base else y

    def basis(self, x: Any) -> Any:
        """(..., inputs, intervals + degree): the B-splines at x, as differences of truncated powers (de Boor)."""
        width = (self.upper - self.lower) / self.intervals
        knots = self.lower + width * np.arange(-self.degree, self.intervals + self.degree + 1)
        scaled = ops.mul(ops.sub(ops.expand_dims(x, -1), knots.astype(str(x.dtype))), 1.0 / width)
        powers = raised = ops.relu(scaled)
        for _ in range(self.degree - 1):
            powers = ops.mul(powers, raised)
        order = self.degree + 1
        weights = [(-1) ** j * math.comb(order, j) / math.factorial(self.degree) for j in range(order + 1)]
        matrix = np.zeros((self.intervals + self.degree, len(knots)))
        for i in range(len(matrix)):
            for j, weight in enumerate(weights):
                if i + j < len(knots):
                    matrix[i, i + j] = weight
        return ops.linear(powers, matrix.astype(str(x.dtype)))

    def check(self, shape: PartialShape) -> PartialShape:
        require_size(self, last(self, shape, 1, f"{self.inputs} inputs")[0], self.inputs, "inputs")
        return replaced(shape, 1, [self.outputs])

    def __str__(self) -> str:
        return f"KANLinear({self.inputs}, {self.outputs})"


def kan(sizes: Sequence[int], intervals: int = 5, degree: int = 3, base: bool = True) -> nn.Sequential:
    """KANLinear layers of `sizes` one after another."""
    return nn.Sequential(*(KANLinear(a, b, intervals, degree, base=base) for a, b in pairwise(sizes)))
