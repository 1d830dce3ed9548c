"""Looking for counterexamples of one claim: projected gradient ascent from smooth starts.

Where the inputs are an image, a perturbation that is constant on patches gets further than one that changes from pixel
to pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.fold import Box
from tlverify.certify.search.goals import Goal
from tlverify.certify.search.layers import Array, Layers, forward, gradient

GRIDS = (4, 2, 7)  # patches a side
RATES = (1.0, 0.5, 0.25, 0.1)  # step sizes, in radii, each for a share of the steps


def starts(rng: np.random.Generator, count: int, inputs: int) -> Array:
    """Points t in [-1, 1], (count, inputs): smooth +-1 blobs if the inputs look like an image, else corners and random
    points; the first is the middle."""
    t = rng.uniform(-1, 1, (count, inputs))
    corners = rng.random(count) < 0.5
    t[corners] = np.sign(t[corners])
    shape = _image(inputs)
    if shape is not None:
        channels, side = shape
        for k in range(count - count // 4):
            grid = GRIDS[k % len(GRIDS)]
            patches = rng.choice([-1.0, 1.0], (channels, grid, grid))
            place = np.arange(side) * grid // side
            t[k] = patches[:, place[:, None], place].ravel()
    t[0] = 0
    return t


def _image(inputs: int) -> tuple[int, int] | None:
    """Channels and side, if the inputs are a square image of one or three channels."""
    for channels in (1, 3):
        side = math.isqrt(inputs // channels)
        if side >= 8 and channels * side * side == inputs:
            return channels, side
    return None


def badness(goals: list[Goal], values: dict[str, Array]) -> tuple[Array, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each point the largest over goals of the least row of left - bound; that goal, and that row of it."""
    rows = [goal.left(values) for goal in goals]
    least = np.stack([row.min(1) for row in rows], 1)
    which = least.argmax(1)
    row = np.stack([r.argmin(1) for r in rows], 1)[np.arange(len(which)), which]
    return least.max(1), which, row


def ascend(
    layers: Layers,
    box: Box,
    goals: list[Goal],
    rng: np.random.Generator,
    count: int,
    steps: int,
    late: Callable[[], bool],
) -> tuple[Array, Array, Array]:
    """The worst point of each ascent (count, inputs), its badness (count,), and all points of the last step."""
    t = starts(rng, count, layers.inputs)
    best, best_score = t.copy(), np.full(count, -np.inf)
    aim = np.arange(count) % len(goals)
    for step in range(steps + 1):
        inner, values = forward(layers, box.center + box.radius * t)
        score, which, row = badness(goals, values)
        better = score > best_score
        best[better], best_score[better] = t[better], score[better]
        if step == steps or (best_score >= 0).any() or late():
            break
        if step < steps // 2:  # first each towards its own goal
            which = aim
            row = np.stack([goal.left(values).argmin(1) for goal in goals], 1)[np.arange(count), which]
        rows = {name: np.zeros((count, layers.visible[name].bias.size)) for name in layers.visible}
        for number, goal in enumerate(goals):
            mine = np.flatnonzero(which == number)
            for name, matrix in goal.rows.items():
                rows[name][mine] += matrix[row[mine]]
        slope = gradient(layers, inner, rows) * box.radius
        rate = RATES[step * len(RATES) // steps]
        t = np.clip(t + rate * np.sign(slope), -1, 1)
    return best, best_score, t
