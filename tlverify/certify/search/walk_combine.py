"""Multipliers that refute several inequalities together in one part, as machine code: combine.py for many at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tlverify.certify.search.combine import CENTERING, ITERATIONS, STEP
from tlverify.certify.search.walk_jit import jit


@jit
def word_of(x: float, step: int) -> int:
    """A multiplier in [0, 1] in 16 bits, as combine.words_of, of which the last ones are 0: digits that are not needed
    take no space in a certificate."""
    if x <= 2.0**-30:
        return 0
    fraction, power = math.frexp(x)
    mantissa = int(np.rint(fraction * (1024 // step))) * step
    if mantissa == 1024:
        mantissa, power = 512, power + 1
    exponent = power - 10 + 42
    return mantissa + (exponent << 10) if exponent >= 0 else 0


@jit
def meaning_of(word: int) -> float:
    return math.ldexp(float(word & 1023), (word >> 10) - 42)


@jit
def _solve(M: Any, x: Any, n: int) -> bool:
    """M x = x in place by Cholesky; whether M is positive."""
    for j in range(n):
        for k in range(j):
            M[j, j] -= M[j, k] * M[j, k]
        if not M[j, j] > 0:
            return False
        M[j, j] = math.sqrt(M[j, j])
        for i in range(j + 1, n):
            for k in range(j):
                M[i, j] -= M[i, k] * M[j, k]
            M[i, j] /= M[j, j]
    for i in range(n):
        for k in range(i):
            x[i] -= M[i, k] * x[k]
        x[i] /= M[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= M[k, i] * x[k]
        x[i] /= M[i, i]
    return True


@jit
def combine_one(A: Any, rows: int, box: Any, found: Any, lp: Any, M: Any) -> None:
    """combine.combine for one box and rows with constants, which are overwritten; multipliers to `found`, the largest
    of them 1. `lp` and M are space."""
    n = box.shape[1]
    unit, w, v, slack, room, c = lp[0], lp[1], lp[2], lp[3], lp[4], lp[5]
    dw, dv, ds, dr, y, x = lp[6], lp[7], lp[8], lp[9], lp[10], lp[11]
    for k in range(rows):
        total, c[k] = 0.0, A[k, n]
        for d in range(n):
            c[k] += A[k, d] * (box[0, d] + box[1, d]) / 2
            A[k, d] *= (box[1, d] - box[0, d]) / 2
            total += abs(A[k, d])
        total += abs(c[k])
        unit[k] = total if total > 0 else 1.0
        for d in range(n):
            A[k, d] /= unit[k]
        c[k] = c[k] / unit[k] if total > 0 else -1.0
    t = -np.inf
    for k in range(rows):
        t = max(t, c[k])
        w[k] = 1.0 / rows
        found[k] = w[k]
    t += 1.0
    for d in range(n):
        y[d] = 0.0
        v[d], v[n + d] = 1.0 / rows, 1.0 / rows
    for _ in range(ITERATIONS):
        target = 0.0
        for k in range(rows):
            total = t - c[k]
            for d in range(n):
                total -= A[k, d] * y[d]
            slack[k] = total
            target += w[k] * total
        for d in range(n):
            room[d], room[n + d] = 1.0 - y[d], 1.0 + y[d]
            target += v[d] * room[d] + v[n + d] * room[n + d]
        target *= CENTERING / (rows + 2 * n)
        for i in range(n + 1):
            x[i] = 0.0
            for j in range(n + 1):
                M[i, j] = 0.0
        for k in range(rows):
            p, a = w[k] / slack[k], target / slack[k]
            for i in range(n):
                x[i] -= a * A[k, i]
                for j in range(i + 1):
                    M[i, j] += p * A[k, i] * A[k, j]
                M[n, i] -= p * A[k, i]
            M[n, n] += p
            x[n] += a
        x[n] -= 1.0
        for d in range(n):
            M[d, d] += v[d] / room[d] + v[n + d] / room[n + d]
            x[d] -= target / room[d] - target / room[n + d]
        if not _solve(M, x, n + 1):
            return
        far = 1.0 / STEP
        for k in range(rows):
            total = x[n]
            for d in range(n):
                total -= A[k, d] * x[d]
            ds[k] = total
            dw[k] = target / slack[k] - w[k] - w[k] / slack[k] * total
            if ds[k] < 0:
                far = min(far, -slack[k] / ds[k])
            if dw[k] < 0:
                far = min(far, -w[k] / dw[k])
        for e in range(2 * n):
            dr[e] = -x[e] if e < n else x[e - n]
            dv[e] = target / room[e] - v[e] - v[e] / room[e] * dr[e]
            if dr[e] < 0:
                far = min(far, -room[e] / dr[e])
            if dv[e] < 0:
                far = min(far, -v[e] / dv[e])
        far *= STEP
        value, reached, total = 0.0, -np.inf, 0.0
        for d in range(n):
            y[d] += far * x[d]
        t += far * x[n]
        for e in range(2 * n):
            v[e] += far * dv[e]
        for k in range(rows):
            w[k] += far * dw[k]
            found[k] = w[k]
            value += w[k] * c[k]
            total += w[k]
            here = c[k]
            for d in range(n):
                here += A[k, d] * y[d]
            reached = max(reached, here)
        for d in range(n):
            column = 0.0
            for k in range(rows):
                column += w[k] * A[k, d]
            value -= abs(column)
        gap = reached - value / total
        if not (value <= 0.5 * gap and reached > 0 and gap > 1e-9):
            break
    largest = 0.0
    for k in range(rows):
        found[k] /= unit[k]
        largest = max(largest, found[k])
    for k in range(rows):
        found[k] = found[k] / largest if largest > 0 else found[k]
