import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tlverify.core import Spec, ops, trace
from tlverify.graph import GraphError, ShapeError

rng = np.random.default_rng(3)
X = rng.normal(size=(2, 3, 4))
LOGITS = rng.normal(size=(5, 3)) * 30


def reference_log_softmax(x):
    return x - np.log(np.sum(np.exp(x - x.max(-1, keepdims=True)), -1, keepdims=True)) - x.max(-1, keepdims=True)


VALUES = {
    "sum": (lambda x: ops.sum(x, -1), X, X.sum(-1)),
    "sum keepdims": (lambda x: ops.sum(x, (0, -1), keepdims=True), X, X.sum((0, 2), keepdims=True)),
    "mean": (ops.mean, X, X.mean()),
    "mean axes": (lambda x: x.mean(1), X, X.mean(1)),
    "max": (lambda x: ops.max(x, (-1, 0)), X, X.max((0, 2))),
    "min": (lambda x: ops.min(x, 1, keepdims=True), X, X.min(1, keepdims=True)),
    "reshape": (lambda x: ops.reshape(x, 4, -1), X, X.reshape(4, -1)),
    "reshape sequence": (lambda x: ops.reshape(x, [6, 4]), X, X.reshape(6, 4)),
    "transpose": (ops.transpose, X, X.T),
    "transpose negative": (lambda x: ops.transpose(x, (0, -1, 1)), X, X.transpose(0, 2, 1)),
    "matmul vector": (lambda x: ops.matmul(x, np.ones(4)), X, X @ np.ones(4)),
    "matmul broadcast": (lambda x: ops.matmul(np.ones((5, 3)), x), X, np.ones((5, 3)) @ X),
    "clip": (lambda x: ops.clip(x, -0.5, 0.5), X, X.clip(-0.5, 0.5)),
    "clamp": (lambda x: ops.clamp(x, -0.5, 0.5), X, X.clip(-0.5, 0.5)),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.3), X, np.where(X > 0, X, X * 0.3)),
    "scale": (lambda x: ops.scale(x, -0.1), X, X * -0.1),
    "square": (ops.square, X, X**2),
    "where": (lambda x: ops.where(ops.less(x, 0), -1.0, x), X, np.where(X < 0, -1, X)),
    "log_softmax": (ops.log_softmax, LOGITS, reference_log_softmax(LOGITS)),
    "softmax": (ops.softmax, LOGITS, np.exp(reference_log_softmax(LOGITS))),
    "softmax axis": (lambda x: ops.softmax(x, 0), LOGITS, np.exp(reference_log_softmax(LOGITS.T)).T),
    "logsumexp": (ops.logsumexp, LOGITS, (LOGITS - reference_log_softmax(LOGITS))[:, 0]),
    "zeros_like": (ops.zeros_like, X, np.zeros_like(X)),
    "ones_like": (ops.ones_like, X, np.ones_like(X)),
    "linear without bias": (lambda x: ops.linear(x, np.ones((2, 4))), X, X @ np.ones((4, 2))),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_agree_with_numpy_eagerly_and_traced(name):
    fn, x, expected = VALUES[name]
    np.testing.assert_allclose(fn(x), expected, atol=1e-12)
    np.testing.assert_allclose(trace(fn, x)(x), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (lambda x: ops.add(x, np.ones(3, "float32")), r"add: shapes \[2, 4\] and \[3\] do not broadcast together"),
        (lambda x: ops.sum(x, 2), r"sum: axes \[2\] are not distinct axes of a value with 2 axes"),
        (lambda x: ops.max(x, (0, -2)), r"max: axes \[0, -2\] are not distinct"),
        (lambda x: ops.reshape(x, 3, -1), r"reshape: cannot reshape float32\[2, 4\] \(8 elements\) to \[3, 2\]"),
        (lambda x: ops.reshape(x, -1, -1), "expected sizes >= 0"),
        (lambda x: ops.transpose(x, (0, 0)), r"axes \[0, 0\] do not permute float32\[2, 4\]"),
        (lambda x: ops.broadcast_to(x, (4, 2)), r"cannot broadcast float32\[2, 4\] to \[4, 2\]"),
        (lambda x: ops.matmul(x, x), r"cannot multiply float32\[2, 4\] by float32\[2, 4\]"),
        (lambda x: ops.matmul(x, 2.0), r"matmul: expected at least one axis"),
        (lambda x: ops.mean(ops.broadcast_to(x, (0, 2, 4)), 0), r"no elements along axes 0 of shape \[0, 2, 4\]"),
        (lambda x: ops.linear(x, np.ones((3, 5), "float32")), "expected 5 features on the last axis"),
        (lambda x: ops.linear(x, np.ones(4, "float32")), r"weight: expected \(out, in\), found float32\[4\]"),
        (
            lambda x: ops.add(x, ops.cast(x, "float64")),
            r"add: float32\[2, 4\] and float64\[2, 4\].*ops.cast\(x, 'float32'\)",
        ),
        (lambda x: ops.cast(x, "float16"), "cast: dtype: expected one of float32, float64, int64, bool"),
        (lambda x: ops.where(x, x, x), "condition: expected bool, found float32"),
        (lambda x: ops.exp(x > 0), "exp: expected a float dtype, found bool"),
        (lambda x: ops.one_hot(x, 3), "one_hot: expected int64 labels, found float32"),
    ],
)
def test_shape_errors_say_why_eagerly_and_traced(fn, reason):
    with pytest.raises(ShapeError, match=reason):
        trace(fn, Spec((2, 4)))
    with pytest.raises(ShapeError, match=reason):
        fn(np.ones((2, 4), "float32"))


