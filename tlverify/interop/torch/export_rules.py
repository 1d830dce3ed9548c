"""EXPORT: what each op is in PyTorch, as a function of tensors and of the attributes of a node.

This module needs PyTorch; `to_torch` imports it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch.nn import functional

Tensor = Any
Sizes = Sequence[int]


def batch_norm(
    x: Tensor, mean: Tensor, variance: Tensor, scale: Tensor, bias: Tensor, *, axis: int, epsilon: str
) -> Tensor:
    shape = x.shape
    parts = x.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
    normal = functional.batch_norm(parts, mean, variance, scale, bias, eps=float(Fraction(epsilon)))
    return normal.reshape(shape)


def clamp(x: Tensor, *, minimum: str, maximum: str) -> Tensor:
    return torch.clamp(x, float(Fraction(minimum)), float(Fraction(maximum)))


def leaky_relu(x: Tensor, *, slope: str) -> Tensor:
    return functional.leaky_relu(x, float(Fraction(slope)))


def scale(x: Tensor, *, factor: str) -> Tensor:
    return x * float(Fraction(factor))


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)). functional.softplus is x above a threshold; beyond 40 no float64 tells the two apart."""
    return functional.softplus(x, threshold=40)


def cast(x: Tensor, *, dtype: str) -> Tensor:
    return x.to(getattr(torch, dtype))


def qr(x: Tensor) -> Tensor:
    return torch.linalg.qr(x)[0]


def fft(x: Tensor, *, inverse: int) -> Tensor:
    pairs = torch.view_as_complex(x.contiguous())
    return torch.view_as_real(torch.fft.ifft(pairs) if inverse else torch.fft.fft(pairs))


def rfft(x: Tensor) -> Tensor:
    return torch.view_as_real(torch.fft.rfft(x))


def irfft(x: Tensor, *, size: int) -> Tensor:
    return torch.fft.irfft(torch.view_as_complex(x.contiguous()), size)


def argmax(x: Tensor, *, axis: int) -> Tensor:
    return torch.argmax(x, axis)


def argsort(x: Tensor, *, axis: int, descending: int) -> Tensor:
    return torch.argsort(x, dim=axis, descending=bool(descending), stable=True)


def cumsum(x: Tensor, *, axis: int, reverse: int) -> Tensor:
    return torch.flip(torch.cumsum(torch.flip(x, [axis]), axis), [axis]) if reverse else torch.cumsum(x, axis)


def gather(x: Tensor, indices: Tensor, *, batch: int) -> Tensor:
    """x (*B, n, *F) and indices (*B, *I) -> (*B, *I, *F), where B has `batch` axes."""
    lead, chosen, features = indices.shape[:batch], indices.shape[batch:], x.shape[batch + 1 :]
    count, width = math.prod(chosen), math.prod(features)
    rows = x.reshape(math.prod(lead), x.shape[batch], width)
    places = indices.reshape(math.prod(lead), count, 1).expand(-1, -1, width)
    return torch.gather(rows, 1, places).reshape(*lead, *chosen, *features)


