import numpy as np
import pytest

from tlverify.core import nn, ops, run
from tlverify.graph import GraphError, ShapeError, digest

MODEL = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
PARAMS = MODEL.init(np.random.default_rng(0))


def test_the_exported_graph_is_the_model_on_one_example():
    graph = nn.export_graph(MODEL, PARAMS, (2, 2))
    assert [(value.name, value.shape) for value in graph.inputs] == [("x", (2, 2))]
    assert graph.outputs == ("y",)
    assert sorted(p.name for p in graph.parameters) == ["1.bias", "1.weight", "3.bias", "3.weight"]
    assert [node.op for node in graph.nodes] == ["reshape", "linear", "relu", "linear"]
    x = np.random.default_rng(1).random((2, 2), "float32")
    np.testing.assert_array_equal(run(graph, [x])[0], MODEL(PARAMS, x))


def test_export_does_not_depend_on_the_layout_of_parameters():
    turned = {key: {name: np.asfortranarray(a) for name, a in layer.items()} for key, layer in PARAMS.items()}
    assert digest(nn.export_graph(MODEL, PARAMS, (2, 2))) == digest(nn.export_graph(MODEL, turned, (2, 2)))


def test_a_plain_function_and_a_single_array_of_parameters():
    graph = nn.export_graph(lambda w, v: ops.sum(w * v * 2.0), np.ones(3), (3,), "float64")
    assert {p.name for p in graph.parameters} == {"params", "constant_0"}
    assert run(graph, {"x": np.arange(3.0)})[0] == 6


@pytest.mark.parametrize("model", [nn.Sequential(), lambda params, x: x, nn.Sequential(nn.Flatten(-1))])
def test_a_model_that_changes_nothing_has_an_output_node(model):
    graph = nn.export_graph(model, {}, (3,))
    assert graph.outputs == ("y",)
    assert run(graph, [np.float32([1, 2, 3])])[0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: nn.export_graph(MODEL, PARAMS, (3, 2)), ShapeError, r"layer 1 Linear\(4, 3\) expects 4 features"),
        (
            lambda: nn.export_graph(lambda p, x: p["y"] * x, {"y": np.float32(1)}, (2,)),
            GraphError,
            "parameter 'y': choose another name",
        ),
        (lambda: nn.export_graph(lambda p, x: (x, x), {}, (2,)), GraphError, "expected one Tensor .*, found tuple"),
        (lambda: nn.export_graph(MODEL, PARAMS, (2, 2), "float64"), ShapeError, "float64.*float32.*cast"),
        (lambda: nn.summary(lambda p, x: x, (2,)), GraphError, "summary: expected a layer or Sequential"),
        (lambda: nn.summary(MODEL, (3, 2)), ShapeError, r"expects 4 features, but layer 0 Flatten\(-2\) gives \[6\]"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()


def test_summary():
    assert nn.summary(MODEL, (2, 2)).splitlines() == [
        "   input         [2, 2]",
        "0  Flatten(-2)   [4]",
        "1  Linear(4, 3)  [3]     15",
        "2  ReLU          [3]",
        "3  Linear(3, 2)  [2]      8",
        "   total                 23",
    ]