def test_one_hot_of_a_label_out_of_range_is_zero():
    expected = [[0, 1], [0, 0], [0, 0]]
    assert ops.one_hot(np.array([1, 2, -1]), 2).tolist() == expected


def test_scalars_take_the_dtype_of_the_other_operand():
    x = np.float32([1, 2])
    for scalar in (2, 0.5, True, np.float64(3.0), np.int64(2), ops.sub(1, 0.5), ops.exp(0.0)):
        for value in (ops.mul(x, scalar), ops.mul(scalar, x), trace(lambda x, s=scalar: s * x, x)(x)):
            assert value.dtype == np.float32


def test_scalars_alone_give_scalars():
    assert isinstance(ops.add(1, 0.5), np.float64)
    assert ops.maximum(1, 2) == 2
    assert isinstance(ops.exp(1.0), np.float64)
    assert trace(lambda x: ops.where(x > 0.0, 1, 0.5), Spec(()))(np.float32(1)).dtype == np.float64


def test_a_float_constant_does_not_fit_an_integer_tensor():
    with pytest.raises(ShapeError, match=r"constant float64\[\] does not fit int64; cast it"):
        trace(lambda x: x + 0.5, Spec((3,), "int64"))


def test_no_node_is_added_where_nothing_changes():
    def fn(x):
        x = ops.cast(ops.broadcast_to(ops.transpose(ops.reshape(x, 2, 3), (0, 1)), (2, 3)), "float32")
        return ops.neg(x)

    assert [node.op for node in trace(fn, Spec((2, 3))).graph.nodes] == ["neg"]


@given(hnp.mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), st.randoms())
def test_broadcasting_is_that_of_numpy(shapes, random):
    a, b, c = (np.array(random.random() + 0.5) * np.ones(shape) for shape in shapes.input_shapes)
    expected = np.where(a > b, a * b - c, b / c)
    fn = lambda a, b, c: ops.where(ops.greater(a, b), ops.sub(ops.mul(a, b), c), ops.div(b, c))  # noqa: E731
    np.testing.assert_array_equal(fn(a, b, c), expected)
    np.testing.assert_array_equal(trace(fn, a, b, c)(a, b, c), expected)


def test_values_of_two_traces_do_not_meet_after_one_has_ended():
    leaked = []
    trace(lambda x: leaked.append(x) or x, Spec((2,)))
    with pytest.raises(GraphError, match="used outside the traced function that made it"):
        trace(lambda x: x + leaked[0], Spec((2,)))


def test_a_result_without_axes_keeps_its_dtype():
    total = ops.sum(np.ones(3))
    assert isinstance(total, np.ndarray)
    with pytest.raises(ShapeError, match=r"add: float64\[\] and float32\[3\] have different dtypes"):
        ops.add(total, np.ones(3, "float32"))
