"""The arithmetic `fast`: long integers as digits of 22 bits, and sums of float64 that stay exact below 2^53.

D = 2^22. A number of two digits is d1 D + d0 with d0 in [0, D) and d1 of either sign.
"""

from __future__ import annotations

from collections.abc import Iterator

import z3
from z3 import And, If, Ints, Or, Reals, ToInt

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, maximum, within

D = 1 << 22
SMALL = z3.FPSort(4, 4)  # a float of 4 significant bits, for a fact about one of 53
LARGE = z3.FPSort(4, 8)


def lemmas() -> Iterator[Lemma]:
    yield from _digits()
    yield from _floors()
    yield from _guards()
    yield from _floats()
    yield from _filter()


def _digits() -> Iterator[Lemma]:
    v, low, high, over, c = Ints("v low high over c")
    yield Lemma(
        "digits_split",
        "v & (D - 1) = v mod D and v >> 22 = v div D: v = (v div D) D + v mod D, for negative v too",
        ("digits",),
        {"low = v mod D": low == v % D, "high = v div D": high == v / D},
        And(high * D + low == v, within(0, low, D - 1)),
        (
            Mutant("towards zero", hypotheses={"high = v div D": high == If(v >= 0, v / D, -(-v / D))}),
            Mutant("digit of |v|", hypotheses={"low = v mod D": low == absolute(v) % D}),
        ),
    )
    yield Lemma(
        "digits_carry",
        "over = floor(d0 / D) moves up: (d0 - over D) + (d1 + over) D is the same number, its low digit in [0, D)",
        ("digits",),
        {"over = floor(d0 / D)": over == low / D},
        And((low - over * D) + (high + over) * D == low + high * D, within(0, low - over * D, D - 1)),
        (
            Mutant("carry lost", And((low - over * D) + high * D == low + high * D)),
            Mutant("towards zero", hypotheses={"over = floor(d0 / D)": over == If(low >= 0, low / D, -(-low / D))}),
            Mutant("borrow added", And((low + over * D) + (high + over) * D == low + high * D)),
        ),
    )
    carried = {"0 <= d0 < D": within(0, low, D - 1)}
    number = high * D + low
    yield Lemma(
        "digits_sign",
        "a carried number is negative exactly if its top digit is, and 0 exactly if all digits are",
        ("digits",),
        carried,
        And((number < 0) == (high < 0), (number == 0) == And(high == 0, low == 0)),
        (
            Mutant("zero by the top digit", (number == 0) == (high == 0)),
            Mutant("positive by the top digit", (number > 0) == (high > 0)),
            Mutant("digits not carried", hypotheses={"0 <= d0 < D": within(-D, low, D - 1)}),
        ),
    )
    yield Lemma(
        "digits_length",
        "-c D <= v < c D exactly if -c <= d1 < c: the length is that of the top digit and 22 for each below",
        ("digits",),
        carried,
        within(-c * D, number, c * D - 1) == within(-c, high, c - 1),
        (
            Mutant("length of |d1|", within(-c * D, number, c * D - 1) == (absolute(high) < c)),
            Mutant("lowest digit up to D", hypotheses={"0 <= d0 < D": within(0, low, D)}),
        ),
    )
    yield Lemma(
        "digits_top",
        "a top digit 0 or -1 says nothing of the length: the number is in [-D, D) and is merged with the digit below",
        ("digits",),
        {**carried, "d1 is 0 or -1": Or(high == 0, high == -1)},
        within(-D, number, D - 1),
        (
            Mutant("top digit -2", hypotheses={"d1 is 0 or -1": within(-2, high, 0)}),
            Mutant("length 0", within(-1, number, 0)),
        ),
    )
    yield Lemma(
        "digits_extend",
        "-D <= d < D is (d mod D) + D (-1 if d < 0 else 0): a digit of sign may be put on top",
        ("digits",),
        {"-D <= d < D": within(-D, v, D - 1), "sign": over == If(v < 0, -1, 0)},
        v % D + over * D == v,
        (
            Mutant("0 on top", v % D == v),
            Mutant("digit kept", v + over * D == v),
            Mutant("one digit longer", hypotheses={"-D <= d < D": within(-D, v, D)}),
        ),
    )


