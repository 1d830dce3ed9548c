"""Attacks stay inside the region and report what is there."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import Inequality, box
from tlverify.certify.search.attack import attack, badness, values_at
from tlverify.certify.search.bounds import prepare
from tlverify.certify.search.problem import build

from .. import exact
from ..examples import FAMILIES, random_box, random_claim, random_graph
from ..kernel.laws import affine

WIDE = {"widths": (Fraction(1, 64), Fraction(1, 4), Fraction(2)), "steps": (7, 8)}


def problem(family: str, seed: int, count: int = 3):
    rng = random.Random(f"{family} {seed}")
    graph = random_graph(rng, family)
    bad = random_claim(rng, graph, Fraction(1, 4)).bad
    return graph, build(prepare(graph), [box(graph, random_box(rng, graph, **WIDE), bad) for _ in range(count)])


@pytest.mark.parametrize("family", FAMILIES)
def test_points_are_inside_and_are_float32(family):
    for seed in range(4):
        _, found = problem(family, seed)
        points, _ = attack(found, np.random.default_rng(seed), restarts=2, steps=5)
        for name, value in points.items():
            assert (value == value.astype(np.float32)).all()
            for claim, row in zip(found.claims, value.tolist(), strict=True):
                assert all(
                    a <= Fraction(p) <= b for a, p, b in zip(claim.lower[name], row, claim.upper[name], strict=True)
                )


@pytest.mark.parametrize("family", ["normal", "eighths", "duplicate"])
def test_score_is_the_badness_of_the_point(family):
    for seed in range(4):
        graph, found = problem(family, seed)
        points, score = attack(found, np.random.default_rng(seed), restarts=2, steps=5)
        for index, claim in enumerate(found.claims):
            at = {name: [Fraction(v) for v in value[index].tolist()] for name, value in points.items()}
            true = max(min(row) for row in exact.excess(claim, exact.values(graph, at)))
            assert score[index] == pytest.approx(float(true), rel=1e-9, abs=1e-9)


def test_values_at_points_are_the_networks():
    graph, found = problem("normal", 0)
    points = {name: (found.lower[name] + found.upper[name]) / 2 for name in found.lower}
    table, g = values_at(found, points)
    for index, claim in enumerate(found.claims):
        true = exact.values(
            graph, {name: [Fraction(v) for v in value[index].tolist()] for name, value in points.items()}
        )
        for name in graph.types:
            np.testing.assert_allclose(
                table.lower[name][index], [float(v) for v in true[name].ravel()], rtol=1e-9, atol=1e-12
            )
        rows = [value for row in exact.excess(claim, true) for value in row]
        np.testing.assert_allclose(g[index], [float(v) for v in rows], rtol=1e-9, atol=1e-12)


def test_badness_is_the_best_disjuncts_worst_row():
    graph = affine([[1]], [0])
    rows = [Inequality((("y", 0, Fraction(1)),))] * 3
    found = build(prepare(graph), [box(graph, {"x": ([0], [1])}, [[rows[0], rows[1]], [rows[2]]])] * 2)
    score, row = badness(found, np.array([[3.0, 1.0, 0.0], [3.0, 1.0, 2.0]]))
    assert (score.tolist(), row.tolist()) == ([1.0, 2.0], [1, 2])


def test_a_corner_is_found():
    graph = affine([[1, -1, 2]], [0])
    claim = box(graph, {"x": ([0] * 3, [1] * 3)}, [[Inequality((("y", 0, Fraction(1)),), Fraction(3))]])
    points, score = attack(build(prepare(graph), [claim]), np.random.default_rng(0))
    assert points["x"].tolist() == [[1, 0, 1]]
    assert score.tolist() == [0]


def test_an_attack_repeats_for_a_seed():
    _, found = problem("normal", 1)
    one, two = (attack(found, np.random.default_rng(9), restarts=3, steps=4) for _ in range(2))
    np.testing.assert_array_equal(one[1], two[1])
    for name in one[0]:
        np.testing.assert_array_equal(one[0][name], two[0][name])
