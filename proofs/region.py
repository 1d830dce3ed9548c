"""The region of a claim: a box of rational ends, enclosed by short integers with a shared exponent."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, is_ceil, is_floor, is_nearest, is_truncation, maximum, minimum, within


def lemmas() -> Iterator[Lemma]:
    yield from _ball()
    yield from _enclosure()


def _ball() -> Iterator[Lemma]:
    x, center, radius, lo, hi = Reals("x center radius lo hi")
    near, clip = absolute(x - center) <= radius, within(lo, x, hi)
    bottom, top = maximum(center - radius, lo), minimum(center + radius, hi)
    yield Lemma(
        "ball_to_box",
        "a point of an l-infinity ball clipped to [l, u] lies in [max(c - r, l), min(c + r, u)]",
        ("region",),
        {"|x - c| <= r": near, "l <= x <= u": clip},
        within(bottom, x, top),
        (
            Mutant("strict ends", And(bottom < x, x < top)),
            Mutant("radius read as the width", within(maximum(center - radius / 2, lo), x, top)),
            Mutant("l and u exchanged", within(maximum(center - radius, hi), x, minimum(center + radius, lo))),
        ),
    )
    yield Lemma(
        "box_to_ball",
        "a point of [max(c - r, l), min(c + r, u)] is in the ball and in [l, u]: no other point is added",
        ("region", "witness"),
        {"in the box": within(bottom, x, top)},
        And(near, clip),
        (
            Mutant("box not clipped", hypotheses={"in the box": within(center - radius, x, center + radius)}),
            Mutant("strict ball", And(absolute(x - center) < radius, clip)),
        ),
    )


def _enclosure() -> Iterator[Lemma]:
    x, lo, hi, scale, p, q = Reals("x lo hi scale p q")
    top, bottom = Reals("top bottom")
    k, m = Ints("k m")
    grid = {"s > 0": scale > 0, "k = floor(s l)": is_floor(k, scale * lo), "m = ceil(s u)": is_ceil(m, scale * hi)}
    yield Lemma(
        "enclose",
        "l <= x <= u implies floor(s l) <= s x <= ceil(s u), for a grid of s points per unit",
        ("region",),
        {"l <= x <= u": within(lo, x, hi), **grid},
        within(k, scale * x, m),
        (
            Mutant("lower end up", hypotheses={"k = floor(s l)": is_ceil(k, scale * lo)}),
            Mutant("upper end down", hypotheses={"m = ceil(s u)": is_floor(m, scale * hi)}),
            Mutant("lower end towards zero", hypotheses={"k = floor(s l)": is_truncation(k, scale * lo)}),
            Mutant("upper end to nearest", hypotheses={"m = ceil(s u)": is_nearest(m, scale * hi)}),
            Mutant("strict", And(k < scale * x, scale * x < m)),
        ),
    )
    yield Lemma(
        "enclose_length",
        "p < 2^P and q >= 2^(Q-1) imply p / q < 2^(P-Q+1): the unit is chosen long enough for every end",
        ("region",),
        {"0 <= p < 2^P": And(p >= 0, p < top), "q >= 2^(Q-1)": q >= bottom, "2^(Q-1) > 0": bottom > 0},
        p * bottom < top * q,
        (
            Mutant("2^(P-Q)", 2 * p * bottom < top * q),
            Mutant("length of q as its size", hypotheses={"q >= 2^(Q-1)": q <= 2 * bottom}),
        ),
    )
