"""Ops that move values, reduce them, or make constants and shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tlverify.graph import FLOATS
from tlverify.graph.types import fraction_text
from tlverify.interop.onnx.division import cut
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import (
    Constant,
    Given,
    Lowering,
    Value,
    as_integers,
    axis_of,
    common_shape,
    integers,
)
from tlverify.interop.onnx.rules_windows import mean_of_last
from tlverify.interop.onnx.view import View

MAX_CONSTANT = 1 << 24
MAX_PARTS = 1 << 16


def constant(node: View) -> list[Given]:
    """The one attribute that holds the value."""
    found = list(node.attributes)
    if len(found) != 1:
        raise OnnxError(f"expected one attribute with the value, found {found}")
    value = node.attributes[found[0]]
    if found[0] == "value":
        return [Constant("", value)]
    dtype = np.float32 if "float" in found[0] else np.int64
    return [Constant("", np.array(value, dtype))]


def constant_of_shape(node: View) -> list[Given]:
    shape = as_integers(node.value(0), "shape")
    value = node.attributes.get("value", np.zeros(1, np.float32))
    if value.size != 1 or min(shape, default=0) < 0 or math.prod(shape) > MAX_CONSTANT:
        raise OnnxError(f"expected one value and at most {MAX_CONSTANT} entries, found {value.size} and shape {shape}")
    return [Constant("", np.broadcast_to(value.ravel(), shape) if shape else value.reshape(()))]


def shape_of(node: View) -> list[Given]:
    shape = node.value(0).type.shape
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(shape))
    return [integers(shape[slice(start, end)])]


def size_of(node: View) -> list[Given]:
    return [Constant("", np.array(math.prod(node.value(0).type.shape), np.int64))]


def range_(node: View) -> list[Given]:
    ends = [node.constant(position, name) for position, name in enumerate(("start", "limit", "delta"))]
    if any(end.size != 1 or end.dtype != np.int64 for end in ends):
        raise OnnxError("expected three integers")
    start, limit, delta = (int(end.ravel()[0]) for end in ends)
    if delta == 0 or (limit - start) // delta > MAX_CONSTANT:
        raise OnnxError(f"expected a step other than 0 and at most {MAX_CONSTANT} numbers")
    return [Constant("", np.array(range(start, limit, delta), np.int64))]


def flatten(node: View) -> list[Given]:
    x, axis = node.value(0), node.attributes.get("axis", 1)
    shape = x.type.shape
    if not -len(shape) <= axis <= len(shape):
        raise OnnxError(f"axis: expected -{len(shape)} to {len(shape)}, found {axis}")
    axis += len(shape) if axis < 0 else 0
    return [node.build.reshape(x, (math.prod(shape[:axis]), math.prod(shape[axis:])))]


def reshape(node: View) -> list[Given]:
    """-1 stands for what is left, 0 for the size of the input there (unless allowzero)."""
    x = node.value(0)
    wanted, old = as_integers(node.value(1), "shape"), x.type.shape
    if not node.attributes.get("allowzero", 0):
        if any(size == 0 and axis >= len(old) for axis, size in enumerate(wanted)):
            raise OnnxError(f"shape: {wanted} copies a size that {x.type} does not have")
        wanted = [size or old[axis] for axis, size in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = math.prod(size for size in wanted if size != -1)
        if rest == 0 or math.prod(old) % rest:
            raise OnnxError(f"shape: {x.type} does not fit in {wanted}")
        wanted = [math.prod(old) // rest if size == -1 else size for size in wanted]
    return [node.build.reshape(x, wanted)]


def squeeze(node: View) -> list[Given]:
    x, axes = node.value(0), node.integers("axes", 1, since=13)
    shape = x.type.shape
    gone = {axis_of(a, len(shape)) for a in axes} if axes is not None else {i for i, n in enumerate(shape) if n == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise OnnxError(f"axes: expected axes of size 1 of {x.type}, found {sorted(gone)}")
    return [node.build.reshape(x, [n for axis, n in enumerate(shape) if axis not in gone])]


def unsqueeze(node: View) -> list[Given]:
    x, axes = node.value(0), node.integers("axes", 1, since=13)
    if axes is None:
        raise OnnxError("axes: expected a list, found none")
    rank = len(x.type.shape) + len(axes)
    new, old = [axis_of(axis, rank) for axis in axes], list(x.type.shape)
    if len(set(new)) != len(new):
        raise OnnxError(f"axes: {axes} names an axis twice")
    return [node.build.reshape(x, [1 if axis in new else old.pop(0) for axis in range(rank)])]


def transpose(node: View) -> list[Given]:
    x = node.value(0)
    axes = tuple(node.attributes.get("perm", range(len(x.type.shape))[::-1]))
    return [x if axes == tuple(range(len(axes))) else node.build.emit("transpose", x, axes=axes)]


def expand(node: View) -> list[Given]:
    x = node.value(0)
    return [node.build.broadcast(x, common_shape(x.type.shape, tuple(as_integers(node.value(1), "shape"))))]


def concat(node: View) -> list[Given]:
    values = node.values
    if "axis" not in node.attributes:
        raise OnnxError("axis: is missing")
    axis = axis_of(node.attributes["axis"], len(values[0].type.shape))
    return [values[0] if len(values) == 1 else node.build.emit("concat", *values, axis=axis)]


def slice_(node: View) -> list[Given]:
    x = node.value(0)
    starts, stops = node.integers("starts", 1, since=10), node.integers("ends", 2, since=10)
    axes, steps = node.integers("axes", 3, since=10), node.integers("steps", 4, since=10)
    if starts is None or stops is None or len(starts) != len(stops):
        raise OnnxError(f"expected starts and ends of equal length, found {starts} and {stops}")
    axes = list(range(len(starts))) if axes is None else [axis_of(axis, len(x.type.shape)) for axis in axes]
    steps = [1] * len(starts) if steps is None else steps
    if not len(axes) == len(steps) == len(starts) == len(set(axes)) or 0 in steps:
        raise OnnxError(f"expected an axis and a step other than 0 for each start, found {axes} and {steps}")
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        axis = axis_of(axis, len(x.type.shape))
        places = _places(x.type.shape[axis], start, stop, step)
        if step > 0:
            x = cut(node.build, x, axis, places.start, max(places.start, places.stop), step)
        else:
            x = take(node.build, x, axis, places)
    return [x]


def _places(size: int, start: int, stop: int, step: int) -> range:
    """Ends beyond the axis are held to it; not as in Python where a step goes back and begins before the axis."""
    start, stop = (end + size if end < 0 else end for end in (start, stop))
    if step > 0:
        return range(min(max(start, 0), size), min(max(stop, 0), size), step)
    return range(min(max(start, 0), size - 1), min(max(stop, -1), size - 1), step)


def take(build: Lowering, x: Value, axis: int, places: Sequence[int]) -> Value:
    """The entries of x at places along an axis: one slice for each run of places at equal distance."""
    parts: list[Value] = []
    start = 0
    while start < len(places):
        stop, step = start + 1, 1
        if stop < len(places) and places[stop] > places[start]:
            step = places[stop] - places[start]
        while stop < len(places) and places[stop] - places[stop - 1] == step:
            stop += 1
        parts.append(cut(build, x, axis, places[start], places[stop - 1] + 1, step if stop - start > 1 else 1))
        start = stop
        if len(parts) > MAX_PARTS:
            raise OnnxError(f"a selection in more than {MAX_PARTS} parts is over the limit")
    if not parts:
        return cut(build, x, axis, 0, 0)
    return parts[0] if len(parts) == 1 else build.emit("concat", *parts, axis=axis)


def gather(node: View) -> list[Given]:
    """x at constant places along an axis; the shape of the places stands for the axis."""
    x, places = node.value(0), node.constant(1, "indices")
    shape = x.type.shape
    axis = axis_of(node.attributes.get("axis", 0), len(shape))
    if places.dtype != np.int64 or places.size > MAX_CONSTANT:
        raise OnnxError(f"indices: expected at most {MAX_CONSTANT} integers, found {places.dtype}{list(places.shape)}")
    flat: list[int] = places.ravel().tolist()
    if not all(-shape[axis] <= place < shape[axis] for place in flat):
        raise OnnxError(f"indices: expected integers from -{shape[axis]} to {shape[axis] - 1}")
    picked = take(node.build, x, axis, [place % shape[axis] for place in flat])
    return [node.build.reshape(picked, (*shape[:axis], *places.shape, *shape[axis + 1 :]))]


def split(node: View) -> list[Given]:
    x, sizes = node.value(0), node.integers("split", 1, since=13)
    axis = axis_of(node.attributes.get("axis", 0), len(x.type.shape))
    total = x.type.shape[axis]
    if sizes is None:
        count = node.attributes.get("num_outputs", len(node.outputs))
        if count != len(node.outputs) or count < 1:
            raise OnnxError(f"num_outputs: expected {len(node.outputs)}, found {count}")
        size = -(-total // count)
        sizes = [size] * (count - 1) + [total - size * (count - 1)]
        if "num_outputs" not in node.attributes and total % count:
            raise OnnxError(f"cannot split {total} entries into {count} equal parts")
    if min(sizes, default=0) < 0 or sum(sizes) != total:
        raise OnnxError(f"split: expected sizes with sum {total}, found {sizes}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [cut(node.build, x, axis, a, b) for a, b in pairwise(ends)]


def pad(node: View) -> list[Given]:
    """Constant values around; a negative padding cuts away."""
    x = node.value(0)
    shape, mode = x.type.shape, node.attributes.get("mode", "constant")
    if mode != "constant":
        raise OnnxError(f"mode: expected constant, found {mode!r}")
    pads = node.integers("pads", 1, since=11)
    value = node.attributes.get("value", 0.0)
    if node.opset >= 11 and node.has(2):
        value = float(node.constant(2, "constant_value").ravel()[0])
    axes = as_integers(node.value(3), "axes") if node.has(3) else list(range(len(shape)))
    if pads is None or len(pads) != 2 * len(axes):
        raise OnnxError(f"pads: expected {2 * len(axes)} integers, found {pads}")
    before, after = [0] * len(shape), [0] * len(shape)
    for axis, low, high in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        before[axis_of(axis, len(shape))], after[axis_of(axis, len(shape))] = low, high
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        x = cut(node.build, x, axis, max(-low, 0), shape[axis] - max(-high, 0))
    before, after = [max(low, 0) for low in before], [max(high, 0) for high in after]
    if not any(before) and not any(after):
        return [x]
    text = fraction_text(value, x.type.dtype, "value") if x.type.dtype in FLOATS else str(value)
    return [node.build.emit("pad", x, before=tuple(before), after=tuple(after), value=text)]


def reduce_sum(node: View) -> list[Given]:
    return [_reduce(node, "sum", since=13)]


def reduce_max(node: View) -> list[Given]:
    return [_reduce(node, "max", since=18)]


def reduce_min(node: View) -> list[Given]:
    """-max(-x)"""
    negative = node.build.emit("neg", node.value(0))
    return [node.build.emit("neg", _reduce(node, "max", since=18, x=negative))]


def reduce_mean(node: View) -> list[Given]:
    """The reduced axes are moved last, where the mean is that of one window."""
    x = node.value(0)
    axes = _axes(node, len(x.type.shape), since=18)
    if not axes:
        return [x]
    kept = [axis for axis in range(len(x.type.shape)) if axis not in axes]
    order = (*kept, *axes)
    shape = x.type.shape
    moved = x if order == tuple(range(len(order))) else node.build.emit("transpose", x, axes=order)
    keep = node.attributes.get("keepdims", 1)
    result = tuple(1 if axis in axes else n for axis, n in enumerate(shape) if keep or axis not in axes)
    return [mean_of_last(node.build, moved, len(axes), result)]


def _reduce(node: View, op: str, since: int, x: Value | None = None) -> Value:
    x = node.value(0) if x is None else x
    axes = _axes(node, len(x.type.shape), since)
    keep = int(bool(node.attributes.get("keepdims", 1)))
    return node.build.emit(op, x, axes=axes, keepdims=keep) if axes else x


def _axes(node: View, rank: int, since: int) -> tuple[int, ...]:
    """Increasing axes; all of them if none are given, unless that means nothing to do."""
    axes = node.integers("axes", 1, since)
    if not axes:
        nothing = node.attributes.get("noop_with_empty_axes", 0)
        return () if nothing else tuple(range(rank))
    found = {axis_of(axis, rank) for axis in axes}
    if len(found) != len(axes):
        raise OnnxError(f"axes: {axes} names an axis twice")
    return tuple(sorted(found))
