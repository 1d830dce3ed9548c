"""Looking for counterexamples: projected gradient ascent (Madry et al. 2018) on the margin of the bad set.

The gradient of the network at a point is CROWN's backward pass over the point itself, where every neuron is stable.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.bounds import Floats, Table, backward, root_table
from tlverify.certify.search.problem import Problem


def values_at(problem: Problem, points: dict[str, Floats]) -> tuple[Table, Floats]:
    """All values at points (batch, n), and the left sides g of the claims' rows, (batch, rows)."""
    table = root_table(problem.network, points, points)
    g = -problem.bound
    for name, rows in problem.rows.items():
        g = g + np.einsum("brn,bn->br", rows, table.lower[name])
    return table, g


def badness(problem: Problem, g: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
    """How deep in the bad set: the largest over disjuncts of the least row, and that row's index; (batch,)."""
    least = np.stack([g[:, rows].min(1) for rows in problem.disjuncts], 1)
    which = np.stack([rows[g[:, rows].argmin(1)] for rows in problem.disjuncts], 1)
    best = least.argmax(1)[:, None]
    return np.take_along_axis(least, best, 1)[:, 0], np.take_along_axis(which, best, 1)[:, 0]


def attack(
    problem: Problem, rng: np.random.Generator, restarts: int = 4, steps: int = 30
) -> tuple[dict[str, Floats], Floats]:
    """The worst point found for each claim, inside its region, and its badness (>= 0 means bad, up to rounding).

    The first start is the middle of the region, the others are random.
    """
    lower, upper = problem.inner_lower, problem.inner_upper
    best: dict[str, Floats] = {name: (lower[name] + upper[name]) / 2 for name in lower}
    best = {name: _round(best[name], lower[name], upper[name]) for name in best}
    score = badness(problem, values_at(problem, best)[1])[0]
    batch = np.arange(len(score))
    for restart in range(restarts):
        points = dict(best)
        if restart:
            points = {name: rng.uniform(lower[name], upper[name]) for name in lower}
        for step in range(steps):
            table, g = values_at(problem, points)
            _, row = badness(problem, g)
            chosen = {name: rows[batch, row][:, None, :] for name, rows in problem.rows.items()}
            gradients = backward(problem.network, table, chosen, np.zeros((len(score), 1)))[1].seen
            scale = 0.5 * (1 - step / steps)
            for name in points:
                if name in gradients:
                    move = scale * (upper[name] - lower[name]) / 2 * np.sign(gradients[name][:, 0, :])
                    points[name] = np.clip(points[name] + move, lower[name], upper[name])
            rounded = {name: _round(points[name], lower[name], upper[name]) for name in points}
            found = badness(problem, values_at(problem, rounded)[1])[0]
            better = found > score
            score = np.where(better, found, score)
            best = {name: np.where(better[:, None], rounded[name], best[name]) for name in best}
        if (score >= 0).all():
            break
    return best, score


def _round(points: Floats, lower: Floats, upper: Floats) -> Floats:
    """The nearest float32 numbers inside the region; float64 ones where the region holds no float32."""
    return np.clip(points.astype(np.float32).astype(np.float64), lower, upper)
