"""The a-priori error of an affine map in float32: what no execution can exceed.

For z = W x + b with n terms, any summation tree, any contraction to FMA, and the bias anywhere in the tree,

    |computed - z| <= E = gamma (|W| H + |b|) + (1 + gamma) ((2n + 2) t + t (|H|_1 + |W_i|_1 + n t)),

where gamma = (n + 1) u / (1 - (n + 1) u), t = 2^-126, and H >= |x|. u is 2^-24 to nearest and 2^-23 in any
direction. The terms in t pay for gradual underflow, for flushing every result, and for flushing every operand. Source
of gamma: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 3.1. Not covered: Winograd,
Strassen, Fourier transforms, operands of fewer bits (TF32), and emulated products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.core.binary32.format import Binary32Error

LEAST_NORMAL = 2.0**-126
OVERFLOW = 2.0**127 / 1.01  # below this, no partial sum of any tree overflows


def affine_error(weight: Any, bias: Any, magnitude: Any, directed: bool = False) -> npt.NDArray[np.float64]:
    """E of each output, as float64 and rounded upwards; infinity where a partial sum might overflow.

    `weight` (m, n), `bias` (m,) and `magnitude` (n,) >= |x| hold finite numbers. `directed` covers every rounding
    direction, otherwise only nearest. Binary32Error if a shape or a number does not fit, or n >= 2^20.
    """
    w, b, h = (np.abs(np.asarray(array, np.float64)) for array in (weight, bias, magnitude))
    if w.ndim != 2 or b.shape != w.shape[:1] or h.shape != w.shape[1:]:
        expected = "weight (m, n), bias (m,), magnitude (n,)"
        raise Binary32Error(f"affine_error: expected {expected}, found {w.shape}, {b.shape}, {h.shape}")
    if not all(np.isfinite(array).all() for array in (w, b, h)):
        raise Binary32Error("affine_error: expected finite numbers, found an infinity or a NaN")
    n = w.shape[1]
    if n >= 1 << 20:
        raise Binary32Error(f"affine_error: expected fewer than 2^20 terms, found {n}")
    unit = 2.0**-23 if directed else 2.0**-24
    gamma = (n + 1) * unit / (1 - (n + 1) * unit)
    with np.errstate(over="ignore", under="ignore"):
        size = w @ h + b
        flushed = LEAST_NORMAL * (2 * n + 2 + h.sum() + w.sum(axis=1) + n * LEAST_NORMAL)
        error = gamma * size + (1 + gamma) * flushed
        # Every number here is >= 0, so float64 loses at most a factor (1 - 2^-53)^(2n + 16).
        upward = 1 + (4 * n + 64) * 2.0**-52
        return np.asarray(np.where(size * upward < OVERFLOW, error * upward, np.inf), np.float64)
