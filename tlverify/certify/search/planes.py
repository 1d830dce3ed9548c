"""Claims about l1 and l2 balls: a plane beside the ball as one more inequality of each disjunct, and points in it.

For a ball of center c and radius r, and any direction g of dual norm 1 at most, g . (x - c) <= r. With g along the
gradient a of a disjunct, and the right multiplier, the least of -a . x over the box becomes its least over the ball,
-a . c - r |a|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tlverify.certify.search.ball import Ball
from tlverify.certify.search.dual import Relaxation, evaluate, shorten
from tlverify.certify.search.fold import Folding, Rows, Single, joined, single
from tlverify.certify.search.goals import Goal, refutation
from tlverify.certify.search.layers import Array, Layers, forward, gradient

STARTS, STEPS = 16, 40  # of an attack
MULTIPLIERS = np.exp2(np.arange(-16, 17) / 8)  # of a plane that are tried, times the gradient's dual norm


@dataclass(frozen=True)
class Plane:
    """direction . (x - center) <= radius, as the goal that it refutes with, and as a certificate states it; `size` is
    the dual norm of the gradient that it is along."""

    goal: Goal
    stated: Sequence[str]
    size: float


def plane_beside(ball: Ball, layers: Layers, goal: Goal) -> Plane:
    """Against the gradient, at the center, of the inequality of a goal that is least satisfied there."""
    point = ball.center[None]
    inner, values = forward(layers, point)
    row = int(goal.left(values)[0].argmin())
    slope = gradient(layers, inner, {name: matrix[row][None] for name, matrix in goal.rows.items()})[0]
    direction = ball.direction(slope)
    bound = -(ball.radius + float(direction @ ball.center)) - 2.0**-31
    stated = [str(Fraction(v)) for v in direction.tolist()]
    return Plane(Goal({ball.name: -direction[None]}, np.array([bound])), stated, ball.dual(slope))


def beside(relaxation: Relaxation, folding: Folding, row: Rows, weights: Single, plane: Plane) -> tuple[Rows, Single]:
    """A combination of a goal's rows with the best multiplier of the plane added, and the multipliers."""
    other = single(refutation(folding, plane.goal))
    tried = shorten((MULTIPLIERS * plane.size).astype(np.float32))
    both = joined([row, other])
    pairs = np.stack([np.ones_like(tried), tried], 1)
    found = evaluate(relaxation, both.combine(pairs), relaxation.root(len(pairs)), gradient=False)
    best = int(found.lower.argmax())
    return both.combine(pairs[best][None]), np.append(weights, tried[best])


def attack(
    ball: Ball, layers: Layers, goals: list[Goal], lower: Array, upper: Array, rng: np.random.Generator
) -> tuple[Array, float]:
    """The worst point found in the ball and the box, and how bad it is: >= 0 if in the bad set. Steps go to where the
    gradient is greatest in the ball (Frank and Wolfe, 1956)."""
    points = ball.inside(np.clip(rng.uniform(lower, upper, (STARTS, len(lower))), lower, upper))
    points[0] = np.clip(ball.center, lower, upper)
    best, most = points[0], -np.inf
    for step in range(STEPS + 1):
        inner, values = forward(layers, points)
        left = [goal.left(values) for goal in goals]
        least = np.stack([part.min(1) for part in left], 1)
        score = least.max(1)
        if score.max() > most:
            best, most = points[score.argmax()], float(score.max())
        if most >= 0 or step == STEPS:
            break
        chosen = least.argmax(1)
        rows: dict[str, Array] = {}
        for k, goal in enumerate(goals):
            which = left[k].argmin(1)
            for name, matrix in goal.rows.items():
                part = np.where((chosen == k)[:, None], matrix[which], 0.0)
                rows[name] = rows.get(name, 0.0) + part
        slope = gradient(layers, inner, rows)
        points = ball.inside(np.clip(points + (ball.worst(slope) - points) * 2 / (step + 2), lower, upper))
    return best, most
