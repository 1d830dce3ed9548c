"""From a model to the graph of one example, and to a table for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.nn.composition import Sequential
from tlverify.core.nn.layers import check_layer, layer_text
from tlverify.core.nn.shapes import PartialShape, shape_text
from tlverify.core.nn.state import apply as apply_model
from tlverify.core.ops.apply import apply
from tlverify.core.tensor import Tensor
from tlverify.core.trace import Spec, bind, trace
from tlverify.graph import Graph, GraphError

Model = Callable[[Any, Any], Any]
"""Sequential, a layer, or any function (params, x) -> y built from ops."""


def export_graph(
    model: Model, params: Any, input_shape: Sequence[int], dtype: str = "float32", state: Any = None
) -> Graph:
    """The graph of `model` on one example, without a batch axis; `dtype` is that of the example.

    The input is `x`, the only output `y`; parameters are named by their path in the tree, as in `0.weight`. A model
    with state is exported in evaluation, with `state` as more parameters, as in `1.running_mean`.
    """
    leaves, tree = pytree.flatten(params)
    buffers, state_tree = pytree.flatten(state)

    def named(params: Any, state: Any, x: Any) -> Any:
        y = model(params, x) if state is None else apply_model(model, params, state, x)[0]
        if not isinstance(y, Tensor):
            raise GraphError(f"model: expected one Tensor as the result, found {type(y).__name__}")
        # A model that gives back its input still needs a node to carry the name y.
        return y if y.name not in inputs else apply("reshape", y, shape=y.shape)

    inputs = [*pytree.paths(tree, "params"), *pytree.paths(state_tree, "state"), "x"]
    traced = trace(named, params, state, Spec(tuple(input_shape), dtype))
    names = {old: old.removeprefix("params.").removeprefix("state.") for old in inputs}
    names[traced.graph.outputs[0]] = "y"
    taken = {"x", "y"} & {names[old] for old in inputs[:-1]}
    if taken:
        raise GraphError(f"parameter {min(taken)!r}: choose another name; x is the input and y the output")
    return bind(traced.graph, dict(zip(inputs, [*leaves, *buffers], strict=False)), names)


def summary(model: Any, input_shape: int | Sequence[int]) -> str:
    """A table of layers, output shapes and parameter counts; ShapeError if they do not fit the input."""
    input_shape = (input_shape,) if isinstance(input_shape, int) else input_shape
    if not hasattr(model, "check"):
        raise GraphError(
            f"summary: expected a layer or Sequential, found {model!r}; print(export_graph(...)) shows any model"
        )
    model.check(tuple(input_shape))
    layers = model.layers if isinstance(model, Sequential) else (model,)
    shape: PartialShape = tuple(input_shape)
    total = 0
    rows = [("", "input", shape_text(shape), "")]
    for i, layer in enumerate(layers):
        shape = check_layer(layer, shape)
        leaves, _ = pytree.flatten(layer.init(np.random.default_rng(0)))
        count = sum(int(leaf.size) for leaf in leaves)
        total += count
        rows.append((str(i), layer_text(layer), shape_text(shape), f"{count:,}" if count else ""))
    rows.append(("", "total", "", f"{total:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        f"{number:>{widths[0]}}  {name:<{widths[1]}}  {size:<{widths[2]}}  {count:>{widths[3]}}"
        for number, name, size, count in rows
    )
    return "\n".join(line.rstrip() for line in lines)
