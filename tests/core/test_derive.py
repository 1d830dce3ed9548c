import numpy as np
import pytest

from tlverify.core import Spec, nn, ops, run, trace, vjp_graph
from tlverify.graph import GraphError


def test_work_that_no_derivative_needs_is_left_out():
    def fn(w, x):
        return ops.sum(w * ops.exp(ops.exp(x)))

    graph = vjp_graph(trace(fn, Spec((3,)), Spec((3,))).graph, ["w"])
    assert [node.op for node in graph.nodes].count("exp") == 2
    by_constant = vjp_graph(trace(lambda x: ops.sum(x * 3.0), Spec((3,))).graph, ["x"])
    assert [value.name for value in by_constant.inputs] == ["x", "cotangent.sum_0"]
    assert "sum" not in [node.op for node in by_constant.nodes]


def test_vjp_graph_by_inputs_and_parameters():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    params = model.init(np.random.default_rng(0))
    graph = nn.export_graph(model, params, (3,))
    derivative = vjp_graph(graph, ["x", "2.weight"])
    x, g = np.float32([1, -2, 3]), np.float32([1, 10])
    by_x, by_weight = run(derivative, {"x": x, "cotangent.y": g})
    hidden = np.maximum(params["0"]["weight"] @ x + params["0"]["bias"], 0)
    np.testing.assert_allclose(by_weight, np.outer(g, hidden), rtol=1e-6)
    expected = ((g @ params["2"]["weight"]) * (hidden > 0)) @ params["0"]["weight"]
    np.testing.assert_allclose(by_x, expected, rtol=1e-6)


def test_vjp_graph_of_a_vjp_graph():
    graph = trace(lambda x: ops.exp(x), Spec((), "float64")).graph
    second = vjp_graph(vjp_graph(graph, ["x"]), ["x"])
    values = {value.name: np.array(1.0) for value in second.inputs}
    assert len(values) == 3
    np.testing.assert_allclose(run(second, values)[0], np.e)


def test_wrt_names_inputs_or_parameters():
    graph = trace(lambda x: ops.exp(x * 2.0), Spec(())).graph
    with pytest.raises(GraphError, match="wrt 'mul_0': expected inputs or parameters, x, constant_0"):
        vjp_graph(graph, ["mul_0"])
