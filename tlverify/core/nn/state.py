"""Layers with state, and layers that differ in training: all of it is passed in and handed back.

Such a layer has `init_state()`, the state before training, and `apply(params, state, x, train, key)`, which gives
(y, new state). `key` is that of `ops.key`; a layer that draws random numbers in training needs one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from tlverify.core import ops
from tlverify.core.nn.layers import Layer
from tlverify.graph import GraphError, ShapeError


@runtime_checkable
class Stateful(Protocol):
    """A layer with state, or with another result in training."""

    def init_state(self) -> Any: ...

    def apply(self, params: Any, state: Any, x: Any, train: bool, key: Any) -> tuple[Any, Any]: ...


def init_state(model: Any) -> Any:
    """The state of a model before training: a tree of arrays, an empty dict for most models."""
    return model.init_state() if isinstance(model, Stateful) else {}


def apply(model: Any, params: Any, state: Any, x: Any, train: bool = False, key: Any = None) -> tuple[Any, Any]:
    """(y, new state) of a model in training or evaluation.

    In evaluation the state stays as it is, and no key is needed.
    """
    if isinstance(model, Stateful):
        return model.apply(params, state, x, train, key)
    return model(params, x), state


def evaluation(model: Any, state: Any) -> Callable[[Any, Any], Any]:
    """The model as a function (params, x) -> y in evaluation with the given state, as `export_graph` takes it."""
    return lambda params, x: apply(model, params, state, x)[0]


def collect(layers: Sequence[Layer]) -> dict[str, Any]:
    """The states of the layers that have some, by position."""
    states = {str(i): init_state(layer) for i, layer in enumerate(layers)}
    return {name: value for name, value in states.items() if value}


def apply_part(
    owner: str, i: int, layer: Layer, params: Any, state: Any, x: Any, train: bool, key: Any
) -> tuple[Any, dict[str, Any]]:
    """Layer i of `owner`: its result, and its new state by position if it has one."""
    name, own = str(i), None if key is None else ops.fold_in(key, i)
    try:
        y, new = apply(layer, params.get(name, {}), state.get(name, {}), x, train, own)
    except ShapeError as error:
        raise ShapeError(f"{owner}: layer {i} {layer}: {error}") from None
    except KeyError as error:
        raise GraphError(f"{owner}: layer {i} {layer}: parameter or state {error} is missing") from None
    return y, {name: new} if name in state else {}


def need_key(layer: object, key: Any) -> Any:
    """The key, or GraphError if there is none."""
    if key is None:
        raise GraphError(f"{layer}: expected a key in training, as in key=ops.key(0), found None")
    return key
