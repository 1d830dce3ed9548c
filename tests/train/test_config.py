"""Training from TOML: the same result as the same training in Python, and errors that name file, table and key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from tlverify.core import nn
from tlverify.graph import TlverifyError, digest, load_graph
from tlverify.train import config, data, losses, optim
from tlverify.train.augment import Jitter
from tlverify.train.config import ConfigError, read_config, run_config
from tlverify.train.trainer import Trainer

MODEL = '[model]\nlayers = ["flatten", { linear = 8 }, "relu", { linear = 10 }]\n'
DIGITS = '[data]\nsource = "digits"\n'
TRAIN = "[train]\nsteps = 2\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_digits_as_in_python(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        f"""
{MODEL}
{DIGITS}
[augment]
shift = 0.2
noise = 0.1
[loss]
name = "interval_cross_entropy"
epsilon = 0.03
kappa = 0
[optimizer]
name = "adam"
lr = 0.01
betas = [0.8, 0.9]
[train]
steps = 5
batch_size = 64
schedule = "cosine"
seed = 7
[output]
graph = "out/digits.graph.json"
""",
    )
    trained = run_config(path)
    train, test = data.digits()
    trainer = Trainer(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10)),
        optimizer=optim.Adam(0.01, (0.8, 0.9)),
        loss=losses.IntervalCrossEntropy(0.03, kappa=0.0),
        seed=7,
    )
    expected = trainer.train(train, steps=5, batch_size=64, schedule=optim.cosine, augment=Jitter(0.2, noise=0.1))
    assert trained.digest == expected.digest
    assert trained.report.scores == ((5, expected.accuracy(test)),)
    assert digest(load_graph(tmp_path / "out" / "digits.graph.json")) == expected.digest


def test_regression_from_files(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(size=(30, 2)).astype(np.float32)
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", x=x, y=x @ np.float32([[1], [2]]))
    path = write(
        tmp_path,
        """
model.layers = [{ linear = 1 }]
data = { train = "train.npz", test = "test.npz" }
optimizer = { name = "sgd", lr = 0.1, momentum = 0.9, nesterov = true }
loss = { name = "mse" }
train = { task = "regression", epochs = 200 }
""",
    )
    trained = run_config(path, progress=False)
    assert trained.report.scores[-1][1] < 1e-4
    assert list(tmp_path.glob("*.graph.json")) == []


def test_names_of_schedules() -> None:
    assert set(get_args(config.ScheduleName)) == set(config.SCHEDULES)


def test_a_convolutional_network(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(size=(30, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "train.npz", x=x, y=(x.mean((1, 2, 3)) > 0.5).astype(np.int64))
    path = write(
        tmp_path,
        """
