import numpy as np
import pytest

from tlverify.core import Spec, Tensor, trace
from tlverify.graph import ShapeError

X = np.array([[1.0, -2.0], [3.0, 0.5]])
ARRAY = np.array([2.0, 4.0])
OPERATORS = {
    "add": (lambda x: x + ARRAY, X + ARRAY),
    "radd array": (lambda x: ARRAY + x, X + ARRAY),
    "radd scalar": (lambda x: 1 + x, X + 1),
    "sub": (lambda x: x - 1, X - 1),
    "rsub array": (lambda x: ARRAY - x, ARRAY - X),
    "mul": (lambda x: x * 2.5, X * 2.5),
    "rmul array": (lambda x: ARRAY * x, X * ARRAY),
    "rmul NumPy scalar": (lambda x: np.float64(2.0) * x, X * 2),
    "div": (lambda x: x / ARRAY, X / ARRAY),
    "rdiv": (lambda x: ARRAY / x, ARRAY / X),
    "matmul": (lambda x: x @ ARRAY, X @ ARRAY),
    "rmatmul": (lambda x: ARRAY @ x, ARRAY @ X),
    "neg": (lambda x: -x, -X),
    "abs": (abs, abs(X)),
    "greater": (lambda x: x > ARRAY, X > ARRAY),
    "less": (lambda x: x < 0.5, X < 0.5),
    "greater on the right": (lambda x: ARRAY > x, ARRAY > X),  # noqa: SIM300
    "equal": (lambda x: x == 3.0, X == 3.0),
    "greater or equal": (lambda x: x >= 0.5, X >= 0.5),
    "less or equal": (lambda x: ARRAY <= x, ARRAY <= X),  # noqa: SIM300
    "not equal": (lambda x: x != 3.0, X != 3.0),
    "function of NumPy": (np.exp, np.exp(X)),
    "two of them": (lambda x: np.maximum(np.square(x), ARRAY), np.maximum(X * X, ARRAY)),
    "length": (lambda x: x * len(x), X * 2),
    "new axis": (lambda x: x[None, :, None] * x[:, None], X[None, :, None] * X[:, None]),
    "T": (lambda x: x.T, X.T),
    "reshape": (lambda x: x.reshape(-1), X.reshape(-1)),
    "sum": (lambda x: x.sum(0), X.sum(0)),
    "mean": (lambda x: x.mean(), X.mean()),
    "transpose": (lambda x: x.transpose((1, 0)), X.T),
    "index": (lambda x: x[1], X[1]),
    "slices": (lambda x: x[..., ::2], X[..., ::2]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_mix_with_arrays_and_scalars_on_both_sides(name):
    fn, expected = OPERATORS[name]
    result = trace(fn, X)(X)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


def test_a_tensor_knows_its_type():
    def fn(x):
        assert isinstance(x, Tensor)
        assert (x.shape, x.dtype, x.ndim) == ((2, 3), "float64", 2)
        assert repr(x) == "Tensor(x: float64[2, 3])"
        return x

    trace(fn, Spec((2, 3), "float64"))


@pytest.mark.parametrize(
    ("fn", "error", "reason"),
    [
        (lambda x: x if x > 0 else -x, TypeError, "use ops.where instead of if"),
        (np.asarray, TypeError, "use tlverify.ops instead of NumPy"),
        (np.arctan, TypeError, "numpy.arctan does not work on a Tensor while it is traced; use the functions of tlver"),
        (lambda x: np.concatenate([x, x]), TypeError, "use ops.concat"),
        (np.sum, TypeError, "numpy.sum does not work on a Tensor while it is traced; use ops.sum"),
        (np.add.reduce, TypeError, "numpy.add.reduce does not work"),
        (lambda x: x.view(1), AttributeError, r"a traced Tensor has no 'view'; write ops.reshape\(x, ...\)"),
        (lambda x: x.backward(), AttributeError, "a traced Tensor has no 'backward'$"),
        (float, TypeError, "has no value while it is traced; return it"),
        (len, TypeError, "len: expected one axis or more"),
        (iter, TypeError, "not iterable"),
        (hash, TypeError, "unhashable"),
        (lambda x: x + "a", ShapeError, "does not fit float32"),
    ],
)
def test_what_a_tensor_cannot_do_is_an_error(fn, error, reason):
    with pytest.raises(error, match=reason):
        trace(fn, Spec(()))


def test_a_constant_used_twice_is_one_parameter():
    weight = np.ones(2, "float32")
    graph = trace(lambda x: (x * weight + 2.0) * weight + 2.0, Spec((2,))).graph
    assert [p.data.tolist() for p in graph.parameters] == [[1, 1], 2]


def test_zeros_of_both_signs_are_two_constants():
    graph = trace(lambda x: (x * 0.0, x * -0.0), Spec(())).graph
    assert sorted(str(p.data) for p in graph.parameters) == ["-0.0", "0.0"]
