"""Linear algebra on the last two axes, Fourier transforms over real pairs, and random numbers from a key."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlverify.core.ops import functions as f
from tlverify.core.ops import selection
from tlverify.core.ops.apply import Value, apply, as_value, beside, same_dtype
from tlverify.graph import ShapeError

# That of Knuth's MMIX generator. It keeps the keys of nested parts apart.
KEY_MULTIPLIER = 6364136223846793005


def cholesky(x: Value) -> Value:
    """The lower triangular L with L L^T = x for positive definite x (..., n, n), of which the lower half is read."""
    return apply("cholesky", as_value(x))


def qr(x: Value) -> tuple[Value, Value]:
    """Q (..., m, n) with orthonormal columns and upper triangular R (..., n, n) with Q R = x (..., m, n), m >= n.

    The derivative exists where the columns of x are independent. R is found as the upper half of Q^T x.
    """
    x = as_value(x)
    q = apply("qr", x)
    return q, selection.triu(f.matmul(transposed(q), x))


def solve(matrix: Value, right: Value) -> Value:
    """y with matrix y = right, for matrix (..., n, n) and right (..., n, k) or (n,)."""
    matrix, right = same_dtype("solve", matrix, right)
    if right.ndim == 1 and matrix.ndim == 2:
        return f.reshape(apply("solve", matrix, f.reshape(right, *right.shape, 1)), right.shape)
    lead = np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    return apply("solve", *(f.broadcast_to(v, (*lead, *v.shape[-2:])) for v in (matrix, right)))


def inv(matrix: Value) -> Value:
    """The inverse of (..., n, n)."""
    matrix = as_value(matrix)
    return solve(matrix, beside(np.eye(matrix.shape[-1]), matrix, str(matrix.dtype)))


def transposed(x: Value) -> Value:
    """(..., m, n) -> (..., n, m)."""
    order = range(x.ndim)
    return f.transpose(x, [*order[:-2], order[-1], order[-2]])


def fft(x: Value, inverse: bool = False) -> Value:
    """The discrete Fourier transform of complex pairs (..., n, 2); the inverse one has the factor 1 / n."""
    return apply("fft", as_value(x), inverse=int(inverse))


def ifft(x: Value) -> Value:
    """The inverse of fft."""
    return fft(x, inverse=True)


def rfft(x: Value) -> Value:
    """The Fourier transform of real numbers (..., n): pairs (..., n // 2 + 1, 2) for the frequencies from 0 on."""
    return apply("rfft", as_value(x))


def irfft(x: Value, size: int | None = None) -> Value:
    """The inverse of rfft: pairs (..., size // 2 + 1, 2) -> (..., size); size is even by default."""
    x = as_value(x)
    return apply("irfft", x, size=2 * (x.shape[-2] - 1) if size is None else int(size))


def complex_mul(a: Value, b: Value) -> Value:
    """The product of complex pairs (..., 2), which broadcast."""
    real_a, imag_a, real_b, imag_b = (f.slice(v, ..., i) for v in (a, b) for i in (0, 1))
    real = f.sub(f.mul(real_a, real_b), f.mul(imag_a, imag_b))
    imag = f.add(f.mul(real_a, imag_b), f.mul(imag_a, real_b))
    shape = (*real.shape, 1)
    from tlverify.core.ops.indexing import concat

    return concat([f.reshape(real, shape), f.reshape(imag, shape)], -1)


def key(seed: int) -> Value:
    """The key of a stream of random numbers: int64 (2,)."""
    if not -(2**63) <= seed < 2**63:
        raise ShapeError(f"key: expected a seed of 64 bits, found {seed}")
    return np.array([seed, 0], np.int64)


def fold_in(key: Value, number: int) -> Value:
    """Another key, for the part `number` of what `key` is for. Arithmetic wraps around at 64 bits."""
    return f.add(f.mul(as_value(key), np.array([1, KEY_MULTIPLIER])), np.array([0, number + 1]))


def random_uniform(key: Value, shape: Sequence[int], dtype: str = "float32") -> Value:
    """Independent uniform numbers of [0, 1), a function of the key: equal keys give equal numbers."""
    return apply("random_uniform", as_value(key), shape=tuple(int(n) for n in shape), dtype=dtype)


def random_normal(key: Value, shape: Sequence[int], dtype: str = "float32") -> Value:
    """Independent standard normal numbers (Box and Muller 1958)."""
    radius = f.sqrt(f.mul(f.log1p(f.neg(random_uniform(fold_in(key, 0), shape, dtype))), -2.0))
    return f.mul(radius, f.cos(f.mul(random_uniform(fold_in(key, 1), shape, dtype), 2 * math.pi)))
