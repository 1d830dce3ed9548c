"""Many steps at once: the bits of single ones, and what a training does with them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tlverify.core import nn, pytree
from tlverify.graph import TlverifyError
from tlverify.train import data, losses, optim
from tlverify.train.callbacks import Callbacks
from tlverify.train.checkpoint import Checkpoints
from tlverify.train.chunks import Chunks
from tlverify.train.logs import JsonLines
from tlverify.train.order import ShuffledBatches
from tlverify.train.state import TrainingError
from tlverify.train.trainer import Trainer

RNG = np.random.default_rng(0)
DENSE = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
STEPS = 37
XS, YS = RNG.normal(size=(STEPS, 8, 6)).astype(np.float32), RNG.integers(0, 3, (STEPS, 8))
OPTIMIZERS = [
    optim.SGD(0.1),
    optim.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    optim.Adam(0.01),
    optim.AdamW(0.01),
    optim.Adagrad(0.01, lr_decay=0.1),
    optim.RMSprop(0.01),
    optim.Adadelta(1.0),
    optim.Clipped(optim.Adam(0.03), optim.ClipNorm(0.1)),
    optim.Clipped(optim.SGD(0.1), optim.ClipValue(0.01)),
    optim.Groups(optim.Adam(0.01), {"*.bias": optim.SGD(0.1), "2.weight": optim.Frozen()}),
]


def equal(one, other):
    (a, first), (b, second) = pytree.flatten(one), pytree.flatten(other)
    assert first == second
    for found, expected in zip(a, b, strict=True):
        np.testing.assert_array_equal(found, expected)
        assert type(found) is type(expected)


def same(model=DENSE, optimizer=OPTIMIZERS[2], xs=XS, ys=YS, schedule=optim.cosine, execution="native", **settings):
    """The stepper, after comparing."""
    trainer = Trainer(model, optimizer=optimizer, execution=execution, **settings)
    stepper = trainer.stepper(len(xs) + 20, schedule)
    first = state = stepper.init(np.random.default_rng(0))
    told = []
    for x, y in zip(xs, ys, strict=True):
        state, metrics = stepper(state, (x, y))
        told.append(metrics.loss)
    found, losses = stepper.scan(first, (xs, ys))
    assert losses.dtype == np.float64
    assert losses.tolist() == told
    equal(found, state)
    # In two parts as well, and the state between them stays as it was.
    half, before = stepper.scan(first, (xs[:10], ys[:10]))
    kept = copy.deepcopy(half.params)
    end, after = stepper.scan(half, (xs[10:], ys[10:]))
    assert [*before, *after] == told
    equal(end, state)
    equal(half.params, kept)
    return stepper


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: type(o).__name__)
def test_bits_are_those_of_single_steps(optimizer):
    assert same(optimizer=optimizer).scans


def single_precision(fraction):
    return np.float32(1 - 0.7 * fraction)


@pytest.mark.parametrize(
    "schedule",
    [optim.constant, optim.warmup_cosine(0.3), optim.step(), optim.exponential(), single_precision],
)
def test_schedules(schedule):
    same(schedule=schedule)


def test_numbers_of_the_optimizer_go_on():
    stepper = same()
    state, _ = stepper.scan(stepper.init(np.random.default_rng(0)), (XS, YS))
    assert (state.step, state.optimizer.step) == (STEPS, STEPS)
    state, _ = stepper(state, (XS[0], YS[0]))
    assert (state.step, state.optimizer.step) == (STEPS + 1, STEPS + 1)


def test_dtypes_and_views():
    same(xs=XS.astype(np.float64))
    same(xs=XS.astype(np.float64), dtype="float64")
    same(xs=np.repeat(XS, 2, 1)[:, ::2], ys=np.repeat(YS, 2, 1)[:, ::2])
    large = RNG.normal(size=(12, 3000, 6)).astype(np.float32)
    same(xs=large, ys=RNG.integers(0, 3, (12, 3000)))


def test_coefficients_that_vary():
    same(loss=losses.IntervalCrossEntropy(0.01, ramp=0.5), xs=np.abs(XS) % 1)


def test_random_layers_take_a_loop():
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3))
    assert not same(model).scans


@pytest.mark.parametrize("execution", ["compiled", "eager"])
def test_without_machine_code(execution):
    assert not same(execution=execution).scans


def test_several_batches_a_step():
    stepper = Trainer(DENSE, optimizer=optim.Adam(0.01), execution="native").stepper(100)
    first = state = stepper.init(np.random.default_rng(0))
    told = []
    for i in range(5):
        state, metrics = stepper(state, (XS[i], YS[i]), (XS[i + 5], YS[i + 5]))
        told.append(metrics.loss)
    found, losses = stepper.scan(first, (XS[:5], YS[:5]), (XS[5:10], YS[5:10]))
    assert losses.tolist() == told
    equal(found, state)


def test_arrays_of_different_lengths():
    stepper = Trainer(DENSE, execution="native").stepper(100)
    state = stepper.init(np.random.default_rng(0))
    with pytest.raises(TlverifyError, match="scan: expected arrays that begin with one number of steps, found 37, 36"):
        stepper.scan(state, (XS, YS[1:]))
    with pytest.raises(TlverifyError, match="begin with one number of steps, found 0, 0"):
        stepper.scan(state, (XS[:0], YS[:0]))
    with pytest.raises(TlverifyError, match="begin with one number of steps, found none"):
        stepper.scan(state)


@pytest.mark.parametrize("execution", ["native", "compiled"])
def test_a_loss_that_is_not_finite_is_that_of_its_step(execution):
    stepper = Trainer(DENSE, optimizer=optim.SGD(0.1), execution=execution).stepper(100)
    xs = XS.copy()
    xs[4] = np.inf
    expected = pytest.raises(TrainingError, match=r"step 5: the loss is nan: .*; lower the learning rate")
    with np.errstate(all="ignore"), expected:
        stepper.scan(stepper.init(np.random.default_rng(0)), (xs, YS))


# Several batches a step as machine code.


@pytest.mark.parametrize("optimizer", [optim.SGD(0.05, momentum=0.9), optim.Adam(0.01)], ids=["sgd", "adam"])
@pytest.mark.parametrize("count", [2, 3])
def test_accumulated_steps_are_those_of_the_plan(optimizer, count):
    layers = [nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 3)]
    if isinstance(optimizer, optim.SGD):  # Adam makes noise of the gradient 0 of the bias before it
        layers.insert(1, nn.BatchNorm1d(8))
    results = {}
    for execution in ("native", "compiled"):
        stepper = Trainer(nn.Sequential(*layers), optimizer=optimizer, execution=execution).stepper(100, optim.cosine)
        state, told = stepper.init(np.random.default_rng(0)), []
        for i in range(5):
            state, metrics = stepper(state, *((XS[i + n], YS[i + n]) for n in range(count)))
            told.append(metrics.loss)
        results[execution] = state, told
    (native, told), (plan, expected) = results["native"], results["compiled"]
    np.testing.assert_allclose(told, expected, 1e-5)
    (a, first), (b, second) = pytree.flatten(native), pytree.flatten(plan)
    assert first == second
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, 1e-4, 1e-6)
        assert type(one) is type(other)


def test_accumulated_batches_are_one_large_one():
    trainer = Trainer(DENSE, optimizer=optim.SGD(0.1), execution="native")
    stepper = trainer.stepper(100)
    state = stepper.init(np.random.default_rng(0))
    two, several = stepper(state, (XS[0], YS[0]), (XS[1], YS[1]))
    one, metrics = stepper(state, (np.concatenate(XS[:2]), np.concatenate(YS[:2])))
    np.testing.assert_allclose(several.loss, metrics.loss, 1e-6)
    for a, b in zip(pytree.flatten(two.params)[0], pytree.flatten(one.params)[0], strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-7)


def test_a_batch_whose_loss_is_not_finite_among_several():
    stepper = Trainer(DENSE, execution="native").stepper(100)
    bad = np.full_like(XS[0], np.inf)
    expected = pytest.raises(TrainingError, match=r"step 1: the loss is nan: .*; lower the learning rate")
    with np.errstate(all="ignore"), expected:
        stepper(stepper.init(np.random.default_rng(0)), (XS[0], YS[0]), (bad, YS[0]))


# Trainings.

POINTS = data.tensor_dataset(XS.reshape(-1, 6), YS.reshape(-1))


def train(**settings):
    trainer = Trainer(DENSE, optimizer=optim.Adam(0.01), execution="native", seed=3)
    return trainer.train(POINTS, batch_size=8, schedule=optim.cosine, **{"steps": 300} | settings)


def counted(monkeypatch):
    """The steps of each call of scan."""
    counts = []
    scan = Trainer.stepper(Trainer(DENSE), 1).__class__.scan

    def recording(self, state, *batches):
        counts.append(len(batches[0][0]))
        return scan(self, state, *batches)

    monkeypatch.setattr("tlverify.train.stepper.Stepper.scan", recording)
    return counts


def test_a_training_takes_steps_together_and_gives_the_same(monkeypatch):
    counts = counted(monkeypatch)
    together = train()
    assert sum(counts) > 200
    assert max(counts) > 37  # over the ends of passes
    counts.clear()
    apart = train(callbacks=Callbacks(step=lambda state, metrics: None))
    assert not counts
    assert together.report.losses == apart.report.losses
    equal(together.params, apart.params)


def test_what_happens_after_so_many_steps_still_does(monkeypatch, tmp_path):
    counts = counted(monkeypatch)
    scores = []
    settings = {"evaluation": POINTS, "callbacks": Callbacks(epoch=lambda state, score: scores.append(state.step))}
    logs = [JsonLines(tmp_path / "log")]
    result = train(**settings, logs=logs, log_every=25, checkpoints=Checkpoints(tmp_path / "kept", every=30))
    assert scores == [*range(37, 300, 37), 300]
    assert [step for step, _ in result.report.scores] == scores
    assert sum(counts) > 150
    logged = [int(line.split(",")[0].split(":")[1]) for line in (tmp_path / "log").read_text().splitlines()]
    assert logged == sorted({*range(25, 301, 25), *scores})
    equal(result.params, train().params)


def test_a_training_that_was_cut_off_goes_on_among_steps_together(monkeypatch, tmp_path):
    whole = train()
    settings = {"checkpoints": Checkpoints(tmp_path, every=100)}
    update = []

    def cut(self, saved, *rest):
        save(self, saved, *rest)
        update.append(saved.state.step)
        if saved.state.step == 200:
            raise KeyboardInterrupt

    save = Checkpoints.save
    monkeypatch.setattr(Checkpoints, "save", cut)
    with pytest.raises(KeyboardInterrupt):
        train(**settings)
    assert update == [100, 200]
    monkeypatch.setattr(Checkpoints, "save", save)
    resumed = train(**settings)
    assert resumed.report.losses == whole.report.losses
    equal(resumed.params, whole.params)


def test_batches_together_are_those_one_by_one():
    one, other = (ShuffledBatches(POINTS, 24, np.random.default_rng(1)) for _ in range(2))
    apart = [one.next() for _ in range(31)]
    parts = [other.take(count) for count in (3, 20, 1, 7)]
    for place in (0, 1):
        np.testing.assert_array_equal(np.stack([b[place] for b in apart]), np.concatenate([p[place] for p in parts]))
    assert one.position() == other.position()
    assert one.left == other.left == one.per_pass - 31 % one.per_pass


def test_chunks():
    chunks = Chunks(1 << 18, ends=(100, 30))
    assert chunks.at(0, 1000) == 1
    for expected in (2, 4, 4):  # twice as many each time, up to a megabyte
        with chunks.timed(chunks.count):
            pass
        assert chunks.count == expected
    assert chunks.at(0, 3) == 3
    assert [chunks.at(step, 1000) for step in (27, 28, 30, 99)] == [3, 2, 4, 1]
    before = Chunks(1, count=64)
    with before.timed(10):  # fewer than the count tell nothing
        pass
    assert before.count == 64
