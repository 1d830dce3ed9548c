"""JVP: the forward derivative of every op.

`JVP[op][i](t, y, *inputs, **attributes)` is what the tangent `t` of input i adds to the tangent of the result
`y`, or the row has None there when that derivative is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from tlverify.core.ops import derivatives_algebra as algebra
from tlverify.core.ops import derivatives_spatial as spatial
from tlverify.core.ops import functions as f
from tlverify.core.ops import indexing
from tlverify.core.ops.apply import Value, apply
from tlverify.core.ops.derivatives_spatial import Rule
from tlverify.core.ops.vjp import VJP, Row, share_of_max
from tlverify.graph import Shape

# The Jacobian of an elementwise op is diagonal, so its two derivatives are one formula.
_ELEMENTWISE = (
    *("abs", "add", "clamp", "detach", "div", "exp", "leaky_relu", "log", "maximum", "minimum", "mul", "neg"),
    *("relu", "scale", "sign", "sqrt", "sub", "where"),
    *("cos", "erf", "expm1", "log1p", "pow", "sigmoid", "sin", "softplus", "tanh"),
)


def max_over(t: Value, y: Value, x: Value, *, axes: Shape, keepdims: int) -> Value:
    return f.sum(t * share_of_max(y, x, axes), axes, bool(keepdims))


def concat(i: int) -> Rule:
    def rule(t: Value, y: Value, *values: Value, axis: int) -> Value:
        before, after = [0] * t.ndim, [0] * t.ndim
        before[axis] = sum(value.shape[axis] for value in values[:i])
        after[axis] = y.shape[axis] - before[axis] - t.shape[axis]
        return indexing.pad_axes(t, tuple(before), tuple(after))

    return rule


def conv2d_x(t: Value, y: Value, x: Value, weight: Value, bias: Value, **moves: Shape | int) -> Value:
    return apply("conv2d", t, weight, f.zeros_like(bias), **moves)


def conv2d_weight(t: Value, y: Value, x: Value, weight: Value, bias: Value, **moves: Shape | int) -> Value:
    return apply("conv2d", x, t, f.zeros_like(bias), **moves)


def conv2d_bias(t: Value, y: Value, x: Value, weight: Value, bias: Value, **moves: Shape | int) -> Value:
    return spatial.channel(t, y, y.ndim - 3)


def itself(op: str) -> Rule:
    """The rule of a linear op of one input."""
    return lambda t, y, x, **attributes: apply(op, t, **attributes)


JVP: Mapping[str, Row] = {
    **{op: VJP[op] for op in _ELEMENTWISE},
    **{op: (itself(op),) for op in ("avg_pool2d", "cumsum", "fft", "fold", "irfft", "rfft", "slice", "windows")},
    "batch_norm": tuple(map(spatial.batch_norm_jvp, range(5))),
    "broadcast_to": (lambda t, y, x, shape: f.broadcast_to(t, shape),),
    "cast": (lambda t, y, x, dtype: f.cast(t, dtype),),
    "cholesky": (algebra.cholesky_jvp,),
    "concat": concat,
    "conv2d": (conv2d_x, conv2d_weight, conv2d_bias),
    "gather": (lambda t, y, x, indices, batch: apply("gather", t, indices, batch=batch), None),
    "linear": (
        lambda t, y, x, weight, bias: f.linear(t, weight),
        lambda t, y, x, weight, bias: f.linear(x, t),
        lambda t, y, x, weight, bias: f.broadcast_to(t, y.shape),
    ),
    "matmul": (lambda t, y, a, b: f.matmul(t, b), lambda t, y, a, b: f.matmul(a, t)),
    "max": (max_over,),
    "max_pool2d": (spatial.max_pool2d_along,),
    "pad": (lambda t, y, x, before, after, value: indexing.pad_axes(t, before, after),),
    "qr": (algebra.qr_jvp,),
    "reshape": (lambda t, y, x, shape: f.reshape(t, shape),),
    "scatter_add": (lambda t, y, x, indices, **to: apply("scatter_add", t, indices, **to), None),
    "solve": (
        algebra.solve_matrix_jvp,
        lambda t, y, matrix, right: apply("solve", matrix, t),
    ),
    "sum": (lambda t, y, x, axes, keepdims: f.sum(t, axes, bool(keepdims)),),
    "transpose": (lambda t, y, x, axes: f.transpose(t, axes),),
}
NO_RULE: Mapping[str, str] = {
    "argmax": "the result is int64, which has no derivative",
    "argsort": "the result is int64, which has no derivative",
    "equal": "the result is bool, which has no derivative",
    "greater": "the result is bool, which has no derivative",
    "random_uniform": "a key is int64, which has no derivative",
}
