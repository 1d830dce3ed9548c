"""Public functions for images: convolution, pooling and batch normalisation.

Images are (..., channels, height, width). A size is one integer or (vertical, horizontal); a padding is one integer,
(vertical, horizontal) or (top, left, bottom, right).
"""

from __future__ import annotations

from collections.abc import Sequence

from tlverify.core.backend import namespace
from tlverify.core.ops.apply import Value, apply, as_value, same_dtype
from tlverify.graph import Shape
from tlverify.graph.ops import fraction_text

Size = int | Sequence[int]


def conv2d(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Value:
    """Cross-correlation with x padded with 0; the bias is 0 by default.

    x (..., C, H, W), weight (O, C / groups, kh, kw) and bias (O,) -> (..., O, H', W'), where
    H' = floor((H + top + bottom - dilation (kh - 1) - 1) / stride) + 1, and W' likewise.
    """
    if bias is None:
        x, weight = same_dtype("conv2d", x, weight)
        bias = namespace(weight).zeros(weight.shape[:1], weight.dtype)
    x, weight, bias = same_dtype("conv2d", x, weight, bias)
    moves = {"stride": _pair(stride), "padding": _sides(padding), "dilation": _pair(dilation)}
    return apply("conv2d", x, weight, bias, **moves, groups=int(groups))


def avg_pool2d(
    x: Value, kernel_size: Size, stride: Size | None = None, padding: Size = 0, count_include_pad: bool = True
) -> Value:
    """Mean over windows (..., H, W) -> (..., H', W'); the stride is the kernel size by default.

    Without `count_include_pad` the mean is over the elements of x in the window only.
    """
    kernel = _pair(kernel_size)
    moves = {"kernel": kernel, "stride": kernel if stride is None else _pair(stride), "padding": _sides(padding)}
    return apply("avg_pool2d", as_value(x), **moves, count_include_pad=int(count_include_pad))


def max_pool2d(x: Value, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1) -> Value:
    """Maximum over windows (..., H, W) -> (..., H', W'); the stride is the kernel size by default.

    Padding is never the maximum. Equal maxima of a window share the derivative equally.
    """
    return apply("max_pool2d", as_value(x), **_window(kernel_size, stride, padding, dilation))


def windows(x: Value, kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1) -> Value:
    """All windows of x, padded with 0: (..., H, W) -> (..., kh, kw, H', W')."""
    return apply("windows", as_value(x), **_window(kernel_size, stride, padding, dilation))


def fold(
    x: Value, size: Sequence[int], kernel_size: Size, stride: Size = 1, padding: Size = 0, dilation: Size = 1
) -> Value:
    """The adjoint of `windows`: (..., kh, kw, H', W') -> (..., *size), overlapping elements added."""
    return apply("fold", as_value(x), **_window(kernel_size, stride, padding, dilation), size=_pair(size))


def batch_norm(
    x: Value,
    mean: Value,
    variance: Value,
    scale: Value | None = None,
    bias: Value | None = None,
    axis: int = -3,
    epsilon: float = 1e-5,
) -> Value:
    """scale * (x - mean) / sqrt(variance + epsilon) + bias, with the given (C,) for the C channels on `axis` of x.

    Ioffe and Szegedy 2015, algorithm 2 line 11. The scale is 1 and the bias 0 by default.
    """
    x, mean, variance = same_dtype("batch_norm", x, mean, variance)
    xp = namespace(mean)
    scale = xp.ones(mean.shape, mean.dtype) if scale is None else scale
    bias = xp.zeros(mean.shape, mean.dtype) if bias is None else bias
    values = same_dtype("batch_norm", x, mean, variance, scale, bias)
    text = fraction_text(epsilon, str(x.dtype), "batch_norm: epsilon")
    return apply("batch_norm", *values, axis=int(axis + x.ndim if axis < 0 else axis), epsilon=text)


def _window(kernel_size: Size, stride: Size | None, padding: Size, dilation: Size) -> dict[str, Shape]:
    kernel = _pair(kernel_size)
    steps = kernel if stride is None else _pair(stride)
    return {"kernel": kernel, "stride": steps, "padding": _sides(padding), "dilation": _pair(dilation)}


def _pair(size: Size) -> Shape:
    return tuple(int(n) for n in size) if isinstance(size, Sequence) else (int(size),) * 2


def _sides(padding: Size) -> Shape:
    sides = _pair(padding)
    return sides * 2 if len(sides) == 2 else sides
