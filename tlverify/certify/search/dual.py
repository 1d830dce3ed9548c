"""Lower bounds of linear functions over a folded network, for many nodes of branch and bound at once.

A node fixes the phase of some neurons. Its dual variables are a lower slope alpha in [0, 1] for each unstable neuron
and a multiplier beta >= 0 for each fixed phase (alpha-beta-CROWN: Xu et al. 2021, Wang et al. 2021). The derivative of
the bound by alpha_i is max(a_i, 0) z_i, by beta_i it is -s_i z_i, with a_i the coefficient on relu(z_i), s_i the phase,
and z at the minimising corner under the same relaxation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlverify.certify.search import machine_code
from tlverify.certify.search.fold import Fold, Rows
from tlverify.certify.search.wires import KERNEL, Wires

SLOPE_ONE = 128  # slopes are multiples of 1/128: what a certificate keeps
MANTISSA = np.uint32(0xFFFFC000)  # and multipliers have ten bits
ERROR = 2.0**-20  # the kernel keeps 22 bits of a coefficient
INPUT_ERROR = 2.0**-21  # which are floored once at the inputs, where the longest has 21 to 22
SINGLE = 2.0**-19  # rounding of sums in float32
SIGN, MINUS_ONE = np.uint32(1 << 31), np.float32(-1).view(np.uint32)
LEAST = 2.0**-30  # a multiplier below this is 0
WORTH = 8  # nodes for which machine code is worth a call


@dataclass(frozen=True)
class Nodes:
    """Dual variables (batch, neurons): alpha in 1/128 (uint8), beta (float32), phase in -1, 0, 1 (int8)."""

    alpha: Any
    beta: Any
    phase: Any

    def take(self, index: Any) -> Nodes:
        return Nodes(self.alpha[index], self.beta[index], self.phase[index])


@dataclass(frozen=True)
class Bounds:
    """A lower bound of each node's row, and what it was made of.

    `a` is the coefficient on each neuron's output, `corner` (batch, inputs) in {-1, 1} the minimising t, `z` the
    neurons' inputs there (both None unless asked for; `optimize` has none), `error` what the kernel's roundings and
    float32 may cost, at most.
    """

    lower: Any
    a: Any
    corner: Any
    z: Any
    error: Any


@dataclass(frozen=True)
class Ascent:
    """Steps of Adam, their first size and by what each is smaller than the one before it."""

    steps: int
    rate: float = 0.25
    decay: float = 0.9


@dataclass(frozen=True)
class Relaxation:
    """Chord slopes and intercepts (neurons,) of a fold, in float32; `safety` multiplies what rounding may cost."""

    fold: Fold
    chord: Any
    intercept: Any
    safety: float

    @classmethod
    def of(cls, fold: Fold, safety: float = 1.0) -> Relaxation:
        chord = fold.upper / (fold.upper - fold.lower)
        return cls(fold, chord, -chord * fold.lower, safety)

    def root(self, count: int) -> Nodes:
        """`count` nodes with no phase fixed and the adaptive slope: 1 if upper > -lower, else 0."""
        default = np.where(self.fold.upper > -self.fold.lower, SLOPE_ONE, 0).astype(np.uint8)
        shape = (count, self.fold.size)
        return Nodes(np.tile(default, (count, 1)), np.zeros(shape, np.float32), np.zeros(shape, np.int8))


def evaluate(relaxation: Relaxation, start: Rows, nodes: Nodes, gradient: bool = True) -> Bounds:
    """Bounds of the rows `start`, one for each node."""
    fold, rows = relaxation.fold, relaxation.fold.rows
    start = _for_each(start, len(nodes.alpha))
    below = nodes.alpha * np.float32(1 / SLOPE_ONE)
    above, intercept = np.empty_like(below), np.empty_like(below)
    above[:], intercept[:] = relaxation.chord, relaxation.intercept
    fixed = np.nonzero(nodes.phase)
    below[fixed] = above[fixed] = nodes.phase[fixed] > 0
    intercept[fixed] = 0
    slope = below - above  # becomes the slope of the line in use: `below` where a > 0, else `above`
    a = start.u.copy()
    weight = nodes.phase * -nodes.beta
    error = np.zeros(len(a), np.float32)
    largest = _largest(start) if fold.ends and fold.ends[-1][0] == fold.ends[-1][1] else error
    for (first, last), reach, below_it in zip(reversed(fold.ends), reversed(fold.reach), reversed(fold.u), strict=True):
        if last > first:
            own, line, pulled = a[:, first:last], slope[:, first:last], weight[:, first:last]
            line *= own > 0
            line += above[:, first:last]
            pulled += own * line
            largest = np.maximum(own.max(1), -pulled.min(1))
            largest = np.maximum(largest, np.maximum(-own.min(1), pulled.max(1)))
            below_it.pull(pulled, a)
        error += largest * np.float32(ERROR * reach)
    intercept *= a <= 0
    t = fold.t.pulled(weight, start.t)
    magnitude = np.abs(t)
    size = magnitude.sum(1)
    error += magnitude.max(1, initial=0) * np.float32(INPUT_ERROR * fold.input_reach)
    gained = weight @ rows.constant + np.einsum("ij,ij->i", a, intercept)
    lower = start.constant + gained - size - start.noise
    if fold.noisy:
        lower -= np.abs(weight) @ rows.noise
    error += np.float32(SINGLE) * (size + np.abs(gained) + np.abs(start.constant))
    corner = z = None
    if gradient:
        corner = (t.view(np.uint32) & SIGN ^ MINUS_ONE).view(np.float32)
        z = np.empty_like(a)
        z[:] = rows.constant
        fold.t.push(corner, z)
        value = np.empty_like(z)
        for (first, last), below_it in zip(fold.ends, fold.u, strict=True):
            if last > first:
                own = z[:, first:last]
                below_it.push(value, own)
                value[:, first:last] = slope[:, first:last] * own
                value[:, first:last] += intercept[:, first:last]
    return Bounds(lower, a, corner, z, error * np.float32(relaxation.safety))


def optimize(relaxation: Relaxation, start: Rows, nodes: Nodes, ascent: Ascent) -> tuple[Nodes, Bounds]:
    """Projected Adam on the duals, each node's best kept; slopes and multipliers stay as a certificate keeps them."""
    wires = relaxation.fold.wires
    if wires is not None and relaxation.fold.size and ascent.steps and len(nodes.alpha) >= WORTH:
        return _by_wires(relaxation, wires, start, nodes, ascent)
    start = _for_each(start, len(nodes.alpha))
    found = evaluate(relaxation, start, nodes)
    if not relaxation.fold.size or not ascent.steps:
        return nodes, found
    best_nodes, best = nodes, found
    fixed = np.nonzero(nodes.phase)
    scale = np.ones_like(found.a)  # of a neuron's dual: a slope, or where its phase is fixed a multiplier
    size = np.abs(found.a)
    scale[fixed] = size[fixed] + np.float32(0.1) * size.max(1)[fixed[0]]
    toward = scale * -nodes.phase[:]
    dual = nodes.alpha * np.float32(1 / SLOPE_ONE)
    dual[fixed] = nodes.beta[fixed]
    cap = np.ones_like(dual)
    cap[fixed] = np.inf
    first, second = np.zeros_like(dual), np.zeros_like(dual)
    for step in range(1, ascent.steps + 1):
        gradient = np.maximum(found.a, 0)
        gradient[fixed] = toward[fixed]
        gradient *= found.z
        first += np.float32(0.1) * (gradient - first)
        second += np.float32(0.01) * (gradient * gradient - second)
        move = np.sqrt(second)
        move *= np.float32((1 - 0.99**step) ** -0.5)
        move += np.float32(1e-12)
        np.divide(first, move, out=move)
        move *= np.float32(ascent.rate * ascent.decay ** (step - 1) / (1 - 0.9**step))
        move *= scale
        dual += move
        np.clip(dual, 0, cap, out=dual)
        kept = _kept(dual, fixed, nodes.phase)
        found = evaluate(relaxation, start, kept, gradient=step < ascent.steps)
        best_nodes, best = _better(best_nodes, best, kept, found)
    return best_nodes, replace(best, corner=None, z=None)