def scatter_add(updates: Tensor, indices: Tensor, *, batch: int, size: int) -> Tensor:
    """The adjoint of gather."""
    lead, features = indices.shape[:batch], updates.shape[indices.ndim :]
    count, width = math.prod(indices.shape[batch:]), math.prod(features)
    parts = updates.reshape(math.prod(lead), count, width)
    places = indices.reshape(math.prod(lead), count, 1).expand(-1, -1, width)
    total = torch.zeros((math.prod(lead), size, width), dtype=updates.dtype, device=updates.device)
    return total.scatter_add(1, places, parts).reshape(*lead, size, *features)


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor, *, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Tensor:
    images = _padded(x.reshape(-1, *x.shape[-3:]), padding)
    y = functional.conv2d(images, weight, bias, stride, 0, dilation, groups)
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def max_pool2d(x: Tensor, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Tensor:
    images = _padded(_images(x), padding, -math.inf)
    return _back(functional.max_pool2d(images, kernel, stride, 0, dilation), x)


def avg_pool2d(x: Tensor, *, kernel: Sizes, stride: Sizes, padding: Sizes, count_include_pad: int) -> Tensor:
    means = functional.avg_pool2d(_padded(_images(x), padding), kernel, stride)
    if any(padding) and not count_include_pad:
        ones = torch.ones((1, 1, *x.shape[-2:]), dtype=x.dtype, device=x.device)
        means = means / functional.avg_pool2d(_padded(ones, padding), kernel, stride)
    return _back(means, x)


def windows(x: Tensor, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Tensor:
    """(..., H, W) -> (..., kh, kw, H', W')."""
    images = _padded(_images(x), padding)
    columns = functional.unfold(images, kernel, dilation, 0, stride)
    places = [
        (n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(images.shape[-2:], kernel, dilation, stride, strict=True)
    ]
    return columns.reshape(*x.shape[:-2], *kernel, *places)


def fold(x: Tensor, *, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, size: Sizes) -> Tensor:
    """The adjoint of windows: (..., kh, kw, H', W') -> (..., H, W)."""
    top, left, bottom, right = padding
    whole = (size[0] + top + bottom, size[1] + left + right)
    columns = x.reshape(math.prod(x.shape[:-4]), math.prod(x.shape[-4:-2]), math.prod(x.shape[-2:]))
    images = functional.fold(columns, whole, kernel, dilation, 0, stride)
    inner = images[..., top : top + size[0], left : left + size[1]]
    return inner.reshape(*x.shape[:-4], *size)


def sum_(x: Tensor, *, axes: Sizes, keepdims: int) -> Tensor:
    return torch.sum(x, axes, bool(keepdims)) if axes else x


def max_(x: Tensor, *, axes: Sizes, keepdims: int) -> Tensor:
    return torch.amax(x, axes, bool(keepdims)) if axes else x


def broadcast_to(x: Tensor, *, shape: Sizes) -> Tensor:
    return torch.broadcast_to(x, shape)


def concat(*parts: Tensor, axis: int) -> Tensor:
    return torch.cat(parts, axis)


def pad(x: Tensor, *, before: Sizes, after: Sizes, value: str) -> Tensor:
    pairs = [n for pair in zip(before[::-1], after[::-1], strict=True) for n in pair]
    return functional.pad(x, pairs, value=float(Fraction(value)))


def reshape(x: Tensor, *, shape: Sizes) -> Tensor:
    return x.reshape(shape)


def slice_(x: Tensor, *, starts: Sizes, stops: Sizes, steps: Sizes) -> Tensor:
    return x[tuple(map(slice, starts, stops, steps))]


def transpose(x: Tensor, *, axes: Sizes) -> Tensor:
    return x.permute(axes)


def _images(x: Tensor) -> Tensor:
    """(..., H, W) -> (n, 1, H, W)."""
    return x.reshape(math.prod(x.shape[:-2]), 1, *x.shape[-2:])


def _back(y: Tensor, x: Tensor) -> Tensor:
    return y.reshape(*x.shape[:-2], *y.shape[-2:])


def _padded(x: Tensor, padding: Sizes, value: float = 0.0) -> Tensor:
    top, left, bottom, right = padding
    return functional.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


EXPORT: Mapping[str, Callable[..., Any]] = {
    "abs": torch.abs,
    "add": torch.add,
    "argmax": argmax,
    "argsort": argsort,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "broadcast_to": broadcast_to,
    "cast": cast,
    "cholesky": torch.linalg.cholesky,
    "clamp": clamp,
    "concat": concat,
    "conv2d": conv2d,
    "cos": torch.cos,
    "cumsum": cumsum,
    "detach": torch.detach,
    "div": torch.div,
    "equal": torch.eq,
    "erf": torch.erf,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "fft": fft,
    "fold": fold,
    "gather": gather,
    "greater": torch.gt,
    "irfft": irfft,
    "leaky_relu": leaky_relu,
    "linear": functional.linear,
    "log": torch.log,
    "log1p": torch.log1p,
    "matmul": torch.matmul,
    "max": max_,
    "max_pool2d": max_pool2d,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mul": torch.mul,
    "neg": torch.neg,
    "pad": pad,
    "pow": torch.pow,
    "qr": qr,
    "relu": torch.relu,
    "reshape": reshape,
    "rfft": rfft,
    "scale": scale,
    "scatter_add": scatter_add,
    "sigmoid": torch.sigmoid,
    "sign": torch.sign,
    "sin": torch.sin,
    "slice": slice_,
    "softplus": softplus,
    "solve": torch.linalg.solve,
    "sqrt": torch.sqrt,
    "sub": torch.sub,
    "sum": sum_,
    "tanh": torch.tanh,
    "transpose": transpose,
    "where": torch.where,
    "windows": windows,
}
NO_RULE: Mapping[str, str] = {
    "random_uniform": "the random numbers of PyTorch are not a function of a key",
}
