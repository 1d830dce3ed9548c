"""Rows of the other piecewise linear ops: intervals, lines below, chords above.

A row is used as a f(z) >= lam z + ... ; for a >= 0 a line below f is scaled by a, for a <= 0 a line above it.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, If, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, minimum, relu, within


def lemmas() -> Iterator[Lemma]:
    yield from _scaling()
    yield from _leaky_relu()
    yield from _abs()
    yield from _extrema()
    yield from _clamp()


def _scaling() -> Iterator[Lemma]:
    a, f, line = Reals("a f line")
    yield Lemma(
        "scale_line",
        "a f >= a t for a >= 0 with t below f, and for a <= 0 with t above f",
        ("bound", "close", "leaky_relu", "abs", "maximum", "minimum", "max", "clamp"),
        {"side": Or(And(a >= 0, line <= f), And(a <= 0, line >= f))},
        a * f >= a * line,
        (
            Mutant("line below for either sign", hypotheses={"side": line <= f}),
            Mutant("sides exchanged", hypotheses={"side": Or(And(a <= 0, line <= f), And(a >= 0, line >= f))}),
        ),
    )


def _leaky_relu() -> Iterator[Lemma]:
    z, lo, hi, k, lam = Reals("z lo hi k lam")

    def leaky(z: z3.ArithRef) -> z3.ArithRef:
        return If(z >= 0, z, k * z)

    range_ = {"l <= z": lo <= z, "z <= u": z <= hi}
    chord = (hi - k * lo) * (z - lo) + k * lo * (hi - lo)
    yield Lemma(
        "leaky_relu_interval",
        "k >= 0 and l <= z <= u imply f(l) <= f(z) <= f(u)",
        ("interval", "leaky_relu"),
        {**range_, "k >= 0": k >= 0},
        within(leaky(lo), leaky(z), leaky(hi)),
        (Mutant("ReLU's lower end", relu(lo) <= leaky(z)),),
    )
    yield Lemma(
        "leaky_relu_lower",
        "k <= lam <= 1 implies f(z) >= lam z",
        ("bound", "close", "leaky_relu"),
        {"k <= lam": k <= lam, "lam <= 1": lam <= 1},
        leaky(z) >= lam * z,
        (
            Mutant("ReLU's range of slopes", hypotheses={"k <= lam": lam >= 0}),
            Mutant("slope above 1", hypotheses={"lam <= 1": lam <= 2}),
        ),
    )
    yield Lemma(
        "leaky_relu_chord",
        "k <= 1, l <= 0 <= u and l <= z <= u imply (u - l) f(z) <= (u - k l) (z - l) + k l (u - l)",
        ("bound", "close", "leaky_relu"),
        {**range_, "k <= 1": k <= 1, "l <= 0": lo <= 0, "u >= 0": hi >= 0},
        (hi - lo) * leaky(z) <= chord,
        (
            Mutant("ReLU's chord", (hi - lo) * leaky(z) <= hi * (z - lo) + k * lo * (hi - lo)),
            Mutant("through the origin", (hi - lo) * leaky(z) <= (hi - k * lo) * z),
        ),
    )


def _abs() -> Iterator[Lemma]:
    z, lo, hi, s = Reals("z lo hi s")
    range_ = {"l <= z": lo <= z, "z <= u": z <= hi}
    yield Lemma(
        "abs_interval",
        "l <= z <= u implies max(l, -u, 0) <= |z| <= max(u, -l)",
        ("interval", "abs"),
        range_,
        within(maximum(maximum(lo, -hi), 0), absolute(z), maximum(hi, -lo)),
        (
            Mutant("least of the ends", minimum(absolute(lo), absolute(hi)) <= absolute(z)),
            Mutant("|u| above", absolute(z) <= absolute(hi)),
        ),
    )
    yield Lemma(
        "abs_lower",
        "-1 <= s <= 1 implies |z| >= s z",
        ("bound", "close", "abs"),
        {"-1 <= s": s >= -1, "s <= 1": s <= 1},
        absolute(z) >= s * z,
        (Mutant("slope up to 2", hypotheses={"s <= 1": s <= 2}),),
    )
    yield Lemma(
        "abs_chord",
        "l <= z <= u implies (u - l) |z| <= (|u| - |l|) (z - l) + |l| (u - l)",
        ("bound", "close", "abs"),
        range_,
        (hi - lo) * absolute(z) <= (absolute(hi) - absolute(lo)) * (z - lo) + absolute(lo) * (hi - lo),
        (
            Mutant("height at l dropped", (hi - lo) * absolute(z) <= (absolute(hi) - absolute(lo)) * (z - lo)),
            Mutant(
                "slope (|u| + |l|)",
                (hi - lo) * absolute(z) <= (absolute(hi) + absolute(lo)) * (z - hi) + absolute(hi) * (hi - lo),
            ),
        ),
    )


def _extrema() -> Iterator[Lemma]:
    x, y, t = Reals("x y t")
    lo1, hi1, lo2, hi2 = Reals("lo1 hi1 lo2 hi2")
    box = {"x in [l1, u1]": within(lo1, x, hi1), "y in [l2, u2]": within(lo2, y, hi2)}
    share = {"t >= 0": t >= 0, "t <= 1": t <= 1}
    for name, extremum, other, sign in (("maximum", maximum, minimum, 1), ("minimum", minimum, maximum, -1)):
        rules = (name, "max") if name == "maximum" else (name,)
        short = "max" if name == "maximum" else "min"
        yield Lemma(
            f"{name}_interval",
            f"{short}(x, y) lies in [{short}(l1, l2), {short}(u1, u2)]",
            ("interval", *rules),
            box,
            within(extremum(lo1, lo2), extremum(x, y), extremum(hi1, hi2)),
            (Mutant("the other extremum", within(other(lo1, lo2), extremum(x, y), other(hi1, hi2))),),
        )
        line = t * x + (1 - t) * y
        yield Lemma(
            f"{name}_convex_combination",
            f"0 <= t <= 1 implies t x + (1 - t) y {'<=' if sign > 0 else '>='} {short}(x, y)",
            ("bound", "close", *rules),
            share,
            sign * extremum(x, y) >= sign * line,
            (
                Mutant("on the other side", sign * extremum(x, y) <= sign * line),
                Mutant("shares do not add to 1", sign * extremum(x, y) >= sign * (t * x + t * y)),
            ),
        )
        yield Lemma(
            f"{name}_as_relu",
            f"{short}(x, y) = {'y + relu(x - y)' if sign > 0 else 'y - relu(y - x)'}",
            ("bound", "close", *rules),
            {},
            extremum(x, y) == y + sign * relu(sign * (x - y)),
            (
                Mutant("added to x", extremum(x, y) == x + sign * relu(sign * (x - y))),
                Mutant("difference reversed", extremum(x, y) == y + sign * relu(sign * (y - x))),
            ),
        )


def _clamp() -> Iterator[Lemma]:
    z, lo, hi, p, q = Reals("z lo hi p q")
    ordered, range_ = {"p <= q": p <= q}, {"l <= z": lo <= z, "z <= u": z <= hi}

    def clamp(z: z3.ArithRef) -> z3.ArithRef:
        return minimum(maximum(z, p), q)

    yield Lemma(
        "clamp_interval",
        "l <= z <= u implies clamp(l) <= clamp(z) <= clamp(u)",
        ("interval", "clamp"),
        range_,
        within(clamp(lo), clamp(z), clamp(hi)),
        (Mutant("ends not clamped", within(lo, clamp(z), hi)),),
    )
    yield Lemma(
        "clamp_as_relu",
        "p <= q implies clamp(z, p, q) = p + relu(z - p) - relu(z - q)",
        ("bound", "close", "clamp"),
        ordered,
        clamp(z) == p + relu(z - p) - relu(z - q),
        (Mutant("base dropped", clamp(z) == relu(z - p) - relu(z - q)),),
    )
    yield Lemma(
        "clamp_lower_line",
        "p <= q <= u and z <= u imply (u - p) clamp(z) >= p (u - p) + (q - p) (z - p)",
        ("bound", "close", "clamp"),
        {**ordered, "q <= u": q <= hi, "z <= u": z <= hi},
        (hi - p) * clamp(z) >= p * (hi - p) + (q - p) * (z - p),
        (
            Mutant("slope 1", clamp(z) >= p + (z - p)),
            Mutant("through the origin", (hi - p) * clamp(z) >= (q - p) * (z - p)),
        ),
    )
    yield Lemma(
        "clamp_upper_line",
        "l <= p <= q and z >= l imply (q - l) clamp(z) <= q (q - l) + (q - p) (z - q)",
        ("bound", "close", "clamp"),
        {**ordered, "l <= p": lo <= p, "l <= z": lo <= z},
        (q - lo) * clamp(z) <= q * (q - lo) + (q - p) * (z - q),
        (
            Mutant("slope 1", clamp(z) <= q + (z - q)),
            Mutant("through the origin", (q - lo) * clamp(z) <= (q - p) * (z - q)),
        ),
    )
