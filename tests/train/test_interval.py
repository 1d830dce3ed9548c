"""Interval bounds contain what they bound: every rule on sampled points, models under hypothesis."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import nn, ops, pytree
from tlverify.core.ops.apply import apply
from tlverify.graph import OPS, ShapeError, TlverifyError
from tlverify.train.interval import INTERVAL, NO_RULE, Box, interval_bounds

W = np.array([[1.0, -2.0, 0.5], [-0.3, 0.0, 4.0]])
V = np.array([0.7, -1.5, 2.0])
KERNEL = np.array([[[[1.0, -2.0], [0.5, 3.0]]], [[[-1.0, 0.0], [2.0, -0.5]]]])
WINDOW = {"kernel": (2, 2), "stride": (1, 1), "padding": (1, 0, 0, 1), "dilation": (1, 1)}


def image(x):
    """(2, 3) as one channel of one image."""
    return ops.reshape(x, 1, 1, 2, 3)


def leaky(x, slope: str):
    return apply("leaky_relu", x, slope=slope)


CASES = {
    "abs": (ops.abs, -1.0, 1.0),
    "add": (lambda x: x + ops.relu(x) + V, -1.0, 1.0),
    "avg_pool2d": (lambda x: ops.avg_pool2d(image(x), 2, 1, 1, False), -1.0, 1.0),
    "batch_norm": (lambda x: ops.batch_norm(image(x), *(np.array([c]) for c in (0.5, 2.0, -3.0, 1.0))), -1.0, 1.0),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (4, 2, 3)), -1.0, 1.0),
    "clamp": (lambda x: apply("clamp", x, minimum="-1/2", maximum="1/4"), -1.0, 1.0),
    "concat": (lambda x: ops.concat([x, V[None], -x]), -1.0, 1.0),
    "conv2d": (lambda x: ops.conv2d(image(x), KERNEL, V[:2], padding=1), -1.0, 1.0),
    "cumsum": (lambda x: ops.cumsum(x, 0, reverse=True), -1.0, 1.0),
    "detach": (ops.detach, -1.0, 1.0),
    "div": (lambda x: x / V, -1.0, 1.0),
    "erf": (ops.erf, -1.0, 1.0),
    "exp": (ops.exp, -1.0, 1.0),
    "expm1": (ops.expm1, -1.0, 1.0),
    "fold": (lambda x: ops.fold(ops.windows(image(x), 2), (2, 3), 2), -1.0, 1.0),
    "gather": (lambda x: ops.take(x, np.array([2, 0, 2]), 1), -1.0, 1.0),
    "leaky_relu": (lambda x: leaky(x, "1/8") + leaky(x, "-1/2") * V, -1.0, 1.0),
    "linear": (lambda x: ops.linear(x, W, W[:, 0]), -1.0, 1.0),
    "log": (ops.log, 0.5, 2.0),
    "log1p": (ops.log1p, -0.5, 2.0),
    "matmul": (lambda x: ops.matmul(ops.matmul(W, ops.transpose(x)), W), -1.0, 1.0),
    "max": (lambda x: ops.max(x, 1), -1.0, 1.0),
    "max_pool2d": (lambda x: ops.max_pool2d(image(x), 2, 1), -1.0, 1.0),
    "maximum": (lambda x: ops.maximum(x, V), -1.0, 3.0),
    "minimum": (lambda x: ops.minimum(V, x), -1.0, 3.0),
    "mul": (lambda x: (x * V) * (V * ops.abs(x)), -1.0, 1.0),
    "neg": (ops.neg, -1.0, 1.0),
    "pad": (lambda x: ops.pad(x, (1, 2), 0.5), -1.0, 1.0),
    "relu": (ops.relu, -1.0, 1.0),
    "reshape": (lambda x: ops.reshape(x, 3, 2), -1.0, 1.0),
    "scale": (lambda x: apply("scale", x, factor="-3/2") + apply("scale", x, factor="1/2"), -1.0, 1.0),
    "scatter_add": (lambda x: ops.scatter_add(x, np.array([2, 2]), 3), -1.0, 1.0),
    "sigmoid": (ops.sigmoid, -1.0, 1.0),
    "sign": (ops.sign, -1.0, 1.0),
    "slice": (lambda x: ops.slice(x, slice(None), slice(0, 3, 2)), -1.0, 1.0),
    "softplus": (ops.softplus, -1.0, 1.0),
    "sqrt": (ops.sqrt, 0.5, 2.0),
    "sub": (lambda x: (V - x) - ops.exp(x), -1.0, 1.0),
    "sum": (lambda x: ops.sum(x, 0, True), -1.0, 1.0),
    "tanh": (ops.tanh, -1.0, 1.0),
    "transpose": (ops.transpose, -1.0, 1.0),
    "windows": (lambda x: apply("windows", image(x), **WINDOW), -1.0, 1.0),
    "where": (lambda x: ops.where(np.array([[True, False, True]] * 2), x, -x), -1.0, 1.0),
}


def test_every_op_has_a_rule_or_a_reason() -> None:
    assert set(INTERVAL) | set(NO_RULE) == set(OPS)
    assert not set(INTERVAL) & set(NO_RULE)
    assert set(CASES) == set(INTERVAL)
    assert all(NO_RULE.values())


@pytest.mark.parametrize("op", sorted(CASES))
def test_a_rule_holds_sampled_values(op: str) -> None:
    function, least, most = CASES[op]
    rng = np.random.default_rng(0)
    ends = rng.uniform(least, most, (2, 2, 3))
    lower, upper = ends.min(0), ends.max(0)
    low, high = interval_bounds(lambda params, x: function(x), {}, lower, upper)
    for share in (0.0, 1.0, *rng.uniform(size=(50, 2, 3))):
        value = np.asarray(function(lower + share * (upper - lower)))
        assert low.shape == value.shape
        assert (low <= value + 1e-12).all()
        assert (value <= high + 1e-12).all()


@pytest.mark.parametrize("op", sorted(set(CASES) - {"mul"}))
def test_a_box_of_one_point_gives_the_value(op: str) -> None:
    function, least, most = CASES[op]
    x = np.random.default_rng(1).uniform(least, most, (2, 3))
    for bound in interval_bounds(lambda params, x: function(x), {}, x, x):
        np.testing.assert_allclose(bound, function(x), atol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.5), st.lists(st.integers(1, 6), min_size=0, max_size=2))
@settings(max_examples=40, deadline=None)
def test_bounds_of_a_network_hold_its_outputs(seed: int, radius: float, widths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    sizes = [4, *widths, 3]
    layers: list[nn.Layer] = [nn.Flatten()]
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    params = pytree.map(lambda leaf: leaf.astype(np.float64), model.init(rng))
    x = rng.uniform(size=(5, 2, 2))
    lower, upper = x - radius, x + radius
    low, high = interval_bounds(model, params, lower, upper)
    for _ in range(20):
        y = model(params, rng.uniform(lower, upper))
        assert (low <= y + 1e-12).all()
        assert (y <= high + 1e-12).all()


def test_a_single_linear_layer_is_exact() -> None:
    lower, upper = np.array([[0.0, -1.0, 2.0]]), np.array([[1.0, 1.0, 2.5]])
    low, high = interval_bounds(lambda p, x: ops.linear(x, p, np.zeros(2)), W, lower, upper)
    corners = np.array(np.meshgrid(*zip(lower[0], upper[0], strict=True))).reshape(3, -1).T @ W.T
    np.testing.assert_allclose(low[0], corners.min(0))
    np.testing.assert_allclose(high[0], corners.max(0))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: ops.where(ops.greater(x, 0.0), x, x), "no rule for op 'greater': the result is bool"),
        (lambda x: ops.cast(x, "float32"), "no rule for op 'cast': a conversion"),
        (lambda x: V / x, "div: expected a divisor that does not depend on the input"),
        (lambda x: ops.linear(x, x, V[:1]), "linear: expected a weight that does not depend on the input"),
        (lambda x: ops.linear(W, W[:1], ops.sum(x, 1)), "linear: expected a bias that does not depend on the input"),
        (lambda x: ops.conv2d(image(V.repeat(2)), ops.reshape(x, 1, 1, 1, 3)), "conv2d: expected a weight"),
        (lambda x: ops.batch_norm(ops.reshape(x, 3, 1, 1), V, V, ops.reshape(x, 3)), "batch_norm: expected a scale"),
        (lambda x: ops.matmul(x, x.T), "matmul: expected a right factor that does not depend on the input"),
    ],
)
def test_no_rule_says_why(function, reason: str) -> None:
    x = np.ones((1, 3))
    with pytest.raises(TlverifyError, match=re.escape(reason)):
        interval_bounds(lambda params, x: function(x), {}, x, x + 1)


def test_ends_of_different_shapes() -> None:
    with pytest.raises(ShapeError, match=re.escape("lower is [2], upper is [3]")):
        interval_bounds(lambda params, x: x, {}, np.zeros(2), np.ones(3))


@pytest.mark.parametrize(
    ("ends", "bounds"), [((-2, 1), (0, 1)), ((-2, -1), (0.5, 1)), ((1, 2), (1, 2)), ((-2, 3), (0, 3))]
)
def test_leaky_relu_with_a_negative_slope(ends: tuple[float, float], bounds: tuple[float, float]) -> None:
    lower, upper = (np.array([float(end)]) for end in ends)
    found = interval_bounds(lambda params, x: leaky(x, "-1/2"), {}, lower, upper)
    assert tuple(float(bound[0]) for bound in found) == bounds


def test_center_and_radius() -> None:
    box = Box(np.array([-1.0, 2.0]), np.array([3.0, 2.0]))
    assert box.center.tolist() == [1.0, 2.0]
    assert box.radius.tolist() == [2.0, 0.0]


def test_batch_norm_in_training_has_the_statistics_of_the_centres():
    layer = nn.BatchNorm1d(3)
    rng = np.random.default_rng(0)
    weight, bias, center = (rng.normal(size=shape).astype(np.float32) for shape in (3, 3, (8, 3)))
    params, radius = {"weight": weight, "bias": bias}, np.float32(0.1)

    def training(params, x):
        return nn.apply(layer, params, nn.init_state(layer), x, train=True)[0]

    lower, upper = interval_bounds(training, params, center - radius, center + radius)
    np.testing.assert_allclose((lower + upper) / 2, training(params, center), 1e-4, 1e-5)
    mean, variance = center.mean(0), center.var(0)
    for x in center + radius * rng.uniform(-1, 1, (100, 8, 3)):
        y = (x - mean) / np.sqrt(variance + layer.eps) * params["weight"] + params["bias"]
        assert (lower <= y + 1e-5).all()
        assert (y <= upper + 1e-5).all()
