import numpy as np
import pytest

from tlverify.core import grad, jvp, ops, run, trace, vjp
from tlverify.core.ops import batch as batch_table
from tlverify.core.ops import forward as forward_table
from tlverify.core.ops import jvp as jvp_table
from tlverify.core.ops import vjp as vjp_table
from tlverify.graph import OPS

from .gradients import check_gradients

TABLES = {
    "batch": (batch_table.BATCH, batch_table.NO_RULE),
    "forward": (forward_table.FORWARD, forward_table.NO_RULE),
    "vjp": (vjp_table.VJP, vjp_table.NO_RULE),
    "jvp": (jvp_table.JVP, jvp_table.NO_RULE),
}

rng = np.random.default_rng(7)


def far(*shape):
    """Normal samples at least 0.2 from zero, away from the kinks of relu, abs and sign."""
    x = rng.normal(size=shape)
    return x + 0.2 * np.sign(x)


def distinct(*shape):
    """Samples at least 0.1 apart, so that the order of no two changes under a small step."""
    return rng.permutation(np.arange(np.prod(shape)) * 0.1).reshape(shape)


A, B, POSITIVE = far(3, 4), far(3, 4), rng.uniform(0.5, 2.0, (3, 4))
MIXED = rng.random((3, 4)) > 0.5
SQUARE = rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)
PLACES = np.array([[0, 2, 2], [1, 0, 2]])
IMAGE = far(2, 4, 5, 4)
CHANNELS = [far(4), rng.uniform(0.5, 2.0, 4), far(4), far(4)]


def window(name, *args, **options):
    return lambda x: getattr(ops, name)(x, *args, **options)