def _floors() -> Iterator[Lemma]:
    low, high, n, m, k, t, v = Ints("low high n m k t v")
    yield Lemma(
        "digits_floor_inside",
        "D = n m: floor((d1 D + d0) / n) = d1 m + floor(d0 / n), the top digit up and the one below cut",
        ("digits",),
        {"k = floor(d0 / n)": And(k * n <= low, low < k * n + n)},
        And((high * m + k) * n <= high * (n * m) + low, high * (n * m) + low < (high * m + k + 1) * n),
        (
            Mutant("low digit left out", high * (n * m) + low < (high * m + 1) * n),
            Mutant("ceiling", hypotheses={"k = floor(d0 / n)": And(k * n >= low, low > k * n - n)}),
            Mutant("top digit not moved", (high + k) * n <= high * (n * m) + low),
        ),
    )
    yield Lemma(
        "digits_floor_above",
        "0 <= d0 < D: floor((d1 D + d0) / (D n)) = floor(d1 / n), lower digits do not matter; t = n floor(d1 / n)",
        ("digits",),
        {"0 <= d0 < D": within(0, low, D - 1), "t <= d1 < t + n": And(t <= high, high < t + n)},
        And(t * D <= high * D + low, high * D + low < (t + n) * D),
        (
            Mutant("digits not carried", hypotheses={"0 <= d0 < D": within(-D, low, D - 1)}),
            Mutant("to nearest", hypotheses={"t <= d1 < t + n": And(2 * t <= 2 * high + n, 2 * high < 2 * t + n)}),
        ),
    )
    yield Lemma(
        "digits_power_limit",
        "|v| < 2^63 has the floor 0 or -1 by every power from 2^64, so powers may stop there",
        ("digits",),
        {"|v| < 2^63": absolute(v) < 1 << 63, "2^s >= 2^64": n >= 1 << 64},
        If(v >= 0, v < n, -n <= v),
        (
            Mutant("longer v", hypotheses={"|v| < 2^63": absolute(v) < 1 << 66}),
            Mutant("0 for negative v", And(v >= 0, v < n)),
        ),
    )


def _guards() -> Iterator[Lemma]:
    a, b, w, s, t, most, weight, limit, up = Ints("a b w s t most weight limit up")
    yield Lemma(
        "guard_products",
        "one product more: |s| <= A W, |w| <= W imply |s + a w| <= (A + |a|) W: the guard is sum |a| times max |w|, "
        "or max |a| times sum |w|",
        ("guard",),
        {"|s| <= A W": absolute(s) <= weight * most, "|w| <= W": absolute(w) <= most},
        absolute(s + a * w) <= (weight + absolute(a)) * most,
        (
            Mutant("signs cancel", absolute(s + a * w) <= absolute(weight + a) * most),
            Mutant("W of another digit", hypotheses={"|w| <= W": absolute(w) <= most + 1}),
        ),
    )
    yield Lemma(
        "guard_any_order",
        "|s| <= S, |t| <= T and S + T < 2^53 keep every partial sum below 2^53, whatever the order of BLAS",
        ("guard",),
        {
            "|s| <= S": absolute(s) <= weight,
            "|t| <= T": absolute(t) <= most,
            "S + T < 2^53": weight + most < 1 << 53,
        },
        And(absolute(s) < 1 << 53, absolute(t) < 1 << 53, absolute(s + t) < 1 << 53),
        (
            Mutant(
                "the sum alone is small",
                hypotheses={"|s| <= S": absolute(s + t) <= weight, "|t| <= T": absolute(t) <= 1 << 53},
            ),
            Mutant("largest of S and T", hypotheses={"S + T < 2^53": maximum(weight, most) < 1 << 53}),
        ),
    )
    yield Lemma(
        "guard_extended",
        "after a sign digit is put on top, a lower digit may be D - 1: W is taken of the digits as they are multiplied",
        ("guard", "digits"),
        {"low = d mod D": b == a % D, "D - 1 <= W": most >= D - 1},
        absolute(b) <= most,
        (Mutant("W of the digits before", hypotheses={"D - 1 <= W": most >= absolute(a)}),),
    )
    yield Lemma(
        "guard_join",
        "s = a 2^p and t = b 2^q below 2^51 have an exact sum: the length of a row and its shift count together",
        ("guard",),
        {"|s| < 2^51": absolute(s) < 1 << 51, "|t| < 2^51": absolute(t) < 1 << 51},
        absolute(s + t) < 1 << 52,
        (
            Mutant(
                "shift alone is limited",
                hypotheses={"|s| < 2^51": And(s == a * up, within(1, up, 1 << 26), absolute(a) < 1 << 52)},
            ),
            Mutant(
                "a third row joins a sum of two",
                hypotheses={"|t| < 2^51": And(t == b * up, within(1, up, 1 << 26), absolute(b) < 1 << 49)},
            ),
        ),
    )
    yield Lemma(
        "guard_length",
        "-c <= a < c and 0 <= k <= 2^22, the slope or chord in units of 2^-22, keep |a k| <= c 2^22",
        ("guard",),
        {"-c <= a < c": within(-limit, a, limit - 1), "0 <= k <= 2^22": within(0, b, D)},
        absolute(a * b) <= limit * D,
        (Mutant("slope above 1", hypotheses={"0 <= k <= 2^22": within(0, b, D + 1)}),),
    )


