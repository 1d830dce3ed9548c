"""Z3 decides small claims as they are, and says so when it does not."""

import builtins
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import Inequality, box, kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.smt import MAX_UNSTABLE, MissingZ3, prove, reaches, solver
from tlverify.graph import GraphBuilder, Type, to_bytes

from ..kernel.laws import SUM, UNIT, above, affine


def net(*sizes, seed=0, short=True):
    """Weights of a few bits, which Z3 is quick with; or of all bits, which it is slow with."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    value = builder.input("x", Type((sizes[0],), "float32"))
    for layer, (m, n) in enumerate(pairwise(sizes)):
        weight, bias = rng.integers(-8, 9, (n, m)) / 8, rng.integers(-4, 5, n) / 8
        if not short:
            weight, bias = rng.standard_normal((n, m)), rng.standard_normal(n)
        value = builder.node(
            "linear", value, builder.parameter(weight.astype("float32")), builder.parameter(bias.astype("float32"))
        )
        if layer < len(sizes) - 2:
            value = builder.node("relu", value)
    return builder.build(value)


def decide(graph, claim, seconds=20.0):
    program = kernel.read_program(*to_bytes(graph))
    statement = read_claim(claim.data, program)
    outcome = prove(program, statement, seconds)
    if outcome.verdict == "falsified":
        assert reaches(program, statement, outcome.point)
    return outcome


RELU = affine([[1, 1], [1, -1]], [0, 0], "relu")  # on [-1, 1]^2: relu(x0 + x1), relu(x0 - x1), together at most 2
WIDE = {"x": ([-1, -1], [1, 1])}


def both(bound, strict=False):
    return [[Inequality((("relu_0", 0, Fraction(1)), ("relu_0", 1, Fraction(1))), Fraction(bound), strict)]]


@pytest.mark.parametrize(
    ("graph", "ranges", "bad", "verdict"),
    [
        (SUM, UNIT, [[above(SUM, 0, Fraction(13, 4))]], "falsified"),
        (SUM, UNIT, [[above(SUM, 0, Fraction(13, 4), True)]], "verified"),
        (SUM, UNIT, [[above(SUM, 0, Fraction(13, 4) + Fraction(1, 10**30))]], "verified"),
        (SUM, UNIT, [[above(SUM, 0, 3), above(SUM, 1, 1)]], "verified"),
        (SUM, UNIT, [[above(SUM, 0, 9)], [above(SUM, 1, 1)]], "falsified"),
        (RELU, WIDE, both(2), "falsified"),
        (RELU, WIDE, both(2, strict=True), "verified"),
        (RELU, WIDE, both(2 + Fraction(1, 10**9)), "verified"),
        (RELU, {"x": ([Fraction(1, 3)] * 2, [Fraction(1, 3)] * 2)}, both(Fraction(2, 3)), "falsified"),
        (SUM, UNIT, [[Inequality((("x", 0, Fraction(1)),), Fraction(2))]], "verified"),
        (SUM, UNIT, [[Inequality((), Fraction(0))]], "falsified"),
        (SUM, UNIT, [[Inequality((), Fraction(1))]], "verified"),
    ],
)
def test_small_claims(graph, ranges, bad, verdict):
    assert decide(graph, box(graph, ranges, bad)).verdict == verdict


def test_a_point_that_is_no_float_is_found():
    third = {"x": ([Fraction(1, 3)] * 2, [Fraction(1, 3)] * 2)}
    outcome = decide(SUM, box(SUM, third, [[above(SUM, 0, 1)]]))
    assert outcome.point == {"x": [Fraction(1, 3)] * 2}
    assert outcome.reason.startswith("Z3 found a point of the region that is bad, replayed exactly: x near [0.333333")


@given(seed=st.integers(0, 10**6))
@settings(max_examples=6, deadline=None)
def test_thresholds_around_a_point_that_is_reached(seed):
    graph = net(2, 5, 5, 1, seed=seed)
    rng = np.random.default_rng(seed)
    program = kernel.read_program(*to_bytes(graph))
    out = graph.outputs[0]
    ends = {"x": ([-1, -1], [1, 1])}
    corner = {"x": [Fraction(int(v), 8) for v in rng.integers(-8, 9, 2)]}

    def claim(bound):
        return box(graph, ends, [[Inequality(((out, 0, Fraction(1)),), bound)]])

    low, high = Fraction(-200), Fraction(200)
    while high - low > Fraction(1, 64):  # the largest bound that the point reaches
        middle = (low + high) / 2
        reached = reaches(program, read_claim(claim(middle).data, program), corner)
        low, high = (middle, high) if reached else (low, middle)
    assert decide(graph, claim(low)).verdict == "falsified"
    assert decide(graph, claim(Fraction(200))).verdict == "verified"


def test_inexact_maps_are_enclosed():
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 3, 3), "float32"))
    options = {"kernel": (3, 3), "stride": (1, 1), "padding": (0,) * 4, "count_include_pad": 0}
    graph = builder.build(builder.node("avg_pool2d", x, **options))
    ranges = {"x": ([0] * 9, [1] * 9)}
    assert decide(graph, box(graph, ranges, [[above(graph, 0, 1 + Fraction(1, 10**9))]])).verdict == "verified"
    ranges = {"x": ([1] * 9, [1] * 9)}
    assert decide(graph, box(graph, ranges, [[above(graph, 0, 1 - Fraction(1, 10**9))]])).verdict == "falsified"
    at = decide(graph, box(graph, ranges, [[above(graph, 0, 1)]]))
    assert at.verdict == "unknown"
    assert "bad for some rounding of the coefficients" in at.reason


def test_too_many_unstable_neurons_are_not_tried():
    graph = net(2, MAX_UNSTABLE + 1, 1)
    wide = {"x": ([-9, -9], [9, 9])}
    bad = [[above(graph, 0, 10**6)]]
    outcome = decide(graph, box(graph, wide, bad))
    assert outcome.verdict == "unknown"
    assert outcome.reason == "17 ReLUs may be on either side of 0, over the limit of 16"
    assert decide(graph, box(graph, {"x": ([-9, -9], [-9, -9])}, bad)).verdict == "verified"


def test_no_time_is_unknown():
    outcome = decide(RELU, box(RELU, WIDE, both(3)), seconds=0.0)
    assert outcome.verdict == "unknown"
    assert outcome.reason == "the time was over while 'y' was encoded"


def test_unknown_of_z3_is_unknown():
    graph = net(3, 8, 8, 1, seed=3, short=False)  # takes seconds
    claim = box(graph, {"x": ([-1] * 3, [1] * 3)}, [[above(graph, 0, Fraction(6))]])
    outcome = decide(graph, claim, seconds=0.05)
    assert outcome.verdict == "unknown"
    assert outcome.reason.startswith(("Z3 gave up on disjunct 0: ", "the time was over", "Z3 failed"))


def test_a_model_that_does_not_replay_is_an_error(monkeypatch):
    monkeypatch.setattr(solver, "reaches", lambda *_: False)
    with pytest.raises(RuntimeError, match="the encoding for Z3 and the exact replay contradict each other at x near"):
        decide(SUM, box(SUM, UNIT, [[above(SUM, 0, 1)]]))


def test_missing_z3_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "z3":
            raise ModuleNotFoundError("No module named 'z3'", name="z3")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingZ3, match=r"pip install 'tlverify\[smt\]'"):
        decide(SUM, box(SUM, UNIT, [[above(SUM, 0, 9)]]))
