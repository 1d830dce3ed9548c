"""Running a graph of affine and piecewise linear ops in float32, in the order that an `Execution` names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlverify.core.binary32 import sums, vector
from tlverify.core.binary32.format import Binary32Error
from tlverify.core.binary32.sums import Execution
from tlverify.core.ops.forward import FORWARD
from tlverify.core.plan import function_of
from tlverify.graph import Graph, GraphError, Node, ShapeError, Type
from tlverify.graph.types import fraction

Rule = Callable[[Execution, Node, Sequence[Any]], Any]

# These choose, order or negate numbers and never round. Comparisons read subnormal numbers as they are.
_CHOOSING = {"abs", "argmax", "clamp", "equal", "greater", "max", "max_pool2d", "maximum", "minimum", "neg", "relu"}
_MOVING = {"broadcast_to", "concat", "detach", "pad", "reshape", "slice", "transpose", "where", "windows"}
EXACT = frozenset(_CHOOSING | _MOVING)


def run_binary32(
    graph: Graph, inputs: Sequence[Any] | Mapping[str, Any], execution: Execution | None = None
) -> tuple[Any, ...]:
    """The outputs of the graph in one execution (sequential, no FMA, bias last, to nearest unless told otherwise).

    Inputs are float32 arrays in the order of the graph's inputs, or by name. Binary32Error where the graph has an
    op without a rule here, or a float64 value. Every float operation rounds as `execution.mode` says.
    """
    execution = execution or Execution()
    values = _given(graph, inputs)
    values |= {parameter.name: parameter.data for parameter in graph.parameters}
    for value in graph.values:
        if value.dtype == "float64":
            raise Binary32Error(f"value {value.name!r}: expected float32, found float64; cast the model to float32")
    for node in graph.nodes:
        given = [values[name] for name in node.inputs]
        if node.op in EXACT:
            with np.errstate(all="ignore"):
                values[node.name] = function_of(node)(*given)
        elif node.op in RULES and node.dtype == "float32":
            values[node.name] = RULES[node.op](execution, node, given)
        else:
            known = ", ".join(sorted(EXACT | set(RULES)))
            raise Binary32Error(f"node {node.name!r}: {node.op} {node.type} has no float32 rule; known ops: {known}")
    return tuple(np.asarray(values[name]) for name in graph.outputs)


def _given(graph: Graph, inputs: Sequence[Any] | Mapping[str, Any]) -> dict[str, Any]:
    names = [value.name for value in graph.inputs]
    given = dict(inputs) if isinstance(inputs, Mapping) else dict(zip(names, inputs, strict=False))
    if set(given) != set(names) or len(inputs) != len(names):
        found = sorted(inputs) if isinstance(inputs, Mapping) else len(inputs)
        raise GraphError(f"expected inputs {names}, found {found}")
    values = {name: np.asarray(value) for name, value in given.items()}
    for value in graph.inputs:
        found_type = Type(values[value.name].shape, str(values[value.name].dtype))
        if found_type != value.type:
            raise ShapeError(f"input {value.name!r}: expected {value.type}, found {found_type}")
    return values


def _linear(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    x, weight, bias = given
    terms = np.moveaxis(x, -1, 0)[..., None]
    weights = np.ascontiguousarray(weight.T).reshape(weight.shape[1], *[1] * (x.ndim - 1), weight.shape[0])
    return sums.dot(terms, weights, bias, execution)


def _matmul(execution: Execution, node: Node, given: Sequence[Any], bias: Any = None) -> Any:
    left, right = given
    return sums.dot(np.moveaxis(left, -1, 0)[..., None], np.moveaxis(right, -2, 0)[..., None, :], bias, execution)


def _conv2d(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    x, weight, bias = given
    groups, out = _integer(node, "groups"), weight.shape[0]
    moves = {name: node.attributes[name] for name in ("stride", "padding", "dilation")}
    patches = _windows(x, kernel=weight.shape[2:], **moves)
    batch, places = x.shape[:-3], patches.shape[-2:]
    terms = math.prod(weight.shape[1:])
    columns = patches.reshape(*batch, groups, terms, math.prod(places))
    rows = np.broadcast_to(weight.reshape(groups, out // groups, terms), (*batch, groups, out // groups, terms))
    result = _matmul(execution, node, [rows, columns], bias.reshape(groups, out // groups, 1))
    return result.reshape(*batch, out, *places)


def _avg_pool2d(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    moves = {name: node.attributes[name] for name in ("kernel", "stride", "padding")}
    patches = _windows(given[0], dilation=(1, 1), **moves)
    inside = _windows(np.ones_like(given[0]), dilation=(1, 1), **moves)
    kernel = patches.shape[-4] * patches.shape[-3]
    flat = np.moveaxis(patches.reshape(*patches.shape[:-4], kernel, *patches.shape[-2:]), -3, 0)
    count = inside.sum(axis=(-4, -3)) if not node.attributes["count_include_pad"] else np.float32(kernel)
    return vector.div(sums.total(flat, execution), np.asarray(count, np.float32), execution.mode)


def _windows(x: Any, **attributes: Any) -> Any:
    return FORWARD["windows"](x, **attributes)


def _sum(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    x, axes = given[0], node.attributes["axes"]
    if not isinstance(axes, tuple):
        raise Binary32Error(f"node {node.name!r}: expected a list of axes, found {axes!r}")
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    flat = x.transpose(*axes, *kept).reshape(math.prod(x.shape[axis] for axis in axes), *[x.shape[i] for i in kept])
    return sums.total(flat, execution).reshape(node.shape)


def _scale(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    return vector.mul(given[0], _number(node, "factor"), execution.mode)


def _leaky_relu(execution: Execution, node: Node, given: Sequence[Any]) -> Any:
    x = given[0]
    return np.where(x > 0, x, vector.mul(x, _number(node, "slope"), execution.mode))


def _number(node: Node, name: str) -> Any:
    return np.asarray(float(fraction(node.attributes, name, "float32")), np.float32)


def _integer(node: Node, name: str) -> int:
    value = node.attributes[name]
    if not isinstance(value, int):
        raise Binary32Error(f"node {node.name!r}: {name}: expected an integer, found {value!r}")
    return value


def _elementwise(function: Callable[..., Any]) -> Rule:
    return lambda execution, node, given: function(*given, execution.mode)


RULES: Mapping[str, Rule] = {
    "add": _elementwise(vector.add),
    "avg_pool2d": _avg_pool2d,
    "conv2d": _conv2d,
    "div": _elementwise(vector.div),
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "matmul": _matmul,
    "mul": _elementwise(vector.mul),
    "scale": _scale,
    "sqrt": _elementwise(vector.sqrt),
    "sub": _elementwise(vector.sub),
    "sum": _sum,
}
