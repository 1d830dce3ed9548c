"""Rules `bound`, `rebound` and `close`: backward substitution through affine maps to the input box.

Throughout, the objective o is bounded on the region by a row, o >= sum_i a_i v_i + c. A step replaces one
value v by what it is computed from and leaves the rest r of the row alone, so rows of any length follow term by term.
"""

from __future__ import annotations

from collections.abc import Iterator

from z3 import Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import greatest, least, minimum, within

RULES = ("bound", "rebound", "close", "tree")


def lemmas() -> Iterator[Lemma]:
    yield from _affine()
    yield from _box()


def _affine() -> Iterator[Lemma]:
    o, r, a, z, w, x, s, c, t, low = Reals("o r a z w x s c t low")
    a1, a2, z1, z2, x1, x2, b1, b2, w11, w12, w21, w22 = Reals("a1 a2 z1 z2 x1 x2 b1 b2 w11 w12 w21 w22")
    yield Lemma(
        "replace_term",
        "o >= t + r and t >= t' imply o >= t' + r: a row is weakened one term at a time",
        RULES,
        {"o >= t + r": o >= t + r, "t >= t'": t >= low},
        o >= low + r,
        (
            Mutant("upper bound of the term", hypotheses={"t >= t'": t <= low}),
            Mutant("rest dropped", o >= low),
            Mutant("strict", o > low + r),
        ),
    )
    row = a1 * z1 + a2 * z2 + c
    column1, column2 = (a1 * w11 + a2 * w21) * x1, (a1 * w12 + a2 * w22) * x2
    layer = {"z1 = W1 x + b1": z1 == w11 * x1 + w12 * x2 + b1, "z2 = W2 x + b2": z2 == w21 * x1 + w22 * x2 + b2}
    yield Lemma(
        "affine_backward",
        "o >= a z + c and z = M x + b imply o >= (a M) x + (c + a b), for a 2 x 2 map",
        (*RULES, "linear"),
        {"o >= a z + c": o >= row, **layer},
        o >= column1 + column2 + (c + a1 * b1 + a2 * b2),
        (
            Mutant("bias dropped", o >= column1 + column2 + c),
            Mutant("constant dropped", o >= column1 + column2 + a1 * b1 + a2 * b2),
            Mutant(
                "M transposed",
                o >= (a1 * w11 + a2 * w12) * x1 + (a1 * w21 + a2 * w22) * x2 + c + a1 * b1 + a2 * b2,
            ),
            Mutant("strict", o > column1 + column2 + (c + a1 * b1 + a2 * b2)),
        ),
    )
    yield Lemma(
        "affine_backward_step",
        "one input more: o >= a z + r and z = w x + s imply o >= (a w) x + (a s + r)",
        RULES,
        {"o >= a z + r": o >= a * z + r, "z = w x + s": z == w * x + s},
        o >= a * w * x + (a * s + r),
        (
            Mutant("rest not multiplied by a", o >= a * w * x + (s + r)),
            Mutant("coefficient w instead of a w", o >= w * x + (a * s + r)),
        ),
    )
    yield Lemma(
        "inexact_backward",
        "o >= t + r and t >= (a M) x - lost imply o >= (a M) x + (r - lost)",
        (*RULES, "inexact"),
        {"o >= t + r": o >= t + r, "t >= a M x - lost": t >= a * x - low},
        o >= a * x + (r - low),
        (Mutant("charge added", o >= a * x + (r + low)), Mutant("no charge", o >= a * x + r)),
    )
    yield Lemma(
        "fan_out_backward",
        "coefficients of a value with two users add up: it is replaced after all of its users",
        RULES,
        {"o >= a1 v + a2 v + r": o >= a1 * x + a2 * x + r},
        o >= (a1 + a2) * x + r,
        (Mutant("the later user overwrites", o >= a2 * x + r),),
    )
    yield Lemma(
        "fan_out_shortened",
        "users shortened one by one: o >= t1 + t2 with t1 >= a1 v + c1 and t2 >= a2 v + c2 keeps both charges",
        RULES,
        {"o >= t1 + t2": o >= t + s, "t1 >= a1 v + c1": t >= a1 * x + b1, "t2 >= a2 v + c2": s >= a2 * x + b2},
        o >= (a1 + a2) * x + (b1 + b2),
        (Mutant("one charge for both", o >= (a1 + a2) * x + minimum(b1, b2)),),
    )
    yield Lemma(
        "upper_from_lower",
        "a lower bound m of -v is the upper bound -m of v",
        ("bound", "rebound"),
        {"-v >= m": -x >= low},
        x <= -low,
        (Mutant("sign kept", x <= low), Mutant("strict", x < -low)),
    )
    yield Lemma(
        "cut_multiplier",
        "where g >= 0 holds and w >= 0, v - w g >= m implies v >= m: cuts help to bound a value",
        ("bound", "tree"),
        {"v - w g >= m": x - w * z >= low, "g >= 0": z >= 0, "w >= 0": w >= 0},
        x >= low,
        (
            Mutant("negative multiplier", hypotheses={"w >= 0": w <= 0}),
            Mutant("other side of the cut", hypotheses={"g >= 0": z <= 0}),
            Mutant("cut added", hypotheses={"v - w g >= m": x + w * z >= low}),
        ),
    )


def _box() -> Iterator[Lemma]:
    o, a, x, lo, hi, r, c = Reals("o a x lo hi r c")
    a1, x1, lo1, hi1, a2, x2, lo2, hi2 = Reals("a1 x1 lo1 hi1 a2 x2 lo2 hi2")
    yield Lemma(
        "input_step",
        "one entry more: o >= a x + r and l <= x <= u imply o >= a l + r if a > 0, else o >= a u + r",
        RULES,
        {"o >= a x + r": o >= a * x + r, "l <= x": lo <= x, "x <= u": x <= hi},
        o >= least(a, lo, hi) + r,
        (
            Mutant("a l for every sign", o >= a * lo + r),
            Mutant("max instead of min", o >= greatest(a, lo, hi) + r),
            Mutant("center only", o >= a * (lo + hi) / 2 + r),
            Mutant("strict", o > least(a, lo, hi) + r),
        ),
    )
    yield Lemma(
        "input_box",
        "o >= a x + c over a box of two entries is at least sum_i min(a_i l_i, a_i u_i) + c",
        RULES,
        {
            "o >= a x + c": o >= a1 * x1 + a2 * x2 + c,
            "x1 in [l1, u1]": within(lo1, x1, hi1),
            "x2 in [l2, u2]": within(lo2, x2, hi2),
        },
        o >= least(a1, lo1, hi1) + least(a2, lo2, hi2) + c,
        (
            Mutant("one sign for all entries", o >= minimum(a1 * lo1 + a2 * lo2, a1 * hi1 + a2 * hi2) + c),
            Mutant("constant dropped", o >= least(a1, lo1, hi1) + least(a2, lo2, hi2)),
        ),
    )
