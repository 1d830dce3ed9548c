"""A batch of claims about one graph as arrays for the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tlverify.certify.claim import Claim, Inequality
from tlverify.certify.search.bounds import Floats, Network


@dataclass(frozen=True)
class Problem:
    """Claims whose bad sets have the same form.

    Row r of claim b states g = sum(rows[name][b, r] . value) - bound[b, r]; disjunct d is bad where g >= 0 for all
    of its rows `disjuncts[d]`. `lower`, `upper` contain the region (rounded outward); `inner_lower`, `inner_upper`
    are float32 numbers, exactly representable and inside it (or float64 ones, where no float32 fits).
    """

    network: Network
    claims: Sequence[Claim]
    lower: dict[str, Floats]
    upper: dict[str, Floats]
    inner_lower: dict[str, Floats]
    inner_upper: dict[str, Floats]
    rows: dict[str, Floats]
    bound: Floats
    disjuncts: Sequence[npt.NDArray[np.intp]]

    def take(self, index: npt.NDArray[np.intp]) -> Problem:
        """The problem of a part of the claims."""

        def part(values: dict[str, Floats]) -> dict[str, Floats]:
            return {name: value[index] for name, value in values.items()}

        return Problem(
            self.network,
            [self.claims[i] for i in index],
            part(self.lower),
            part(self.upper),
            part(self.inner_lower),
            part(self.inner_upper),
            part(self.rows),
            self.bound[index],
            self.disjuncts,
        )


def form(claim: Claim) -> tuple[int, ...]:
    """Claims of equal form can be searched together: the number of rows in each disjunct."""
    return tuple(len(conjuncts) for conjuncts in claim.bad)


def build(network: Network, claims: Sequence[Claim]) -> Problem:
    """The arrays of claims that have one form and one graph."""
    names = [value.name for value in network.graph.inputs]
    ends = {
        kind: {name: np.array([[convert(v) for v in getattr(c, side)[name]] for c in claims]) for name in names}
        for kind, side, convert in (
            ("lower", "lower", _below),
            ("upper", "upper", _above),
        )
    }
    inner = {n: np.array([[*map(inside, c.lower[n], c.upper[n])] for c in claims]) for n in names}
    ends["inner_lower"] = {name: pairs[..., 0] for name, pairs in inner.items()}
    ends["inner_upper"] = {name: pairs[..., 1] for name, pairs in inner.items()}
    counts = form(claims[0])
    starts = np.cumsum([0, *counts])
    total = int(starts[-1])
    rows: dict[str, Floats] = {}
    bound = np.zeros((len(claims), total))
    for b, claim in enumerate(claims):
        for r, inequality in enumerate(row for conjuncts in claim.bad for row in conjuncts):
            bound[b, r] = nearest(inequality.bound)
            for name, index, coefficient in inequality.terms:
                if name not in rows:
                    rows[name] = np.zeros((len(claims), total, network.sizes[name]))
                rows[name][b, r, index] += nearest(coefficient)
    disjuncts = [np.arange(a, b) for a, b in pairwise(starts)]
    return Problem(network, claims, **ends, rows=rows, bound=bound, disjuncts=disjuncts)


LARGEST = 1e300  # ends, bounds and coefficients are held to this; the kernel has the exact ones


def nearest(value: Fraction) -> float:
    """The nearest float64, held to LARGEST."""
    return float(min(max(value, -Fraction(LARGEST)), Fraction(LARGEST)))


def odd_scale(inequality: Inequality) -> int:
    """What the kernel multiplies an inequality with, so that its numbers are binary fractions (and its multipliers are
    of the scaled one): the least odd number that does."""
    denominators = (inequality.bound.denominator, *(c.denominator for *_, c in inequality.terms))
    common = math.lcm(*denominators)
    return common // (common & -common)


def _below(value: Fraction) -> float:
    found = nearest(value)
    return found if Fraction(found) <= value else math.nextafter(found, -math.inf)


def _above(value: Fraction) -> float:
    return -_below(-value)


def inside(lower: Fraction, upper: Fraction) -> tuple[float, float]:
    """The least and the greatest float32 between two ends, or else float64; crossed if there is none of either."""
    with np.errstate(over="ignore"):
        low, high = _up(lower, np.float32), -_up(-upper, np.float32)
    if not low <= high or abs(low) == math.inf or abs(high) == math.inf:
        low, high = _up(lower, np.float64), -_up(-upper, np.float64)
    return low + 0.0, high + 0.0  # no -0.0, which NumPy's generators take for negative


def _up(value: Fraction, kind: type[np.float32] | type[np.float64]) -> float:
    """The least float of a kind that is >= value."""
    found = kind(nearest(value))
    if not np.isfinite(found) or Fraction(float(found)) >= value:
        return float(found)
    return float(np.nextafter(found, kind(np.inf)))
