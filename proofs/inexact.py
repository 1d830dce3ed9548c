"""Coefficients known to one unit: the mean of avg_pool2d and the root of batch_norm, and what they cost.

A true coefficient is w + e with 0 <= e <= 1, in units of the stored integer w.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, If, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, is_ceil, is_floor, is_truncation, maximum, within


def lemmas() -> Iterator[Lemma]:
    yield from _coefficients()
    yield from _batch_norm()
    yield from _charge()


def _coefficients() -> Iterator[Lemma]:
    unit, n, k, r, s = Ints("unit n k r s")
    square, true = Reals("square true")
    yield Lemma(
        "mean_to_one_unit",
        "k = 2^60 // n has k <= 2^60 / n < k + 1: the mean's coefficient is known to one unit",
        ("inexact", "avg_pool2d"),
        {"n >= 1": n >= 1, "k = unit // n": k == unit / n},
        And(k * n <= unit, unit < (k + 1) * n),
        (
            Mutant("to nearest", hypotheses={"k = unit // n": k == (2 * unit + n) / (2 * n)}),
            Mutant("no remainder", k * n == unit),
        ),
    )
    yield Lemma(
        "mean_exact",
        "k n = 2^60 when n divides it: then the map is exact and costs nothing",
        ("inexact", "avg_pool2d"),
        {"n >= 1": n >= 1, "n divides": unit % n == 0, "k = unit // n": k == unit / n},
        k * n == unit,
        (Mutant("another divisor", hypotheses={"n divides": unit % (n + 1) == 0}),),
    )
    root = {"r = isqrt(s)": And(r >= 0, r * r <= s, s < (r + 1) * (r + 1))}
    yield Lemma(
        "root_floor",
        "r = isqrt(floor(q)), t >= 0 and t t = q imply r <= t < r + 1: two floors lose one unit together",
        ("inexact", "batch_norm"),
        {**root, "s = floor(q)": is_floor(s, square), "t >= 0": true >= 0, "t t = q": true * true == square},
        And(r <= true, true < r + 1),
        (
            Mutant("q rounded up", hypotheses={"s = floor(q)": is_ceil(s, square)}),
            Mutant("root is exact", true == r),
        ),
    )
    yield Lemma(
        "root_negative",
        "for a negative factor c = -r - 1 has c <= -t <= c + 1",
        ("inexact", "batch_norm"),
        {"r <= t": r <= true, "t < r + 1": true < r + 1},
        within(-r - 1, -true, -r),
        (
            Mutant("c = -r", within(-r, -true, -r + 1)),
            Mutant("c = -r - 2", within(-r - 2, -true, -r - 1)),
        ),
    )


def _batch_norm() -> Iterator[Lemma]:
    x, mean, variance, epsilon, factor, bias, root, z, shifted, c = Reals(
        "x mean variance epsilon factor bias root z shifted c"
    )
    yield Lemma(
        "lower_batch_norm",
        "x - mean, then the factor c = f / sqrt(v + eps), then the bias: two affine steps",
        ("batch_norm",),
        {
            "shifted = x - mean": shifted == x - mean,
            "c root = f": c * root == factor,
            "z = c shifted + bias": z == c * shifted + bias,
        },
        (z - bias) * root == factor * (x - mean),
        (
            Mutant("mean added", (z - bias) * root == factor * (x + mean)),
            Mutant("bias scaled as well", z * root == factor * (x - mean + bias)),
            Mutant("root left out", z - bias == factor * (x - mean)),
        ),
    )
    yield Lemma(
        "batch_norm_square",
        "c root = f and root root = v + eps > 0 imply c c = f f / (v + eps), with the sign of f",
        ("batch_norm", "inexact"),
        {
            "root root = v + eps": root * root == variance + epsilon,
            "root > 0": root > 0,
            "c root = f": c * root == factor,
        },
        And(c * c * (variance + epsilon) == factor * factor, If(factor >= 0, c >= 0, c < 0)),
        (
            Mutant("epsilon outside the root", c * c * variance == factor * factor),
            Mutant("sign lost", c >= 0),
        ),
    )


def _charge() -> Iterator[Lemma]:
    x, lo, hi, a, w, e, m, s, t, lost = Reals("x lo hi a w e m s t lost")
    reach = maximum(-lo, hi)
    range_ = {"l <= x": lo <= x, "x <= u": x <= hi}
    remainder = {"e >= 0": e >= 0, "e <= 1": e <= 1}
    yield Lemma(
        "reach",
        "l <= x <= u implies |x| <= max(-l, u)",
        ("inexact", "interval", "bound", "close"),
        range_,
        absolute(x) <= reach,
        (
            Mutant("u alone", absolute(x) <= hi),
            Mutant("length of the interval", absolute(x) <= hi - lo),
            Mutant("strict", absolute(x) < reach),
        ),
    )
    yield Lemma(
        "reach_interval",
        "0 <= e <= 1 and |x| <= m imply |e x| <= m: an entry of an inexact map is within m of the exact one",
        ("inexact", "interval"),
        {**remainder, "|x| <= m": absolute(x) <= m},
        absolute((w + e) * x - w * x) <= m,
        (
            Mutant("half of it", absolute((w + e) * x - w * x) <= m / 2),
            Mutant("two units", hypotheses={"e <= 1": e <= 2}),
            Mutant("above only", And((w + e) * x >= w * x, (w + e) * x <= w * x + m)),
        ),
    )
    yield Lemma(
        "reach_sum",
        "one entry more: |s| <= S and |t| <= m imply |s + t| <= S + m: the reach of a value sums over its entries",
        ("inexact", "interval", "bound", "close"),
        {"|s| <= S": absolute(s) <= lost, "|t| <= m": absolute(t) <= m},
        absolute(s + t) <= lost + m,
        (Mutant("largest entry alone", absolute(s + t) <= maximum(lost, m)),),
    )
    yield Lemma(
        "reach_backward",
        "|t| <= m, where t is a row's remainder on x, implies a (w x + t) >= a w x - |a| m, for either sign of a",
        ("inexact", "bound", "close"),
        {"|t| <= m": absolute(t) <= m},
        a * (w * x + t) >= a * w * x - absolute(a) * m,
        (
            Mutant("no charge", a * (w * x + t) >= a * w * x),
            Mutant("charge a m", a * (w * x + t) >= a * w * x - a * m),
            Mutant("charge m", a * (w * x + t) >= a * w * x - m),
        ),
    )
    a1, a2, t1, t2 = Reals("a1 a2 t1 t2")
    yield Lemma(
        "reach_backward_rows",
        "rows together: |t1|, |t2| <= m imply a1 t1 + a2 t2 >= -(|a1| + |a2|) m",
        ("inexact", "bound", "close"),
        {"|t1| <= m": absolute(t1) <= m, "|t2| <= m": absolute(t2) <= m},
        a1 * t1 + a2 * t2 >= -(absolute(a1) + absolute(a2)) * m,
        (
            Mutant("|a1 + a2|", a1 * t1 + a2 * t2 >= -absolute(a1 + a2) * m),
            Mutant("largest of a", a1 * t1 + a2 * t2 >= -maximum(absolute(a1), absolute(a2)) * m),
        ),
    )
    (k,) = Ints("k")
    yield Lemma(
        "inexact_floor",
        "the integer under a true coefficient is its floor, for negative ones too: w <= c < w + 1",
        ("inexact",),
        {"w = floor(c)": is_floor(k, a)},
        within(0, a - k, 1),
        (Mutant("towards zero", hypotheses={"w = floor(c)": is_truncation(k, a)}),),
    )
