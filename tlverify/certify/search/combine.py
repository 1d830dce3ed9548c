"""Refuting several inequalities together: the best combination of linear functions over a box.

Given functions A_k x + c_k, find multipliers w >= 0 such that the least value of sum w_k (A_k x + c_k) over the box is
above 0. Coordinate ascent on the dual: along one multiplier that least value is concave and piecewise linear, with
breakpoints where a coefficient of the sum changes sign.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDS = 4


def least(A: Floats, c: Floats, lower: Floats, upper: Floats) -> Floats:
    """The least value of A x + c over boxes: A (..., n), c (...,), ends that broadcast against A."""
    return c + np.where(A > 0, A * lower, A * upper).sum(-1)


def combine(
    A: Floats,
    c: Floats,
    conjuncts: int,
    start: npt.NDArray[np.intp],
    lower: Floats,
    upper: Floats,
    rounds: int = ROUNDS,
) -> tuple[Floats, Floats]:
    """Multipliers (batch, rows) and the value that they reach (batch,).

    A is (batch, rows, n), c (batch, rows), ends (batch, n). The multipliers of the first `conjuncts` rows sum to 1, and
    begin with 1 for the row `start` (batch,); those of the others are free. Rows of zeros with c = 0 change nothing.
    """
    batch, rows, _ = A.shape
    every = np.arange(batch)
    weights = np.zeros((batch, rows))
    weights[every, start] = 1.0
    own, own_constant = A[every, start], c[every, start]  # the conjuncts' part of the sum
    row, constant = own, own_constant
    value = least(row, constant, lower, upper)
    for _ in range(rounds):
        before = value
        for k in range(rows):
            mixed = k < conjuncts  # towards this conjunct, away from the others
            step, gain = (A[:, k] - own, c[:, k] - own_constant) if mixed else (A[:, k], c[:, k])
            weight = weights[:, k : k + 1]
            down = -weight / np.maximum(1.0 - weight, 1e-12) if mixed else -weight
            with np.errstate(divide="ignore", invalid="ignore"):
                t = np.where(step != 0, -row / step, 0.0)
            t = np.clip(np.where(np.isfinite(t), t, 0.0), down, 1.0 if mixed else np.inf)
            t = np.concatenate([t, np.maximum(down, -1e6)], 1)
            tried = row[:, None, :] + t[..., None] * step[:, None, :]
            found = least(tried, constant[:, None] + t * gain[:, None], lower[:, None], upper[:, None])
            best = found.argmax(1)
            better = found[every, best] > value
            move = np.where(better, t[every, best], 0.0)
            row = row + move[:, None] * step
            constant = constant + move * gain
            if mixed:
                own, own_constant = own + move[:, None] * step, own_constant + move * gain
                weights[:, :conjuncts] *= (1 - move)[:, None]
            weights[:, k] += move
            value = np.where(better, found[every, best], value)
        if (value <= before + 1e-9 * np.abs(before)).all():
            break
    return np.maximum(weights, 0.0), value


def words_of(weights: Floats) -> npt.NDArray[np.uint16]:
    """Multipliers in the 16 bits of a tree's leaf, scaled so that the largest of each row is near 1; see
    kernel.tree.short. Those below 2^-30 of the largest become 0."""
    largest = weights.max(-1, keepdims=True)
    scaled = weights / np.where(largest > 0, largest, 1.0)
    fraction, power = np.frexp(scaled)
    mantissa = np.round(fraction * 1024)
    over = mantissa == 1024
    mantissa, power = np.where(over, 512, mantissa), np.where(over, power + 1, power)
    exponent = power - 10 + 42
    kept = (scaled > 2.0**-30) & (exponent >= 0)
    words: npt.NDArray[np.uint16] = np.where(kept, mantissa.astype(np.int64) + (exponent << 10), 0).astype(np.uint16)
    return words


def weights_of(words: npt.NDArray[np.uint16]) -> Floats:
    """The multipliers that words mean."""
    return np.ldexp((words & 1023).astype(float), (words >> 10).astype(int) - 42)
