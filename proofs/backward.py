"""Rule `bound`: the affine steps of backward propagation.

Throughout, the objective o is bounded on the region by a row, o >= sum_i a_i v_i + c. A step replaces one
value v by its inputs and leaves the rest r of the row alone, so rows of any length follow term by term.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import (
    absolute,
    greatest,
    is_ceil,
    is_floor,
    is_nearest,
    is_truncation,
    least,
    minimum,
    within,
)


def lemmas() -> Iterator[Lemma]:
    yield from _affine()
    yield from _weakening()
    yield from _box()


def _affine() -> Iterator[Lemma]:
    o, r, a, z, w, x, s, b, c, y, p, q, t, low = Reals("o r a z w x s b c y p q t low")
    (k,) = Ints("k")
    a1, a2, z1, z2, x1, x2, b1, b2, w11, w12, w21, w22 = Reals("a1 a2 z1 z2 x1 x2 b1 b2 w11 w12 w21 w22")

    yield Lemma(
        "replace_term",
        "o >= t + r and t >= t' imply o >= t' + r: a row is weakened one term at a time",
        ("bound", "close"),
        {"o >= t + r": o >= t + r, "t >= t'": t >= low},
        o >= low + r,
        (
            Mutant("upper bound of the term", hypotheses={"t >= t'": t <= low}),
            Mutant("strict", o > low + r),
        ),
    )
    row = o >= a1 * z1 + a2 * z2 + c
    column1, column2 = (a1 * w11 + a2 * w21) * x1, (a1 * w12 + a2 * w22) * x2
    layer = {
        "z1 = W1 x + b1": z1 == w11 * x1 + w12 * x2 + b1,
        "z2 = W2 x + b2": z2 == w21 * x1 + w22 * x2 + b2,
    }
    yield Lemma(
        "linear_backward",
        "o >= a z + c and z = W x + b imply o >= (a W) x + (c + a b), for a 2 x 2 layer",
        ("bound", "close", "linear"),
        {"o >= a z + c": row, **layer},
        o >= column1 + column2 + (c + a1 * b1 + a2 * b2),
        (
            Mutant("bias dropped", o >= column1 + column2 + c),
            Mutant("constant dropped", o >= column1 + column2 + a1 * b1 + a2 * b2),
            Mutant(
                "W transposed",
                o >= (a1 * w11 + a2 * w12) * x1 + (a1 * w21 + a2 * w22) * x2 + c + a1 * b1 + a2 * b2,
            ),
            Mutant("strict", o > column1 + column2 + (c + a1 * b1 + a2 * b2)),
        ),
    )
    yield Lemma(
        "linear_backward_step",
        "one input more: o >= a z + r and z = w x + s imply o >= (a w) x + (a s + r)",
        ("bound", "close", "linear"),
        {"o >= a z + r": o >= a * z + r, "z = w x + s": z == w * x + s},
        o >= a * w * x + (a * s + r),
        (
            Mutant("rest not multiplied by a", o >= a * w * x + (s + r)),
            Mutant("coefficient w instead of a w", o >= w * x + (a * s + r)),
        ),
    )
    yield Lemma(
        "add_backward",
        "o >= a y + r and y = p + q imply o >= a p + a q + r",
        ("bound", "close", "add"),
        {"o >= a y + r": o >= a * y + r, "y = p + q": y == p + q},
        o >= a * p + a * q + r,
        (
            Mutant("a to one side only", o >= a * p + r),
            Mutant("a halved", o >= a / 2 * p + a / 2 * q + r),
        ),
    )
    yield Lemma(
        "fan_out_backward",
        "coefficients of a value with two consumers add up",
        ("bound", "close"),
        {"o >= a1 v + a2 v + r": o >= a1 * x + a2 * x + r},
        o >= (a1 + a2) * x + r,
        (Mutant("the later consumer overwrites", o >= a2 * x + r),),
    )
    yield Lemma(
        "permuted_backward",
        "a permutation of entries carries the coefficients with them",
        ("bound", "close", "reshape", "transpose"),
        {"o >= a y + c": row, "y1 = x2": z1 == x2, "y2 = x1": z2 == x1},
        o >= a2 * x1 + a1 * x2 + c,
        (Mutant("coefficients left in place", o >= a1 * x1 + a2 * x2 + c),),
    )
    yield Lemma(
        "upper_from_lower",
        "a lower bound m of -v is the upper bound -m of v",
        ("bound", "lemma"),
        {"-v >= m": -x >= low},
        x <= -low,
        (Mutant("sign kept", x <= low), Mutant("strict", x < -low)),
    )
    yield Lemma(
        "upper_from_floor",
        "-v >= m and k = floor(n m) imply n v <= -k: the upper bound as it enters the table",
        ("bound", "lemma"),
        {"-v >= m": -x >= low, "n > 0": w > 0, "k = floor(n m)": is_floor(k, w * low)},
        w * x <= -k,
        (
            Mutant("ceiling", hypotheses={"k = floor(n m)": is_ceil(k, w * low)}),
            Mutant("towards zero", hypotheses={"k = floor(n m)": is_truncation(k, w * low)}),
        ),
    )
    yield Lemma(
        "halfspace_multiplier",
        "where h >= 0 holds, o >= t and beta >= 0 imply o >= t - beta h, for any multiplier",
        ("bound", "close", "split_phase"),
        {"o >= t": o >= t, "h >= 0": z >= 0, "beta >= 0": b >= 0},
        o >= t - b * z,
        (
            Mutant("other side of the half-space", hypotheses={"h >= 0": z <= 0}),
            Mutant("negative multiplier", hypotheses={"beta >= 0": b <= 0}),
            Mutant("half-space added", o >= t + b * z),
        ),
    )


def _weakening() -> Iterator[Lemma]:
    a, weak, d, v, lo, hi = Reals("a weak d v lo hi")
    (k,) = Ints("k")
    charge = d * minimum(lo, 0)
    short = {"a' <= a": weak <= a, "a - a' <= d": a - weak <= d}
    yield Lemma(
        "weaken_coefficient",
        "a' <= a <= a' + d and v >= l imply a v >= a' v + d min(l, 0)",
        ("bound", "close", "linear", "weaken"),
        {**short, "v >= l": v >= lo},
        a * v >= weak * v + charge,
        (
            Mutant("no charge", a * v >= weak * v),
            Mutant("charge d l", a * v >= weak * v + d * lo),
            Mutant("charge at u", a * v >= weak * v + d * minimum(hi, 0)),
            Mutant("half the charge", a * v >= weak * v + charge / 2),
            Mutant("strict", a * v > weak * v + charge),
        ),
    )
    yield Lemma(
        "weaken_nonnegative",
        "a' <= a and v >= 0 imply a v >= a' v: after a ReLU rounding down is free",
        ("bound", "close", "relu", "weaken"),
        {"a' <= a": weak <= a, "v >= 0": v >= 0},
        a * v >= weak * v,
        (Mutant("rounded up", hypotheses={"a' <= a": weak >= a}), Mutant("strict", a * v > weak * v)),
    )
    yield Lemma(
        "weaken_floor",
        "a' = floor(a) leaves 0 <= a - a' <= 1 unit, so the charge is min(l, 0)",
        ("bound", "close", "weaken", "arithmetic"),
        {"a' = floor(a)": is_floor(k, a), "v >= l": v >= lo},
        a * v >= k * v + minimum(lo, 0),
        (
            Mutant("ceiling", hypotheses={"a' = floor(a)": is_ceil(k, a)}),
            Mutant("to nearest", hypotheses={"a' = floor(a)": is_nearest(k, a)}),
            Mutant("towards zero", hypotheses={"a' = floor(a)": is_truncation(k, a)}),
            Mutant("no charge", a * v >= k * v),
        ),
    )


def _box() -> Iterator[Lemma]:
    o, a, x, lo, hi, r, c = Reals("o a x lo hi r c")
    a1, x1, lo1, hi1, a2, x2, lo2, hi2 = Reals("a1 x1 lo1 hi1 a2 x2 lo2 hi2")
    yield Lemma(
        "input_step",
        "one coordinate more: o >= a x + r and l <= x <= u imply o >= min(a l, a u) + r",
        ("bound", "close", "region"),
        {"o >= a x + r": o >= a * x + r, "l <= x": lo <= x, "x <= u": x <= hi},
        o >= minimum(a * lo, a * hi) + r,
        (
            Mutant("a l for every sign", o >= a * lo + r),
            Mutant("max instead of min", o >= greatest(a, lo, hi) + r),
            Mutant("center only", o >= a * (lo + hi) / 2 + r),
            Mutant("strict", o > minimum(a * lo, a * hi) + r),
        ),
    )
    box = {"x1 in [l1, u1]": within(lo1, x1, hi1), "x2 in [l2, u2]": within(lo2, x2, hi2)}
    yield Lemma(
        "input_box",
        "o >= a x + c over a box of two coordinates is at least sum_i min(a_i l_i, a_i u_i) + c",
        ("bound", "close", "region"),
        {"o >= a x + c": o >= a1 * x1 + a2 * x2 + c, **box},
        o >= least(a1, lo1, hi1) + least(a2, lo2, hi2) + c,
        (
            Mutant("one sign for all coordinates", o >= minimum(a1 * lo1 + a2 * lo2, a1 * hi1 + a2 * hi2) + c),
            Mutant("constant dropped", o >= least(a1, lo1, hi1) + least(a2, lo2, hi2)),
        ),
    )
    yield Lemma(
        "input_center_radius",
        "2 o >= a (l + u) - |a| (u - l) + 2 r: the same bound in the form of center and radius",
        ("bound", "close", "region"),
        {"o >= a x + r": o >= a * x + r, "l <= x": lo <= x, "x <= u": x <= hi},
        2 * o >= a * (lo + hi) - absolute(a) * (hi - lo) + 2 * r,
        (
            Mutant("rest not doubled", 2 * o >= a * (lo + hi) - absolute(a) * (hi - lo) + r),
            Mutant("|a| lost", 2 * o >= a * (lo + hi) - a * (hi - lo) + 2 * r),
        ),
    )
