"""Rule `interval`: one forward step of interval arithmetic, and intersection with what is known."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, greatest, least, maximum, minimum, relu, within


def lemmas() -> Iterator[Lemma]:
    x, lo, hi, w, b, z, s, t = Reals("x lo hi w b z s t")
    x1, lo1, hi1, w1, x2, lo2, hi2, w2 = Reals("x1 lo1 hi1 w1 x2 lo2 hi2 w2")

    yield Lemma(
        "product_interval",
        "l <= x <= u implies w+ l + w- u <= w x <= w+ u + w- l",
        ("interval", "linear"),
        {"l <= x": lo <= x, "x <= u": x <= hi},
        within(least(w, lo, hi), w * x, greatest(w, lo, hi)),
        (
            Mutant("sign of w ignored", within(w * lo, w * x, w * hi)),
            Mutant("w- meets l", w * x <= greatest(w, lo, lo)),
            Mutant("strict", And(least(w, lo, hi) < w * x, w * x < greatest(w, lo, hi))),
        ),
    )
    yield Lemma(
        "sum_interval",
        "one term more: l1 <= s <= u1 and l2 <= t <= u2 imply l1 + l2 <= s + t <= u1 + u2",
        ("interval", "linear", "add", "sum"),
        {
            "l1 <= s": lo1 <= s,
            "s <= u1": s <= hi1,
            "l2 <= t": lo2 <= t,
            "t <= u2": t <= hi2,
        },
        within(lo1 + lo2, s + t, hi1 + hi2),
        (
            Mutant("ends subtracted", within(lo1 - hi2, s + t, hi1 - lo2)),
            Mutant("strict", And(lo1 + lo2 < s + t, s + t < hi1 + hi2)),
        ),
    )
    box = {"x1 in [l1, u1]": within(lo1, x1, hi1), "x2 in [l2, u2]": within(lo2, x2, hi2)}
    yield Lemma(
        "linear_interval",
        "z = W x + b lies in [W+ l + W- u + b, W+ u + W- l + b], for two inputs",
        ("interval", "linear"),
        {**box, "z = W x + b": z == w1 * x1 + w2 * x2 + b},
        within(
            least(w1, lo1, hi1) + least(w2, lo2, hi2) + b,
            z,
            greatest(w1, lo1, hi1) + greatest(w2, lo2, hi2) + b,
        ),
        (
            Mutant("bias dropped", least(w1, lo1, hi1) + least(w2, lo2, hi2) <= z),
            Mutant("sign of W ignored", w1 * lo1 + w2 * lo2 + b <= z),
            Mutant("second input not swept", least(w1, lo1, hi1) + w2 * lo2 + b <= z),
        ),
    )
    yield Lemma(
        "center_radius",
        "2 (w+ l + w- u) = w (l + u) - |w| (u - l), and likewise above",
        ("interval", "linear", "bound"),
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
        "relu_interval",
        "l <= z <= u implies relu(l) <= relu(z) <= relu(u)",
        ("interval", "relu"),
        {"l <= z": lo <= z, "z <= u": z <= hi},
        within(relu(lo), relu(z), relu(hi)),
        (
            Mutant("u not clipped at 0", relu(z) <= hi),
            Mutant("strict above 0", relu(lo) < relu(z)),
        ),
    )
    yield Lemma(
        "permuted_interval",
        "reshape moves entries with their intervals: y = x has the interval of x",
        ("interval", "reshape", "transpose", "broadcast_to"),
        {"x1 in [l1, u1]": within(lo1, x1, hi1), "y = x1": z == x1},
        within(lo1, z, hi1),
        (
            Mutant("interval of the neighbour", hypotheses={"x1 in [l1, u1]": within(lo1, x2, hi1)}),
            Mutant("entry of the neighbour", hypotheses={"y = x1": z == x2}),
        ),
    )
    yield Lemma(
        "intersection",
        "two intervals that hold give [max(l1, l2), min(u1, u2)]",
        ("interval", "bound", "lemma", "split_phase"),
        {"x in [l1, u1]": within(lo1, x, hi1), "x in [l2, u2]": within(lo2, x, hi2)},
        within(maximum(lo1, lo2), x, minimum(hi1, hi2)),
        (
            Mutant("min of the lowers as an upper", x <= minimum(lo1, hi2)),
            Mutant("strict", And(maximum(lo1, lo2) < x, x < minimum(hi1, hi2))),
        ),
    )
    yield Lemma(
        "crossed_interval",
        "an interval that holds somewhere is not crossed: l > u means that the region is empty",
        ("interval", "close"),
        {"l <= x": lo <= x, "x <= u": x <= hi},
        lo <= hi,
        (Mutant("l = u taken as empty", lo < hi),),
    )
