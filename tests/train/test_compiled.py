"""A whole step of training as machine code: what it computes, the states it gives, and where it cannot be."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace

import numpy as np
import pytest

from tlverify.core import models, nn, ops, pytree
from tlverify.graph import TlverifyError
from tlverify.train import data, losses, optim, planned
from tlverify.train.callbacks import Callbacks
from tlverify.train.checkpoint import Checkpoints
from tlverify.train.packed import PackedState
from tlverify.train.state import TrainingError, TrainState
from tlverify.train.trainer import Trainer

RNG = np.random.default_rng(0)
DENSE = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
X, Y = RNG.normal(size=(32, 6)).astype(np.float32), RNG.integers(0, 3, 32)
TREES = [
    optim.SGD(0.1, momentum=0.9, nesterov=True),
    optim.Adam(0.01, weight_decay=0.1),
    optim.AdamW(0.01),
    optim.Adagrad(0.01),
    optim.RMSprop(0.01),
    optim.Adadelta(1.0),
    optim.Clipped(optim.Adam(0.03), optim.ClipNorm(0.1)),
    optim.Clipped(optim.SGD(0.1), optim.ClipValue(0.01)),
    optim.Groups(optim.Adam(0.01), {"*.bias": optim.SGD(0.1), "2.weight": optim.Frozen()}),
]


def steps(model, optimizer, batch, execution, count=6, **settings):
    """States and losses."""
    stepper = Trainer(model, optimizer=optimizer, **settings, execution=execution).stepper(count, optim.cosine)
    state, told = stepper.init(np.random.default_rng(0)), []
    for _ in range(count):
        state, metrics = stepper(state, batch)
        told.append(metrics.loss)
    return state, told


def same(model, optimizer=TREES[0], batch=(X, Y), rtol=1e-4, **settings):
    native, native_losses = steps(model, optimizer, batch, "native", **settings)
    usual, usual_losses = steps(model, optimizer, batch, "compiled", **settings)
    np.testing.assert_allclose(native_losses, usual_losses, rtol)
    eager, eager_losses = steps(model, optimizer, batch, "eager", **settings)
    assert usual_losses == eager_losses
    for found, expected in zip(pytree.flatten(usual)[0], pytree.flatten(eager)[0], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert isinstance(native, PackedState)
    assert isinstance(usual, PackedState)
    assert not isinstance(eager, PackedState)
    (a, first), (b, second) = pytree.flatten(native), pytree.flatten(usual)
    assert first == second
    for found, expected in zip(a, b, strict=True):
        np.testing.assert_allclose(found, expected, rtol, 1e-5)
        assert type(found) is type(expected)


@pytest.mark.parametrize("optimizer", TREES, ids=lambda o: type(o).__name__)
def test_steps_are_those_of_the_plan(optimizer):
    same(DENSE, optimizer)


@pytest.mark.parametrize("block", [16, 64])
def test_flat_arrays_are_worked_on_in_blocks(block, monkeypatch):
    monkeypatch.setattr(planned, "BLOCK", block)
    same(DENSE, optim.Clipped(optim.AdamW(0.01), optim.ClipNorm(0.1)))


@pytest.mark.parametrize(
    ("model", "x"),
    [
        (nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Dropout(0.3), nn.Linear(8, 3)), X),
        (models.cnn((1, 9, 8), 3, (4, 6), 12), RNG.normal(size=(32, 1, 9, 8)).astype(np.float32)),
        (models.resnet(3, 3, (1, 1), (4, 8)), RNG.normal(size=(32, 3, 8, 8)).astype(np.float32)),
        (models.vit((3, 8, 8), 4, 3, 16, 2, 2), RNG.normal(size=(32, 3, 8, 8)).astype(np.float32)),
        (models.recurrent_head(nn.LSTM(3, 4, 2), 3), RNG.normal(size=(32, 5, 3)).astype(np.float32)),
        (models.recurrent_head(nn.GRU(3, 4), 3), RNG.normal(size=(32, 5, 3)).astype(np.float32)),
        (models.kan((6, 4, 3)), X / 3),
    ],
    ids=["dropout", "cnn", "resnet", "vit", "lstm", "gru", "kan"],
)
def test_models(model, x):
    same(model, optim.SGD(0.05, momentum=0.9), (x, Y), rtol=1e-3)


@pytest.mark.parametrize("execution", ["native", "compiled"])
def test_an_optimizer_that_reads_its_gradients_is_not_traced(execution):
    optimizer = optim.Clipped(optim.Adam(0.01), optim.ClipPercentile())
    model = Trainer(DENSE, optimizer=optimizer, execution="auto" if execution == "native" else execution)
    stepper = model.stepper(1000)
    state, metrics = stepper(stepper.init(RNG), (X, Y))
    assert not isinstance(state, PackedState)
    assert np.isfinite(metrics.loss)
    assert stepper.how.startswith("compiled: a traced Tensor has no 'copy'")


@pytest.mark.parametrize("loss", [losses.IntervalCrossEntropy(0.01), losses.CrownCrossEntropy(0.01)])
def test_certified_losses(loss):
    same(DENSE, optim.Adam(0.01), (np.abs(X) % 1, Y), loss=loss)


def test_a_language_model():
    tokens = RNG.integers(0, 11, (4, 6))
    batch = tokens, np.roll(tokens, 1, 1)
    same(
        models.gpt(11, 8, features=16, heads=2, depth=1),
        optim.SGD(0.1),
        batch,
        task="custom",
        loss=losses.cross_entropy,
    )


def test_float64_and_inputs_of_another_dtype():
    same(DENSE, optim.Adam(0.01), (X.astype(np.float64), Y), rtol=1e-9, dtype="float64")
    same(DENSE, optim.Adam(0.01), (X.astype(np.float64), Y))
    wide = RNG.normal(size=(3000, 6))
    same(DENSE, optim.Adam(0.01), (wide[::2], RNG.integers(0, 3, 1500)))


def test_a_state_keeps_its_values():
    stepper = Trainer(DENSE, optimizer=optim.Adam(0.01), execution="native").stepper(100)
    state = stepper.init(np.random.default_rng(0))
    states, kept = [state], [copy.deepcopy(state.params)]
    for number in range(21):
        state, _ = stepper(state, (X, Y))
        states.append(state)
        if number % 3:
            kept.append(copy.deepcopy(state.params))
        else:
            kept.append(None)
            states[-1] = None
    for old, params in zip(states, kept, strict=True):
        if params is not None:
            for a, b in zip(pytree.flatten(old.params)[0], pytree.flatten(params)[0], strict=True):
                np.testing.assert_array_equal(a, b)
    # From the same state the same step.
    again, _ = stepper(states[-2], (X, Y))
    for a, b in zip(pytree.flatten(again)[0], pytree.flatten(state)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_memory_is_used_again():
    stepper = Trainer(DENSE, optimizer=optim.Adam(0.01), execution="native").stepper(100)
    state = stepper.init(np.random.default_rng(0))
    places = set()
    for _ in range(50):
        state, _ = stepper(state, (X, Y))
        places.add(state.memory.address)
    assert len(places) == 2  # which take turns
    held = [stepper(state, (X, Y))[0] for _ in range(9)]
    assert len({one.memory.address for one in held}) == 9


def test_a_packed_state_is_a_state():
    stepper = Trainer(DENSE, execution="native").stepper(10)
    state, _ = stepper(stepper.init(np.random.default_rng(0)), (X, Y))
    assert isinstance(state, TrainState)
    other = replace(state, step=7)
    assert type(other) is TrainState
    assert other.step == 7
    assert other.params is state.params
    assert pytree.flatten(other)[1] == pytree.flatten(state)[1]
    assert pytree.map(lambda leaf: leaf, state).step == 1
    # Batches of other shapes are other programs on the same states.
    state, _ = stepper(state, (X[:5], Y[:5]))
    state, _ = stepper(other, (X, Y))
    assert state.step == 8
    # Several batches of one shape are a program, of several shapes not.
    state, _ = stepper(state, (X[:16], Y[:16]), (X[16:], Y[16:]))
    assert (type(state), state.step) == (PackedState, 9)
    state, _ = stepper(state, (X[:16], Y[:16]), (X[16:], Y[16:]))
    state, _ = stepper(state, (X[:16], Y[:16]), (X[16:30], Y[16:30]))
    assert (type(state), state.step) == (TrainState, 11)


def test_a_training_that_was_cut_off_goes_on_from_its_checkpoint(tmp_path):
    points = data.tensor_dataset(X, Y)
    trainer = Trainer(DENSE, execution="native", seed=3)

    def stop(state, metrics):
        if state.step == 5:
            raise KeyboardInterrupt

    settings = {"steps": 12, "batch_size": 8, "checkpoints": Checkpoints(tmp_path, every=2)}
    with pytest.raises(KeyboardInterrupt):
        trainer.train(points, **settings, callbacks=Callbacks(step=stop))
    resumed = trainer.train(points, **settings)
    whole = trainer.train(points, steps=12, batch_size=8)
    assert resumed.report.losses == whole.report.losses
    for a, b in zip(pytree.flatten(resumed.params)[0], pytree.flatten(whole.params)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_loss_that_is_not_finite_is_explained():
    trainer = Trainer(DENSE, optimizer=optim.SGD(1e30), execution="native")
    with pytest.raises(TrainingError, match=r"step \d: the loss is (nan|inf): .*; lower the learning rate"):
        trainer.train(data.tensor_dataset(X, Y), steps=5, batch_size=32)


class Reading(optim.SGD):
    """An optimizer that looks at its gradients."""

    def update(self, grads, state, params, lr=None):
        largest = max(float(ops.max(ops.abs(leaf))) for leaf in pytree.flatten(grads)[0])
        return super().update(grads, state, params, lr if largest < 1e9 else 0.0)


def test_what_cannot_be_traced_runs_as_a_plan_and_the_report_says_so():
    points = data.tensor_dataset(X, Y)
    with pytest.raises(TlverifyError, match=r"execution native: .* has no value while it is traced.*; take execution="):
        Trainer(DENSE, optimizer=Reading(0.1), execution="native").train(points, steps=2)
    report = Trainer(DENSE, optimizer=Reading(0.1)).train(points, steps=200).report
    assert "has no value while it is traced" in report.execution
    assert "(compiled: " in str(report)


def test_auto(monkeypatch):
    points = data.tensor_dataset(X, Y)
    assert Trainer(DENSE).train(points, steps=200).report.execution == "native"
    assert Trainer(DENSE).train(points, steps=20).report.execution == "compiled: fewer than 200 steps"
    assert Trainer(DENSE, execution="compiled").train(points, steps=20).report.execution == "compiled"
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    monkeypatch.setattr("tlverify.core.native.installed", lambda: False)
    assert "tlverify[native]" in Trainer(DENSE).train(points, steps=200).report.execution
    with pytest.raises(TlverifyError, match=r"native: it needs .*; pip install 'tlverify\[native\]'"):
        Trainer(DENSE, execution="native").train(points, steps=2)


CONVOLUTIONAL = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1),
    nn.ReLU(),
    nn.Conv2d(16, 24, 3, padding=1),
    nn.ReLU(),
    nn.Flatten(-3),
    nn.Linear(24 * 36, 3),
)


def test_winograd_convolutions():
    batch = RNG.normal(size=(8, 3, 6, 6)).astype(np.float32), RNG.integers(0, 3, 8)
    direct, expected = steps(CONVOLUTIONAL, optim.Adam(0.01), batch, "native")
    found, told = steps(CONVOLUTIONAL, optim.Adam(0.01), batch, "native", convolution="winograd")
    np.testing.assert_allclose(told, expected, 1e-3)
    assert told[-1] < 0.9 * told[0]
    leaves = [pytree.flatten(state.params)[0] for state in (found, direct)]
    assert any((a != b).any() for a, b in zip(*leaves, strict=True))
    stepper = Trainer(CONVOLUTIONAL, execution="native", convolution="winograd").stepper(2)
    _, metrics = stepper(stepper.init(np.random.default_rng(0)), batch, batch)
    np.testing.assert_allclose(metrics.loss, expected[0], 1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"execution": "auto"}, "needs execution='native', found 'auto'"),
        ({"execution": "native", "backend": "cupy"}, "needs backend='numpy', found 'cupy'"),
        ({"execution": "native", "dtype": "float64"}, "needs dtype='float32', found 'float64'"),
    ],
)
def test_winograd_where_it_is_not(settings, message):
    with pytest.raises(TlverifyError, match=f"convolution winograd: {message}"):
        Trainer(CONVOLUTIONAL, **settings, convolution="winograd")


def test_unknown_convolution():
    with pytest.raises(TlverifyError, match="convolution: expected direct or winograd, found 'fft'"):
        Trainer(DENSE, convolution="fft")
