"""Convolution and pooling over one and three axes, transposed convolution, global and adaptive pools, resizing.

They are written with the ops over two axes, so whatever is known about those holds for them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from tlverify.core.backend import namespace
from tlverify.core.ops import functions as f
from tlverify.core.ops import indexing, selection, spatial
from tlverify.core.ops.apply import Value, apply, as_value, same_dtype
from tlverify.graph import Shape, ShapeError

Size = int | Sequence[int]


def conv1d(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: int = 1,
    padding: Size = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Value:
    """x (..., C, L), weight (O, C / groups, k), bias (O,) -> (..., O, L'); padding is one number or (before, after)."""
    x, weight = as_value(x), as_value(weight)
    _require_rank("conv1d", "weight (out, channels / groups, size)", weight, 3)
    before, after = _sizes(padding, 2)
    row, kernel = _as_rows(x), f.reshape(weight, *weight.shape[:2], 1, weight.shape[2])
    y = spatial.conv2d(row, kernel, bias, (1, stride), (0, before, 0, after), (1, dilation), groups)
    return f.reshape(y, *y.shape[:-2], y.shape[-1])


def conv3d(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Value:
    """x (..., C, D, H, W), weight (O, C / groups, kd, kh, kw), bias (O,) -> (..., O, D', H', W').

    A sum over the depth of the kernel of convolutions over two axes. Padding is one number or three, on both sides.
    """
    x, weight = same_dtype("conv3d", x, weight)
    _require_rank("conv3d", "weight (out, channels / groups, depth, height, width)", weight, 5)
    (deep, *flat), (pad_deep, *pad_flat), (apart, *spread) = (_sizes(v, 3) for v in (stride, padding, dilation))
    if any((*pad_flat, pad_deep)):
        x = indexing.pad(x, (0, 0, 0, 0, pad_deep, pad_deep))
    depth, span = weight.shape[2], (weight.shape[2] - 1) * apart + 1
    if x.ndim < 4 or x.shape[-3] < span:
        raise ShapeError(f"conv3d: expected (..., channels, depth >= {span}, height, width), found {list(x.shape)}")
    rank = x.ndim
    slices = f.transpose(x, [*range(rank - 4), rank - 3, rank - 4, rank - 2, rank - 1])
    count = (x.shape[-3] - span) // deep + 1
    terms = []
    for i in range(depth):
        start = i * apart
        part = f.slice(slices, ..., slice(start, start + (count - 1) * deep + 1, deep), *(slice(None),) * 3)
        kernel = f.slice(weight, slice(None), slice(None), i)
        terms.append(spatial.conv2d(part, kernel, bias if i == 0 else None, flat, pad_flat, spread, groups))
    y = functools.reduce(f.add, terms)
    return f.transpose(y, [*range(rank - 4), rank - 3, rank - 4, rank - 2, rank - 1])


def conv_transpose2d(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Value:
    """The adjoint of conv2d, as in PyTorch: x (..., C, H, W), weight (C, O / groups, kh, kw) -> (..., O, H', W').

    H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, and W' likewise.
    """
    x, weight = same_dtype("conv_transpose2d", x, weight)
    _require_rank("conv_transpose2d", "weight (channels, out / groups, height, width)", weight, 4)
    steps, sides, more, spread = (_sizes(v, 2) for v in (stride, padding, output_padding, dilation))
    channels, per_group, *kernel = weight.shape
    if x.ndim < 3 or x.shape[-3] != channels or channels % groups:
        found = f"{list(x.shape)} in {groups} groups"
        raise ShapeError(f"conv_transpose2d: expected (..., {channels} channels, height, width), found {found}")
    if any(extra >= step for extra, step in zip(more, steps, strict=True)):
        raise ShapeError(f"conv_transpose2d: output_padding {list(more)}: expected less than the stride {list(steps)}")
    places = x.shape[-2:]
    size = tuple(
        (n - 1) * step - 2 * side + gap * (k - 1) + extra + 1
        for n, step, side, gap, k, extra in zip(places, steps, sides, spread, kernel, more, strict=True)
    )
    rows = f.reshape(x, *x.shape[:-3], groups, channels // groups, math.prod(places))
    depth = per_group * math.prod(kernel)
    by_output = f.transpose(f.reshape(weight, groups, channels // groups, depth), (0, 2, 1))
    patches = f.reshape(f.matmul(by_output, rows), *x.shape[:-3], groups * per_group, *kernel, *places)
    # The places beyond the last window, which output_padding adds, are padding below and to the right that is cut.
    y = apply("fold", patches, kernel=tuple(kernel), stride=steps, padding=(*sides, *sides), dilation=spread, size=size)
    return y if bias is None else f.add(y, f.reshape(bias, -1, 1, 1))


def conv_transpose1d(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    groups: int = 1,
    dilation: int = 1,
) -> Value:
    """The adjoint of conv1d: x (..., C, L), weight (C, O / groups, k) -> (..., O, L')."""
    x, weight = as_value(x), as_value(weight)
    _require_rank("conv_transpose1d", "weight (channels, out / groups, size)", weight, 3)
    kernel = f.reshape(weight, *weight.shape[:2], 1, weight.shape[2])
    sizes = (1, stride), (0, padding), (0, output_padding), groups, (1, dilation)
    y = conv_transpose2d(_as_rows(x), kernel, bias, *sizes)
    return f.reshape(y, *y.shape[:-2], y.shape[-1])


def max_pool1d(x: Value, kernel_size: int, stride: int | None = None, padding: int = 0, dilation: int = 1) -> Value:
    """Maximum over windows (..., L) -> (..., L')."""
    step = kernel_size if stride is None else stride
    y = spatial.max_pool2d(_as_rows(as_value(x)), (1, kernel_size), (1, step), (0, padding), (1, dilation))
    return f.reshape(y, *y.shape[:-2], y.shape[-1])


def avg_pool1d(
    x: Value, kernel_size: int, stride: int | None = None, padding: int = 0, count_include_pad: bool = True
) -> Value:
    """Mean over windows (..., L) -> (..., L')."""
    step = kernel_size if stride is None else stride
    y = spatial.avg_pool2d(_as_rows(as_value(x)), (1, kernel_size), (1, step), (0, padding), count_include_pad)
    return f.reshape(y, *y.shape[:-2], y.shape[-1])


def max_pool3d(x: Value, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> Value:
    """Maximum over windows (..., D, H, W): over the last two axes, then over the depth."""
    kernel, steps, sides = _sizes(kernel_size, 3), _sizes(kernel_size if stride is None else stride, 3), padding
    pads = _sizes(sides, 3)
    y = spatial.max_pool2d(as_value(x), kernel[1:], steps[1:], pads[1:])
    deep = spatial.max_pool2d(_deep(y), (kernel[0], 1), (steps[0], 1), (pads[0], 0))
    return f.reshape(deep, *deep.shape[:-1], *y.shape[-2:])


def avg_pool3d(
    x: Value, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Value:
    """Mean over windows (..., D, H, W): over the last two axes, then over the depth."""
    kernel, steps = _sizes(kernel_size, 3), _sizes(kernel_size if stride is None else stride, 3)
    pads = _sizes(padding, 3)
    y = spatial.avg_pool2d(as_value(x), kernel[1:], steps[1:], pads[1:], count_include_pad)
    deep = spatial.avg_pool2d(_deep(y), (kernel[0], 1), (steps[0], 1), (pads[0], 0), count_include_pad)
    return f.reshape(deep, *deep.shape[:-1], *y.shape[-2:])


def global_avg_pool(x: Value, axes: int = 2) -> Value:
    """Mean over the last `axes` axes."""
    x = as_value(x)
    over, count = range(-axes, 0), math.prod(x.shape[-axes:])
    # The kernel has a rule for a constant factor, and none for the division that `mean` is made of.
    return f.scale(f.sum(x, over), 1.0 / count) if count else f.mean(x, over)


def global_max_pool(x: Value, axes: int = 2) -> Value:
    """Maximum over the last `axes` axes."""
    return f.max(x, range(-axes, 0))


def adaptive_avg_pool2d(x: Value, output_size: Size) -> Value:
    """Means over windows that divide (..., H, W) as evenly as they can into `output_size`, as in PyTorch."""
    x = as_value(x)
    for axis, count in zip((-2, -1), _sizes(output_size, 2), strict=True):
        n = x.shape[axis]
        matrix = np.zeros((count, n))
        for i in range(count):
            start, stop = i * n // count, -(-(i + 1) * n // count)
            matrix[i, start:stop] = 1 / (stop - start)
        x = _along(x, axis, matrix)
    return x


def resize(x: Value, size: Sequence[int], mode: str = "nearest", align_corners: bool = False) -> Value:
    """The last len(size) axes of x stretched or shrunk to `size`, as PyTorch's `interpolate`.

    `nearest` takes elements; `linear` (bilinear on two axes, trilinear on three) interpolates along each axis.
    """
    x = as_value(x)
    if mode not in ("nearest", "linear"):
        raise ShapeError(f"resize: mode: expected nearest or linear, found {mode!r}")
    if not 1 <= len(size) <= x.ndim or min(size) < 1:
        raise ShapeError(f"resize: expected up to {x.ndim} sizes of 1 or more, found {list(size)}")
    for axis, count in zip(range(-len(size), 0), size, strict=True):
        n = x.shape[axis]
        if n == count:
            continue
        if mode == "nearest":
            index = namespace(x).asarray(np.arange(count) * n // count)
            x = selection.take(x, index, axis)
        else:
            x = _along(x, axis, _interpolation(n, count, align_corners))
    return x


def _interpolation(n: int, count: int, align_corners: bool) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Row i holds the weights of the n elements for point i of `count`: two neighbours, 1 at the border."""
    if align_corners:
        place = np.arange(count) * ((n - 1) / (count - 1) if count > 1 else 0.0)
    else:
        place = np.maximum((np.arange(count) + 0.5) * n / count - 0.5, 0.0)
    left = np.minimum(place.astype(np.int64), n - 1)
    share = place - left
    matrix = np.zeros((count, n))
    np.add.at(matrix, (np.arange(count), left), 1 - share)
    np.add.at(matrix, (np.arange(count), np.minimum(left + 1, n - 1)), share)
    return matrix


def _along(x: Value, axis: int, matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Value:
    """`matrix` (m, n) applied to the axis of size n, -1 or before."""
    order = list(range(x.ndim))
    order[axis], order[-1] = order[-1], order[axis]
    weight = namespace(x).asarray(matrix, dtype=str(x.dtype))
    return f.transpose(f.linear(f.transpose(x, order), weight), order)


def _as_rows(x: Value) -> Value:
    """(..., L) as images (..., 1, L) of one row."""
    return f.reshape(x, *x.shape[:-1], 1, x.shape[-1])


def _deep(x: Value) -> Value:
    """(..., D, H, W) -> (..., D, H * W)."""
    return f.reshape(x, *x.shape[:-2], x.shape[-2] * x.shape[-1])


def _sizes(size: Size, count: int) -> Shape:
    result = tuple(int(n) for n in size) if isinstance(size, Sequence) else (int(size),) * count
    if len(result) != count:
        raise ShapeError(f"expected one size or {count}, found {list(result)}")
    return result


def _require_rank(op: str, what: str, value: Value, rank: int) -> None:
    if value.ndim != rank:
        raise ShapeError(f"{op}: expected {what}, found {list(value.shape)}")
