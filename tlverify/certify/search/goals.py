"""The disjuncts of a claim as arrays: what branch and bound has to refute, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from tlverify.certify.claim import Claim
from tlverify.certify.search.ball import Ball
from tlverify.certify.search.fold import Box, Folding, Rows
from tlverify.certify.search.layers import Array, Layers
from tlverify.certify.search.problem import nearest, odd_scale
from tlverify.certify.search.witnesses import Witnesses


@dataclass(frozen=True)
class Goal:
    """One disjunct: bad where sum(rows[name] . value) >= bound in every row; rows[name] is (rows, n)."""

    rows: Mapping[str, Array]
    bound: Array

    def left(self, values: Mapping[str, Array]) -> Array:
        """left - bound at points (batch, n) of the values: (batch, rows); bad where all are >= 0."""
        total = -self.bound
        for name, matrix in self.rows.items():
            total = total + values[name] @ matrix.T
        return np.asarray(total)


def goals_of(layers: Layers, claim: Claim) -> list[Goal]:
    """A goal for each disjunct, in order; its rows are as the kernel scales them, for which its multipliers are."""
    goals = []
    for disjunct in claim.bad:
        rows: dict[str, Array] = {}
        for r, inequality in enumerate(disjunct):
            for name, index, coefficient in inequality.terms:
                if name not in rows:
                    rows[name] = np.zeros((len(disjunct), layers.visible[name].bias.size))
                rows[name][r, index] += nearest(coefficient * odd_scale(inequality))
        goals.append(
            Goal(rows, np.array([nearest(inequality.bound * odd_scale(inequality)) for inequality in disjunct]))
        )
    return goals


def refutation(folding: Folding, goal: Goal) -> Rows:
    """bound - left of each row, over the folded network: a positive combination of these refutes the goal."""
    parts = []
    for name, matrix in goal.rows.items():
        parts.append(folding.rows(folding.layers.visible[name], name).combine(-matrix))
    t, u, constant, noise = (sum(getattr(part, name) for part in parts) for name in ("t", "u", "constant", "noise"))
    return Rows(t, u, goal.bound + constant, noise)


@dataclass(frozen=True)
class Region:
    """The claim's box, and where in it a witness can be."""

    box: Box
    witnesses: Witnesses

    @property
    def ball(self) -> Ball | None:
        return self.witnesses.ball


def region_of(layers: Layers, claim: Claim) -> Region:
    """All inputs in one vector, in the order of `layers.offsets`."""
    lower: list[Fraction] = [v for name in layers.offsets for v in claim.lower[name]]
    upper: list[Fraction] = [v for name in layers.offsets for v in claim.upper[name]]
    low, high = np.array([nearest(v) for v in lower]), np.array([nearest(v) for v in upper])
    return Region(Box((low + high) / 2, (high - low) / 2), Witnesses.of(claim, list(layers.offsets)))
