"""Losses and their gradients against PyTorch's, in float64; and their values where numbers are extreme."""

import numpy as np
import pytest

from tlverify.core import grad, value_and_grad
from tlverify.graph import ShapeError, TlverifyError
from tlverify.train import losses

rng = np.random.default_rng(41)
X, Y = rng.normal(size=(6, 4)) * 2, rng.normal(size=(6, 4))
LABELS = np.array([0, 3, 1, 1, 2, 0])
LOG_P = X - np.log(np.exp(X).sum(-1, keepdims=True))
P = rng.uniform(0.05, 0.95, (6, 4))
SIGNS = np.where(Y > 0, 1.0, -1.0)
WEIGHT = [0.5, 2.0, 1.0, 3.0]
SEQUENCE, TOKENS = rng.normal(size=(2, 5, 4)), rng.integers(0, 4, (2, 5))


def cases(F, tensor):
    """name: (ours, PyTorch's, argument)."""
    labels, y = tensor(LABELS), tensor(Y)
    return {
        "mse": (lambda x: losses.mse(x, Y), lambda x: F.mse_loss(x, y), X),
        "mae": (lambda x: losses.mae(x, Y), lambda x: F.l1_loss(x, y), X),
        "huber": (lambda x: losses.huber(x, Y, 0.7), lambda x: F.huber_loss(x, y, delta=0.7), X),
        "nll": (lambda x: losses.nll(x, LABELS), lambda x: F.nll_loss(x, labels), LOG_P),
        "nll weighted": (
            lambda x: losses.nll(x, LABELS, WEIGHT, 1),
            lambda x: F.nll_loss(x, labels, tensor(np.array(WEIGHT)), ignore_index=1),
            LOG_P,
        ),
        "cross_entropy": (lambda x: losses.cross_entropy(x, LABELS), lambda x: F.cross_entropy(x, labels), X),
        "cross_entropy soft": (
            lambda x: losses.cross_entropy(x, P),
            lambda x: F.cross_entropy(x, tensor(P)),
            X,
        ),
        "cross_entropy smooth": (
            lambda x: losses.cross_entropy(x, LABELS, 0.1),
            lambda x: F.cross_entropy(x, labels, label_smoothing=0.1),
            X,
        ),
        "cross_entropy all": (
            lambda x: losses.cross_entropy(x, LABELS, 0.1, WEIGHT, 0),
            lambda x: F.cross_entropy(x, labels, tensor(np.array(WEIGHT)), ignore_index=0, label_smoothing=0.1),
            X,
        ),
        "cross_entropy sequence": (
            lambda x: losses.cross_entropy(x, TOKENS, ignore=2),
            lambda x: F.cross_entropy(x.transpose(1, 2), tensor(TOKENS), ignore_index=2),
            SEQUENCE,
        ),
        "bce": (lambda x: losses.bce(x, P), lambda x: F.binary_cross_entropy(x, tensor(P)), P[::-1].copy()),
        "bce_with_logits": (
            lambda x: losses.bce_with_logits(x, P, 2.0),
            lambda x: F.binary_cross_entropy_with_logits(x, tensor(P), pos_weight=tensor(np.array(2.0))),
            X,
        ),
        "hinge": (
            lambda x: losses.hinge(x, SIGNS),
            lambda x: F.relu(1 - x * tensor(SIGNS)).mean(),
            X,
        ),
        "multiclass_hinge": (
            lambda x: losses.multiclass_hinge(x, LABELS, 0.8),
            lambda x: F.multi_margin_loss(x, labels, margin=0.8),
            X,
        ),
        "poisson": (
            lambda x: losses.poisson(x, np.abs(Y)),
            lambda x: F.poisson_nll_loss(x, tensor(np.abs(Y))),
            X,
        ),
        "cosine": (
            lambda x: losses.cosine(x, Y),
            lambda x: F.cosine_embedding_loss(x, y, tensor(np.ones(6))),
            X,
        ),
        "log_cosh": (lambda x: losses.log_cosh(x, Y), lambda x: (x - y).cosh().log().mean(), X),
        "kl_divergence": (
            lambda x: losses.kl_divergence(x, P),
            lambda x: F.kl_div(x, tensor(P), reduction="batchmean"),
            LOG_P,
        ),
    }


@pytest.mark.parametrize("name", cases(None, lambda x: x))
def test_value_and_gradient(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
    ours, theirs, x = cases(torch.nn.functional, torch.tensor)[name]
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    expected.backward()
    value, gradient = value_and_grad(ours)(x)
    np.testing.assert_allclose(value, expected.item(), rtol=1e-9)
    np.testing.assert_allclose(gradient, given.grad.numpy(), rtol=1e-7, atol=1e-10)


EXTREME = np.array([[-1e4, 0.0, 1e4], [1e4, 1e4, -1e4]])


@pytest.mark.parametrize(
    ("loss", "x", "expected"),
    [
        (lambda x: losses.cross_entropy(x, np.array([2, 0])), EXTREME, np.log(2) / 2),
        (lambda x: losses.cross_entropy(x, np.array([0, 2])), EXTREME, (2e4 + 2e4 + np.log(2)) / 2),
        (lambda x: losses.cross_entropy(x, np.array([1, 1]), ignore=1), EXTREME, 0.0),
        (lambda x: losses.bce_with_logits(x, np.array([[0.0, 0.5, 1.0]] * 2)), EXTREME, (np.log(2) + 2.5e4) / 6),
        (lambda x: losses.bce(x, np.array([1.0, 0.0, 1.0, 0.0])), np.array([1.0, 0.0, 0.0, 1.0]), 50.0),
        (lambda x: losses.log_cosh(x, np.zeros((2, 3))), EXTREME, (5e4 - 5 * np.log(2)) / 6),
        (lambda x: losses.cosine(x, np.ones((2, 3))), np.zeros((2, 3)), 1.0),
        (lambda x: losses.kl_divergence(x, np.array([[0.0, 1.0]])), np.log([[0.5, 0.5]]), np.log(2)),
    ],
)
def test_extreme_values_and_their_gradients_are_finite(loss, x, expected):
    np.testing.assert_allclose(loss(x), expected, rtol=1e-9, atol=1e-12)
    assert np.isfinite(grad(loss)(x)).all()


def test_a_label_that_is_ignored_has_no_gradient():
    labels = np.array([0, -100, 1])
    gradient = grad(lambda x: losses.cross_entropy(x, labels, ignore=-100))(X[:3])
    assert not gradient[1].any()
    assert gradient[[0, 2]].all()
    expected = losses.cross_entropy(X[[0, 2]], labels[[0, 2]])
    np.testing.assert_allclose(losses.cross_entropy(X[:3], labels, ignore=-100), expected)


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: losses.mae(X, Y[:, :1]), ShapeError, r"mae: .* found \[6, 4\] and \[6, 1\]; reshape the targets"),
        (lambda: losses.huber(X, Y, 0), TlverifyError, "huber: delta: expected a number above 0, found 0"),
        (lambda: losses.nll(X, P), ShapeError, r"nll: labels: expected int64 \[6\], found float64\[6, 4\]"),
        (lambda: losses.cross_entropy(X, P, ignore=0), ShapeError, "for weight or ignore, found float64"),
        (lambda: losses.cross_entropy(X, LABELS, weight=[1.0]), ShapeError, "weight: expected 4 factors"),
        (lambda: losses.multiclass_hinge(X, P), ShapeError, r"multiclass_hinge: labels: expected \[6\]"),
        (lambda: losses.cosine(np.float64(1), np.float64(1)), ShapeError, "cosine: expected vectors on the last axis"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()
