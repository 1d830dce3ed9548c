"""The search for networks with many inputs: attack, bounds, branch and bound on phases, and tightening trees, by turns.

One fixed schedule: each round has four times the leaves of the last, and branch and bound may cost about what the
tightening before it did.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from tlverify.certify import certificate
from tlverify.certify.claim import Claim
from tlverify.certify.kernel.program import Program
from tlverify.certify.search.blobs import ascend, badness
from tlverify.certify.search.bounding import Samples, Table, crown, tighten
from tlverify.certify.search.dual import Bounds, Relaxation, cost, evaluate, optimize, shorten
from tlverify.certify.search.emit import Steps, encode
from tlverify.certify.search.executions import broken
from tlverify.certify.search.fold import Box, Folding, Rows, Single, joined, single
from tlverify.certify.search.goals import Goal, Region, goals_of, refutation, region_of
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.layers import Array, Layers, forward
from tlverify.certify.search.noise import Noise
from tlverify.certify.search.phase_split import ROOT, Outcome, Points, refute
from tlverify.certify.search.planes import Plane, beside, plane_beside
from tlverify.certify.search.planes import attack as attack_ball
from tlverify.certify.search.progress import Search as Search
from tlverify.certify.search.wires import ready

FIRST_WORK = 5e8  # multiplications spent on branch and bound before the first tightening
LEAVES = tuple(8 * 4**number for number in range(8))  # of a tightening tree, by round
SAFETY = (1.0, 8.0)  # times the rounding errors that are expected
COMBINE_STEPS = 12
LOCAL_SHARE = 4  # in a network with local layers, where trees gain less, branch and bound may cost so many times theirs
MANY = 10  # layers, as of max pooling, from which intervals alone are tried first
FUTILE = 0.1  # and if the last trees gained less than this part of the root's bound, they are the last;
FUTILE_WIRED = 0.03  # or than this one, where machine code makes them,
LAST = 128  # and with so many leaves they are in any case
ATTACK = (48, 20)  # ascents and their steps
ORDERED = 2  # points of an attack for which orders of summation are tried


def propose_phases(
    program: Program, layers: Layers, claim: Claim, search: Search, rng: np.random.Generator
) -> Iterator[bytes]:
    """Certificates for the claim, for the caller to check. If one is not accepted, for the search expected less from
    rounding than it cost, all is done again with more caution."""
    for safety in SAFETY:
        if safety == SAFETY[0] or not search.late():
            yield from _rounds(program, layers, claim, search, rng, safety)


def _rounds(
    program: Program, layers: Layers, claim: Claim, search: Search, rng: np.random.Generator, safety: float
) -> Iterator[bytes]:
    """Until there is a proof, or time is up."""
    region, goals = region_of(layers, claim), goals_of(layers, claim)
    if region.witnesses.hole:
        search.log.append(region.witnesses.hole)
    box = region.box
    steps = Steps()
    if len(layers.layers) > MANY:
        simple = _by_intervals(program, layers, claim, goals, region, search, safety)
        if simple is not None:
            yield certificate.proof(claim.digest, simple.steps, bytes(simple.payload))
            return
    samples = Samples.none(layers)
    ground = Ground(program, claim)
    table = crown(ground, layers, steps, search.late)
    folding = folded(ground, layers, box, table)
    search.log.append(f"crown: unstable {table.unstable}")
    work, before = 0.0, -inf
    for number in range(-1, len(LEAVES)):
        wired = number >= 0 and layers.local and ready(search.deadline - time.perf_counter())
        if number >= 0:
            table, folding, spent = tighten(
                ground, layers, box, table, samples, steps, LEAVES[number], search.late, safety, wired
            )
            work += spent
            search.log.append(f"trees of {LEAVES[number]}: unstable {table.unstable}, work {spent:.2g}")
        root = Root.of(folding, goals, region, safety, wired)
        lower = float(root.bounds.lower.min())
        last = number == len(LEAVES) - 1
        if layers.local and number >= 0:
            futile = FUTILE_WIRED if wired else FUTILE
            last = last or LEAVES[number] >= LAST or lower - before < futile * abs(before)
        allowed = inf if last else max(FIRST_WORK, work * (LOCAL_SHARE if layers.local else 1))
        before = lower
        found, point = _close(layers, root, goals, region, allowed, search, steps)
        if point is not None:
            yield region.witnesses.certificate(_inside(region, point[None].astype(np.float64))[0])
        elif found is not None:
            search.leaves = found.leaves
            yield certificate.proof(claim.digest, found.steps, bytes(found.payload))
            return
        if search.late():
            return
        yield from _attack(ground, layers, region, claim, goals, samples, rng, search, number < 0)


def _by_intervals(
    program: Program, layers: Layers, claim: Claim, goals: list[Goal], region: Region, search: Search, safety: float
) -> Steps | None:
    """A proof without backward bounds of neurons, if the root's bounds are one."""
    steps, ground = Steps(), Ground(program, claim)
    table = crown(ground, layers, steps, lambda: True)
    root = Root.of(folded(ground, layers, region.box, table), goals, region, safety)
    if not (root.bounds.lower > root.bounds.error).all():
        return None
    search.log.append(f"intervals: unstable {table.unstable}")
    found, _ = _close(layers, root, goals, region, inf, search, steps)
    search.leaves = 0 if found is None else found.leaves
    return found


