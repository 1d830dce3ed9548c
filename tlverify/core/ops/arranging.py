"""Public functions that join, part and rearrange values."""

from __future__ import annotations

from collections.abc import Sequence

from tlverify.core.ops import functions as f
from tlverify.core.ops import indexing
from tlverify.core.ops.apply import Value, as_value
from tlverify.graph import ShapeError


def stack(values: Sequence[Value], axis: int = 0) -> Value:
    """Values of one shape as the elements of a new axis."""
    parts = [as_value(value) for value in values]
    if not parts:
        raise ShapeError("stack: expected one or more values, found none")
    place = f.normalize_axes("stack", axis, parts[0].ndim + 1)[0]
    for part in parts:
        if part.shape != parts[0].shape:
            raise ShapeError(f"stack: expected equal shapes, found {list(parts[0].shape)} and {list(part.shape)}")
    return indexing.concat([expand_dims(part, place) for part in parts], place)


def split(x: Value, sizes: int | Sequence[int], axis: int = 0) -> tuple[Value, ...]:
    """Parts of x along `axis` of the given sizes, or of one size with a smaller last part, as in PyTorch."""
    x = as_value(x)
    place = f.normalize_axes("split", axis, x.ndim)[0]
    total = x.shape[place]
    if isinstance(sizes, int):
        if sizes < 1:
            raise ShapeError(f"split: expected a size of 1 or more, found {sizes}")
        sizes = [min(sizes, total - start) for start in range(0, total, sizes)]
    if sum(sizes) != total or min(sizes, default=0) < 0:
        raise ShapeError(f"split: expected sizes with the sum {total} of axis {axis}, found {list(sizes)}")
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    lead = (slice(None),) * place
    return tuple(f.slice(x, *lead, slice(a, a + n)) for a, n in zip(starts, sizes, strict=True))


def chunk(x: Value, count: int, axis: int = 0) -> tuple[Value, ...]:
    """Up to `count` parts of x along `axis`, equal but for the last, as in PyTorch."""
    x = as_value(x)
    place = f.normalize_axes("chunk", axis, x.ndim)[0]
    if count < 1:
        raise ShapeError(f"chunk: expected a count of 1 or more, found {count}")
    return split(x, max(-(-x.shape[place] // count), 1), place)


def expand_dims(x: Value, axis: int) -> Value:
    """x with a new axis of size 1 at `axis`."""
    x = as_value(x)
    place = f.normalize_axes("expand_dims", axis, x.ndim + 1)[0]
    return f.reshape(x, *x.shape[:place], 1, *x.shape[place:])


def squeeze(x: Value, axes: f.Axes = None) -> Value:
    """x without its axes of size 1, or without those in `axes`."""
    x = as_value(x)
    gone = [i for i, n in enumerate(x.shape) if n == 1] if axes is None else f.normalize_axes("squeeze", axes, x.ndim)
    wide = [axis for axis in gone if x.shape[axis] != 1]
    if wide:
        raise ShapeError(f"squeeze: expected axes of size 1, found size {x.shape[wide[0]]} on axis {wide[0]}")
    return f.reshape(x, [n for i, n in enumerate(x.shape) if i not in gone])


def swapaxes(x: Value, a: int, b: int) -> Value:
    """x with two axes exchanged."""
    x = as_value(x)
    first, second = (f.normalize_axes("swapaxes", axis, x.ndim)[0] for axis in (a, b))
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return f.transpose(x, order)


def moveaxis(x: Value, source: int, destination: int) -> Value:
    """x with one axis put elsewhere."""
    x = as_value(x)
    first, second = (f.normalize_axes("moveaxis", axis, x.ndim)[0] for axis in (source, destination))
    order = [i for i in range(x.ndim) if i != first]
    order.insert(second, first)
    return f.transpose(x, order)


def flatten(x: Value, start_dim: int = 0) -> Value:
    """The axes from `start_dim` on joined into one."""
    x = as_value(x)
    place = f.normalize_axes("flatten", start_dim, x.ndim)[0] if x.ndim else 0
    return f.reshape(x, *x.shape[:place], -1) if all(x.shape) else f.reshape(x, *x.shape[:place], 0)


def tile(x: Value, repeats: int, axis: int) -> Value:
    """x repeated `repeats` times one after another along `axis`."""
    return indexing.concat([x] * repeats, axis)


def repeat(x: Value, repeats: int, axis: int) -> Value:
    """Each element of `axis` repeated `repeats` times."""
    x = as_value(x)
    place = f.normalize_axes("repeat", axis, x.ndim)[0]
    before, after = x.shape[: place + 1], x.shape[place + 1 :]
    wide = f.broadcast_to(f.reshape(x, *before, 1, *after), (*before, repeats, *after))
    return f.reshape(wide, *before[:-1], before[-1] * repeats, *after)


def flip(x: Value, axis: int) -> Value:
    """x in reverse order along `axis`."""
    from tlverify.core.ops.selection import arange, take

    x = as_value(x)
    return take(x, arange(x.shape[axis], x)[::-1].copy(), axis)


def roll(x: Value, shift: int, axis: int) -> Value:
    """x with the elements of `axis` moved on by `shift`, the last ones put first."""
    x = as_value(x)
    place = f.normalize_axes("roll", axis, x.ndim)[0]
    n, lead = x.shape[place], (slice(None),) * place
    cut = (-shift) % n if n else 0
    if cut == 0:
        return x
    return indexing.concat([f.slice(x, *lead, slice(cut, None)), f.slice(x, *lead, slice(0, cut))], place)
