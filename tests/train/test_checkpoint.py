"""Checkpoints: the same bits after any interruption, and a reason for every file that cannot be used."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tlverify.core import nn, pytree
from tlverify.graph import TlverifyError
from tlverify.train import Callbacks, Checkpoints, StepStream, Trainer, data, losses, optim
from tlverify.train import checkpoint as module
from tlverify.train.augment import Jitter
from tlverify.train.checkpoint import CheckpointError, load_checkpoint

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(40, 4, 4)).astype(np.float32)
DATA = data.tensor_dataset(X, RNG.integers(0, 3, 40))
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.1), nn.Linear(6, 3))


class Interrupt(Exception):
    pass


def train(folder: Path | None, cut: int | None = None, optimizer=None, steps: int = 17, **more):
    """A training that uses everything that has a state; cut off after step `cut`."""

    def step(state, metrics) -> None:
        if state.step == cut:
            raise Interrupt

    checkpoints = None if folder is None else Checkpoints(folder, every=3)
    chosen = optimizer or optim.Clipped(optim.AdamW(0.02), optim.ClipPercentile(50, window=4))
    return Trainer(MODEL, optimizer=chosen, seed=5).train(
        DATA,
        steps=steps,
        batch_size=9,
        augment=Jitter(0.3, noise=0.1),
        schedule=optim.cosine,
        evaluation=DATA,
        checkpoints=checkpoints,
        callbacks=Callbacks(step=step),
        **more,
    )


def bits(trained) -> bytes:
    leaves, _ = pytree.flatten((trained.params, trained.state))
    return b"".join(leaf.tobytes() for leaf in leaves)


@pytest.fixture(scope="module")
def whole():
    return train(None)


@pytest.mark.parametrize("cut", range(1, 18))
def test_a_training_goes_on_to_the_same_bits(cut: int, whole, tmp_path) -> None:
    with pytest.raises(Interrupt):
        train(tmp_path, cut)
    resumed = train(tmp_path)
    assert bits(resumed) == bits(whole)
    assert resumed.report.losses == whole.report.losses
    assert resumed.report.scores == whole.report.scores


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.SGD(0.1, 0.9),
        optim.RMSprop(0.01, centered=True, momentum=0.5),
        optim.Adagrad(0.1),
        optim.Adadelta(),
        optim.Muon(0.01),
        optim.LowRank(optim.Adam(0.02), rank=2, every=4),
        optim.Groups(optim.Adam(0.01), {"*.bias": optim.SGD(0.1)}),
    ],
    ids=lambda o: type(o).__name__,
)
def test_the_state_of_every_optimizer_is_saved(optimizer, tmp_path) -> None:
    with pytest.raises(Interrupt):
        train(tmp_path, 8, optimizer)
    assert bits(train(tmp_path, optimizer=optimizer)) == bits(train(None, optimizer=optimizer))


def test_a_finished_training_is_not_repeated(tmp_path, whole) -> None:
    train(tmp_path)
    steps: list[int] = []
    again = Trainer(MODEL, optimizer=optim.Clipped(optim.AdamW(0.02), optim.ClipPercentile(50, window=4)), seed=5)
    result = again.train(
        DATA,
        steps=17,
        batch_size=9,
        augment=Jitter(0.3, noise=0.1),
        schedule=optim.cosine,
        evaluation=DATA,
        checkpoints=Checkpoints(tmp_path, every=3),
        callbacks=Callbacks(step=lambda state, metrics: steps.append(state.step)),
    )
    assert steps == []
    assert bits(result) == bits(whole)


def test_the_last_ones_and_the_best_are_kept(tmp_path) -> None:
    state = Trainer(nn.Linear(2, 1), "regression").stepper(9).init(RNG)
    checkpoints = Checkpoints(tmp_path, keep=2)
    scores: list[tuple[int, float]] = []
    for step, score in enumerate([0.1, 0.9, 0.3, 0.2, 0.5], start=1):
        scores.append((step, score))
        current = module.TrainState(step, state.params, state.buffers, state.optimizer)
        checkpoints.save(module.Saved(current, (0.0,) * step, tuple(scores), {}), {})
    assert [path.name for path in checkpoints.paths()] == [f"step-{n:08d}.json" for n in (2, 4, 5)]
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    checkpoints.save(module.Saved(current, (), tuple(scores), {}), {}, higher=False)
    assert [int(path.stem[5:]) for path in checkpoints.paths()] == [4, 5]


def test_a_stream_goes_on_at_its_step(tmp_path) -> None:
    def points(step: int):
        x = np.random.default_rng((7, step)).uniform(-1, 1, (8, 2)).astype(np.float32)
        return x, x[:, :1]

    def run(folder, cut=None):
        def step(state, metrics) -> None:
            if state.step == cut:
                raise Interrupt

        trainer = Trainer(nn.Linear(2, 1), "custom", loss=losses.mse)
        chosen = Checkpoints(folder, every=2) if folder else None
        return trainer.train(
            StepStream(points, (8, 2), (8, 1)), steps=9, checkpoints=chosen, callbacks=Callbacks(step=step)
        )

    with pytest.raises(Interrupt):
        run(tmp_path, 5)
    assert bits(run(tmp_path)) == bits(run(None))


def test_a_crash_inside_a_save_leaves_the_checkpoint_before(tmp_path, monkeypatch, whole) -> None:
    """Every write of a save fails once, half done."""
    real = module.write_atomic
    for fail_at in range(1, 9):
        folder = tmp_path / str(fail_at)
        folder.mkdir()
        calls: list[Path] = []

        def failing(path, content, calls=calls, at=fail_at):
            calls.append(path)
            if len(calls) == at:
                (path.parent / f".{path.name}.torn").write_bytes(content[: len(content) // 2])
                raise Interrupt
            real(path, content)

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_atomic", failing)
            with pytest.raises(Interrupt):
                train(folder)
        assert bits(train(folder)) == bits(whole)
        assert not list(folder.glob(".*"))


def damaged(folder: Path, change) -> Path:
    train(folder, steps=3)
    (path,) = folder.glob("*.json")
    change(path)
    return path


def edit(**fields):
    def change(path: Path) -> None:
        manifest = json.loads(path.read_text()) | fields
        path.write_text(json.dumps(manifest))

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p.write_text("{"), "not valid JSON"),
        (lambda p: p.write_text("[]"), "expected a manifest of format 'tlverify.checkpoint', version 1"),
        (edit(version=2), "expected a manifest of format"),
        (edit(numbers=[]), "field 'numbers': expected dict"),
        (edit(sha256="0"), "the sha256 is not the one in step-00000003.json"),
        (edit(settings={}), "model: the checkpoint has None, this training has Sequential"),
        (edit(numbers={}), "number 'step' is missing"),
        (lambda p: p.with_suffix(".safetensors").unlink(), "cannot be read: No such file"),
        (lambda p: p.with_suffix(".safetensors").write_bytes(b"x" * 9), "the sha256 is not the one"),
    ],
)
def test_a_damaged_checkpoint_says_why(change, reason: str, tmp_path) -> None:
    path = damaged(tmp_path, change)
    with pytest.raises(CheckpointError, match=reason) as caught:
        train(tmp_path, steps=3)
    assert str(path.with_suffix("")) in str(caught.value)


def test_other_settings_are_refused(tmp_path) -> None:
    train(tmp_path, steps=3)
    with pytest.raises(CheckpointError, match="steps: the checkpoint has 3, this training has 4"):
        train(tmp_path, steps=4)


def test_a_checkpoint_is_checked_against_the_model(tmp_path) -> None:
    train(tmp_path, steps=3)
    (path,) = tmp_path.glob("*.json")
    for model, reason in (
        (nn.Sequential(nn.Flatten(), nn.Linear(16, 5)), "is not part of this model and optimizer"),
        (nn.Sequential(*MODEL.layers[:-1], nn.Linear(6, 4)), r"'params.5.bias': expected float32\[4\], found .*\[3\]"),
        (nn.Sequential(*MODEL.layers, nn.Linear(3, 3)), "array 'params.6.bias' is missing"),
    ):
        optimizer = optim.Clipped(optim.AdamW(0.02), optim.ClipPercentile(50, window=4))
        template = Trainer(model, optimizer=optimizer).stepper(3).init(RNG)
        with pytest.raises(CheckpointError, match=reason):
            load_checkpoint(path, template)
    with pytest.raises(TlverifyError, match="expected every and keep of 1 or more"):
        Checkpoints(tmp_path, every=0)


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.train.test_checkpoint import bits, train
print("ready", flush=True)
result = train(Path(sys.argv[1]), steps=60)
import hashlib
print(hashlib.sha256(bits(result)).hexdigest(), flush=True)
"""


def kill_and_resume(folder: Path, kills: int, seed: int) -> str:
    """The digest of a training that was killed so many times (or until it was done)."""
    rng, root = random.Random(seed), str(Path(__file__).parents[2])
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    for killing in [True] * kills + [False]:
        command = [sys.executable, "-c", CHILD, str(folder), root]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
            child.stdout.readline()
            if killing:
                time.sleep(rng.uniform(0.0, 0.08))
                child.send_signal(signal.SIGKILL)
            output = child.stdout.read()
    return output.strip()


def expected_digest() -> str:
    import hashlib

    return hashlib.sha256(bits(train(None, steps=60))).hexdigest()


def test_killed_at_a_few_random_moments(tmp_path) -> None:
    assert kill_and_resume(tmp_path, 3, seed=1) == expected_digest()


@pytest.mark.slow
def test_killed_at_fifty_random_moments(tmp_path) -> None:
    expected = expected_digest()
    for seed in range(10):
        assert kill_and_resume(tmp_path / str(seed), 5, seed) == expected
