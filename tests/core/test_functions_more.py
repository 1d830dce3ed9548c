"""Values of the functions that are written with the ops, eagerly and traced, against NumPy."""

import math

import numpy as np
import pytest

from tlverify.core import ops, trace, vjp
from tlverify.core.ops.forward_algebra import IndexRangeError, SingularError
from tlverify.graph import ShapeError

rng = np.random.default_rng(3)
X = rng.normal(size=(2, 3, 4))
FAR = np.array([-800.0, -30.0, -1e-9, 0.0, 1e-9, 30.0, 800.0])
MASK = np.array([True, False, True, True])
PAIRS = rng.normal(size=(3, 5, 2))


def to_complex(pairs):
    return pairs[..., 0] + 1j * pairs[..., 1]


def to_pairs(z):
    return np.stack([z.real, z.imag], -1)


VALUES = {
    "elu": (lambda x: ops.elu(x, 2.0), FAR, np.where(FAR > 0, FAR, 2 * np.expm1(np.minimum(FAR, 0)))),
    "erf": (ops.erf, FAR, [math.erf(x) for x in FAR]),
    "gelu": (ops.gelu, X, X * 0.5 * (1 + np.vectorize(math.erf)(X / math.sqrt(2)))),
    "sigmoid": (ops.sigmoid, FAR, np.where(FAR > -700, 1 / (1 + np.exp(-np.maximum(FAR, -700))), 0)),
    "softplus": (ops.softplus, FAR, np.logaddexp(FAR, 0)),
    "log_sigmoid": (ops.log_sigmoid, FAR, -np.logaddexp(-FAR, 0)),
    "silu": (ops.silu, X, X / (1 + np.exp(-X))),
    "relu6": (ops.relu6, 5 * X, np.clip(5 * X, 0, 6)),
    "glu": (ops.glu, X, X[..., :2] / (1 + np.exp(-X[..., 2:]))),
    "masked_softmax": (
        lambda x: ops.masked_softmax(x, MASK),
        X,
        np.exp(X) * MASK / (np.exp(X) * MASK).sum(-1, keepdims=True),
    ),
    "logic": (
        lambda x: ops.cast(ops.logical_or(x > 1.0, ops.logical_and(x < 0.0, ops.logical_not(x < -1.0))), "float64"),
        X,
        (X > 1) | ((X < 0) & (X >= -1)),
    ),
    "less_equal": (lambda x: ops.cast(ops.less_equal(x, x), "float64"), X, np.ones_like(X)),
    "take": (lambda x: ops.take(x, np.array([[3, 0]]), -1), X, np.take(X, [[3, 0]], -1)),
    "sort": (lambda x: ops.sort(x, 1, descending=True), X, -np.sort(-X, 1)),
    "topk": (lambda x: ops.topk(x, 2)[0], X, -np.sort(-X)[..., :2]),
    "argmin": (lambda x: ops.argmin(x, 1), X, X.argmin(1)),
    "cumsum": (ops.cumsum, X, X.cumsum(-1)),
    "put_along_axis": (
        lambda x: ops.put_along_axis(x, X.argmax(-1)[..., None], 9.0),
        X,
        np.where(X.max(-1, keepdims=True) == X, 9, X),
    ),
    "tril": (lambda x: ops.tril(x, 1), X, np.tril(X, 1)),
    "triu": (ops.triu, X, np.triu(X)),
    "diagonal": (lambda x: ops.diagonal(x[..., 0:3]), X, np.diagonal(X[..., :3], axis1=-2, axis2=-1)),
    "var": (lambda x: ops.var(x, (0, 2), correction=1), X, X.var((0, 2), ddof=1)),
    "norm": (lambda x: ops.norm(x, -1), X, np.linalg.norm(X, axis=-1)),
    "norm 1": (lambda x: ops.norm(x, -1, order=1), X, np.abs(X).sum(-1)),
    "norm inf": (lambda x: ops.norm(x, -1, order=math.inf), X, np.abs(X).max(-1)),
    "norm 3": (lambda x: ops.norm(x, -1, order=3), X, (np.abs(X) ** 3).sum(-1) ** (1 / 3)),
    "stack": (lambda x: ops.stack([x, 2.0 * x], 1), X, np.stack([X, 2 * X], 1)),
    "split": (lambda x: ops.split(x, (1, 3), -1)[1], X, X[..., 1:]),
    "split size": (lambda x: ops.split(x, 3, -1)[1], X, X[..., 3:]),
    "chunk": (lambda x: ops.chunk(x, 2, 1)[0], X, X[:, :2]),
    "squeeze": (lambda x: ops.squeeze(ops.expand_dims(x, 1)), X, X),
    "moveaxis": (lambda x: ops.moveaxis(x, 0, -1), X, np.moveaxis(X, 0, -1)),
    "flatten": (lambda x: ops.flatten(x, 1), X, X.reshape(2, 12)),
    "tile": (lambda x: ops.tile(x, 2, 1), X, np.tile(X, (1, 2, 1))),
    "repeat": (lambda x: ops.repeat(x, 2, 1), X, np.repeat(X, 2, 1)),
    "flip": (lambda x: ops.flip(x, 1), X, np.flip(X, 1)),
    "roll": (lambda x: ops.roll(x, 3, -1), X, np.roll(X, 3, -1)),
    "fft": (ops.fft, PAIRS, to_pairs(np.fft.fft(to_complex(PAIRS)))),
    "ifft": (ops.ifft, PAIRS, to_pairs(np.fft.ifft(to_complex(PAIRS)))),
    "rfft": (ops.rfft, X, to_pairs(np.fft.rfft(X))),
    "irfft": (lambda x: ops.irfft(ops.rfft(x)), X, X),
    "complex_mul": (lambda x: ops.complex_mul(x, PAIRS[0]), PAIRS, to_pairs(to_complex(PAIRS) * to_complex(PAIRS[0]))),
    "inv": (lambda x: ops.inv(x @ ops.swapaxes(x, 1, 2)), X, np.linalg.inv(X @ X.swapaxes(1, 2))),
    "qr": (lambda x: ops.qr(ops.swapaxes(x, 1, 2))[1], X, np.triu(np.linalg.qr(X.swapaxes(1, 2))[1])),
    "einsum sum": (lambda x: ops.einsum("abc->b", x), X, X.sum((0, 2))),
    "einsum trace order": (lambda x: ops.einsum("cab", x), X, np.einsum("cab", X)),
    "einsum matmul": (lambda x: ops.einsum("abc,dc->dab", x, X[0]), X, np.einsum("abc,dc->dab", X, X[0])),
    "einsum three": (
        lambda x: ops.einsum("abc,abd,d->acd", x, X, np.arange(4.0)),
        X,
        np.einsum("abc,abd,d->acd", X, X, np.arange(4.0)),
    ),
    "einsum outer": (lambda x: ops.einsum("a,b->ba", x, np.arange(2.0)), FAR, np.outer(np.arange(2.0), FAR)),
    "einsum number": (lambda x: ops.einsum("abc,abc->", x, x), X, (X * X).sum()),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_eagerly_and_traced(name):
    fn, x, expected = VALUES[name]
    np.testing.assert_allclose(fn(x), expected, atol=1e-12)
    np.testing.assert_allclose(trace(fn, x)(x), expected, atol=1e-12)


@pytest.mark.parametrize("name", ["elu", "sigmoid", "softplus", "log_sigmoid", "erf"])
def test_derivatives_are_finite_far_from_zero(name):
    fn, x, _ = VALUES[name]
    (gradient,) = vjp(fn, x)[1](np.ones_like(x))
    assert np.isfinite(gradient).all()


def test_erf_is_accurate_to_a_few_units_in_the_last_place():
    x = np.concatenate([rng.normal(size=20000) * 2, np.logspace(-300, 1, 2000)])
    np.testing.assert_allclose(ops.erf(x), np.vectorize(math.erf)(x), rtol=6e-16)
    special = ops.erf(np.array([np.nan, np.inf, -np.inf, -0.0]))
    np.testing.assert_array_equal(special, [np.nan, 1, -1, -0.0])
    assert np.signbit(special[3])


def test_masked_softmax_of_a_row_without_elements_is_zero_with_derivative_zero():
    y, pullback = vjp(lambda x: ops.masked_softmax(x, np.array([[True, False], [False, False]])), np.ones((2, 2)))
    assert y.tolist() == [[1, 0], [0, 0]]
    assert not pullback(rng.normal(size=(2, 2)))[0].any()


def test_argsort_is_stable_both_ways():
    x = np.array([1.0, 0.0, 1.0, 0.0])
    assert ops.argsort(x).tolist() == [1, 3, 0, 2]
    assert ops.argsort(x, descending=True).tolist() == [0, 2, 1, 3]


def test_random_numbers_are_a_function_of_the_key():
    key = ops.key(7)
    first = ops.random_uniform(key, (1000,))
    np.testing.assert_array_equal(first, trace(lambda k: ops.random_uniform(k, (1000,)), key)(key))
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() < 1
    assert abs(first.mean() - 0.5) < 0.03
    others = [ops.fold_in(key, 0), ops.fold_in(key, 1), ops.fold_in(ops.fold_in(key, 0), 0), ops.key(8)]
    streams = [first, *(ops.random_uniform(other, (1000,)) for other in others)]
    assert len({stream.tobytes() for stream in streams}) == len(streams)
    normal = ops.random_normal(key, (20000,), "float64")
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert ops.random_uniform(np.stack(others), (3,)).shape == (4, 3)


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: ops.take(X, np.array([5]), 1), IndexRangeError, "gather: expected indices from 0 to 2, found 5"),
        (lambda: ops.take(X, np.array([-1])), IndexRangeError, "gather: expected indices from 0 to 1, found -1"),
        (lambda: ops.scatter_add(X, np.array([0, 9]), 3), IndexRangeError, "scatter_add: .* from 0 to 2, found 9"),
        (lambda: ops.take_along_axis(X, np.array([0])), ShapeError, r"expected indices equal to x in all axes but 2"),
        (lambda: ops.topk(X, 5), ShapeError, "topk: expected k from 0 to 4, found 5"),
        (lambda: ops.diagonal(X), ShapeError, r"diagonal: expected \(..., n, n\), found \[2, 3, 4\]"),
        (lambda: ops.var(X, (), correction=1), ShapeError, "var: expected more than 1 elements"),
        (lambda: ops.norm(X, order=-1), ShapeError, "norm: expected an order above 0"),
        (lambda: ops.stack([X, X[0]]), ShapeError, "stack: expected equal shapes"),
        (lambda: ops.stack([]), ShapeError, "stack: expected one or more values"),
        (
            lambda: ops.split(X, (1, 1), 1),
            ShapeError,
            r"split: expected sizes with the sum 3 of axis 1, found \[1, 1\]",
        ),
        (lambda: ops.split(X, 0), ShapeError, "split: expected a size of 1 or more"),
        (lambda: ops.chunk(X, 0), ShapeError, "chunk: expected a count of 1 or more"),
        (lambda: ops.squeeze(X, 0), ShapeError, "squeeze: expected axes of size 1, found size 2 on axis 0"),
        (lambda: ops.cholesky(-np.eye(2)), SingularError, "cholesky: expected a positive definite matrix"),
        (lambda: ops.solve(np.zeros((2, 2)), np.ones(2)), SingularError, "solve: expected an invertible matrix"),
        (lambda: ops.key(2**70), ShapeError, "key: expected a seed of 64 bits"),
        (lambda: ops.einsum("i-j", X), ShapeError, "einsum: expected an equation such as"),
        (lambda: ops.einsum("i,j->ij", X), ShapeError, "has 2 operands, found 1"),
        (lambda: ops.einsum("ij->i", X), ShapeError, "'ij' names 2 axes of a value with 3"),
        (lambda: ops.einsum("iij->j", X), ShapeError, "names an axis twice; take ops.diagonal first"),
        (lambda: ops.einsum("abc->d", X), ShapeError, "expected distinct labels of the operands"),
        (lambda: ops.einsum("abc,abd->cd", X, X[:, 1:]), ShapeError, "axis 'b' has sizes 3 and 2"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()
