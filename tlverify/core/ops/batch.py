"""BATCH: every op with one more axis in front, for `vmap`.

`BATCH[op](n, values, batched, **attributes)` is the op on n examples: value i has a leading axis of size n where
`batched[i]` holds, and is the same for all of them otherwise. The result has that axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, apply
from tlverify.graph import Shape

BatchRule = Callable[..., Value]


def spread(n: int, values: Sequence[Value], batched: Sequence[bool]) -> list[Value]:
    """The values with the leading axis, repeated where it was missing."""
    pairs = zip(values, batched, strict=True)
    return [value if has_axis else f.broadcast_to(value, (n, *value.shape)) for value, has_axis in pairs]


def trailing(op: str) -> BatchRule:
    """The rule of an op that takes any number of leading axes, equal ones on all inputs."""

    def rule(n: int, values: Sequence[Value], batched: Sequence[bool], **attributes: Any) -> Value:
        return apply(op, *spread(n, values, batched), **attributes)

    return rule


def shifted(op: str, *names: str) -> BatchRule:
    """As trailing, where the attributes `names` are axes counted from the front, or numbers of leading axes."""

    def rule(n: int, values: Sequence[Value], batched: Sequence[bool], **attributes: Any) -> Value:
        for name in names:
            given = attributes[name]
            attributes[name] = tuple(axis + 1 for axis in given) if isinstance(given, tuple) else given + 1
        return apply(op, *spread(n, values, batched), **attributes)

    return rule


def prefixed(op: str, **first: int | None) -> BatchRule:
    """As trailing, where the attributes have one item for each axis; `first` says those of the new one (None: n)."""

    def rule(n: int, values: Sequence[Value], batched: Sequence[bool], **attributes: Any) -> Value:
        for name, item in first.items():
            attributes[name] = (n if item is None else item, *attributes[name])
        return apply(op, *spread(n, values, batched), **attributes)

    return rule


def transpose(n: int, values: Sequence[Value], batched: Sequence[bool], *, axes: Shape) -> Value:
    return f.transpose(values[0], (0, *(axis + 1 for axis in axes)))


def broadcast_to(n: int, values: Sequence[Value], batched: Sequence[bool], *, shape: Shape) -> Value:
    x = values[0]
    return f.broadcast_to(f.reshape(x, n, *(1,) * (len(shape) + 1 - x.ndim), *x.shape[1:]), (n, *shape))


def linear(n: int, values: Sequence[Value], batched: Sequence[bool]) -> Value:
    if tuple(batched) == (True, False, False):
        return apply("linear", *values)
    x, weight, bias = spread(n, values, batched)
    rows = f.reshape(x, n, math.prod(x.shape[1:-1]), x.shape[-1])
    product = f.add(f.matmul(rows, f.transpose(weight, (0, 2, 1))), f.reshape(bias, n, 1, bias.shape[1]))
    return f.reshape(product, *x.shape[:-1], weight.shape[1])


def conv2d(n: int, values: Sequence[Value], batched: Sequence[bool], *, groups: int, **moves: Shape) -> Value:
    if tuple(batched) == (True, False, False):
        return apply("conv2d", *values, groups=groups, **moves)
    x, weight, bias = spread(n, values, batched)
    kernel, out, depth = tuple(weight.shape[3:]), weight.shape[1] // groups, math.prod(weight.shape[2:])
    patches = apply("windows", x, kernel=kernel, **moves)
    places, lead = patches.shape[-2:], math.prod(x.shape[1:-3])
    columns = f.reshape(patches, n, lead, groups, depth, math.prod(places))
    product = f.matmul(f.reshape(weight, n, 1, groups, out, depth), columns)
    shift = f.reshape(bias, n, *(1,) * (x.ndim - 4), weight.shape[1], 1, 1)
    return f.add(f.reshape(product, *x.shape[:-3], weight.shape[1], *places), shift)


def batch_norm(n: int, values: Sequence[Value], batched: Sequence[bool], *, axis: int, epsilon: str) -> Value:
    if tuple(batched) == (True, False, False, False, False):
        return apply("batch_norm", *values, axis=axis + 1, epsilon=epsilon)
    x, *statistics = spread(n, values, batched)
    ones = (1,) * (x.ndim - axis - 2)
    mean, variance, scale, bias = (f.reshape(v, n, *(1,) * axis, v.shape[1], *ones) for v in statistics)
    gain = f.div(scale, f.sqrt(f.add(variance, float(Fraction(epsilon)))))
    return f.add(f.mul(f.sub(x, mean), gain), bias)


_TRAILING = (
    *("abs", "add", "cast", "clamp", "cos", "detach", "div", "equal", "erf", "exp", "expm1", "greater", "leaky_relu"),
    *("log", "log1p", "maximum", "minimum", "mul", "neg", "pow", "relu", "scale", "sigmoid", "sign", "sin"),
    *("softplus", "sqrt", "sub", "tanh", "where"),
    *("avg_pool2d", "fold", "max_pool2d", "windows"),
    *("cholesky", "fft", "irfft", "matmul", "qr", "random_uniform", "rfft", "solve"),
)
BATCH: Mapping[str, BatchRule] = {
    **{op: trailing(op) for op in _TRAILING},
    **{op: shifted(op, "axis") for op in ("argmax", "argsort", "concat", "cumsum")},
    **{op: shifted(op, "axes") for op in ("max", "sum")},
    **{op: shifted(op, "batch") for op in ("gather", "scatter_add")},
    "batch_norm": batch_norm,
    "broadcast_to": broadcast_to,
    "conv2d": conv2d,
    "linear": linear,
    "pad": prefixed("pad", before=0, after=0),
    "reshape": prefixed("reshape", shape=None),
    "slice": prefixed("slice", starts=0, stops=None, steps=1),
    "transpose": transpose,
}
NO_RULE: Mapping[str, str] = {}
