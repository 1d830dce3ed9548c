"""Public functions that choose, order and accumulate elements."""

from __future__ import annotations

import math

import numpy as np

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, apply, as_value, beside, broadcast
from tlverify.graph import ShapeError


def take(x: Value, indices: Value, axis: int = 0) -> Value:
    """x[..., indices, ...]: the elements of one axis at int64 `indices`, whose axes take its place.

    An index outside 0..n-1 is an error when it is computed.
    """
    x, indices = as_value(x), as_value(indices)
    axis = _axis("take", axis, x.ndim)
    front = f.transpose(x, (axis, *(i for i in range(x.ndim) if i != axis)))
    result = apply("gather", front, indices, batch=0)
    added = indices.ndim
    order = (*range(added, added + axis), *range(added), *range(added + axis, result.ndim))
    return f.transpose(result, order)


def embedding(indices: Value, weight: Value) -> Value:
    """Rows of weight (n, features) at int64 indices (...) -> (..., features)."""
    return take(weight, indices)


def take_along_axis(x: Value, indices: Value, axis: int = -1) -> Value:
    """Elements of x along `axis` at indices of its own rank, as in NumPy; other axes are equal."""
    x, indices = as_value(x), as_value(indices)
    axis = _axis("take_along_axis", axis, x.ndim)
    rest = [n for i, n in enumerate(x.shape) if i != axis]
    if indices.ndim != x.ndim or [n for i, n in enumerate(indices.shape) if i != axis] != rest:
        found = f"{list(indices.shape)} for {list(x.shape)}"
        raise ShapeError(f"take_along_axis: expected indices equal to x in all axes but {axis}, found {found}")
    order = _last(x.ndim, axis)
    moved = apply("gather", f.transpose(x, order), f.transpose(indices, order), batch=x.ndim - 1)
    return f.transpose(moved, np.argsort(order).tolist())


def scatter_add(updates: Value, indices: Value, size: int) -> Value:
    """Zeros (size, *F) to which updates (*I, *F) are added at int64 indices (*I); the adjoint of `take`."""
    return apply("scatter_add", as_value(updates), as_value(indices), batch=0, size=int(size))


def put_along_axis(x: Value, indices: Value, values: Value, axis: int = -1) -> Value:
    """x with `values` in place of the elements along `axis` at `indices` (equal ones: their sum)."""
    x, indices, values = as_value(x), as_value(indices), as_value(values)
    axis = _axis("put_along_axis", axis, x.ndim)
    order = _last(x.ndim, axis)
    places, batch, size = f.transpose(indices, order), x.ndim - 1, x.shape[axis]

    def spread(part: Value) -> Value:
        return apply("scatter_add", broadcast(part, places.shape), places, batch=batch, size=size)

    hits = spread(f.ones_like(f.cast(places, str(x.dtype))))
    put = spread(f.transpose(broadcast(values, indices.shape), order))
    result = f.where(f.greater(hits, 0), put, f.transpose(x, order))
    return f.transpose(result, np.argsort(order).tolist())


def argmax(x: Value, axis: int = -1) -> Value:
    """Index of the first maximum along `axis`, int64."""
    x = as_value(x)
    return apply("argmax", x, axis=_axis("argmax", axis, x.ndim))


def argmin(x: Value, axis: int = -1) -> Value:
    """Index of the first minimum along `axis`, int64."""
    return argmax(f.neg(x), axis)


def argsort(x: Value, axis: int = -1, descending: bool = False) -> Value:
    """Indices that sort x along `axis`, int64; equal elements keep their order."""
    x = as_value(x)
    return apply("argsort", x, axis=_axis("argsort", axis, x.ndim), descending=int(descending))


def sort(x: Value, axis: int = -1, descending: bool = False) -> Value:
    """x in order along `axis`."""
    return take_along_axis(x, argsort(x, axis, descending), axis)


def topk(x: Value, k: int, axis: int = -1) -> tuple[Value, Value]:
    """The k largest elements along `axis` in falling order, and their int64 indices."""
    x = as_value(x)
    axis = _axis("topk", axis, x.ndim)
    if not 0 <= k <= x.shape[axis]:
        raise ShapeError(f"topk: expected k from 0 to {x.shape[axis]}, found {k}")
    part = (*(slice(None),) * axis, slice(0, k))
    indices = f.slice(argsort(x, axis, descending=True), *part)
    return take_along_axis(x, indices, axis), indices


def cumsum(x: Value, axis: int = -1, reverse: bool = False) -> Value:
    """Sums of the elements up to each along `axis`, or from each on with `reverse`."""
    x = as_value(x)
    return apply("cumsum", x, axis=_axis("cumsum", axis, x.ndim), reverse=int(reverse))


def arange(stop: int, like: Value | None = None, dtype: str = "int64") -> Value:
    """0, 1, ..., stop - 1, on the device of the array `like`."""
    return beside(np.arange(stop, dtype=dtype), like)


def tril(x: Value, diagonal: int = 0) -> Value:
    """The lower triangle of (..., m, n) up to `diagonal` above the main one, 0 elsewhere."""
    x = as_value(x)
    return f.where(beside(np.tril(np.ones(x.shape[-2:], bool), diagonal), x), x, 0)


def triu(x: Value, diagonal: int = 0) -> Value:
    """The upper triangle of (..., m, n) from `diagonal` above the main one, 0 elsewhere."""
    x = as_value(x)
    return f.where(beside(np.triu(np.ones(x.shape[-2:], bool), diagonal), x), x, 0)


def diagonal(x: Value) -> Value:
    """The main diagonal of (..., n, n): (..., n)."""
    x = as_value(x)
    n = x.shape[-1]
    if x.ndim < 2 or x.shape[-2] != n:
        raise ShapeError(f"diagonal: expected (..., n, n), found {list(x.shape)}")
    flat = f.reshape(x, *x.shape[:-2], n * n)
    return f.slice(flat, ..., slice(0, None, n + 1)) if n else f.reshape(flat, *x.shape[:-1])


def var(x: Value, axes: f.Axes = None, keepdims: bool = False, correction: int = 0) -> Value:
    """Mean squared distance from the mean, over n - correction."""
    x = as_value(x)
    count = math.prod(x.shape[axis] for axis in f.normalize_axes("var", axes, x.ndim))
    if count <= correction:
        raise ShapeError(f"var: expected more than {correction} elements along {axes}, found {list(x.shape)}")
    distance = f.sub(x, f.mean(x, axes, keepdims=True))
    return f.div(f.sum(f.square(distance), axes, keepdims), float(count - correction))


def norm(x: Value, axes: f.Axes = None, keepdims: bool = False, order: float = 2.0) -> Value:
    """The vector norm of order 1, 2, infinity or any p > 0 over `axes`. At 0 the 2-norm has derivative NaN."""
    x = as_value(x)
    if order == 1:
        return f.sum(f.abs(x), axes, keepdims)
    if order == 2:
        return f.sqrt(f.sum(f.square(x), axes, keepdims))
    if order == math.inf:
        return f.max(f.abs(x), axes, keepdims)
    if not order > 0:
        raise ShapeError(f"norm: expected an order above 0, found {order}")
    return f.pow(f.sum(f.pow(f.abs(x), float(order)), axes, keepdims), 1.0 / order)


def _axis(op: str, axis: int, ndim: int) -> int:
    return f.normalize_axes(op, axis, ndim)[0]


def _last(ndim: int, axis: int) -> list[int]:
    return [*(i for i in range(ndim) if i != axis), axis]
