"""Layers: frozen data and a function `(params, x) -> y` on trailing axes, so leading batch axes are free.

`check` takes a shape, as far as it is known: it may begin with `...` for axes that are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, Protocol

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.init import INITIALISERS, uniform
from tlverify.graph import GraphError, ShapeError

PartialShape = tuple[int | EllipsisType, ...]
Params = Any


class Layer(Protocol):
    """What Sequential composes. `init` gives an empty dict if there are no parameters."""

    def init(self, rng: np.random.Generator) -> Params: ...

    def __call__(self, params: Params, x: Any) -> Any: ...

    def check(self, shape: PartialShape) -> PartialShape: ...


@dataclass(frozen=True)
class Linear:
    """y = x @ weight.T + bias: (..., in_features) -> (..., out_features).

    `weight_init` names a function of `nn.init`. The bias is uniform on [-b, b], b = 1 / sqrt(in_features).
    """

    in_features: int
    out_features: int
    bias: bool = True
    weight_init: str = "kaiming_uniform"

    def __post_init__(self) -> None:
        if self.in_features < 1 or self.out_features < 1:
            raise ShapeError(f"{self}: expected one or more features")
        if self.weight_init not in INITIALISERS:
            known = ", ".join(INITIALISERS)
            raise GraphError(f"{self}: unknown weight_init {self.weight_init!r}; known: {known}")

    def init(self, rng: np.random.Generator) -> Params:
        """weight (out, in) and bias (out,), float32."""
        weight = INITIALISERS[self.weight_init](rng, (self.out_features, self.in_features))
        if not self.bias:
            return {"weight": weight}
        bound = 1.0 / math.sqrt(self.in_features)
        return {"weight": weight, "bias": uniform(rng, (self.out_features,), bound)}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.linear(x, params["weight"], params["bias"] if self.bias else None)

    def check(self, shape: PartialShape) -> PartialShape:
        last = shape[-1] if shape else None
        if last is not ... and last != self.in_features:
            raise ShapeError(f"{self} expects {self.in_features} features")
        return (*(shape[:-1] if last is not ... else (...,)), self.out_features)

    def __str__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"


@dataclass(frozen=True)
class ReLU:
    """y = max(x, 0)."""

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.relu(x)

    def check(self, shape: PartialShape) -> PartialShape:
        return shape

    def __str__(self) -> str:
        return "ReLU"


@dataclass(frozen=True)
class Flatten:
    """Joins the axes from `start_dim` (negative: counted from the end) to the last into one."""

    start_dim: int = -2

    def __post_init__(self) -> None:
        if self.start_dim >= 0:
            raise ShapeError(f"{self}: expected a negative start_dim, as leading axes may be batch axes")

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        features = math.prod(x.shape[self.start_dim :])
        return ops.reshape(x, (*x.shape[: self.start_dim], features))

    def check(self, shape: PartialShape) -> PartialShape:
        joined = shape[self.start_dim :]
        if ... in joined or (len(joined) < -self.start_dim and shape[:1] == (...,)):
            return (...,)
        if len(joined) < -self.start_dim:
            raise ShapeError(f"{self} expects at least {-self.start_dim} axes")
        return (*shape[: self.start_dim], math.prod(size for size in joined if isinstance(size, int)))

    def __str__(self) -> str:
        return f"Flatten({self.start_dim})"


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers one after another. Parameters are `{"0": {...}, "2": {...}}`, without layers that have none.

    ShapeError when the layers cannot follow each other, as far as their shapes are known before any data.
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        object.__setattr__(self, "layers", layers)
        self.check((...,))

    def init(self, rng: np.random.Generator) -> Params:
        """Parameters of the layers, drawn in their order."""
        params = {str(i): layer.init(rng) for i, layer in enumerate(self.layers)}
        return {name: value for name, value in params.items() if value}

    def __call__(self, params: Params, x: Any) -> Any:
        self.check(tuple(x.shape))
        for i, layer in enumerate(self.layers):
            try:
                x = layer(params.get(str(i), {}), x)
            except ShapeError as error:
                raise ShapeError(f"Sequential: layer {i} {layer}: {error}") from None
            except KeyError as error:
                raise GraphError(f"Sequential: layer {i} {layer}: parameter {error} is missing") from None
        return x

    def check(self, shape: PartialShape) -> PartialShape:
        """The shape of the result for an input of `shape`."""
        source = "the input"
        for i, layer in enumerate(self.layers):
            try:
                following = layer.check(shape)
            except ShapeError as error:
                found = f"{source} {'has shape' if i == 0 else 'gives'} {shape_text(shape)}"
                raise ShapeError(f"Sequential: layer {i} {error}, but {found}") from None
            shape, source = following, f"layer {i} {layer}"
        return shape

    def __str__(self) -> str:
        return f"Sequential({', '.join(str(layer) for layer in self.layers)})"


def shape_text(shape: PartialShape) -> str:
    """`8` where only the number of features is known, otherwise `[2, 8]`."""
    if len(shape) == 2 and shape[0] is ...:
        return str(shape[1])
    return "[" + ", ".join("..." if size is ... else str(size) for size in shape) + "]"
