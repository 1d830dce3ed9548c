import numpy as np
import pytest

from tlverify.core import NonFiniteError, Spec, ops, run, trace
from tlverify.graph import GraphError, ShapeError

X = np.float32([1, 2, 3])
SQUARES = trace(lambda x, y: x * x + y, Spec((3,)), Spec((3,))).graph


def test_inputs_by_position_and_by_name():
    expected = (X * X + 1).tolist()
    assert run(SQUARES, [X, np.ones_like(X)])[0].tolist() == expected
    assert run(SQUARES, {"y": np.ones_like(X), "x": X})[0].tolist() == expected


@pytest.mark.parametrize(
    ("inputs", "error", "reason"),
    [
        ([X], GraphError, r"expected 2 inputs \(x, y\), found 1"),
        ({"x": X, "z": X}, GraphError, r"expected inputs \['x', 'y'\], found \['x', 'z'\]"),
        ([X, X[:2]], ShapeError, r"input 'y': expected float32\[3\], found float32\[2\]"),
        ([X, X.astype("float64")], ShapeError, r"input 'y': expected float32\[3\], found float64\[3\]"),
        ([X, X.astype(">f4")], ShapeError, r"input 'y': expected float32\[3\], found >f4\[3\]"),
        ([X, [1.0, 2.0, 3.0]], ShapeError, r"input 'y': expected float32\[3\], found float64\[3\]"),
    ],
)
def test_inputs_are_checked(inputs, error, reason):
    with pytest.raises(error, match=reason):
        run(SQUARES, inputs)


@pytest.mark.parametrize(
    ("fn", "x", "reason"),
    [
        (lambda x: 1.0 / x, [0, 1, 2], r"node 'div_0' \(div\) is not finite: \(from 0.5 to 1, 1 of 3 not finite\)"),
        (ops.log, [0, -1, 1], r"node 'log_0' .* its inputs: x \(from -1 to 1\)"),
        (lambda x: ops.sum(ops.exp(x)), [1000, 0, 0], r"node 'exp_0' \(exp\)"),
        (lambda x: x + x, [np.nan] * 3, r"no finite element, 3 of 3 not finite"),
        (lambda x: ops.sum(x * x), [1e30, 0, 0], r"node 'mul_0'"),
    ],
)
def test_check_names_the_first_node_that_is_not_finite(fn, x, reason):
    with pytest.raises(NonFiniteError, match=reason):
        run(trace(fn, Spec((3,))).graph, [np.float32(x)], check=True)


def test_check_gives_the_same_values():
    inputs = [X, -X]
    np.testing.assert_array_equal(run(SQUARES, inputs, check=True), run(SQUARES, inputs))


def test_without_check_numpy_warns_of_what_it_computes():
    graph = trace(ops.log, Spec((3,))).graph
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        assert run(graph, [np.zeros(3, "float32")])[0].tolist() == [-np.inf] * 3


def test_a_result_without_axes_is_an_array():
    (total,) = run(trace(ops.sum, Spec((3,))).graph, [X])
    assert isinstance(total, np.ndarray)
    assert total.shape == ()
