"""Looking for counterexamples in regions of few inputs: exact floats inside the region, values and gradients there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tlverify.certify.interval.engine import Network

Floats = npt.NDArray[np.float64]


def inside(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> tuple[Floats, Floats]:
    """The least and the largest float64 of each interval [lower, upper]. (The least is larger where there is none.)"""
    low = np.array([float(v) for v in lower])
    high = np.array([float(v) for v in upper])
    for i, (a, b) in enumerate(zip(lower, upper, strict=True)):
        if Fraction(float(low[i])) < a:
            low[i] = math.nextafter(low[i], math.inf)
        if Fraction(float(high[i])) > b:
            high[i] = math.nextafter(high[i], -math.inf)
    return low, high


def values_at(network: Network, points: Mapping[str, Floats]) -> dict[str, Floats]:
    """All values at points (batch, n) of the inputs, in plain float64."""
    values = dict(points)
    batch = len(next(iter(points.values())))
    for value in network.program.values.values():
        if value.kind == "relu":
            values[value.name] = np.maximum(values[value.source], 0.0)
        elif value.kind == "affine":
            total = np.zeros((batch, value.size))
            for source, matrix in network.terms(value):
                total += matrix.forward(values[source], matrix.weight)
            if value.name in network.biases:
                total += network.biases[value.name]
            values[value.name] = total
    return values


def gradients(network: Network, values: Mapping[str, Floats], start: Mapping[str, Floats]) -> dict[str, Floats]:
    """Of start . values with respect to the inputs, at the points of `values`: start[name] is (batch, n)."""
    pending = dict(start)
    result: dict[str, Floats] = {}
    for name in network.program.order(tuple(sorted(start))):
        row = pending.pop(name, None)
        if row is None:
            continue
        value = network.program.values[name]
        if value.kind == "input":
            result[name] = row
            continue
        if value.kind == "relu":
            parts = [(value.source, row * (values[value.source] > 0))]
        else:
            parts = [(source, matrix.backward(row)) for source, matrix in network.terms(value)]
        for source, part in parts:
            pending[source] = pending[source] + part if source in pending else part
    return result


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
    network: Network,
    bad: BadSet,
    lower: Mapping[str, Floats],
    upper: Mapping[str, Floats],
    rng: np.random.Generator,
    samples: int = 4096,
    kept: int = 128,
    steps: int = 60,
) -> tuple[dict[str, Floats], float]:
    """The worst point found in a box (inputs by name, (n,)) and its badness.

    Samples have each coordinate at an end of its range with probability 1/2, else anywhere; the worst are improved by
    gradient ascent on the least conjunct, with steps that shrink.
    """
    points = {}
    for name, low in lower.items():
        high = upper[name]
        anywhere = rng.uniform(low, high, (samples, len(low)))
        end = np.where(rng.random(anywhere.shape) < 0.5, low, high)
        points[name] = np.where(rng.random(anywhere.shape) < 0.5, end, anywhere)
        points[name][0] = np.clip((low + high) / 2, low, high)
    score = bad.badness(values_at(network, points))[0]
    order = np.argsort(-score)[:kept]
    points = {name: value[order] for name, value in points.items()}
    best, best_score = {name: value[0] for name, value in points.items()}, float(score[order[0]])
    for step in range(steps):
        values = values_at(network, points)
        score, worst = bad.badness(values)
        top = int(score.argmax())
        if score[top] > best_score:
            best, best_score = {name: value[top] for name, value in points.items()}, float(score[top])
        if best_score >= 0:
            break
        slope = gradients(network, values, {name: rows[worst] for name, rows in bad.rows.items()})
        scaled = {name: slope[name] * (upper[name] - lower[name]) for name in slope}
        length = np.sqrt(sum(((part**2).sum(1) for part in scaled.values()), np.zeros(len(score))))
        size = 0.3 * 0.9**step / np.maximum(length, 1e-300)
        for name, part in scaled.items():
            moved = points[name] + size[:, None] * part * (upper[name] - lower[name])
            points[name] = np.clip(moved, lower[name], upper[name])
    return best, best_score
