"""The search on boxes as machine code, one part after another: what boxes.py and input_split.py do for many at once.

Its floats are not rounded outward: the checker decides. `Network` arrays: layers of ReLUs in a chain, whose matrices
(size, width of the layer before) lie in one array, each row padded to a multiple of WIDTH.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

WIDTH = 8
DONE, MORE, FOUND, STUCK = 0, 1, 2, 3  # why a walk came back
NODES, OPEN, WORDS, LEAVES, SEED = 0, 1, 2, 3, 4  # places in `counts`
CLOSED = 1e-10  # a bound exceeds 0 by this part of its terms
OWN_WIDTH = 0.1  # as in boxes.py
SMALLEST = 2.0**-40
WINDOW = 64  # parts of the stack of which the next is taken
ITERATIONS, CENTERING, STEP = 25, 0.1, 0.95  # as in combine.py

_jit = numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", boundscheck=False, nogil=True)


@_jit
def _pull(R: Any, c: Any, m: int, top: int, net: Any, phase: Any, seen: Any, keep: bool, S: Any, T: Any) -> None:
    """Rows R (m, width) over the ReLUs of layer `top`, with constants c, become rows over the inputs."""
    sizes, widths, bases, starts, weights, biases = net
    alive, counts, below, chord, down = phase
    for layer in range(top, -1, -1):
        count, base, width, size = counts[layer], bases[layer], widths[layer], sizes[layer]
        W = weights[starts[layer] : starts[layer] + size * width].reshape(size, width)
        which = alive[layer]
        if keep:
            for r in range(m):
                for i in range(size):
                    seen[layer, r, i] = R[r, i]
        # Rows and arrays of a view each: only then are the inner loops made of vectors.
        s0, s1, t0, t1 = S[0], S[1], T[0], T[1]
        for r in range(0, m, 2):
            r0, r1 = R[r], R[r + 1]
            first, second = c[r], c[r + 1]
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
                first += a * biases[g]
                second += b * biases[g]
            c[r], c[r + 1] = first, second
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


@_jit
def _least(row: Any, constant: float, lower: Any, upper: Any, n: int) -> float:
    for d in range(n):
        constant += row[d] * (lower[d] if row[d] > 0 else upper[d])
    return constant


@_jit
def _size(row: Any, constant: float, lower: Any, upper: Any, n: int) -> float:
    total = abs(constant)
    for d in range(n):
        total += abs(row[d]) * max(abs(lower[d]), abs(upper[d]))
    return total


@_jit
def _relax(layer: int, net: Any, phase: Any, L: Any, U: Any) -> int:
    """The slopes of a layer by its bounds; how many of its neurons may have either sign."""
    sizes, _, bases, _, _, _ = net
    alive, counts, below, chord, down = phase
    count, either, base = 0, 0, bases[layer]
    for i in range(sizes[layer]):
        g = base + i
        if U[g] <= 0:
            continue
        alive[layer, count] = i
        count += 1
        if L[g] >= 0:
            below[g], chord[g], down[g] = 1.0, 1.0, 0.0
        else:
            either += 1
            below[g] = 1.0 if U[g] > -L[g] else 0.0
            chord[g], down[g] = U[g] / (U[g] - L[g]), L[g]
    counts[layer] = count
    return either


@_jit
def _word(x: float) -> int:
    """A multiplier in [0, 1] in 16 bits, as combine.words_of."""
    if x <= 2.0**-30:
        return 0
    fraction, power = math.frexp(x)
    mantissa = int(np.rint(fraction * 1024))
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
def _combine(A: Any, c: Any, rows: int, n: int, lower: Any, upper: Any, found: Any, space: Any) -> None:
    """combine.combine for one box: A (rows, n) and c are overwritten; multipliers to `found`, the largest 1."""
    unit, w, v, slack, room, dw, dv, ds, dr, y, M, x = space
    for k in range(rows):
        total = 0.0
        for d in range(n):
            c[k] += A[k, d] * (lower[d] + upper[d]) / 2
            A[k, d] *= (upper[d] - lower[d]) / 2
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
def _badness(point: Any, net: Any, conjuncts: Any, ends: Any, values: Any, n: int) -> float:
    """How deep a point is in the bad set, by the network's own values; `values` (2, width) is space."""
    sizes, widths, bases, starts, weights, biases = net
    rows, constants = conjuncts
    for d in range(n):
        values[0, d] = point[d]
    before = n
    for layer in range(len(sizes)):
        for i in range(sizes[layer]):
            at = starts[layer] + i * widths[layer]
            total = biases[bases[layer] + i]
            for j in range(before):
                total += weights[at + j] * values[0, j]
            values[1, i] = max(total, 0.0)
        before = sizes[layer]
        for i in range(before):
            values[0, i] = values[1, i]
    worst = -np.inf
    first = 0
    for end in ends:
        least = np.inf
        for k in range(first, end):
            total = constants[k]
            for j in range(before):
                total += rows[k, j] * values[0, j]
            least = min(least, -total)
        worst = max(worst, least)
        first = end
    return worst


