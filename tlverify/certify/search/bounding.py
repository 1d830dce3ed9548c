"""Bounds of every ReLU's input over a region: intervals, CROWN, and small trees; and the steps that prove them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tlverify.certify.kernel.program import Program
from tlverify.certify.search.dual import Relaxation, cost, evaluate
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.fold import Box, Double, Folding, Ints, Rows, single
from tlverify.certify.search.ground import Ground, Noise
from tlverify.certify.search.layers import Array, Layers, forward
from tlverify.certify.search.tighten import BATCH, Tree, grow
from tlverify.certify.tree_writer import ONE

PLAIN_SHARE = 1 / 16  # of the rounding errors: what they come to without multipliers, so that the kernel finds the same
LEAST_GAIN = 2e-3  # a bound that improves by less than this part of its width is not worth a lemma
BOTTOM = (16, 4, 1)  # times the leaves, for the layers after the first: the lowest trees are cheap and help all others
HOPELESS_SHARE = 0.05  # of the leaves, for a bound that cannot prove a sign


@dataclass(frozen=True)
class Table:
    """Bounds of each layer's input, (n,), and by how much executions may miss values."""

    lower: list[Double]
    upper: list[Double]
    errors: dict[str, Double]

    def copy(self) -> Table:
        return Table([part.copy() for part in self.lower], [part.copy() for part in self.upper], self.errors)

    @property
    def unstable(self) -> list[int]:
        """How many neurons of each layer may have either sign."""
        return [int(((low < 0) & (high > 0)).sum()) for low, high in zip(self.lower, self.upper, strict=True)]


def crown(ground: Ground, layers: Layers, box: Box, steps: Steps, safety: float = 1.0) -> Table:
    """Layer by layer: intervals, then backward bounds, with default slopes, of all neurons that may have either
    sign."""
    errors: dict[str, Double] = {}
    table = Table([], [], errors)
    folding = Folding(layers, box, Noise(ground.program, errors))
    for layer in layers.layers:
        names = ground.up_to(layer.source)
        if names:
            steps.interval(names)
            errors |= ground.errors
        lower, upper = ground.ends(layer.source)
        table.lower.append(lower)
        table.upper.append(upper)
        open_ = np.flatnonzero((lower < 0) & (upper > 0))
        if folding.depth and len(open_) and layer.splittable:
            relaxation = Relaxation.of(folding.fold(), safety)
            rows = single(folding.rows(layer.form, layer.source)).take(open_)
            low = _plain(relaxation, rows, 1)
            high = -_plain(relaxation, rows, -1)
            lower[open_] = np.maximum(lower[open_], low)
            upper[open_] = np.minimum(upper[open_], high)
            steps.bound(layer.source, open_.tolist(), open_.tolist())
            ground.tighten(layer.source, lower, upper)
        folding.extend(lower, upper)
    names = ground.up_to(None)
    if names:
        steps.interval(names)
        errors |= ground.errors
    return table


def _plain(relaxation: Relaxation, rows: Rows, sign: int) -> Double:
    """Bounds of sign * rows with default slopes, about as the kernel will find them."""
    parts = []
    for first in range(0, len(rows.constant), BATCH):
        index = np.arange(first, min(first + BATCH, len(rows.constant)))
        found = evaluate(relaxation, rows.take(index, sign), relaxation.root(len(index)), gradient=False)
        parts.append(found.lower.astype(np.float64) - PLAIN_SHARE * found.error)
    return np.concatenate(parts)


@dataclass
class Samples:
    """The least and greatest input seen of each neuron, by layer: what no bound can be better than."""

    low: list[Double]
    high: list[Double]

    @classmethod
    def none(cls, layers: Layers) -> Samples:
        shape = [layer.size for layer in layers.layers]
        return cls([np.full(n, np.inf) for n in shape], [np.full(n, -np.inf) for n in shape])

    def add(self, inner: Sequence[Array]) -> None:
        for k, values in enumerate(inner):
            self.low[k] = np.minimum(self.low[k], values.min(0))
            self.high[k] = np.maximum(self.high[k], values.max(0))


