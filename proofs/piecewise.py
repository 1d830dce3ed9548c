"""Rows of the piecewise linear ops: how each is written with ReLU, and what encloses it directly."""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, If, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, minimum, relu, within

LARGEST = ("maximum", "max", "max_pool2d")


def lemmas() -> Iterator[Lemma]:
    yield from _leaky_relu()
    yield from _abs()
    yield from _clamp()
    yield from _extrema()
    yield from _tournament()


def _leaky_relu() -> Iterator[Lemma]:
    z, s = Reals("z s")
    leaky = If(z >= 0, z, s * z)
    yield Lemma(
        "lower_leaky_relu",
        "leaky(z) = s z + (1 - s) relu(z), for every slope s",
        ("leaky_relu",),
        {},
        leaky == s * z + (1 - s) * relu(z),
        (
            Mutant("whole ReLU added", leaky == s * z + relu(z)),
            Mutant("slopes exchanged", leaky == (1 - s) * z + s * relu(z)),
        ),
    )


def _abs() -> Iterator[Lemma]:
    z, lo, hi = Reals("z lo hi")
    yield Lemma(
        "lower_abs",
        "|z| = 2 relu(z) - z",
        ("abs",),
        {},
        absolute(z) == 2 * relu(z) - z,
        (Mutant("relu(z) - z", absolute(z) == relu(z) - z), Mutant("z added", absolute(z) == 2 * relu(z) + z)),
    )
    yield Lemma(
        "abs_interval",
        "l <= z <= u implies max(l, -u, 0) <= |z| <= max(-l, u)",
        ("abs", "interval"),
        {"l <= z": lo <= z, "z <= u": z <= hi},
        within(maximum(maximum(lo, -hi), 0), absolute(z), maximum(-lo, hi)),
        (
            Mutant("least of the ends", minimum(absolute(lo), absolute(hi)) <= absolute(z)),
            Mutant("|u| above", absolute(z) <= absolute(hi)),
        ),
    )


def _clamp() -> Iterator[Lemma]:
    z, lo, hi, p, q = Reals("z lo hi p q")

    def clamp(z: z3.ArithRef) -> z3.ArithRef:
        return minimum(maximum(z, p), q)

    yield Lemma(
        "lower_clamp",
        "p <= q implies clamp(z, p, q) = p + relu(z - p) - relu(z - q)",
        ("clamp",),
        {"p <= q": p <= q},
        clamp(z) == p + relu(z - p) - relu(z - q),
        (
            Mutant("base dropped", clamp(z) == relu(z - p) - relu(z - q)),
            Mutant("ends exchanged", clamp(z) == q + relu(z - q) - relu(z - p)),
        ),
    )
    yield Lemma(
        "clamp_interval",
        "l <= z <= u implies clamp(l) <= clamp(z) <= clamp(u)",
        ("clamp", "interval"),
        {"l <= z": lo <= z, "z <= u": z <= hi},
        within(clamp(lo), clamp(z), clamp(hi)),
        (
            Mutant("ends not clamped", within(lo, clamp(z), hi)),
            Mutant("p and q themselves below", clamp(hi) <= clamp(z)),
        ),
    )


def _extrema() -> Iterator[Lemma]:
    x, y, lo1, hi1, lo2, hi2 = Reals("x y lo1 hi1 lo2 hi2")
    box = {"x in [l1, u1]": within(lo1, x, hi1), "y in [l2, u2]": within(lo2, y, hi2)}
    yield Lemma(
        "lower_maximum",
        "max(x, y) = y + relu(x - y)",
        LARGEST,
        {},
        maximum(x, y) == y + relu(x - y),
        (
            Mutant("added to x", maximum(x, y) == x + relu(x - y)),
            Mutant("difference reversed", maximum(x, y) == y + relu(y - x)),
        ),
    )
    yield Lemma(
        "lower_minimum",
        "min(x, y) = x - relu(x - y)",
        ("minimum",),
        {},
        minimum(x, y) == x - relu(x - y),
        (
            Mutant("taken from y", minimum(x, y) == y - relu(x - y)),
            Mutant("added", minimum(x, y) == x + relu(x - y)),
        ),
    )
    yield Lemma(
        "maximum_interval",
        "max(x, y) lies in [max(l1, l2), max(u1, u2)]",
        (*LARGEST, "interval"),
        box,
        within(maximum(lo1, lo2), maximum(x, y), maximum(hi1, hi2)),
        (
            Mutant("least of the uppers", maximum(x, y) <= minimum(hi1, hi2)),
            Mutant("first operand's", within(lo1, maximum(x, y), hi1)),
        ),
    )
    yield Lemma(
        "minimum_interval",
        "min(x, y) lies in -[max(-u1, -u2), max(-l1, -l2)] exchanged, the interval of -max(-x, -y)",
        ("minimum", "interval"),
        box,
        within(-maximum(-lo1, -lo2), minimum(x, y), -maximum(-hi1, -hi2)),
        (
            Mutant("ends not exchanged", within(-maximum(-hi1, -hi2), minimum(x, y), -maximum(-lo1, -lo2))),
            Mutant("sign not restored", within(maximum(-lo1, -lo2), minimum(x, y), maximum(-hi1, -hi2))),
        ),
    )


def _tournament() -> Iterator[Lemma]:
    p, q, m, n, last, y = Reals("p q m n last y")
    halves = {
        "m is the largest of p and others": And(m >= p, m >= last),
        "n is the largest of its half": n >= q,
    }
    yield Lemma(
        "tournament",
        "the winner of two winners is at least every player: pairs play until one is left",
        ("max", "max_pool2d"),
        halves,
        And(maximum(m, n) >= p, maximum(m, n) >= q, maximum(m, n) >= last),
        (
            Mutant("loser goes on", And(minimum(m, n) >= p, minimum(m, n) >= q)),
            Mutant("odd player left out", hypotheses={"m is the largest of p and others": m >= p}),
        ),
    )
    yield Lemma(
        "tournament_winner",
        "and it is one of the players",
        ("max", "max_pool2d"),
        {"m is p or the last": z3.Or(m == p, m == last), "n is q": n == q},
        z3.Or(maximum(m, n) == p, maximum(m, n) == q, maximum(m, n) == last),
        (Mutant("sum", hypotheses={"n is q": n == p + q}),),
    )
    yield Lemma(
        "tournament_repeated",
        "a player that stands twice changes nothing: short windows are filled with one of their own",
        ("max_pool2d",),
        {"y is a player": z3.Or(y == p, y == q)},
        maximum(maximum(p, q), y) == maximum(p, q),
        (Mutant("filled with 0", maximum(maximum(p, q), 0) == maximum(p, q)),),
    )
