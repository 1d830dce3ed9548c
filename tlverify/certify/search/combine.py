"""Refuting several inequalities together: multipliers w >= 0 such that sum w_k (A_k x + c_k) > 0 on all of a box.

By duality they exist if the least over the box of max_k (A_k x + c_k) is above 0: a linear program in x and one more
variable, solved for many boxes at once by a primal-dual interior-point method (Wright, Primal-Dual Interior-Point
Methods, 1997, ch. 1). Any w >= 0 is valid, so the method may stop as soon as w suffices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ITERATIONS = 25
CENTERING = 0.1
STEP = 0.95  # part of the way to the nearest constraint
ROUGH = (512, 64, 8, 1)  # units of 1/1024 of a multiplier's fraction: digits that are not needed take no space


def least(A: Floats, c: Floats, lower: Floats, upper: Floats) -> Floats:
    """The least value of A x + c over boxes: A (..., n), c (...,), ends that broadcast against A."""
    found: Floats = c + np.where(A > 0, A * lower, A * upper).sum(-1)
    return found


def combine(A: Floats, c: Floats, lower: Floats, upper: Floats) -> Floats:
    """Multipliers (batch, rows), of which the largest is 1: the best, or the first that suffice.

    A is (batch, rows, n), c (batch, rows), ends (batch, n). Rows of zeros with c = 0 stand for nothing.
    """
    return combine_or_meet(A, c, lower, upper)[0]


def combine_or_meet(A: Floats, c: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """The multipliers, and points (batch, n) inside the boxes: where no multipliers suffice, all rows are below 0 there
    (up to rounding)."""
    middle, radius = (lower + upper) / 2, (upper - lower) / 2
    A, c = A * radius[:, None], c + np.einsum("bkn,bn->bk", A, middle)  # x = middle + radius y, |y_i| <= 1
    scale = np.abs(c) + np.abs(A).sum(-1)
    empty = scale == 0
    unit = np.where(empty, 1.0, scale)
    A, c = A / unit[..., None], np.where(empty, -1.0, c / unit)
    batch, rows, n = A.shape
    found, points = np.zeros((batch, rows)), np.zeros((batch, n))
    box = np.concatenate([np.eye(n), -np.eye(n)])
    todo = np.arange(batch)
    y, t = np.zeros((batch, n)), c.max(1) + 1.0
    w, v = np.full((batch, rows), 1.0 / rows), np.full((batch, 2 * n), 1.0 / rows)
    for _ in range(ITERATIONS):
        slack, room = t[:, None] - c - np.einsum("bkn,bn->bk", A, y), 1.0 - y @ box.T
        target = CENTERING * ((w * slack).sum(1) + (v * room).sum(1))[:, None] / (rows + 2 * n)
        # normal equations for the step in (y, t): the constraints are A y - t <= -c and box y <= 1
        p, q = w / slack, v / room
        M = np.empty((len(todo), n + 1, n + 1))
        M[:, :n, :n] = np.einsum("bk,bki,bkj->bij", p, A, A, optimize=True)
        M[:, range(n), range(n)] += q[:, :n] + q[:, n:]
        M[:, :n, n] = M[:, n, :n] = -np.einsum("bk,bki->bi", p, A)
        M[:, n, n] = p.sum(1)
        a, b = target / slack, target / room
        right = np.empty((len(todo), n + 1))
        right[:, :n] = -np.einsum("bk,bki->bi", a, A) - (b[:, :n] - b[:, n:])
        right[:, n] = a.sum(1) - 1.0
        try:
            move = np.linalg.solve(M, right[..., None])[..., 0]
        except np.linalg.LinAlgError:  # at the edge of float64; what is found so far stands
            break
        dy, dt = move[:, :n], move[:, n]
        ds, dr = dt[:, None] - np.einsum("bkn,bn->bk", A, dy), -dy @ box.T
        dw, dv = a - w - p * ds, b - v - q * dr
        far = STEP * np.minimum.reduce([_reach(x, d) for x, d in ((slack, ds), (room, dr), (w, dw), (v, dv))])[:, None]
        y, t, w, v = y + far * dy, t + far[:, 0] * dt, w + far * dw, v + far * dv
        kept = np.where(empty[todo], 0.0, w)
        found[todo], points[todo] = kept, y
        value = np.einsum("bk,bk->b", kept, c) - np.abs(np.einsum("bk,bkn->bn", kept, A)).sum(1)
        reached = (A @ y[..., None])[..., 0] + c
        gap = reached.max(1) - value / kept.sum(1)
        on = (value <= 0.5 * gap) & (reached.max(1) > 0) & (gap > 1e-9)
        if not on.any():
            break
        todo, A, c, y, t, w, v = (part[on] for part in (todo, A, c, y, t, w, v))
    found /= unit
    largest = found.max(1, keepdims=True)
    scaled: Floats = found / np.where(largest > 0, largest, 1.0)
    return scaled, middle + radius * points


def _reach(x: Floats, step: Floats) -> Floats:
    """How far x > 0 can go along a step, (batch,), at most a little over the whole."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(step < 0, -x / step, np.inf)
    far: Floats = np.minimum(ratio.min(1), 1.0 / STEP)
    return far


def words_of(weights: Floats, step: int = 1) -> npt.NDArray[np.uint16]:
    """Multipliers in the 16 bits of a tree's leaf, scaled so that the largest of each row is near 1; see
    kernel.tree.short. Those below 2^-30 of the largest become 0, and fractions are multiples of `step`."""
    largest = weights.max(-1, keepdims=True)
    scaled = weights / np.where(largest > 0, largest, 1.0)
    fraction, power = np.frexp(scaled)
    mantissa = np.round(fraction * (1024 // step)) * step
    over = mantissa == 1024
    mantissa, power = np.where(over, 512, mantissa), np.where(over, power + 1, power)
    exponent = power - 10 + 42
    kept = (scaled > 2.0**-30) & (exponent >= 0)
    words: npt.NDArray[np.uint16] = np.where(kept, mantissa.astype(np.int64) + (exponent << 10), 0).astype(np.uint16)
    return words


def weights_of(words: npt.NDArray[np.uint16]) -> Floats:
    """The multipliers that words mean."""
    weights: Floats = np.ldexp((words & 1023).astype(float), (words >> 10).astype(int) - 42)
    return weights
