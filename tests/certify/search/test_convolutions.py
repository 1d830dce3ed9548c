"""Networks whose matrices are sparse: the search keeps them so, and what it proposes is accepted."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from tlverify.certify import Inequality, box, kernel
from tlverify.certify.fast import fast
from tlverify.certify.search import layers as module
from tlverify.certify.search import phases
from tlverify.certify.search.layers import forward, gradient, layers_of
from tlverify.certify.search.matrices import Sparse
from tlverify.certify.search.phases import propose_phases
from tlverify.certify.search.progress import Search
from tlverify.core.interpreter import run
from tlverify.graph import GraphBuilder, Type, to_bytes

SIDE = 20


@cache
def network(pool: str):
    """Two convolutions, pooling between them, three outputs."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder()

    def conv(x, old, new, stride):
        weight, bias = rng.normal(size=(new, old, 3, 3)) / 3 / np.sqrt(old), rng.normal(size=new) / 8
        parameters = [builder.parameter(part.astype("float32")) for part in (weight, bias)]
        options = {"stride": (stride, stride), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
        return builder.node("conv2d", x, *parameters, **options)

    x = builder.node("relu", conv(builder.input("x", Type((1, SIDE, SIDE), "float32")), 1, 4, 1))
    options = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0)}
    if pool == "avg_pool2d":
        x = builder.node(pool, x, count_include_pad=0, **options)
    elif pool == "max_pool2d":
        x = builder.node(pool, x, dilation=(1, 1), **options)
    x = builder.node("relu", conv(x, 4, 6, 2))
    size = 6 * (SIDE // (4 if pool else 2)) ** 2
    x = builder.node("reshape", x, shape=(size,))
    weight = builder.parameter((rng.normal(size=(3, size)) / np.sqrt(size)).astype("float32"))
    return builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(3, "float32"))))


def claim(graph, above, radius=Fraction(1, 50)):
    """No output exceeds its value at the center by `above`, in a ball."""
    rng = np.random.default_rng(0)
    center = [Fraction(int(v), 32) for v in rng.integers(0, 33, SIDE * SIDE)]
    layers = layers_of(kernel.read_program(*to_bytes(graph)))
    (output,) = graph.outputs
    values = forward(layers, np.array([[float(v) for v in center]]))[1][output][0]
    bad = [[Inequality(((output, k, Fraction(1)),), Fraction(float(v + above)))] for k, v in enumerate(values)]
    return box(graph, {"x": ([c - radius for c in center], [c + radius for c in center])}, bad)


@pytest.mark.parametrize("pool", ["", "avg_pool2d", "max_pool2d"])
def test_values_and_gradients_are_those_of_the_graph(pool):
    graph = network(pool)
    layers = layers_of(kernel.read_program(*to_bytes(graph)))
    assert layers.local
    assert any(isinstance(m, Sparse) for layer in layers.layers for m in layer.form.parts.values())
    rng = np.random.default_rng(0)
    points, direction = rng.normal(size=(2, 3, SIDE * SIDE))
    inner, values = forward(layers, points)
    (output,) = graph.outputs
    for point, value in zip(points, values[output], strict=True):
        (found,) = run(graph, [point.reshape(1, SIDE, SIDE).astype("float32")])
        np.testing.assert_allclose(np.asarray(found), value, rtol=1e-3, atol=1e-4)
    row = rng.normal(size=(3, 3))
    slope = (gradient(layers, inner, {output: row}) * direction).sum(1)
    ends = [(forward(layers, points + s * direction)[1][output] * row).sum(1) for s in (1e-6, -1e-6)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("pool", ["", "avg_pool2d", "max_pool2d"])
@pytest.mark.parametrize(("above", "verdict"), [(0.5, "verified"), (0.2, None), (0.02, "falsified")])
def test_proposals_are_accepted(pool, above, verdict):
    graph = network(pool)
    program = kernel.read_program(*to_bytes(graph))
    statement = claim(graph, above)
    search = Search()
    found = next(propose_phases(program, layers_of(program), statement, search, np.random.default_rng(0)))
    accepted = kernel.check_with(program, statement.data, found, fast()).verdict
    assert accepted == (verdict or accepted)


def test_intervals_may_be_enough(monkeypatch):
    monkeypatch.setattr(phases, "MANY", 0)
    graph = network("max_pool2d")
    program = kernel.read_program(*to_bytes(graph))
    statement = claim(graph, 0.9)
    search = Search()
    found = next(propose_phases(program, layers_of(program), statement, search, np.random.default_rng(0)))
    assert kernel.check_with(program, statement.data, found, fast()).verdict == "verified"
    assert search.log[0].startswith("intervals")


def test_nothing_dense_is_made_of_a_convolution(monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 70_000)
    layers_of(kernel.read_program(*to_bytes(network("avg_pool2d"))))
