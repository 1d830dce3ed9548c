"""Convolutions of 3x3 kernels with stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2016): 16 products instead of 36.

Tiles of 4x4 elements, 2 apart, give 2x2 results each: y = A' [sum over channels of (G w G') * (B' d B)] A, where d is a
tile and * is by elements. So tiles are windows that move by 2. They and the kernels are transformed, 16 matrix
products follow, one for each place in a tile, and their results are transformed.

With N = channels + 10, u = 2**-24 and no overflow or underflow on the way, an error is at most
N u / (1 - N u) |A'| [sum of (|G| |w| |G'|) * (|B'| |d| |B|)] |A|: kernels are rounded four times, tiles twice, sums
once for each channel, results four times. That is more than a sum of products of inputs and weights in any order may
be off, so no contract about float32 covers it. A result that is not finite directly is not finite here, and maybe a
NaN where it was an infinity.
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


def convolve(maker: Maker, x: View, weight: View, window: Window) -> View:
    """(n, out, rows, columns) from x (n, channels, height, width) and weight (out, channels, 3, 3)."""
    (n, channels), out, dtype = x.shape[:2], weight.shape[0], maker.dtype(x)
    tall, wide = (-(-count // 2) for count in window.places)
    source = planes(maker, x, Window((4, 4), (tall, wide), (2, 2), window.padding, (1, 1)))
    row = wide + 1
    count = tall * row  # positions of an image: those beyond the end of a row are computed as well, and never read
    most = max(1, min(n, -(-TOGETHER // count)))
    factors, tiles, products = (
        _sixteen(maker, shape, dtype) for shape in ((out, channels), (channels, most, count), (out, most, count))
    )
    result = maker.new((n, out, 2 * tall, 2 * wide), dtype)
    down, right = weight.strides[2:]
    taps = [
        [
            View(weight.buffer, weight.offset + i * down + j * right, (out, channels), weight.strides[:2])
            for j in range(3)
        ]
        for i in range(3)
    ]
    _transform(maker, taps, _kernel, _places(factors, (out, channels)))
    for start in range(0, n, most):
        images = min(most, n - start)
        one = (channels, images, count - 1)  # the last position has no tile
        image, channel, plane, _ = source.strides
        corners = [
            [(i % 2 * 2 + j % 2) * plane + i // 2 * row + j // 2 + source.offset + start * image for j in range(4)]
            for i in range(4)
        ]
        given = [[View(source.buffer, corner, one, (channel, image, 1)) for corner in line] for line in corners]
        _transform(maker, given, _tile, _places(tiles, one))
        positions = images * count
        sum_of_products(
            maker,
            (16, out, channels, positions),
            View(factors.buffer, 0, (), (factors.strides[1], channels, 1, 0)),
            View(tiles.buffer, 0, (), (tiles.strides[1], 0, most * count, 1)),
            View(products.buffer, 0, (16, out, positions), (products.strides[1], most * count, 1)),
            (2,),
        )
        four = (out, images, tall, wide)
        parts = [
            [View(view.buffer, view.offset, four, (most * count, count, row, 1)) for view in line]
            for line in _places(products, (out, images, count))
        ]
        image, channel, line, _ = result.strides
        strides, corner = (channel, image, 2 * line, 2), start * image
        ends = [[View(result.buffer, corner + a * line + b, four, strides) for b in range(2)] for a in range(2)]
        _transform(maker, parts, _result, ends)
    return part(result, (0,) * 4, (n, out, *window.places), (1,) * 4)


def _sixteen(maker: Maker, shape: Shape, dtype: str) -> View:
    """New memory for (4, 4, *shape), so far apart that the 16 of one index do not drive each other from the cache."""
    apart = -(-math.prod(shape) // PAGE) * PAGE + PAGE // 16
    made = maker.new((16, apart), dtype)
    return View(made.buffer, 0, (4, 4, *shape), (4 * apart, apart, *contiguous(shape)))


def _places(view: View, shape: Shape) -> list[list[View]]:
    """The first (*shape) of (4, 4, ...), by the first two axes."""
    down, right, *rest = view.strides
    return [
        [View(view.buffer, view.offset + i * down + j * right, shape, tuple(rest)) for j in range(4)] for i in range(4)
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