CASES = {
    "abs": [(ops.abs, [A])],
    "avg_pool2d": [
        (window("avg_pool2d", 2), [IMAGE]),
        (window("avg_pool2d", (2, 3), 1, (1, 2), count_include_pad=False), [far(5, 4)]),
        (window("avg_pool2d", (3, 2), (2, 1), (0, 1, 2, 1)), [far(3, 5, 4)]),
    ],
    "batch_norm": [
        (lambda *a: ops.batch_norm(*a, axis=1, epsilon=0.25), [IMAGE, *CHANNELS]),
        (lambda *a: ops.batch_norm(*a, axis=-1), [far(3, 4), *CHANNELS]),
        (lambda x: ops.batch_norm(x, *CHANNELS[:2]), [far(4, 2, 1)]),
    ],
    "add": [(ops.add, [A, B]), (ops.add, [A, far(4)]), (lambda x: x + x, [A])],
    "broadcast_to": [
        (lambda x: ops.broadcast_to(x, (2, 3, 4)), [A]),
        (lambda x: ops.broadcast_to(x, (3, 4)), [far(3, 1)]),
        (lambda x: ops.broadcast_to(x, (2, 3)), [far()]),
        (lambda x: ops.broadcast_to(x, (2, 1, 3)), [far(1, 3)]),
    ],
    "clamp": [(lambda x: ops.clamp(x, -0.1, 0.15), [A]), (lambda x: ops.square(ops.clamp(x, -9.0, 9.0)), [A])],
    "concat": [
        (lambda a, b: ops.concat([a, b, a]), [A, far(2, 4)]),
        (lambda a, b: ops.concat([ops.square(a), b], -1), [far(2, 3, 1), far(2, 3, 2)]),
    ],
    "cholesky": [
        (lambda x: ops.cholesky(x @ ops.swapaxes(x, -1, -2)), [SQUARE]),
        (lambda x: ops.square(ops.cholesky(ops.transpose(x) @ x)), [SQUARE[0]]),
    ],
    "conv2d": [
        (ops.conv2d, [far(2, 2, 4, 3), far(3, 2, 2, 2), far(3)]),
        (lambda *a: ops.conv2d(*a, stride=(2, 1), padding=(0, 1, 2, 1)), [far(2, 5, 4), far(3, 2, 3, 2), far(3)]),
        (lambda *a: ops.conv2d(*a, padding=1, dilation=(1, 2), groups=2), [IMAGE, far(2, 2, 2, 2), far(2)]),
        (lambda *a: ops.conv2d(*a, groups=4), [far(3, 1, 4, 2, 2), far(4, 1, 1, 2)]),
    ],
    "cos": [(ops.cos, [A])],
    "cumsum": [
        (ops.cumsum, [A]),
        (lambda x: ops.square(ops.cumsum(x, 0, reverse=True)), [A]),
    ],
    "cast": [(lambda x: ops.cast(x, "float64"), [A])],
    "detach": [(lambda x: x * ops.cast(ops.detach(x) > 0, "float64"), [A])],
    "div": [(ops.div, [A, POSITIVE]), (lambda x: 1.0 / x, [POSITIVE])],
    "erf": [(ops.erf, [A]), (lambda x: ops.square(ops.erf(x)), [A])],
    "expm1": [(ops.expm1, [A])],
    "fft": [
        (ops.fft, [far(2, 5, 2)]),
        (lambda x: ops.square(ops.ifft(x)), [far(4, 2)]),
    ],
    "fold": [
        (window("fold", (4, 5), 2, padding=1), [far(3, 2, 2, 5, 6)]),
        (window("fold", (5, 4), (2, 1), (2, 1), (1, 0, 0, 1), (3, 2)), [far(2, 1, 2, 5)]),
    ],
    "gather": [
        (lambda x: ops.square(ops.take(x, PLACES)), [A]),
        (lambda x: ops.take(x, PLACES[0], -1), [A]),
        (lambda x: ops.take_along_axis(x, PLACES, 0), [far(4, 3)]),
        (lambda x: ops.sort(x, 0), [distinct(3, 4)]),
    ],
    "irfft": [
        (lambda x: ops.irfft(x, 5), [far(2, 3, 2)]),
        (lambda x: ops.square(ops.irfft(x)), [far(3, 2)]),
    ],
    "leaky_relu": [(ops.leaky_relu, [A]), (lambda x: ops.square(ops.leaky_relu(x, -0.5)), [A])],
    "exp": [(ops.exp, [A])],
    "linear": [
        (ops.linear, [far(4), far(2, 4), far(2)]),
        (ops.linear, [far(3, 4), far(2, 4), far(2)]),
        (ops.linear, [far(2, 3, 4), far(5, 4), far(5)]),
        (ops.linear, [far(2, 1, 3, 4), far(1, 4), far(1)]),
        (ops.linear, [far(3, 4), far(2, 4)]),
    ],
    "log": [(ops.log, [POSITIVE])],
    "log1p": [(ops.log1p, [POSITIVE])],
    "matmul": [
        (ops.matmul, [far(3, 4), far(4, 2)]),
        (ops.matmul, [far(2, 3, 4), far(2, 4, 2)]),
        (ops.matmul, [far(2, 1, 3, 4), far(3, 4, 2)]),
        (ops.matmul, [far(4), far(4)]),
        (ops.matmul, [far(2, 3, 4), far(4)]),
    ],
    "max": [
        (ops.max, [distinct(3, 4)]),
        (lambda x: ops.max(x, -1), [distinct(3, 4)]),
        (lambda x: ops.max(x, (0, 2), keepdims=True), [distinct(2, 3, 4)]),
    ],
    "max_pool2d": [
        (window("max_pool2d", 2), [distinct(2, 4, 5)]),
        (window("max_pool2d", (3, 2), (2, 1), (1, 1, 2, 0)), [distinct(5, 4) - 1.0]),
        (lambda x: ops.square(ops.max_pool2d(x, 2, 1, 1, (2, 1))), [distinct(2, 5, 4)]),
    ],
    "maximum": [(ops.maximum, [A, A + far(3, 4)]), (lambda x: ops.maximum(x, 0.1), [A])],
    "minimum": [(ops.minimum, [A, A + far(3, 4)]), (lambda x: ops.minimum(0.1, x), [A])],
    "mul": [(ops.mul, [A, B]), (lambda x: x * x * 3.0, [A]), (ops.mul, [far(3, 1), far(4)])],
    "neg": [(ops.neg, [A])],
    "pad": [
        (lambda x: ops.pad(x, (1, 2), 3.0), [A]),
        (lambda x: ops.square(ops.pad(x, (0, 1, 2, 0), -0.5)), [A]),
    ],
    "pow": [
        (ops.pow, [POSITIVE, A]),
        (lambda x: ops.pow(x, 3), [A]),
        (lambda x: 2.0**x, [A]),
        (lambda x: x**-1.5, [POSITIVE]),
    ],
    "qr": [
        (lambda x: ops.qr(x), [far(2, 4, 3)]),
        (lambda x: ops.matmul(*ops.qr(x)), [SQUARE[1]]),
    ],
    "relu": [(ops.relu, [A]), (lambda x: ops.square(ops.relu(x)), [A])],
    "reshape": [(lambda x: ops.reshape(x, 2, -1), [A]), (lambda x: ops.reshape(x, ()), [far(1, 1)])],
    "rfft": [
        (ops.rfft, [far(2, 5)]),
        (lambda x: ops.square(ops.rfft(x)), [far(6)]),
    ],
    "scale": [(lambda x: ops.scale(x, -0.3), [A]), (lambda x: ops.square(ops.scale(x, 2.0)), [A])],
    "scatter_add": [
        (lambda x: ops.square(ops.scatter_add(x, PLACES, 3)), [far(2, 3, 2)]),
        (lambda x: ops.put_along_axis(x, PLACES[:, :1], 2.0 * ops.slice(x, ..., slice(0, 1)), 1), [far(2, 3)]),
    ],
    "sigmoid": [(ops.sigmoid, [A])],
    "sign": [(lambda x: x * ops.sign(x), [A])],
    "sin": [(ops.sin, [A])],
    "slice": [
        (lambda x: ops.slice(x, 1), [A]),
        (lambda x: ops.square(ops.slice(x, ..., slice(1, 3))), [A]),
        (lambda x: ops.slice(x, slice(1, None, 3), -1, slice(0, 6, 2)), [far(6, 2, 7)]),
        (lambda x: ops.slice(x, slice(2, 2)), [A]),
    ],
    "softplus": [(ops.softplus, [A])],
    "solve": [
        (ops.solve, [SQUARE, far(2, 3, 2)]),
        (ops.solve, [SQUARE[0], far(3)]),
    ],
    "sqrt": [(ops.sqrt, [POSITIVE])],
    "sub": [(ops.sub, [A, B]), (lambda x: 1.0 - x, [A])],
    "sum": [
        (ops.sum, [A]),
        (lambda x: ops.sum(x, ()), [A]),
        (lambda x: ops.sum(x, (0, -1)), [far(2, 3, 4)]),
        (lambda x: ops.sum(x, 1, keepdims=True) * x, [A]),
    ],
    "tanh": [(ops.tanh, [A])],
    "transpose": [
        (ops.transpose, [A]),
        (lambda x: ops.transpose(x, (2, 0, 1)), [far(2, 3, 4)]),
    ],
    "where": [
        (lambda a, b: ops.where(MIXED, a, b), [A, B]),
        (lambda a: ops.where(a > 0.0, a * a, 0.0), [A]),
        (lambda a, b: ops.where(MIXED[0], a, b), [far(3, 1), far()]),
    ],
    "windows": [
        (window("windows", 2), [IMAGE]),
        (window("windows", (2, 1), (1, 2), (1, 0, 0, 1), (3, 1)), [far(5, 4)]),
    ],
}
FLAT = [pytest.param(fn, args, id=f"{op}-{i}") for op, row in CASES.items() for i, (fn, args) in enumerate(row)]


