"""Looking for counterexamples in regions of few inputs: samples at the ends of ranges, improved by gradient ascent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlverify.certify.search.layers import Layers, forward, gradient

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BadSet:
    """Conjunct k is rows . values >= bounds[k]; `disjuncts` are their numbers."""

    rows: Mapping[str, Floats]
    bounds: Floats
    disjuncts: Sequence[npt.NDArray[np.intp]]

    def badness(self, values: Mapping[str, Floats]) -> tuple[Floats, npt.NDArray[np.intp]]:
        """How deep in the bad set, >= 0 if in it: the largest over disjuncts of the least conjunct's left side minus
        bound, and that conjunct, (batch,)."""
        left = sum((values[name] @ rows.T for name, rows in self.rows.items()), -self.bounds)
        least = np.stack([left[:, mine].min(1) for mine in self.disjuncts], 1)
        which = np.stack([mine[left[:, mine].argmin(1)] for mine in self.disjuncts], 1)
        best = least.argmax(1)[:, None]
        return np.take_along_axis(least, best, 1)[:, 0], np.take_along_axis(which, best, 1)[:, 0]


def attack(
    layers: Layers,
    bad: BadSet,
    lower: Floats,
    upper: Floats,
    rng: np.random.Generator,
    samples: int = 4096,
    kept: int = 128,
    steps: int = 60,
) -> tuple[Floats, float]:
    """The worst point found in a box of all inputs (n,), and its badness.

    Samples have each coordinate at an end of its range with probability 1/2, else anywhere; the worst are improved by
    gradient ascent on the least conjunct, with steps that shrink.
    """
    anywhere = rng.uniform(lower, upper, (samples, len(lower)))
    end = np.where(rng.random(anywhere.shape) < 0.5, lower, upper)
    points = np.where(rng.random(anywhere.shape) < 0.5, end, anywhere)
    points[0] = np.clip((lower + upper) / 2, lower, upper)
    score = bad.badness(forward(layers, points)[1])[0]
    order = np.argsort(-score)[:kept]
    points = points[order]
    best, best_score = points[0], float(score[order[0]])
    for step in range(steps):
        inner, visible = forward(layers, points)
        score, worst = bad.badness(visible)
        top = int(score.argmax())
        if score[top] > best_score:
            best, best_score = points[top], float(score[top])
        if best_score >= 0:
            break
        slope = gradient(layers, inner, {name: rows[worst] for name, rows in bad.rows.items()}) * (upper - lower)
        length = np.sqrt((slope**2).sum(1, keepdims=True))
        points = np.clip(points + 0.3 * 0.9**step * slope / np.maximum(length, 1e-300) * (upper - lower), lower, upper)
    return best, best_score
