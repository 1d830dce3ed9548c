"""Bounds of every ReLU's input over a region: intervals, CROWN, and small trees; and the steps that prove them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tlverify.certify.search.dual import Relaxation, cost, evaluate
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.fold import Box, Double, Folding, Ints, Rows, single
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.layers import Array, Layers, forward
from tlverify.certify.search.noise import Noise
from tlverify.certify.search.tighten import Tree, grow
from tlverify.certify.tree_writer import ONE

LEAST_GAIN = 2e-3  # a bound that improves by less than this part of its width is not worth a lemma
BOTTOM = (16, 4, 1)  # times the leaves, for the layers after the first: the lowest trees are cheap and help all others
HOPELESS_SHARE = 0.05  # of the leaves, for a bound that cannot prove a sign


@dataclass(frozen=True)
class Table:
    """Bounds of each layer's input, (n,)."""

    lower: list[Double]
    upper: list[Double]

    @property
    def unstable(self) -> list[int]:
        """How many neurons of each layer may have either sign."""
        return [int(((low < 0) & (high > 0)).sum()) for low, high in zip(self.lower, self.upper, strict=True)]


def crown(ground: Ground, layers: Layers, steps: Steps, late: Callable[[], bool] = lambda: False) -> Table:
    """Layer by layer: intervals, then backward bounds, with default slopes, of all neurons that may have either sign.
    The bounds are the kernel's own. Intervals only, once it is late."""
    table = Table([], [])
    for k, layer in enumerate(layers.layers):
        steps.interval(ground, ground.missing(layer.source))
        lower, upper = ground.ends(layer.source)
        open_ = np.flatnonzero((lower < 0) & (upper > 0)).tolist()
        if k and open_ and layer.splittable and not late():
            steps.bound(ground, layer.source, open_, open_)
            lower, upper = ground.ends(layer.source)
        table.lower.append(lower)
        table.upper.append(upper)
    steps.interval(ground, ground.missing(None))
    return table


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
    ground: Ground,
    layers: Layers,
    box: Box,
    table: Table,
    samples: Samples,
    steps: Steps,
    leaves: int,
    late: Callable[[], bool],
    safety: float = 1.0,
    wired: bool = False,
) -> tuple[Table, Folding, int]:
    """Bounds of the unstable neurons by trees of up to `leaves` leaves, bottom layers first. Returns the work done.
    `wired` if machine code may do it."""
    better = Table([], [])
    folding = Folding(layers, box, Noise(ground.program, ground.error))
    work = 0
    for k, layer in enumerate(layers.layers):
        lower, upper = table.lower[k], table.upper[k]
        open_ = np.flatnonzero((lower < 0) & (upper > 0))
        if folding.depth and len(open_) and layer.splittable and not late():
            relaxation = Relaxation.of(folding.fold(wired), safety)
            rows = single(folding.rows(layer.form, layer.source, open_))
            every = np.arange(len(open_))
            corners = [evaluate(relaxation, rows.take(every, s), relaxation.root(len(open_))) for s in (1, -1)]
            points = np.concatenate([found.corner for found in corners])
            samples.add(forward(layers, box.center + box.radius * points)[0])
            ends = lower, upper
            work += _tighten_layer(ground, layers, k, relaxation, rows, open_, ends, samples, steps, leaves, late)
            lower, upper = ground.ends(layer.source)
        folding.extend(lower, upper)
        better.lower.append(lower)
        better.upper.append(upper)
    return better, folding, work


def _tighten_layer(
    ground: Ground,
    layers: Layers,
    k: int,
    relaxation: Relaxation,
    rows: Rows,
    open_: Ints,
    ends: tuple[Double, Double],
    samples: Samples,
    steps: Steps,
    leaves: int,
    late: Callable[[], bool],
) -> int:
    """Trees for both sides of the open neurons, whose bounds are `ends`; what they prove enters the table."""
    source, (lower, upper) = layers.layers[k].source, ends
    entries = np.concatenate([open_, open_])
    is_upper = np.arange(len(entries)) >= len(open_)
    sign = np.where(is_upper, -1, 1)
    possible = np.where(is_upper, samples.high[k][entries] < 0, samples.low[k][entries] > 0)
    leaves *= BOTTOM[min(k, len(BOTTOM)) - 1]
    budget = np.where(possible, leaves, max(1, round(leaves * HOPELESS_SHARE))).astype(np.intp)
    every = np.arange(len(open_))
    start = rows.take(np.concatenate([every, every]), sign)
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
        steps.bound_with_slopes(ground, layers, relaxation, source, [row[:3] for row in flat])
    for index, above, tree, bound in deep:
        steps.lemma(source, index, above, -bound if above else bound)
        steps.tree(layers, relaxation, tree, np.full((len(tree.leaves), 1), np.uint16(ONE)))
        ground.assume(source, index, -bound if above else bound, above)
    return grown.bounded * cost(relaxation)


def _at(bound: float) -> float:
    """What a lemma claims: 0 is enough if a sign is proved; else the bound, in few digits."""
    return 0.0 if bound >= 0 else float(np.floor(bound * 2**20) / 2**20)
