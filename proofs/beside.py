"""The arithmetic `interval`: parts of a tree that are worked out together, and a chord in float64.

A part's own ends are l and u. What all parts of a block share is the least of their lower ends, the greatest of their
upper ends, and the farthest that any end is from 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, relu, within


def lemmas() -> Iterator[Lemma]:
    a, z, lo, hi, least, greatest, far, v, e, c = Reals("a z lo hi least greatest far v e c")
    yield Lemma(
        "beside_kept",
        "the least lower end of all parts is >= 0: in each of them a relu(z) = a z, for either sign of a",
        ("beside",),
        {"least of all": least <= lo, "least >= 0": least >= 0, "l <= z": lo <= z},
        a * relu(z) == a * z,
        (
            Mutant("the greatest lower end", hypotheses={"least of all": least >= lo}),
            Mutant("the least upper end", hypotheses={"least of all": least <= hi}),
            Mutant("gives 0", a * relu(z) == 0),
        ),
    )
    yield Lemma(
        "beside_dropped",
        "the greatest upper end of all parts is <= 0: in each of them relu(z) = 0, and its coefficient is not needed",
        ("beside",),
        {"greatest of all": greatest >= hi, "greatest <= 0": greatest <= 0, "z <= u": z <= hi},
        a * relu(z) == 0,
        (
            Mutant("the least upper end", hypotheses={"greatest of all": greatest <= hi}),
            Mutant("the greatest lower end", hypotheses={"greatest of all": greatest >= lo}),
            Mutant("z itself is 0", a * z == 0),
        ),
    )
    yield Lemma(
        "beside_far",
        "no end of any part is farther from 0 than f: a coefficient that is c off costs c f at most, in each of them",
        ("beside",),
        {"l <= v <= u": within(lo, v, hi), "-l <= f": -lo <= far, "u <= f": hi <= far, "|e| <= c": absolute(e) <= c},
        absolute(e * v) <= c * far,
        (
            Mutant("the nearer end", hypotheses={"-l <= f": -lo >= far}),
            Mutant("half of it", absolute(e * v) <= c * far / 2),
            Mutant("signed", absolute(e * v) <= e * far),
        ),
    )
    t, s, m, w = Reals("t s m w")
    raised = "s = u / (u - l) (1 + 32 w), rounded three times"
    yield Lemma(
        "chord_raised",
        "raised by 32 w, a chord's slope t is not below it after three roundings by w each, nor is m = fl(a s) / a",
        ("beside",),
        {
            "0 < w": w > 0,
            "w small": 1000 * w <= 1,
            "t > 0": t > 0,
            raised: s * (1 + w) >= t * (1 - w) * (1 - w) * (1 + 32 * w),
            "m rounded": m >= s * (1 - w),
        },
        m > t,
        (
            Mutant("not raised", hypotheses={raised: s * (1 + w) >= t * (1 - w) * (1 - w)}),
            Mutant("raised by 2 w", hypotheses={raised: s * (1 + w) >= t * (1 - w) * (1 - w) * (1 + 2 * w)}),
            Mutant("raised by as much again", m > t * (1 + 32 * w)),
        ),
    )
