"""VJP: the reverse derivative of every op.

`VJP[op][i](g, y, *inputs, **attributes)` is the part of the cotangent `g` of the result `y` that belongs to
input i, or the row has None there when that derivative is 0 everywhere. The rules are written with the public
functions, so they give arrays for arrays and a graph for Tensors, and can be differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value
from tlverify.graph import Shape

Rule = Callable[..., Value]


def relu(g: Value, y: Value, x: Value) -> Value:
    return f.where(f.greater(x, 0), g, 0)


def larger(g: Value, y: Value, a: Value, b: Value) -> Value:
    """The part of g that goes to a in maximum(a, b)."""
    return f.where(f.equal(a, b), g * 0.5, f.where(f.greater(a, b), g, 0))


def matmul_left(g: Value, y: Value, a: Value, b: Value) -> Value:
    return f.matmul(g, swap_last(b))


def matmul_right(g: Value, y: Value, a: Value, b: Value) -> Value:
    return f.matmul(swap_last(a), g)


def linear_x(g: Value, y: Value, x: Value, weight: Value, bias: Value) -> Value:
    return f.reshape(f.matmul(rows(g), weight), x.shape)


def linear_weight(g: Value, y: Value, x: Value, weight: Value, bias: Value) -> Value:
    return f.matmul(f.transpose(rows(g)), rows(x))


def linear_bias(g: Value, y: Value, x: Value, weight: Value, bias: Value) -> Value:
    return f.sum(rows(g), 0)


def max_over(g: Value, y: Value, x: Value, *, axes: Shape, keepdims: int) -> Value:
    return spread(g, x, axes) * share_of_max(y, x, axes)


def sum_over(g: Value, y: Value, x: Value, *, axes: Shape, keepdims: int) -> Value:
    return spread(g, x, axes)


def broadcast_to(g: Value, y: Value, x: Value, *, shape: Shape) -> Value:
    added = g.ndim - x.ndim
    stretched = [i + added for i, size in enumerate(x.shape) if size != g.shape[i + added]]
    return f.reshape(f.sum(g, [*range(added), *stretched]), x.shape)


def reshape(g: Value, y: Value, x: Value, *, shape: Shape) -> Value:
    return f.reshape(g, x.shape)


def transpose(g: Value, y: Value, x: Value, *, axes: Shape) -> Value:
    return f.transpose(g, sorted(range(len(axes)), key=axes.__getitem__))


def rows(x: Value) -> Value:
    """(..., n) -> (m, n)."""
    return f.reshape(x, math.prod(x.shape[:-1]), x.shape[-1])


def swap_last(x: Value) -> Value:
    """(..., m, n) -> (..., n, m)."""
    order = range(x.ndim)
    return f.transpose(x, [*order[:-2], order[-1], order[-2]])


def spread(y: Value, x: Value, axes: Shape) -> Value:
    """A reduction over `axes` of x, repeated back to the shape of x."""
    kept = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
    return f.broadcast_to(f.reshape(y, kept), x.shape)


def share_of_max(y: Value, x: Value, axes: Shape) -> Value:
    """1/k at the k elements of x that equal their maximum y over `axes`, 0 elsewhere."""
    hits = f.cast(f.equal(x, spread(y, x, axes)), str(x.dtype))
    return hits / f.sum(hits, axes, keepdims=True)


VJP: Mapping[str, tuple[Rule | None, ...]] = {
    "abs": (lambda g, y, x: g * f.sign(x),),
    "add": (lambda g, y, a, b: g, lambda g, y, a, b: g),
    "broadcast_to": (broadcast_to,),
    "cast": (lambda g, y, x, dtype: f.cast(g, str(x.dtype)),),
    "detach": (None,),
    "div": (lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)),
    "exp": (lambda g, y, x: g * y,),
    "linear": (linear_x, linear_weight, linear_bias),
    "log": (lambda g, y, x: g / x,),
    "matmul": (matmul_left, matmul_right),
    "max": (max_over,),
    "maximum": (larger, lambda g, y, a, b: larger(g, y, b, a)),
    "minimum": (lambda g, y, a, b: larger(g, y, b, a), larger),
    "mul": (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "neg": (lambda g, y, x: -g,),
    "relu": (relu,),
    "reshape": (reshape,),
    "sign": (None,),
    "sqrt": (lambda g, y, x: g * 0.5 / y,),
    "sub": (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "sum": (sum_over,),
    "transpose": (transpose,),
    "where": (
        None,
        lambda g, y, condition, a, b: f.where(condition, g, 0),
        lambda g, y, condition, a, b: f.where(condition, 0, g),
    ),
}
NO_RULE: Mapping[str, str] = {
    "equal": "the result is bool, which has no derivative",
    "greater": "the result is bool, which has no derivative",
}
