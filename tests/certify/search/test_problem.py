"""Claims as arrays: outer boxes contain the region, inner ones are contained."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import Inequality, box
from tlverify.certify.search.bounds import prepare
from tlverify.certify.search.problem import build, form

from ..kernel.laws import SUM, UNIT, above

NUMBERS = [
    Fraction(1, 3),
    Fraction(1, 10),
    Fraction(-2, 7),
    Fraction(0),
    Fraction(1),
    1 + Fraction(1, 2**60),
    Fraction(1, 10**60),
]


@pytest.mark.parametrize("low", NUMBERS)
@pytest.mark.parametrize("width", [Fraction(1), Fraction(1, 1000)])
def test_boxes_are_rounded_to_the_right_side(low, width):
    high = low + width
    problem = build(prepare(SUM), [box(SUM, {"x": ([low, low], [high, high])}, [[above(SUM, 0, 1)]])])
    outer, inner = (problem.lower, problem.upper), (problem.inner_lower, problem.inner_upper)
    for (below, over), (first, last) in ((tuple(v["x"][0, 0] for v in outer), tuple(v["x"][0, 0] for v in inner)),):
        assert Fraction(below) <= low <= Fraction(first) <= Fraction(last) <= high <= Fraction(over)
        assert np.nextafter(below, 2) >= low or Fraction(below) == low
        assert first == np.float32(first)
        assert Fraction(float(np.nextafter(np.float32(first), np.float32(-9)))) < low
        assert Fraction(float(np.nextafter(np.float32(last), np.float32(9)))) > high


def test_rows():
    rng = random.Random(0)
    bad = [
        [above(SUM, 0, rng.randrange(9)), Inequality((("x", 1, Fraction(-1, 4)), ("y", 1, Fraction(2))), Fraction(3))],
        [above(SUM, 1, 7)],
    ]
    claim = box(SUM, UNIT, bad)
    assert form(claim) == (2, 1)
    problem = build(prepare(SUM), [claim, claim])
    assert [part.tolist() for part in problem.disjuncts] == [[0, 1], [2]]
    assert problem.rows["y"].tolist() == [[[1, 0], [0, 2], [0, 1]]] * 2
    assert problem.rows["x"].tolist() == [[[0, 0], [0, -0.25], [0, 0]]] * 2
    assert problem.bound[1, 1:].tolist() == [3, 7]
    part = problem.take(np.array([1]))
    assert part.claims == [claim]
    assert part.bound.shape == (1, 3)