@pytest.mark.parametrize("name", TABLES)
def test_every_op_has_a_rule_or_a_reason(name):
    rules, no_rule = TABLES[name]
    assert set(rules) | set(no_rule) == set(OPS)
    assert not set(rules) & set(no_rule)
    assert all(reason for reason in no_rule.values())


@pytest.mark.parametrize("name", ["vjp", "jvp"])
def test_a_derivative_row_has_one_rule_for_each_input(name):
    rows = TABLES[name][0]
    assert {op: None if callable(row) else len(row) for op, row in rows.items()} == {op: OPS[op].arity for op in rows}


def test_every_op_with_a_derivative_is_checked():
    assert set(CASES) == set(vjp_table.VJP) == set(jvp_table.JVP)
    for op, row in CASES.items():
        if op != "cast":
            graphs = [trace(fn, *args).graph for fn, args in row]
            assert all(op in {node.op for node in graph.nodes} for graph in graphs), op


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_derivatives_agree_with_central_differences(fn, args):
    check_gradients(fn, args)


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_a_traced_function_gives_the_values_of_the_function(fn, args):
    eager = fn(*args)
    traced = run(trace(fn, *args).graph, args, check=True)
    for value, expected in zip(traced, eager if isinstance(eager, tuple) else (eager,), strict=True):
        assert (value.shape, value.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("fn", [ops.detach, ops.sign, lambda x: ops.cast(x > 0.0, "float64")])
def test_derivatives_that_are_zero_everywhere(fn):
    x = np.array([-1.0, 0.0, 2.0])
    assert not grad(lambda x: ops.sum(fn(x)))(x).any()
    assert not jvp(fn, [x], [np.ones(3)])[1].any()


def test_cast_carries_derivatives_between_float_dtypes():
    x, weight = np.float32([1, 2, 3]), np.array([0.5, 1.5, 2.5])
    gradient = grad(lambda x: ops.sum(ops.cast(x, "float64") * weight))(x)
    assert gradient.dtype == np.float32
    assert gradient.tolist() == weight.tolist()
    assert jvp(lambda x: ops.cast(x, "float64"), [x], [x])[1].dtype == np.float64


@pytest.mark.parametrize(
    ("fn", "x", "expected"),
    [
        (ops.relu, [0.0, 1.0], [0, 1]),
        (ops.abs, [0.0, -2.0], [0, -1]),
        (lambda x: ops.maximum(x, 1.0), [1.0, 2.0], [0.5, 1]),
        (lambda x: ops.minimum(1.0, x), [1.0, 2.0], [0.5, 0]),
        (ops.max, [3.0, 3.0, 1.0], [0.5, 0.5, 0]),
        (ops.min, [1.0, 3.0, 1.0], [0.5, 0, 0.5]),
        (lambda x: ops.clamp(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0], [0, 1, 1, 1, 0]),
        (lambda x: ops.leaky_relu(x, 0.25), [-1.0, 0.0, 1.0], [0.25, 0.25, 1]),
        (lambda x: ops.max_pool2d(x, (1, 2), padding=(0, 1)), [[0.0, 0.0, 0.0]], [[1, 0.5, 0.5]]),
    ],
)
def test_derivative_chosen_at_a_kink(fn, x, expected):
    x = np.array(x)
    result, pullback = vjp(fn, x)
    assert pullback(np.ones_like(result))[0].tolist() == expected
    diagonal = jvp(fn, [x], [np.ones_like(x)])[1]
    assert np.sum(diagonal) == np.sum(expected)


@pytest.mark.parametrize(
    "op",
    [
        *("cholesky", "cos", "cumsum", "erf", "expm1", "fft", "gather", "irfft", "log1p", "pow", "qr", "rfft"),
        *("scatter_add", "sigmoid", "sin", "softplus", "solve", "tanh"),
    ],
)
def test_values_and_derivatives_stay_in_float32(op):
    for fn, args in CASES[op]:
        single = [np.asarray(arg, np.float32) for arg in args]
        y, pullback = vjp(fn, *single)
        parts = y if isinstance(y, tuple) else (y,)
        assert all(part.dtype == np.float32 for part in parts)
        assert all(gradient.dtype == np.float32 for gradient in pullback(y))
        tangents = jvp(fn, single, single)[1]
        assert all(t.dtype == np.float32 for t in (tangents if isinstance(tangents, tuple) else (tangents,)))
