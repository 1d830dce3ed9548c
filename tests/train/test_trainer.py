"""The Trainer end to end on small data: it learns, repeats itself, reports, and says why it stops."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tlverify.core import nn, pytree
from tlverify.graph import ShapeError, TlverifyError
from tlverify.train import data, losses, optim
from tlverify.train.augment import Jitter
from tlverify.train.data import DataError
from tlverify.train.trained import Trained
from tlverify.train.trainer import Trainer, TrainingError

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(size=(120, 2)).astype(np.float32)
QUADRANTS = data.tensor_dataset(POINTS, (POINTS[:, 0] > 0.5) * 2 + (POINTS[:, 1] > 0.5))
PLANE = data.tensor_dataset(POINTS, POINTS @ np.array([[1.0], [-2.0]], np.float32) + 0.5)
CLASSIFIER = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 4))
LINE = nn.Sequential(nn.Linear(2, 1))
FAST = optim.Adam(0.03)


def test_classification_learns() -> None:
    trained = Trainer(CLASSIFIER, optimizer=FAST).train(QUADRANTS, epochs=40, batch_size=30)
    assert trained.accuracy(QUADRANTS) > 0.95
    assert len(trained.report.losses) == 160
    assert trained.report.losses[-1] < 0.3 < trained.report.losses[0]
    assert trained.report.seconds > 0


def test_regression_finds_the_plane() -> None:
    trainer = Trainer(LINE, "regression", optim.Adam(0.1))
    trained = trainer.train(PLANE, steps=300, batch_size=40, schedule=optim.cosine)
    np.testing.assert_allclose(trained.params["0"]["weight"], [[1.0, -2.0]], atol=1e-3)
    np.testing.assert_allclose(trained.params["0"]["bias"], [0.5], atol=1e-3)
    assert trained.score(PLANE) < 1e-6
    assert trained.predict(PLANE.x).shape == (120, 1)


def test_the_certified_loss_shrinks_worst_logits() -> None:
    loss = losses.IntervalCrossEntropy(0.05, kappa=0.0, ramp=0.3)
    worst = []
    for chosen in (None, loss):
        trained = Trainer(CLASSIFIER, optimizer=FAST, loss=chosen).train(QUADRANTS, epochs=40, batch_size=30)
        worst.append(loss(CLASSIFIER, trained.params, QUADRANTS.x, QUADRANTS.y))
    assert worst[1] < 0.7 * worst[0]


def train_digits(seed: int) -> Trained:
    train, _ = data.digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    trainer = Trainer(model, loss=losses.IntervalCrossEntropy(0.02), seed=seed)
    return trainer.train(train, steps=12, augment=Jitter(0.2, 4.0, 0.05, 0.1), schedule=optim.cosine)


def test_a_seed_decides_the_digest() -> None:
    first, again, other = (train_digits(seed) for seed in (3, 3, 4))
    assert first.digest == again.digest != other.digest
    assert first.report.losses == again.report.losses


def test_the_evaluation_is_scored_after_every_pass() -> None:
    first, rest = QUADRANTS.split(90)
    trained = Trainer(CLASSIFIER).train(first, steps=7, batch_size=30, evaluation=rest)
    assert [step for step, _ in trained.report.scores] == [3, 6, 7]
    assert trained.report.scores[-1][1] == trained.accuracy(rest)


def test_a_batch_is_at_most_the_data() -> None:
    trained = Trainer(CLASSIFIER).train(QUADRANTS, epochs=2, batch_size=1000)
    assert len(trained.report.losses) == 2


def test_the_schedule_multiplies_the_learning_rate() -> None:
    start = Trainer(LINE, "regression").train(PLANE, steps=1, schedule=lambda fraction: 0.0)
    np.testing.assert_array_equal(
        start.params["0"]["weight"], LINE.init(np.random.default_rng(0).spawn(3)[0])["0"]["weight"]
    )


def test_quiet_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Trainer(CLASSIFIER).train(QUADRANTS, steps=2)
    assert capsys.readouterr() == ("", "")


def test_a_loss_that_is_not_finite_names_the_step_and_the_node() -> None:
    trainer = Trainer(LINE, "regression", optim.SGD(1e30))
    with pytest.raises(TrainingError, match=r"step \d+: the loss is (inf|nan): node '.*' .* is not finite"):
        trainer.train(PLANE, steps=20)


def test_parameters_that_are_not_finite_after_the_last_step() -> None:
    big = data.tensor_dataset(POINTS * 1e5, PLANE.y)
    trainer = Trainer(LINE, "regression", optim.SGD(1e36))
    with pytest.raises(TrainingError, match=r"step 1: parameter '0\.(weight|bias)' is not finite"):
        trainer.train(big, steps=1)


@pytest.mark.parametrize(
    ("trainer", "dataset", "error", "reason"),
    [
        (Trainer(CLASSIFIER), PLANE, DataError, "y: expected integer labels for classification"),
        (Trainer(LINE, "regression"), QUADRANTS, DataError, "y: expected float targets for regression"),
        (Trainer(LINE), QUADRANTS, ShapeError, "the model gives [1] for each example, y has labels up to 3"),
        (Trainer(CLASSIFIER, "regression"), PLANE, ShapeError, "the model gives [4] for each example, y has [1]"),
        (Trainer(nn.Sequential(nn.Linear(3, 4))), QUADRANTS, ShapeError, "layer 0 Linear(3, 4) expects 3 features"),
    ],
)
def test_data_that_do_not_fit(trainer: Trainer, dataset: data.Dataset, error: type, reason: str) -> None:
    with pytest.raises(error, match=re.escape(reason)):
        trainer.train(dataset, steps=1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "expected either epochs or steps, found epochs=None, steps=None"),
        ({"epochs": 1, "steps": 1}, "expected either epochs or steps, found epochs=1, steps=1"),
        ({"steps": 0}, "expected one step or more, found epochs=None, steps=0"),
        ({"epochs": 1, "batch_size": 0}, "expected a batch_size of 1 or more"),
        ({"epochs": 1.5}, "train: epochs: expected an integer, found float"),
        ({"steps": 1, "schedule": "cosine"}, "train: schedule: expected a schedule such as optim.cosine, found str"),
        ({"steps": 1, "callbacks": print}, "train: callbacks: expected a list of Callbacks, found builtin"),
        ({"steps": 1, "evaluation": POINTS}, "train: evaluation: expected a Dataset, .*, found ndarray"),
        ({"steps": 1, "checkpoints": "runs"}, r"train: checkpoints: expected Checkpoints\(folder\), found str"),
        ({"steps": 1, "logs": "log.csv"}, "train: logs: expected a list of logs such as .*, found str"),
        ({"steps": 1, "stop_early": 3}, "train: stop_early: expected EarlyStopping.*, found int"),
        ({"steps": 1, "probes": POINTS}, "train: probes: expected a list of Probe, found ndarray"),
    ],
)
def test_refused_arguments(arguments: dict[str, int], reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        Trainer(CLASSIFIER).train(QUADRANTS, **arguments)


def test_data_and_models_of_another_kind() -> None:
    with pytest.raises(TlverifyError, match=r"train: data: expected a Dataset, as of .*, found tuple"):
        Trainer(CLASSIFIER).train((POINTS, POINTS), steps=1)
    with pytest.raises(TlverifyError, match=r"the model has no init\(rng\); give its parameters"):
        Trainer(lambda params, x: x).train(QUADRANTS, steps=1)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"optimizer": "adam"}, "optimizer: expected one such as optim.Adam.*, found 'adam'"),
        ({"optimizer": optim.Adam}, "optimizer: expected one such as optim.Adam.*, found Adam"),
        ({"seed": "x"}, r"seed: expected an integer >= 0 and below 2\^63, found 'x'"),
        ({"seed": 2**63}, r"seed: expected an integer >= 0 and below 2\^63, found 9223372036854775808"),
        ({"loss": "mse"}, "loss: expected a function of outputs and targets, .*, found 'mse'"),
    ],
)
def test_refused_settings(arguments, reason: str) -> None:
    with pytest.raises(TlverifyError, match=f"Trainer: {reason}"):
        Trainer(CLASSIFIER, **arguments)


class Scale:
    """A layer without a text of its own."""

    def init(self, rng):
        return {"gain": np.ones(4, np.float32)}

    def __call__(self, params, x):
        return x * params["gain"]


def test_a_layer_of_ones_own_has_no_address_in_its_text() -> None:
    assert nn.layer_text(nn.Sequential(nn.Linear(2, 4), Scale())) == "Sequential(Linear(2, 4), Scale)"
    assert nn.layer_text(Scale()) == "Scale"
    assert nn.layer_text(lambda params, x: x) == "<lambda>"


def test_an_unknown_task() -> None:
    with pytest.raises(TlverifyError, match=r"task: expected .*, cross_entropy or custom, found 'ranking'"):
        Trainer(CLASSIFIER, "ranking")


def test_the_trainer_is_unchanged() -> None:
    trainer = Trainer(CLASSIFIER, seed=5)
    digests = {trainer.train(QUADRANTS, steps=3).digest for _ in range(2)}
    assert len(digests) == 1
    assert trainer == Trainer(CLASSIFIER, seed=5)


def test_parameters_are_float32() -> None:
    trained = Trainer(CLASSIFIER).train(QUADRANTS, steps=3)
    assert {leaf.dtype.name for leaf in pytree.flatten(trained.params)[0]} == {"float32"}
