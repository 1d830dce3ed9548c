"""Convolutions of 3x3 kernels with stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2016): 16 products instead of 36.

Tiles of 4x4 elements, 2 apart, give 2x2 results each: y = A' [sum over channels of (G w G') * (B' d B)] A, where d is a
tile and * is by elements. So tiles are windows that move by 2. They and the kernels are transformed, 16 matrix
products follow, one for each place in a tile, and their results are transformed.

With N = channels + 10, u = 2**-24 and no overflow or underflow on the way, an error is at most
N u / (1 - N u) |A'| [sum of (|G| |w| |G'|) * (|B'| |d| |B|)] |A|: kernels are rounded four times, tiles twice, sums
once for each channel, results four times. That is more than a sum of products of inputs and weights in any order may
be off, so no contract about float32 covers it. Numbers given that are not finite make the same results not finite
as directly, maybe NaN instead of infinity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tlverify.core.native.convolution import Maker, Window, planes, sum_of_products
from tlverify.core.native.schedule import Loop, Operand, Statement, View, contiguous, part
from tlverify.graph import Shape

FEWEST = 16  # channels of input and of output below which transforms take longer than products save
TOGETHER = 256  # positions at least of the images that are worked on together, so that they stay in the cache
PAGE = 1024  # elements after which a cache has the same sets again

Write = Callable[..., Operand]
Lines = Callable[..., list[Operand]]


def applies(weight: View, window: Window, dtype: str) -> bool:
    """Whether a convolution of one group with weight (out, channels, kh, kw) is made so."""
    plain = window.kernel == (3, 3) and window.stride == window.dilation == (1, 1) and min(window.padding) >= 0
    return plain and dtype == "float32" and min(weight.shape[:2]) >= FEWEST


def convolve(maker: Maker, x: View, weight: View, window: Window, shares: int) -> View:
    """(n, out, rows, columns) from x (n, channels, height, width) and weight (out, channels, 3, 3), in so many shares
    at a time with memory of their own, so that threads need not wait for one another."""
    (n, channels), out, dtype = x.shape[:2], weight.shape[0], maker.dtype(x)
    tall, wide = (-(-count // 2) for count in window.places)
    source = planes(maker, x, Window((4, 4), (tall, wide), (2, 2), window.padding, (1, 1)))
    row = wide + 1
    count = tall * row  # positions of an image: those beyond the end of a row are computed as well, and never read
    shares = min(shares, n)
    most = min(n // shares, -(-TOGETHER // count))  # images of a share
    factors = _sixteen(maker, 1, (out, channels), dtype)
    tiles, products = (_sixteen(maker, shares, (size, most, count), dtype) for size in (channels, out))
    result = maker.new((n, out, 2 * tall, 2 * wide), dtype)
    down, right = weight.strides[2:]
    corners = [[weight.offset + i * down + j * right for j in range(3)] for i in range(3)]
    taps = [[View(weight.buffer, at, (1, out, channels), (0, *weight.strides[:2])) for at in line] for line in corners]
    _transform(maker, taps, _kernel, _places(factors, (1, out, channels)))
    start = 0
    while start < n:
        parts = min(shares, n - start)
        images = min(most, (n - start) // parts)
        image, channel, plane, _ = source.strides
        shape = (parts, channels, images, count - 1)  # the last position has no tile
        begin, strides = source.offset + start * image, (images * image, channel, image, 1)
        corners = [[begin + (i % 2 * 2 + j % 2) * plane + i // 2 * row + j // 2 for j in range(4)] for i in range(4)]
        given = [[View(source.buffer, at, shape, strides) for at in line] for line in corners]
        _transform(maker, given, _tile, _places(tiles, shape))
        share, _, apart, channel, *_ = tiles.strides
        to_share, _, to_apart, to_channel, *_ = products.strides
        sum_of_products(
            maker,
            (parts, 16, out, channels, images * count),
            View(factors.buffer, 0, (), (0, factors.strides[2], channels, 1, 0)),
            View(tiles.buffer, 0, (), (share, apart, 0, channel, 1)),
            View(products.buffer, 0, (parts, 16, out, images * count), (to_share, to_apart, to_channel, 1)),
            (3,),
        )
        four = (parts, out, images, tall, wide)
        made = [
            [View(view.buffer, view.offset, four, (*view.strides[:3], row, 1)) for view in line]
            for line in _places(products, (parts, out, images, count))
        ]
        image, channel, line, _ = result.strides
        steps, begin = (images * image, channel, image, 2 * line, 2), start * image
        ends = [[View(result.buffer, begin + a * line + b, four, steps) for b in range(2)] for a in range(2)]
        _transform(maker, made, _result, ends)
        start += parts * images
    return part(result, (0,) * 4, (n, out, *window.places), (1,) * 4)


def _sixteen(maker: Maker, shares: int, shape: Shape, dtype: str) -> View:
    """New memory for (shares, 4, 4, *shape), so far apart that the 16 of one index do not drive each other from the
    cache."""
    apart = -(-math.prod(shape) // PAGE) * PAGE + PAGE // 16
    made = maker.new((shares, 16, apart), dtype)
    return View(made.buffer, 0, (shares, 4, 4, *shape), (16 * apart, 4 * apart, apart, *contiguous(shape)))


def _places(view: View, shape: Shape) -> list[list[View]]:
    """The first (shares, ...) of (shares, 4, 4, ...), by the second and third axis."""
    share, down, right, *rest = view.strides
    return [
        [View(view.buffer, view.offset + i * down + j * right, shape, (share, *rest)) for j in range(4)]
        for i in range(4)
    ]


def _transform(maker: Maker, given: Sequence[Sequence[View]], lines: Lines, made: Sequence[Sequence[View]]) -> None:
    """made = T given T', for every index of the views, where `lines` writes T times a column."""
    loop, dtype = Loop(given[0][0].shape), maker.dtype(given[0][0])

    def write(op: str, *operands: Operand) -> Operand:
        loop.statements.append(Statement(op, operands, dtype, dtype))
        return "statement", len(loop.statements) - 1

    loaded = [[loop.load(maker.read(view)) for view in line] for line in given]
    columns = [lines(write, *column) for column in zip(*loaded, strict=True)]
    done = [lines(write, *line) for line in zip(*columns, strict=True)]
    for operands, views in zip(done, made, strict=True):
        loop.stores += zip(operands, views, strict=True)
    maker.push(loop, made[0][0])


def _tile(write: Write, a: Operand, b: Operand, c: Operand, d: Operand) -> list[Operand]:
    """B' times a column."""
    return [write("sub", a, c), write("add", b, c), write("sub", c, b), write("sub", b, d)]


def _kernel(write: Write, a: Operand, b: Operand, c: Operand) -> list[Operand]:
    """G times a column."""
    half: Operand = "constant", 0.5
    ends, middle = write("mul", write("add", a, c), half), write("mul", b, half)
    return [a, write("add", ends, middle), write("sub", ends, middle), c]


def _result(write: Write, a: Operand, b: Operand, c: Operand, d: Operand) -> list[Operand]:
    """A' times a column."""
    return [write("add", write("add", a, b), c), write("sub", write("sub", b, c), d)]
