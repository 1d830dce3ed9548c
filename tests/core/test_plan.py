import gc
import weakref

import numpy as np

from tlverify.core import Spec, grad, jit, ops, plan, run, trace
from tlverify.graph import GraphBuilder, Type

X = np.float32([1, 2, 3])


def test_values_are_freed_after_their_last_use(monkeypatch):
    made, most = [], []

    class Counted(np.ndarray):
        pass

    def counted_exp(x):
        result = np.exp(x).view(Counted)
        made.append(weakref.ref(result))
        most.append(sum(reference() is not None for reference in made))
        return result

    def chain(x):
        for _ in range(6):
            x = ops.exp(x * 0.0)
        return x

    monkeypatch.setattr(plan, "FORWARD", {**plan.FORWARD, "exp": counted_exp})
    gc.collect()
    run(trace(chain, Spec((3,))).graph, [X])
    assert max(most) == 1


def test_what_depends_on_parameters_only_is_computed_once(monkeypatch):
    calls = []
    monkeypatch.setattr(plan, "FORWARD", {**plan.FORWARD, "exp": lambda x: calls.append(x) or np.exp(x)})
    builder = GraphBuilder()
    x = builder.input("x", Type((3,), "float32"))
    graph = builder.build(builder.node("add", x, builder.node("exp", builder.parameter(X))))
    first, second = run(graph, [X]), run(graph, [X])
    assert len(calls) == 1
    np.testing.assert_array_equal(first, second)


def test_plans_do_not_keep_graphs_alive():
    graph = trace(lambda x: x + x, Spec((3,))).graph
    run(graph, [X])
    reference = weakref.ref(graph)
    del graph
    gc.collect()
    assert reference() is None


def test_an_elementwise_step_broadcasts_by_itself():
    def fn(x, row, column):
        return x * row + ops.where(column > 0.0, column, row) / 2.0

    shapes = [(4, 3), (3,), (4, 1)]
    graph = trace(fn, *map(Spec, shapes)).graph
    assert [node.op for node in graph.nodes].count("broadcast_to") == 6
    functions = [step[0] for step in plan.plan_for(graph, np).steps]
    assert functions == [np.multiply, np.greater, np.where, np.true_divide, np.add]
    values = [np.random.default_rng(0).normal(size=shape).astype("float32") for shape in shapes]
    np.testing.assert_array_equal(run(graph, values), run(graph, values, check=True))


def test_a_broadcast_stays_where_its_shape_is_needed():
    graph = trace(lambda x: ops.square(ops.broadcast_to(x, (2, 3))), Spec((3,))).graph
    assert len(plan.plan_for(graph, np).steps) == 2
    assert run(graph, [X])[0].tolist() == [[1, 4, 9], [1, 4, 9]]


def test_equal_steps_run_once(monkeypatch):
    calls = []
    monkeypatch.setattr(plan, "FORWARD", {**plan.FORWARD, "exp": lambda x: calls.append(x) or np.exp(x)})
    given = np.float32([-1, np.nan, np.inf])
    traced = trace(lambda x: (ops.exp(x), ops.exp(x) * 2.0, ops.exp(x) * 3.0, ops.exp(-x)), Spec((3,)))
    found = run(traced.graph, [given])
    assert len(calls) == 2
    usual = np.exp(given)
    for value, expected in zip(found, (usual, usual * 2, usual * 3, np.exp(-given)), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_steps_that_differ_by_attributes_stay():
    traced = trace(lambda x: (ops.sum(x, 0), ops.sum(x, 1)), Spec((2, 2)))
    first, second = run(traced.graph, [np.float32([[1, 2], [3, 4]])])
    np.testing.assert_array_equal(first, [4, 6])
    np.testing.assert_array_equal(second, [3, 7])


def test_a_caller_may_change_what_depends_on_no_input():
    slope = grad(lambda x: ops.sum(x * 2.0 + x @ np.ones((3, 3))))
    found = slope(np.ones((2, 3)))
    found *= 10
    np.testing.assert_array_equal(slope(np.ones((2, 3))), np.full((2, 3), 5.0))
    constant = jit(lambda x: (ops.sum(x), np.ones(2), ops.sum(np.ones(2))), "compiled")
    for place in (1, 2):
        constant(X)[place][...] = 7
    np.testing.assert_array_equal(constant(X)[1], np.ones(2))
    assert constant(X)[2] == 2
