"""Where counterexamples may lie."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from tlverify.certify import Inequality, box, robustness
from tlverify.certify.search.witnesses import Witnesses
from tlverify.graph import GraphBuilder, Type

from ..kernel.laws_balls import difference


def two_inputs():
    """The regions of the claim are not in the order of the graph's inputs; those of `b` are levels of 255."""
    builder = GraphBuilder()
    a, b = (builder.input(name, Type((2,), "float32")) for name in "ab")
    graph = builder.build(builder.node("add", a, b, name="y"))
    made = box(graph, {"b": ([0, 0], [1, 1]), "a": ([2, 2], [3, 3])}, [[Inequality((("y", 0, 1),), 9)]])
    levels = {"kind": "levels", "input": "b", "lower": [0, 0], "upper": [255, 255], "divisor": 255}
    return replace(made, region=(levels, *made.region[1:]))


def test_inputs_are_in_the_order_of_the_graph():
    witnesses = Witnesses.of(two_inputs(), ["a", "b"])
    (moved,) = witnesses.moved(np.array([[2.3, 5.0, 0.1, -1.0]]))
    assert moved.tolist() == [2.3, 3.0, float(np.float32(26) / np.float32(255)), 0.0]
    assert [part.tolist() for part in witnesses.parts(moved)] == [moved[:2].tolist(), moved[2:].tolist()]


def test_claims_about_float32_have_float32_witnesses():
    witnesses = Witnesses.of(two_inputs().under("float32"), ["a", "b"])
    (moved,) = witnesses.moved(np.array([[2.3, 2.5, 1.0, 0.0]]))
    assert moved[0] == float(np.float32(2.3))


def test_points_of_a_ball_are_in_it():
    (claim,) = robustness(difference(), np.float32([[0.5, 0.5]]), [0], "1/3", norm="l2", semantics="float32")
    witnesses = Witnesses.of(claim, ["x"])
    for point in witnesses.moved(np.random.default_rng(0).uniform(-2, 2, (200, 2))):
        exact = [Fraction(v) - Fraction(1, 2) for v in point.tolist()]
        assert sum(v * v for v in exact) <= Fraction(1, 9)


def test_a_range_without_numbers_is_named():
    end = Fraction(1, 3)
    builder = GraphBuilder()
    graph = builder.build(builder.node("relu", builder.input("x", Type((2,), "float32")), name="y"))
    made = box(graph, {"x": ([0, end], [1, end])}, [[Inequality((("y", 0, 1),), 9)]])
    for claim in (made, made.under("float32")):
        assert Witnesses.of(claim, ["x"]).hole == "input 1 has no number in its range: nothing to be falsified"
    tiny = Fraction(1, 1 << 40)
    between = box(graph, {"x": ([0, end - tiny], [1, end + tiny])}, [[Inequality((("y", 0, 1),), 9)]])
    assert Witnesses.of(between, ["x"]).hole == ""
    assert Witnesses.of(between.under("float32"), ["x"]).hole
