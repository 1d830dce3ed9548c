"""The search's bounds in floating point are the kernel's, up to rounding."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import box, kernel
from tlverify.certify.kernel.backward import Job, propagate
from tlverify.certify.kernel.rules import RULES
from tlverify.certify.search.bounds import (
    BACKWARD,
    FORWARD,
    backward,
    interval_step,
    prepare,
    relaxation,
    root_table,
    unstable,
)
from tlverify.certify.search.problem import build
from tlverify.graph import to_bytes

from ..examples import random_box, random_claim, random_graph
from ..kernel.laws import fractions, load
from ..kernel.laws import table as interval_table

TABLE_FAMILIES = ("normal", "duplicate", "cancelling")
DYADIC = {"widths": (Fraction(1, 64), Fraction(1, 4), Fraction(2)), "steps": (8,)}


def setup(family: str, seed: int):
    """A graph, the search's table for one box, and the kernel's program and bounds after one interval step."""
    rng = random.Random(f"{family} {seed}")
    graph = random_graph(rng, family)
    claim = box(graph, random_box(rng, graph, **DYADIC), random_claim(rng, graph, Fraction(0)).bad)
    network = prepare(graph)
    problem = build(network, [claim])
    table = root_table(network, problem.lower, problem.upper)
    trusted = kernel.read_program(*to_bytes(graph))
    boxes = {name: kernel.claim.Box(claim.lower[name], claim.upper[name], "").enclosure() for name in claim.lower}
    return rng, graph, network, table, trusted, interval_table(load(), trusted, boxes)


@pytest.mark.parametrize("family", TABLE_FAMILIES)
def test_intervals_agree(family):
    for seed in range(6):
        _, graph, _, table, _, known = setup(family, seed)
        for node in graph.nodes:
            bounds = known[node.name]
            scale = np.abs([table.lower[node.name], table.upper[node.name]]).max() + 1e-30
            for mine, theirs in ((table.lower, bounds.lower), (table.upper, bounds.upper)):
                exact = [float(v) for v in fractions(theirs, bounds.exponent)]
                np.testing.assert_allclose(mine[node.name][0], exact, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("family", ["normal", "duplicate"])
def test_crown_agrees(family):
    """Backward bounds of rows of the output, with default and with given slopes, relative to all that is added up."""
    for seed in range(8):
        rng, graph, network, table, trusted, known = setup(family, seed)
        output = graph.outputs[0]
        size = network.sizes[output]
        row = [rng.randrange(-(1 << 22), 1 << 22) for _ in range(size)]
        chosen = {
            node.name: [
                rng.randrange(129) if loose else round(128 * float(adaptive))
                for loose, adaptive in zip(unstable(table, node)[0], relaxation(table, node)[1][0], strict=True)
            ]
            for node in network.piecewise
        }
        for given in ({}, chosen):
            slopes = {name: np.array(value)[None, None, :] / 128 for name, value in given.items()}
            found, rows = backward(
                network, table, {output: np.array(row, float)[None, None, :]}, np.zeros((1, 1)), slopes or None
            )
            job = Job(
                {output: dict(enumerate(row))}, 0, (0, 0), {n: dict(enumerate(value)) for n, value in given.items()}
            )
            bound = propagate(trusted, known, job)
            theirs = float(fractions(bound[:1], bound[1])[0])
            scale = sum(
                (np.abs(part[0, 0]) * np.maximum(np.abs(table.lower[name][0]), np.abs(table.upper[name][0]))).sum()
                for name, part in rows.seen.items()
            )
            assert abs(found[0, 0] - theirs) <= 1e-6 * scale


def test_default_slopes_are_the_adaptive_ones():
    for seed in range(8):
        rng, graph, network, table, *_ = setup("normal", seed)
        output = graph.outputs[0]
        start = {output: np.array([[[rng.gauss(0, 1) for _ in range(network.sizes[output])]]])}
        default = backward(network, table, start, np.zeros((1, 1)))[0]
        wide = {
            n.name: (-table.lower[n.inputs[0]] < table.upper[n.inputs[0]])[:, None, :] * 1.0 for n in network.piecewise
        }
        np.testing.assert_array_equal(default, backward(network, table, start, np.zeros((1, 1)), wide)[0])


def test_interval_step_keeps_what_is_tighter():
    _, graph, network, table, *_ = setup("normal", 3)
    name = graph.nodes[0].name
    middle = (table.lower[name] + table.upper[name]) / 2
    table.lower[name] = middle
    interval_step(network, table, [name])
    np.testing.assert_array_equal(table.lower[name], middle)


def test_every_op_of_the_search_has_both_rules_and_is_known_to_the_kernel():
    assert FORWARD.keys() == BACKWARD.keys()
    assert FORWARD.keys() <= RULES.keys()
