"""Rows packed into one big integer with a lane per entry (Kronecker substitution); B is the width of a lane."""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, Ints

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, within


def lemmas() -> Iterator[Lemma]:
    r, m, s, t, n = Ints("r m s t n")
    a1, a2, w11, w12, w21, w22 = Ints("a1 a2 w11 w12 w21 w22")
    w, a, wmax, amax, total, bound = Ints("w a wmax amax total bound")
    half, count, count_limit = Ints("half count count_limit")
    base = 2 * half
    turned = z3.If(n >= half, n - half, n + half)

    def in_lane(r: z3.ArithRef) -> z3.BoolRef:
        return And(-half <= r, r < half)

    yield Lemma(
        "lanes_combine",
        "sum_i a_i (W_i1 + W_i2 B) = (a W)_1 + (a W)_2 B: a combination of packed rows packs the combination",
        ("packed", "linear"),
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
        ("packed", "guard"),
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
        "|s| <= N Q for a column whose entries' magnitudes sum to N < 2^k, factors up to Q > 0, and 2^k Q <= B/2 stays "
        "inside a lane",
        ("packed",),
        {
            "|s| <= N Q": absolute(total) <= count * bound,
            "Q > 0": bound > 0,
            "N < 2^k": count < count_limit,
            "2^k Q <= B/2": count_limit * bound <= half,
        },
        in_lane(total),
        (
            Mutant("column not counted", hypotheses={"2^k Q <= B/2": bound <= half}),
            Mutant("N = 2^k", hypotheses={"N < 2^k": count <= count_limit}),
            Mutant("no bit for the sign", hypotheses={"2^k Q <= B/2": count_limit * bound <= base}),
        ),
    )
    yield Lemma(
        "lanes_unique",
        "r + B m = s + B t with r, s in [-B/2, B/2) implies r = s and m = t; so any number of lanes",
        ("packed",),
        {"r in a lane": in_lane(r), "s in a lane": in_lane(s), "equal sums": r + base * m == s + base * t},
        And(r == s, m == t),
        (
            Mutant("lane closed at B/2", hypotheses={"r in a lane": within(-half, r, half)}),
            Mutant("lane twice as wide", hypotheses={"s in a lane": within(-base, s, base)}),
        ),
    )
    yield Lemma(
        "lanes_unpack",
        "adding B/2 in the lane makes its digit: (n + B/2) mod B - B/2 = r and (n + B/2) div B = m",
        ("packed",),
        {"r in a lane": in_lane(r), "n = r + B m": n == r + base * m},
        And((n + half) % base - half == r, (n + half) / base == m),
        (
            Mutant("no offset", And(n % base == r, n / base == m)),
            Mutant("offset not removed", (n + half) % base == r),
            Mutant("borrow ignored", n / base == m),
            Mutant("lane closed at B/2", hypotheses={"r in a lane": within(-half, r, half)}),
        ),
    )
    yield Lemma(
        "lanes_complement",
        "turning the top bit of the digit r + B/2 gives r mod B: the lane's two's complement",
        ("packed",),
        {"r in a lane": in_lane(r), "n = r + B/2": n == r + half},
        And(turned == z3.If(r >= 0, r, r + base), turned >= 0, turned < base),
        (
            Mutant("top bit set, not turned", z3.If(n >= half, n, n + half) == z3.If(r >= 0, r, r + base)),
            Mutant("lane twice as wide", hypotheses={"r in a lane": within(-base, r, base)}),
        ),
    )
    yield Lemma(
        "lanes_low_bits",
        "w = h 2^k + l: a w = (a h) 2^k + a l, so low bits may be added apart",
        ("packed",),
        {"w = h 2^k + l": w == s * base + t},
        a * w == (a * s) * base + a * t,
        (Mutant("low bits lost", a * w == (a * s) * base), Mutant("unit lost", a * w == a * s + a * t)),
    )
    yield Lemma(
        "lanes_high_part",
        "w = h 2^k + l, l of the sign of w: |h| 2^k <= |w|, so a column is heavier by nothing when low bits go",
        ("packed",),
        {
            "w = h 2^k + l": w == s * base + t,
            "l of the sign of w": z3.If(w >= 0, And(t >= 0, s >= 0), And(t <= 0, s <= 0)),
            "2^k > 0": base > 0,
        },
        absolute(s * base) <= absolute(w),
        (Mutant("rounded down", hypotheses={"l of the sign of w": And(t >= 0, t < base)}),),
    )
    yield Lemma(
        "lanes_fit",
        "digits of [0, B) with m < M above give r + B m in [0, B M): offset lanes fill their bytes and no more",
        ("packed",),
        {"0 <= r < B": And(r >= 0, r < base), "0 <= m < M": And(m >= 0, m < t)},
        And(r + base * m >= 0, r + base * m < base * t),
        (Mutant("lane closed at B", hypotheses={"0 <= r < B": within(0, r, base)}),),
    )
