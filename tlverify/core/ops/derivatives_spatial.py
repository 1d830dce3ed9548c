"""Parts of the derivatives of convolution, pooling and batch_norm. `vjp` and `jvp` put them into their tables.

`windows` and `fold` are linear and adjoint: with these two, matrix products and elementwise ops the derivatives of
the others are written to any order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from tlverify.core.backend import namespace
from tlverify.core.ops import forward_windows
from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, apply
from tlverify.graph import Shape

Rule = Callable[..., Value]


def conv2d_x(g: Value, y: Value, x: Value, weight: Value, bias: Value, *, groups: int, **moves: Shape) -> Value:
    kernel, places = tuple(weight.shape[2:]), g.shape[-2:]
    out, depth = weight.shape[0] // groups, math.prod(weight.shape[1:])
    rows = f.reshape(g, *g.shape[:-3], groups, out, math.prod(places))
    by_input = f.transpose(f.reshape(weight, groups, out, depth), (0, 2, 1))
    patches = f.reshape(f.matmul(by_input, rows), *x.shape[:-2], *kernel, *places)
    return apply("fold", patches, kernel=kernel, size=tuple(x.shape[-2:]), **moves)


def conv2d_weight(g: Value, y: Value, x: Value, weight: Value, bias: Value, *, groups: int, **moves: Shape) -> Value:
    patches = apply("windows", x, kernel=tuple(weight.shape[2:]), **moves)
    images, out, places = math.prod(x.shape[:-3]), weight.shape[0] // groups, math.prod(g.shape[-2:])
    columns = f.reshape(patches, images, groups, math.prod(weight.shape[1:]), places)
    products = f.matmul(f.reshape(g, images, groups, out, places), f.transpose(columns, (0, 1, 3, 2)))
    return f.reshape(f.sum(products, 0), weight.shape)


def conv2d_bias(g: Value, y: Value, x: Value, weight: Value, bias: Value, **moves: Shape | int) -> Value:
    return over_channels(g, g.ndim - 3)


def over_windows(y: Value, kernel: Shape) -> Value:
    """(..., H', W') repeated to (..., kh, kw, H', W')."""
    single = f.reshape(y, *y.shape[:-2], 1, 1, *y.shape[-2:])
    return f.broadcast_to(single, (*y.shape[:-2], *kernel, *y.shape[-2:]))


def maxima(y: Value, x: Value, **window: Shape) -> tuple[Value, Value]:
    """1 at the elements of each window of x that equal its maximum y, 0 elsewhere and in the padding; their number."""
    patches = apply("windows", x, **window)
    hits = f.cast(f.equal(patches, over_windows(y, window["kernel"])), str(x.dtype))
    if any(window["padding"]):
        ones = namespace(x).ones(x.shape[-2:], str(x.dtype))
        hits = f.mul(hits, forward_windows.windows(ones, **window))
    return hits, f.sum(hits, (-4, -3))


def max_pool2d(g: Value, y: Value, x: Value, **window: Shape) -> Value:
    hits, count = maxima(y, x, **window)
    shares = f.mul(over_windows(f.div(g, count), window["kernel"]), hits)
    return apply("fold", shares, **window, size=tuple(x.shape[-2:]))


def max_pool2d_along(t: Value, y: Value, x: Value, **window: Shape) -> Value:
    hits, count = maxima(y, x, **window)
    return f.div(f.sum(f.mul(apply("windows", t, **window), hits), (-4, -3)), count)


def avg_pool2d(
    g: Value, y: Value, x: Value, *, kernel: Shape, stride: Shape, padding: Shape, count_include_pad: int
) -> Value:
    counts = forward_windows.window_counts(x, kernel, stride, padding, count_include_pad)
    window = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": (1, 1)}
    return apply("fold", over_windows(f.div(g, counts), kernel), **window, size=tuple(x.shape[-2:]))


def channel(v: Value, x: Value, axis: int) -> Value:
    """(C,) repeated along all axes of x but `axis`."""
    return f.broadcast_to(f.reshape(v, v.shape[0], *(1,) * (x.ndim - axis - 1)), x.shape)


def over_channels(x: Value, axis: int) -> Value:
    """The sum over all axes of x but `axis`."""
    return f.sum(x, [i for i in range(x.ndim) if i != axis])


def by_x(x: Value, mean: Value, variance: Value, scale: Value, axis: int, epsilon: float) -> Value:
    return channel(f.div(scale, f.sqrt(f.add(variance, epsilon))), x, axis)


def by_mean(x: Value, mean: Value, variance: Value, scale: Value, axis: int, epsilon: float) -> Value:
    return f.neg(by_x(x, mean, variance, scale, axis, epsilon))


def by_variance(x: Value, mean: Value, variance: Value, scale: Value, axis: int, epsilon: float) -> Value:
    shifted = f.add(variance, epsilon)
    rate = f.div(f.mul(scale, -0.5), f.mul(shifted, f.sqrt(shifted)))
    return f.mul(f.sub(x, channel(mean, x, axis)), channel(rate, x, axis))


def by_scale(x: Value, mean: Value, variance: Value, scale: Value, axis: int, epsilon: float) -> Value:
    return f.mul(f.sub(x, channel(mean, x, axis)), by_x(x, mean, variance, f.ones_like(scale), axis, epsilon))


# By x, mean, variance and scale, in the shape of x. The derivative by the bias is 1.
_PARTIALS: tuple[Rule, ...] = (by_x, by_mean, by_variance, by_scale)


def batch_norm_vjp(i: int) -> Rule:
    def rule(g: Value, y: Value, *inputs: Value, axis: int, epsilon: str) -> Value:
        part = g if i == 4 else f.mul(g, _PARTIALS[i](*inputs[:4], axis, float(Fraction(epsilon))))
        return part if i == 0 else over_channels(part, axis)

    return rule


def batch_norm_jvp(i: int) -> Rule:
    def rule(t: Value, y: Value, *inputs: Value, axis: int, epsilon: str) -> Value:
        along = t if i == 0 else channel(t, y, axis)
        return along if i == 4 else f.mul(along, _PARTIALS[i](*inputs[:4], axis, float(Fraction(epsilon))))

    return rule
