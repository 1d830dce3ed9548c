"""The search on boxes as machine code, one part after another: what boxes.py, combine.py and input_split.py do for many
at once. Its floats are not rounded outward, for the checker decides. Arrays are described in walk.py."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from tlverify.certify.search.boxes import OWN_WIDTH, SMALLEST
from tlverify.certify.search.combine import CENTERING, ITERATIONS, ROUGH, STEP

DONE, MORE, FOUND, STUCK = 0, 1, 2, 3  # why a walk came back
NODES, OPEN, WORDS, LEAVES, SEED = 0, 1, 2, 3, 4  # places in `counts`
SIZE, WIDTH, BASE, START, RELU = 0, 1, 2, 3, 4  # in a row of `shape`
SPLIT, HALF, DEPTH, BEGIN = 0, 1, 2, 3  # in a row of `nodes`
LARGEST_LEAF = 512  # words of a disjunct beyond those of its inequalities
CLOSED = 1e-10  # a bound exceeds 0 by this part of its terms
MISSED = 1 + 2.0**-18  # for the checker's own rounding of errors

# Literal numbers are given as np.int64, or a function would be compiled for each of them.
_jit = numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", nogil=True)


@_jit
def _pull(
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
    below, chord, down, missed = slopes[0], slopes[1], slopes[2], slopes[3]
    s0, s1, t0, t1 = room[0], room[1], room[2], room[3]
    c = R.shape[1] - 1
    for layer in range(top, -1, -1):
        size, width, base, start = shape[layer, SIZE], shape[layer, WIDTH], shape[layer, BASE], shape[layer, START]
        W, which, count = weights[start : start + size * width].reshape(size, width), alive[layer], alive[layer, -1]
        if keep:
            for r in range(m):
                for i in range(size):
                    seen[layer, r, i] = R[r, i]
        # Rows and arrays of a view each: only then are the inner loops made of vectors.
        for r in range(0, m, 2):
            r0, r1 = R[r], R[r + 1]
            first, second = r0[c], r1[c]
            for q in range(count):
                i = which[q]
                g = base + i
                a, b = r0[i], r1[i]
                if a >= 0:
                    a *= below[g]
                else:
                    a *= chord[g]
                    first -= a * down[g]
                if b >= 0:
                    b *= below[g]
                else:
                    b *= chord[g]
                    second -= b * down[g]
                s0[q], s1[q] = a, b
                first += a * biases[g] - abs(a) * missed[g]
                second += b * biases[g] - abs(b) * missed[g]
            for j in range(width):
                t0[j], t1[j] = 0.0, 0.0
            q = 0
            while q + 4 <= count:
                w0, w1, w2, w3 = W[which[q]], W[which[q + 1]], W[which[q + 2]], W[which[q + 3]]
                a0, a1, a2, a3 = s0[q], s0[q + 1], s0[q + 2], s0[q + 3]
                b0, b1, b2, b3 = s1[q], s1[q + 1], s1[q + 2], s1[q + 3]
                for j in range(width):
                    t0[j] += a0 * w0[j] + a1 * w1[j] + a2 * w2[j] + a3 * w3[j]
                    t1[j] += b0 * w0[j] + b1 * w1[j] + b2 * w2[j] + b3 * w3[j]
                q += 4
            while q < count:
                w0, a0, b0 = W[which[q]], s0[q], s1[q]
                for j in range(width):
                    t0[j] += a0 * w0[j]
                    t1[j] += b0 * w0[j]
                q += 1
            for j in range(width):
                r0[j], r1[j] = t0[j], t1[j]
            r0[c], r1[c] = first, second


@_jit
def _least(row: Any, box: Any) -> float:
    """The least value of a row over the box, with its constant at the end."""
    total: float = row[-1]
    for d in range(box.shape[1]):
        total += row[d] * (box[0, d] if row[d] > 0 else box[1, d])
    return total


@_jit
def _margin(row: Any, box: Any) -> float:
    """What its least value must exceed."""
    total: float = abs(row[-1])
    for d in range(box.shape[1]):
        total += abs(row[d]) * max(abs(box[0, d]), abs(box[1, d]))
    return CLOSED * total


@_jit
def _relax(size: int, base: int, relu: int, which: Any, slopes: Any, table: Any) -> int:
    """The slopes of a layer by its bounds; how many of its neurons may have either sign."""
    count, either = 0, 0
    for i in range(size):
        low, high = (table[0, base + i], table[1, base + i]) if relu else (0.0, 1.0)
        if low < 0 and high <= 0:  # as in interval.relax, also where nothing is between them
            continue
        which[count] = i
        count += 1
        below, chord, down = 1.0, 1.0, 0.0
        if low < 0:
            either += 1
            below, chord, down = (1.0 if high > -low else 0.0), high / (high - low), low
        slopes[0, base + i], slopes[1, base + i], slopes[2, base + i] = below, chord, down
    which[-1] = count
    return either


@_jit
def _word(x: float, step: int) -> int:
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


@_jit
def _meaning(word: int) -> float:
    return math.ldexp(float(word & 1023), (word >> 10) - 42)


@_jit
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


@_jit
def _combine(A: Any, rows: int, box: Any, found: Any, lp: Any, M: Any) -> None:
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


@_jit
def _badness(shape: Any, weights: Any, biases: Any, conjuncts: Any, ends: Any, room: Any, point: Any) -> float:
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


@_jit
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
        slopes[3, g] = (errors[0, g] * total + errors[1, g] + errors[2, g] * far) * MISSED
        table[0, g] = max(table[0, g], center - around - slopes[3, g])
        table[1, g] = min(table[1, g], center + around + slopes[3, g])


@_jit
def _tables(
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
                missed = slopes[3, base + i]
                r0[c], r1[c] = biases[base + i] - missed, -biases[base + i] - missed
                chosen[m >> 1] = i
                m += np.int64(2)
        _pull(shape, weights, biases, alive, slopes, room, seen, R, m, layer - 1, np.int64(0))
        for r in range(0, m, 2):
            g, r0, r1 = base + chosen[r >> 1], R[r], R[r + 1]
            r0[n], r1[n] = r0[c], r1[c]  # the constants after the inputs
            table[0, g] = max(table[0, g], _least(r0[: n + 1], box))
            table[1, g] = min(table[1, g], -_least(r1[: n + 1], box))
            moved = 0.0
            for d in range(n):
                shares[g, d] = (abs(r0[d]) + abs(r1[d])) * (box[1, d] - box[0, d])
                moved += shares[g, d]
            for d in range(n):
                shares[g, d] /= max(moved, 1e-300)
            for d in range(n + 1):
                planes[g, 0, d], planes[g, 1, d] = -r0[d], -r1[d]
        either[0, layer] = _relax(size, base, shape[layer, RELU], alive[layer], slopes, table)
        total += either[0, layer]
    return total


@_jit
def _combined(
    A: Any, C: Any, cuts: Any, first: int, own: int, depth: int, box: Any, words: Any, place: int, lp: Any, M: Any
) -> int:
    """The best combination of a disjunct's inequalities, rows of C, and the half-spaces of the path, to row 0 of A. Its
    multipliers are in lp[12], and in `words` to as many digits as will do: what their last digit is worth."""
    n, found = box.shape[1], lp[12]
    for k in range(own + depth):
        for d in range(n + 1):
            A[k, d] = C[first + k, d] if k < own else -cuts[k - own, d]
    _combine(A, own + depth, box, found, lp, M)
    step = ROUGH[0]
    while True:
        for d in range(n + 1):
            A[0, d] = 0.0
        for k in range(own + depth):
            words[place + k] = _word(found[k], step)
            weight = _meaning(words[place + k])
            for d in range(n + 1):
                A[0, d] += weight * (C[first + k, d] if k < own else -cuts[k - own, d])
        if step == 1 or _least(A[0], box) > _margin(A[0], box):
            break
        step //= 8
    return step


@_jit
def _refute(
    shape: Any,
    weights: Any,
    biases: Any,
    alive: Any,
    slopes: Any,
    room: Any,
    seen: Any,
    R: Any,
    box: Any,
    conjuncts: Any,
    ends: Any,
    C: Any,
    A: Any,
    cuts: Any,
    depth: int,
    words: Any,
    place: int,
    lp: Any,
    M: Any,
    result: Any,
) -> float:
    """Bound the bad set: the least bound of a disjunct. `result`: which one that is, where its words begin, and where
    all end."""
    n, most, layers, before = box.shape[1], len(conjuncts), len(shape), conjuncts.shape[1] - 1
    c = R.shape[1] - 1
    for k in range(most + most % 2):
        for j in range(before):
            C[k, j] = conjuncts[k, j] if k < most else 0.0
        C[k, c] = conjuncts[k, before] if k < most else 0.0
    _pull(shape, weights, biases, alive, slopes, room, seen, C, most + most % 2, layers - 1, np.int64(1))
    for k in range(most):
        C[k, n] = C[k, c]
    first: Any = np.int64(0)
    least = np.inf
    for disjunct in range(len(ends)):
        own, top, value = ends[disjunct] - first, first, -np.inf
        for k in range(first, ends[disjunct]):
            here = _least(C[k, : n + 1], box)
            if here > value:
                top, value = k, here
        value -= _margin(C[top, : n + 1], box)
        for k in range(own + depth):
            words[place + k] = 0
        words[place + top - first] = 512 + (33 << 10)  # 1
        if value <= 0 and own + depth > 1:
            step = _combined(A, C, cuts, first, own, depth, box, words, place, lp, M)
            value = _least(A[0, : n + 1], box) - _margin(A[0, : n + 1], box)
            while own > 1:
                # All in one, as the checker takes it: parts of them cancel that were relaxed apart.
                for j in range(before + 1):
                    to = j if j < before else c
                    R[0, to], R[1, to] = 0.0, 0.0
                    for k in range(own):
                        R[0, to] += _meaning(words[place + k]) * conjuncts[first + k, j]
                _pull(shape, weights, biases, alive, slopes, room, seen, R, np.int64(2), layers - 1, np.int64(0))
                R[0, n] = R[0, c]
                for k in range(depth):
                    for d in range(n + 1):
                        R[0, d] -= _meaning(words[place + own + k]) * cuts[k, d]
                value = _least(R[0, : n + 1], box) - _margin(R[0, : n + 1], box)
                if value > 0 or step == 1:
                    break
                step = 1
                for k in range(own + depth):
                    words[place + k] = _word(lp[12, k], step)
        if value < least:
            least, result[0], result[1] = value, disjunct, place
        place += own + depth
        first = ends[disjunct]
    result[2] = place
    return least


@_jit
def _choose(
    shape: Any,
    seen: Any,
    box: Any,
    table: Any,
    C: Any,
    shares: Any,
    either: Any,
    words: Any,
    place: int,
    first: int,
    own: int,
    phases: bool,
    score: Any,
) -> int:
    """What to split: an input, or the number of inputs + a neuron if it is to be a phase; -1 if nothing is left."""
    n = box.shape[1]
    for d in range(n):
        score[d] = 0.0
        for k in range(own):
            score[d] += _meaning(words[place + k]) * C[first + k, d]
        score[d] = OWN_WIDTH * abs(score[d]) * (box[1, d] - box[0, d])
    split, top = -1, -1.0
    for layer in range(len(shape)):
        if not either[0, layer]:
            continue
        for i in range(shape[layer, SIZE]):
            g = shape[layer, BASE] + i
            low, high = table[0, g], table[1, g]
            if not low < 0 < high:
                continue
            coefficient = 0.0
            for k in range(own):
                coefficient += _meaning(words[place + k]) * seen[layer, first + k, i]
            gap = coefficient * low * high / (high - low) if coefficient < 0 else coefficient * min(-low, high)
            for d in range(n):
                score[d] += gap * shares[g, d]
            if gap + 1e-30 * (high - low) > top:
                split, top = n + g, gap + 1e-30 * (high - low)
        if phases:  # in the earliest layer, where the half-space is exact
            return split
    split, top = -1, -1.0
    for d in range(n):
        if box[1, d] - box[0, d] > SMALLEST * abs(box[1, d]) and score[d] > top:
            split, top = d, score[d]
    return split


@_jit
def _copy(source: Any, target: Any, rows: int) -> None:
    for k in range(rows):
        for d in range(source.shape[1]):
            target[k, d] = source[k, d]


@_jit
def walk(
    shape: Any,
    weights: Any,
    biases: Any,
    errors: Any,
    conjuncts: Any,
    ends: Any,
    units: Any,
    order: Any,
    stacked: Any,
    values: Any,
    boxes: Any,
    tables: Any,
    halves: Any,
    nodes: Any,
    words: Any,
    counts: Any,
    best: Any,
    alive: Any,
    slopes: Any,
    room: Any,
    seen: Any,
    R: Any,
    C: Any,
    A: Any,
    cuts: Any,
    planes: Any,
    shares: Any,
    either: Any,
    lp: Any,
    M: Any,
    box: Any,
    table: Any,
    budget: int,
    phase_limit: int,
    window: int,
) -> int:
    """Work on parts of the stack until `budget` of them are done or something else is to be done: why it ends."""
    n, most, result = len(units), len(conjuncts), either[2]
    point, score = lp[13], lp[14]
    best[n] = -np.inf
    while counts[OPEN] > 0:
        full = counts[WORDS] + len(ends) * (most + LARGEST_LEAF) > len(words)
        if budget <= 0 or counts[NODES] + 2 > len(nodes) or full:
            return MORE
        budget -= 1
        # One of the last parts, at random: they are of several regions, and some may hold a counterexample.
        counts[SEED] = (counts[SEED] * 1103515245 + 12345) & 0x7FFFFFFF
        last = counts[OPEN] - 1
        pick = last - (counts[SEED] >> 8) % min(last + 1, window)
        slot = order[pick]
        order[pick], order[last] = order[last], slot
        counts[OPEN] = last
        number = stacked[slot]
        depth = nodes[number, DEPTH]
        _copy(boxes[slot], box, 2)
        _copy(tables[slot], table, 2)
        _copy(halves[slot], cuts, depth)
        total = _tables(
            shape, weights, biases, errors, alive, slopes, room, seen, R, box, table, planes, shares, either
        )
        least = _refute(
            shape,
            weights,
            biases,
            alive,
            slopes,
            room,
            seen,
            R,
            box,
            conjuncts,
            ends,
            C,
            A,
            cuts,
            depth,
            words,
            counts[WORDS],
            lp,
            M,
            result,
        )
        if least > 0:
            nodes[number, BEGIN] = counts[WORDS]
            counts[WORDS] = result[2]
            counts[LEAVES] += 1
            continue
        # The corner where the relaxation of the worst disjunct is least.
        worst, place = result[0], result[1]
        first = 0 if worst == 0 else ends[worst - 1]
        own = ends[worst] - first
        for d in range(n):
            slope = 0.0
            for k in range(own + depth):
                slope += _meaning(words[place + k]) * (C[first + k, d] if k < own else -cuts[k - own, d])
            point[d] = box[0, d] if slope > 0 else box[1, d]
        badness = _badness(shape, weights, biases, conjuncts, ends, room, point[:n])
        if badness > best[n]:
            for d in range(n):
                best[d] = point[d]
            best[n] = badness
        phases = 0 < total <= phase_limit
        split = _choose(shape, seen, box, table, C, shares, either, words, place, first, own, phases, score)
        if split < 0 or depth + 1 >= len(cuts) or last + 2 > len(order):
            counts[OPEN] += 1
            return STUCK
        half = counts[NODES]
        nodes[number, SPLIT], nodes[number, HALF] = split, half
        for side in range(2):
            slot = order[last + side]
            stacked[slot], values[slot] = half + side, least
            _copy(box, boxes[slot], 2)
            _copy(table, tables[slot], 2)
            _copy(cuts, halves[slot], depth)
            nodes[half + side, SPLIT], nodes[half + side, HALF], nodes[half + side, DEPTH] = -1, -1, depth
            if split >= n:
                nodes[half + side, DEPTH] = depth + 1
                tables[slot, 1 - side, split - n] = 0.0
                for d in range(n + 1):
                    halves[slot, depth, d] = planes[split - n, side, d]
            else:
                unit = units[split]
                boxes[slot, 1 - side, split] = math.floor((box[0, split] + box[1, split]) / (2 * unit)) * unit
        counts[NODES] += 2
        counts[OPEN] += 2
        if badness >= 0:
            return FOUND
    return DONE
