"""Steppers that take turns share parameters, and each changes its own part only."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify import Trainer, models, optim
from tlverify.core import pytree
from tlverify.graph import TlverifyError
from tlverify.train import Alternating
from tlverify.train.stepper import Stepper

GAN = models.GAN(2, 3, 8)
SIDES = ("discriminator", "generator")


def stepper(side: str, other: str) -> Stepper:
    optimizer = optim.Groups(optim.Adam(0.01), {f"{other}.*": optim.Frozen()})
    return Trainer(GAN, "custom", optimizer, models.Turn(GAN, side)).stepper(10)


def test_each_sees_what_the_one_before_left_and_changes_its_part() -> None:
    rng = np.random.default_rng(0)
    batch = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2)).astype(np.float32)
    game = Alternating([stepper(*SIDES), stepper(*SIDES[::-1])])
    start = game.init(np.random.default_rng(1))
    (judge, maker), metrics = game(start, batch)
    assert (judge.step, maker.step) == (1, 1)
    assert judge.params is maker.params
    assert pytree.flatten(game.params((judge, maker)))[1] == pytree.flatten(judge.params)[1]

    first, first_metrics = game.steppers[0](start[0], batch)
    assert first_metrics == metrics[0]
    for a, b in zip(*(pytree.flatten(p["discriminator"])[0] for p in (first.params, judge.params)), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(*(pytree.flatten(p["generator"])[0] for p in (start[0].params, first.params)), strict=True):
        np.testing.assert_array_equal(a, b)
    # The generator is judged by the discriminator after its step.
    expected = GAN.generator_loss({**start[0].params, "discriminator": judge.params["discriminator"]}, batch[1])
    assert metrics[1].loss == pytest.approx(float(expected), rel=1e-5)
    assert not np.array_equal(judge.params["generator"]["0"]["weight"], start[0].params["generator"]["0"]["weight"])


def test_errors() -> None:
    with pytest.raises(TlverifyError, match="expected one stepper or more, found none"):
        Alternating([])
    game = Alternating([stepper(*SIDES)])
    with pytest.raises(TlverifyError, match="expected 1 states, found 0"):
        game([], (np.zeros((5, 3), np.float32), np.zeros((5, 2), np.float32)))
