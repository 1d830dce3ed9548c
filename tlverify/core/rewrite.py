"""A graph with composite ops written out, equal nodes merged and unused ones dropped."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.core.ops import forward_windows
from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, apply
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import Graph, Node, Shape


def linear(x: Value, weight: Value, bias: Value) -> Value:
    rows = f.reshape(x, math.prod(x.shape[:-1]), x.shape[-1])
    product = apply("matmul", rows, f.transpose(weight, (1, 0)))
    return f.reshape(f.add(product, bias), (*x.shape[:-1], weight.shape[0]))


def batch_norm(x: Value, mean: Value, variance: Value, scale: Value, bias: Value, *, axis: int, epsilon: str) -> Value:
    channels = (-1, *(1,) * (x.ndim - axis - 1))
    gain = f.div(scale, f.sqrt(f.add(variance, float(Fraction(epsilon)))))
    mean, gain, bias = (f.reshape(v, *channels) for v in (mean, gain, bias))
    return f.add(f.mul(f.sub(x, mean), gain), bias)


def max_pool2d(x: Value, *, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Value:
    x = _bordered(x, padding)
    window = {"kernel": kernel, "stride": stride, "padding": (0, 0, 0, 0), "dilation": dilation}
    return functools.reduce(f.maximum, _taps(apply("windows", x, **window), kernel))


def avg_pool2d(x: Value, *, kernel: Shape, stride: Shape, padding: Shape, count_include_pad: int) -> Value:
    counts = forward_windows.window_counts(x, kernel, stride, padding, count_include_pad)
    window = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": (1, 1)}
    return f.div(functools.reduce(f.add, _taps(apply("windows", x, **window), kernel)), counts)


def _bordered(x: Value, padding: Shape) -> Value:
    """x with -inf around its last two axes."""
    top, left, bottom, right = padding
    for axis, before, after in ((x.ndim - 2, top, bottom), (x.ndim - 1, left, right)):
        ends = [np.full((*x.shape[:axis], n, *x.shape[axis + 1 :]), -np.inf, str(x.dtype)) for n in (before, after)]
        if before or after:
            x = apply("concat", *([ends[0]] if before else []), x, *([ends[1]] if after else []), axis=axis)
    return x


def _taps(patches: Value, kernel: Shape) -> list[Value]:
    return [patches[..., i, j, :, :] for i in range(kernel[0]) for j in range(kernel[1])]


REWRITE: Mapping[str, Callable[..., Value]] = {
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "detach": lambda x: x,
    "linear": linear,
    "max_pool2d": max_pool2d,
}


def rewrite(graph: Graph) -> Graph:
    """A graph of the same inputs, outputs and values, without the ops of REWRITE."""
    return merged(_written(graph, lambda node: REWRITE.get(node.op)))


MOST_KEPT = 1 << 24
"""Elements of windows that are kept from a convolution for its derivative."""


def with_windows_kept(graph: Graph) -> Graph:
    """A graph of the same inputs, outputs and values, where a convolution makes the windows of its input once, if its
    derivative reads them as well."""

    def place(node: Node, kernel: Any) -> Any:
        return node.inputs[0], kernel, *(node.attributes[name] for name in ("stride", "padding", "dilation"))

    types = graph.types
    read = {
        place(node, node.attributes["kernel"])
        for node in graph.nodes
        if node.op == "windows" and math.prod(node.shape) <= MOST_KEPT
    }

    def rule(node: Node) -> Callable[..., Value] | None:
        if node.op != "conv2d" or place(node, types[node.inputs[1]].shape[2:]) not in read:
            return None
        return conv2d

    return merged(_written(graph, rule))


def conv2d(x: Value, weight: Value, bias: Value, *, groups: int, **moves: Shape) -> Value:
    """As core.ops.forward_windows.conv2d."""
    out, kernel = weight.shape[0], weight.shape[2:]
    patches = apply("windows", x, kernel=tuple(kernel), **moves)
    places, depth = patches.shape[-2:], math.prod(weight.shape[1:])
    columns = f.reshape(patches, math.prod(x.shape[:-3]), groups, depth, math.prod(places))
    result = f.reshape(weight, groups, out // groups, depth) @ columns
    return f.reshape(result, (*x.shape[:-3], out, *places)) + f.reshape(bias, out, 1, 1)


def _written(graph: Graph, rules: Callable[[Node], Callable[..., Value] | None]) -> Graph:
    """The graph with nodes that have a rule written by it."""
    outer = Trace()
    values: dict[str, Tensor] = {value.name: outer.add_input(value.name, value.type) for value in graph.inputs}
    for parameter in graph.parameters:
        values[parameter.name] = outer.constant(parameter.data, name=parameter.name)
    for node in graph.nodes:
        given = [values[name] for name in node.inputs]
        rule = rules(node) or functools.partial(apply, node.op)
        values[node.name] = rule(*given, **node.attributes)
    return outer.build(*(values[name].name for name in graph.outputs))


def merged(graph: Graph) -> Graph:
    """Of equal nodes the first, and only what an output needs."""
    first: dict[Any, str] = {}
    same: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        key = (node.op, inputs, tuple(sorted(node.attributes.items())))
        same[node.name] = first.setdefault(key, node.name)
        if same[node.name] == node.name:
            kept.append(Node(node.name, node.op, inputs, node.shape, node.dtype, node.attributes))
    outputs = tuple(same.get(name, name) for name in graph.outputs)
    needed = set(outputs)
    for node in reversed(kept):
        if node.name in needed:
            needed.update(node.inputs)
    nodes = tuple(node for node in kept if node.name in needed)
    return Graph(graph.inputs, tuple(p for p in graph.parameters if p.name in needed), nodes, outputs)
