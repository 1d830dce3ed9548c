"""CROWN bounds hold what they bound, and are as tight as theory says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import nn, ops, pytree, value_and_grad
from tlverify.graph import ShapeError, TlverifyError
from tlverify.train.crown import _AFFINE, _RELAXED, crown_lower_bounds
from tlverify.train.interval import INTERVAL, interval_bounds

from .test_interval import CASES

DENSE = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)), (3,)
CONV = (
    nn.Sequential(
        *(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 4, 2, groups=2), nn.ReLU(), nn.MaxPool2d(2, 1)),
        *(nn.Flatten(-3), nn.Linear(4, 4)),
    ),
    (1, 6, 6),
)
MIXED = (
    nn.Sequential(
        nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.ReLU())),
        nn.Function(lambda x: ops.abs(x) - ops.leaky_relu(x, 1.5) + ops.leaky_relu(x, -0.5)),
        nn.Tanh(),
        nn.Linear(3, 4),
    ),
    (3,),
)
MODELS = {"dense": DENSE, "conv": CONV, "mixed": MIXED}


def drawn(name, seed, radius=0.1):
    """Model, float64 parameters, a box around each of 3 points, and 5 functions of the outputs of each."""
    rng = np.random.default_rng(seed)
    model, shape = MODELS[name]
    params = pytree.map(lambda leaf: leaf.astype(np.float64), model.init(rng))
    x = rng.uniform(size=(3, *shape))
    return model, params, x - radius, x + radius, rng.normal(size=(3, 5, 4))


def of_intervals(model, params, lower, upper, weights):
    low, high = interval_bounds(model, params, lower, upper)
    above, below = np.maximum(weights, 0), np.minimum(weights, 0)
    return np.einsum("nmk,nk->nm", above, low) + np.einsum("nmk,nk->nm", below, high)


@pytest.mark.parametrize("slopes", ["adaptive", "zero"])
@pytest.mark.parametrize("name", MODELS)
@given(seed=st.integers(0, 2**32 - 1), radius=st.floats(0.0, 0.5))
@settings(max_examples=10, deadline=None)
def test_bounds_hold_sampled_values(name, slopes, seed, radius):
    model, params, lower, upper, weights = drawn(name, seed, radius)
    bounds = crown_lower_bounds(model, params, lower, upper, weights, slopes)
    rng = np.random.default_rng(seed)
    for sample in range(20):
        corners = np.where(rng.random(lower.shape) < 0.5, lower, upper)
        x = corners if sample % 2 else rng.uniform(lower, upper)
        assert (bounds <= np.einsum("nmk,nk->nm", weights, model(params, x)) + 1e-12).all()


@pytest.mark.parametrize("name", MODELS)
@given(seed=st.integers(0, 2**32 - 1), radius=st.floats(0.0, 0.5))
@settings(max_examples=10, deadline=None)
def test_with_slopes_zero_it_is_never_looser_than_intervals(name, seed, radius):
    drawing = drawn(name, seed, radius)
    crown = crown_lower_bounds(*drawing, "zero")
    merged = crown_lower_bounds(*drawing, relax=False)
    assert (crown >= merged - 1e-12).all()
    assert (merged >= of_intervals(*drawing) - 1e-12).all()


@pytest.mark.parametrize("name", MODELS)
def test_a_box_of_one_point_gives_the_value(name):
    model, params, lower, _, weights = drawn(name, 1, 0.0)
    expected = np.einsum("nmk,nk->nm", weights, model(params, lower))
    for slopes in ("adaptive", "zero"):
        found = crown_lower_bounds(model, params, lower, lower, weights, slopes)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_without_unstable_relus_it_is_exact():
    """The network is affine on the box, so that a corner attains the bound; intervals lose."""
    model, params, lower, upper, weights = drawn("dense", 2)
    params = pytree.map(np.abs, params)  # every ReLU of a box above 0 is active
    bounds = crown_lower_bounds(model, params, lower + 1, upper + 1, weights)
    corners = np.stack([np.where([i & 1, i & 2, i & 4], upper, lower) for i in range(8)]) + 1
    values = np.stack([np.einsum("nmk,nk->nm", weights, model(params, x)) for x in corners])
    np.testing.assert_allclose(bounds, values.min(0), atol=1e-9)
    assert (of_intervals(model, params, lower + 1, upper + 1, weights) < bounds - 1e-3).any()


def test_one_relu_by_hand():
    """-relu(x) on [-1, 3] is at least -(3/4)(x + 1); relu(x) at least x, or 0."""
    model = nn.ReLU()
    box = np.array([[-1.0]]), np.array([[3.0]])
    weights = np.array([[[-1.0], [1.0]]])
    assert crown_lower_bounds(model, {}, *box, weights, "adaptive").tolist() == [[-3.0, -1.0]]
    assert crown_lower_bounds(model, {}, *box, weights, "zero").tolist() == [[-3.0, 0.0]]
    for lower, upper in ((0.0, 0.0), (-1.0, 0.0), (0.0, 2.0)):
        found = crown_lower_bounds(model, {}, np.array([[lower]]), np.array([[upper]]), weights)
        assert found.tolist() == [[-upper, 0.0]]


@pytest.mark.parametrize("op", sorted(CASES))
def test_every_op_of_interval_arithmetic(op):
    function, least, most = CASES[op]
    rng = np.random.default_rng(0)
    ends = rng.uniform(least, most, (2, 2, 3))
    lower, upper = ends.min(0), ends.max(0)
    weights = rng.normal(size=(1, 4, *np.shape(function(lower))))
    axes = tuple(range(2, weights.ndim))
    bounds = crown_lower_bounds(lambda params, x: function(x), {}, lower[None], upper[None], weights)
    for share in (0.0, 1.0, *rng.uniform(size=(50, 2, 3))):
        value = (weights * function(lower + share * (upper - lower))).sum(axes)
        assert (bounds <= value + 1e-12).all()


def test_the_tables_name_ops_of_interval_arithmetic():
    assert set(_AFFINE) | set(_RELAXED) <= set(INTERVAL)
    assert not set(_AFFINE) & set(_RELAXED)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_central_difference(name):
    model, params, lower, upper, weights = drawn(name, 5)

    def total(params):
        return ops.sum(crown_lower_bounds(model, params, lower, upper, weights))

    value, grads = value_and_grad(total)(params)
    assert value == pytest.approx(float(total(params)), rel=1e-12)
    rng = np.random.default_rng(6)
    direction = pytree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    h = 1e-6
    ahead, behind = (total(pytree.map(lambda p, d, s=s: p + s * h * d, params, direction)) for s in (1, -1))
    slope = sum(np.vdot(g, d) for g, d in zip(*(pytree.flatten(t)[0] for t in (grads, direction)), strict=True))
    assert (ahead - behind) / (2 * h) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"slopes": "best"}, TlverifyError, "slopes: expected adaptive or zero, found 'best'"),
        (
            {"weights": np.zeros((3, 5, 2))},
            ShapeError,
            "weights: expected functions of outputs [4], found functions of [2]",
        ),
        ({"weights": np.zeros((2, 5, 4))}, ShapeError, "crown_lower_bounds: expected lower and upper (n, ...)"),
        ({"upper": np.zeros((3, 2))}, ShapeError, "crown_lower_bounds: expected lower and upper (n, ...)"),
        ({"model": lambda params, x: ops.cos(x)}, TlverifyError, "interval arithmetic has no rule for op 'cos'"),
    ],
)
def test_refused(change, error, reason):
    given = dict(zip(("model", "params", "lower", "upper", "weights"), drawn("dense", 0), strict=True)) | change
    with pytest.raises(error, match=re.escape(reason)):
        crown_lower_bounds(**given)
