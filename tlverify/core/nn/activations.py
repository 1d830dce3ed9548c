"""Elementwise layers, and softmax: no parameters, and the shape stays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape


class Activation(ABC):
    """A layer without parameters that keeps the shape."""

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    @abstractmethod
    def __call__(self, params: Params, x: Any) -> Any: ...

    def check(self, shape: PartialShape) -> PartialShape:
        return shape

    def __str__(self) -> str:
        given = [(getattr(self, field.name), field.default) for field in fields(self)]  # type: ignore[arg-type]
        values = ", ".join(str(value) for value, default in given if value != default)
        return f"{type(self).__name__}({values})" if values else type(self).__name__


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(x, 0)."""

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.relu(x)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """x above 0, negative_slope * x elsewhere."""

    negative_slope: float = 0.01

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)


@dataclass(frozen=True)
class ELU(Activation):
    """x above 0, alpha * (exp(x) - 1) elsewhere."""

    alpha: float = 1.0

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.elu(x, self.alpha)


@dataclass(frozen=True)
class GELU(Activation):
    """x times the normal distribution function at x, or its approximation by tanh."""

    approximate: bool = False

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.gelu(x, self.approximate)


@dataclass(frozen=True)
class SiLU(Activation):
    """x * sigmoid(x)."""

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.silu(x)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.sigmoid(x)


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent."""

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.tanh(x)


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + exp(x))."""

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.softplus(x)


@dataclass(frozen=True)
class Softmax(Activation):
    """exp(x) / sum(exp(x)) over `axis`."""

    axis: int = -1

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.softmax(x, self.axis)


@dataclass(frozen=True)
class LogSoftmax(Activation):
    """The logarithm of softmax over `axis`."""

    axis: int = -1

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.log_softmax(x, self.axis)


@dataclass(frozen=True)
class Identity(Activation):
    """y = x."""

    def __call__(self, params: Params, x: Any) -> Any:
        return x
