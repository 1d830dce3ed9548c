"""Integers that share an exponent, and the places where they are rounded. A power of two is written as its value."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, If, Ints, Not, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, is_ceil, is_floor, is_nearest, is_truncation, maximum, minimum, within


def lemmas() -> Iterator[Lemma]:
    yield from _exponents()
    yield from _lengths()
    yield from _outward()
    yield from _shorten()
    yield from _constants()


def _exponents() -> Iterator[Lemma]:
    a, b, n = Ints("a b n")
    p, q, unit = Reals("p q unit")
    yield Lemma(
        "dyadic_product",
        "(a 2^p) (b 2^q) = (a b) 2^(p+q)",
        ("interval", "bound", "close"),
        {},
        (a * p) * (b * q) == a * b * (p * q),
        (
            Mutant("larger exponent kept", (a * p) * (b * q) == a * b * maximum(p, q)),
            Mutant("exponents taken as factors", (a * p) * (b * q) == a * b * (p + q)),
        ),
    )
    yield Lemma(
        "dyadic_sum",
        "a 2^p + b 2^q = (a n + b) 2^q, where n = 2^(p-q): align to the lesser exponent, then add",
        ("interval", "bound", "close", "objective"),
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
        ("interval", "close", "intersect"),
        {"2^p > 0": unit > 0},
        And((a * unit < b * unit) == (a < b), (a * unit <= b * unit) == (a <= b)),
        (
            Mutant("different exponents", (a * p <= b * q) == (a <= b)),
            Mutant("strictness lost", (a * unit < b * unit) == (a <= b)),
        ),
    )


def _lengths() -> Iterator[Lemma]:
    v, c, n, k = Ints("v c n k")
    fits = within(-c, v, c - 1)
    yield Lemma(
        "length",
        "-2^n <= v < 2^n exactly if max(v, ~v) < 2^n, where ~v = -v - 1",
        ("outward", "shorten", "accumulate", "packed", "digits"),
        {},
        fits == (maximum(v, -v - 1) < c),
        (
            Mutant("length of |v|", fits == (absolute(v) < c)),
            Mutant("lowest value not looked at", fits == (v < c)),
            Mutant("highest value not looked at", fits == (-v - 1 < c)),
        ),
    )
    floor = {"k 2^s <= v": k * n <= v, "v < (k + 1) 2^s": v < k * n + n}
    floored = within(-c, k, c - 1)
    yield Lemma(
        "length_of_floor",
        "-c 2^s <= v < c 2^s exactly if -c <= v >> s < c: a floor by s places takes s bits off, no more, no less",
        ("outward", "shorten", "accumulate", "digits"),
        floor,
        And(within(-c * n, v, c * n - 1) == floored),
        (
            Mutant("sign and magnitude", And(-c * n < v, v < c * n) == And(-c < k, k < c)),
            Mutant("closed above", within(-c * n, v, c * n) == within(-c, k, c)),
        ),
    )
    yield Lemma(
        "length_of_multiple",
        "-c 2^s <= v 2^s < c 2^s exactly if -c <= v < c: lengths, and so units, depend on values alone",
        ("shorten", "accumulate", "digits"),
        {"2^s > 0": n > 0},
        within(-c * n, v * n, c * n - 1) == fits,
        (Mutant("limit not multiplied", within(-c, v * n, c - 1) == fits),),
    )


def _outward() -> Iterator[Lemma]:
    lo, hi, n, k, m, d = Ints("lo hi n k m d")
    x, y, z = Reals("x y z")
    lo2, hi2, p, q = Ints("lo2 hi2 p q")
    positive = {"2^s > 0": n > 0}
    yield Lemma(
        "shift_floor",
        "k = d >> s is the floor of d / 2^s, for negative d too: k 2^s <= d < (k + 1) 2^s",
        ("outward", "shorten", "accumulate", "floor_to"),
        {**positive, "k = d div 2^s": k == d / n},
        And(k * n <= d, d < (k + 1) * n),
        (
            Mutant("towards zero", hypotheses={"k = d div 2^s": k == If(d >= 0, d / n, -(-d / n))}),
            Mutant("remainder up to half a unit", And(k * n <= d, 2 * d < (2 * k + 1) * n)),
        ),
    )
    ends = {"k = l >> s": is_floor(k, lo / z), "m = -(-u >> s)": is_floor(-m, -hi / z)}
    yield Lemma(
        "outward",
        "l <= x <= u implies (l >> s) 2^s <= x <= -(-u >> s) 2^s",
        ("outward", "interval"),
        {"l <= x <= u": within(lo, x, hi), "2^s > 0": z > 0, **ends},
        within(k * z, x, m * z),
        (
            Mutant("u >> s", hypotheses={"m = -(-u >> s)": is_floor(m, hi / z)}),
            Mutant("inward", hypotheses={"k = l >> s": is_ceil(k, lo / z), "m = -(-u >> s)": is_floor(m, hi / z)}),
            Mutant("towards zero", hypotheses={"k = l >> s": is_truncation(k, lo / z)}),
            Mutant("to nearest", hypotheses={"m = -(-u >> s)": is_nearest(m, hi / z)}),
            Mutant("strict", And(k * z < x, x < m * z)),
        ),
    )
    one, two = within(lo * p, y, hi * p), within(lo2 * q, y, hi2 * q)
    aligned = {"2^p = 2^q n": p == q * n}
    both = within(maximum(lo * n, lo2) * q, y, minimum(hi * n, hi2) * q)
    yield Lemma(
        "intersect",
        "intervals of units n 2^q and 2^q that hold give [max(l1 n, l2), min(u1 n, u2)] of unit 2^q",
        ("intersect", "interval", "bound", "lemma", "split"),
        {"y in [l1, u1] 2^p": one, "y in [l2, u2] 2^q": two, **aligned},
        both,
        (
            Mutant("not aligned", within(maximum(lo, lo2) * q, y, minimum(hi, hi2) * q)),
            Mutant("min of the lowers as an upper", y <= minimum(lo * n, hi2) * q),
            Mutant("bounds of another box", hypotheses={"y in [l1, u1] 2^p": within(lo * p, x, hi * p)}),
        ),
    )
    yield Lemma(
        "crossed_interval",
        "an interval that holds somewhere is not crossed: l > u means that the region is empty",
        ("intersect", "interval", "close"),
        {"l <= x": lo <= x, "x <= u": x <= hi},
        lo <= hi,
        (Mutant("l = u taken as empty", lo < hi),),
    )


def _shorten() -> Iterator[Lemma]:
    a, short, v, lo, hi, unit = Reals("a short v lo hi unit")
    n, k = Ints("n k")
    (d,) = Ints("d")
    yield Lemma(
        "shorten_shift",
        "a 2^e = (a n) 2^(e-s) with n = 2^s: a short row is shifted and loses nothing",
        ("shorten",),
        {"2^e = n 2^(e-s)": a == n * unit},
        d * a == (d * n) * unit,
        (
            Mutant("exponent kept", d * a == (d * n) * a),
            Mutant("exponent moved the other way", d * unit == (d * n) * a),
        ),
    )
    charge = minimum(0, lo)
    yield Lemma(
        "shorten_charge",
        "a' = floor(a) and v >= l imply a v >= a' v + min(0, l): each coefficient costs at most one unit",
        ("shorten", "bound", "close"),
        {"a' = floor(a)": is_floor(k, a), "v >= l": v >= lo},
        a * v >= k * v + charge,
        (
            Mutant("no charge", a * v >= k * v),
            Mutant("charge l", a * v >= k * v + lo),
            Mutant("charge min(0, u)", a * v >= k * v + minimum(0, hi)),
            Mutant("half the charge", a * v >= k * v + charge / 2),
            Mutant("ceiling", hypotheses={"a' = floor(a)": is_ceil(k, a)}),
            Mutant("to nearest", hypotheses={"a' = floor(a)": is_nearest(k, a)}),
            Mutant("towards zero", hypotheses={"a' = floor(a)": is_truncation(k, a)}),
        ),
    )
    yield Lemma(
        "shorten_charge_unit",
        "the charge in units: a >= a' 2^e, a - a' 2^e <= 2^e and v >= l 2^f imply a v >= a' v 2^e + min(0, l) 2^(e+f)",
        ("shorten", "bound", "close"),
        {
            "a' 2^e <= a": k * unit <= a,
            "a - a' 2^e <= 2^e": a - k * unit <= unit,
            "v >= l 2^f": v >= lo * short,
            "2^f > 0": short > 0,
        },
        a * v >= k * unit * v + charge * unit * short,
        (
            Mutant("unit of the interval forgotten", a * v >= k * unit * v + charge * unit),
            Mutant("unit of the row forgotten", a * v >= k * unit * v + charge * short),
        ),
    )
    yield Lemma(
        "shorten_nonnegative",
        "a' <= a and v >= 0 imply a v >= a' v: where a value is not negative, rounding down is free",
        ("shorten", "bound", "close", "relu"),
        {"a' <= a": short <= a, "v >= 0": v >= 0},
        a * v >= short * v,
        (Mutant("rounded up", hypotheses={"a' <= a": short >= a}), Mutant("strict", a * v > short * v)),
    )


def _constants() -> Iterator[Lemma]:
    t, v, low, scale = Reals("t v low scale")
    k, m, c = Ints("k m c")
    floors = {"k = floor(t)": is_floor(k, t), "m = floor(v)": is_floor(m, v)}
    yield Lemma(
        "accumulate",
        "floor(t) + floor(v) <= t + v < floor(t) + floor(v) + 2: a lower bound stays one",
        ("accumulate", "bound", "close"),
        floors,
        And(k + m <= t + v, t + v < k + m + 2),
        (
            Mutant("loses less than one unit", And(k + m <= t + v, t + v < k + m + 1)),
            Mutant("ceiling", hypotheses={"k = floor(t)": is_ceil(k, t)}),
            Mutant("to nearest", hypotheses={"m = floor(v)": is_nearest(m, v)}),
            Mutant("towards zero", hypotheses={"m = floor(v)": is_truncation(m, v)}),
        ),
    )
    yield Lemma(
        "accumulate_length",
        "floors in [-c, c) have their sum in [-2c, 2c): one bit more than either",
        ("accumulate", "digits"),
        {"k in [-c, c)": within(-c, k, c - 1), "m in [-c, c)": within(-c, m, c - 1)},
        within(-2 * c, k + m, 2 * c - 1),
        (Mutant("no longer than before", within(-c, k + m, c - 1)),),
    )
    yield Lemma(
        "accumulate_nothing",
        "a gain of 0 leaves the total as it is, unrounded",
        ("accumulate", "digits"),
        {"v = 0": v == 0},
        t + v == t,
        (Mutant("total lost", t + v == v), Mutant("tiny taken for 0", hypotheses={"v = 0": And(v >= 0, v < 1)})),
    )
    floor = {"n > 0": scale > 0, "k = floor(n m)": is_floor(k, scale * low)}
    yield Lemma(
        "floor_to_lower",
        "v >= m and k = floor(n m) imply n v >= k: a lower bound as it enters the table",
        ("floor_to", "bound", "rebound"),
        {"v >= m": v >= low, **floor},
        scale * v >= k,
        (
            Mutant("ceiling", hypotheses={"k = floor(n m)": is_ceil(k, scale * low)}),
            Mutant("towards zero", hypotheses={"k = floor(n m)": is_truncation(k, scale * low)}),
            Mutant("to nearest", hypotheses={"k = floor(n m)": is_nearest(k, scale * low)}),
        ),
    )
    yield Lemma(
        "floor_to_upper",
        "-v >= m and k = floor(n m) imply n v <= -k: the upper bound as it enters the table",
        ("floor_to", "bound", "rebound"),
        {"-v >= m": -v >= low, **floor},
        scale * v <= -k,
        (
            Mutant("sign kept", scale * v <= k),
            Mutant("ceiling", hypotheses={"k = floor(n m)": is_ceil(k, scale * low)}),
            Mutant("towards zero", hypotheses={"k = floor(n m)": is_truncation(k, scale * low)}),
        ),
    )
    yield Lemma(
        "floor_to_sign",
        "floor(t / 2^s) < 0 exactly if t < 0: comparing floors with 0 accepts nothing that is negative",
        ("floor_to", "close"),
        {"2^s > 0": scale > 0, "k = floor(t / 2^s)": is_floor(k, t / scale)},
        (k < 0) == (t < 0),
        (
            Mutant("towards zero", hypotheses={"k = floor(t / 2^s)": is_truncation(k, t / scale)}),
            Mutant("floor > 0 if t > 0", Not(And(t > 0, k <= 0))),
        ),
    )
