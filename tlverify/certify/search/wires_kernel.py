"""Bounds of many nodes over the wires of a network as machine code: what dual.optimize does over a folded one.

Nodes go in tiles of LANES beside one another, so that every operation is one on vectors. Nothing here is trusted.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

LANES = 32  # nodes of a tile
WIDE = np.uint64(LANES)  # unsigned, for signed indices may count from the end, which keeps loops from becoming vectors
VECTOR = 16  # floats of a vector
# As in wires.py and dual.py, for the cache of machine code knows of changes of this file only.
MOST = 4
SLOPE_ONE, MANTISSA, SINGLE, LEAST = 128, 0xFFFFC000, 2.0**-19, 2.0**-30
CHAINS = 4  # sums of a row that are made beside one another
BLOCK = 32  # columns that are turned at a time

_jit = numba.njit(cache=True, fastmath={"contract", "nsz", "nnan"}, error_model="numpy", nogil=True)


def _sums(width: int) -> Any:
    """A function that adds to `width` totals, LANES each, weights times what stands at places first to last in
    `source`. The totals stay in registers, which no loop in Python is compiled to."""

    @intrinsic
    def sums(typing: Any, totals: Any, places: Any, first: Any, last: Any, weights: Any, at: Any, source: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def data(number: int) -> Any:
                return context.make_array(signature.args[number])(context, builder, arguments[number]).data

            single, word = ir.FloatType(), ir.IntType(64)
            vector = ir.VectorType(single, VECTOR)
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), VECTOR), [0] * VECTOR)
            zero, undefined = ir.Constant(vector, [0.0] * VECTOR), ir.Constant(vector, ir.Undefined)
            out, where, weight, values = data(0), data(1), data(4), data(6)
            start, stop = arguments[2], arguments[3]
            weight = builder.gep(weight, [arguments[5]])
            parts, count = LANES // VECTOR, width * LANES // VECTOR

            def part(pointer: Any, number: int) -> Any:
                place = builder.gep(pointer, [ir.Constant(word, number * VECTOR)])
                return builder.bitcast(place, vector.as_pointer())

            def add_up(sums: Any, k: Any) -> Any:
                """sums + what is at the entry k"""
                place = builder.zext(builder.load(builder.gep(where, [k]), align=4), word)
                here = builder.gep(values, [builder.mul(place, ir.Constant(word, LANES))])
                loaded = [builder.load(part(here, n), align=4) for n in range(parts)]
                base = builder.mul(builder.sub(k, start), ir.Constant(word, width))
                after = []
                for member in range(width):
                    own = builder.load(builder.gep(weight, [builder.add(base, ir.Constant(word, member))]), align=4)
                    wide = builder.insert_element(undefined, own, ir.Constant(ir.IntType(32), 0))
                    wide = builder.shuffle_vector(wide, undefined, lanes)
                    for n in range(parts):
                        product = builder.fmul(wide, loaded[n], flags=("contract",))
                        after.append(builder.fadd(sums[member * parts + n], product, flags=("contract",)))
                return after

            def loop(first: Any, stop: Any, before: Any, chains: int) -> Any:
                """Some entries at a time, each with its own sums, so that none waits for the one before it."""
                entry, body, done = builder.block, builder.append_basic_block(), builder.append_basic_block()
                builder.cbranch(builder.icmp_unsigned("<", first, stop), body, done)
                builder.position_at_end(body)
                k, sums = builder.phi(word), [[builder.phi(vector) for _ in range(count)] for _ in range(chains)]
                after = [add_up(sums[c], builder.add(k, ir.Constant(word, c))) for c in range(chains)]
                following = builder.add(k, ir.Constant(word, chains))
                k.add_incoming(first, entry)
                k.add_incoming(following, body)
                for phi, one, two in _flat(sums, before, after):
                    phi.add_incoming(one, entry)
                    phi.add_incoming(two, body)
                builder.cbranch(builder.icmp_unsigned("<", following, stop), body, done)
                builder.position_at_end(done)
                results = [[builder.phi(vector) for _ in range(count)] for _ in range(chains)]
                for phi, one, two in _flat(results, before, after):
                    phi.add_incoming(one, entry)
                    phi.add_incoming(two, body)
                return results

            chains = CHAINS // width
            total = [builder.load(part(out, n), align=4) for n in range(count)]
            middle = builder.add(start, builder.and_(builder.sub(stop, start), ir.Constant(word, -chains)))
            found = loop(start, middle, [total, *([zero] * count for _ in range(chains - 1))], chains)
            total = found[0]
            for own in found[1:]:
                total = [builder.fadd(one, two) for one, two in zip(total, own, strict=True)]
            if chains > 1:
                (total,) = loop(middle, stop, [total], 1)
            for n in range(count):
                builder.store(total[n], part(out, n), align=4)
            return context.get_dummy_value()

        return types.void(totals, places, types.uint64, types.uint64, weights, types.uint64, source), generate

    return sums


def _flat(*nested: Any) -> Any:
    return zip(*([value for own in lists for value in own] for lists in nested), strict=True)


_sum1, _sum2, _sum4 = _sums(1), _sums(2), _sums(4)


@_jit
def _add(totals: Any, size: int, group: int, matrix: Any, source: Any) -> None:
    """totals (MOST * LANES) += the rows of a group times source."""
    first, places, at, weights = matrix
    start, stop, begin = first[group], first[group + 1], at[group]
    if start < stop:
        if size == 1:
            _sum1(totals, places, start, stop, weights, begin, source)
        elif size == 2:
            _sum2(totals, places, start, stop, weights, begin, source)
        else:
            _sum4(totals, places, start, stop, weights, begin, source)


@_jit
def _pull(wires: Any, fold: Any, start: Any, tile: Any, bounds: Any, which: Any) -> None:
    """Bounds of a tile, and on the way the slopes and losses in use, coefficients and corners."""
    ends, reach, up, _, inputs = wires
    lower, error = bounds
    constant, noise, chord, intercept = fold
    rows_u, rows_t, rows_constant, rows_largest = start
    kinds, kept, a, pulled, signs = tile
    groups, members, sizes, sums = up
    shared = len(rows_u) == 1
    own = np.zeros(MOST * LANES, np.float32)
    gained, most, largest, size = np.zeros((4, LANES), np.float32)
    wrong, blur, base = np.zeros((3, LANES), np.float32)
    for b in range(LANES):
        row = 0 if shared else which[b]
        largest[b], base[b] = rows_largest[row], rows_constant[row]
    for layer in range(len(ends) - 1, -1, -1):
        begin, end, wire, _ = ends[layer]
        if end > begin:
            largest[:] = 0
        for group in range(groups[layer], groups[layer + 1]):
            for m in range(sizes[group]):
                i = begin + members[group, m] - wire
                for b in range(LANES):
                    own[m * LANES + b] = rows_u[0 if shared else which[b], i] if i < end else np.float32(0)
            _add(own, sizes[group], group, sums, pulled)
            for m in range(sizes[group]):
                number = np.uint64(members[group, m])
                i = begin + members[group, m] - wire
                to, here = number * WIDE, np.uint64(m) * WIDE
                if i < end:
                    fixed, shift, high, loss = constant[i], noise[i], chord[i], intercept[i]
                    at = np.uint64(i) * WIDE
                    for b in range(WIDE):
                        value, kind, mine = own[here + b], kinds[at + b], kept[at + b]
                        free = kind == 0
                        slope = (mine if value > 0 else high) if free else np.float32(kind > 0)
                        own_loss = np.float32(0) if (value > 0) | (not free) else loss
                        pull = value * slope + (np.float32(0) if free else mine)
                        a[at + b], pulled[to + b] = value, pull
                        gained[b] += value * own_loss + pull * fixed
                        largest[b] = max(largest[b], max(abs(value), abs(pull)))
                        blur[b] += abs(pull) * shift
                else:
                    for b in range(WIDE):
                        pulled[to + b] = own[here + b]
        far = reach[layer]
        for b in range(WIDE):
            wrong[b] += largest[b] * far
    groups, members, sizes, sums = inputs
    for group in range(len(sizes)):
        for m in range(sizes[group]):
            x = members[group, m]
            for b in range(LANES):
                own[m * LANES + b] = rows_t[0 if shared else which[b], x]
        _add(own, sizes[group], group, sums, pulled)
        for m in range(sizes[group]):
            to, here = np.uint64(members[group, m]) * WIDE, np.uint64(m) * WIDE
            for b in range(WIDE):
                value = own[here + b]
                size[b] += abs(value)
                most[b] = max(most[b], abs(value))
                signs[to + b] = np.float32(1) if value < 0 else np.float32(-1)
    far = reach[len(ends)]
    for b in range(LANES):
        lower[b] = base[b] + gained[b] - size[b] - blur[b]
        error[b] = wrong[b] + most[b] * far + np.float32(SINGLE) * (size[b] + abs(gained[b]) + abs(base[b]))


@_jit
def _push(wires: Any, fold: Any, tile: Any, z: Any) -> None:
    """The inputs z of the unstable neurons at the corners, through the slopes in use."""
    ends, _, _, down, _ = wires
    constant, _, chord, intercept = fold
    kinds, kept, a, value, signs = tile
    groups, members, sizes, sees, sums = down
    own = np.zeros(MOST * LANES, np.float32)
    for layer in range(len(ends)):
        begin, end, wire, _ = ends[layer]
        for group in range(groups[layer], groups[layer + 1]):
            for m in range(sizes[group]):
                i = begin + members[group, m] - wire
                own[m * LANES : (m + 1) * LANES] = constant[i] if i < end else np.float32(0)
            _add(own, sizes[group], group, sees, signs)
            _add(own, sizes[group], group, sums, value)
            for m in range(sizes[group]):
                i = begin + members[group, m] - wire
                to, here = np.uint64(members[group, m]) * WIDE, np.uint64(m) * WIDE
                if i < end:
                    at, high, loss = np.uint64(i) * WIDE, chord[i], intercept[i]
                    for b in range(WIDE):
                        kind, mine = kinds[at + b], own[here + b]
                        line = high * mine + loss if a[at + b] <= 0 else kept[at + b] * mine
                        z[at + b] = mine
                        value[to + b] = line if kind == 0 else np.float32(kind > 0) * mine
                else:
                    for b in range(WIDE):
                        value[to + b] = own[here + b]


@_jit
def _move(kinds: Any, a: Any, z: Any, kept: Any, adam: Any, rates: Any) -> None:
    """A step of Adam of all duals of a tile, and what a certificate keeps of them: slopes in 1/128, multipliers of ten
    bits, these with the sign that they have in a row."""
    dual, first, second, scale = adam
    root, rate = rates
    for p in range(np.uint64(len(dual))):
        kind = np.float32(kinds[p])
        fixed = kind != 0
        gradient = (-kind * scale[p] if fixed else max(a[p], np.float32(0))) * z[p]
        one = first[p] + np.float32(0.1) * (gradient - first[p])
        two = second[p] + np.float32(0.01) * (gradient * gradient - second[p])
        first[p], second[p] = one, two
        moved = dual[p] + one / (np.sqrt(two) * root + np.float32(1e-12)) * rate * scale[p]
        moved = max(moved, np.float32(0))
        moved = moved if fixed else min(moved, np.float32(1))
        dual[p] = moved
        kept[p] = moved if fixed else np.rint(moved * np.float32(SLOPE_ONE)) * np.float32(1 / SLOPE_ONE)
    bits = kept.view(np.uint32)
    for p in range(np.uint64(len(kept))):
        bits[p] = bits[p] & np.uint32(MANTISSA)  # slopes have no more than eight
    for p in range(np.uint64(len(kept))):
        cut = kept[p] if kept[p] >= np.float32(LEAST) else np.float32(0)
        kept[p] = cut if kinds[p] == 0 else -np.float32(kinds[p]) * cut


@_jit
def optimize(
    wires: Any, fold: Any, start: Any, nodes: Any, steps: int, rate: float, decay: float, results: Any
) -> None:
    """dual.optimize, a tile after another. `wires` is (ends, reach, up, down, inputs): `ends` (layers, 4) has first
    and last unstable neuron, then first and last wire; the others are Groups.parts. `fold` is (constant,
    noise, chord, intercept); `start` (u, t, constant, largest), a row for each node or one for all; `nodes` (alpha,
    beta, phase). Fills `results`: lower, error, a, alpha, beta."""
    count, neurons = nodes[0].shape
    room = neurons * LANES
    kept, a, z, dual, first, second, scale, best_kept, best_a = np.zeros((9, room), np.float32)
    kinds = np.zeros(room, np.int8)
    pulled = np.zeros(wires[0][-1, 3] * LANES, np.float32)
    signs = np.zeros(start[1].shape[1] * LANES, np.float32)
    tile = (kinds, kept, a, pulled, signs)
    which = np.zeros(LANES, np.int64)
    lower, error, largest = np.zeros((3, LANES), np.float32)
    best_bounds = np.zeros((2, LANES), np.float32)
    better = np.zeros(LANES, np.bool_)
    for node in range(0, count, LANES):
        real = min(LANES, count - node)
        for b in range(LANES):
            which[b] = node + min(b, real - 1)
        _load(nodes, which, kinds, kept, dual)
        first[:] = 0
        second[:] = 0
        for step in range(steps + 1):
            _pull(wires, fold, start, tile, (lower, error), which)
            for b in range(LANES):
                better[b] = step == 0 or lower[b] > best_bounds[0, b]
                if better[b]:
                    best_bounds[0, b], best_bounds[1, b] = lower[b], error[b]
            _keep(better, best_kept, kept)
            _keep(better, best_a, a)
            if step == steps:
                break
            if step == 0:
                _scales(kinds, a, largest, scale)
            _push(wires, fold, tile, z)
            root = np.float32((1 - 0.99 ** (step + 1)) ** -0.5)
            own_rate = np.float32(rate * decay**step / (1 - 0.9 ** (step + 1)))
            _move(kinds, a, z, kept, (dual, first, second, scale), (root, own_rate))
        _store(node, real, nodes[0], kinds, best_kept, best_a, best_bounds, results)


@_jit
def _load(nodes: Any, which: Any, kinds: Any, kept: Any, dual: Any) -> None:
    """A tile from rows, some columns of all at a time, for that is what a cache holds."""
    alpha, beta, phase = nodes
    for block in range(0, alpha.shape[1], BLOCK):
        for b in range(LANES):
            node = which[b]
            for i in range(block, min(block + BLOCK, alpha.shape[1])):
                p, kind = i * LANES + b, phase[node, i]
                kinds[p] = kind
                if kind == 0:
                    dual[p] = kept[p] = alpha[node, i] * np.float32(1 / SLOPE_ONE)
                else:
                    dual[p] = beta[node, i]
                    kept[p] = -np.float32(kind) * dual[p]


@_jit
def _store(node: int, real: int, alpha: Any, kinds: Any, kept: Any, a: Any, bounds: Any, results: Any) -> None:
    """Rows from a tile."""
    lower, error, out_a, out_alpha, out_beta = results
    for b in range(real):
        lower[node + b], error[node + b] = bounds[0, b], bounds[1, b]
    for block in range(0, alpha.shape[1], BLOCK):
        for b in range(real):
            row = node + b
            for i in range(block, min(block + BLOCK, alpha.shape[1])):
                p = i * LANES + b
                free = kinds[p] == 0
                out_alpha[row, i] = np.uint8(kept[p] * np.float32(SLOPE_ONE)) if free else alpha[row, i]
                out_beta[row, i] = np.float32(0) if free else abs(kept[p])
                out_a[row, i] = a[p]


@_jit
def _keep(better: Any, best: Any, new: Any) -> None:
    for i in range(np.uint64(len(new)) // WIDE):
        for b in range(WIDE):
            p = np.uint64(i) * WIDE + b
            best[p] = new[p] if better[b] else best[p]


@_jit
def _scales(kinds: Any, a: Any, largest: Any, scale: Any) -> None:
    """What a step of a dual is measured by: 1 for a slope, about the coefficient for a multiplier."""
    largest[:] = 0
    for i in range(np.uint64(len(a)) // WIDE):
        for b in range(WIDE):
            largest[b] = max(largest[b], abs(a[np.uint64(i) * WIDE + b]))
    for i in range(np.uint64(len(a)) // WIDE):
        for b in range(WIDE):
            p = np.uint64(i) * WIDE + b
            fixed = abs(a[p]) + np.float32(0.1) * largest[b]
            scale[p] = np.float32(1) if kinds[p] == 0 else fixed
