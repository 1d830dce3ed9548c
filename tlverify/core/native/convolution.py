"""Convolutions as loops over sums of products, without the matrix of windows.

The input is laid out in planes: plane (a, b) of a channel has the elements whose row is a modulo the stride, and whose
column is b. In these a tap of the kernel moves along with stride 1, at an offset of its own, so a whole image is one
axis of vectors: position y * width + x. Positions beyond the end of a row are computed as well, and never read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tlverify.core.native.schedule import Loop, Strides, View, Work, contiguous, part
from tlverify.graph import Shape


@dataclass(frozen=True)
class Window:
    """How the kernel moves: taps, places (rows, columns) of the result, and the attributes of conv2d."""

    kernel: Shape
    places: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    def tap(self, i: int, j: int) -> tuple[int, int, int, int]:
        """Plane (a, b) and place (m, n) in it of a tap."""
        a, b = (k * d % s for k, d, s in zip((i, j), self.dilation, self.stride, strict=True))
        m, n = (k * d // s for k, d, s in zip((i, j), self.dilation, self.stride, strict=True))
        return a, b, m, n

    @property
    def taps(self) -> list[tuple[int, int]]:
        return list(np.ndindex(*self.kernel))

    @property
    def plane(self) -> Shape:
        """Rows and columns of a plane."""
        height, width = (
            n + (k - 1) * d // s
            for n, k, d, s in zip(self.places, self.kernel, self.dilation, self.stride, strict=True)
        )
        return height, width


class Maker:
    """What the planner offers: new memory, loops, and reading views."""

    new: Callable[..., View]
    push: Callable[..., int]
    read: Callable[[View], View]
    fill: Callable[[float, View], None]
    copy: Callable[..., View]
    dtype: Callable[[View], str]
    laid: dict[tuple[View, Window], View]


def planes(maker: Maker, x: View, window: Window) -> View:
    """(n, channels, planes, positions) of x (n, channels, height, width): those of a convolution serve its derivative
    as well."""
    if (x, window) not in maker.laid:
        maker.laid[x, window] = _planes(maker, x, window)
    return maker.laid[x, window]


def _planes(maker: Maker, x: View, window: Window) -> View:
    n, channels, height, width = x.shape
    (sy, sx), (top, left, *_), (rows, columns) = window.stride, window.padding, window.plane
    if window.stride == (1, 1) and not any(window.padding) and x.strides[2:] == (width, 1) and width == columns:
        return View(x.buffer, x.offset, (n, channels, 1, rows * width), (*x.strides[:2], 0, 1))
    made = maker.new((n, channels, sy, sx, rows, columns), maker.dtype(x))
    maker.fill(0.0, made)
    for a, b in np.ndindex(sy, sx):
        # Row q of the plane is row q * sy + a - top of x.
        first = [-(-max(0, pad - k) // s) for pad, k, s in ((top, a, sy), (left, b, sx))]
        start = [q * s + k - pad for q, pad, k, s in zip(first, (top, left), (a, b), (sy, sx), strict=True)]
        count = [
            max(0, min(most - q, -(-(size - begin) // s)))
            for most, q, size, begin, s in zip((rows, columns), first, (height, width), start, (sy, sx), strict=True)
        ]
        if min(count) > 0:
            source = part(x, (0, 0, *start), (n, channels, *count), (1, 1, sy, sx))
            plane = View(made.buffer, (a * sx + b) * rows * columns, (n, channels, rows, columns), _outer(made.strides))
            maker.copy(source, part(plane, (0, 0, *first), (n, channels, *count), (1, 1, 1, 1)))
    return View(made.buffer, 0, (n, channels, sy * sx, rows * columns), (*made.strides[:2], rows * columns, 1))


def _outer(strides: Strides) -> Strides:
    return (*strides[:2], *strides[4:])


def convolve(maker: Maker, x: View, weight: View, window: Window, groups: int) -> View:
    """(n, out, rows, columns) from x (n, channels, height, width) and weight (out, channels / groups, kh, kw)."""
    source = planes(maker, x, window)
    n, out = x.shape[0], weight.shape[0]
    inner, filters, (rows, columns), width = weight.shape[1], out // groups, window.places, window.plane[1]
    size = window.plane[0] * width
    count = (rows - 1) * width + columns
    shifts = [((a * window.stride[1] + b) * size + m * width + n) for a, b, m, n in _placed(window)]
    kernel = [i * weight.strides[2] + j * weight.strides[3] for i, j in window.taps]
    result = maker.new((n, out, rows * width), maker.dtype(x))
    o, c = weight.strides[:2]
    image, channel = source.strides[:2]
    sum_of_products(
        maker,
        (n, groups, filters, inner, len(shifts), count),
        View(weight.buffer, weight.offset, (), (0, o * filters, o, c, tuple(kernel), 0)),
        View(source.buffer, source.offset, (), (image, channel * inner, 0, channel, tuple(shifts), 1)),
        View(result.buffer, 0, (n, groups, filters, count), (*_grouped(result.strides, filters), 1)),
        (3, 4),
    )
    return View(result.buffer, 0, (n, out, rows, columns), (*result.strides[:2], width, 1))


def input_gradient(maker: Maker, weight: View, g: View, window: Window, size: Shape) -> View:
    """(n, channels, height, width) from g (n, groups, filters, rows, columns) and weight (groups, channels / groups,
    kh, kw, filters)."""
    n, groups, filters, rows, columns = g.shape
    inner, (sy, sx), (top, left, *_) = weight.shape[1], window.stride, window.padding
    height, width = size
    # Row Y of x is row q * sy + a of the padded x in the plane a, q = (Y + top - a) / sy; it takes row q - m of g.
    spans = [_spans(height, top, sy), _spans(width, left, sx)]
    most = [(k - 1) * d // s for k, d, s in zip(window.kernel, window.dilation, window.stride, strict=True)]
    low = [min(first for first, _ in span) - m for span, m in zip(spans, most, strict=True)]
    high = [max(last for _, last in span) for span in spans]
    tall, wide = (b - a + 1 for a, b in zip(low, high, strict=True))
    padded = maker.new((n, groups, filters, tall, wide), maker.dtype(g))
    maker.fill(0.0, padded)
    keep = [(max(0, a), min(count - 1, b)) for a, b, count in zip(low, high, (rows, columns), strict=True)]
    counts = [b - a + 1 for a, b in keep]
    if min(counts) > 0:
        source = part(g, (0, 0, 0, keep[0][0], keep[1][0]), (n, groups, filters, *counts), (1,) * 5)
        place = (0, 0, 0, keep[0][0] - low[0], keep[1][0] - low[1])
        maker.copy(source, part(padded, place, source.shape, (1,) * 5))
    total = None
    if (sy, sx) != (1, 1):
        total = maker.new((n, groups * inner, height, width), maker.dtype(g))
        maker.fill(0.0, total)
    for a, b in np.ndindex(sy, sx):
        (q, q_last), (r, r_last) = spans[0][a], spans[1][b]
        placed = zip(window.taps, _placed(window), strict=True)
        taps = [(i, j, m, k) for (i, j), (row, column, m, k) in placed if (row, column) == (a, b)]
        high_here, wide_here = q_last - q + 1, r_last - r + 1
        if not taps or min(high_here, wide_here) < 1:
            continue
        kernel = tuple(i * weight.strides[2] + j * weight.strides[3] for i, j, _, _ in taps)
        shifts = tuple((q - m - low[0]) * wide + (r - k - low[1]) for _, _, m, k in taps)
        count = (high_here - 1) * wide + wide_here
        result = maker.new((n, groups, inner, high_here * wide), maker.dtype(g))
        group, channel, one = weight.strides[0], weight.strides[1], weight.strides[4]
        sum_of_products(
            maker,
            (n, groups, inner, filters, len(taps), count),
            View(weight.buffer, weight.offset, (), (0, group, channel, one, kernel, 0)),
            View(padded.buffer, 0, (), (*padded.strides[:2], 0, padded.strides[2], shifts, 1)),
            View(result.buffer, 0, (n, groups, inner, count), (*result.strides[:3], 1)),
            (3, 4),
        )
        image, channel = result.strides[0], result.strides[2]
        view = View(result.buffer, 0, (n, groups * inner, high_here, wide_here), (image, channel, wide, 1))
        if total is None:
            return view
        corner = (0, 0, q * sy + a - top, r * sx + b - left)
        maker.copy(view, part(total, corner, view.shape, (1, 1, sy, sx)))
    assert total is not None
    return total


def turned(weight: View, g: View, window: Window, size: Shape) -> tuple[View, View, Window]:
    """The gradient by the input, with stride 1 and one group, as a convolution: of g (n, filters, rows, columns), with
    the weight (channels, filters, kh, kw) whose taps are in reverse."""
    n, _, filters, rows, columns = g.shape
    _, inner, kh, kw, _ = weight.shape
    _, channel, row, column, one = weight.strides
    corner = weight.offset + (kh - 1) * row + (kw - 1) * column
    kernel = View(weight.buffer, corner, (inner, filters, kh, kw), (channel, one, -row, -column))
    reach = [(k - 1) * d for k, d in zip(window.kernel, window.dilation, strict=True)]
    padding = tuple(most - p for most, p in zip(reach * 2, window.padding, strict=True))
    around = Window(window.kernel, size, window.stride, padding, window.dilation)
    return View(g.buffer, g.offset, (n, filters, rows, columns), (g.strides[0], *g.strides[2:])), kernel, around


def weight_gradient(maker: Maker, g: View, x: View, window: Window, groups: int) -> View:
    """(groups, filters, channels / groups, kh, kw) from g (n, groups, filters, rows, columns) and x (n, channels,
    height, width): summed over one image after another."""
    n, _, filters, rows, columns = g.shape
    inner = x.shape[1] // groups
    source = planes(maker, x, window)
    width, size = window.plane[1], math.prod(window.plane)
    turned = maker.copy(View(g.buffer, g.offset, *_axes(g, (0, 1, 3, 4, 2))))
    shifts = tuple(((a * window.stride[1] + b) * size + m * width + n) for a, b, m, n in _placed(window))
    result = maker.new((groups, inner, len(shifts), filters), maker.dtype(g))
    maker.fill(0.0, result)
    image, channel = source.strides[:2]
    s = turned.strides
    sum_of_products(
        maker,
        (n, groups, inner, len(shifts), rows, columns, filters),
        View(source.buffer, source.offset, (), (image, channel * inner, channel, shifts, width, 1, 0)),
        View(turned.buffer, 0, (), (s[0], s[1], 0, 0, s[2], s[3], 1)),
        View(result.buffer, 0, (n, groups, inner, len(shifts), filters), (0, *result.strides)),
        (4, 5),
        accumulate=True,
    )
    kh, kw = window.kernel
    whole = View(result.buffer, 0, (groups, inner, kh, kw, filters), contiguous((groups, inner, kh, kw, filters)))
    return View(whole.buffer, 0, *_axes(whole, (0, 4, 1, 2, 3)))


def sum_of_products(
    maker: Maker, domain: Shape, left: View, right: View, result: View, over: tuple[int, ...], accumulate: bool = False
) -> None:
    for view in (left, right):
        maker.read(view)
    a, b = (_first_taken(View(view.buffer, view.offset, domain, view.strides)) for view in (left, right))
    loop = Loop(domain, over=over, accumulate=accumulate)
    dtype = maker.dtype(a)
    loop.add_sum(Work("mul", (a, b), domain, dtype, dtype), result)
    maker.push(loop, result)


def _first_taken(view: View) -> View:
    """An axis of size 1 has a stride of 0, and its one offset is that of the view."""
    only = {axis: s[0] for axis, s in enumerate(view.strides) if isinstance(s, tuple) and len(s) == 1}
    strides = tuple(0 if axis in only else s for axis, s in enumerate(view.strides))
    return View(view.buffer, view.offset + sum(only.values()), view.shape, strides)


def _placed(window: Window) -> list[tuple[int, int, int, int]]:
    return [window.tap(i, j) for i, j in window.taps]


def _spans(size: int, before: int, stride: int) -> list[tuple[int, int]]:
    """For each plane the first and the last of its rows that x has."""
    return [(-(-(before - a) // stride), (before + size - 1 - a) // stride) for a in range(stride)]


def _grouped(strides: Strides, filters: int) -> Strides:
    """(n, out) as (n, groups, filters)."""
    return strides[0], strides[1] * filters, strides[1]


def _axes(view: View, axes: Sequence[int]) -> tuple[Shape, Strides]:
    return tuple(view.shape[a] for a in axes), tuple(view.strides[a] for a in axes)
