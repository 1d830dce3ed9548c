"""Values of the ops that move a window over the last two axes.

Loops run over the few elements of the kernel; each step takes all places of the window at once, as a strided view.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tlverify.core.backend import namespace
from tlverify.graph import Shape


def windows(x: Any, *, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Any:
    """(..., height, width) -> (..., kernel rows, kernel columns, rows, columns), from x padded with 0."""
    span = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    xp = namespace(x)
    view = xp.lib.stride_tricks.sliding_window_view(padded(x, padding, 0.0), span, axis=(-2, -1))
    view = view[..., :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    axes = range(view.ndim)
    # Elementwise ops keep the memory order of what they read, so a view with its order would slow them all down.
    return xp.ascontiguousarray(view.transpose(*axes[:-4], *axes[-2:], *axes[-4:-2]))


def fold(x: Any, *, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, size: Shape) -> Any:
    """The adjoint of `windows`: every element of a window added at the place in `size` that it was read from."""
    (top, left, bottom, right), (height, width) = padding, size
    total = namespace(x).zeros((*x.shape[:-4], top + height + bottom, left + width + right), x.dtype)
    for i, j, place in _places(kernel, stride, dilation, x.shape[-2:]):
        total[place] += x[..., i, j, :, :]
    return total[..., top : top + height, left : left + width]


def conv2d(x: Any, weight: Any, bias: Any, *, stride: Shape, padding: Shape, dilation: Shape, groups: int) -> Any:
    """Cross-correlation as one matrix product of the weights with the columns of windows (im2col)."""
    out, kernel = len(weight), weight.shape[2:]
    patches = windows(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    batch, places = x.shape[:-3], patches.shape[-2:]
    depth = math.prod(weight.shape[1:])
    columns = patches.reshape(math.prod(batch), groups, depth, math.prod(places))
    result = weight.reshape(groups, out // groups, depth) @ columns
    result = result.reshape(*batch, out, *places)
    result += bias[:, None, None]
    return result


def max_pool2d(x: Any, *, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Any:
    out = _count(x, kernel, stride, padding, dilation)
    x = padded(x, padding, -math.inf)
    return functools.reduce(np.maximum, (x[place] for _, _, place in _places(kernel, stride, dilation, out)))


def avg_pool2d(x: Any, *, kernel: Shape, stride: Shape, padding: Shape, count_include_pad: int) -> Any:
    out = _count(x, kernel, stride, padding, (1, 1))
    counts = window_counts(x, kernel, stride, padding, count_include_pad)
    x = padded(x, padding, 0.0)
    return functools.reduce(np.add, (x[place] for _, _, place in _places(kernel, stride, (1, 1), out))) / counts


def window_counts(x: Any, kernel: Shape, stride: Shape, padding: Shape, count_include_pad: int) -> Any:
    """How many elements each mean of avg_pool2d is over: a number, or an array (rows, columns)."""
    if count_include_pad or not any(padding):
        return float(math.prod(kernel))
    rows, columns = (
        np.minimum(start + kernel[axis], x.shape[axis - 2]) - np.maximum(start, 0)
        for axis, n in enumerate(_count(x, kernel, stride, padding, (1, 1)))
        for start in [np.arange(n) * stride[axis] - padding[axis]]
    )
    return namespace(x).asarray(np.outer(rows, columns), dtype=str(x.dtype))


def padded(x: Any, padding: Shape, value: float) -> Any:
    """x with `value` around its last two axes; x itself if the padding is 0."""
    if not any(padding):
        return x
    (top, left, bottom, right), (height, width) = padding, x.shape[-2:]
    result = namespace(x).full((*x.shape[:-2], top + height + bottom, left + width + right), value, x.dtype)
    result[..., top : top + height, left : left + width] = x
    return result


def _count(x: Any, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    return tuple(
        (x.shape[axis - 2] + padding[axis] + padding[axis + 2] - (kernel[axis] - 1) * dilation[axis] - 1)
        // stride[axis]
        + 1
        for axis in (0, 1)
    )


def _places(kernel: Shape, stride: Shape, dilation: Shape, out: Shape) -> Iterator[tuple[int, int, Any]]:
    """For each element (i, j) of the kernel, the index of what it meets at all places of the window."""
    for i, j in np.ndindex(*kernel):
        top, left = i * dilation[0], j * dilation[1]
        rows = slice(top, top + (out[0] - 1) * stride[0] + 1, stride[0])
        yield i, j, (..., rows, slice(left, left + (out[1] - 1) * stride[1] + 1, stride[1]))