def tighten(
    program: Program,
    layers: Layers,
    box: Box,
    table: Table,
    samples: Samples,
    steps: Steps,
    leaves: int,
    late: Callable[[], bool],
    safety: float = 1.0,
) -> tuple[Table, Folding, int]:
    """Bounds of the unstable neurons by trees of up to `leaves` leaves, bottom layers first. Returns the work done."""
    table = table.copy()
    folding = Folding(layers, box, Noise(program, table.errors))
    work = 0
    for k, layer in enumerate(layers.layers):
        lower, upper = table.lower[k], table.upper[k]
        open_ = np.flatnonzero((lower < 0) & (upper > 0))
        if folding.depth and len(open_) and layer.splittable and not late():
            relaxation = Relaxation.of(folding.fold(), safety)
            rows = single(folding.rows(layer.form, layer.source))
            corners = [evaluate(relaxation, rows.take(open_, s), relaxation.root(len(open_)), False) for s in (1, -1)]
            points = np.concatenate([found.corner for found in corners])
            samples.add(forward(layers, box.center + box.radius * points)[0])
            work += _tighten_layer(layers, k, relaxation, rows, open_, lower, upper, samples, steps, leaves, late)
        folding.extend(lower, upper)
    return table, folding, work


def _tighten_layer(
    layers: Layers,
    k: int,
    relaxation: Relaxation,
    rows: Rows,
    open_: Ints,
    lower: Double,
    upper: Double,
    samples: Samples,
    steps: Steps,
    leaves: int,
    late: Callable[[], bool],
) -> int:
    """Trees for both sides of the open neurons; improves `lower` and `upper` in place."""
    source = layers.layers[k].source
    entries = np.concatenate([open_, open_])
    is_upper = np.arange(len(entries)) >= len(open_)
    sign = np.where(is_upper, -1, 1)
    possible = np.where(is_upper, samples.high[k][entries] < 0, samples.low[k][entries] > 0)
    leaves *= BOTTOM[min(k, len(BOTTOM)) - 1]
    budget = np.where(possible, leaves, max(1, round(leaves * HOPELESS_SHARE))).astype(np.intp)
    start = rows.take(entries, sign)
    goal = np.where(possible, 0, np.inf).astype(np.float32)
    grown = grow(relaxation, start, goal, budget, late)
    proved = grown.lower.astype(np.float64)
    known = np.where(is_upper, -upper[entries], lower[entries])
    gain = proved - known
    worth = gain > LEAST_GAIN * (upper[entries] - lower[entries])
    flat: list[tuple[int, bool, Tree, float]] = []
    deep: list[tuple[int, bool, Tree, float]] = []
    for r in np.flatnonzero(worth).tolist():
        one = len(grown.trees[r].leaves) == 1
        row = (int(entries[r]), bool(is_upper[r]), grown.trees[r], float(proved[r]) if one else _at(float(proved[r])))
        (flat if one else deep).append(row)
    if flat:
        steps.bound_with_slopes(layers, relaxation, source, [row[:3] for row in flat])
    for index, above, tree, bound in deep:
        steps.lemma(source, index, above, -bound if above else bound)
        steps.tree(layers, relaxation, tree, np.full((len(tree.leaves), 1), np.uint16(ONE)))
    for index, above, _, bound in (*flat, *deep):
        if above:
            upper[index] = min(upper[index], -bound)
        else:
            lower[index] = max(lower[index], bound)
    return grown.bounded * cost(relaxation)


def _at(bound: float) -> float:
    """What a lemma claims: 0 is enough if a sign is proved; else the bound, in few digits."""
    return 0.0 if bound >= 0 else float(np.floor(bound * 2**20) / 2**20)
