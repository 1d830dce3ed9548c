"""Branch and bound on the phases of unstable neurons: a tree that refutes one row, worst leaf first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.dual import Ascent, Nodes, Relaxation, branch_score, children, cost, evaluate, optimize
from tlverify.certify.search.fixed import settle
from tlverify.certify.search.fold import Rows
from tlverify.certify.search.tighten import Tree, hopeless

BATCH = 128  # leaves split at a time
MEMORY = 1 << 29  # bytes of dual variables of open leaves; past half of it the best leaves come first
LOOK = 3e7  # multiplications after which it is first asked whether the limit will do
PATIENCE = 16  # and not before this part of the limit
ROOT = Ascent(20)
QUICK = Ascent(2)  # of most nodes, and of those with a multiple of
DEEP = 8  # fixed phases,
THOROUGH = Ascent(80, 1.0, 0.98)  # by which multipliers may grow as much as phases that contradict one another need
SETTLED = Ascent(4)  # of a leaf that cannot be split, from where its linear program ended,
STUCK = Ascent(200)  # and if it is still open
ROOM = 1024  # leaves for which the first arrays have room
HARD = 32  # fixed phases from which on a split is chosen with care, from
TRIED = 8  # neurons
CANDIDATES = 4  # minimising corners of a batch that are tried as counterexamples: of each
OFTEN = 4096  # of the first nodes, and then
SELDOM = 8  # of every so many

Points = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """`tree` if every leaf was closed; else None, with the least bound of the open leaves. `bounded` counts nodes."""

    tree: Tree | None
    lower: float
    bounded: int
    spent: float
    open_leaves: int


class _Pool:
    """Open leaves: node number, bound, next neuron and the coefficient on its output, duals. Rows of arrays that have
    room for more, so that few are copied when some are taken out and others put in."""

    def __init__(self, empty: Nodes) -> None:
        self.size = 0
        self._rows: list[Any] = [
            np.zeros(0, np.intp),
            np.zeros(0, np.float32),
            np.zeros(0, np.intp),
            np.zeros(0, np.float32),
            empty.alpha,
            empty.beta,
            empty.phase,
        ]

    @property
    def lower(self) -> Any:
        return self._rows[1][: self.size]

    def put(self, node: Any, lower: Any, branch: Any, output: Any, duals: Nodes) -> None:
        new = (node, lower, branch, output, duals.alpha, duals.beta, duals.phase)
        size = self.size + len(node)
        if size > len(self._rows[0]):
            self._rows = [_grown(row, self.size, max(ROOM, 3 * size // 2)) for row in self._rows]
        for row, part in zip(self._rows, new, strict=True):
            row[self.size : size] = part
        self.size = size

    def take(self, chosen: Any) -> tuple[Any, Any, Any, Nodes]:
        """The leaves of those numbers leave the pool: their nodes, neurons, outputs and duals. The last ones take their
        places."""
        node, _, branch, output, *duals = (row[chosen] for row in self._rows)
        size = self.size - len(chosen)
        gone = np.zeros(self.size, bool)
        gone[chosen] = True
        holes, last = np.flatnonzero(gone[:size]), size + np.flatnonzero(~gone[size:])
        for row in self._rows:
            row[holes] = row[last]
        self.size = size
        return node, branch, output, Nodes(*duals)


@dataclass(frozen=True)
class _Closed:
    """Some closed leaves, in little room: multipliers and phases where these are fixed, a bit for each slope that
    matters."""

    numbers: Any
    alpha: Any
    rows: Any
    columns: Any
    beta: Any
    phase: Any
    used: Any

    @classmethod
    def of(cls, numbers: Any, duals: Nodes, a: Any) -> _Closed:
        rows, columns = np.nonzero(duals.phase)
        beta, phase = duals.beta[rows, columns], duals.phase[rows, columns]
        used = np.packbits((a > 0) & (duals.phase == 0), axis=1)
        return cls(numbers, duals.alpha, rows.astype(np.int32), columns.astype(np.int32), beta, phase, used)


def _grown(row: Any, size: int, room: int) -> Any:
    larger = np.empty((room, *row.shape[1:]), row.dtype)
    larger[:size] = row[:size]
    return larger


def _choose(relaxation: Relaxation, row: Rows, nodes: Nodes, a: Any) -> Any:
    """The neuron by which each node is to be split, -1 if there is none: the one with the best score, or in hard nodes
    of the TRIED best the one whose halves have the best bounds to begin with (filtered smart branching, De Palma et al.
    2021). `a` (batch, neurons) is the coefficient on each neuron's output."""
    score = branch_score(relaxation, a, nodes)
    if not score.size:
        return np.full(len(score), -1)
    best = score.argmax(1)
    hard = np.flatnonzero((nodes.phase != 0).sum(1) >= HARD)
    if relaxation.fold.wires is None and len(hard):  # machine code bounds a node in less time than this takes
        own, tried = nodes.take(hard), min(TRIED, score.shape[1])
        most = np.full(len(hard), -np.inf, np.float32)
        for neuron in np.argpartition(-score[hard], tried - 1, 1)[:, :tried].T:
            halves = evaluate(relaxation, row, children(own, neuron, a[hard, neuron]), gradient=False).lower
            value = np.minimum(halves, 0).reshape(2, len(hard)).sum(0)  # above 0 there is nothing more to gain
            better = (value > most) & (score[hard, neuron] >= 0)
            best[hard], most = np.where(better, neuron, best[hard]), np.where(better, value, most)
    return np.where(score[np.arange(len(best)), best] >= 0, best, -1)


