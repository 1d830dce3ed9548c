"""Interval arithmetic on tensors: a box of inputs in, a box that holds all outputs out.

The bounds are made of ordinary ops, so autograd differentiates them and training can tighten them. They are
rounded to nearest: for certified training, not for proofs, which the kernel checks in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.core import nn, ops, pytree, trace
from tlverify.core.ops.apply import Value, apply
from tlverify.core.trace import evaluate
from tlverify.graph import Graph, ShapeError, TlverifyError


@dataclass(frozen=True)
class Box:
    """All values between `lower` and `upper`, elementwise."""

    lower: Value
    upper: Value

    @property
    def center(self) -> Value:
        return ops.mul(ops.add(self.lower, self.upper), 0.5)

    @property
    def radius(self) -> Value:
        return ops.mul(ops.sub(self.upper, self.lower), 0.5)


Operand = Any
"""A Box, or an array or Tensor that stands for itself."""
Rule = Callable[..., Box]


def interval_bounds(model: nn.Model, params: Any, lower: Value, upper: Value) -> tuple[Value, Value]:
    """Bounds (n, *outputs) on `model(params, x)` for every x with lower <= x <= upper, both (n, *features).

    Interval bound propagation: Gowal et al. 2018, "On the Effectiveness of Interval Bound Propagation for
    Training Verifiably Robust Models", eq. 6 and 7. TlverifyError for an op without an interval rule. Batch
    normalisation in training has the mean and variance of the batch at the centres of the boxes, as for the natural
    inputs in Shi et al. 2021, "Fast Certified Robust Training with Short Warmup", section 3.
    """
    if tuple(lower.shape) != tuple(upper.shape):
        raise ShapeError(f"interval_bounds: lower is {list(lower.shape)}, upper is {list(upper.shape)}")
    graph, values = propagated(model, params, lower, upper)
    result = values[graph.outputs[0]]
    return _lower(result), _upper(result)


def propagated(model: nn.Model, params: Any, lower: Value, upper: Value) -> tuple[Graph, dict[str, Operand]]:
    """The graph of the model on a value like `lower`, and what each of its values holds for inputs in the box."""
    traced = trace(model, params, lower)
    graph = traced.graph
    arguments = [*pytree.flatten(params)[0], Box(lower, upper), *traced.captured]
    values: dict[str, Operand] = {p.name: p.data for p in graph.parameters}
    values |= {declared.name: value for declared, value in zip(graph.inputs, arguments, strict=True)}
    center = {declared.name: _center(value) for declared, value in zip(graph.inputs, arguments, strict=True)}
    statistics: dict[str, Value] = {}
    for node in graph.nodes:
        operands = [values[name] for name in node.inputs]
        if node.op == "batch_norm" and any(isinstance(operand, Box) for operand in operands[1:3]):
            statistics = statistics or evaluate(graph, list(center.values()))
            operands[1:3] = [statistics[name] for name in node.inputs[1:3]]
        values[node.name] = propagate(node.op, *operands, **node.attributes)
    return graph, values


def propagate(op: str, *operands: Operand, **attributes: Any) -> Operand:
    """`op` on operands of which some are boxes; TlverifyError if there is no rule for it."""
    if not any(isinstance(operand, Box) for operand in operands):
        return apply(op, *operands, **attributes)
    if op not in INTERVAL:
        raise TlverifyError(f"interval arithmetic has no rule for op {op!r}: {NO_RULE.get(op, 'it is a custom op')}")
    return INTERVAL[op](*operands, **attributes)


def monotone(op: str) -> Rule:
    """The rule of an op that does not decrease in any of its inputs."""

    def rule(*operands: Operand, **attributes: Any) -> Box:
        lower = apply(op, *map(_lower, operands), **attributes)
        return Box(lower, apply(op, *map(_upper, operands), **attributes))

    return rule


def _center(operand: Operand) -> Value:
    return operand.center if isinstance(operand, Box) else operand


def absolute(x: Box) -> Box:
    return Box(ops.maximum(ops.maximum(x.lower, -x.upper), 0.0), ops.maximum(-x.lower, x.upper))


def negative(x: Box) -> Box:
    return Box(-x.upper, -x.lower)


def subtract(a: Operand, b: Operand) -> Box:
    return Box(ops.sub(_lower(a), _upper(b)), ops.sub(_upper(a), _lower(b)))


def multiply(a: Operand, b: Operand) -> Box:
    """A factor that is a point scales centre and radius; of two boxes, the extreme products of ends bound it."""
    if isinstance(a, Box) and isinstance(b, Box):
        ends = [ops.mul(x, y) for x in (a.lower, a.upper) for y in (b.lower, b.upper)]
        least = ops.minimum(ops.minimum(ends[0], ends[1]), ops.minimum(ends[2], ends[3]))
        return Box(least, ops.maximum(ops.maximum(ends[0], ends[1]), ops.maximum(ends[2], ends[3])))
    box, factor = (a, b) if isinstance(a, Box) else (b, a)
    return _around(ops.mul(box.center, factor), ops.mul(box.radius, ops.abs(factor)))


def divide(a: Operand, b: Operand) -> Box:
    _require_point("div", "divisor", b)
    return _around(ops.div(a.center, b), ops.div(a.radius, ops.abs(b)))


def linear(x: Operand, weight: Operand, bias: Operand) -> Box:
    """Centre W c + b and radius |W| r."""
    _require_point("linear", "weight", weight)
    _require_point("linear", "bias", bias)
    return _around(ops.linear(x.center, weight, bias), ops.linear(x.radius, ops.abs(weight)))


def conv2d(x: Operand, weight: Operand, bias: Operand, **attributes: Any) -> Box:
    """As linear: a convolution by the weight and one by its absolute value."""
    _require_point("conv2d", "weight", weight)
    _require_point("conv2d", "bias", bias)
    center = apply("conv2d", x.center, weight, bias, **attributes)
    return _around(center, apply("conv2d", x.radius, ops.abs(weight), ops.zeros_like(bias), **attributes))


def batch_norm(x: Operand, *statistics: Operand, **attributes: Any) -> Box:
    """As linear: the radius is multiplied by |scale| / sqrt(variance + epsilon)."""
    for role, statistic in zip(("mean", "variance", "scale", "bias"), statistics, strict=True):
        _require_point("batch_norm", role, statistic)
    mean, variance, scale, bias = statistics
    center = apply("batch_norm", x.center, *statistics, **attributes)
    no_shift = ops.zeros_like(mean), variance, ops.abs(scale), ops.zeros_like(bias)
    return _around(center, apply("batch_norm", x.radius, *no_shift, **attributes))


def scale(x: Box, *, factor: str) -> Box:
    lower, upper = apply("scale", x.lower, factor=factor), apply("scale", x.upper, factor=factor)
    return Box(lower, upper) if Fraction(factor) >= 0 else Box(upper, lower)


def leaky_relu(x: Box, *, slope: str) -> Box:
    """With a negative slope the function falls to 0 at 0 and rises again."""
    left, right = apply("leaky_relu", x.lower, slope=slope), apply("leaky_relu", x.upper, slope=slope)
    if Fraction(slope) >= 0:
        return Box(left, right)
    below = apply("leaky_relu", ops.minimum(x.upper, 0.0), slope=slope)
    return Box(ops.maximum(ops.relu(x.lower), below), ops.maximum(left, right))


def matmul(a: Operand, b: Operand) -> Box:
    if isinstance(a, Box):
        _require_point("matmul", "right factor", b)
        return _around(ops.matmul(a.center, b), ops.matmul(a.radius, ops.abs(b)))
    return _around(ops.matmul(a, b.center), ops.matmul(ops.abs(a), b.radius))


def where(condition: Operand, a: Operand, b: Operand) -> Box:
    lower = ops.where(condition, _lower(a), _lower(b))
    return Box(lower, ops.where(condition, _upper(a), _upper(b)))


_MONOTONE = (
    *("add", "clamp", "detach", "exp", "log", "maximum", "minimum", "relu", "sign", "sqrt"),
    *("avg_pool2d", "fold", "max", "max_pool2d", "sum", "windows"),
    *("erf", "expm1", "log1p", "sigmoid", "softplus", "tanh"),
    *("broadcast_to", "concat", "cumsum", "gather", "pad", "reshape", "scatter_add", "slice", "transpose"),
)
INTERVAL: Mapping[str, Rule] = {
    **{op: monotone(op) for op in _MONOTONE},
    "abs": absolute,
    "batch_norm": batch_norm,
    "conv2d": conv2d,
    "div": divide,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "matmul": matmul,
    "mul": multiply,
    "neg": negative,
    "scale": scale,
    "sub": subtract,
    "where": where,
}
_BOTH_SIGNS = "its matrix has entries of both signs; write it as a matmul with that matrix"
_NOT_MONOTONE = "it is not monotone, and the extremes in a box are not written with the ops"
NO_RULE: Mapping[str, str] = {
    "argmax": "the result is int64, and a box of indices is not an array",
    "argsort": "the result is int64, and a box of indices is not an array",
    "cast": "a conversion to int64 or bool leaves no float bounds to train on",
    "cholesky": "bounds on a factor need the condition of the matrix",
    "cos": _NOT_MONOTONE,
    "equal": "the result is bool, and a box of truth values is not an array",
    "fft": _BOTH_SIGNS,
    "greater": "the result is bool, and a box of truth values is not an array",
    "irfft": _BOTH_SIGNS,
    "pow": "the signs of base and exponent decide where it rises; write x * x, sqrt(x) or exp(b * log(x))",
    "qr": "bounds on a factor need the condition of the matrix",
    "random_uniform": "a key is int64, and a box of keys is not an array",
    "rfft": _BOTH_SIGNS,
    "sin": _NOT_MONOTONE,
    "solve": "bounds on a solution need the condition of the matrix",
}


def _around(center: Value, radius: Value) -> Box:
    return Box(ops.sub(center, radius), ops.add(center, radius))


def _lower(operand: Operand) -> Value:
    return operand.lower if isinstance(operand, Box) else operand


def _upper(operand: Operand) -> Value:
    return operand.upper if isinstance(operand, Box) else operand


def _require_point(op: str, role: str, operand: Operand) -> None:
    if isinstance(operand, Box):
        raise TlverifyError(f"interval arithmetic: {op}: expected a {role} that does not depend on the input")