@dataclass(frozen=True)
class Root:
    """The rows to be refuted, one for each goal, the multipliers of the goals' inequalities, the bounds at the root; if
    the region is a ball, the plane of each goal beside it."""

    relaxation: Relaxation
    rows: Rows
    weights: list[Single]
    bounds: Bounds
    planes: list[Plane]

    @classmethod
    def of(cls, folding: Folding, goals: list[Goal], region: Region, safety: float, wired: bool = False) -> Root:
        relaxation = Relaxation.of(folding.fold(wired), safety)
        combined = [combine(relaxation, refutation(folding, goal)) for goal in goals]
        planes = [] if region.ball is None else [plane_beside(region.ball, folding.layers, goal) for goal in goals]
        if planes:
            pairs = zip(combined, planes, strict=True)
            combined = [beside(relaxation, folding, row, weights, plane) for (row, weights), plane in pairs]
        rows = joined([row for row, _ in combined])
        _, bounds = optimize(relaxation, rows, relaxation.root(len(goals)), ROOT)
        return cls(relaxation, rows, [weights for _, weights in combined], bounds, planes)


def folded(ground: Ground, layers: Layers, box: Box, table: Table) -> Folding:
    """All layers, folded by their bounds."""
    folding = Folding(layers, box, Noise(ground.program, ground.error))
    for low, high in zip(table.lower, table.upper, strict=True):
        folding.extend(low, high)
    return folding


def _attack(
    ground: Ground,
    layers: Layers,
    region: Region,
    claim: Claim,
    goals: list[Goal],
    samples: Samples,
    rng: np.random.Generator,
    search: Search,
    first: bool,
) -> Iterator[bytes]:
    """Ascents; their last points also show which neurons are unstable for certain. The first time, orders of summation
    are tried as well."""
    witnesses = region.witnesses
    if witnesses.hole:
        return
    if region.ball is not None:
        point, reached = attack_ball(region.ball, layers, goals, witnesses.lower, witnesses.upper, rng)
        search.log.append(f"attack: {reached:.3g}")
        if reached >= 0:
            yield witnesses.certificate(witnesses.moved(point[None])[0])
        return
    best, score, last = ascend(layers, region.box, goals, rng, *ATTACK, search.late)
    search.log.append(f"attack: {score.max():.3g}")
    samples.add(forward(layers, region.box.center + region.box.radius * np.concatenate([best, last]))[0])
    if score.max() >= 0:
        yield witnesses.certificate(_inside(region, best[score.argmax()][None])[0])
    elif first:
        near = [witnesses.parts(point) for point in _inside(region, best[np.argsort(-score)[:ORDERED]])]
        yield from broken(ground.program, ground.error, claim, float(score.max()), near, search.late)


def _inside(region: Region, t: Array) -> Array:
    """Points center + radius t, (batch, n), moved to float32 numbers where witnesses are."""
    points = region.box.center + region.box.radius * t
    return region.witnesses.moved(points.astype(np.float32).astype(np.float64))


def _close(
    layers: Layers,
    top: Root,
    goals: list[Goal],
    region: Region,
    work: float,
    search: Search,
    steps: Steps,
) -> tuple[Steps | None, Array | None]:
    """Refute every goal, the hardest first: the whole proof, or a counterexample, or neither."""
    relaxation, rows, root = top.relaxation, top.rows, top.bounds
    order = np.argsort(root.lower - root.error)
    search.lower = max(search.lower, float(root.lower.min()))
    search.log.append(
        f"root: {root.lower.min():.3g}, {int((root.lower < 0).sum())} open, {relaxation.fold.size} neurons"
    )
    limit = work / cost(relaxation) + 1
    point: list[Array] = []
    hole = region.witnesses.hole

    def candidates(corners: Points) -> bool:
        if hole:
            return False
        values = forward(layers, _inside(region, corners.astype(np.float64)))[1]
        score = badness(goals, values)[0]
        if score.max() >= 0:
            point.append(corners[score.argmax()])
        return bool(point)

    outcomes: dict[int, Outcome] = {}
    least = [*(root.lower - root.error)[order].tolist(), inf]
    for index, rest in zip(order.tolist(), least[1:], strict=True):  # the goals after it are no worse than at the root

        def watch(lower: float, open_leaves: int, rest: float = rest) -> None:
            search.note(min(lower, rest), open_leaves)

        row = rows.take(np.array([index]))
        outcome = refute(relaxation, row, limit, search.late, candidates, watch)
        limit -= outcome.spent
        if point:
            return None, point[0]
        if outcome.tree is None:
            search.log.append(f"goal {index}: {outcome.lower:.3g}, {outcome.open_leaves} open of {outcome.bounded}")
            return None, None
        outcomes[index] = outcome
    found = steps.copy()
    if len(goals) > 1:
        found.cases()
    for index, weights in enumerate(top.weights):
        if region.ball is not None:
            found.ball(region.ball.name, top.planes[index].stated)
        tree = outcomes[index].tree
        if tree is not None:
            found.tree(layers, relaxation, tree, np.tile(encode(weights), (len(tree.leaves), 1)))
    return found, None


def combine(relaxation: Relaxation, rows: Rows) -> tuple[Rows, Single]:
    """The rows of a goal as one: the combination with the best root bound that multiplicative weights find."""
    rows = single(rows)
    count = len(rows.constant)
    weights = np.ones(count, np.float32)
    best, best_weights = -inf, weights
    for _ in range(COMBINE_STEPS if count > 1 else 0):
        total = rows.combine(weights[None])
        found = evaluate(relaxation, total, relaxation.root(1))
        scale = float(np.abs(total.t).sum() + np.abs(total.u).sum()) + 1e-30
        if found.lower[0] / scale > best:
            best, best_weights = found.lower[0] / scale, weights
        value = rows.t @ found.corner[0] + rows.u @ np.maximum(found.z[0], 0) + rows.constant
        weights = weights * np.exp2(np.clip(value / -np.abs(value).max(), -1, 1)).astype(np.float32)
        weights = shorten(weights / weights.max())
    return rows.combine(best_weights[None]), best_weights
