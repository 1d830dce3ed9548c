"""What a training does besides steps: state of layers, callbacks, streams, probes, logs, accumulation, stopping."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from tlverify.core import nn, ops, pytree, run
from tlverify.graph import TlverifyError
from tlverify.train import (
    Callbacks,
    CsvLog,
    EarlyStopping,
    JsonLines,
    Probe,
    StepStream,
    StopTraining,
    Trainer,
    TrainingError,
    data,
    losses,
    optim,
)
from tlverify.train.data import DataError
from tlverify.train.stepper import _step_key

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(60, 3)).astype(np.float32)
DATA = data.tensor_dataset(X, X @ np.array([[1.0], [-2.0], [0.5]], np.float32))
LABELLED = data.tensor_dataset(X, (X[:, 0] > 0.5).astype(int))
LINE = nn.Sequential(nn.Linear(3, 1))
MIXED = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def leaves(tree):
    return pytree.flatten(tree)[0]


def test_running_statistics_are_trained_and_exported() -> None:
    trained = Trainer(MIXED, optimizer=optim.Adam(0.05)).train(LABELLED, epochs=20, batch_size=20)
    assert trained.accuracy(LABELLED) > 0.9
    assert not np.array_equal(trained.state["1"]["running_mean"], np.zeros(8))
    (y,) = run(trained.graph, [X[0]])
    np.testing.assert_allclose(y, trained.outputs(X)[0], atol=1e-5)
    again = Trainer(MIXED, optimizer=optim.Adam(0.05)).train(LABELLED, epochs=20, batch_size=20)
    assert again.digest == trained.digest
    table = trained.confusion_matrix(LABELLED)
    assert table.sum() == 60
    assert np.trace(table) / 60 == trained.accuracy(LABELLED)
    np.testing.assert_allclose(trained.probabilities(X).sum(-1), 1, rtol=1e-5)


def test_the_mean_of_small_batches_is_a_large_batch() -> None:
    one = Trainer(LINE, "regression", optim.SGD(0.1), dtype="float64").train(DATA, steps=6, batch_size=60)
    several = Trainer(LINE, "regression", optim.SGD(0.1), dtype="float64").train(
        DATA, steps=6, batch_size=15, accumulate=4
    )
    for a, b in zip(leaves(one.params), leaves(several.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)
    assert one.params["0"]["weight"].dtype == np.float64


def test_callbacks_are_called_in_order() -> None:
    calls: list[object] = []
    callbacks = Callbacks(
        train_start=lambda state: calls.append(("start", state.step)),
        step=lambda state, metrics: calls.append(("step", state.step)),
        epoch=lambda state, score: calls.append(("epoch", state.step, score is not None)),
        train_end=lambda trained: calls.append(("end", len(trained.report.losses))),
    )
    Trainer(LINE, "regression").train(DATA, steps=3, batch_size=30, callbacks=callbacks, evaluation=DATA)
    expected = [("start", 0), ("step", 1), ("step", 2), ("epoch", 2, True), ("step", 3), ("epoch", 3, True), ("end", 3)]
    assert calls == expected


def test_a_callback_can_stop_the_training() -> None:
    def enough(state, metrics) -> None:
        if state.step == 4:
            raise StopTraining("enough")

    trained = Trainer(LINE, "regression").train(DATA, steps=9, callbacks=Callbacks(step=enough))
    assert len(trained.report.losses) == 4
    assert trained.report.stopped == "enough"
    assert "stopped   enough" in trained.summary()


def test_early_stopping() -> None:
    stop = EarlyStopping(patience=2)
    assert stop.reason([(1, 0.5), (2, 0.4), (3, 0.5)], higher=True) == "no better score than 0.5 in 2 passes"
    assert stop.reason([(1, 0.5), (2, 0.4), (3, 0.6)], higher=True) is None
    assert stop.reason([(1, 0.5), (2, 0.4), (3, 0.6)], higher=False) is None
    assert EarlyStopping(1, least=0.2).reason([(1, 0.5), (2, 0.6)], higher=True) is not None
    still = Trainer(LINE, "regression", optim.SGD(1e-30)).train(
        DATA, epochs=50, batch_size=30, evaluation=DATA, stop_early=EarlyStopping(3)
    )
    assert len(still.report.scores) == 4
    with pytest.raises(TlverifyError, match="EarlyStopping: patience: expected 1 or more, found 0"):
        EarlyStopping(0)


@pytest.mark.parametrize("argument", ["accumulate", "log_every"])
def test_counts_of_one_or_more(argument: str) -> None:
    with pytest.raises(TlverifyError, match=f"train: expected {argument} of 1 or more, found 0"):
        Trainer(LINE, "regression").train(DATA, steps=5, **{argument: 0})


def test_the_stepper_is_the_training() -> None:
    trainer = Trainer(LINE, "regression", optim.Adam(0.05), seed=3)
    trained = trainer.train(DATA, steps=4, batch_size=60)
    stepper = trainer.stepper(total=4)
    init_rng, order_rng, _ = np.random.default_rng(3).spawn(3)
    state, seen = stepper.init(init_rng), []
    for _ in range(4):
        order = order_rng.permutation(60)
        before = state
        state, metrics = stepper(state, (DATA.x[order], DATA.y[order]))
        assert before.step + 1 == state.step
        seen.append(metrics.loss)
    assert tuple(seen) == trained.report.losses
    for a, b in zip(leaves(state.params), leaves(trained.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_given_parameters_are_where_training_starts() -> None:
    first = Trainer(LINE, "regression", optim.Adam(0.1)).train(DATA, steps=200)
    second = Trainer(LINE, "regression", optim.Adam(0.01)).train(DATA, steps=1, params=first.params)
    assert second.report.losses[0] <= first.report.losses[-1] * 1.5 < first.report.losses[0]


def test_a_stream_makes_its_batches() -> None:
    def points(step: int):
        x = np.random.default_rng((7, step)).uniform(-1, 1, (16, 1)).astype(np.float32)
        return x, 3 * x

    stream = StepStream(points, (16, 1), (16, 1))
    trained = Trainer(nn.Linear(1, 1), "regression", optim.Adam(0.1)).train(stream, steps=150)
    np.testing.assert_allclose(trained.params["weight"], [[3.0]], atol=0.05)
    assert StepStream.fixed(X, X).batch(9)[0] is not None
    cycle = StepStream.cycle([(X[:2], X[:2]), (X[2:4], X[2:4])])
    np.testing.assert_array_equal(cycle.batch(3)[0], X[2:4])


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (StepStream(lambda step: (X, X), (60, 3), (60, 1)), r"step 0: y: expected shape \[60, 1\], found \[60, 3\]"),
        (StepStream(lambda step: (X * np.nan, X), (60, 3), (60, 3)), "step 0: x: expected finite numbers"),
        (StepStream(lambda step: (X > 0, X), (60, 3), (60, 3)), "step 0: x: expected floats or integers, found bool"),
    ],
)
def test_a_batch_of_a_stream_is_checked(stream: StepStream, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        Trainer(LINE, "custom", loss=losses.mse).train(stream, steps=1)
    with pytest.raises(TlverifyError, match="expected steps of 1 or more for a stream"):
        Trainer(LINE, "custom", loss=losses.mse).train(stream, epochs=1)
    with pytest.raises(DataError, match="expected one or more batches"):
        StepStream.cycle([])


def test_probes_before_and_after() -> None:
    probes = [Probe("first", X[0], DATA.y[0]), Probe("second", X[1])]
    trained = Trainer(LINE, "regression", optim.Adam(0.1)).train(DATA, steps=200, probes=probes, notes="a note")
    first, second = trained.report.probes
    np.testing.assert_allclose(first.after, DATA.y[0], atol=0.05)
    assert not np.allclose(first.before, first.after)
    np.testing.assert_allclose(second.after, trained.outputs(X)[1], rtol=1e-5)
    text = trained.summary()
    assert "probe     first: [" in text
    assert "(expected [" in text
    assert text.splitlines()[-2] == "a note"


def test_logs(tmp_path) -> None:
    logs = [JsonLines(tmp_path / "a" / "log.jsonl"), CsvLog(tmp_path / "log.csv")]
    Trainer(LINE, "regression").train(DATA, steps=5, batch_size=30, evaluation=DATA, logs=logs, log_every=2)
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert set(rows[0]) == {"step", "loss", "lr", "mse"}
    with (tmp_path / "log.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert float(table[0]["value"]) == rows[0]["loss"]
    with pytest.raises(TlverifyError, match="cannot be written"):
        JsonLines(tmp_path / "log.csv" / "x").write(0, {})


def test_tensorboard_is_an_extra(tmp_path, monkeypatch) -> None:
    import sys

    from tlverify.train import TensorBoard

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(TlverifyError, match=r"pip install 'tlverify\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_fast_dev_run_does_one_step() -> None:
    trained = Trainer(LINE, "regression").train(DATA, epochs=9, evaluation=DATA, fast_dev_run=True)
    assert len(trained.report.losses) == len(trained.report.scores) == 1


def test_eager_execution_names_the_node_and_agrees() -> None:
    compiled = Trainer(LINE, "regression").train(DATA, steps=5)
    eager = Trainer(LINE, "regression", execution="eager").train(DATA, steps=5)
    assert eager.digest == compiled.digest
    bad = Trainer(LINE, "custom", loss=lambda outputs, targets: ops.mean(ops.log(outputs * 0.0)), execution="eager")
    with pytest.raises(TrainingError, match=r"step 1: node 'log_0' \(log\) is not finite"):
        bad.train(DATA, steps=2)


def test_probabilities_and_sequences_as_targets() -> None:
    soft = np.stack([X[:, 0], 1 - X[:, 0]], -1)
    trained = Trainer(MIXED, "cross_entropy").train(data.tensor_dataset(X, soft), steps=3, evaluation=LABELLED)
    assert trained.report.scores[-1][1] > 0
    tokens = RNG.integers(0, 5, (40, 7))
    model = nn.Sequential(nn.Embedding(5, 8), nn.TransformerEncoderLayer(8, 2, 16, causal=True), nn.Linear(8, 5))
    windows = data.token_dataset(tokens[:, :-1], tokens[:, 1:])
    trained = Trainer(model, optimizer=optim.Adam(0.01)).train(windows, epochs=4, batch_size=10, evaluation=windows)
    assert trained.report.after < trained.report.before
    assert trained.outputs(windows.x).shape == (40, 6, 5)
    (y,) = run(trained.graph, [windows.x[0]])
    np.testing.assert_allclose(y, trained.outputs(windows.x)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Trainer(LINE, "custom"), "the task custom needs a loss"),
        (lambda: Trainer(LINE, dtype="float16"), "dtype: expected float32 or float64, found 'float16'"),
        (
            lambda: Trainer(type(LINE)),
            "model: expected a layer, found the class Sequential; make one, as in Sequential",
        ),
        (
            lambda: Trainer(LINE, loss=lambda outputs: 0.0).stepper(1),
            "loss: expected a function of outputs and targets",
        ),
        (lambda: Trainer(LINE, backend="torch"), "backend: expected numpy or cupy, found 'torch'"),
        (
            lambda: Trainer(LINE, execution="lazy"),
            "execution: expected auto or native or compiled or eager, found 'lazy'",
        ),
        (lambda: Trainer(LINE, "regression").train(DATA, steps=1, accumulate=0), "accumulate of 1 or more, found 0"),
        (lambda: data.token_dataset(X, X), "x: expected integers"),
        (lambda: data.token_dataset([[1]], [[-1]]), "y: expected integers >= 0, found -1"),
        (lambda: data.token_dataset([[1]], [[1], [2]]), "expected equal lengths, found 1 and 2"),
    ],
)
def test_settings(make, reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        make()


def test_html() -> None:
    trained = Trainer(LINE, "regression").train(DATA, steps=5, title="<b>")
    assert "<svg" in trained._repr_html_()
    assert "&lt;b&gt;" in trained.report._repr_html_()
    assert str(trained.report).startswith("<b>\nloss ")


@pytest.mark.parametrize(("seed", "step", "number"), [(0, 0, 0), (7, 3, 1), (2**40, 10**6, 5), (-1, 4, 0)])
def test_the_key_of_a_step(seed: int, step: int, number: int) -> None:
    expected = ops.fold_in(ops.fold_in(ops.key(seed), step), number)
    np.testing.assert_array_equal(_step_key(seed, step, number), expected)


@pytest.mark.parametrize("result", [None, 1.0])
def test_a_loss_that_returns_no_value_of_the_outputs(result) -> None:
    trainer = Trainer(LINE, "regression", loss=lambda outputs, targets: result)
    with pytest.raises(
        TlverifyError, match=f"loss: expected a scalar computed from the outputs, found {result}; return"
    ):
        trainer.train(data.tensor_dataset(np.ones((4, 3)), np.ones((4, 1))), steps=1)
