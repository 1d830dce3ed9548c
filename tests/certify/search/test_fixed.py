"""Nodes with every phase fixed: their linear program refutes the row, or has a point where it is below 0."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import kernel
from tlverify.certify.search.dual import Ascent, Nodes, Relaxation, evaluate, optimize
from tlverify.certify.search.fixed import settle
from tlverify.certify.search.fold import single
from tlverify.certify.search.goals import goals_of, refutation
from tlverify.certify.search.phase_split import THOROUGH
from tlverify.certify.search.phases import propose_phases
from tlverify.certify.search.progress import Search

from .networks import setup


def leaves(case, rng, count):
    """A row, and nodes with the phases of random points, some of them turned round."""
    relaxation = Relaxation.of(case.folding.fold())
    row = single(refutation(case.folding, goals_of(case.layers, case.claim)[0]))
    fold = relaxation.fold
    inner, _ = case.inner(case.points(rng, count))
    z = np.stack([inner[k][:, i] for k, i in zip(fold.layer, fold.index, strict=True)], 1)
    phase = np.where(z >= 0, 1, -1).astype(np.int8)
    phase[rng.random(phase.shape) < 0.1 * rng.integers(0, 2, (count, 1))] *= -1
    start = relaxation.root(count)
    return relaxation, row, replace(start, phase=phase)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7), st.integers(0, 1000))
def test_no_worse_than_adam_or_a_point_below_0(seed, number):
    case = setup(seed % 4, width=6 + seed // 4, radius="1/2", above=0.0)
    relaxation, row, nodes = leaves(case, np.random.default_rng(number), 6)
    exact, points = settle(relaxation, row, nodes)
    found = evaluate(relaxation, row, exact)
    _, adam = optimize(relaxation, row, nodes, Ascent(200))
    closed = found.lower > found.error
    _, values = case.inner(points.astype(np.float64))
    (output,) = case.graph.outputs
    bad = values[output][:, 0] - float(case.claim.bad[0][0].bound)
    open_ = ~closed & (adam.lower > 0.01)  # multipliers have ten bits
    assert not open_.any()
    assert (np.abs(points) <= 1).all()
    assert not (closed & (bad > 1e-4) & (signs(case, relaxation, points) == nodes.phase).all(1)).any()


def signs(case, relaxation, points):
    inner, _ = case.inner(points.astype(np.float64))
    fold = relaxation.fold
    z = np.stack([inner[k][:, i] for k, i in zip(fold.layer, fold.index, strict=True)], 1)
    return np.where(z >= 0, 1, -1)


def test_open_nodes_keep_their_multipliers():
    case = setup(0, width=6, radius="1/2")
    relaxation, row, nodes = leaves(case, np.random.default_rng(0), 2)
    nodes.phase[0, 0] = 0
    exact, points = settle(relaxation, row, nodes)
    assert (exact.beta[0] == nodes.beta[0]).all()
    assert not points[0].any()


def contradictory(above):
    """A relaxation, a row, and nodes whose phases of the first layer have no point."""
    case = setup(0, width=6, radius="1/2", above=above)
    relaxation, row, nodes = leaves(case, np.random.default_rng(1), 1)
    fold = relaxation.fold
    first = np.flatnonzero(fold.layer == 0)
    empty = [p for p in np.ndindex(*(2,) * len(first)) if _empty(fold, first, 2 * np.array(p) - 1)]
    assert empty
    phase = np.repeat(nodes.phase, len(empty), 0)
    phase[:, first] = 2 * np.array(empty) - 1
    root = relaxation.root(len(empty))
    return relaxation, row, Nodes(root.alpha, root.beta, phase)


def test_phases_that_contradict_one_another_are_refuted():
    """Farkas: the phases alone say that there is no point."""
    relaxation, row, nodes = contradictory(-100.0)
    exact, _ = settle(relaxation, row, nodes)
    found = evaluate(relaxation, row, exact)
    assert (found.lower > found.error).mean() > 0.5


def test_long_ascents_see_that_phases_contradict_one_another():
    """Multipliers have to grow until the row counts for nothing."""
    relaxation, row, nodes = contradictory(-20.0)
    closed = []
    for ascent in (Ascent(THOROUGH.steps), THOROUGH):
        _, found = optimize(relaxation, row, nodes, ascent)
        closed.append((found.lower > found.error).mean())
    assert closed[0] < 0.1
    assert closed[1] > 0.5


def _empty(fold, first, phase):
    """Whether one pair of neurons says so: no corner or middle of the box has both."""
    rng = np.random.default_rng(0)
    t = np.concatenate([np.sign(rng.normal(size=(4000, fold.rows.t.shape[1]))), np.zeros((1, fold.rows.t.shape[1]))])
    z = t @ fold.rows.t[first].T + fold.rows.constant[first]
    return not (z * phase >= 0).all(1).any()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("off", [-1, 1])
def test_claims_close_to_the_truth_are_decided(seed, off):
    """The greatest output is found by bisection; Adam alone leaves claims a little beside it open."""
    low, high = 0.0, 2.0
    while high - low > 1 / 128:
        middle = (low + high) / 2
        low, high = (middle, high) if _verdict(seed, middle) == "falsified" else (low, middle)
    assert _verdict(seed, low + off / 64) == ("verified" if off > 0 else "falsified")


def _verdict(seed, above):
    case = setup(seed, inputs=14, width=5, depth=2, radius="1/2", above=above)
    with np.errstate(all="ignore"):
        for data in propose_phases(case.program, case.layers, case.claim, Search(), np.random.default_rng(0)):
            return kernel.check_with(case.program, case.claim.data, data).verdict
    return "unknown"
