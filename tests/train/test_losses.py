"""Losses against their formulas, and the certified loss against its own definition and central differences."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tlverify.core import nn, pytree, value_and_grad
from tlverify.graph import ShapeError, TlverifyError
from tlverify.train import losses
from tlverify.train.losses import IntervalCrossEntropy

LOGITS = np.array([[1.0, 2.0, -1.0], [0.0, 0.0, 3.0]])
LABELS = np.array([1, 0])
MODEL = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))


def float64_params(seed: int):
    return pytree.map(lambda leaf: leaf.astype(np.float64), MODEL.init(np.random.default_rng(seed)))


def by_hand(logits: np.ndarray, probabilities: np.ndarray) -> float:
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return float(-(probabilities * logs).sum(-1).mean())


def test_mse() -> None:
    assert losses.mse(np.array([[1.0], [3.0]]), np.array([[0.0], [1.0]])) == 2.5
    with pytest.raises(ShapeError, match=re.escape("found [2, 1] and [2]; reshape the targets")):
        losses.mse(np.ones((2, 1)), np.ones(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_of_labels_and_of_probabilities(smoothing: float) -> None:
    one_hot = np.eye(3)[LABELS]
    expected = by_hand(LOGITS, (1 - smoothing) * one_hot + smoothing / 3)
    assert losses.cross_entropy(LOGITS, LABELS, smoothing) == pytest.approx(expected, rel=1e-14)
    assert losses.cross_entropy(LOGITS, one_hot, smoothing) == pytest.approx(expected, rel=1e-14)


def test_cross_entropy_of_large_logits_is_finite() -> None:
    assert losses.cross_entropy(np.array([[1e4, -1e4]]), np.array([1])) == 2e4


@pytest.mark.parametrize("labels", [np.array([1.0, 0.0]), np.array([[1, 0]]), np.array([1])])
def test_cross_entropy_refuses_labels(labels: np.ndarray) -> None:
    found = re.escape(f"found {labels.dtype}{list(labels.shape)}")
    with pytest.raises(ShapeError, match=rf"labels: expected int64 \[2\] or probabilities \[2, 3\], {found}"):
        losses.cross_entropy(LOGITS, labels)


def test_cross_entropy_refuses_smoothing() -> None:
    with pytest.raises(TlverifyError, match=r"smoothing: expected a number in \[0, 1\), found 1.0"):
        losses.cross_entropy(LOGITS, LABELS, 1.0)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, (0.0, 1.0)), (0.2, (0.0, 1.0)), (0.4, (0.05, 0.625)), (0.6, (0.1, 0.25)), (1.0, (0.1, 0.25))],
)
def test_radius_and_weight_ramp(fraction: float, expected: tuple[float, float]) -> None:
    loss = IntervalCrossEntropy(0.1, kappa=0.25, warmup=0.2, ramp=0.4)
    assert loss.coefficients(fraction) == pytest.approx(expected, abs=1e-12)


def test_without_a_ramp_the_radius_is_full_at_once() -> None:
    loss = IntervalCrossEntropy(0.1, warmup=0.5, ramp=0.0)
    assert [loss.coefficients(f) for f in (0.4, 0.5)] == [(0.0, 1.0), (0.1, 0.5)]


def test_radius_zero_is_plain_cross_entropy() -> None:
    rng = np.random.default_rng(1)
    params, x, y = float64_params(0), rng.uniform(size=(6, 3)), rng.integers(0, 4, 6)
    loss = IntervalCrossEntropy(0.1, smoothing=0.2)
    plain = losses.cross_entropy(MODEL(params, x), y, 0.2)
    for kappa in (0.0, 0.3, 1.0):
        assert loss(MODEL, params, x, y, 0.0, kappa) == pytest.approx(float(plain), rel=1e-12)


def test_certified_loss_is_not_below_any_loss_in_the_box() -> None:
    rng = np.random.default_rng(2)
    params, x, y = float64_params(3), rng.uniform(size=(6, 3)), rng.integers(0, 4, 6)
    worst = IntervalCrossEntropy(0.2, kappa=0.0)(MODEL, params, x, y)
    for _ in range(100):
        inside = np.clip(x + rng.uniform(-0.2, 0.2, x.shape), 0, 1)
        assert losses.cross_entropy(MODEL(params, inside), y) <= worst


def test_the_box_is_clipped_to_the_domain() -> None:
    x, y = np.zeros((1, 3)), np.array([0])
    params = float64_params(0)
    loss = IntervalCrossEntropy(0.5, kappa=0.0)
    clipped = loss(MODEL, params, x, y)
    middle = IntervalCrossEntropy(0.25, kappa=0.0, minimum=-9.0, maximum=9.0)(MODEL, params, x + 0.25, y)
    assert clipped == pytest.approx(float(middle), rel=1e-12)


def test_the_subset_is_a_box_around_the_attacked_point() -> None:
    rng = np.random.default_rng(4)
    model = nn.Linear(3, 4)
    params = pytree.map(lambda leaf: leaf.astype(np.float64), model.init(rng))
    x, y = rng.uniform(0.3, 0.7, size=(6, 3)), rng.integers(0, 4, 6)
    logits = model(params, x)
    softmax = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    attacked = x + 0.15 * np.sign((softmax - np.eye(4)[y]) @ params["weight"])
    loss = IntervalCrossEntropy(0.2, subset=0.25)
    around = IntervalCrossEntropy(0.05).worst_logits(model, params, attacked, y, 0.05)
    np.testing.assert_allclose(loss.worst_logits(model, params, x, y, 0.2), around, rtol=1e-12)
    whole = IntervalCrossEntropy(0.2).worst_logits(model, params, x, y, 0.2)
    sign = np.where(np.eye(4)[y] == 1, -1, 1)
    assert (sign * around <= sign * whole + 1e-12).all()


def test_kappa_zero_leaves_the_natural_term_out() -> None:
    loss = IntervalCrossEntropy(0.1, kappa=0.0, ramp=0.5)
    assert [loss.coefficients(f) for f in (0.0, 0.25, 1.0)] == [(0.0, 0.0), (0.05, 0.0), (0.1, 0.0)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradient_of_the_certified_loss_is_the_central_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    params, x, y = float64_params(seed), rng.uniform(size=(6, 3)), rng.integers(0, 4, 6)
    loss = IntervalCrossEntropy(0.1, smoothing=0.1)

    def loss_of(params):
        return loss(MODEL, params, x, y, 0.07, 0.4)

    value, grads = value_and_grad(loss_of)(params)
    assert value == pytest.approx(float(loss_of(params)), rel=1e-12)
    direction = pytree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    h = 1e-6
    ahead = loss_of(pytree.map(lambda p, d: p + h * d, params, direction))
    behind = loss_of(pytree.map(lambda p, d: p - h * d, params, direction))
    slope = sum(np.vdot(g, d) for g, d in zip(*(pytree.flatten(t)[0] for t in (grads, direction)), strict=True))
    assert (ahead - behind) / (2 * h) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"epsilon": 0.0}, "epsilon: expected a number above 0, found 0.0"),
        ({"epsilon": 0.1, "kappa": 2.0}, "kappa: expected a number in [0, 1], found 2.0"),
        ({"epsilon": 0.1, "warmup": 1.0}, "warmup: expected a number in [0, 1), found 1.0"),
        ({"epsilon": 0.1, "warmup": 0.5, "ramp": 0.6}, "ramp: expected a number in [0, 1 - warmup], found 0.6"),
        ({"epsilon": 0.1, "smoothing": -0.1}, "smoothing: expected a number in [0, 1), found -0.1"),
        ({"epsilon": 0.1, "subset": 1.5}, "subset: expected a number in [0, 1], found 1.5"),
        ({"epsilon": 0.1, "minimum": 1.0}, "maximum: expected a number above 1.0, found 1.0"),
    ],
)
def test_refused_settings(settings: dict[str, float], reason: str) -> None:
    with pytest.raises(TlverifyError, match=re.escape(f"IntervalCrossEntropy: {reason}")):
        IntervalCrossEntropy(**settings)
