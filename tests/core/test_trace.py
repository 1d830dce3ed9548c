import numpy as np
import pytest

from tlverify.core import Spec, apply_graph, bind, nn, ops, rename, run, trace
from tlverify.graph import GraphError, ShapeError, digest

MODEL = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
PARAMS = MODEL.init(np.random.default_rng(0))
X = np.random.default_rng(1).random((3, 4), "float32")


def double(x):
    return x * 2.0


def test_inputs_are_named_by_argument_and_path():
    graph = trace(MODEL, PARAMS, X).graph
    names = ["params.0.bias", "params.0.weight", "params.2.bias", "params.2.weight", "x"]
    assert [value.name for value in graph.inputs] == names


def test_inputs_of_a_function_with_any_number_of_arguments():
    graph = trace(lambda first, *rest: first + rest[0] + rest[1]["a"], X, X, {"a": X}).graph
    assert [value.name for value in graph.inputs] == ["first", "rest.0", "rest.1.a"]


def test_a_traced_function_keeps_the_trees_of_arguments_and_results():
    traced = trace(lambda p, x: {"sum": p["a"] + x, "pair": (x, p["b"])}, {"a": X, "b": X}, Spec((3, 4)))
    result = traced({"a": X, "b": -X}, X)
    assert list(result) == ["pair", "sum"]
    np.testing.assert_array_equal(result["sum"], X + X)
    np.testing.assert_array_equal(result["pair"][1], -X)


def test_tracing_twice_gives_the_same_graph():
    assert digest(trace(MODEL, PARAMS, X).graph) == digest(trace(MODEL, PARAMS, X).graph)


def test_a_batched_trace_agrees_with_the_trace_of_each_example():
    batched = trace(MODEL, PARAMS, X)(PARAMS, X)
    single = trace(MODEL, PARAMS, Spec((4,)))
    np.testing.assert_allclose(batched, [single(PARAMS, x) for x in X], rtol=1e-6, atol=1e-6)
    twice = np.stack([X, -X])
    np.testing.assert_allclose(trace(MODEL, PARAMS, twice)(PARAMS, twice)[0], batched, rtol=1e-6, atol=1e-6)


def test_a_function_may_give_back_inputs_and_constants():
    first, second = trace(lambda x: (x, np.float32([7])), X)(X)
    np.testing.assert_array_equal(first, X)
    assert second.tolist() == [7]


def test_bind_turns_inputs_into_parameters_and_renames():
    graph = trace(lambda a, b: a * 2.0 + b, Spec((4,)), Spec((4,))).graph
    bound = bind(graph, {"b": np.ones(4, "float32")}, {"b": "offset", "a": "x", graph.outputs[0]: "y"})
    assert [value.name for value in bound.inputs] == ["x"]
    assert "offset" in [p.name for p in bound.parameters]
    assert bound.outputs == ("y",)
    np.testing.assert_array_equal(run(bound, {"x": X[0]})[0], X[0] * 2 + 1)


def test_rename_can_swap_names():
    graph = trace(lambda a, b: a - b, Spec(()), Spec(())).graph
    swapped = rename(graph, {"a": "b", "b": "a"})
    assert run(swapped, {"a": np.float32(1), "b": np.float32(3)})[0] == 2


def test_a_graph_is_inlined_into_a_trace():
    graph = trace(double, Spec((3, 4))).graph
    outer = trace(lambda x: apply_graph(graph, ops.exp(x))[0], X)
    assert [node.op for node in outer.graph.nodes] == ["exp", "broadcast_to", "mul"]
    np.testing.assert_array_equal(outer(X), double(np.exp(X)))


def test_a_traced_function_called_on_tensors_is_inlined():
    inner = trace(double, Spec((3, 4)))
    outer = trace(lambda x: inner(inner(x)), X)
    np.testing.assert_array_equal(outer(X), 4 * X)


def test_a_tensor_of_an_enclosing_trace_is_captured():
    def outer(w, x):
        inner = trace(lambda v: v * w + w, x)
        assert [tensor.name for tensor in inner.captured] == ["w"]
        return inner(x)

    w = np.float32([1, 2, 3, 4])
    np.testing.assert_array_equal(trace(outer, w, X)(w, X), X * w + w)


BOUND = trace(double, Spec((4,))).graph


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: trace(double, "text"), GraphError, "argument 'x': expected an array of .*, found str"),
        (lambda: trace(double, np.ones(2, "float16")), GraphError, "found ndarray of dtype float16"),
        (lambda: trace(double, np.ones(2, ">f4")), GraphError, "found ndarray of dtype >f4"),
        (lambda: trace(lambda x: {"a": "text"}, X), ShapeError, r"constant: expected an array of .*, found str128\[\]"),
        (lambda: trace(double, X)(X, X), GraphError, r"arguments: expected \['0'\], found \['0', '1'\]"),
        (lambda: trace(double, X)(X[0]), ShapeError, r"input 'x': expected float32\[3, 4\], found float32\[4\]"),
        (lambda: bind(BOUND, {"z": X}), GraphError, "cannot bind 'z': the inputs are x"),
        (lambda: bind(BOUND, {"x": X}), ShapeError, r"input 'x': expected float32\[4\], found float32\[3, 4\]"),
        (lambda: rename(BOUND, {"z": "a"}), GraphError, "cannot rename 'z': the graph has no such value"),
        (lambda: rename(BOUND, {"x": "mul_0"}), GraphError, "value 'mul_0': expected a new, non-empty name"),
        (lambda: trace(lambda x: apply_graph(BOUND, x), X), ShapeError, r"input 'x': expected float32\[4\]"),
        (lambda: trace(lambda x: apply_graph(BOUND), X), GraphError, r"expected 1 inputs \(x\), found 0"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()
