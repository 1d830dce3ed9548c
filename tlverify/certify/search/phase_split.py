"""Branch and bound on the phases of unstable neurons: a tree that refutes one row, worst leaf first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.dual import Nodes, Relaxation, branch_score, children, cost, optimize
from tlverify.certify.search.fold import Rows
from tlverify.certify.search.tighten import Tree, hopeless

BATCH = 128  # leaves split at a time
MEMORY = 1 << 29  # bytes of dual variables of open leaves; past half of it the best leaves come first
LOOK = 3e7  # multiplications after which it is first asked whether the limit will do
PATIENCE = 16  # and not before this part of the limit
REFRESH_DEPTH = 8  # at every so many fixed phases, the multipliers get
REFRESH_STEPS = 16  # steps of Adam
STUCK_STEPS = 200  # of Adam, for a leaf that cannot be split
CANDIDATES = 4  # minimising corners of a batch that are tried as counterexamples

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """`tree` if every leaf was closed; else None, with the least bound of the open leaves. `bounded` counts nodes."""

    tree: Tree | None
    lower: float
    bounded: int
    open_leaves: int


@dataclass
class _Pool:
    """Open leaves: node number, bound, next neuron and the coefficient on its output, duals."""

    node: Any
    lower: Any
    branch: Any
    output: Any
    duals: Nodes

    def split(self, chosen: Any) -> tuple[_Pool, _Pool]:
        rest = np.ones(len(self.node), bool)
        rest[chosen] = False
        return self._take(chosen), self._take(rest)

    def _take(self, index: Any) -> _Pool:
        return _Pool(
            self.node[index], self.lower[index], self.branch[index], self.output[index], self.duals.take(index)
        )

    def join(self, other: _Pool) -> _Pool:
        def both(name: str, one: Any, two: Any) -> Any:
            return np.concatenate([getattr(one, name), getattr(two, name)])

        node, lower, branch, output = (both(name, self, other) for name in ("node", "lower", "branch", "output"))
        duals = Nodes(*(both(name, self.duals, other.duals) for name in ("alpha", "beta", "phase")))
        return _Pool(node, lower, branch, output, duals)


def refute(
    relaxation: Relaxation,
    row: Rows,
    limit: float,
    late: Callable[[], bool],
    candidates: Callable[[Points], bool] = lambda corners: False,
    root_steps: int = 20,
    steps: int = 2,
    watch: Callable[[float, int], None] = lambda lower, open_leaves: None,
) -> Outcome:
    """Show that the row, (1, ...), is positive everywhere, by bounding at most `limit` nodes.

    A leaf is closed when its bound exceeds what rounding may cost. It gives up when the limit plainly will not do.
    `candidates` is shown corners (count, inputs) where the row may be negative; the search ends when it returns True.
    `watch` is told the least bound of the open leaves and their number, before each batch is split.
    """
    closed: list[tuple[Any, Nodes, Any]] = []
    splits: list[tuple[int, int]] = []
    root = relaxation.root(1)
    pool = _Pool(
        np.zeros(0, np.intp),
        np.zeros(0, np.float32),
        np.zeros(0, np.intp),
        np.zeros(0, np.float32),
        root.take(slice(0)),
    )
    bounded = 0
    stopped = False

    def take(nodes: Nodes, numbers: Any, own_steps: int) -> None:
        nonlocal pool, bounded, stopped
        kept, found = optimize(relaxation, row.take(np.zeros(len(numbers), np.intp)), nodes, own_steps)
        bounded += len(numbers)
        done = found.lower > found.error
        if done.any():
            closed.append((numbers[done], kept.take(done), ((found.a > 0) & (kept.phase == 0))[done]))
        score = branch_score(relaxation, found, kept)
        best = score.argmax(1) if score.shape[1] else np.zeros(len(numbers), np.intp)
        output = found.a[np.arange(len(best)), best] if score.shape[1] else np.zeros(len(best), np.float32)
        branch = np.where(score.max(1, initial=-1) >= 0, best, -1)
        left = ~done
        worst = np.flatnonzero(left)[np.argsort(found.lower[left])[:CANDIDATES]]
        stopped = stopped or bool(len(worst) and candidates(found.corner[worst]))
        stuck = left & (branch < 0)  # every phase is fixed: all that is left is to find the multipliers
        if stuck.any() and own_steps < STUCK_STEPS:
            left &= ~stuck
            take(kept.take(stuck), numbers[stuck], STUCK_STEPS)
        elif stuck.any():
            stopped = True
        fresh = _Pool(numbers[left], found.lower[left], branch[left], output[left], kept.take(left))
        pool = pool.join(fresh)

    take(root, np.zeros(1, np.intp), root_steps)
    first = float(pool.lower.min(initial=0))
    look = max(64.0, LOOK / cost(relaxation), limit / PATIENCE if isfinite(limit) else 0.0)
    room = MEMORY // max(1, 6 * relaxation.fold.size)
    while len(pool.node) and not stopped and bounded < limit and not late():
        watch(float(pool.lower.min()), len(pool.node))
        if bounded >= look:
            look = 2 * bounded
            if len(pool.node) < room // 2 and hopeless(first, float(pool.lower.min()), 0.0, bounded / 2, limit / 2):
                break
        count = min(BATCH, len(pool.node))
        if count < len(pool.node):
            key = pool.lower if len(pool.node) < room // 2 else -pool.lower
            chosen = np.argpartition(key, count - 1)[:count]
        else:
            chosen = np.arange(count)
        parent, pool = pool.split(chosen)
        made = len(splits) + np.arange(count)
        splits += list(zip(parent.node.tolist(), parent.branch.tolist(), strict=True))
        both, numbers = (
            children(parent.duals, parent.branch, parent.output),
            np.concatenate([2 * made + 1, 2 * made + 2]),
        )
        deep = (both.phase != 0).sum(1) % REFRESH_DEPTH == 0
        for part, own_steps in ((~deep, steps), (deep, REFRESH_STEPS)):
            if part.any():
                take(both.take(part), numbers[part], own_steps)
    if len(pool.node):
        return Outcome(None, float(pool.lower.min()), bounded, len(pool.node))
    duals = Nodes(*(np.concatenate([getattr(n, part) for _, n, _ in closed]) for part in ("alpha", "beta", "phase")))
    leaves = np.concatenate([numbers for numbers, *_ in closed]).tolist()
    used = np.concatenate([used for *_, used in closed])
    return Outcome(Tree(splits, leaves, duals, used), 0.0, bounded, 0)