@_jit
def walk(
    net: Any,
    conjuncts: Any,
    ends: Any,
    units: Any,
    stack: Any,
    counts: Any,
    nodes: Any,
    begins: Any,
    words: Any,
    best: Any,
    budget: int,
    phase_limit: int,
    space: Any,
) -> int:
    """Work on parts of the stack, the last first, until `budget` of them are done or something else is to be done.

    `counts`: nodes, parts on the stack, words, leaves. `nodes` (most, 3): what a node splits (an input, or the number of
    inputs + a neuron; -1 nothing), its half below, and its depth in phase splits; `begins` where a leaf's words begin.
    `best`: the worst point found in this call, and its badness.
    """
    sizes, widths, bases, starts, weights, biases = net
    rows, constants = conjuncts
    S_order, S_number, S_value, S_lower, S_upper, S_low, S_high, S_cuts, S_offs = stack
    phase, R, c, seen, S, T, C, cc, chosen, planes, offs, shares, A, a, found, combine_space, values = space
    n, layers, disjuncts, most = len(units), len(sizes), len(ends), len(constants)
    cuts, cut_offs = np.empty_like(S_cuts[0]), np.empty_like(S_offs[0])
    lower, upper, L, U = np.empty(n), np.empty(n), np.empty_like(S_low[0]), np.empty_like(S_high[0])
    either, score, row, point = np.empty(layers, np.int64), np.empty(n), np.empty(n), np.empty(n)
    gap = np.empty_like(L)
    best[n] = -np.inf
    while counts[OPEN] > 0:
        if budget <= 0 or counts[NODES] + 2 > len(nodes) or counts[WORDS] + disjuncts * (most + 512) > len(words):
            return MORE
        budget -= 1
        # One of the last parts, at random: they are of several regions, and some may hold a counterexample.
        counts[SEED] = (counts[SEED] * 1103515245 + 12345) & 0x7FFFFFFF
        last = counts[OPEN] - 1
        pick = last - (counts[SEED] >> 8) % min(last + 1, WINDOW)
        slot = S_order[pick]
        S_order[pick], S_order[last] = S_order[last], slot
        counts[OPEN] = last
        number = S_number[slot]
        depth = nodes[number, 2]
        lower[:], upper[:], L[:], U[:] = S_lower[slot], S_upper[slot], S_low[slot], S_high[slot]
        for k in range(depth):
            cuts[k], cut_offs[k] = S_cuts[slot, k], S_offs[slot, k]
        # Bounds of neurons that may have either sign, again.
        total = 0
        for layer in range(layers):
            base, before = bases[layer], n if layer == 0 else sizes[layer - 1]
            m = 0
            for i in range(sizes[layer]):
                g = base + i
                if L[g] < 0 < U[g]:
                    at = starts[layer] + i * widths[layer]
                    for j in range(before):
                        R[m, j], R[m + 1, j] = weights[at + j], -weights[at + j]
                    c[m], c[m + 1] = biases[g], -biases[g]
                    chosen[m >> 1] = i
                    m += 2
            if m:
                _pull(R, c, m, layer - 1, net, phase, seen, False, S, T)
                for r in range(0, m, 2):
                    g = base + chosen[r >> 1]
                    L[g] = max(L[g], _least(R[r], c[r], lower, upper, n))
                    U[g] = min(U[g], -_least(R[r + 1], c[r + 1], lower, upper, n))
                    moved = 0.0
                    for d in range(n):
                        planes[g, 0, d], planes[g, 1, d] = -R[r, d], -R[r + 1, d]
                        shares[g, d] = (abs(R[r, d]) + abs(R[r + 1, d])) * (upper[d] - lower[d])
                        moved += shares[g, d]
                    offs[g, 0], offs[g, 1] = -c[r], -c[r + 1]
                    for d in range(n):
                        shares[g, d] /= max(moved, 1e-300)
            either[layer] = _relax(layer, net, phase, L, U)
            total += either[layer]
        # The bad set.
        before = sizes[layers - 1]
        for k in range(most):
            for j in range(before):
                C[k, j] = rows[k, j]
            cc[k] = constants[k]
        if most % 2:
            for j in range(before):
                C[most, j] = 0.0
            cc[most] = 0.0
        _pull(C, cc, most + most % 2, layers - 1, net, phase, seen, True, S, T)
        place, first, worst, least = counts[WORDS], 0, -1, np.inf
        worst_place = place
        for disjunct in range(disjuncts):
            own = ends[disjunct] - first
            top, value = -1, -np.inf
            for k in range(first, ends[disjunct]):
                here = _least(C[k], cc[k], lower, upper, n)
                if here > value:
                    top, value = k, here
            margin = CLOSED * _size(C[top], cc[top], lower, upper, n)
            for k in range(own + depth):
                words[place + k] = 0
            words[place + top - first] = 512 + (33 << 10)
            if value <= margin and own + depth > 1:
                for k in range(own):
                    a[k] = cc[first + k]
                    for d in range(n):
                        A[k, d] = C[first + k, d]
                for k in range(depth):
                    a[own + k] = -cut_offs[k]
                    for d in range(n):
                        A[own + k, d] = -cuts[k, d]
                _combine(A, a, own + depth, n, lower, upper, found, combine_space)
                row[:] = 0.0
                total_c = 0.0
                for k in range(own + depth):
                    words[place + k] = _word(found[k])
                    found[k] = _meaning(words[place + k])
                    for d in range(n):
                        row[d] += found[k] * (C[first + k, d] if k < own else -cuts[k - own, d])
                    total_c += found[k] * (cc[first + k] if k < own else -cut_offs[k - own])
                value = _least(row, total_c, lower, upper, n)
                margin = CLOSED * _size(row, total_c, lower, upper, n)
                if value <= margin and own > 1:  # all in one: parts of the conjuncts cancel that were relaxed apart
                    for j in range(before):
                        R[0, j], R[1, j] = 0.0, 0.0
                    c[0], c[1] = 0.0, 0.0
                    for k in range(own):
                        for j in range(before):
                            R[0, j] += found[k] * rows[first + k, j]
                        c[0] += found[k] * constants[first + k]
                    _pull(R, c, 2, layers - 1, net, phase, seen, False, S, T)
                    for k in range(depth):
                        for d in range(n):
                            R[0, d] -= found[own + k] * cuts[k, d]
                        c[0] -= found[own + k] * cut_offs[k]
                    value = max(value, _least(R[0], c[0], lower, upper, n))
                    margin = max(margin, CLOSED * _size(R[0], c[0], lower, upper, n))
            if value - margin < least:
                least, worst, worst_place = value - margin, disjunct, place
            place += own + depth
            first = ends[disjunct]
        if least > 0:
            begins[number] = counts[WORDS]
            counts[WORDS] = place
            counts[LEAVES] += 1
            continue
        # The corner where the relaxation of the worst disjunct is least.
        first = 0 if worst == 0 else ends[worst - 1]
        own = ends[worst] - first
        row[:] = 0.0
        for k in range(own + depth):
            weight = _meaning(words[worst_place + k])
            for d in range(n):
                row[d] += weight * (C[first + k, d] if k < own else -cuts[k - own, d])
        for d in range(n):
            point[d] = lower[d] if row[d] > 0 else upper[d]
        badness = _badness(point, net, conjuncts, ends, values, n)
        if badness > best[n]:
            best[:n], best[n] = point, badness
        # What to split.
        score[:] = 0.0
        for k in range(own):
            weight = _meaning(words[worst_place + k])
            for d in range(n):
                score[d] += weight * C[first + k, d]
        for d in range(n):
            score[d] = OWN_WIDTH * abs(score[d]) * (upper[d] - lower[d])
        for layer in range(layers):
            if not either[layer]:
                continue
            for i in range(sizes[layer]):
                g = bases[layer] + i
                if not L[g] < 0 < U[g]:
                    continue
                coefficient = 0.0
                for k in range(own):
                    coefficient += _meaning(words[worst_place + k]) * seen[layer, first + k, i]
                if coefficient < 0:
                    gap[g] = coefficient * L[g] * U[g] / (U[g] - L[g])
                else:
                    gap[g] = coefficient * min(-L[g], U[g])
                for d in range(n):
                    score[d] += gap[g] * shares[g, d]
        split, top_score = -1, -1.0
        if 0 < total <= phase_limit:
            layer = 0
            while not either[layer]:
                layer += 1
            for i in range(sizes[layer]):
                g = bases[layer] + i
                if L[g] < 0 < U[g] and gap[g] + 1e-30 * (U[g] - L[g]) > top_score:
                    split, top_score = n + g, gap[g] + 1e-30 * (U[g] - L[g])
        else:
            for d in range(n):
                if upper[d] - lower[d] > SMALLEST * abs(upper[d]) and score[d] > top_score:
                    split, top_score = d, score[d]
        if split < 0 or depth + 1 >= S_cuts.shape[1] or last + 2 > len(S_order):
            counts[OPEN] += 1
            return STUCK
        half = counts[NODES]
        counts[NODES] += 2
        nodes[number, 0], nodes[number, 1] = split, half
        for side in range(2):
            at = S_order[last + side]
            child = half + side
            nodes[child, 0], nodes[child, 1] = -1, -1
            nodes[child, 2] = depth + (1 if split >= n else 0)
            S_number[at], S_value[at] = child, least
            S_lower[at], S_upper[at], S_low[at], S_high[at] = lower, upper, L, U
            for k in range(depth):
                S_cuts[at, k], S_offs[at, k] = cuts[k], cut_offs[k]
            if split >= n:
                g = split - n
                if side:
                    S_low[at, g] = 0.0
                else:
                    S_high[at, g] = 0.0
                S_cuts[at, depth], S_offs[at, depth] = planes[g, side], offs[g, side]
            else:
                middle = math.floor((lower[split] + upper[split]) / (2 * units[split])) * units[split]
                if side:
                    S_lower[at, split] = middle
                else:
                    S_upper[at, split] = middle
        counts[OPEN] += 2
        if badness >= 0:
            return FOUND
    return DONE
