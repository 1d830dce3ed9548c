"""Bounds hold at every point of a node, are never made worse, and are made of what a certificate can keep."""

import numpy as np
import pytest

from tlverify.certify.search.dual import (
    SLOPE_ONE,
    Ascent,
    Nodes,
    Relaxation,
    branch_score,
    children,
    evaluate,
    optimize,
    shorten,
)
from tlverify.certify.search.fold import single
from tlverify.certify.search.goals import goals_of, refutation

from .networks import setup


def prepared(seed):
    case = setup(seed)
    folding = case.folding
    relaxation = Relaxation.of(folding.fold())
    return case, relaxation, single(refutation(folding, goals_of(case.layers, case.claim)[0]))


def random_nodes(rng, relaxation, count):
    shape = (count, relaxation.fold.size)
    phase = rng.choice([-1, 0, 0, 0, 1], shape).astype(np.int8)
    beta = shorten(np.where(phase != 0, rng.exponential(size=shape) / 4, 0))
    return Nodes(rng.integers(0, SLOPE_ONE + 1, shape).astype(np.uint8), beta, phase)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_where_the_phases_do(seed):
    case, relaxation, row = prepared(seed)
    rng = np.random.default_rng(seed)
    t = case.points(rng, 2000)
    inner, _ = case.inner(t)
    fold = relaxation.fold
    z = np.stack([inner[k][:, i] for k, i in zip(fold.layer, fold.index, strict=True)], 1)
    value = t @ row.t[0] + np.maximum(z, 0) @ row.u[0] + row.constant[0]
    nodes = random_nodes(rng, relaxation, 60)
    nodes.phase[:20] *= rng.random((20, fold.size)) < 0.1  # few phases: some points are inside
    found = evaluate(relaxation, row.take(np.zeros(60, int)), nodes)
    inside = (nodes.phase[:, None, :] * z[None] >= 0).all(2)
    assert inside.any()
    least = np.where(inside, value, np.inf).min(1)
    assert (found.lower <= least + 1e-4).all()


@pytest.mark.parametrize("seed", range(4))
def test_optimised_bounds_are_no_worse_and_can_be_kept(seed):
    _, relaxation, row = prepared(seed)
    start = row.take(np.zeros(8, int))
    nodes = random_nodes(np.random.default_rng(seed), relaxation, 8)
    before = evaluate(relaxation, start, nodes).lower
    kept, found = optimize(relaxation, start, nodes, Ascent(6))
    assert (found.lower >= before).all()
    assert (found.lower > before + 1e-3).any()
    np.testing.assert_allclose(evaluate(relaxation, start, kept).lower, found.lower, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(shorten(kept.beta), kept.beta)
    assert kept.alpha.max() <= SLOPE_ONE
    assert (kept.beta[kept.phase == 0] == 0).all()
    np.testing.assert_array_equal(kept.phase, nodes.phase)


@pytest.mark.parametrize("seed", range(4))
def test_gradients_are_those_of_differences(seed):
    """By a slope: max(a, 0) z; by a multiplier: -phase z."""
    _, relaxation, row = prepared(seed)
    nodes = random_nodes(np.random.default_rng(seed), relaxation, 1)
    found = evaluate(relaxation, row, nodes)
    checked = 0
    for i in range(relaxation.fold.size):
        if nodes.phase[0, i]:
            step, expected = 1e-2, float(-nodes.phase[0, i] * found.z[0, i])
            moved = Nodes(nodes.alpha, nodes.beta.copy(), nodes.phase)
            moved.beta[0, i] += step
        else:
            if nodes.alpha[0, i] >= SLOPE_ONE:
                continue
            step, expected = 1 / SLOPE_ONE, float(max(found.a[0, i], 0) * found.z[0, i])
            moved = Nodes(nodes.alpha.copy(), nodes.beta, nodes.phase)
            moved.alpha[0, i] += 1
        other = evaluate(relaxation, row, moved)
        if (other.corner == found.corner).all() and ((other.a > 0) == (found.a > 0)).all():  # no kink in between
            checked += 1
            assert (other.lower[0] - found.lower[0]) / step == pytest.approx(expected, abs=2e-2), i
    assert checked


@pytest.mark.parametrize("seed", range(4))
def test_children_are_no_worse(seed):
    _, relaxation, row = prepared(seed)
    start = row.take(np.zeros(6, int))
    nodes, found = optimize(relaxation, start, random_nodes(np.random.default_rng(seed), relaxation, 6), Ascent(2))
    for neuron in range(relaxation.fold.size):
        free = np.flatnonzero(nodes.phase[:, neuron] == 0)
        if not len(free):
            continue
        chosen = np.full(len(free), neuron)
        both = children(nodes.take(free), chosen, found.a[free, neuron])
        assert both.phase[:, neuron].tolist() == [-1] * len(free) + [1] * len(free)
        halves = evaluate(relaxation, row.take(np.zeros(2 * len(free), int)), both).lower
        assert (halves >= np.tile(found.lower[free], 2) - 1e-2 * np.abs(found.a).max()).all()


def test_only_free_neurons_are_branched_on():
    _, relaxation, row = prepared(0)
    nodes = random_nodes(np.random.default_rng(0), relaxation, 5)
    found = evaluate(relaxation, row.take(np.zeros(5, int)), nodes)
    score = branch_score(relaxation, found.a, nodes)
    assert (score[nodes.phase != 0] == -1).all()
    assert (score[nodes.phase == 0] >= 0).all()