def _floats() -> Iterator[Lemma]:
    a, b = z3.BitVecs("a b", 7)
    rne = z3.RNE()

    def below(value: z3.BitVecRef, limit: int) -> z3.BoolRef:
        return And(-limit < value, value < limit)

    def added(kind: z3.FPSortRef) -> z3.FPRef:
        return z3.fpAdd(rne, z3.fpSignedToFP(rne, a, kind), z3.fpSignedToFP(rne, b, kind))

    exact = z3.fpEQ(z3.fpFPToFP(rne, added(SMALL), LARGE), z3.fpSignedToFP(rne, a + b, LARGE))
    yield Lemma(
        "float_sum",
        "a float of p bits adds integers exactly while the sum stays below 2^p (here p = 4)",
        ("guard",),
        {
            "|a| < 2^4": below(a, 1 << 4),
            "|b| < 2^4": below(b, 1 << 4),
            "|a + b| < 2^4": below(a + b, 1 << 4),
        },
        exact,
        (Mutant("sum of one bit more", hypotheses={"|a + b| < 2^4": below(a + b, 1 << 5)}),),
    )


def _filter() -> Iterator[Lemma]:
    x, y, d, e, p, m, g = Reals("x y d e p m g")
    v, n, f, shift = Ints("v n f shift")
    yield Lemma(
        "filter_floor",
        "the exact x is within d of the computed y, and y is further than that from both ends of [f, f + 1]: f is the "
        "floor of x",
        ("filter",),
        {
            "|x - y| <= d": within(-d, x - y, d),
            "d < e": And(d >= 0, d < e),
            "f + e <= y <= f + 1 - e": within(e, y - f, 1 - e),
        },
        ToInt(x) == f,
        (
            Mutant("lower end not looked at", hypotheses={"f + e <= y <= f + 1 - e": within(0, y - f, 1 - e)}),
            Mutant("upper end not looked at", hypotheses={"f + e <= y <= f + 1 - e": And(e <= y - f, y - f < 1)}),
            Mutant("no room beyond d", hypotheses={"d < e": And(d >= 0, d == e)}),
            Mutant("twice the error", hypotheses={"|x - y| <= d": within(-2 * d, x - y, 2 * d)}),
        ),
    )
    yield Lemma(
        "filter_length",
        "the exact length is that of the computed m if m - g and m + g are between the same powers of 2",
        ("filter",),
        {"|x - m| <= g": within(-g, x - m, g), "p <= m - g, m + g < 2 p": And(p > 0, p <= m - g, m + g < 2 * p)},
        And(p <= x, x < 2 * p),
        (
            Mutant("m alone", hypotheses={"p <= m - g, m + g < 2 p": And(p > 0, g > 0, p <= m, m < 2 * p)}),
            Mutant("m - g alone", hypotheses={"p <= m - g, m + g < 2 p": And(p > 0, p <= m - g, m < 2 * p)}),
        ),
    )
    yield Lemma(
        "filter_unshifted",
        "f = floor(v / n) is floor(v s / (n s)): coefficients need not be shifted up before a product that is floored",
        ("filter",),
        {"f n <= v < (f + 1) n": And(f * n <= v, v < (f + 1) * n), "s > 0": shift > 0},
        And(f * (n * shift) <= v * shift, v * shift < (f + 1) * (n * shift)),
        (Mutant("unit not shifted", And(f * n <= v * shift, v * shift < (f + 1) * n)),),
    )
