"""Where a counterexample to a claim may lie, and its certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlverify.certify import certificate
from tlverify.certify.claim import Claim
from tlverify.certify.search.ball import Ball
from tlverify.certify.search.layers import Array
from tlverify.certify.search.problem import inside


@dataclass(frozen=True)
class Witnesses:
    """Points of a claim's region, all inputs in one vector: between `lower` and `upper`, the ends that `inside` gives;
    float32 numbers if `single`; in the `ball` if there is one; where `divisor` is not 0, levels of it."""

    claim: Claim
    sizes: Sequence[int]
    lower: Array
    upper: Array
    single: bool
    ball: Ball | None
    divisor: npt.NDArray[np.int64]

    @classmethod
    def of(cls, claim: Claim, names: Sequence[str]) -> Witnesses:
        """`names` are the graph's inputs in order."""
        regions = {region["input"]: region for region in claim.region}
        sizes = [len(claim.lower[name]) for name in names]
        ends = [inside(*pair) for name in names for pair in zip(claim.lower[name], claim.upper[name], strict=True)]
        lower, upper = np.array(ends).T
        divisor = np.repeat([regions[name].get("divisor", 0) for name in names], sizes)
        return cls(claim, sizes, lower, upper, claim.semantics != "real", Ball.of(claim), divisor)

    @property
    def hole(self) -> str:
        """Which input has no such number in its range, in words; empty if there are witnesses to look for."""
        empty = self.lower > self.upper
        if self.single:
            empty = empty | (self.lower != self.lower.astype(np.float32))
        entries = np.flatnonzero(empty)
        return f"input {entries[0]} has no number in its range: nothing to be falsified" if len(entries) else ""

    def moved(self, points: Array) -> Array:
        """Points (batch, n) moved to where witnesses are."""
        points = np.clip(points, self.lower, self.upper)
        if self.ball is not None:
            points = self.ball.inside(points)
        if self.single:
            points = points.astype(np.float32).astype(np.float64)
        levels = self.divisor > 0
        if levels.any():
            divisor = np.where(levels, self.divisor, 1)
            number = np.rint(points * divisor).astype(np.float32)
            points = np.where(levels, (number / divisor.astype(np.float32)).astype(np.float64), points)
        return points

    def parts(self, point: Array) -> list[Array]:
        """A point as a part for each input."""
        return np.split(point, np.cumsum(self.sizes)[:-1])

    def certificate(self, point: Array) -> bytes:
        """That the point is bad, in sequential execution if the claim is about float32; for the caller to check."""
        return certificate.witness(self.claim.digest, self.parts(point), self.claim.sequential)
