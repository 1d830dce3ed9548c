"""Graphs run in a chosen order: equal to NumPy where the order is the same, near it where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.binary32.executions import ORDERS, executions, perceptron
from tlverify.core import Spec, ops, run, trace
from tlverify.core.binary32 import Binary32Error, Execution, Mode, Order, affine_error, run_binary32
from tlverify.graph import GraphBuilder, GraphError, ShapeError, Type

RNG = np.random.default_rng(3)


def test_layers_of_a_network_stay_within_the_bound_of_numpy():
    """Layer by layer: NumPy's own product and each execution differ by at most twice the bound."""
    _, weights = perceptron(4, 784, 256, 256, 10)
    x = RNG.random(784, dtype=np.float32)
    for weight, bias in weights:
        builder = GraphBuilder()
        value = builder.input("x", Type(x.shape, "float32"))
        graph = builder.build(builder.node("linear", value, builder.parameter(weight), builder.parameter(bias)))
        (machine,), bound = run(graph, [x]), affine_error(weight, bias, np.abs(x))
        exact = weight.astype(np.float64) @ x.astype(np.float64) + bias
        assert (abs(machine - exact) <= bound).all()
        for order in ORDERS:
            (found,) = run_binary32(graph, [x], Execution(order))
            assert (abs(found - exact) <= bound).all()
        x = np.maximum(machine, 0)


def test_a_network_runs_in_every_execution():
    graph, _ = perceptron(5, 20, 30, 5)
    x = RNG.random(20, dtype=np.float32)
    outputs = [run_binary32(graph, [x], execution)[0] for execution in executions()]
    assert len({output.tobytes() for output in outputs}) > 3
    np.testing.assert_allclose(outputs, np.broadcast_to(run(graph, {"x": x})[0], (len(outputs), 5)), rtol=1e-4)


@pytest.mark.parametrize(
    ("fn", "shapes"),
    [
        (lambda x, y: x @ y, [(2, 3, 4), (2, 4, 5)]),
        (lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1), [(2, 4, 7, 6), (6, 4, 3, 3), (6,)]),
        (lambda x, w, b: ops.conv2d(x, w, b, groups=2), [(4, 5, 5), (6, 2, 3, 3), (6,)]),
        (lambda x: ops.avg_pool2d(x, 2), [(3, 6, 6)]),
        (lambda x: ops.max_pool2d(ops.relu(x), 2), [(3, 6, 6)]),
        (lambda x: ops.sum(x, axes=(0, 2)), [(3, 4, 5)]),
        (lambda x, y: ops.abs(x - y) / (y * y + 3.0), [(4,), (4,)]),
    ],
)
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_ops_agree_with_numpy_up_to_rounding(fn, shapes, order):
    graph = trace(fn, *[Spec(shape) for shape in shapes]).graph
    inputs = [RNG.standard_normal(shape).astype(np.float32) for shape in shapes]
    for fma in (False, True):
        (found,) = run_binary32(graph, inputs, Execution(order, fma))
        np.testing.assert_allclose(found, run(graph, inputs)[0], rtol=1e-5, atol=1e-5)
        assert found.dtype == np.float32


def test_sequential_is_a_loop():
    graph, [(weight, bias)] = perceptron(6, 40, 3)
    x = RNG.standard_normal(40).astype(np.float32)
    total = np.zeros(3, np.float32)
    for i in range(40):
        total = total + weight[:, i] * x[i]
    assert run_binary32(graph, [x])[0].tolist() == (total + bias).tolist()


X = np.zeros(2, np.float32)
SMALL = perceptron(7, 2, 2)[0]


@pytest.mark.parametrize(
    ("call", "error", "reason"),
    [
        (lambda: run_binary32(SMALL, [X, X]), GraphError, r"expected inputs \['x'\], found 2"),
        (lambda: run_binary32(SMALL, {"y": X}), GraphError, r"found \['y'\]"),
        (lambda: run_binary32(SMALL, [X.astype(float)]), ShapeError, "expected float32.2., found float64"),
        (lambda: run_binary32(trace(ops.exp, Spec((2,))).graph, [X]), Binary32Error, "exp .* has no float32 rule"),
        (lambda: Order("tree"), Binary32Error, "expected one of sequential, pairwise, blocked, found 'tree'"),
        (lambda: Order(block=0), Binary32Error, "a block of 1 or more terms, found 0"),
        (lambda: Execution(bias="middle"), Binary32Error, "expected first or last, found 'middle'"),
        (lambda: Mode("even"), Binary32Error, "rounding: expected"),
    ],
)
def test_what_does_not_run_is_refused(call, error, reason):
    with pytest.raises(error, match=reason):
        call()
