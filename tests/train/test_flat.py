"""The work of an optimizer over all parameters at once: when there is such a chain, and what is left out of it."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import nn
from tlverify.core.rewrite import merged
from tlverify.train import optim
from tlverify.train.flat import chain_of
from tlverify.train.packed import Host, layout_of
from tlverify.train.trainer import Trainer
from tlverify.train.whole import whole_step

RNG = np.random.default_rng(0)
DENSE = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
X, Y = RNG.normal(size=(32, 6)).astype(np.float32), RNG.integers(0, 3, 32)


def chain(optimizer, model=DENSE):
    stepper = Trainer(model, optimizer=optimizer, execution="compiled").stepper(10)
    state = stepper.init(RNG)
    layout = layout_of(state, Host())
    given = stepper._arguments(0, 0, 0.0, (X, Y))
    whole = whole_step(stepper._gradient, optimizer.update, layout, state, given)
    graph = merged(whole.graph)
    return chain_of(whole, graph, layout, layout.tree.children[0].size), graph


@pytest.mark.parametrize(
    ("optimizer", "trees", "steps"),
    [
        (optim.SGD(0.1), 1, 2),
        (optim.SGD(0.1, momentum=0.9), 2, 4),
        (optim.Adam(0.01), 3, 14),
        (optim.Clipped(optim.Adam(0.01), optim.ClipValue(0.1)), 3, 16),
    ],
)
def test_one_chain_for_all_parameters(optimizer, trees, steps):
    found, graph = chain(optimizer)
    assert len(found.new) == trees
    assert len(found.nodes) <= steps
    assert [len(lanes) for lanes in found.outer.values()] == [4]
    assert len(found.done) == 4 * trees
    rest = {n for node in graph.nodes if node.name not in found.merged for n in node.inputs}
    assert rest.isdisjoint(found.merged)


def test_what_is_read_elsewhere_is_not_in_the_chain():
    found, _ = chain(optim.Clipped(optim.Adam(0.01), optim.ClipNorm(0.1)))
    assert len(found.new) == 3
    assert len(found.numbers) >= 5  # the norm is one of them


def test_parameters_that_are_treated_apart_have_only_the_end_in_common():
    found, _ = chain(optim.Groups(optim.Adam(0.01), {"*.bias": optim.SGD(0.1)}))
    assert [node.op for node in found.nodes] == ["sub"]
    frozen, _ = chain(optim.Groups(optim.SGD(0.01), {"*.bias": optim.Frozen()}))
    assert frozen is None
    single, _ = chain(optim.SGD(0.1), nn.Sequential(nn.Linear(6, 3, bias=False)))
    assert single is None
