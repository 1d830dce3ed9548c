"""Branch and bound on boxes as machine code, one part after another: what branch.py does for many at once. Its
floats are not rounded outward, for the checker decides. Arrays are described in walk.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tlverify.certify.search.boxes import OWN_WIDTH, SMALLEST
from tlverify.certify.search.combine import ROUGH
from tlverify.certify.search.forest import BEGIN, DEPTH, HALF, SPLIT
from tlverify.certify.search.walk_bounds import BASE, SIZE, badness_of, least_of, margin_of, pull, tighten
from tlverify.certify.search.walk_combine import combine_one, meaning_of, word_of
from tlverify.certify.search.walk_jit import jit

DONE, MORE, FOUND, STUCK = 0, 1, 2, 3  # why a walk came back
NODES, OPEN, WORDS, LEAVES, SEED = 0, 1, 2, 3, 4  # places in `counts`
LARGEST_LEAF = 512  # words of a disjunct beyond those of its inequalities


@jit
def _combined(
    A: Any, C: Any, cuts: Any, first: int, own: int, depth: int, box: Any, words: Any, place: int, lp: Any, M: Any
) -> int:
    """The best combination of a disjunct's inequalities, rows of C, and the half-spaces of the path, to row 0 of A. Its
    multipliers are in lp[12], and in `words` to as many digits as will do: what their last digit is worth."""
    n, found = box.shape[1], lp[12]
    for k in range(own + depth):
        for d in range(n + 1):
            A[k, d] = C[first + k, d] if k < own else -cuts[k - own, d]
    combine_one(A, own + depth, box, found, lp, M)
    step = ROUGH[0]
    while True:
        for k in range(own + depth):
            words[place + k] = word_of(found[k], step)
        _weighted(A, C, cuts, first, own, depth, words[place:])
        if step == 1 or least_of(A[0], box) > margin_of(A[0], box):
            break
        step //= 8
    return step


@jit
def _weighted(A: Any, C: Any, cuts: Any, first: int, own: int, depth: int, words: Any) -> None:
    """A disjunct's inequalities, rows of C, and the half-spaces of the path, combined by `words`: to row 0 of A."""
    for d in range(cuts.shape[1]):
        A[0, d] = 0.0
    for k in range(own + depth):
        weight = meaning_of(words[k])
        if weight > 0:
            for d in range(cuts.shape[1]):
                A[0, d] += weight * (C[first + k, d] if k < own else -cuts[k - own, d])


@jit
def _recalled(
    A: Any, C: Any, cuts: Any, first: int, own: int, depth: int, box: Any, words: Any, place: int, known: Any
) -> bool:
    """Whether multipliers that refuted another part do so here: they go to `words`, and to the front of those known."""
    length = own + depth
    for turn in range(known.shape[1]):
        row = known[length, turn]
        if row[-1] == 0:
            return False
        for d in range(cuts.shape[1]):
            A[0, d] = 0.0
        for k in range(own):
            if row[k] > 0:
                for d in range(cuts.shape[1]):
                    A[0, d] += row[k] * C[first + k, d]
        for k in range(depth):
            if row[own + k] > 0:
                for d in range(cuts.shape[1]):
                    A[0, d] -= row[own + k] * cuts[k, d]
        if least_of(A[0], box) > margin_of(A[0], box):
            for k in range(length):
                words[place + k] = word_of(row[k], 1)
            _remember(known, words, place, length, turn)
            return True
    return False


@jit
def _remember(known: Any, words: Any, place: int, length: int, last: int) -> None:
    """Multipliers to the front of those known; row `last` is left out."""
    for turn in range(last, 0, -1):
        for k in range(length):
            known[length, turn, k] = known[length, turn - 1, k]
        known[length, turn, -1] = known[length, turn - 1, -1]
    for k in range(length):
        known[length, 0, k] = meaning_of(words[place + k])
    known[length, 0, -1] = 1


@jit
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
    known: Any,
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
    pull(shape, weights, biases, alive, slopes, room, seen, C, most + most % 2, layers - 1, np.int64(1))
    for k in range(most):
        C[k, n] = C[k, c]
    first: Any = np.int64(0)
    least = np.inf
    for disjunct in range(len(ends)):
        own, top, value = ends[disjunct] - first, first, -np.inf
        for k in range(first, ends[disjunct]):
            here = least_of(C[k, : n + 1], box)
            if here > value:
                top, value = k, here
        value -= margin_of(C[top, : n + 1], box)
        for k in range(own + depth):
            words[place + k] = 0
        words[place + top - first] = 512 + (33 << 10)  # 1
        recall = own + depth < len(known)  # what refuted another part is quick to try, and shorter to store
        while value <= 0 and own + depth > 1:
            recall = recall and _recalled(A, C, cuts, first, own, depth, box, words, place, known)
            step = 1 if recall else _combined(A, C, cuts, first, own, depth, box, words, place, lp, M)
            value = least_of(A[0, : n + 1], box) - margin_of(A[0, : n + 1], box)
            while own > 1:
                # All in one, as the checker takes it: parts of them cancel that were relaxed apart.
                for j in range(before + 1):
                    to = j if j < before else c
                    R[0, to], R[1, to] = 0.0, 0.0
                    for k in range(own):
                        R[0, to] += meaning_of(words[place + k]) * conjuncts[first + k, j]
                pull(shape, weights, biases, alive, slopes, room, seen, R, np.int64(2), layers - 1, np.int64(0))
                R[0, n] = R[0, c]
                for k in range(depth):
                    for d in range(n + 1):
                        R[0, d] -= meaning_of(words[place + own + k]) * cuts[k, d]
                value = least_of(R[0, : n + 1], box) - margin_of(R[0, : n + 1], box)
                if value > 0 or step == 1:
                    break
                step = 1
                for k in range(own + depth):
                    words[place + k] = word_of(lp[12, k], step)
            if not recall:
                if value > 0 and own + depth < len(known):
                    _remember(known, words, place, own + depth, known.shape[1] - 1)
                break
            recall = False
        if value < least:
            least, result[0], result[1] = value, disjunct, place
        place += own + depth
        first = ends[disjunct]
    result[2] = place
    return least


@jit
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
            score[d] += meaning_of(words[place + k]) * C[first + k, d]
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
                coefficient += meaning_of(words[place + k]) * seen[layer, first + k, i]
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


@jit
def _copy(source: Any, target: Any, rows: int) -> None:
    for k in range(rows):
        for d in range(source.shape[1]):
            target[k, d] = source[k, d]


@jit
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
    known: Any,
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
        total = tighten(
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
            known,
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
                slope += meaning_of(words[place + k]) * (C[first + k, d] if k < own else -cuts[k - own, d])
            point[d] = box[0, d] if slope > 0 else box[1, d]
        badness = badness_of(shape, weights, biases, conjuncts, ends, room, point[:n])
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
