"""Rule `interval`: one forward step of interval arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, greatest, least, maximum, relu, within


def lemmas() -> Iterator[Lemma]:
    yield from _affine()
    yield from _relu()


def _affine() -> Iterator[Lemma]:
    x, lo, hi, w, b, z, s, t = Reals("x lo hi w b z s t")
    x1, lo1, hi1, w1, x2, lo2, hi2, w2 = Reals("x1 lo1 hi1 w1 x2 lo2 hi2 w2")
    yield Lemma(
        "product_interval",
        "l <= x <= u implies w+ l + w- u <= w x <= w+ u + w- l",
        ("interval",),
        {"l <= x": lo <= x, "x <= u": x <= hi},
        within(least(w, lo, hi), w * x, greatest(w, lo, hi)),
        (
            Mutant("sign of w ignored", within(w * lo, w * x, w * hi)),
            Mutant("w- meets l", w * x <= greatest(w, lo, lo)),
            Mutant("strict", And(least(w, lo, hi) < w * x, w * x < greatest(w, lo, hi))),
        ),
    )
    yield Lemma(
        "center_radius",
        "2 (w+ l + w- u) = w (l + u) - |w| (u - l), and likewise above",
        ("interval",),
        {},
        And(
            2 * least(w, lo, hi) == w * (lo + hi) - absolute(w) * (hi - lo),
            2 * greatest(w, lo, hi) == w * (lo + hi) + absolute(w) * (hi - lo),
        ),
        (
            Mutant("|w| lost", 2 * least(w, lo, hi) == w * (lo + hi) - w * (hi - lo)),
            Mutant("half the radius", 2 * least(w, lo, hi) == w * (lo + hi) - absolute(w) * (hi - lo) / 2),
        ),
    )
    yield Lemma(
        "sum_interval",
        "one term more: l1 <= s <= u1 and l2 <= t <= u2 imply l1 + l2 <= s + t <= u1 + u2",
        ("interval",),
        {"l1 <= s": lo1 <= s, "s <= u1": s <= hi1, "l2 <= t": lo2 <= t, "t <= u2": t <= hi2},
        within(lo1 + lo2, s + t, hi1 + hi2),
        (
            Mutant("ends subtracted", within(lo1 - hi2, s + t, hi1 - lo2)),
            Mutant("strict", And(lo1 + lo2 < s + t, s + t < hi1 + hi2)),
        ),
    )
    box = {"x1 in [l1, u1]": within(lo1, x1, hi1), "x2 in [l2, u2]": within(lo2, x2, hi2)}
    center = w1 * (lo1 + hi1) + w2 * (lo2 + hi2)
    radius = absolute(w1) * (hi1 - lo1) + absolute(w2) * (hi2 - lo2)
    yield Lemma(
        "affine_interval",
        "z = M x + b has 2 z in M c + 2 b -+ |M| r with c = l + u and r = u - l, for two inputs",
        ("interval", "linear"),
        {**box, "z = M x + b": z == w1 * x1 + w2 * x2 + b},
        within(center - radius + 2 * b, 2 * z, center + radius + 2 * b),
        (
            Mutant("bias not doubled", within(center - radius + b, 2 * z, center + radius + b)),
            Mutant("bias dropped", center - radius <= 2 * z),
            Mutant("z not doubled", within(center - radius + 2 * b, z, center + radius + 2 * b)),
            Mutant(
                "|M| lost", within(center - w1 * (hi1 - lo1) - w2 * (hi2 - lo2) + 2 * b, 2 * z, center + radius + 2 * b)
            ),
            Mutant("second radius left out", 2 * z <= center + absolute(w1) * (hi1 - lo1) + 2 * b),
        ),
    )
    yield Lemma(
        "affine_interval_inexact",
        "z within m of M x, where M x is within r / 2 of c / 2, has 2 z in c -+ (r + 2 m)",
        ("interval", "inexact", "avg_pool2d", "batch_norm"),
        {"c - r <= 2 M x <= c + r": within(s - t, 2 * x, s + t), "|z - M x| <= m": absolute(z - x) <= b},
        within(s - t - 2 * b, 2 * z, s + t + 2 * b),
        (
            Mutant("reach not doubled", within(s - t - b, 2 * z, s + t + b)),
            Mutant("reach above only", within(s - t, 2 * z, s + t + 2 * b)),
            Mutant("no reach", within(s - t, 2 * z, s + t)),
        ),
    )


def _relu() -> Iterator[Lemma]:
    z, lo, hi = Reals("z lo hi")
    yield Lemma(
        "relu_interval",
        "l <= z <= u implies relu(l) <= relu(z) <= relu(u)",
        ("interval", "relu"),
        {"l <= z": lo <= z, "z <= u": z <= hi},
        within(relu(lo), relu(z), relu(hi)),
        (
            Mutant("u not clipped at 0", relu(z) <= hi),
            Mutant("strict above 0", relu(lo) < relu(z)),
            Mutant("u of the other sign", relu(z) <= maximum(-lo, 0)),
        ),
    )
