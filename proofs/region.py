"""The region of a claim: a box, and the grid its ends are rounded to."""

from __future__ import annotations

from collections.abc import Iterator

from z3 import And, Ints, Reals

from proofs.lemma import Lemma, Mutant
from proofs.terms import absolute, is_ceil, is_floor, is_nearest, is_truncation, maximum, minimum, within


def lemmas() -> Iterator[Lemma]:
    x, center, radius, lo, hi, scale = Reals("x center radius lo hi scale")
    k, m = Ints("k m")
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
        ("region",),
        {"in the box": within(bottom, x, top)},
        And(near, clip),
        (
            Mutant("box not clipped", hypotheses={"in the box": within(center - radius, x, center + radius)}),
            Mutant("strict ball", And(absolute(x - center) < radius, clip)),
        ),
    )
    yield Lemma(
        "round_down",
        "l <= x implies floor(s l) / s <= x, for a grid of s points per unit",
        ("region", "interval", "bound"),
        {"l <= x": lo <= x, "s > 0": scale > 0, "k = floor(s l)": is_floor(k, scale * lo)},
        k <= scale * x,
        (
            Mutant("ceiling", hypotheses={"k = floor(s l)": is_ceil(k, scale * lo)}),
            Mutant("towards zero", hypotheses={"k = floor(s l)": is_truncation(k, scale * lo)}),
            Mutant("to nearest", hypotheses={"k = floor(s l)": is_nearest(k, scale * lo)}),
        ),
    )
    yield Lemma(
        "round_up",
        "x <= u implies x <= -floor(-s u) / s: the ceiling, as the kernel computes it",
        ("region", "interval", "bound"),
        {"x <= u": x <= hi, "s > 0": scale > 0, "k = floor(-s u)": is_floor(k, -scale * hi)},
        scale * x <= -k,
        (
            Mutant("floor", hypotheses={"k = floor(-s u)": is_ceil(k, -scale * hi)}),
            Mutant("to nearest", hypotheses={"k = floor(-s u)": is_nearest(k, -scale * hi)}),
            Mutant("sign lost", scale * x <= k),
        ),
    )
    yield Lemma(
        "outward_box",
        "rounding both ends outward keeps every point of the box",
        ("region", "interval"),
        {
            "l <= x <= u": clip,
            "s > 0": scale > 0,
            "k = floor(s l)": is_floor(k, scale * lo),
            "m = ceil(s u)": is_ceil(m, scale * hi),
        },
        within(k, scale * x, m),
        (
            Mutant(
                "inward",
                hypotheses={
                    "k = floor(s l)": is_ceil(k, scale * lo),
                    "m = ceil(s u)": is_floor(m, scale * hi),
                },
            ),
            Mutant("strict", And(k < scale * x, scale * x < m)),
        ),
    )
