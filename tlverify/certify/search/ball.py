"""The l1 or l2 ball of a claim: its points, and directions of planes beside it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tlverify.certify.claim import Claim
from tlverify.certify.search.layers import Array

BITS = 20  # of a direction
SHRUNK = 1 - 1e-5  # so that a point rounded to float32 stays in the ball


@dataclass(frozen=True)
class Ball:
    """The ball of a claim's only input."""

    name: str
    norm: int
    center: Array
    radius: float

    @classmethod
    def of(cls, claim: Claim) -> Ball | None:
        """None if the claim has none."""
        for region in claim.region:
            if region["kind"] in ("l1_ball", "l2_ball"):
                center = np.array([float(Fraction(v)) for v in region["center"]])
                return cls(region["input"], int(region["kind"][1]), center, float(Fraction(region["radius"])))
        return None

    def direction(self, row: Array) -> Array:
        """Along a row (n,), of dual norm 1 at most, in multiples of 2^-BITS."""
        scale = self.dual(row)
        unit = row / scale if scale > 0 else np.zeros_like(row)
        return np.asarray(np.trunc(unit * 2.0**BITS) / 2.0**BITS)

    def dual(self, row: Array) -> float:
        """The dual norm of a row (n,)."""
        return float(np.abs(row).max() if self.norm == 1 else np.sqrt((row**2).sum()))

    def worst(self, rows: Array) -> Array:
        """The points of the ball (batch, n) where rows are greatest."""
        if self.norm == 2:
            length = np.sqrt((rows**2).sum(-1, keepdims=True))
            return np.asarray(self.center + self.radius * rows / np.maximum(length, 1e-300))
        result = np.tile(self.center, (len(rows), 1))
        every, at = np.arange(len(rows)), np.abs(rows).argmax(-1)
        result[every, at] += self.radius * np.sign(rows[every, at])
        return result

    def inside(self, points: Array) -> Array:
        """Points (batch, n) drawn towards the center, if they are outside."""
        moved = points - self.center
        far = np.abs(moved).sum(-1) if self.norm == 1 else np.sqrt((moved**2).sum(-1))
        share = np.minimum(1.0, SHRUNK * self.radius / np.maximum(far, 1e-300))
        return np.asarray(self.center + moved * share[..., None])
