"""Backward through a ReLU: which multiples of z stay below a relu(z), the rounding of slopes, phases that are cut."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Implies, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import is_ceil, is_floor, is_nearest, is_truncation, maximum, minimum, relu, within

RULES = ("bound", "rebound", "close", "tree", "relu")


def lemmas() -> Iterator[Lemma]:
    yield from _stable()
    yield from _lower()
    yield from _chord()
    yield from _cut()


def _stable() -> Iterator[Lemma]:
    a, z, lo, hi = Reals("a z lo hi")
    yield Lemma(
        "relu_active",
        "0 <= l <= z implies a relu(z) = a z, for either sign of a",
        RULES,
        {"l <= z": lo <= z, "l >= 0": lo >= 0},
        a * relu(z) == a * z,
        (
            Mutant("u >= 0 taken for l >= 0", hypotheses={"l >= 0": hi >= 0}),
            Mutant("zero", a * relu(z) == 0),
        ),
    )
    yield Lemma(
        "relu_inactive",
        "z <= u <= 0 implies a relu(z) = 0, for either sign of a",
        RULES,
        {"z <= u": z <= hi, "u <= 0": hi <= 0},
        a * relu(z) == 0,
        (
            Mutant("l <= 0 taken for u <= 0", hypotheses={"u <= 0": lo <= 0}),
            Mutant("identity", a * relu(z) == a * z),
        ),
    )


def _lower() -> Iterator[Lemma]:
    a, lam, alpha, z = Reals("a lam alpha z")
    (k,) = Ints("k")
    yield Lemma(
        "relu_lower_slope",
        "0 <= lam <= a implies a relu(z) >= lam z, for every z",
        RULES,
        {"lam >= 0": lam >= 0, "lam <= a": lam <= a},
        a * relu(z) >= lam * z,
        (
            Mutant("slope above 1", hypotheses={"lam <= a": lam <= 2 * a}),
            Mutant("slope below 0", hypotheses={"lam >= 0": lam >= -a}),
            Mutant("strict", a * relu(z) > lam * z),
        ),
    )
    yield Lemma(
        "relu_alpha_floor",
        "a >= 0 and 0 <= alpha <= 1 put lam = floor(a alpha) in [0, a]: rounding costs nothing",
        RULES,
        {
            "a >= 0": a >= 0,
            "alpha >= 0": alpha >= 0,
            "alpha <= 1": alpha <= 1,
            "lam = floor(a alpha)": is_floor(k, a * alpha),
        },
        within(0, k, a),
        (
            Mutant("ceiling", hypotheses={"lam = floor(a alpha)": is_ceil(k, a * alpha)}),
            Mutant("to nearest", hypotheses={"lam = floor(a alpha)": is_nearest(k, a * alpha)}),
            Mutant("alpha up to 2", hypotheses={"alpha <= 1": alpha <= 2}),
        ),
    )


def _chord() -> Iterator[Lemma]:
    a, lam, s, z, lo, hi, scale = Reals("a lam s z lo hi scale")
    (k,) = Ints("k")
    unstable = {"l < 0": lo < 0, "u > 0": hi > 0}
    range_ = {"l <= z": lo <= z, "z <= u": z <= hi}
    yield Lemma(
        "relu_chord",
        "l < 0 < u and l <= z <= u imply (u - l) relu(z) <= u (z - l)",
        RULES,
        {**unstable, **range_},
        (hi - lo) * relu(z) <= hi * (z - lo),
        (
            Mutant("intercept dropped", (hi - lo) * relu(z) <= hi * z),
            Mutant("slope u / (u + l)", Implies(hi + lo != 0, relu(z) <= hi / (hi + lo) * (z - lo))),
            Mutant("tangent instead of chord", relu(z) <= z),
            Mutant("strict", (hi - lo) * relu(z) < hi * (z - lo)),
        ),
    )
    slope = {"s >= u / (u - l)": s * (hi - lo) >= hi}
    yield Lemma(
        "relu_upper_slope",
        "l <= 0 < u, s >= u / (u - l), a <= 0 and lam <= a s imply a relu(z) >= lam (z - l)",
        RULES,
        {"a <= 0": a <= 0, "l <= 0": lo <= 0, "u > 0": hi > 0, **range_, **slope, "lam <= a s": lam <= a * s},
        a * relu(z) >= lam * (z - lo),
        (
            Mutant("intercept dropped", a * relu(z) >= lam * z),
            Mutant("intercept at u", a * relu(z) >= lam * (z - hi)),
            Mutant("slope rounded down", hypotheses={"s >= u / (u - l)": s * (hi - lo) <= hi}),
            Mutant("slope u / (u + l)", hypotheses={"s >= u / (u - l)": s * (hi + lo) == hi}),
            Mutant("lam above a s", hypotheses={"lam <= a s": lam >= a * s}),
            Mutant("strict", a * relu(z) > lam * (z - lo)),
        ),
    )
    yield Lemma(
        "relu_slope_rounded_up",
        "s = -floor(-n u / (u - l)) is at least u / (u - l) on a grid of n points",
        RULES,
        {**unstable, "-s = floor(-n u / (u - l))": is_floor(k, -scale * hi / (hi - lo))},
        -k * (hi - lo) >= scale * hi,
        (
            Mutant("rounded down", hypotheses={"-s = floor(-n u / (u - l))": is_ceil(k, -scale * hi / (hi - lo))}),
            Mutant(
                "towards zero",
                hypotheses={"-s = floor(-n u / (u - l))": is_truncation(k, -scale * hi / (hi - lo))},
            ),
        ),
    )
    yield Lemma(
        "relu_upper_slope_floor",
        "the same with lam = floor(a s): rounding costs nothing",
        RULES,
        {
            "a <= 0": a <= 0,
            "l <= 0": lo <= 0,
            "u > 0": hi > 0,
            **range_,
            **slope,
            "lam = floor(a s)": is_floor(k, a * s),
        },
        a * relu(z) >= k * (z - lo),
        (
            Mutant("ceiling", hypotheses={"lam = floor(a s)": is_ceil(k, a * s)}),
            Mutant("towards zero", hypotheses={"lam = floor(a s)": is_truncation(k, a * s)}),
        ),
    )
    yield Lemma(
        "relu_chord_length",
        "l < 0 < u puts ceil(n u / (u - l)) in [1, n]: a row is no longer after a ReLU than before",
        ("bound", "rebound", "close", "tree", "relu", "guard"),
        {**unstable, "n >= 1": scale >= 1, "k = floor(-n u / (u - l))": is_floor(k, -scale * hi / (hi - lo))},
        And(-k >= 1, -k < scale + 1),
        (
            Mutant("below n for a grid of n points", -k < scale),
            Mutant("through u / -l", hypotheses={"k = floor(-n u / (u - l))": is_floor(k, scale * hi / lo)}),
        ),
    )


def _cut() -> Iterator[Lemma]:
    a, lam, z, lo, hi, end = Reals("a lam z lo hi end")
    yield Lemma(
        "phase_active",
        "where z >= 0, lam <= a implies a relu(z) >= lam z, for either sign of a",
        (*RULES, "split"),
        {"z >= 0": z >= 0, "lam <= a": lam <= a},
        a * relu(z) >= lam * z,
        (
            Mutant("lam above a", hypotheses={"lam <= a": lam >= a}),
            Mutant("in the other half", hypotheses={"z >= 0": z <= 0}),
            Mutant("strict", a * relu(z) > lam * z),
        ),
    )
    yield Lemma(
        "phase_inactive",
        "where z <= 0, a relu(z) >= 0, for either sign of a",
        (*RULES, "split"),
        {"z <= 0": z <= 0},
        a * relu(z) >= 0,
        (
            Mutant("in the other half", hypotheses={"z <= 0": z >= 0}),
            Mutant("identity", a * relu(z) >= a * z),
            Mutant("strict", a * relu(z) > 0),
        ),
    )
    low, high = maximum(lo, end), minimum(hi, end)
    range_ = {"l <= z": lo <= z, "z <= u": z <= hi}
    yield Lemma(
        "phase_revised",
        "z in [l, u] is in [max(l, e), u] where z >= e and in [l, min(u, e)] where z <= e: phases follow these",
        ("tree", "split", "lemma"),
        range_,
        And(Implies(z >= end, within(low, z, hi)), Implies(z <= end, within(lo, z, high))),
        (
            Mutant("halves exchanged", Implies(z >= end, within(lo, z, high))),
            Mutant("lower end replaced by a lesser one", within(end, z, hi)),
            Mutant("strict", Implies(z >= end, And(low < z, z <= hi))),
        ),
    )