def _by_wires(relaxation: Relaxation, wires: Wires, start: Rows, nodes: Nodes, ascent: Ascent) -> tuple[Nodes, Bounds]:
    """The same by machine code."""
    fold, rows, count = relaxation.fold, relaxation.fold.rows, len(nodes.alpha)
    ends = np.array([(*one, *two) for one, two in zip(fold.ends, wires.ends, strict=True)], np.int64).reshape(-1, 4)
    reach = np.array([*(ERROR * far for far in fold.reach), INPUT_ERROR * fold.input_reach], np.float32)
    empty = bool(fold.ends) and fold.ends[-1][0] == fold.ends[-1][1]
    largest = _largest(start) if empty else np.zeros(len(start.t), np.float32)
    lower, error = np.empty(count, np.float32), np.empty(count, np.float32)
    a, beta = np.empty((count, fold.size), np.float32), np.empty((count, fold.size), np.float32)
    alpha = np.empty((count, fold.size), np.uint8)
    machine_code.load(KERNEL).optimize(
        (ends, reach, wires.up.parts, wires.down.parts, wires.inputs.parts),
        (rows.constant, rows.noise, relaxation.chord, relaxation.intercept),
        (start.u, start.t, start.constant, largest),
        (nodes.alpha, nodes.beta, nodes.phase),
        ascent.steps,
        ascent.rate,
        ascent.decay,
        (lower, error, a, alpha, beta),
    )
    lower -= start.noise
    return Nodes(alpha, beta, nodes.phase), Bounds(lower, a, None, None, error * np.float32(relaxation.safety))