[model]
layers = [
    { conv2d = 4, kernel_size = [3, 3], padding = 1 }, "gelu", { max_pool2d = 2 }, { avg_pool2d = 2 },
    "flatten", { dropout = 0.1 }, { linear = 2 },
]
[data]
train = "train.npz"
[loss]
name = "cross_entropy"
weight = [1.0, 2.0]
[optimizer]
name = "adamw"
[train]
steps = 3
schedule = "warmup_cosine"
""",
    )
    trained = run_config(path, progress=False)
    assert str(trained.trainer.model).startswith("Sequential(Conv2d(1, 4, (3, 3), padding=1), GELU, MaxPool2d(2)")
    assert trained.outputs(x).shape == (30, 2)


def test_smoothing_of_cross_entropy(tmp_path: Path) -> None:
    loss = read_config(write(tmp_path, f'{MODEL}{DIGITS}{TRAIN}[loss]\nname = "cross_entropy"\nsmoothing = 0.5\n')).loss
    logits, labels = np.array([[3.0, 1.0]]), np.array([0])
    assert loss(logits, labels) == losses.cross_entropy(logits, labels, 0.5)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[model", "not valid TOML: "),
        (f"{MODEL}{DIGITS}", "table [train] is missing"),
        (f"{MODEL}{DIGITS}{TRAIN}[modle]\n", "unknown table or key 'modle'; known tables: augment, data, "),
        (f"seed = 3\n{MODEL}{DIGITS}{TRAIN}", "unknown table or key 'seed'"),
        (f"{MODEL}{DIGITS}{TRAIN}epoch = 3\n", "[train]: unknown key 'epoch'; known keys: epochs, steps, "),
        (f"{MODEL}{DIGITS}{TRAIN}seed = 1.5\n", "[train] seed: expected an integer, found 1.5"),
        (f"{MODEL}{DIGITS}{TRAIN}seed = true\n", "[train] seed: expected an integer, found True"),
        (f"{MODEL}{DIGITS}{TRAIN}batch_size = 0\n", "train: expected a batch_size of 1 or more"),
        (f"{MODEL}{DIGITS}[train]\n", "train: expected either epochs or steps"),
        (
            f"{MODEL}{DIGITS}{TRAIN}schedule = 'fancy'\n",
            "[train] schedule: expected constant or cosine or cyclic or exponential or linear or one_cycle or step",
        ),
        (f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nlr = 1.0\n", "[optimizer] name: expected one of adadelta, adagrad"),
        (f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nname = 'sgd'\n", "[optimizer]: key 'lr' is missing"),
        (
            f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nname = 'adam'\nlr = 'fast'\n",
            "[optimizer] lr: expected a number, found 'fast'",
        ),
        (
            f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nname = 'adam'\nlr = -1\n",
            "[optimizer]: Adam: lr: expected above 0, found -1.0",
        ),
        (
            f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nname = 'adam'\nbetas = [0.9]\n",
            "[optimizer] betas: expected a list of 2 numbers, found [0.9]",
        ),
        (
            f"{MODEL}{DIGITS}{TRAIN}[loss]\nname = 'mse'\nsmoothing = 0.1\n",
            "[loss]: unknown key 'smoothing'; known keys: none",
        ),
        (
            f"{MODEL}{DIGITS}{TRAIN}[loss]\nname = 'interval_cross_entropy'\nepsilon = 0\n",
            "[loss]: IntervalCrossEntropy: epsilon: expected a number above 0, found 0.0",
        ),
        (f"{MODEL}{DIGITS}{TRAIN}[output]\ngraph = 3\n", "[output] graph: expected a string, found 3"),
        (f"{MODEL}{TRAIN}[data]\n", "[data] expected either source, or train with or without test"),
        (f"{MODEL}{TRAIN}[data]\nsource = 'mnist'\n", "[data] source: expected digits, found 'mnist'"),
        (f"[model]\nlayers = []\n{DIGITS}{TRAIN}", "[model] layers: expected a list that is not empty, found []"),
        (f"[model]\nlayers = ['conv']\n{DIGITS}{TRAIN}", "[model] layers[0]: expected one of flatten, elu, gelu"),
        (
            f"[model]\nlayers = ['flatten', {{ conv2d = 4 }}]\n{DIGITS}{TRAIN}",
            "[model] layers[1]: key 'kernel_size' is missing",
        ),
        (
            f"[model]\nlayers = ['flatten', {{ conv2d = 4, kernel_size = 3 }}]\n{DIGITS}{TRAIN}",
            "[model] layers[1]: Conv2d(1, 4, 3) expects (..., 1, height, width), found [64]",
        ),
        (
            f"[model]\nlayers = ['flatten', {{ dropout = 2 }}]\n{DIGITS}{TRAIN}",
            "[model] layers[1]: expected one of flatten, elu",
        ),
        (
            f"{MODEL}{DIGITS}{TRAIN}[optimizer]\nname = 'muon'\nothers = 'adam'\n",
            "[optimizer] others: cannot be set in a file; use Trainer",
        ),
        (
            f"[model]\nlayers = ['flatten', {{ linear = 4 }}]\n{DIGITS}{TRAIN}",
            "the model gives [4] for each example, y has labels up to 9",
        ),
    ],
)
def test_refused_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(TlverifyError, match=re.escape(f"{path}: {reason}")):
        run_config(path, progress=False)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read: No such file or directory"):
        run_config(tmp_path / "nothing.toml")


def test_a_missing_data_file(tmp_path: Path) -> None:
    path = write(tmp_path, f"{MODEL}{TRAIN}[data]\ntrain = 'a.npz'\n")
    with pytest.raises(TlverifyError, match=r"a\.npz: cannot be read: No such file or directory"):
        run_config(path)
