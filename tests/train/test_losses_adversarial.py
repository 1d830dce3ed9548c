"""Attacks stay in their box and raise the loss; what is trained on them is robust."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import grad, nn, pytree
from tlverify.graph import TlverifyError
from tlverify.train import Trainer, data, losses, optim
from tlverify.train.losses import attacked

rng = np.random.default_rng(0)
POINTS = rng.uniform(size=(200, 2)).astype(np.float32)
DATA = data.tensor_dataset(POINTS, (POINTS.sum(-1) > 1).astype(int))
MODEL = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
CONV = nn.Sequential(nn.Reshape((1, 1, 2), 1), nn.Conv2d(1, 8, (1, 2)), nn.ReLU(), nn.Flatten(-3), nn.Linear(8, 2))
EPSILON = 0.1


def trained(loss, model=MODEL):
    return Trainer(model, optimizer=optim.Adam(0.02), loss=loss).train(DATA, epochs=30, batch_size=50)


@pytest.fixture(scope="module")
def plain():
    return trained(None)


def accuracy_under_attack(result, steps: int = 20) -> float:
    changed = attacked(result.trainer.model, result.params, DATA.x, DATA.y, EPSILON, steps)
    return float((result.outputs(changed).argmax(-1) == DATA.y).mean())


def test_an_attack_stays_in_its_box_and_raises_the_loss(plain) -> None:
    changed = attacked(MODEL, plain.params, DATA.x, DATA.y, EPSILON, 5)
    assert np.abs(changed - DATA.x).max() <= EPSILON + 1e-6
    assert changed.min() >= 0
    assert changed.max() <= 1
    before, after = (losses.cross_entropy(plain.outputs(x), DATA.y) for x in (DATA.x, changed))
    assert after > before
    assert accuracy_under_attack(plain) < plain.accuracy(DATA)


def test_no_derivative_passes_through_the_attack(plain) -> None:
    loss = losses.AdversarialCrossEntropy(EPSILON, steps=3)
    changed = attacked(MODEL, plain.params, DATA.x, DATA.y, EPSILON, 3)
    whole = grad(lambda p: loss(MODEL, p, DATA.x, DATA.y))(plain.params)
    fixed = grad(lambda p: losses.cross_entropy(MODEL(p, changed), DATA.y))(plain.params)
    pytree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole, fixed)


@pytest.mark.parametrize("model", [MODEL, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize(
    "loss",
    [losses.AdversarialCrossEntropy(EPSILON, ramp=0.3), losses.MixedCrossEntropy(EPSILON, 0.5)],
    ids=lambda loss: type(loss).__name__,
)
def test_training_on_attacks_lowers_their_loss(loss, model) -> None:
    plain, robust = trained(None, model), trained(loss, model)
    final = losses.AdversarialCrossEntropy(EPSILON, steps=20)
    scores = [final(model, result.params, DATA.x, DATA.y) for result in (plain, robust)]
    assert scores[1] < 0.95 * scores[0]


def test_the_mixture_is_between_its_parts(plain) -> None:
    arguments = MODEL, plain.params, DATA.x, DATA.y
    ends = [losses.MixedCrossEntropy(EPSILON, alpha)(*arguments) for alpha in (0.0, 1.0)]
    np.testing.assert_allclose(ends[0], losses.AdversarialCrossEntropy(EPSILON, 3)(*arguments), rtol=1e-6)
    np.testing.assert_allclose(ends[1], losses.IntervalCrossEntropy(EPSILON, kappa=0.0)(*arguments), rtol=1e-6)
    np.testing.assert_allclose(losses.MixedCrossEntropy(EPSILON, 0.25)(*arguments), 0.75 * ends[0] + 0.25 * ends[1])
    assert losses.MixedCrossEntropy(EPSILON).coefficients(0.25) == (EPSILON / 2,)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: losses.AdversarialCrossEntropy(0.0), "AdversarialCrossEntropy: epsilon: expected a number above 0"),
        (lambda: losses.AdversarialCrossEntropy(0.1, steps=0), "AdversarialCrossEntropy: steps"),
        (lambda: losses.MixedCrossEntropy(0.1, alpha=2.0), r"MixedCrossEntropy: alpha: expected a number in \[0, 1\]"),
        (lambda: losses.MixedCrossEntropy(0.1, ramp=2.0), "AdversarialCrossEntropy: ramp"),
    ],
)
def test_settings(make, reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        make()
