"""Halving boxes: certificates that all arithmetics accept, and counterexamples where there are any."""

import math
from fractions import Fraction
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import Inequality, box, certify, kernel, prove
from tlverify.certify.audit import check_all, suited
from tlverify.certify.search import machine_code
from tlverify.certify.search.input_split import propose_boxes
from tlverify.certify.search.layers import layers_of
from tlverify.certify.search.phases import Search
from tlverify.core import run
from tlverify.graph import GraphBuilder, Type, to_bytes


@pytest.fixture(autouse=True, params=["NumPy", "machine code"])
def engine(request, monkeypatch):
    """Both engines; the second one is for chains of layers only."""
    if request.param == "NumPy":
        monkeypatch.setattr(machine_code, "installed", lambda: False)
    else:
        pytest.importorskip("numba")
        monkeypatch.setattr(machine_code, "made", lambda name: True)
    return request.param


def net(*sizes, seed=0, residual=False):
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    value = builder.input("x", Type((sizes[0],), "float32"))
    for layer, (m, n) in enumerate(pairwise(sizes)):
        weight = (rng.standard_normal((n, m)) * math.sqrt(2 / m)).astype("float32")
        bias = (rng.standard_normal(n) * 0.2).astype("float32")
        before = value
        value = builder.node("linear", value, builder.parameter(weight), builder.parameter(bias))
        if layer < len(sizes) - 2:
            value = builder.node("relu", value)
            if residual and m == n:
                value = builder.node("add", value, before)
    return builder.build(value)


def extremes(graph, count=4000):
    """Least and largest of the first output over many points of [-1, 1]^n."""
    size = graph.inputs[0].shape[0]
    points = np.random.default_rng(1).uniform(-1, 1, (count, size)).astype("float32")
    values = np.array([run(graph, [point])[0][0] for point in points[:400]])
    return float(values.min()), float(values.max())


def at_least(graph, bound, index=0, sign=1):
    return Inequality(((graph.outputs[0], index, Fraction(sign)),), Fraction(bound))


def claim(graph, *disjuncts):
    size = graph.inputs[0].shape[0]
    return box(graph, {"x": ([-1] * size, [1] * size)}, [list(disjunct) for disjunct in disjuncts])


def proposed(graph, statement, seconds=60.0, seed=0):
    program = kernel.read_program(*to_bytes(graph))
    search = Search()
    proposals = propose_boxes(program, layers_of(program), statement, search, np.random.default_rng(seed))
    found = list(islice(proposals, 1))
    return program, found, search


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_arithmetic_accepts_the_tree(seed, residual):
    graph = net(2, 8, 8, 2, seed=seed, residual=residual)
    top = extremes(graph)[1]
    # also a conjunction that needs its rows together, and a second disjunct
    statement = claim(graph, [at_least(graph, top + 0.5), at_least(graph, -(10**6), 1)], [at_least(graph, 10**6, 1)])
    program, found, search = proposed(graph, statement)
    assert search.leaves >= 1
    answers = check_all(program, statement.data, found[-1])
    by_name = {one.arithmetic: one.verdict for one in answers}
    assert by_name["exact"] == by_name["fast"] == by_name["interval"] == "verified"


def test_conjunctions_are_refuted_together():
    graph = net(2, 6, 2, seed=4)
    out = graph.outputs[0]
    together = [
        Inequality(((out, 0, Fraction(1)), (out, 1, Fraction(-1))), Fraction(1, 10)),
        Inequality(((out, 0, Fraction(-1)), (out, 1, Fraction(1))), Fraction(1, 10)),
    ]  # y0 - y1 >= 0.1 and y1 - y0 >= 0.1
    _, found, search = proposed(graph, claim(graph, together))
    assert len(found) == 1
    assert search.leaves == 1


@given(seed=st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_verdicts_on_both_sides_of_what_is_reached(seed):
    graph = net(3, 6, 6, 1, seed=seed)
    top = extremes(graph)[1]
    (result,) = certify(graph, [claim(graph, [at_least(graph, top - Fraction(1, 1024))])], seed=seed)
    assert result.verdict == "falsified"
    assert result.witness is not None
    (result,) = certify(graph, [claim(graph, [at_least(graph, 3 * abs(top) + 10)])], seed=seed)
    assert result.verdict == "verified"
    assert result.arithmetic in ("exact", "interval")


@pytest.mark.parametrize("few", [0, 99])
def test_multipliers_are_of_the_inequality_as_the_kernel_scales_it(few, monkeypatch):
    """A bound of p / 21 is scaled by 21 beside the phases of the path: what is proposed is accepted."""
    monkeypatch.setattr(prove, "FEW_INPUTS", few)
    monkeypatch.setattr(prove, "prepare", lambda graph: None)
    monkeypatch.setattr(prove, "supported", lambda graph: False)
    graph = net(3, 8, 8, 1, seed=3)
    bound = Fraction(round(21 * extremes(graph)[1]) + (30 if few else 60), 21)
    (result,) = certify(graph, [claim(graph, [at_least(graph, bound)])])
    assert "rejected" not in result.reason
    assert result.verdict == "verified"
    assert result.stats["leaves"] > 1


def test_same_seed_same_certificate():
    graph = net(2, 8, 8, 1, seed=2)
    statement = claim(graph, [at_least(graph, extremes(graph)[1] + 0.3)])
    assert proposed(graph, statement)[1] == proposed(graph, statement)[1]


def test_time_that_is_over_is_unknown():
    graph = net(5, 40, 40, 40, 1, seed=0)
    (result,) = certify(graph, [claim(graph, [at_least(graph, extremes(graph)[1] + 1e-3)])], timeout=0.0)
    assert result.verdict == "unknown"
    assert result.reason.startswith("timeout after 0 s")


def test_a_bound_that_is_attained_ends_the_search():
    """relu(x) >= 0 is bad everywhere below 0: nothing is left to halve."""
    builder = GraphBuilder()
    value = builder.input("x", Type((1,), "float32"))
    one, zero = builder.parameter(np.ones((1, 1), "float32")), builder.parameter(np.zeros(1, "float32"))
    graph = builder.build(builder.node("relu", builder.node("linear", value, one, zero)))
    third = Fraction(1, 3)  # no float is there, so there is no witness
    statement = box(graph, {"x": ([-third], [-third])}, [[at_least(graph, 0)]])
    (result,) = certify(graph, [statement])
    assert result.verdict == "unknown"
    assert "no proof and no counterexample found" in result.reason


def test_a_tree_whose_nodes_bound_again_is_for_interval():
    graph = net(2, 8, 8, 1, seed=2)
    statement = claim(graph, [at_least(graph, extremes(graph)[1] + 0.3)])
    program, found, _ = proposed(graph, statement)
    assert suited(program, found[-1]) == "interval"
    assert suited(program, b"nonsense") == "exact"
