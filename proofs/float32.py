"""Claims about float32: what an execution of an affine map may be off by, and what that costs a bound.

u is the relative error of one operation, t what underflow may take. S, P are sums of |w x|; g is a relative error.
Source of the relative part: Higham, Accuracy and Stability of Numerical Algorithms, 2002, sections 3.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, If, Ints, Or, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, minimum, within


def lemmas() -> Iterator[Lemma]:
    yield from _relative()
    yield from _underflow()
    yield from _cost()
    yield from _execution()


def _relative() -> Iterator[Lemma]:
    u, k, d, g, x, y, s, p, s0, p0, S, P, a, b, e = Reals("u k d g x y s p s0 p0 S P a b e")
    yield Lemma(
        "gamma_step",
        "one rounding more: (1 + u) / (1 - k u) <= 1 / (1 - (k + 1) u)",
        ("contract",),
        {"k >= 0": k >= 0},
        (1 + u) * (1 - (k + 1) * u) <= 1 - k * u,
        (
            Mutant("no rounding more", (1 + u) * (1 - k * u) <= 1 - k * u),
            Mutant("two in one", (1 + u) * (1 + u) * (1 - (k + 1) * u) <= 1 - k * u),
        ),
    )
    yield Lemma(
        "rounding_of_a_sum",
        "v off by x, |x| <= c, then rounded: |(v + x)(1 + d) - v| <= c + u (T + c) for |v| <= T; gamma_step: c = g T",
        ("contract",),
        {"|d| <= u": within(-u, d, u), "|x| <= c": within(-P, x, P), "|v| <= T": within(-S, y, S)},
        absolute((y + x) * (1 + d) - y) <= P + u * (S + P),
        (
            Mutant("no rounding of the sum", absolute((y + x) * (1 + d) - y) <= P),
            Mutant("first order", absolute((y + x) * (1 + d) - y) <= P + u * S),
        ),
    )
    yield Lemma(
        "rounding_of_parts",
        "errors of both sides add up, and so do what they are relative to",
        ("contract",),
        {
            "|s - s0| <= a": within(-a, s - s0, a),
            "|p - p0| <= b": within(-b, p - p0, b),
            "|s0| <= S": within(-S, s0, S),
            "|p0| <= P": within(-P, p0, P),
        },
        And(absolute((s + p) - (s0 + p0)) <= a + b, absolute(s0 + p0) <= S + P),
        (
            Mutant("the larger", absolute((s + p) - (s0 + p0)) <= maximum(a, b)),
            Mutant("cancelling", absolute(s0 + p0) <= absolute(S - P)),
        ),
    )
    yield Lemma(
        "rounding_of_a_product",
        "operands off by e: the product y becomes y (1 + a)(1 + b), off by ((1 + e)^2 - 1) |y| at most",
        ("contract",),
        {"|a| <= e": within(-e, a, e), "|b| <= e": within(-e, b, e)},
        absolute(y * (1 + a) * (1 + b) - y) <= ((1 + e) * (1 + e) - 1) * absolute(y),
        (
            Mutant("2 e", absolute(y * (1 + a) * (1 + b) - y) <= 2 * e * absolute(y)),
            Mutant("one operand", absolute(y * (1 + a) * (1 + b) - y) <= e * absolute(y)),
        ),
    )
    yield Lemma(
        "rounding_of_both",
        "relative errors of operands and of the sum together: (1 + a)(1 + d) - 1 for |a| <= e, |d| <= g",
        ("contract",),
        {"|a| <= e": within(-e, a, e), "|d| <= g": within(-g, d, g)},
        absolute((1 + a) * (1 + d) - 1) <= (1 + e) * (1 + g) - 1,
        (Mutant("their sum", absolute((1 + a) * (1 + d) - 1) <= e + g),),
    )
    yield Lemma(
        "rounding_of_a_shallow_sum",
        "k <= n roundings are no worse than n: a tree of depth k",
        ("contract",),
        {"k <= n": k <= a, "u >= 0": u >= 0},
        k * u * (1 - a * u) <= a * u * (1 - k * u),
        (Mutant("the other way", a * u * (1 - k * u) <= k * u * (1 - a * u)),),
    )
    yield Lemma(
        "rounded_once",
        "v is computed exactly and rounded: |r - v| <= u |v| <= u S for |v| <= S (an FMA, add, leaky ReLU)",
        ("contract",),
        {"|d| <= u": within(-u, d, u), "r = v (1 + d)": y == x * (1 + d), "|v| <= S": within(-S, x, S)},
        absolute(y - x) <= u * S,
        (Mutant("no error", absolute(y - x) <= 0), Mutant("of the sign of v", y - x <= u * x)),
    )


def _underflow() -> Iterator[Lemma]:
    u, d, t, r, x, y, w, g, c, S, s, p, s0, p0 = Reals("u d t r x y w g c S s p s0 p0")
    a, b = Reals("a b")
    yield Lemma(
        "underflow_of_a_result",
        "a result is rounded, or off by t at most if it underflows, or flushed to 0 if it is below t",
        ("contract",),
        {
            "0 <= u": u >= 0,
            "0 <= t": t >= 0,
            "one of three": Or(absolute(r - x) <= u * absolute(x), absolute(r - x) <= t, And(r == 0, absolute(x) < t)),
        },
        absolute(r - x) <= u * absolute(x) + t,
        (Mutant("rounded", absolute(r - x) <= u * absolute(x)), Mutant("flushed", absolute(r - x) <= t)),
    )
    yield Lemma(
        "underflow_of_operands",
        "x' and w' are x and w, or 0 where these are below t: |w' x' - w x| <= t (|w| + |x| + t)",
        ("contract",),
        {
            "x' = x or 0": Or(a == x, And(a == 0, absolute(x) <= t)),
            "w' = w or 0": Or(b == w, And(b == 0, absolute(w) <= t)),
            "0 <= t": t >= 0,
        },
        absolute(b * a - w * x) <= t * (absolute(w) + absolute(x) + t),
        (
            Mutant("the weight alone", absolute(b * a - w * x) <= t * absolute(x)),
            Mutant("the input alone", absolute(b * a - w * x) <= t * absolute(w)),
        ),
    )
    yield Lemma(
        "underflow_of_a_sum",
        "errors a, b of both sides and t of the sum: at most (1 + u)(a + b) + t beyond the relative error",
        ("contract",),
        {
            "|d| <= u": within(-u, d, u),
            "|s - s0| <= a": within(-a, s - s0, a),
            "|p - p0| <= b": within(-b, p - p0, b),
            "r": absolute(r - (s + p) * (1 + d)) <= t,
            "|s0 + p0| <= S": within(-S, s0 + p0, S),
        },
        absolute(r - (s0 + p0)) <= u * S + (1 + u) * (a + b) + t,
        (
            Mutant("t lost", absolute(r - (s0 + p0)) <= u * S + (1 + u) * (a + b)),
            Mutant("errors not rounded", absolute(r - (s0 + p0)) <= u * S + a + b + t),
        ),
    )
    yield Lemma(
        "underflow_twice",
        "(1 + g) (2n + 2 + W + X + n t) t <= 2 (2n + 3 + W + X) t for g <= 1 and n t <= 1 (W = |W|_1, X = |x|_1)",
        ("contract", "rounding"),
        {"g <= 1": within(0, g, 1), "n t <= 1": within(0, c, 1), "n": p >= 0, "W": w >= 0, "X": x >= 0, "t": t >= 0},
        (1 + g) * (2 * p + 2 + w + x + c) * t <= 2 * (2 * p + 3 + w + x) * t,
        (Mutant("once", (1 + g) * (2 * p + 2 + w + x + c) * t <= (2 * p + 3 + w + x) * t),),
    )
    yield Lemma(
        "underflow_of_a_rounded_operand",
        "x' is off by e |x| and, where x is subnormal, by t (of TF32): w x' is off by e |w x| + t |w| at most",
        ("contract",),
        {"|x' - x| <= u |x| + t": absolute(a - x) <= u * absolute(x) + t},
        absolute(w * a - w * x) <= u * absolute(w * x) + t * absolute(w),
        (Mutant("relative alone", absolute(w * a - w * x) <= u * absolute(w * x)),),
    )
    flushed_a, flushed_b = If(absolute(a) < t, 0, a), If(absolute(b) < t, 0, b)
    most, least = maximum(a, b), minimum(a, b)
    yield Lemma(
        "flush_of_a_choice",
        "flushing operands of max, min, relu or negation is flushing the result: one flush by who uses it pays",
        ("flushed",),
        {},
        And(
            maximum(flushed_a, flushed_b) == If(absolute(most) < t, 0, most),
            minimum(flushed_a, flushed_b) == If(absolute(least) < t, 0, least),
            -flushed_a == If(absolute(-a) < t, 0, -a),
        ),
        (Mutant("of the first operand alone", maximum(flushed_a, b) == If(absolute(most) < t, 0, most)),),
    )
    yield Lemma(
        "flush_of_an_output",
        "y' = y or 0 where |y| <= t: c y' >= B implies c y >= B - |c| t",
        ("flushed",),
        {"y' = y or 0": Or(y == x, And(y == 0, absolute(x) <= t)), "c y' >= B": c * y >= s, "0 <= t": t >= 0},
        c * x >= s - absolute(c) * t,
        (Mutant("for nothing", c * x >= s), Mutant("signed", c * x >= s - c * t)),
    )


def _cost() -> Iterator[Lemma]:
    a, e, E, z, v, S, g, c, M, a1, a2, e1, e2, E1, E2, lo, hi = Reals("a e E z v S g c M a1 a2 e1 e2 E1 E2 lo hi")
    yield Lemma(
        "rounding_charge",
        "z = v + e, |e| <= E implies a z >= a v - |a| E, for either sign of a",
        ("rounding", "bound", "close"),
        {"|e| <= E": within(-E, e, E), "z = v + e": z == v + e},
        a * z >= a * v - absolute(a) * E,
        (
            Mutant("no charge", a * z >= a * v),
            Mutant("a E", a * z >= a * v - a * E),
            Mutant("E", a * z >= a * v - E),
            Mutant("gained", a * z >= a * v + absolute(a) * E),
        ),
    )
    yield Lemma(
        "rounding_charge_of_rows",
        "entries together: a1 e1 + a2 e2 >= -(|a1| E1 + |a2| E2)",
        ("rounding", "bound", "close"),
        {"|e1| <= E1": within(-E1, e1, E1), "|e2| <= E2": within(-E2, e2, E2)},
        a1 * e1 + a2 * e2 >= -(absolute(a1) * E1 + absolute(a2) * E2),
        (Mutant("cancelling", a1 * e1 + a2 * e2 >= -absolute(a1 * E1 + a2 * E2)),),
    )
    yield Lemma(
        "rounding_interval",
        "an executed value is in the interval of the exact one, widened by E on both sides",
        ("rounding", "interval"),
        {"l <= v <= u": within(lo, v, hi), "|e| <= E": within(-E, e, E), "z = v + e": z == v + e},
        within(lo - E, z, hi + E),
        (Mutant("above only", within(lo, z, hi + E)), Mutant("half", within(lo - E / 2, z, hi + E / 2))),
    )
    yield Lemma(
        "no_overflow",
        "|v| <= S, g <= 1, S < M and c < M imply |v| (1 + g) + c < 3 M: partial sums stay finite for M = 2^126",
        ("rounding",),
        {"|v| <= S": within(-S, v, S), "0 <= g <= 1": within(0, g, 1), "S < M": S < M, "c < M": c < M},
        absolute(v) * (1 + g) + c < 3 * M,
        (Mutant("M", absolute(v) * (1 + g) + c < M), Mutant("2 M", absolute(v) * (1 + g) + c < 2 * M)),
    )
    yield Lemma(
        "no_overflow_on_the_way",
        "|v| <= S, |c| <= H and H S < M imply |c v| < M: a product inside a batch norm stays finite",
        ("rounding",),
        {"|v| <= S": within(-S, v, S), "|c| <= H": within(-E, c, E), "H S < M": E * S < M},
        absolute(c * v) < M,
        (Mutant("S < M", hypotheses={"H S < M": S < M}),),
    )
    shift, k, unit = Ints("v k unit")
    yield Lemma(
        "rounding_up",
        "k = -(-v // unit) has k unit >= v: an error cut to fewer bits is rounded up",
        ("rounding",),
        {"unit >= 1": unit >= 1, "k = -(-v // unit)": k == -((-shift) / unit)},
        k * unit >= shift,
        (Mutant("down", hypotheses={"k = -(-v // unit)": k == shift / unit}),),
    )


def _execution() -> Iterator[Lemma]:
    m, kept, half, rest, up = Ints("m kept half rest up")
    tie = And(rest == half, kept % 2 == 1)
    division = {
        "m = kept 2 half + rest": And(m == kept * 2 * half + rest, rest >= 0, rest < 2 * half),
        "up": up == If(Or(rest > half, tie), 1, 0),
    }
    yield Lemma(
        "nearest",
        "kept + (rest > half, or a tie and kept odd) is the nearest multiple, the even one of two as near",
        ("execution",),
        division,
        And(
            absolute((kept + up) * 2 * half - m) <= half,
            If(absolute((kept + up) * 2 * half - m) == half, (kept + up) % 2 == 0, True),
        ),
        (
            Mutant("ties up", hypotheses={"up": up == If(rest >= half, 1, 0)}),
            Mutant("down", hypotheses={"up": up == 0}),
        ),
    )
    n, d, q, r = Ints("n d q r")
    yield Lemma(
        "sticky",
        "q = n // d and whether anything is left tell n / d from a half: 2 q + left compares with 2 h as n / d with h",
        ("execution",),
        {"n = q d + r": And(n == q * d + r, r >= 0, r < d)},
        And(
            If(n > half * d, 2 * q + If(r != 0, 1, 0) > 2 * half, True),
            If(n == half * d, 2 * q + If(r != 0, 1, 0) == 2 * half, True),
            If(n < half * d, 2 * q + If(r != 0, 1, 0) < 2 * half, True),
        ),
        (Mutant("what is left forgotten", If(n > half * d, 2 * q > 2 * half, True)),),
    )
