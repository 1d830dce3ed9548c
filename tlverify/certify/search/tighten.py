"""Small trees that bound one linear function each, all grown at once: a leaf of every tree is split in each round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.dual import Ascent, Nodes, Relaxation, branch_score, children, optimize
from tlverify.certify.search.fold import Rows

BATCH = 256  # nodes bounded at a time
ROOT, QUICK = Ascent(8), Ascent(2)
MEMORY = 1 << 27  # bytes of dual variables held by the trees that grow together


@dataclass(frozen=True)
class Tree:
    """A finished tree. Nodes are numbered as they came up: split j made nodes 2j+1 (below 0) and 2j+2 (above 0) of node
    `splits[j][0]` by neuron `splits[j][1]` of the fold. `leaves[r]` is the node of row r of `duals`.

    `used` (leaves, neurons) says which slopes matter there.
    """

    splits: Sequence[tuple[int, int]]
    leaves: Sequence[int]
    duals: Nodes
    used: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Grown:
    """Lower bounds (trees,), less rounding errors, and the trees that prove them."""

    lower: npt.NDArray[np.float32]
    trees: Sequence[Tree]
    bounded: int


def grow(
    relaxation: Relaxation,
    start: Rows,
    goal: npt.NDArray[np.float32],
    budget: npt.NDArray[np.intp],
    late: Callable[[], bool],
) -> Grown:
    """A tree for each row of `start`: until its bound is above the goal, it has as many leaves as its budget, or it is
    plain that the budget will not do."""
    count, size = len(goal), relaxation.fold.size
    most = int(budget.max(initial=1))
    group = max(1, MEMORY // max(1, 7 * most * size))
    parts = []
    for first in range(0, count, group):
        part = slice(first, first + group)
        rows = Rows(start.t[part], start.u[part], start.constant[part], start.noise[part])
        parts.append(_grow(relaxation, rows, goal[part], budget[part], late))
    return Grown(
        np.concatenate([part.lower for part in parts]),
        [tree for part in parts for tree in part.trees],
        sum(part.bounded for part in parts),
    )


def _grow(
    relaxation: Relaxation,
    start: Rows,
    goal: npt.NDArray[np.float32],
    budget: npt.NDArray[np.intp],
    late: Callable[[], bool],
) -> Grown:
    count, neurons, most = len(goal), relaxation.fold.size, int(budget.max(initial=1))
    shape = (count, most)
    alpha = np.zeros((*shape, neurons), np.uint8)
    beta = np.zeros((*shape, neurons), np.float32)
    phase = np.zeros((*shape, neurons), np.int8)
    used = np.zeros((*shape, neurons), bool)
    lower = np.full(shape, np.inf, np.float32)
    output = np.zeros(shape, np.float32)  # coefficient on the output of the neuron to be split
    branch = np.full(shape, -1, np.intp)
    node = np.zeros(shape, np.intp)
    splits = np.zeros((*shape, 2), np.intp)
    leaves = np.ones(count, np.intp)
    bounded = 0

    def store(tree: Any, slot: Any, nodes: Nodes, ascent: Ascent) -> None:
        nonlocal bounded
        for first in range(0, len(tree), BATCH):
            part = slice(first, first + BATCH)
            t, s = tree[part], slot[part]
            kept, found = optimize(relaxation, start.take(t), nodes.take(part), ascent)
            alpha[t, s], beta[t, s], phase[t, s] = kept.alpha, kept.beta, kept.phase
            used[t, s] = (found.a > 0) & (kept.phase == 0)
            lower[t, s] = found.lower - found.error
            score = branch_score(relaxation, found.a, kept)
            best = score.argmax(1) if neurons else np.zeros(len(t), np.intp)
            output[t, s] = found.a[np.arange(len(t)), best] if neurons else 0
            branch[t, s] = np.where(score.max(1, initial=-1) >= 0, best, -1)
            bounded += len(t)

    everyone = np.arange(count)
    store(everyone, np.zeros(count, np.intp), relaxation.root(count), ROOT)
    first_bound = lower[:, 0].copy()
    while not late():
        worst = lower.argmin(1)
        reached = lower[everyone, worst]
        live = (reached <= goal) & (leaves < budget) & (branch[everyone, worst] >= 0)
        live &= ~hopeless(first_bound, reached, goal, leaves, budget)
        if not live.any():
            break
        tree, old, rank = _worst(lower, branch, goal, leaves, budget, np.flatnonzero(live))
        neuron, number, new = branch[tree, old], leaves[tree] - 1 + rank, leaves[tree] + rank
        splits[tree, number] = np.stack([node[tree, old], neuron], 1)
        both = children(Nodes(alpha[tree, old], beta[tree, old], phase[tree, old]), neuron, output[tree, old])
        node[tree, old], node[tree, new] = 2 * number + 1, 2 * number + 2
        np.add.at(leaves, tree, 1)
        store(np.concatenate([tree, tree]), np.concatenate([old, new]), both, QUICK)
    trees = [
        Tree(
            [(a, b) for a, b in splits[t, : leaves[t] - 1].tolist()],
            node[t, : leaves[t]].tolist(),
            Nodes(alpha[t, : leaves[t]].copy(), beta[t, : leaves[t]].copy(), phase[t, : leaves[t]].copy()),
            used[t, : leaves[t]].copy(),
        )
        for t in range(count)
    ]
    return Grown(lower.min(1), trees, bounded)


def _worst(lower: Any, branch: Any, goal: Any, leaves: Any, budget: Any, live: Any) -> tuple[Any, Any, Any]:
    """The leaves to be split: of each live tree its worst, as many as fill a batch but a quarter of its leaves at most.
    Trees, slots, and each one's rank within its tree."""
    width = int(leaves[live].max())
    share = max(1, min(BATCH // 2 // len(live), width))
    if share == 1:
        return live, lower[live].argmin(1), np.zeros(len(live), np.intp)
    slot = np.argpartition(lower[live, :width], share - 1, 1)[:, :share]
    bound = lower[live[:, None], slot]
    order = np.argsort(bound, 1)
    slot, bound = np.take_along_axis(slot, order, 1), np.take_along_axis(bound, order, 1)
    own = leaves[live]
    most = np.minimum(np.maximum(own // 4, 1), budget[live] - own)
    chosen = (bound <= goal[live][:, None]) & (branch[live[:, None], slot] >= 0) & (np.arange(share) < most[:, None])
    row, column = np.nonzero(chosen)
    rank = chosen.cumsum(1)[row, column] - 1
    return live[row], slot[row, column], rank


def hopeless(first: Any, reached: Any, goal: Any, leaves: Any, budget: Any) -> Any:
    """The bound grows about as the logarithm of the leaves; at twice that rate the goal would still not be reached."""
    doublings = np.log2(np.maximum(leaves, 1))
    rate = (reached - first) / np.maximum(doublings, 1)
    ahead = np.log2(np.maximum(budget / np.maximum(leaves, 1), 1))
    return np.isfinite(goal) & (leaves >= 8) & (reached + 2 * rate * ahead < goal)
