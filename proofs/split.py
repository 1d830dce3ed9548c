"""Rules `split`, `cases` and `lemma`: covers, what the parts may use, what is proved when all are closed."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Bools, Implies, Ints, Not, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, is_ceil, is_floor, maximum, within


def lemmas() -> Iterator[Lemma]:
    yield from _split()
    yield from _goals()
    yield from _cases()
    yield from _lemma()
    yield from _plane()


def _split() -> Iterator[Lemma]:
    z, t, lo, hi, unit = Reals("z t lo hi unit")
    (k,) = Ints("k")
    yield Lemma(
        "split_cover",
        "every z has z <= t or z >= t",
        ("split", "tree"),
        {},
        Or(z <= t, z >= t),
        (
            Mutant("both strict", Or(z < t, z > t)),
            Mutant("two thresholds", Or(z <= t, z >= t + 1)),
            Mutant("one half", z <= t),
            Mutant("sign of the threshold", Or(z <= t, z >= -t)),
        ),
    )
    yield Lemma(
        "split_inherits",
        "l <= t <= u: both halves are inside [l, u], so what holds there holds in them",
        ("split", "tree"),
        {"l <= t": lo <= t, "t <= u": t <= hi, "z in a half": Or(within(lo, z, t), within(t, z, hi))},
        within(lo, z, hi),
        (Mutant("strict", And(lo < z, z < hi)),),
    )
    yield Lemma(
        "split_cuts",
        "z <= t is -z >= -t and z >= t is z >= t: the halves as inequalities",
        ("split", "tree"),
        {},
        And((z <= t) == (-z - -t >= 0), (z >= t) == (z - t >= 0)),
        (
            Mutant("bound not negated", (z <= t) == (-z - t >= 0)),
            Mutant("halves exchanged", And((z >= t) == (-z - -t >= 0), (z <= t) == (z - t >= 0))),
            Mutant("strict", (z <= t) == (-z - -t > 0)),
        ),
    )
    positive = {"unit > 0": unit > 0}
    up, down = {"k = ceil(t / unit)": is_ceil(k, t / unit)}, {"k = floor(t / unit)": is_floor(k, t / unit)}
    yield Lemma(
        "split_below_entry",
        "z <= t implies z <= ceil(t / unit) unit: the entry of the table is rounded outward, the cut is exact",
        ("split", "lemma"),
        {"z <= t": z <= t, **positive, **up},
        z <= k * unit,
        (
            Mutant("floor", hypotheses={"k = ceil(t / unit)": is_floor(k, t / unit)}),
            Mutant("entry of the half above", hypotheses={"z <= t": z >= t}),
        ),
    )
    yield Lemma(
        "split_above_entry",
        "z >= t implies z >= floor(t / unit) unit",
        ("split", "lemma"),
        {"z >= t": z >= t, **positive, **down},
        z >= k * unit,
        (
            Mutant("ceiling", hypotheses={"k = floor(t / unit)": is_ceil(k, t / unit)}),
            Mutant("entry of the half below", hypotheses={"z >= t": z <= t}),
        ),
    )


def _goals() -> Iterator[Lemma]:
    region, left, right, bad, entry = Bools("region left right bad entry")
    yield Lemma(
        "split_goals",
        "parts that cover the region and hold no bad point leave none in the region",
        ("split", "tree"),
        {
            "region covered": Implies(region, Or(left, right)),
            "left closed": Implies(And(region, left), Not(bad)),
            "right closed": Implies(And(region, right), Not(bad)),
        },
        Implies(region, Not(bad)),
        (Mutant("safe outside the region too", Not(bad)),),
    )
    yield Lemma(
        "table_inherits",
        "what holds on the region, an entry of the table or a cut, holds on a part of it",
        ("split", "cases", "lemma", "tree", "bound", "rebound"),
        {"entry on the region": Implies(region, entry)},
        Implies(And(region, left), entry),
        (
            Mutant(
                "region inherits from the part",
                Implies(region, entry),
                {"entry on the region": Implies(And(region, left), entry)},
            ),
            Mutant("part outside the region", Implies(left, entry)),
        ),
    )


def _cases() -> Iterator[Lemma]:
    region, bad, first, second, entry, one, two = Bools("region bad first second entry one two")
    disjuncts = {"bad implies a disjunct": Implies(bad, Or(first, second))}
    yield Lemma(
        "cases_goals",
        "if no point of region and disjunct is in that disjunct, for each, then the region has no bad point",
        ("cases",),
        {
            **disjuncts,
            "first closed": Implies(And(region, first), Not(first)),
            "second closed": Implies(And(region, second), Not(second)),
        },
        Implies(region, Not(bad)),
        (
            Mutant("a disjunct dropped", hypotheses={"second closed": Implies(And(region, second), Not(first))}),
            Mutant(
                "cuts of one disjunct against another",
                hypotheses={"first closed": Implies(And(region, second), Not(first))},
            ),
        ),
    )
    yield Lemma(
        "cases_cuts",
        "a bad point of a disjunct satisfies all of its inequalities: each may be a cut of its goal",
        ("cases",),
        {"first implies its inequalities": Implies(first, And(one, two)), "in the goal": And(region, first)},
        And(one, two),
        (
            Mutant("cuts of any disjunct", hypotheses={"in the goal": And(region, Or(first, second))}),
            Mutant("some of them", hypotheses={"first implies its inequalities": Implies(first, Or(one, two))}),
        ),
    )
    yield Lemma(
        "cases_table",
        "an entry proved in the goal of a disjunct may refute it, and stays there",
        ("cases", "bound"),
        {
            "entry in the goal": Implies(And(region, first), entry),
            "entry refutes it": Implies(And(region, entry), Not(first)),
        },
        Implies(region, Not(first)),
        (
            Mutant(
                "another disjunct",
                Implies(region, Not(second)),
                {"entry refutes it": Implies(And(region, entry), Not(second))},
            ),
            Mutant("entry kept for the region", Implies(region, entry)),
        ),
    )


def _lemma() -> Iterator[Lemma]:
    v, m = Reals("v m")
    region, part = Bools("region part")
    here = {"point of the region": region}
    yield Lemma(
        "lemma_upper",
        "if no point of the region has v >= m, then v <= m enters the table of the region",
        ("lemma",),
        {**here, "no point has v >= m": Not(And(region, v - m >= 0))},
        v <= m,
        (
            Mutant("proved on a part only", hypotheses={"no point has v >= m": Not(And(region, part, v - m >= 0))}),
            Mutant("wrong side", v >= m),
            Mutant("the other end refuted", hypotheses={"no point has v >= m": Not(And(region, v - m <= 0))}),
        ),
    )
    yield Lemma(
        "lemma_lower",
        "if no point of the region has -v >= -m, then v >= m enters the table of the region",
        ("lemma",),
        {**here, "no point has -v >= -m": Not(And(region, -v - -m >= 0))},
        v >= m,
        (
            Mutant("bound not negated", hypotheses={"no point has -v >= -m": Not(And(region, -v - m >= 0))}),
            Mutant("proved on a part only", hypotheses={"no point has -v >= -m": Not(And(region, part, -v - -m >= 0))}),
            Mutant("wrong side", v <= m),
        ),
    )


def _plane() -> Iterator[Lemma]:
    g1, g2, d1, d2, r, p, b, q = Reals("g1 g2 d1 d2 r p b q")
    yield Lemma(
        "plane_l1",
        "|g1|, |g2| <= 1 and |d1| + |d2| <= r imply g1 d1 + g2 d2 <= r (Hoelder)",
        ("ball",),
        {
            "|g1| <= 1": within(-1, g1, 1),
            "|g2| <= 1": within(-1, g2, 1),
            "|d1| + |d2| <= r": absolute(d1) + absolute(d2) <= r,
        },
        g1 * d1 + g2 * d2 <= r,
        (
            Mutant("strict", g1 * d1 + g2 * d2 < r),
            Mutant("half of it", 2 * (g1 * d1 + g2 * d2) <= r),
            Mutant("largest of d", hypotheses={"|d1| + |d2| <= r": maximum(absolute(d1), absolute(d2)) <= r}),
        ),
    )
    yield Lemma(
        "plane_l2",
        "g1^2 + g2^2 <= 1 implies (g1 d1 + g2 d2)^2 <= d1^2 + d2^2 (Cauchy, Schwarz): at most r where that is r^2",
        ("ball",),
        {"|g| <= 1": g1 * g1 + g2 * g2 <= 1},
        (g1 * d1 + g2 * d2) * (g1 * d1 + g2 * d2) <= d1 * d1 + d2 * d2,
        (
            Mutant("|g|_inf <= 1", hypotheses={"|g| <= 1": And(within(-1, g1, 1), within(-1, g2, 1))}),
            Mutant("|g| <= 2", hypotheses={"|g| <= 1": g1 * g1 + g2 * g2 <= 4}),
        ),
    )
    yield Lemma(
        "plane_floored",
        "-p >= -b and q <= -b imply -p >= q: the bound of the plane may be floored",
        ("ball",),
        {"p <= b": p <= b, "q <= -b": q <= -b},
        -p >= q,
        (Mutant("raised", hypotheses={"q <= -b": q <= -b + 1}),),
    )
    yield Lemma(
        "plane_takes_no_bad_point",
        "a point of the region satisfies the plane, so with it in the disjunct as well it is bad if it was",
        ("ball",),
        {"in the region": p <= b, "bad": r >= 0},
        And(r >= 0, p <= b),
        (Mutant("plane of another ball", And(r >= 0, p <= b - 1)),),
    )
