"""Rule `close`: a combination of a disjunct's rows and the path's half-spaces is negative on the region.

Rows g, h are values at one point of the region; m is a proved lower bound of the negated combination.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Bools, Implies, Not, Or, Reals

from proofs.lemma import Lemma, Mutant


def lemmas() -> Iterator[Lemma]:
    yield from _disjunct()
    yield from _bad_set()


def _disjunct() -> Iterator[Lemma]:
    g, h, mu, nu, m, rest = Reals("g h mu nu m rest")
    signs = {"mu >= 0": mu >= 0, "nu >= 0": nu >= 0}
    combination = {"-(mu g + nu h) >= m": -(mu * g + nu * h) >= m}
    yield Lemma(
        "close_disjunct",
        "mu, nu >= 0 and -(mu g + nu h) >= m > 0 refute g, h >= 0 together; h may be a half-space",
        ("close", "lemma", "split_phase"),
        {**signs, **combination, "m > 0": m > 0},
        Not(And(g >= 0, h >= 0)),
        (
            Mutant("m >= 0", hypotheses={"m > 0": m >= 0}),
            Mutant("each row refuted alone", Not(Or(g >= 0, h >= 0))),
            Mutant("upper bound of the combination", hypotheses={"-(mu g + nu h) >= m": -(mu * g + nu * h) <= m}),
            Mutant("sign of the combination", hypotheses={"-(mu g + nu h) >= m": mu * g + nu * h >= m}),
        ),
    )
    yield Lemma(
        "close_strict",
        "when g > 0 is strict and mu > 0, the bound m >= 0 is enough",
        ("close",),
        {"mu > 0": mu > 0, "nu >= 0": nu >= 0, **combination, "m >= 0": m >= 0},
        Not(And(g > 0, h >= 0)),
        (
            Mutant("zero multiplier on the strict row", hypotheses={"mu > 0": mu >= 0}),
            Mutant("non-strict row", Not(And(g >= 0, h >= 0))),
            Mutant("strict row not the one multiplied", Not(And(g >= 0, h > 0))),
        ),
    )
    yield Lemma(
        "combination_step",
        "one row more: mu >= 0, g >= 0 and a rest >= 0 keep mu g + rest >= 0",
        ("close",),
        {"mu >= 0": mu >= 0, "g >= 0": g >= 0, "rest >= 0": rest >= 0},
        mu * g + rest >= 0,
        (Mutant("strict", mu * g + rest > 0),),
    )
    yield Lemma(
        "empty_region",
        "half-spaces g, h >= 0 of the path never have -(mu g + nu h) >= m > 0: the region is empty (Farkas)",
        ("close",),
        {**signs, "g >= 0": g >= 0, "h >= 0": h >= 0, **combination},
        m <= 0,
        (Mutant("m = 0 taken as empty", m < 0),),
    )


def _bad_set() -> Iterator[Lemma]:
    region, first, second, bad = Bools("region first second bad")
    v, m = Reals("v m")
    closed = {"first refuted": Implies(region, Not(first)), "second refuted": Implies(region, Not(second))}
    yield Lemma(
        "close_every_disjunct",
        "a bad set whose every disjunct is refuted on the region has no point in it",
        ("close",),
        {"bad implies a disjunct": Implies(bad, Or(first, second)), **closed},
        Implies(region, Not(bad)),
        (Mutant("refuted everywhere", Not(bad)),),
    )
    yield Lemma(
        "disjunct_assumption",
        "a bound proved under a disjunct may be used to refute that disjunct",
        ("close", "bound"),
        {
            "bound under the disjunct": Implies(And(region, first), v <= m),
            "bound refutes it": Implies(And(region, v <= m), Not(first)),
        },
        Implies(region, Not(first)),
        (
            Mutant(
                "another disjunct",
                Implies(region, Not(second)),
                {"bound refutes it": Implies(And(region, v <= m), Not(second))},
            ),
            Mutant("bound kept for the region", Implies(region, v <= m)),
        ),
    )
    yield Lemma(
        "scaled_row",
        "n g >= 0 and g >= 0 are the same for n > 0: rational rows are scaled to integers",
        ("close",),
        {"n > 0": m > 0},
        (m * v >= 0) == (v >= 0),
        (
            Mutant("negative scale", hypotheses={"n > 0": m != 0}),
            Mutant("strictness lost", (m * v >= 0) == (v > 0)),
        ),
    )
