"""Attacks in boxes of few inputs."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.search.layers import forward, layers_of
from tlverify.certify.search.points import BadSet, attack
from tlverify.certify.search.problem import inside
from tlverify.graph import to_bytes

from ..kernel.laws import affine

RELU = affine([[1, 1], [1, -1]], [0, 0], "relu")


@pytest.fixture
def layers():
    return layers_of(kernel.read_program(*to_bytes(RELU)))


def bad(*disjuncts):
    """Disjuncts of (coefficients, bound)."""
    conjuncts = [row for disjunct in disjuncts for row in disjunct]
    ends = np.cumsum([0, *map(len, disjuncts)])
    numbers = [np.arange(a, b) for a, b in pairwise(ends)]
    return BadSet(
        {RELU.outputs[0]: np.array([row for row, _ in conjuncts], dtype=float)},
        np.array([bound for _, bound in conjuncts], dtype=float),
        numbers,
    )


def test_badness_is_the_best_disjuncts_least_conjunct(layers):
    values = {RELU.outputs[0]: np.array([[1.0, 3.0]])}
    score, worst = bad([([1, 0], 2), ([0, 1], 0)], [([1, 0], 5)]).badness(values)
    assert score.tolist() == [-1.0]
    assert worst.tolist() == [0]


@pytest.mark.parametrize(("bound", "reached"), [(1.99, True), (2.01, False)])
def test_attack_reaches_the_corner(layers, bound, reached):
    ends = -np.ones(2), np.ones(2)
    point, score = attack(layers, bad([([1, 1], bound)]), *ends, np.random.default_rng(0))
    assert (score >= 0) == reached
    assert (abs(point) <= 1).all()
    assert forward(layers, point[None])[1][RELU.outputs[0]].sum() - bound == pytest.approx(score)


def test_same_seed_same_point(layers):
    claim = bad([([1, 1], 3)])
    ends = -np.ones(2), np.ones(2)
    one, two = (attack(layers, claim, *ends, np.random.default_rng(5)) for _ in range(2))
    assert one[0].tolist() == two[0].tolist()
    assert one[1] == two[1]


def test_an_input_that_is_fixed_at_zero(layers):
    ends = np.array([inside(Fraction(0), Fraction(0)), inside(Fraction(-1), Fraction(1))])
    assert not np.signbit(ends[0]).any()
    point, _ = attack(layers, bad([([1, 1], 3)]), ends[:, 0], ends[:, 1], np.random.default_rng(0))
    assert point[0] == 0
