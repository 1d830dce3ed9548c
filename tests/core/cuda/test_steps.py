"""A whole step of training as kernels of a GPU, run here on the processor: the states and losses of the plan."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import models, nn, pytree
from tlverify.train import losses, optim
from tlverify.train.backend import Backend
from tlverify.train.recorded import RecordedStep
from tlverify.train.trainer import Trainer

from .host import Host
from .test_ops import needs_compiler

RNG = np.random.default_rng(0)
DENSE = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
NOISY = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.3), nn.Linear(8, 3))
SGD = {"optimizer": optim.SGD(0.1)}
X, Y = RNG.normal(size=(32, 6)).astype(np.float32), RNG.integers(0, 3, 32)
IMAGES = RNG.normal(size=(32, 1, 9, 8)).astype(np.float32)
TOKENS = RNG.integers(0, 11, (4, 6))
GPT = models.gpt(11, 8, features=16, heads=2, depth=1)
HOST = Host()
EMULATED = Backend(np.asarray, lambda: HOST, lambda whole, layout: RecordedStep(whole, layout, HOST))
CASES = {
    "clipped": (DENSE, X, Y, {"optimizer": optim.Clipped(optim.Adam(0.03), optim.ClipNorm(0.1))}),
    "momentum": (DENSE, X, Y, {"optimizer": optim.SGD(0.1, momentum=0.9, nesterov=True)}),
    "dropout": (NOISY, X, Y, SGD),
    "cnn": (models.cnn((1, 9, 8), 3, (4, 6), 12), IMAGES, Y, {"optimizer": optim.AdamW(0.01)}),
    "intervals": (DENSE, np.abs(X) % 1, Y, {"loss": losses.IntervalCrossEntropy(0.01)}),
    "crown": (DENSE, np.abs(X) % 1, Y, {"loss": losses.CrownCrossEntropy(0.01)}),
    "lstm": (models.recurrent_head(nn.LSTM(3, 4, 2), 3), RNG.normal(size=(32, 5, 3)).astype(np.float32), Y, {}),
    "gpt": (GPT, TOKENS, np.roll(TOKENS, 1, 1), {"task": "custom", "loss": losses.cross_entropy, **SGD}),
}


def steps(model, batch, settings, backend, count=4):
    """States and losses."""
    execution = "compiled" if backend is None else "native"
    stepper = Trainer(model, **{"optimizer": optim.Adam(0.01), **settings}, execution=execution).stepper(count)
    if backend is not None:
        object.__setattr__(stepper, "backend", backend)
    state, told, states = stepper.init(np.random.default_rng(0)), [], []
    for number in range(count):
        state, metrics = stepper(state, batch)
        told.append(metrics.loss)
        if number % 2:
            states += pytree.flatten(state)[0]
    return states, told


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_the_plan(name):
    model, x, y, settings = CASES[name]
    found, told = steps(model, (x, y), settings, EMULATED)
    expected, losses = steps(model, (x, y), settings, None)
    np.testing.assert_allclose(told, losses, 1e-4)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(b)
        np.testing.assert_allclose(a, b, 1e-3, 1e-4)
