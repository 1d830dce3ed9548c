"""Parts of the derivatives of linear algebra and Fourier transforms. `vjp` and `jvp` put them into their tables.

Sources: Murray 2016, "Differentiation of the Cholesky decomposition"; Walter and Lehmann 2018, "Algorithmic
differentiation of linear algebra functions", section 3.3, for QR.
"""

from __future__ import annotations

import numpy as np

from tlverify.core.ops import functions as f
from tlverify.core.ops import linalg, selection
from tlverify.core.ops.apply import Value, apply, beside


def cholesky_vjp(g: Value, y: Value, x: Value) -> Value:
    """The symmetric part of L^-T lower(L^T g) L^-1; lower halves the diagonal."""
    inner = _lower_half(f.matmul(linalg.transposed(y), g))
    upper = linalg.transposed(y)
    left = apply("solve", upper, inner)
    both = linalg.transposed(apply("solve", upper, linalg.transposed(left)))
    return f.mul(f.add(both, linalg.transposed(both)), 0.5)


def cholesky_jvp(t: Value, y: Value, x: Value) -> Value:
    """L lower(L^-1 t L^-T), with the symmetric part of t."""
    symmetric = f.mul(f.add(t, linalg.transposed(t)), 0.5)
    left = apply("solve", y, symmetric)
    both = apply("solve", y, linalg.transposed(left))
    return f.matmul(y, _lower_half(both))


def qr_jvp(t: Value, y: Value, x: Value) -> Value:
    """With C = t R^-1 and M = Q^T C: Q (strict(M) - strict(M)^T) + C - Q M."""
    c = _times_inverse(t, f.matmul(linalg.transposed(y), x))
    m = f.matmul(linalg.transposed(y), c)
    strict = selection.tril(m, -1)
    return f.add(f.matmul(y, f.sub(f.sub(strict, linalg.transposed(strict)), m)), c)


def qr_vjp(g: Value, y: Value, x: Value) -> Value:
    """The adjoint of qr_jvp."""
    s = f.matmul(linalg.transposed(y), g)
    skew = selection.tril(f.sub(s, linalg.transposed(s)), -1)
    total = f.add(f.matmul(y, f.sub(skew, s)), g)
    return _times_inverse(total, linalg.transposed(f.matmul(linalg.transposed(y), x)))


def solve_right_vjp(g: Value, y: Value, matrix: Value, right: Value) -> Value:
    return apply("solve", linalg.transposed(matrix), g)


def solve_matrix_vjp(g: Value, y: Value, matrix: Value, right: Value) -> Value:
    return f.neg(f.matmul(solve_right_vjp(g, y, matrix, right), linalg.transposed(y)))


def solve_matrix_jvp(t: Value, y: Value, matrix: Value, right: Value) -> Value:
    return f.neg(apply("solve", matrix, f.matmul(t, y)))


def fft_vjp(g: Value, y: Value, x: Value, *, inverse: int) -> Value:
    """The adjoint of a transform is the other one, up to the factor n."""
    size = float(x.shape[-2])
    other = apply("fft", g, inverse=1 - inverse)
    return f.mul(other, 1.0 / size if inverse else size)


def rfft_vjp(g: Value, y: Value, x: Value) -> Value:
    size = x.shape[-1]
    return apply("irfft", f.div(g, _multiplicity(size, g)), size=size)


def irfft_vjp(g: Value, y: Value, x: Value, *, size: int) -> Value:
    return f.mul(apply("rfft", g), _multiplicity(size, g))


def _multiplicity(size: int, like: Value) -> Value:
    """Over n: how often each frequency of rfft stands in the full transform, (n // 2 + 1, 1)."""
    count = np.full(size // 2 + 1, 2.0)
    count[0] = 1.0
    if size % 2 == 0:
        count[-1] = 1.0
    return beside(count[:, None] / size, like, str(like.dtype))


def _lower_half(x: Value) -> Value:
    return selection.tril(f.mul(x, beside(1.0 - 0.5 * np.eye(x.shape[-1]), x, str(x.dtype))))


def _times_inverse(a: Value, r: Value) -> Value:
    """a r^-1."""
    return linalg.transposed(apply("solve", linalg.transposed(r), linalg.transposed(a)))
