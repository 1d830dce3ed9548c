"""Rows of the ops that slide a window over an image: conv2d, avg_pool2d, max_pool2d."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, If, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import within

OPS = ("conv2d", "avg_pool2d", "max_pool2d")


def lemmas() -> Iterator[Lemma]:
    yield from _windows()
    yield from _channels()


def _windows() -> Iterator[Lemma]:
    y, i, k, d, s, size, top, bottom, count, n = Ints("y i k d s size top bottom count n")
    last = size + top + bottom - d * (k - 1) - 1
    output = {"0 <= y < count": within(0, y, count - 1), "count": count == last / s + 1, "s >= 1": s >= 1}
    tap = {"0 <= i < k": within(0, i, k - 1), "d >= 1": d >= 1}
    yield Lemma(
        "window_starts",
        "count = (size + top + bottom - d (k - 1) - 1) // s + 1 windows: the last starts at most that far",
        OPS,
        output,
        within(0, y * s, last),
        (
            Mutant("one window more", hypotheses={"0 <= y < count": within(0, y, count)}),
            Mutant("rounded up", hypotheses={"count": count == -(-last / s) + 1}),
        ),
    )
    yield Lemma(
        "window_inside",
        "a window that starts at most there has its rows y s - top + i d in [-top, size + bottom)",
        OPS,
        {"0 <= start <= last": within(0, n, last), **tap},
        within(-top, n - top + i * d, size + bottom - 1),
        (
            Mutant("dilation not counted", hypotheses={"0 <= start <= last": within(0, n, size + top + bottom - k)}),
            Mutant("padding below forgotten", within(-top, n - top + i * d, size - 1)),
        ),
    )
    yield Lemma(
        "window_complete",
        "a window that fits in the padded image is among those counted",
        OPS,
        {"fits": y * s <= last, "s >= 1": s >= 1, "count": count == last / s + 1},
        y < count,
        (Mutant("without the last", hypotheses={"count": count == last / s}),),
    )
    x, w, z = Reals("x w z")
    inside = within(0, i, size - 1)
    yield Lemma(
        "window_padding",
        "a place in the padding is left out of the sum, as if it held 0",
        ("conv2d", "avg_pool2d"),
        {"z = sum of what is inside": z == If(inside, w * x, 0)},
        z == w * If(And(i >= 0, i < size), x, 0),
        (Mutant("edge repeated", z == w * x), Mutant("row of the other side", z == w * If(i < size, x, 0))),
    )


def _channels() -> Iterator[Lemma]:
    o, q, groups, share = Ints("o q groups share")
    yield Lemma(
        "conv2d_groups",
        "output channel o of groups * share is of group o // share, one of the groups, and reads its channels",
        ("conv2d",),
        {
            "0 <= o < groups share": And(o >= 0, o < groups * share),
            "q = o // share": And(q * share <= o, o < (q + 1) * share),
        },
        within(0, q, groups - 1),
        (
            Mutant("q = o // groups", hypotheses={"q = o // share": And(q * groups <= o, o < (q + 1) * groups)}),
            Mutant("q = o mod share", hypotheses={"q = o // share": within(0, q, share - 1)}),
        ),
    )
    r1, r2, p1, p2, width = Ints("r1 r2 p1 p2 width")
    yield Lemma(
        "plane_unique",
        "places of a window are distinct: row width + column tells row and column for 0 <= column < width",
        OPS,
        {
            "0 <= p1 < width": within(0, p1, width - 1),
            "0 <= p2 < width": within(0, p2, width - 1),
            "same place": r1 * width + p1 == r2 * width + p2,
        },
        And(r1 == r2, p1 == p2),
        (Mutant("column up to the width", hypotheses={"0 <= p1 < width": within(0, p1, width)}),),
    )
    w1, w2, x1, x2, b, z = Reals("w1 w2 x1 x2 b z")
    yield Lemma(
        "lower_conv2d",
        "an output is a row of the kernel's weights on its window, and the bias of its channel",
        ("conv2d",),
        {"z = row x + b": z == w1 * x1 + w2 * x2 + b},
        z - b == w1 * x1 + w2 * x2,
        (Mutant("kernel flipped", z - b == w2 * x1 + w1 * x2), Mutant("bias dropped", z == w1 * x1 + w2 * x2)),
    )
    a1, a2, k, n = Reals("a1 a2 k n")
    exact = {"n k = 1": n * k == 1, "n = 2 in the window": n == 2}
    yield Lemma(
        "lower_avg_pool2d",
        "a mean of n is the row of 1 / n; the divisor is the kernel's area or what is inside, as stated",
        ("avg_pool2d",),
        {**exact, "z = k x1 + k x2": z == k * a1 + k * a2},
        z == (a1 + a2) / 2,
        (Mutant("sum", z == a1 + a2), Mutant("divisor of another count", z == (a1 + a2) / 3)),
    )
