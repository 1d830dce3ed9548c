"""Bounds of one part of a region, as machine code: what boxes.py does for many at once. Arrays are as in walk.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlverify.certify.search.walk_jit import jit, jit_sums
from tlverify.certify.search.walk_tiles import MISSED_BY, ROWS, multiply, relax_row

SIZE, WIDTH, BASE, START, RELU = 0, 1, 2, 3, 4  # in a row of `shape`
CLOSED = 1e-10  # a bound exceeds 0 by this part of its terms
MISSED = 1 + 2.0**-18  # for the checker's own rounding of errors


@jit
def pull(
    shape: Any,
    weights: Any,
    biases: Any,
    alive: Any,
    slopes: Any,
    room: Any,
    seen: Any,
    R: Any,
    m: int,
    top: int,
    keep: int,
) -> None:
    """Rows R over the ReLUs of layer `top` become rows over the inputs; m is even. With `keep` they are noted on their
    way."""
    c = R.shape[1] - 1
    for layer in range(top, -1, -1):
        size, width, start = shape[layer, SIZE], shape[layer, WIDTH], shape[layer, START]
        W, which = weights[start : start + size * width].reshape(size, width), alive[layer]
        if keep:
            for k in range(m):
                for i in range(size):
                    seen[layer, k, i] = R[k, i]
        r: Any = np.int64(0)
        while r < m:
            rows = ROWS if r + 2 < m else 2
            for k in range(rows):
                R[r + k, c] += relax_row(R, r + k, room, np.int64(k), slopes[layer], size)
            multiply(R, r, rows, room, W, which, which[-1])
            r += rows


@jit
def least_of(row: Any, box: Any) -> float:
    """The least value of a row over the box, with its constant at the end."""
    total: float = row[-1]
    for d in range(box.shape[1]):
        total += row[d] * (box[0, d] if row[d] > 0 else box[1, d])
    return total


@jit
def margin_of(row: Any, box: Any) -> float:
    """What its least value must exceed."""
    total: float = abs(row[-1])
    for d in range(box.shape[1]):
        total += abs(row[d]) * max(abs(box[0, d]), abs(box[1, d]))
    return CLOSED * total


@jit
def _relax(size: int, base: int, relu: int, which: Any, slopes: Any, table: Any) -> int:
    """The slopes of a layer by its bounds; how many of its neurons may have either sign."""
    count, either = 0, 0
    for i in range(size):
        low, high = (table[0, base + i], table[1, base + i]) if relu else (0.0, 1.0)
        if low < 0 and high <= 0:  # as in interval.relax, also where nothing is between them
            slopes[0, i], slopes[1, i], slopes[2, i] = 0.0, 0.0, 0.0
            continue
        which[count] = i
        count += 1
        below, chord, down = 1.0, 1.0, 0.0
        if low < 0:
            either += 1
            below, chord, down = (1.0 if high > -low else 0.0), high / (high - low), low
        slopes[0, i], slopes[1, i], slopes[2, i] = below, chord, down
    which[-1] = count
    return either


@jit_sums
def badness_of(shape: Any, weights: Any, biases: Any, conjuncts: Any, ends: Any, room: Any, point: Any) -> float:
    """How deep a point is in the bad set, by the network's own values."""
    before = conjuncts.shape[1] - 1
    now, after = room[0], room[1]
    size = shape[0, WIDTH]
    for d in range(size):
        now[d] = point[d] if d < len(point) else 0.0
    for layer in range(len(shape)):
        width, base, start = shape[layer, WIDTH], shape[layer, BASE], shape[layer, START]
        size = shape[layer, SIZE]
        W = weights[start : start + size * width].reshape(size, width)
        for i in range(size):
            row, total = W[i], biases[base + i]
            for j in range(width):
                total += row[j] * now[j]
            after[i] = max(total, 0.0) if shape[layer, RELU] else total
        for i in range(size, len(after)):
            after[i] = 0.0
        now, after = after, now
    worst, first = -np.inf, 0
    for end in ends:
        least = np.inf
        for k in range(first, end):
            total = conjuncts[k, before]
            for j in range(before):
                total += conjuncts[k, j] * now[j]
            least = min(least, -total)
        worst = max(worst, least)
        first = end
    return worst