def _for_each(start: Rows, count: int) -> Rows:
    """A row for each node, where there is one for all."""
    return start if len(start.t) == count else start.take(np.zeros(count, np.intp))


def _largest(rows: Rows) -> Any:
    """The largest coefficient of each row."""
    return np.maximum(np.abs(rows.u).max(1, initial=0), np.abs(rows.t).max(1, initial=0))


def _kept(dual: Any, fixed: Any, phase: Any) -> Nodes:
    """Slopes and multipliers as a certificate keeps them."""
    multipliers = shorten(dual[fixed])
    slopes = np.rint(np.minimum(dual, 1) * np.float32(SLOPE_ONE)).astype(np.uint8)
    beta = np.zeros_like(dual)
    beta[fixed] = multipliers
    return Nodes(slopes, beta, phase)


def _better(old: Nodes, old_bounds: Bounds, new: Nodes, new_bounds: Bounds) -> tuple[Nodes, Bounds]:
    """The better of each node's; all but the corner."""
    (worse,) = np.nonzero(new_bounds.lower <= old_bounds.lower)
    if not len(worse):
        return new, new_bounds
    lower, a, error = new_bounds.lower.copy(), new_bounds.a.copy(), new_bounds.error
    pairs = (new.alpha, old.alpha), (new.beta, old.beta), (lower, old_bounds.lower), (a, old_bounds.a)
    for one, other in (*pairs, (error, old_bounds.error)):
        one[worse] = other[worse]
    return new, replace(new_bounds, lower=lower, a=a)


def shorten(beta: Any) -> Any:
    """Multipliers cut to ten bits, below LEAST to 0."""
    cut = (np.ascontiguousarray(beta, dtype=np.float32).view(np.uint32) & MANTISSA).view(np.float32)
    return np.where(cut < LEAST, np.float32(0), cut)


def children(parent: Nodes, neuron: Any, a: Any) -> Nodes:
    """The halves of each node by its neuron, first all below 0 and then all above, with multipliers that leave the
    bound no worse than the parent's; `a` (batch,) is the coefficient on the neuron's output there."""
    count = np.arange(len(neuron))
    both = Nodes(*(np.concatenate([part, part]) for part in (parent.alpha, parent.beta, parent.phase)))
    alpha = parent.alpha[count, neuron] * np.float32(1 / SLOPE_ONE)
    positive = np.maximum(a, 0)
    both.phase[count, neuron], both.phase[count + len(count), neuron] = -1, 1
    both.beta[count, neuron] = shorten(positive * alpha)
    both.beta[count + len(count), neuron] = shorten(positive * (1 - alpha))
    return both


def branch_score(relaxation: Relaxation, a: Any, nodes: Nodes) -> Any:
    """How much each neuron's relaxation costs, with the coefficients `a` on their outputs: what its upper line loses by
    its intercept; (batch, neurons).

    Where no upper line is in use, what the lower lines may lose. Times what a split is worth. Negative: nothing to
    split.
    """
    splittable = (nodes.phase == 0) & relaxation.fold.splittable
    loss = -np.minimum(a, 0) * relaxation.intercept
    alpha = nodes.alpha * np.float32(1 / SLOPE_ONE)
    gap = np.maximum(-alpha * relaxation.fold.lower, (1 - alpha) * relaxation.fold.upper)
    score = loss + np.float32(1e-3) * np.maximum(a, 0) * gap
    return np.where(splittable, score * relaxation.fold.worth, np.float32(-1))


def cost(relaxation: Relaxation) -> int:
    """Multiplications to bound one node, about; machine code does those of sparse matrices half as fast."""
    fold = relaxation.fold
    if fold.wires is not None:
        return 2 * fold.wires.area + fold.size + 1
    return fold.t.area + sum(pieces.area for pieces in fold.u) + fold.size + 1
