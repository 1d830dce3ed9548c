"""FORWARD: the value of every op on arrays.

NumPy's functions hand CuPy arrays to CuPy (`__array_ufunc__`, `__array_function__`): one table serves both.
Shapes and dtypes have been checked before a rule is called.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.core.backend import namespace
from tlverify.core.ops import forward_algebra, forward_smooth, forward_windows
from tlverify.graph import Shape


def batch_norm(x: Any, mean: Any, variance: Any, scale: Any, bias: Any, *, axis: int, epsilon: str) -> Any:
    channels = (-1, *(1,) * (x.ndim - axis - 1))
    gain = scale / np.sqrt(variance + float(Fraction(epsilon)))
    return (x - mean.reshape(channels)) * gain.reshape(channels) + bias.reshape(channels)


def cast(x: Any, *, dtype: str) -> Any:
    return x.astype(dtype)


def clamp(x: Any, *, minimum: str, maximum: str) -> Any:
    return np.minimum(np.maximum(x, float(Fraction(minimum))), float(Fraction(maximum)))


def concat(*values: Any, axis: int) -> Any:
    return np.concatenate(values, axis)


def detach(x: Any) -> Any:
    return x


def leaky_relu(x: Any, *, slope: str) -> Any:
    return np.where(x > 0, x, x * float(Fraction(slope)))


def pad(x: Any, *, before: Shape, after: Shape, value: str) -> Any:
    shape = tuple(a + n + b for a, n, b in zip(before, x.shape, after, strict=True))
    result = namespace(x).full(shape, float(Fraction(value)), x.dtype)
    result[tuple(slice(a, a + n) for a, n in zip(before, x.shape, strict=True))] = x
    return result


def scale(x: Any, *, factor: str) -> Any:
    return x * float(Fraction(factor))


def take(x: Any, *, starts: Shape, stops: Shape, steps: Shape) -> Any:
    return x[tuple(map(slice, starts, stops, steps))]


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def linear(x: Any, weight: Any, bias: Any) -> Any:
    """x (..., in), weight (out, in), bias (out,) -> (..., out), as one matrix product."""
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    result = rows @ weight.T
    result += bias
    return result if x.ndim == 2 else result.reshape(*x.shape[:-1], len(bias))


def maximum_over(x: Any, *, axes: Shape, keepdims: int) -> Any:
    return x.max(axis=axes, keepdims=bool(keepdims))


def sum_over(x: Any, *, axes: Shape, keepdims: int) -> Any:
    return x.sum(axis=axes, keepdims=bool(keepdims))


def broadcast_to(x: Any, *, shape: Shape) -> Any:
    return np.broadcast_to(x, shape)


def reshape(x: Any, *, shape: Shape) -> Any:
    return x.reshape(shape)


def transpose(x: Any, *, axes: Shape) -> Any:
    return x.transpose(axes)


FORWARD: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "argmax": forward_algebra.argmax,
    "argsort": forward_algebra.argsort,
    "avg_pool2d": forward_windows.avg_pool2d,
    "batch_norm": batch_norm,
    "broadcast_to": broadcast_to,
    "cast": cast,
    "cholesky": forward_algebra.cholesky,
    "clamp": clamp,
    "concat": concat,
    "conv2d": forward_windows.conv2d,
    "cos": np.cos,
    "cumsum": forward_algebra.cumsum,
    "detach": detach,
    "div": np.true_divide,
    "equal": np.equal,
    "erf": forward_smooth.erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "fft": forward_algebra.fft,
    "fold": forward_windows.fold,
    "gather": forward_algebra.gather,
    "greater": np.greater,
    "irfft": forward_algebra.irfft,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log": np.log,
    "log1p": np.log1p,
    "matmul": operator.matmul,
    "max": maximum_over,
    "max_pool2d": forward_windows.max_pool2d,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mul": np.multiply,
    "neg": np.negative,
    "pad": pad,
    "pow": np.power,
    "qr": forward_algebra.qr,
    "random_uniform": forward_algebra.random_uniform,
    "relu": relu,
    "reshape": reshape,
    "rfft": forward_algebra.rfft,
    "scale": scale,
    "scatter_add": forward_algebra.scatter_add,
    "sigmoid": forward_smooth.sigmoid,
    "sign": np.sign,
    "sin": np.sin,
    "slice": take,
    "softplus": forward_smooth.softplus,
    "solve": forward_algebra.solve,
    "sqrt": np.sqrt,
    "sub": np.subtract,
    "sum": sum_over,
    "tanh": np.tanh,
    "transpose": transpose,
    "where": np.where,
    "windows": forward_windows.windows,
}
NO_RULE: Mapping[str, str] = {}
