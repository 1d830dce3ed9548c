"""Claims about l1 and l2 balls, as laws that a right kernel obeys."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np

from tlverify.certify import robustness
from tlverify.certify.certificate import proof, witness
from tlverify.graph import Graph, GraphBuilder, Type

from .laws import files, rejected


def difference() -> Graph:
    """y = (3 x0 + 4 x1, 0): class 0 where 3 x0 + 4 x1 > 0."""
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight = builder.parameter(np.float32([[3, 4], [0, 0]]))
    return builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(2, np.float32)), name="y"))


def claim_of(norm: str, radius: str):
    """Around (1/2, 1/2), where y0 is 7/2; it falls by 5 r in the l2 ball, by 4 r in the l1 ball, by 7 r in the box."""
    (claim,) = robustness(difference(), np.float32([[0.5, 0.5]]), [0], radius, clip=(-9, 9), norm=norm)
    return claim


def steps(direction: list[str], multipliers: list[str]) -> list:
    return [
        {"rule": "interval", "nodes": ["y"]},
        {"rule": "ball", "input": "x", "direction": direction},
        {"rule": "close", "multipliers": [multipliers], "slopes": {}, "cuts": []},
    ]


L2 = ["-2457/4096", "-819/1024"]
"""-(3, 4) / 5, a little shortened."""


def balls_are_exact(kernel) -> None:
    """The plane along the gradient proves what holds in the ball, and no more."""
    graph = difference()
    for norm, direction, weight, edge in (
        ("l2", L2, "5", Fraction(7, 10)),
        ("l1", ["-3/4", "-1"], "4", Fraction(7, 8)),
    ):
        inside, outside = edge * Fraction(99, 100), edge * Fraction(101, 100)
        claim = claim_of(norm, str(inside))
        accepted = kernel.api.check(*files(graph, claim, proof(claim.digest, steps(direction, ["1", weight]))))
        assert accepted.verdict == "verified"
        assert f"the {norm} ball" in accepted.statement
        claim = claim_of(norm, str(outside))
        rejected(kernel, graph, claim, proof(claim.digest, steps(direction, ["1", weight])), "not refuted")
        plain = [{"rule": "interval", "nodes": ["y"]}, steps(direction, ["1"])[2]]
        claim = claim_of(norm, str(inside))
        rejected(kernel, graph, claim, proof(claim.digest, plain), "not refuted")


def planes_hold(kernel) -> None:
    """No point of a ball is beyond a plane beside it."""
    rng = random.Random(3)
    for _ in range(400):
        norm, size = rng.choice([1, 2]), rng.randrange(1, 4)
        center = [Fraction(rng.randrange(-9, 9), 7) for _ in range(size)]
        radius = Fraction(rng.randrange(1, 30), 11)
        ball = kernel.claim.Ball(norm, center, radius)
        direction = [Fraction(rng.randrange(-64, 65), 64) for _ in range(size)]
        plane = ball.plane("x", direction)
        dual = max(map(abs, direction)) if norm == 1 else sum(v * v for v in direction)
        assert (plane is None) == (dual > 1)
        if plane is None:
            continue
        for _ in range(8):
            moved = [Fraction(rng.randrange(-99, 100), 10) for _ in range(size)]
            length = sum(map(abs, moved)) if norm == 1 else Fraction(float(sum(v * v for v in moved)) ** 0.5 + 1e-9)
            point = [c + m * radius / length for c, m in zip(center, moved, strict=True)] if length else center
            assert ball.holds(point)
            assert sum(c * point[index] for _, index, c in plane.terms) >= plane.bound
            if any(moved):
                assert not ball.holds([c + 2 * m * radius / length for c, m in zip(center, moved, strict=True)])
        for way in range(size):  # corners of the l1 ball, and the farthest point of either
            for sign in (1, -1):
                point = [c + sign * radius * (k == way) for k, c in enumerate(center)]
                assert ball.holds(point)
                assert sum(c * point[index] for _, index, c in plane.terms) >= plane.bound


def balls_are_read(kernel) -> None:
    graph = difference()
    for norm, direction, reason in (
        ("l2", ["-1", "-1/64"], "dual norm"),
        ("l1", ["-1/4", "-65/64"], "dual norm"),
        ("l2", ["-1"], "2 entries"),
        ("l1", ["-1", "0", "0"], "2 entries"),
        ("l2", [], "2 entries"),
        ("l2", ["-1/3", "0"], "binary"),
    ):
        claim = claim_of(norm, "1/2")
        rejected(kernel, graph, claim, proof(claim.digest, steps(direction, ["1", "5"])), reason)
    claim = claim_of("l1", "1/2")
    try:
        rejected(kernel, graph, claim, proof(claim.digest, steps([], ["1", "5"])), "2 entries")
    except ValueError as error:
        raise AssertionError(f"no refusal: {error}") from None
    box = claim_of("linf", "1/2")
    rejected(kernel, graph, box, proof(box.digest, steps(["-1/2", "-1/2"], ["1", "5"])), "in a ball")
    for norm, radius, point, reason in (
        ("l2", "1", [-0.25, -0.25], "outside its ball"),
        ("l1", "1", [-0.25, -0.25], "outside its ball"),
        ("l1", "1", [0.25, -0.125], "not in the bad set"),
    ):
        claim = claim_of(norm, radius)
        rejected(kernel, graph, claim, witness(claim.digest, [np.array(point)]), reason)
    for norm, radius, point in (("l2", "1", [-0.125, -0.125]), ("l1", "1", [0.5, -0.5])):
        claim = claim_of(norm, radius)
        assert kernel.api.check(*files(graph, claim, witness(claim.digest, [np.array(point)]))).verdict == "falsified"


LAWS = {law.__name__: law for law in (balls_are_exact, planes_hold, balls_are_read)}
