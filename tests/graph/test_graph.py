from types import MappingProxyType

import numpy as np
import pytest

from tlverify.graph import Graph, GraphError, Input, Node, Parameter, ShapeError, Type

X = Input("x", (3,), "float32")
RELU = Node("y", "relu", ("x",), (3,), "float32")


def graph(inputs=(X,), parameters=(), nodes=(RELU,), outputs=("y",)):
    return Graph(tuple(inputs), tuple(parameters), tuple(nodes), tuple(outputs))


@pytest.mark.parametrize(
    ("parts", "error", "reason"),
    [
        ({"inputs": [X, X]}, GraphError, "value 'x': expected a new, non-empty name"),
        ({"inputs": [X, Input("", (), "float32")]}, GraphError, "value '': expected a new, non-empty name"),
        ({"inputs": [Input("x", (3,), "float16")]}, GraphError, r"value 'x': float16\[3\] is not a known dtype"),
        ({"inputs": [Input("x", (-3,), "float32")]}, GraphError, r"float32\[-3\] is not a known dtype and shape"),
        ({"parameters": [Parameter("x", np.ones(2))]}, GraphError, "value 'x': expected a new, non-empty name"),
        ({"nodes": [RELU, RELU]}, GraphError, "value 'y': expected a new"),
        ({"inputs": []}, GraphError, "node 'y' uses 'x' before it is bound"),
        (
            {"nodes": [Node("y", "relu", ("z",), (3,), "float32"), Node("z", "relu", ("x",), (3,), "float32")]},
            GraphError,
            "node 'y' uses 'z' before it is bound",
        ),
        ({"nodes": [Node("y", "relu", ("y",), (3,), "float32")]}, GraphError, "node 'y' uses 'y' before"),
        ({"nodes": [Node("y", "gelu", ("x",), (3,), "float32")]}, ShapeError, "node 'y': unknown op 'gelu'"),
        (
            {"nodes": [Node("y", "relu", ("x",), (4,), "float32")]},
            ShapeError,
            r"node 'y': declared float32\[4\], its op gives float32\[3\]",
        ),
        (
            {"nodes": [Node("y", "relu", ("x",), (3,), "float64")]},
            ShapeError,
            r"node 'y': declared float64\[3\], its op gives float32\[3\]",
        ),
        ({"nodes": [Node("y", "add", ("x",), (3,), "float32")]}, ShapeError, "node 'y': add: expected 2 inputs"),
        ({"outputs": []}, GraphError, r"outputs \[\]: expected one or more bound names"),
        ({"outputs": ["y", "z"]}, GraphError, r"outputs \['y', 'z'\]: expected one or more bound names"),
    ],
)
def test_a_graph_that_breaks_a_rule_is_refused(parts, error, reason):
    with pytest.raises(error, match=reason):
        graph(**parts)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.arange(12, dtype="float32").reshape(2, 6)[:, ::2] / 2,
        np.arange(6, dtype="float32").reshape(3, 2).T,
        np.array(1.5),
        np.zeros((0, 3)),
    ],
)
def test_parameters_are_contiguous_little_endian_and_read_only(array):
    data = Parameter("w", array).data
    assert data.flags.c_contiguous
    assert data.dtype == array.dtype.newbyteorder("<")
    np.testing.assert_array_equal(data, array)
    with pytest.raises(ValueError, match="read-only"):
        data[...] = 0


def test_a_parameter_does_not_follow_the_array_it_was_made_from():
    array = np.ones(3)
    parameter = Parameter("w", array)
    array[:] = 2
    assert parameter.data.tolist() == [1, 1, 1]


@pytest.mark.parametrize("array", [np.float16([1]), np.int32([1]), np.array(["a"]), np.array([None])])
def test_parameters_have_a_known_dtype(array):
    with pytest.raises(GraphError, match="parameter 'w': expected dtype float32, float64, int64, bool, found"):
        Parameter("w", array)


def test_types_count_and_text():
    weight = Parameter("w", np.ones((2, 3), "float32"))
    total = Node("t", "sum", ("y",), (), "float32", MappingProxyType({"axes": (0,), "keepdims": 0}))
    result = graph(parameters=[weight], nodes=[RELU, total], outputs=["t", "y"])
    assert result.types["w"] == Type((2, 3), "float32")
    assert result.parameter_count == 6
    assert str(result).splitlines() == [
        "graph(x: float32[3]) -> t, y",
        "  parameter w: float32[2, 3]",
        "  y: float32[3] = relu(x)",
        "  t: float32[] = sum(y, axes=(0,), keepdims=0)",
    ]
