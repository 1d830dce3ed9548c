"""VJP: the reverse derivative of every op.

`VJP[op][i](g, y, *inputs, **attributes)` is the part of the cotangent `g` of the result `y` that belongs to
input i, or the row has None there when that derivative is 0 everywhere. The rules are written with the public
functions, so they give arrays for arrays and a graph for Tensors, and can be differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from tlverify.core.ops import derivatives_algebra as algebra
from tlverify.core.ops import derivatives_spatial as spatial
from tlverify.core.ops import functions as f
from tlverify.core.ops import indexing
from tlverify.core.ops.apply import Value, apply
from tlverify.core.ops.derivatives_spatial import Rule
from tlverify.graph import Shape

Row = tuple[Rule | None, ...] | Callable[[int], Rule]
"""One rule for each input; the row of an op with any number of inputs gives the rule of input i."""


def rules_of(row: Row, inputs: int) -> tuple[Rule | None, ...]:
    """The rules of a node with so many inputs."""
    return tuple(map(row, range(inputs))) if callable(row) else row


def clamp(g: Value, y: Value, x: Value, *, minimum: str, maximum: str) -> Value:
    above, below = f.greater(x, float(Fraction(maximum))), f.greater(float(Fraction(minimum)), x)
    return f.where(above, 0, f.where(below, 0, g))


def leaky_relu(g: Value, y: Value, x: Value, *, slope: str) -> Value:
    return f.where(f.greater(x, 0), g, apply("scale", g, factor=slope))


def scale(g: Value, y: Value, x: Value, *, factor: str) -> Value:
    return apply("scale", g, factor=factor)


def relu(g: Value, y: Value, x: Value) -> Value:
    """By y, which the next layer keeps as well, so that x need not be kept."""
    return f.where(f.greater(y, 0), g, 0)


def larger(g: Value, y: Value, a: Value, b: Value) -> Value:
    """The part of g that goes to a in maximum(a, b)."""
    return f.where(f.equal(a, b), g * 0.5, f.where(f.greater(a, b), g, 0))


def pow_base(g: Value, y: Value, a: Value, b: Value) -> Value:
    """b a^(b-1), which is 0 for b = 0 whatever a is."""
    flat = f.equal(b, 0)
    return g * f.where(flat, 0, b * f.pow(f.where(flat, 1, a), b - 1.0))


def pow_exponent(g: Value, y: Value, a: Value, b: Value) -> Value:
    positive = f.greater(a, 0)
    return g * f.where(positive, y * f.log(f.where(positive, a, 1)), 0)


def gather(g: Value, y: Value, x: Value, indices: Value, *, batch: int) -> Value:
    return apply("scatter_add", g, indices, batch=batch, size=x.shape[batch])


def scatter_add(g: Value, y: Value, updates: Value, indices: Value, *, batch: int, size: int) -> Value:
    return apply("gather", g, indices, batch=batch)


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


def concat(i: int) -> Rule:
    def rule(g: Value, y: Value, *values: Value, axis: int) -> Value:
        starts, stops = [0] * g.ndim, list(g.shape)
        starts[axis] = sum(value.shape[axis] for value in values[:i])
        stops[axis] = starts[axis] + values[i].shape[axis]
        return indexing.slice_axes(g, tuple(starts), tuple(stops))

    return rule


def pad(g: Value, y: Value, x: Value, *, before: Shape, after: Shape, value: str) -> Value:
    return indexing.slice_axes(g, before, tuple(a + n for a, n in zip(before, x.shape, strict=True)))


def take(g: Value, y: Value, x: Value, *, starts: Shape, stops: Shape, steps: Shape) -> Value:
    """g at the places it was taken from, among zeros: steps - 1 of them after each element, then those outside."""
    none, gaps = (0,) * g.ndim, tuple(step - 1 for step in steps)
    if any(gaps):
        apart = f.reshape(g, [n for size in g.shape for n in (size, 1)])
        apart = indexing.pad_axes(apart, (0,) * apart.ndim, tuple(n for gap in gaps for n in (0, gap)))
        g = f.reshape(apart, [size * step for size, step in zip(g.shape, steps, strict=True)])
        room = tuple(size - start for size, start in zip(x.shape, starts, strict=True))
        g = indexing.slice_axes(g, none, tuple(map(min, g.shape, room)))
    after = tuple(size - start - n for size, start, n in zip(x.shape, starts, g.shape, strict=True))
    return indexing.pad_axes(g, starts, after)


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


VJP: Mapping[str, Row] = {
    "abs": (lambda g, y, x: g * f.sign(x),),
    "add": (lambda g, y, a, b: g, lambda g, y, a, b: g),
    "avg_pool2d": (spatial.avg_pool2d,),
    "batch_norm": tuple(map(spatial.batch_norm_vjp, range(5))),
    "broadcast_to": (broadcast_to,),
    "cast": (lambda g, y, x, dtype: f.cast(g, str(x.dtype)),),
    "cholesky": (algebra.cholesky_vjp,),
    "clamp": (clamp,),
    "concat": concat,
    "conv2d": (spatial.conv2d_x, spatial.conv2d_weight, spatial.conv2d_bias),
    "cos": (lambda g, y, x: -(g * f.sin(x)),),
    "cumsum": (lambda g, y, x, axis, reverse: apply("cumsum", g, axis=axis, reverse=1 - reverse),),
    "detach": (None,),
    "div": (lambda g, y, a, b: g / b, lambda g, y, a, b: -(g * y / b)),
    "erf": (lambda g, y, x: g * (f.exp(-f.square(x)) * (2 / math.sqrt(math.pi))),),
    "exp": (lambda g, y, x: g * y,),
    "expm1": (lambda g, y, x: g * (y + 1.0),),
    "fft": (algebra.fft_vjp,),
    "fold": (lambda g, y, x, size, **window: apply("windows", g, **window),),
    "gather": (gather, None),
    "irfft": (algebra.irfft_vjp,),
    "leaky_relu": (leaky_relu,),
    "linear": (linear_x, linear_weight, linear_bias),
    "log": (lambda g, y, x: g / x,),
    "log1p": (lambda g, y, x: g / (x + 1.0),),
    "matmul": (matmul_left, matmul_right),
    "max": (max_over,),
    "max_pool2d": (spatial.max_pool2d,),
    "maximum": (larger, lambda g, y, a, b: larger(g, y, b, a)),
    "minimum": (lambda g, y, a, b: larger(g, y, b, a), larger),
    "mul": (lambda g, y, a, b: g * b, lambda g, y, a, b: g * a),
    "neg": (lambda g, y, x: -g,),
    "pad": (pad,),
    "pow": (pow_base, pow_exponent),
    "qr": (algebra.qr_vjp,),
    "relu": (relu,),
    "reshape": (reshape,),
    "rfft": (algebra.rfft_vjp,),
    "scale": (scale,),
    "scatter_add": (scatter_add, None),
    "sigmoid": (lambda g, y, x: g * (y * (1.0 - y)),),
    "sign": (None,),
    "sin": (lambda g, y, x: g * f.cos(x),),
    "slice": (take,),
    "softplus": (lambda g, y, x: g * f.sigmoid(x),),
    "solve": (algebra.solve_matrix_vjp, algebra.solve_right_vjp),
    "sqrt": (lambda g, y, x: g * 0.5 / y,),
    "sub": (lambda g, y, a, b: g, lambda g, y, a, b: -g),
    "sum": (sum_over,),
    "tanh": (lambda g, y, x: g * (1.0 - y * y),),
    "transpose": (transpose,),
    "where": (
        None,
        lambda g, y, condition, a, b: f.where(condition, g, 0),
        lambda g, y, condition, a, b: f.where(condition, 0, g),
    ),
    "windows": (lambda g, y, x, **window: apply("fold", g, **window, size=tuple(x.shape[-2:])),),
}
NO_RULE: Mapping[str, str] = {
    "argmax": "the result is int64, which has no derivative",
    "argsort": "the result is int64, which has no derivative",
    "equal": "the result is bool, which has no derivative",
    "greater": "the result is bool, which has no derivative",
    "random_uniform": "a key is int64, which has no derivative",
}
