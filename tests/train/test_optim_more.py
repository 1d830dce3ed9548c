"""What has no counterpart in PyTorch, or is checked by its own law: projections, groups, percentiles, settings."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import pytree
from tlverify.graph import TlverifyError
from tlverify.train import optim
from tlverify.train.optim.matrix import orthogonalized

rng = np.random.default_rng(37)
PARAMS = {"bias": rng.normal(size=6), "weight": rng.normal(size=(6, 9))}
GRADS = {"bias": rng.normal(size=6), "weight": rng.normal(size=(6, 9))}
EVERY = [
    optim.SGD(0.1, 0.9),
    optim.Adagrad(0.1),
    optim.RMSprop(0.1, momentum=0.5, centered=True),
    optim.Adam(0.1),
    optim.AdamW(0.1),
    optim.Adadelta(0.1),
    optim.Muon(0.1),
    optim.LowRank(optim.Adam(0.1), rank=2),
    optim.Groups(optim.Adam(0.1), {"*bias": optim.SGD(0.2)}),
    optim.Clipped(optim.Adam(0.1), optim.ClipPercentile(50)),
]


@pytest.mark.parametrize("optimizer", EVERY, ids=lambda o: type(o).__name__)
def test_update_gives_new_values_and_takes_a_learning_rate(optimizer: optim.Optimizer) -> None:
    before = pytree.map(np.copy, PARAMS)
    state = optimizer.init(PARAMS)
    moved, following = optimizer.update(GRADS, state, PARAMS)
    pytree.map(np.testing.assert_array_equal, PARAMS, before)
    half, _ = optimizer.update(GRADS, state, PARAMS, optimizer.lr / 2)
    for name in PARAMS:
        assert moved[name].shape == PARAMS[name].shape
        np.testing.assert_allclose(half[name] - PARAMS[name], (moved[name] - PARAMS[name]) / 2, rtol=1e-6, atol=1e-12)
    leaves, tree = pytree.flatten(following)
    again, _ = optimizer.update(GRADS, pytree.unflatten(tree, leaves), moved)
    pytree.map(np.testing.assert_array_equal, again, optimizer.update(GRADS, following, moved)[0])


def test_orthogonalized_brings_singular_values_near_one() -> None:
    for shape in ((6, 9), (9, 6)):
        values = np.linalg.svd(orthogonalized(rng.normal(size=shape)), compute_uv=False)
        assert 0.6 < values.min() <= values.max() < 1.3


def test_low_rank_moves_in_the_span_of_the_first_singular_vectors() -> None:
    optimizer = optim.LowRank(optim.SGD(1.0), rank=2, scale=1.0)
    state = optimizer.init(PARAMS)
    moved, state = optimizer.update(GRADS, state, PARAMS)
    left, sizes, right = np.linalg.svd(GRADS["weight"], full_matrices=False)
    best = (left[:, :2] * sizes[:2]) @ right[:2]
    np.testing.assert_allclose(PARAMS["weight"] - moved["weight"], best)
    np.testing.assert_allclose(PARAMS["bias"] - moved["bias"], GRADS["bias"])
    assert state.bases[1].shape == (6, 2)
    tall = {"w": PARAMS["weight"].T}
    moved, _ = optimizer.update({"w": GRADS["weight"].T}, optimizer.init(tall), tall)
    np.testing.assert_allclose(tall["w"] - moved["w"], best.T)


def test_low_rank_keeps_its_basis_for_a_while() -> None:
    optimizer = optim.LowRank(optim.Adam(0.1), rank=2, every=2)
    state, params, bases = optimizer.init(PARAMS), PARAMS, []
    for _ in range(3):
        grads = pytree.map(lambda p: rng.normal(size=p.shape), PARAMS)
        params, state = optimizer.update(grads, state, params)
        bases.append(state.bases[1])
    assert bases[0] is bases[1]
    assert not np.allclose(bases[1], bases[2])
    assert state.inner.mean[1].shape == (2, 9)


def test_frozen_parameters_stay() -> None:
    optimizer = optim.Groups(optim.SGD(0.1), {"weight": optim.Frozen()})
    moved, _ = optimizer.update(GRADS, optimizer.init(PARAMS), PARAMS)
    assert moved["weight"] is PARAMS["weight"]
    np.testing.assert_allclose(moved["bias"], PARAMS["bias"] - 0.1 * GRADS["bias"])


def test_percentile_of_the_norms_so_far() -> None:
    clip = optim.ClipPercentile(50, window=3)
    state = clip.init()
    for size, expected in ((1.0, 1.0), (3.0, 2.0), (5.0, 3.0), (7.0, 5.0)):
        grads, state = clip({"a": np.array([size])}, state)
        assert grads["a"][0] == pytest.approx(expected, rel=1e-5)
    assert state.count == 4
    assert sorted(state.norms) == [3.0, 5.0, 7.0]
    still, _ = clip({"a": np.zeros(1)}, clip.init())
    assert still["a"][0] == 0


def test_global_norm() -> None:
    assert optim.global_norm({"a": np.array([3.0]), "b": np.array([[4.0]])}) == 5


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: optim.Adagrad(0), "Adagrad: lr: expected above 0, found 0"),
        (lambda: optim.Adagrad(lr_decay=-1), "Adagrad: lr_decay: expected 0 or more"),
        (lambda: optim.RMSprop(alpha=1), r"RMSprop: alpha: expected in \[0, 1\)"),
        (lambda: optim.RMSprop(momentum=1), "RMSprop: momentum"),
        (lambda: optim.AdamW(weight_decay=-1), "AdamW: weight_decay: expected 0 or more"),
        (lambda: optim.Adadelta(rho=1), "Adadelta: rho"),
        (lambda: optim.Muon(steps=0), "Muon: steps: expected 1 or more"),
        (lambda: optim.LowRank(rank=0), "LowRank: rank: expected 1 or more"),
        (lambda: optim.ClipNorm(0), "ClipNorm: most: expected above 0"),
        (lambda: optim.ClipPercentile(0), r"ClipPercentile: percentile: expected in \(0, 100\]"),
        (
            lambda: optim.Groups(optim.Adam(), {"wieght": optim.SGD(0.1)}).init(PARAMS),
            "Groups: pattern 'wieght' matches no parameter; they are: bias, weight",
        ),
        (lambda: optim.step((2.0,)), r"step: expected milestones in \[0, 1\]"),
        (lambda: optim.exponential(0), "exponential: expected a final factor above 0"),
        (lambda: optim.warmup(1.0), r"warmup: expected a share in \(0, 1\)"),
        (lambda: optim.cyclic(0), "cyclic: expected one or more cycles"),
        (lambda: optim.one_cycle(0), r"one_cycle: expected a peak in \(0, 1\)"),
        (lambda: optim.linear(-1), "linear: expected a final factor of 0 or more"),
    ],
)
def test_settings_out_of_range(make, reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        make()
