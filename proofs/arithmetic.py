"""The kernel's numbers: integers with a shared exponent, rows packed into one big integer."""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, within


def lemmas() -> Iterator[Lemma]:
    yield from _exponents()
    yield from _kronecker()


def _exponents() -> Iterator[Lemma]:
    a, b, k, n = Ints("a b k n")
    p, q, unit = Reals("p q unit")
    yield Lemma(
        "dyadic_product",
        "(a 2^p) (b 2^q) = (a b) 2^(p+q), with powers written as their values",
        ("arithmetic", "linear"),
        {},
        (a * p) * (b * q) == a * b * (p * q),
        (
            Mutant("larger exponent kept", (a * p) * (b * q) == a * b * maximum(p, q)),
            Mutant("exponents taken as factors", (a * p) * (b * q) == a * b * (p + q)),
        ),
    )
    yield Lemma(
        "dyadic_sum",
        "a (n 2^q) + b 2^q = (a n + b) 2^q, where n = 2^(p-q): align, then add",
        ("arithmetic", "add"),
        {"2^p = n 2^q": p == n * q},
        a * p + b * q == (a * n + b) * q,
        (
            Mutant("not aligned", a * p + b * q == (a + b) * q),
            Mutant("the other operand shifted", a * p + b * q == (a + b * n) * q),
        ),
    )
    yield Lemma(
        "dyadic_order",
        "a 2^p and b 2^p compare as a and b: signs and maxima need no exponent",
        ("arithmetic", "close", "interval"),
        {"2^p > 0": unit > 0},
        And((a * unit < b * unit) == (a < b), (a * unit <= b * unit) == (a <= b)),
        (
            Mutant("different exponents", (a * p <= b * q) == (a <= b)),
            Mutant("strictness lost", (a * unit < b * unit) == (a <= b)),
        ),
    )
    (d,) = Ints("d")
    yield Lemma(
        "shift_floor",
        "k = d >> s is the floor of d / 2^s, for negative d too: k n <= d < (k + 1) n with n = 2^s",
        ("arithmetic", "weaken"),
        {"n > 0": n > 0, "k = d div n": k == d / n},
        And(k * n <= d, d < (k + 1) * n),
        (
            Mutant("towards zero", hypotheses={"k = d div n": k == z3.If(d >= 0, d / n, -(-d / n))}),
            Mutant("remainder up to n / 2", And(k * n <= d, 2 * d < (2 * k + 1) * n)),
        ),
    )
    yield Lemma(
        "floored_length",
        "|d| < c n implies |d >> s| <= c with n = 2^s; -c is met, so a floored entry may have one bit more",
        ("arithmetic", "weaken", "interval"),
        {
            "|d| < c n": absolute(d) < b * n,
            "k n <= d": k * n <= d,
            "d < (k + 1) n": d < k * n + n,
        },
        absolute(k) <= b,
        (Mutant("no longer than before", absolute(k) < b),),
    )


def _kronecker() -> Iterator[Lemma]:
    r, m, s, t, n = Ints("r m s t n")
    a1, a2, w11, w12, w21, w22 = Ints("a1 a2 w11 w12 w21 w22")
    w, a, wmax, amax, total, bound = Ints("w a wmax amax total bound")
    half, entry_limit, factor_limit, count_limit = Ints("half entry_limit factor_limit count_limit")
    base = 2 * half

    def in_lane(r: z3.ArithRef) -> z3.BoolRef:
        return And(-half <= r, r < half)

    yield Lemma(
        "lanes_combine",
        "sum_i a_i (W_i1 + W_i2 B) = (a W)_1 + (a W)_2 B: a combination of packed rows packs the combination",
        ("arithmetic", "linear"),
        {},
        a1 * (w11 + w12 * base) + a2 * (w21 + w22 * base) == (a1 * w11 + a2 * w21) + (a1 * w12 + a2 * w22) * base,
        (
            Mutant(
                "columns for rows",
                a1 * (w11 + w12 * base) + a2 * (w21 + w22 * base)
                == (a1 * w11 + a2 * w12) + (a1 * w21 + a2 * w22) * base,
            ),
        ),
    )
    yield Lemma(
        "lane_width",
        "one product more: |s| <= S, |w| <= P and |a| <= Q imply |s + w a| <= S + P Q",
        ("arithmetic", "linear"),
        {
            "|s| <= S": absolute(total) <= bound,
            "|w| <= P": absolute(w) <= wmax,
            "|a| <= Q": absolute(a) <= amax,
        },
        absolute(total + w * a) <= bound + wmax * amax,
        (
            Mutant("maximum for the sum", absolute(total + w * a) <= maximum(bound, wmax * amax)),
            Mutant("P + Q for the product", absolute(total + w * a) <= bound + wmax + amax),
        ),
    )
    yield Lemma(
        "lane_capacity",
        "|s| <= n P Q with P < 2^e, Q < 2^f, n < 2^k and 2^(e+f+k) <= B/2 stays inside a lane",
        ("arithmetic", "linear"),
        {
            "|s| <= n P Q": absolute(total) <= n * wmax * amax,
            "0 <= P < 2^e": And(wmax >= 0, wmax < entry_limit),
            "0 <= Q < 2^f": And(amax >= 0, amax < factor_limit),
            "0 <= n < 2^k": And(n >= 0, n < count_limit),
            "2^(e+f+k) <= B/2": entry_limit * factor_limit * count_limit <= half,
        },
        in_lane(total),
        (Mutant("terms not counted", hypotheses={"2^(e+f+k) <= B/2": entry_limit * factor_limit <= half}),),
    )
    yield Lemma(
        "lanes_unique",
        "r + B m = s + B t with r, s in [-B/2, B/2) implies r = s and m = t; so any number of lanes",
        ("arithmetic",),
        {"r in a lane": in_lane(r), "s in a lane": in_lane(s), "equal sums": r + base * m == s + base * t},
        And(r == s, m == t),
        (
            Mutant("lane closed at B/2", hypotheses={"r in a lane": within(-half, r, half)}),
            Mutant("lane twice as wide", hypotheses={"s in a lane": within(-base, s, base)}),
        ),
    )
    packed = {"r in a lane": in_lane(r), "n = r + B m": n == r + base * m}
    yield Lemma(
        "lanes_unpack",
        "adding B/2 in the lane makes its digit: (n + B/2) mod B - B/2 = r and (n + B/2) div B = m",
        ("arithmetic",),
        packed,
        And((n + half) % base - half == r, (n + half) / base == m),
        (
            Mutant("no offset", And(n % base == r, n / base == m)),
            Mutant("offset not removed", (n + half) % base == r),
            Mutant("borrow ignored", n / base == m),
            Mutant("lane closed at B/2", hypotheses={"r in a lane": within(-half, r, half)}),
        ),
    )
