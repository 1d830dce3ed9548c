"""Rule `close`: a combination of a disjunct's inequalities and the cuts is negative on the region.

Inequalities g, h are their left sides minus their bounds at one point; m is a proved lower bound of the negated
combination. Multipliers mu, nu are >= 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Bools, Implies, Ints, Not, Or, Reals

from proofs.lemma import Lemma, Mutant


def lemmas() -> Iterator[Lemma]:
    yield from _objective()
    yield from _disjunct()
    yield from _bad_set()


def _objective() -> Iterator[Lemma]:
    g, h, mu, nu, left, bound, scale, right, limit = Reals("g h mu nu left bound scale right limit")
    yield Lemma(
        "objective_negated",
        "-(mu (s - p) + nu (t - q)) = (mu p + nu q) - mu s - nu t: bounds go to the constant, terms to the rows",
        ("objective", "close", "tree"),
        {"g = s - p": g == left - bound, "h = t - q": h == right - limit},
        -(mu * g + nu * h) == (mu * bound + nu * limit) - mu * left - nu * right,
        (
            Mutant("bounds subtracted", -(mu * g + nu * h) == -(mu * bound + nu * limit) - mu * left - nu * right),
            Mutant("rows not negated", -(mu * g + nu * h) == (mu * bound + nu * limit) + mu * left + nu * right),
            Mutant("bound not multiplied", -(mu * g + nu * h) == (bound + limit) - mu * left - nu * right),
        ),
    )
    yield Lemma(
        "objective_with_terms",
        "v - mu (s - p) = (v - mu s) + mu p: the same, for the bound of a value",
        ("objective", "bound"),
        {"g = s - p": g == left - bound},
        h - mu * g == (h - mu * left) + mu * bound,
        (Mutant("sign of the bound", h - mu * g == (h - mu * left) - mu * bound),),
    )
    yield Lemma(
        "objective_scaled",
        "for n > 0, n g >= 0 is g >= 0 and n g > 0 is g > 0: rational inequalities are scaled to integers",
        ("objective", "close"),
        {"n > 0": scale > 0},
        And((scale * g >= 0) == (g >= 0), (scale * g > 0) == (g > 0)),
        (
            Mutant("negative scale", hypotheses={"n > 0": scale != 0}),
            Mutant("strictness lost", (scale * g >= 0) == (g > 0)),
        ),
    )
    odd, power, k = Ints("odd power k")
    yield Lemma(
        "objective_integral",
        "c n is an integer k, n = odd 2^s: then c odd = k 2^-s, so an inequality is only scaled by an odd number",
        ("objective",),
        {"c n = k": left * scale == k, "n = odd 2^s": scale == odd * power},
        left * odd * power == k,
        (
            Mutant("exponent forgotten", left * odd == k),
            Mutant("exponent of the other sign", left * odd == k * power),
        ),
    )
    i, j, n = Ints("i j n")
    power_i, power_j, least = Reals("power_i power_j least")
    yield Lemma(
        "objective_units",
        "(i 2^e) (j 2^f) = (i n) j 2^q with 2^e 2^f = n 2^q, for the least exponent q of all products",
        ("objective",),
        {"2^e 2^f = n 2^q": power_i * power_j == n * least},
        (i * power_i) * (j * power_j) == (i * n) * j * least,
        (
            Mutant("not aligned", (i * power_i) * (j * power_j) == i * j * least),
            Mutant("unit of the multiplier alone", (i * power_i) * (j * power_j) == (i * n) * j * power_i),
        ),
    )


def _disjunct() -> Iterator[Lemma]:
    g, h, mu, nu, m, rest = Reals("g h mu nu m rest")
    signs = {"mu >= 0": mu >= 0, "nu >= 0": nu >= 0}
    combination = {"-(mu g + nu h) >= m": -(mu * g + nu * h) >= m}
    yield Lemma(
        "close_disjunct",
        "mu, nu >= 0 and -(mu g + nu h) >= m > 0 refute g, h >= 0 together; h may be a cut (Farkas)",
        ("close", "lemma", "tree"),
        {**signs, **combination, "m > 0": m > 0},
        Not(And(g >= 0, h >= 0)),
        (
            Mutant("m >= 0", hypotheses={"m > 0": m >= 0}),
            Mutant("each refuted alone", Not(Or(g >= 0, h >= 0))),
            Mutant("upper bound of the combination", hypotheses={"-(mu g + nu h) >= m": -(mu * g + nu * h) <= m}),
            Mutant("sign of the combination", hypotheses={"-(mu g + nu h) >= m": mu * g + nu * h >= m}),
            Mutant("negative multiplier of a cut", hypotheses={"nu >= 0": nu <= 0}),
        ),
    )
    yield Lemma(
        "close_strict",
        "when g > 0 is strict and mu > 0, m >= 0 is enough; g may be of the disjunct or a strict cut",
        ("close", "tree"),
        {"mu > 0": mu > 0, "nu >= 0": nu >= 0, **combination, "m >= 0": m >= 0},
        Not(And(g > 0, h >= 0)),
        (
            Mutant("multiplier 0 of the strict one", hypotheses={"mu > 0": mu >= 0}),
            Mutant("not strict", Not(And(g >= 0, h >= 0))),
            Mutant("another one is strict", Not(And(g >= 0, h > 0))),
            Mutant("m < 0", hypotheses={"m >= 0": m >= -1}),
        ),
    )
    yield Lemma(
        "combination_step",
        "one inequality more: mu >= 0, g >= 0 and a rest >= 0 keep mu g + rest >= 0",
        ("close", "tree"),
        {"mu >= 0": mu >= 0, "g >= 0": g >= 0, "rest >= 0": rest >= 0},
        mu * g + rest >= 0,
        (Mutant("strict", mu * g + rest > 0),),
    )
    yield Lemma(
        "empty_region",
        "cuts g, h >= 0 that hold never have -(mu g + nu h) >= m > 0: then no point is in the region",
        ("close", "tree"),
        {**signs, "g >= 0": g >= 0, "h >= 0": h >= 0, **combination},
        m <= 0,
        (
            Mutant("m = 0 taken as empty", m < 0),
            Mutant("a cut of the other half", hypotheses={"h >= 0": h <= 0}),
        ),
    )
    yield Lemma(
        "close_nothing",
        "without multipliers the combination is 0, which refutes nothing",
        ("close",),
        {"mu = 0": mu == 0, "nu = 0": nu == 0},
        -(mu * g + nu * h) == 0,
        (Mutant("refutes", -(mu * g + nu * h) > 0),),
    )


def _bad_set() -> Iterator[Lemma]:
    region, first, second, bad = Bools("region first second bad")
    yield Lemma(
        "close_every_disjunct",
        "a bad set whose every disjunct is refuted on the region has no point in it",
        ("close", "tree"),
        {
            "bad implies a disjunct": Implies(bad, Or(first, second)),
            "first refuted": Implies(region, Not(first)),
            "second refuted": Implies(region, Not(second)),
        },
        Implies(region, Not(bad)),
        (Mutant("refuted everywhere", Not(bad)),),
    )
