"""Counterexamples: exact membership in the region and in the bad set, by intervals where an op has an inexact map."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Ints, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import greatest, least, within


def lemmas() -> Iterator[Lemma]:
    x, lo, hi, c, bound, low, high, point = Reals("x lo hi c bound low high point")
    y1, y2, c1, c2, lo1, hi1, lo2, hi2, tolerance = Reals("y1 y2 c1 c2 lo1 hi1 lo2 hi2 tolerance")
    yield Lemma(
        "witness_inside",
        "l <= p <= u, compared as rationals, is membership in the box: no tolerance",
        ("witness",),
        {"l <= p": lo <= point, "p <= u": point <= hi},
        within(lo, point, hi),
        (
            Mutant("tolerance below", hypotheses={"l <= p": And(lo - tolerance <= point, tolerance >= 0)}),
            Mutant("tolerance above", hypotheses={"p <= u": And(point <= hi + tolerance, tolerance >= 0)}),
        ),
    )
    k, n = Ints("k n")
    (unit,) = Reals("unit")
    yield Lemma(
        "witness_exponent",
        "p = k / n and unit m = 1 with m = n j make p = (k j) unit: all entries in the least unit, exactly",
        ("witness",),
        {"p n = k": point * n == k, "n c = m": c * n == hi, "m unit = 1": hi * unit == 1},
        point == k * c * unit,
        (Mutant("not aligned", point == k * unit),),
    )
    box = {"y1 in [l1, u1]": within(lo1, y1, hi1), "y2 in [l2, u2]": within(lo2, y2, hi2)}
    lowest = least(c1, lo1, hi1) + least(c2, lo2, hi2)
    yield Lemma(
        "witness_least",
        "outputs in intervals with sum_i min(c_i l_i, c_i u_i) >= bound satisfy c y >= bound",
        ("witness",),
        {**box, "least >= bound": lowest >= bound},
        c1 * y1 + c2 * y2 >= bound,
        (
            Mutant("greatest", hypotheses={"least >= bound": greatest(c1, lo1, hi1) + greatest(c2, lo2, hi2) >= bound}),
            Mutant("lower end for every sign", hypotheses={"least >= bound": c1 * lo1 + c2 * lo2 >= bound}),
            Mutant("strict", c1 * y1 + c2 * y2 > bound),
        ),
    )
    yield Lemma(
        "witness_strict",
        "a strict inequality needs least > bound",
        ("witness",),
        {**box, "least > bound": lowest > bound},
        c1 * y1 + c2 * y2 > bound,
        (Mutant("least >= bound", hypotheses={"least > bound": lowest >= bound}),),
    )
    yield Lemma(
        "witness_point",
        "without inexact maps the interval is one point, and least is the value itself",
        ("witness",),
        {"l = u": low == high, "x in [l, u]": within(low, x, high)},
        And(least(c, low, high) == c * x, greatest(c, low, high) == c * x),
        (Mutant("end of another width", hypotheses={"l = u": low <= high}),),
    )
    yield Lemma(
        "witness_disjunct",
        "all inequalities of one disjunct put a point in the bad set",
        ("witness",),
        {"first >= 0": y1 >= 0, "second >= 0": y2 >= 0},
        Or(And(y1 >= 0, y2 >= 0), And(c1 >= 0, c2 >= 0)),
        (Mutant("one inequality of each", hypotheses={"second >= 0": c1 >= 0}),),
    )
