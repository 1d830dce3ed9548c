"""Lower bounds of linear functions of the outputs on a box, by one backward pass over interval bounds.

CROWN (Zhang et al. 2018, "Efficient Neural Network Robustness Certification with General Activation Functions") with
interval bounds of what lies between (Zhang et al. 2020, "Towards Stable and Efficient Training of Verifiably Robust
Neural Networks", section 3). Made of ordinary ops, so autograd differentiates the bounds; for training, not for proofs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

from tlverify.core import nn, ops, vjp, vmap
from tlverify.core.ops.apply import Value, apply
from tlverify.graph import Node, ShapeError, TlverifyError
from tlverify.train.interval import Box, Operand, propagated

Slopes = Literal["adaptive", "zero"]
SLOPES = ("adaptive", "zero")
"""The line below an unstable ReLU: `adaptive` is x where the interval reaches farther up than down, else 0."""


def crown_lower_bounds(
    model: nn.Model,
    params: Any,
    lower: Value,
    upper: Value,
    weights: Value,
    slopes: Slopes = "adaptive",
    relax: bool = True,
) -> Value:
    """Lower bounds (n, m) of `weights @ model(params, x)` for every x with lower <= x <= upper, both (n, *features).

    `weights` (n, m, *outputs) are m linear functions of the outputs of each example. ReLU, leaky ReLU and abs are
    relaxed by lines; any other op that is not affine, as max pooling or tanh, ends the pass with its interval. With
    `relax=False` all of them do: that is interval propagation with the last affine layers taken together.

    The model is traced for one example, as in the export. With slopes `zero` the bounds are, but for rounding, never
    below those of interval propagation. TlverifyError for an op without an interval rule.
    """
    if slopes not in SLOPES:
        raise TlverifyError(f"slopes: expected {' or '.join(SLOPES)}, found {slopes!r}")
    if tuple(lower.shape) != tuple(upper.shape) or tuple(weights.shape[:1]) != tuple(lower.shape[:1]):
        found = f"{list(lower.shape)}, {list(upper.shape)} and {list(weights.shape)}"
        raise ShapeError(f"crown_lower_bounds: expected lower and upper (n, ...), weights (n, m, ...), found {found}")

    def one(params: Any, lower: Value, upper: Value, weights: Value) -> Value:
        graph, values = propagated(model, params, lower, upper)
        output = graph.outputs[0]
        if tuple(weights.shape[1:]) != graph.types[output].shape:
            expected, found = list(graph.types[output].shape), list(weights.shape[1:])
            raise ShapeError(f"weights: expected functions of outputs {expected}, found functions of {found}")
        return _backward(graph.nodes, values, output, weights, slopes, relax)

    result: Value = vmap(one, in_axes=(None, 0, 0, 0))(params, lower, upper, weights)
    return result


def _backward(
    nodes: Sequence[Node], values: Mapping[str, Operand], output: str, weights: Value, slopes: Slopes, relax: bool
) -> Value:
    """The bounds (m,) of the functions `weights` (m, *shape) of a value of one example."""
    pending = {output: weights}
    bound: Value = 0.0
    for node in reversed(nodes):
        coefficients = pending.pop(node.name, None)
        if coefficients is None:
            continue
        operands = [values[name] for name in node.inputs]
        boxed = [i for i, operand in enumerate(operands) if isinstance(operand, Box)]
        if node.op in _AFFINE and _AFFINE[node.op](boxed):
            parts, constant = _through_affine(node, operands, boxed, coefficients)
            bound = ops.add(bound, constant)
        elif relax and node.op in _RELAXED:
            before, intercept = _RELAXED[node.op](coefficients, operands[0], slopes, node)
            parts, bound = [before], ops.add(bound, intercept)
        else:
            bound = ops.add(bound, _least(coefficients, values[node.name]))
            continue
        for i, part in zip(boxed, parts, strict=True):
            name = node.inputs[i]
            pending[name] = ops.add(pending[name], part) if name in pending else part
    for name, coefficients in pending.items():
        bound = ops.add(bound, _least(coefficients, values[name]))
    return bound


def _least(coefficients: Value, operand: Operand) -> Value:
    """The least value (m,) of linear functions (m, *shape) on a box or at a point."""
    if not isinstance(operand, Box):
        return _dot(coefficients, operand)
    return ops.add(_dot(ops.relu(coefficients), operand.lower), _dot(_negative(coefficients), operand.upper))


def _through_affine(
    node: Node, operands: Sequence[Operand], boxed: Sequence[int], coefficients: Value
) -> tuple[list[Value], Value]:
    """The functions of the operands that are boxes, and the constant of each function."""

    def affine(*points: Value) -> Value:
        inputs = list(operands)
        for i, point in zip(boxed, points, strict=True):
            inputs[i] = point
        return apply(node.op, *inputs, **node.attributes)

    zeros = [ops.zeros_like(operands[i].lower) for i in boxed]
    if node.op == "linear":
        constant = affine(*zeros)
        return [ops.linear(coefficients, ops.transpose(operands[1]))], _dot(coefficients, constant)
    if node.op == "conv2d" and node.attributes["groups"] == 1:
        return [_through_conv2d(node, operands, coefficients)], _dot(coefficients, affine(*zeros))
    constant, pullback = vjp(affine, *zeros)
    return list(vmap(pullback)(coefficients)), _dot(coefficients, constant)


def _through_conv2d(node: Node, operands: Sequence[Operand], coefficients: Value) -> Value:
    """As the reverse derivative, with all functions and places as the rows of one matrix product."""
    x, weight = operands[0].lower, operands[1]
    kernel, places = tuple(weight.shape[2:]), tuple(coefficients.shape[-2:])
    lead = tuple(coefficients.shape[:-3])
    flat = ops.reshape(coefficients, (*lead, weight.shape[0], math.prod(places)))
    columns = ops.linear(ops.swapaxes(flat, -1, -2), ops.transpose(ops.reshape(weight, (weight.shape[0], -1))))
    patches = ops.reshape(ops.swapaxes(columns, -1, -2), (*lead, weight.shape[1], *kernel, *places))
    moves = {name: node.attributes[name] for name in ("stride", "padding", "dilation")}
    return apply("fold", patches, kernel=kernel, size=tuple(x.shape[-2:]), **moves)


def _relu(coefficients: Value, box: Box, slopes: Slopes, node: Node) -> tuple[Value, Value]:
    """Functions of relu(x) as functions of x, and what they lose: below by one line, above by the chord."""
    low, high = ops.relu(ops.neg(box.lower)), ops.relu(box.upper)
    width = ops.add(low, high)
    chord = ops.div(high, ops.where(ops.equal(width, 0.0), 1.0, width))
    rising = ops.greater(ops.add(box.lower, box.upper), 0.0) if slopes == "adaptive" else ops.equal(low, 0.0)
    below = ops.cast(rising, str(chord.dtype))
    negative = _negative(coefficients)
    through = ops.add(ops.mul(ops.relu(coefficients), below), ops.mul(negative, chord))
    return through, _dot(negative, ops.mul(chord, low))


def _leaky_relu(coefficients: Value, box: Box, slopes: Slopes, node: Node) -> tuple[Value, Value]:
    """slope x + (1 - slope) relu(x)."""
    slope = float(Fraction(str(node.attributes["slope"])))
    through, lost = _relu(ops.mul(coefficients, 1.0 - slope), box, slopes, node)
    return ops.add(through, ops.mul(coefficients, slope)), lost


def _abs(coefficients: Value, box: Box, slopes: Slopes, node: Node) -> tuple[Value, Value]:
    """2 relu(x) - x."""
    through, lost = _relu(ops.mul(coefficients, 2.0), box, slopes, node)
    return ops.sub(through, coefficients), lost


def _negative(x: Value) -> Value:
    """min(x, 0)."""
    return ops.neg(ops.relu(ops.neg(x)))


def _dot(coefficients: Value, value: Value) -> Value:
    """(m, *shape) and (*shape) -> (m,)."""
    return ops.sum(ops.mul(coefficients, value), tuple(range(1, coefficients.ndim)))


_RELAXED: Mapping[str, Callable[[Value, Box, Slopes, Node], tuple[Value, Value]]] = {
    "abs": _abs,
    "leaky_relu": _leaky_relu,
    "relu": _relu,
}


def _always(boxed: Sequence[int]) -> bool:
    return True


def _only_first(boxed: Sequence[int]) -> bool:
    return list(boxed) == [0]


def _one_factor(boxed: Sequence[int]) -> bool:
    return len(boxed) == 1


_AFFINE: Mapping[str, Callable[[Sequence[int]], bool]] = {
    **dict.fromkeys(
        ("add", "avg_pool2d", "broadcast_to", "concat", "cumsum", "fold", "neg", "pad", "reshape"), _always
    ),
    **dict.fromkeys(("reshape", "scale", "slice", "sub", "sum", "transpose", "windows"), _always),
    **dict.fromkeys(("batch_norm", "conv2d", "div", "gather", "linear", "scatter_add"), _only_first),
    **dict.fromkeys(("matmul", "mul"), _one_factor),
}
"""The ops that are affine in those inputs that are boxes, if these are the ones that the function accepts."""