@jit_sums
def _forward(
    shape: Any, weights: Any, biases: Any, slopes: Any, errors: Any, room: Any, box: Any, table: Any, layer: int
) -> None:
    """Interval bounds of a layer, and what an execution in float32 may miss its values by, as in contract.py."""
    size, width, base, start = shape[layer, SIZE], shape[layer, WIDTH], shape[layer, BASE], shape[layer, START]
    W = weights[start : start + size * width].reshape(size, width)
    middle, radius = room[0], room[1]
    before, far = box.shape[1] if layer == 0 else shape[layer - 1, SIZE], 0.0
    for j in range(width):
        low, high = 0.0, 0.0
        if j < before and layer == 0:
            low, high = box[0, j], box[1, j]
        elif j < before:
            low, high = table[0, shape[layer - 1, BASE] + j], table[1, shape[layer - 1, BASE] + j]
            if shape[layer - 1, RELU]:
                low, high = max(low, 0.0), max(high, 0.0)
        middle[j], radius[j] = (low + high) / 2, (high - low) / 2
        far += abs(middle[j]) + radius[j]
    for i in range(size):
        row, g = W[i], base + i
        center, around, total = biases[g], 0.0, abs(biases[g])
        for j in range(width):
            weight, magnitude = row[j], abs(row[j])
            center += weight * middle[j]
            around += magnitude * radius[j]
            total += magnitude * (abs(middle[j]) + radius[j])
        missed = (errors[0, g] * total + errors[1, g] + errors[2, g] * far) * MISSED
        slopes[layer, MISSED_BY, i] = missed
        table[0, g] = max(table[0, g], center - around - missed)
        table[1, g] = min(table[1, g], center + around + missed)


@jit
def tighten(
    shape: Any,
    weights: Any,
    biases: Any,
    errors: Any,
    alive: Any,
    slopes: Any,
    room: Any,
    seen: Any,
    R: Any,
    box: Any,
    table: Any,
    planes: Any,
    shares: Any,
    either: Any,
) -> int:
    """Bound the neurons that may have either sign again; how many still may."""
    n, total, c, chosen = box.shape[1], 0, R.shape[1] - 1, either[1]
    for layer in range(len(shape)):
        size, width, base, start = shape[layer, SIZE], shape[layer, WIDTH], shape[layer, BASE], shape[layer, START]
        W = weights[start : start + size * width].reshape(size, width)
        if errors.shape[1]:
            _forward(shape, weights, biases, slopes, errors, room, box, table, layer)
        m = np.int64(0)
        for i in range(size):
            if shape[layer, RELU] and table[0, base + i] < 0 < table[1, base + i]:
                row, r0, r1 = W[i], R[m], R[m + 1]
                for j in range(width):
                    r0[j], r1[j] = row[j], -row[j]
                missed = slopes[layer, MISSED_BY, i]
                r0[c], r1[c] = biases[base + i] - missed, -biases[base + i] - missed
                chosen[m >> 1] = i
                m += np.int64(2)
        pull(shape, weights, biases, alive, slopes, room, seen, R, m, layer - 1, np.int64(0))
        for r in range(0, m, 2):
            g, r0, r1 = base + chosen[r >> 1], R[r], R[r + 1]
            r0[n], r1[n] = r0[c], r1[c]  # the constants after the inputs
            table[0, g] = max(table[0, g], least_of(r0[: n + 1], box))
            table[1, g] = min(table[1, g], -least_of(r1[: n + 1], box))
            moved = 0.0
            for d in range(n):
                shares[g, d] = (abs(r0[d]) + abs(r1[d])) * (box[1, d] - box[0, d])
                moved += shares[g, d]
            for d in range(n):
                shares[g, d] /= max(moved, 1e-300)
            for d in range(n + 1):
                planes[g, 0, d], planes[g, 1, d] = -r0[d], -r1[d]
        either[0, layer] = _relax(size, base, shape[layer, RELU], alive[layer], slopes[layer], table)
        total += either[0, layer]
    return total
