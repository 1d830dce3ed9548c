"""The loss of CROWN-IBP: its schedule, its bounds, and what training with it gives."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tlverify.core import nn, ops, pytree, value_and_grad
from tlverify.graph import TlverifyError
from tlverify.train import Trainer, data, losses, optim
from tlverify.train.losses import CrownCrossEntropy, IntervalCrossEntropy

DENSE = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
CONV = nn.Sequential(
    *(nn.Reshape((1, 1, 3), 1), nn.Conv2d(1, 4, (1, 2)), nn.ReLU(), nn.Conv2d(4, 4, (1, 2)), nn.ReLU()),
    *(nn.Flatten(-3), nn.Linear(4, 4)),
)
MODELS = {"dense": DENSE, "conv": CONV}


def drawn(model, seed):
    rng = np.random.default_rng(seed)
    params = pytree.map(lambda leaf: leaf.astype(np.float64), model.init(rng))
    return params, rng.uniform(size=(6, 3)), rng.integers(0, 4, 6)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_it_is_not_below_any_loss_in_the_box(name, beta):
    model = MODELS[name]
    params, x, y = drawn(model, 2)
    worst = CrownCrossEntropy(0.2, kappa=0.0, beta=beta)(model, params, x, y)
    rng = np.random.default_rng(3)
    for _ in range(50):
        inside = np.clip(x + rng.uniform(-0.2, 0.2, x.shape), 0, 1)
        assert losses.cross_entropy(model(params, inside), y) <= worst + 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_margins_are_between_those_of_intervals_and_the_true_ones(name):
    model = MODELS[name]
    params, x, y = drawn(model, 4)
    loss = CrownCrossEntropy(0.1, slopes="zero")
    crown, interval = (loss.margins(model, params, x, y, 0.1, beta) for beta in (1.0, 0.0))
    worst = IntervalCrossEntropy(0.1).worst_logits(model, params, x, y, 0.1)
    logits = model(params, x)
    rows = np.arange(6)
    assert (worst[rows, y][:, None] - worst <= interval + 1e-12).all()
    assert (interval <= crown + 1e-12).all()
    assert (crown <= logits[rows, y][:, None] - logits + 1e-12).all()
    assert (crown[rows, y] == 0).all()
    assert (crown > interval + 1e-6).any()


def test_radius_zero_is_plain_cross_entropy():
    params, x, y = drawn(DENSE, 1)
    loss = CrownCrossEntropy(0.1, smoothing=0.2)
    plain = float(losses.cross_entropy(DENSE(params, x), y, 0.2))
    for kappa, beta in ((0.0, 1.0), (0.3, 0.5), (1.0, 0.0)):
        assert loss(DENSE, params, x, y, 0.0, kappa, beta) == pytest.approx(plain, rel=1e-12)


def test_the_box_is_clipped_to_the_domain():
    params, _, _ = drawn(DENSE, 0)
    x, y = np.zeros((1, 3)), np.array([0])
    clipped = CrownCrossEntropy(0.5, kappa=0.0, beta=1.0)(DENSE, params, x, y)
    middle = CrownCrossEntropy(0.25, kappa=0.0, beta=1.0, minimum=-9.0, maximum=9.0)(DENSE, params, x + 0.25, y)
    assert clipped == pytest.approx(float(middle), rel=1e-12)


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.0, (0.0, 1.0, 1.0)), (0.2, (0.0, 1.0, 1.0)), (0.4, (0.05, 0.625, 0.6)), (1.0, (0.1, 0.25, 0.2))],
)
def test_schedule(fraction, expected):
    loss = CrownCrossEntropy(0.1, kappa=0.25, beta=0.2, warmup=0.2, ramp=0.4)
    assert loss.coefficients(fraction) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_central_difference(name):
    model = MODELS[name]
    params, x, y = drawn(model, 7)
    loss = CrownCrossEntropy(0.1, smoothing=0.1)

    def loss_of(params):
        return loss(model, params, x, y, 0.07, 0.4, 0.6)

    value, grads = value_and_grad(loss_of)(params)
    assert value == pytest.approx(float(loss_of(params)), rel=1e-12)
    rng = np.random.default_rng(8)
    direction = pytree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    h = 1e-6
    ahead, behind = (loss_of(pytree.map(lambda p, d, s=s: p + s * h * d, params, direction)) for s in (1, -1))
    slope = sum(np.vdot(g, d) for g, d in zip(*(pytree.flatten(t)[0] for t in (grads, direction)), strict=True))
    assert (ahead - behind) / (2 * h) == pytest.approx(slope, rel=1e-5)


DIGITS = {
    "dense": nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)),
    "conv": nn.Sequential(
        *(nn.Reshape((1, 8, 8), 2), nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU()),
        *(nn.Flatten(-3), nn.Linear(32, 10)),
    ),
}


@pytest.mark.parametrize("name", DIGITS)
def test_training_raises_the_certified_share(name):
    """Of digits: for how many do all margins stay above 0 in the ball?"""
    train = data.digits()[0].take(range(600))
    final = CrownCrossEntropy(0.08)

    def share(loss):
        trainer = Trainer(DIGITS[name], optimizer=optim.Adam(0.01), loss=loss)
        result = trainer.train(train, epochs=10, batch_size=100)
        margins = final.margins(DIGITS[name], result.params, train.x, train.y, 0.08, 1.0)
        return float(((margins > 0).sum(-1) == 9).mean())

    assert share(CrownCrossEntropy(0.08, beta=1.0)) > share(None) + 0.1


def test_a_model_without_logits():
    params, x, y = drawn(DENSE, 0)
    with pytest.raises(TlverifyError, match="weights: expected"):
        CrownCrossEntropy(0.1)(lambda p, x: ops.expand_dims(DENSE(p, x), -2), params, x, y)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"epsilon": 0.0}, "IntervalCrossEntropy: epsilon: expected a number above 0, found 0.0"),
        ({"epsilon": 0.1, "beta": 1.5}, "CrownCrossEntropy: beta: expected a number in [0, 1], found 1.5"),
        ({"epsilon": 0.1, "slopes": "best"}, "CrownCrossEntropy: slopes: expected adaptive or zero, found 'best'"),
        ({"epsilon": 0.1, "warmup": 0.5, "ramp": 0.6}, "ramp: expected a number in [0, 1 - warmup], found 0.6"),
    ],
)
def test_refused_settings(settings, reason):
    with pytest.raises(TlverifyError, match=re.escape(reason)):
        CrownCrossEntropy(**settings)