def refute(
    relaxation: Relaxation,
    row: Rows,
    limit: float,
    late: Callable[[], bool],
    candidates: Callable[[Points], bool] = lambda corners: False,
    watch: Callable[[float, int], None] = lambda lower, open_leaves: None,
) -> Outcome:
    """Show that the row, (1, ...), is positive everywhere, by bounding at most `limit` nodes.

    A leaf is closed when its bound exceeds what rounding may cost. It gives up when the limit plainly will not do.
    `candidates` is shown corners (count, inputs) where the row may be negative; the search ends when it returns True.
    `watch` is told the least bound of the open leaves and their number, before each batch is split.
    """
    closed: list[_Closed] = []
    splits: list[tuple[int, int]] = []
    root = relaxation.root(1)
    pool = _Pool(root.take(slice(0)))
    bounded, spent, turn = 0, 0.0, 0
    stopped = False

    def take(nodes: Nodes, numbers: Any, ascent: Ascent, settled: bool = False) -> None:
        nonlocal bounded, spent, stopped, turn
        kept, found = optimize(relaxation, row, nodes, ascent)
        bounded += len(numbers)
        spent += len(numbers) * (ascent.steps + 1) / (QUICK.steps + 1)
        done = found.lower > found.error
        if done.any():
            closed.append(_Closed.of(numbers[done], kept.take(done), found.a[done]))
        left = ~done
        branch = np.full(len(numbers), -1)
        branch[left] = _choose(relaxation, row, kept.take(left), found.a[left])
        output = found.a[np.arange(len(branch)), branch] if relaxation.fold.size else found.lower
        turn += 1
        if not stopped and left.any() and (bounded < OFTEN or turn % SELDOM == 0):
            worst = np.flatnonzero(left)[np.argsort(found.lower[left])[:CANDIDATES]]
            stopped = candidates(evaluate(relaxation, row, kept.take(worst)).corner)
        stuck = left & (branch < 0)  # every phase is fixed: all that is left is to find the multipliers
        if stuck.any() and not settled:
            left &= ~stuck
            exact, points = settle(relaxation, row, kept.take(stuck))
            stopped = stopped or candidates(points)
            take(exact, numbers[stuck], SETTLED, settled=True)
        elif stuck.any() and ascent != STUCK:
            left &= ~stuck
            take(kept.take(stuck), numbers[stuck], STUCK, settled=True)
        elif stuck.any():
            stopped = True
        pool.put(numbers[left], found.lower[left], branch[left], output[left], kept.take(left))

    take(root, np.zeros(1, np.intp), ROOT)
    first = float(pool.lower.min(initial=0))
    look = max(64.0, LOOK / cost(relaxation), limit / PATIENCE if isfinite(limit) else 0.0)
    room = MEMORY // max(1, 6 * relaxation.fold.size)
    while pool.size and not stopped and spent < limit and not late():
        watch(float(pool.lower.min()), pool.size)
        if spent >= look:
            look = 2 * spent
            lower = float(pool.lower.min())
            if isfinite(limit) and pool.size < room // 2 and hopeless(first, lower, 0.0, spent / 2, limit / 2):
                break
        count = min(BATCH, pool.size)
        if count < pool.size:
            key = pool.lower if pool.size < room // 2 else -pool.lower
            chosen = np.argpartition(key, count - 1)[:count]
        else:
            chosen = np.arange(count)
        parent, neuron, output, duals = pool.take(chosen)
        made = len(splits) + np.arange(count)
        splits += list(zip(parent.tolist(), neuron.tolist(), strict=True))
        both, numbers = children(duals, neuron, output), np.concatenate([2 * made + 1, 2 * made + 2])
        deep = (both.phase != 0).sum(1) % DEEP == 0
        for part, ascent in ((~deep, QUICK), (deep, THOROUGH)):
            if part.any():
                take(both.take(part), numbers[part], ascent)
    if pool.size:
        return Outcome(None, float(pool.lower.min()), bounded, spent, pool.size)
    leaves = np.concatenate([part.numbers for part in closed]).tolist()
    alpha, used = np.concatenate([part.alpha for part in closed]), np.concatenate([part.used for part in closed])
    beta, phase = np.zeros(alpha.shape, np.float32), np.zeros(alpha.shape, np.int8)
    first = 0
    for part in closed:
        place = first + part.rows, part.columns
        beta[place], phase[place] = part.beta, part.phase
        first += len(part.numbers)
    used = np.unpackbits(used, axis=1, count=alpha.shape[1]).view(bool)
    return Outcome(Tree(splits, leaves, Nodes(alpha, beta, phase), used), 0.0, bounded, spent, 0)
