"""FORWARD: the value of every op on arrays.

NumPy's functions hand CuPy arrays to CuPy (`__array_ufunc__`, `__array_function__`): one table serves both.
Shapes and dtypes have been checked before a rule is called.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tlverify.graph import Shape


def cast(x: Any, *, dtype: str) -> Any:
    return x.astype(dtype)


def detach(x: Any) -> Any:
    return x


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
    "broadcast_to": broadcast_to,
    "cast": cast,
    "detach": detach,
    "div": np.true_divide,
    "equal": np.equal,
    "exp": np.exp,
    "greater": np.greater,
    "linear": linear,
    "log": np.log,
    "matmul": operator.matmul,
    "max": maximum_over,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mul": np.multiply,
    "neg": np.negative,
    "relu": relu,
    "reshape": reshape,
    "sign": np.sign,
    "sqrt": np.sqrt,
    "sub": np.subtract,
    "sum": sum_over,
    "transpose": transpose,
    "where": np.where,
}
NO_RULE: Mapping[str, str] = {}
