"""Optimizers against their formulas worked by hand in float64, and the schedules."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tlverify.graph import TlverifyError
from tlverify.train import optim

P, G = 2.0, (0.5, -1.0)
"""A parameter and two gradients."""


def two_steps(optimizer: optim.Optimizer, lr: float | None = None) -> list[float]:
    params = {"w": np.array([P])}
    state = optimizer.init(params)
    path = []
    for g in G:
        params, state = optimizer.update({"w": np.array([g])}, state, params, lr)
        path.append(float(params["w"][0]))
    return path


def adam_by_hand(lr: float, first: float, second: float, eps: float, decay: float) -> list[float]:
    p, m, v, path = P, 0.0, 0.0, []
    for step, g in enumerate(G, start=1):
        g = g + decay * p
        m, v = first * m + (1 - first) * g, second * v + (1 - second) * g * g
        p -= lr * (m / (1 - first**step)) / (math.sqrt(v / (1 - second**step)) + eps)
        path.append(p)
    return path


@pytest.mark.parametrize(
    ("optimizer", "path"),
    [
        # 2 - 0.1 * 0.5; then - 0.1 * -1
        (optim.SGD(0.1), [1.95, 2.05]),
        # v = 0.5, then 0.9 * 0.5 - 1 = -0.55
        (optim.SGD(0.1, momentum=0.9), [1.95, 2.005]),
        # 0.5 + 0.9 * 0.5 = 0.95, then -1 + 0.9 * -0.55 = -1.495
        (optim.SGD(0.1, momentum=0.9, nesterov=True), [1.905, 2.0545]),
        # 0.5 + 0.01 * 2 = 0.52, then -1 + 0.01 * 1.948 = -0.98052
        (optim.SGD(0.1, weight_decay=0.01), [1.948, 2.046052]),
        (optim.Adam(), adam_by_hand(1e-3, 0.9, 0.999, 1e-8, 0.0)),
        (optim.Adam(0.1, (0.5, 0.8), 1e-3, 0.2), adam_by_hand(0.1, 0.5, 0.8, 1e-3, 0.2)),
    ],
)
def test_two_steps_by_hand(optimizer: optim.Optimizer, path: list[float]) -> None:
    np.testing.assert_allclose(two_steps(optimizer), path, rtol=0, atol=1e-13)


@pytest.mark.parametrize("optimizer", [optim.SGD(0.1, momentum=0.5), optim.Adam(0.1)])
def test_lr_of_one_call(optimizer: optim.Optimizer) -> None:
    other = type(optimizer)(**{**vars(optimizer), "lr": 0.3})
    assert two_steps(optimizer, lr=0.3) == two_steps(other)


@pytest.mark.parametrize("optimizer", [optim.SGD(0.1, momentum=0.9, weight_decay=0.1), optim.Adam(0.1)])
def test_float32_stays_and_arguments_are_not_changed(optimizer: optim.Optimizer) -> None:
    params = {"a": np.ones((2, 3), np.float32), "b": {"c": np.ones(2, np.float32)}}
    grads = {"a": np.full((2, 3), 0.5, np.float32), "b": {"c": np.ones(2, np.float32)}}
    state = optimizer.init(params)
    moved, _ = optimizer.update(grads, state, params)
    assert moved["a"].dtype == moved["b"]["c"].dtype == np.float32
    assert (params["a"] == 1).all()
    again, _ = optimizer.update(grads, state, params)
    np.testing.assert_array_equal(moved["a"], again["a"])


@pytest.mark.parametrize("optimizer", [optim.SGD(0.1), optim.SGD(0.05, 0.9, True), optim.Adam(0.1)])
def test_a_quadratic_is_minimised(optimizer: optim.Optimizer) -> None:
    params = np.array([3.0, -2.0])
    state = optimizer.init(params)
    for _ in range(300):
        params, state = optimizer.update(params * np.array([1.0, 4.0]), state, params)
    assert np.abs(params).max() < 1e-3


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: optim.SGD(0.0), "SGD: lr: expected above 0, found 0.0"),
        (lambda: optim.SGD(0.1, momentum=1.0), r"SGD: momentum: expected in \[0, 1\), found 1.0"),
        (lambda: optim.SGD(0.1, nesterov=True), "SGD: momentum: expected above 0 with nesterov, found 0.0"),
        (lambda: optim.SGD(0.1, weight_decay=-1.0), "SGD: weight_decay: expected 0 or more, found -1.0"),
        (lambda: optim.Adam(-1.0), "Adam: lr: expected above 0, found -1.0"),
        (lambda: optim.Adam(betas=(0.9, 1.0)), r"Adam: betas: expected in \[0, 1\), found \(0.9, 1.0\)"),
        (lambda: optim.Adam(eps=0.0), "Adam: eps: expected above 0, found 0.0"),
        (lambda: optim.Adam(weight_decay=-1.0), "Adam: weight_decay: expected 0 or more, found -1.0"),
    ],
)
def test_refused_settings(make, reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        make()


def test_schedules() -> None:
    fractions = (0.0, 0.5, 1.0)
    assert [optim.constant(f) for f in fractions] == [1.0, 1.0, 1.0]
    np.testing.assert_allclose([optim.cosine(f) for f in fractions], [1.0, 0.5, 0.0], atol=1e-15)
