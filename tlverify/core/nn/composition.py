"""Layers made of layers: one after another, beside a shortcut, or side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.nn import state as stateful
from tlverify.core.nn.layers import Layer, Params, check_layer, layer_text, require_layer
from tlverify.core.nn.shapes import PartialShape, agree, shape_text
from tlverify.graph import GraphError, ShapeError


@dataclass(frozen=True, init=False)
class Sequential:
    """Layers one after another. Parameters are `{"0": {...}, "2": {...}}`, without layers that have none.

    ShapeError when the layers cannot follow each other, as far as their shapes are known before any data.
    """

    layers: tuple[Layer, ...]

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            require_layer("Sequential", i, layer)
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

    def init_state(self) -> Any:
        """State of the layers that have some, named as the parameters are."""
        return stateful.collect(self.layers)

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        """The result and the new state; see `nn.apply`."""
        self.check(tuple(x.shape))
        new = dict(state)
        for i, layer in enumerate(self.layers):
            x, part = stateful.apply_part("Sequential", i, layer, params, state, x, train, key)
            new |= part
        return x, new

    def check(self, shape: PartialShape) -> PartialShape:
        """The shape of the result for an input of `shape`."""
        source = "the input"
        for i, layer in enumerate(self.layers):
            try:
                following = check_layer(layer, shape)
            except ShapeError as error:
                found = f"{source} {'has shape' if i == 0 else 'gives'} {shape_text(shape)}"
                raise ShapeError(f"Sequential: layer {i} {error}, but {found}") from None
            shape, source = following, f"layer {i} {layer}"
        return shape

    def __str__(self) -> str:
        return f"Sequential({', '.join(map(layer_text, self.layers))})"


@dataclass(frozen=True)
class Residual:
    """y = x + layer(x). The parameters are those of the layer."""

    layer: Layer

    def __post_init__(self) -> None:
        require_layer("Residual", 0, self.layer)
        self.check((...,))

    def init(self, rng: np.random.Generator) -> Params:
        return self.layer.init(rng)

    def init_state(self) -> Any:
        return stateful.init_state(self.layer)

    def __call__(self, params: Params, x: Any) -> Any:
        return ops.add(x, self.layer(params, x))

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        y, state = stateful.apply(self.layer, params, state, x, train, key)
        return ops.add(x, y), state

    def check(self, shape: PartialShape) -> PartialShape:
        result = check_layer(self.layer, shape)
        if not agree(shape, result):
            raise ShapeError(f"{self} expects a layer that keeps the shape, which gives {shape_text(result)}")
        return result if shape[:1] == (...,) else shape

    def __str__(self) -> str:
        return f"Residual({layer_text(self.layer)})"


@dataclass(frozen=True, init=False)
class Parallel:
    """Layers that all take x, with their results added, or concatenated along the axis `concat`."""

    layers: tuple[Layer, ...]
    concat: int | None

    def __init__(self, *layers: Layer, concat: int | None = None) -> None:
        if not layers:
            raise GraphError("Parallel: expected one or more layers, found none")
        for i, layer in enumerate(layers):
            require_layer("Parallel", i, layer)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "concat", concat)

    def init(self, rng: np.random.Generator) -> Params:
        params = {str(i): layer.init(rng) for i, layer in enumerate(self.layers)}
        return {name: value for name, value in params.items() if value}

    def init_state(self) -> Any:
        return stateful.collect(self.layers)

    def __call__(self, params: Params, x: Any) -> Any:
        return self._join([layer(params.get(str(i), {}), x) for i, layer in enumerate(self.layers)])

    def apply(self, params: Params, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]:
        results, new = [], dict(state)
        for i, layer in enumerate(self.layers):
            y, part = stateful.apply_part("Parallel", i, layer, params, state, x, train, key)
            results.append(y)
            new |= part
        return self._join(results), new

    def check(self, shape: PartialShape) -> PartialShape:
        shapes = [check_layer(layer, shape) for layer in self.layers]
        if any(... in found for found in shapes):
            return (...,)
        first, *others = shapes
        axis = len(first) if self.concat is None else self.concat % len(first)
        for found in others:
            rests = [(*s[:axis], *s[axis + 1 :]) for s in (first, found)]
            if len(first) != len(found) or not agree(*rests):
                texts = " and ".join(shape_text(s) for s in (first, found))
                raise ShapeError(f"{self} expects layers that agree, which give {texts}")
        if self.concat is None:
            return first
        joined = [size for found in shapes if isinstance(size := found[axis], int)]
        return (*first[:axis], sum(joined) if len(joined) == len(shapes) else None, *first[axis + 1 :])

    def _join(self, results: list[Any]) -> Any:
        return functools.reduce(ops.add, results) if self.concat is None else ops.concat(results, self.concat)

    def __str__(self) -> str:
        return f"Parallel({', '.join(map(layer_text, self.layers))})"


@dataclass(frozen=True)
class Function:
    """A function of x, written with ops and without parameters, as a layer; `shape` is its rule for shapes."""

    function: Callable[[Any], Any]
    shape: Callable[[PartialShape], PartialShape] = lambda shape: (...,)

    def init(self, rng: np.random.Generator) -> Params:
        return {}

    def __call__(self, params: Params, x: Any) -> Any:
        return self.function(x)

    def check(self, shape: PartialShape) -> PartialShape:
        return self.shape(shape)

    def __str__(self) -> str:
        return f"Function({getattr(self.function, '__name__', 'function')})"
