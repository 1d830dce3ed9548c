"""Initialisers of weights (out, in): seeded functions with PyTorch's formulas.

Sources: Glorot and Bengio (2010), eq. 16, for Xavier; He et al. (2015), eq. 10, for Kaiming.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tlverify.graph import GraphError, Shape, ShapeError

RELU_GAIN = math.sqrt(2.0)


def kaiming_uniform(rng: np.random.Generator, shape: Shape, gain: float = RELU_GAIN, dtype: str = "float32") -> Any:
    """Uniform on [-b, b] with b = gain * sqrt(3 / fan_in)."""
    return uniform(rng, shape, gain * math.sqrt(3.0 / _fans(shape)[0]), dtype)


def kaiming_normal(rng: np.random.Generator, shape: Shape, gain: float = RELU_GAIN, dtype: str = "float32") -> Any:
    """Normal with standard deviation gain / sqrt(fan_in)."""
    return _normal(rng, shape, gain / math.sqrt(_fans(shape)[0]), dtype)


def xavier_uniform(rng: np.random.Generator, shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Any:
    """Uniform on [-b, b] with b = gain * sqrt(6 / (fan_in + fan_out))."""
    return uniform(rng, shape, gain * math.sqrt(6.0 / sum(_fans(shape))), dtype)


def xavier_normal(rng: np.random.Generator, shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Any:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out))."""
    return _normal(rng, shape, gain * math.sqrt(2.0 / sum(_fans(shape))), dtype)


def fan_in_uniform(rng: np.random.Generator, shape: Shape, dtype: str = "float32") -> Any:
    """Uniform on [-b, b] with b = 1 / sqrt(fan_in), PyTorch's default for linear layers and convolutions."""
    return uniform(rng, shape, 1.0 / math.sqrt(_fans(shape)[0]), dtype)


def normal(rng: np.random.Generator, shape: Shape, deviation: float = 0.02, dtype: str = "float32") -> Any:
    """Normal with the given standard deviation."""
    return _normal(rng, shape, deviation, dtype)


def orthogonal(rng: np.random.Generator, shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Any:
    """Orthonormal rows or columns of (out, everything else), times gain (Saxe et al. 2014)."""
    _fans(shape)
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(generator(rng).normal(size=(max(rows, columns), min(rows, columns))))
    # With the signs of the diagonal of R the result is uniform among orthogonal matrices.
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)


def zeros(rng: np.random.Generator, shape: Shape, dtype: str = "float32") -> Any:
    """Zeros; `rng` is not used."""
    return np.zeros(shape, dtype)


def generator(rng: object) -> np.random.Generator:
    """`rng`, or GraphError if it is something else, such as a seed."""
    if not isinstance(rng, np.random.Generator):
        raise GraphError(f"init: expected a generator of numpy, as np.random.default_rng(0) makes, found {rng!r}")
    return rng


def uniform(rng: np.random.Generator, shape: Shape, bound: float, dtype: str = "float32") -> Any:
    """Uniform on [-bound, bound]."""
    return generator(rng).uniform(-bound, bound, shape).astype(dtype)


def _normal(rng: np.random.Generator, shape: Shape, deviation: float, dtype: str) -> Any:
    return generator(rng).normal(0.0, deviation, shape).astype(dtype)


def _fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, ...), where further axes are a receptive field."""
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(f"initialiser: expected a weight (out, in) without empty axes, found {list(shape)}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


INITIALISERS: Mapping[str, Callable[..., Any]] = {
    "fan_in_uniform": fan_in_uniform,
    "kaiming_normal": kaiming_normal,
    "kaiming_uniform": kaiming_uniform,
    "normal": normal,
    "orthogonal": orthogonal,
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "zeros": zeros,
}
