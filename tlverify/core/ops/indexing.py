"""Public functions that take values apart and put them together."""
# ruff: noqa: A001

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from types import EllipsisType

import numpy as np

from tlverify.core.ops.apply import Value, apply, as_value, same_dtype
from tlverify.graph import Shape, ShapeError
from tlverify.graph.ops import fraction_text

Index = int | builtins.slice | EllipsisType | None


def concat(values: Sequence[Value], axis: int = 0) -> Value:
    """The values one after another along `axis`; their other axes agree."""
    if not values:
        raise ShapeError("concat: expected one or more values, found none")
    parts = same_dtype("concat", *map(as_value, values))
    rank = parts[0].ndim
    return apply("concat", *parts, axis=int(axis + rank if axis < 0 else axis))


def slice(x: Value, *index: Index) -> Value:
    """x[index] for integers, slices with a step of at least 1, None, and one ellipsis, by NumPy's rules."""
    x = as_value(x)
    starts, stops, steps, shape = [], [], [], []
    sizes = iter(x.shape)
    for item in _expanded(index, x):
        if item is None:
            shape.append(1)
            continue
        size = next(sizes)
        if isinstance(item, builtins.slice):
            start, stop, step = item.indices(size)
            if step < 1:
                raise ShapeError(f"slice: expected steps >= 1, found {item} for {list(x.shape)}")
            stop = max(start, stop)
            shape.append(len(range(start, stop, step)))
        else:
            start = item + size if item < 0 else item
            if not 0 <= start < size:
                raise ShapeError(f"slice: index {item} is outside an axis of size {size} of {list(x.shape)}")
            stop, step = start + 1, 1
        starts.append(start)
        stops.append(stop)
        steps.append(step)
    part = slice_axes(x, tuple(starts), tuple(stops), tuple(steps))
    return part if part.shape == tuple(shape) else apply("reshape", part, shape=tuple(shape))


def pad(x: Value, padding: Sequence[int], value: float = 0.0) -> Value:
    """x with `value` around it: `padding` is (before, after) of the last axis, then of the one before, and so on."""
    x = as_value(x)
    widths = [operator.index(width) for width in padding]
    if len(widths) % 2 or len(widths) > 2 * x.ndim:
        raise ShapeError(f"pad: expected (before, after) for up to {x.ndim} axes, found {widths}")
    rest = (0,) * (x.ndim - len(widths) // 2)
    return pad_axes(x, (*rest, *widths[-2::-2]), (*rest, *widths[:0:-2]), value)


def slice_axes(x: Value, starts: Shape, stops: Shape, steps: Shape | None = None) -> Value:
    """Elements starts, starts + steps, ... below stops of each axis; no node if these are all."""
    steps = steps or (1,) * len(starts)
    whole = not any(starts) and stops == x.shape and all(step == 1 for step in steps)
    return x if whole else apply("slice", x, starts=starts, stops=stops, steps=steps)


def pad_axes(x: Value, before: Shape, after: Shape, value: float = 0.0) -> Value:
    """`value` put before and after the elements of each axis; no node if there is none to put."""
    if not any((*before, *after)):
        return x
    return apply("pad", x, before=before, after=after, value=fraction_text(value, str(x.dtype), "pad: value"))


def _expanded(index: tuple[Index, ...], x: Value) -> list[int | builtins.slice | None]:
    """One integer or slice for each axis of x, and None for each new axis."""
    given: list[int | builtins.slice | None] = []
    places = [i for i, item in enumerate(index) if item is ...]
    missing = x.ndim - sum(item is not None and item is not ... for item in index)
    if len(places) > 1 or missing < 0:
        raise ShapeError(f"slice: expected up to {x.ndim} indices and one ellipsis, found {list(index)}")
    for item in index if places else (*index, ...):
        if item is ...:
            given += [builtins.slice(None)] * missing
        elif item is None or isinstance(item, builtins.slice):
            given.append(item)
        elif isinstance(item, bool) or not hasattr(item, "__index__") or np.ndim(item):
            remedy = "ops.take(x, indices, axis) takes an array of indices, ops.where a mask"
            raise ShapeError(f"slice: expected integers, slices, None and one ellipsis, found {item!r}; {remedy}")
        else:
            given.append(operator.index(item))
    return given
