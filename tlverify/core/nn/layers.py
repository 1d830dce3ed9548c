"""Layers: frozen data and a function `(params, x) -> y` on trailing axes, so leading batch axes are free."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tlverify.core import ops
from tlverify.core.nn.init import INITIALISERS, uniform
from tlverify.core.nn.shapes import PartialShape, last, replaced, require_size, require_sizes
from tlverify.graph import GraphError, ShapeError

Params = Any


class Layer(Protocol):
    """What Sequential composes. `init` gives an empty dict if there are no parameters.

    A layer of your own may do without `check`: its shapes are then known when it runs. One that has state or draws
    random numbers has `init_state` and `apply` besides; see `nn.state`.
    """

    def init(self, rng: np.random.Generator) -> Params: ...

    def __call__(self, params: Params, x: Any) -> Any: ...

    def check(self, shape: PartialShape) -> PartialShape:
        """The shape of the result; ShapeError, which begins with the layer, if the input does not fit."""


def check_layer(layer: Any, shape: PartialShape) -> PartialShape:
    """The shape of the result, unknown where the layer has no `check`."""
    return layer.check(shape) if hasattr(layer, "check") else (...,)


def layer_text(layer: Any) -> str:
    """str(layer), with the name alone of a function or an object that has no text of its own: no address in memory."""
    return re.sub(r"<(?:[\w ]+ )?(?:[\w<>]+\.)*([\w<>]+?)(?: object)? at 0x[0-9a-f]+>", r"\1", str(layer))


def require_layer(owner: str, i: int, layer: Any) -> None:
    """GraphError unless `layer` is one, which says how to make one of a function, a class or a list."""
    if not isinstance(layer, type) and hasattr(layer, "init") and callable(layer):
        return
    found, remedy = type(layer).__name__, "see nn.Layer"
    if isinstance(layer, type):
        found, remedy = f"the class {layer.__name__}", f"make a layer of it, as in {layer.__name__}(...)"
    elif isinstance(layer, list | tuple):
        remedy = f"give the layers one by one, as in {owner}(*layers)"
    elif callable(layer):
        name = getattr(layer, "__name__", "function")
        found, remedy = f"the function {name}", f"nn.Function({name}) makes a layer of it"
    raise GraphError(
        f"{owner}: layer {i}: expected a layer, with init(rng) and (params, x) -> y, found {found}; {remedy}"
    )


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
        require_sizes(self, in_features=self.in_features, out_features=self.out_features)
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
        (features,) = last(self, shape, 1, f"{self.in_features} features")
        require_size(self, features, self.in_features, "features")
        return replaced(shape, 1, [self.out_features])

    def __str__(self) -> str:
        return f"Linear({self.in_features}, {self.out_features})"


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
        sizes = [size for size in joined if isinstance(size, int)]
        return (*shape[: self.start_dim], math.prod(sizes) if len(sizes) == len(joined) else None)

    def __str__(self) -> str:
        return f"Flatten({self.start_dim})"
