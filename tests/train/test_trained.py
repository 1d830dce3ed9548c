"""What training gives: predictions that the exported graph repeats, files, and text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tlverify.core import nn, run
from tlverify.graph import TlverifyError, digest, load_graph
from tlverify.train import data
from tlverify.train.trained import Trained
from tlverify.train.trainer import Trainer

X = np.random.default_rng(0).uniform(size=(20, 2, 3)).astype(np.float32)
DATA = data.tensor_dataset(X, np.arange(20) % 4)
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trainer(MODEL).train(DATA, epochs=2, batch_size=5, evaluation=DATA, title="small")


def test_the_graph_computes_the_outputs(trained: Trained) -> None:
    logits = trained.outputs(X)
    for x, expected in zip(X, logits, strict=True):
        (y,) = run(trained.graph, {"x": x})
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(trained.predict(X), logits.argmax(-1))
    assert trained.accuracy(DATA) == (logits.argmax(-1) == DATA.y).mean()


def test_export_and_load(trained: Trained, tmp_path) -> None:
    path = trained.export(tmp_path / "model.graph.json")
    assert path == tmp_path / "model.graph.json"
    assert digest(load_graph(path)) == trained.digest
    assert (tmp_path / "model.safetensors").exists()


def test_text(trained: Trained) -> None:
    text = trained.summary()
    assert "Linear(6, 5)" in text
    assert "8 steps in" in text
    assert re.search(rf"accuracy  0\.\d{{4}}\ndigest    {trained.digest}$", text)
    assert repr(trained).endswith(f"8 steps, digest {trained.digest[:12]})")


def test_wrong_examples(trained: Trained) -> None:
    with pytest.raises(TlverifyError, match=re.escape("x: expected examples (n, 2, 3), found shape (20, 6)")):
        trained.predict(X.reshape(20, 6))


def test_regression_has_no_accuracy() -> None:
    targets = data.tensor_dataset(X, np.zeros((20, 4), np.float32))
    trained = Trainer(MODEL, "regression").train(targets, steps=1, evaluation=targets)
    with pytest.raises(TlverifyError, match="accuracy is for classification"):
        trained.accuracy(DATA)
    assert trained.score(targets) == pytest.approx(float(np.square(trained.outputs(X)).mean()))
    assert "mse" in trained.summary()


def test_certify_within_a_range(trained: Trained) -> None:
    outside = data.tensor_dataset(DATA.x[:1] - 1, DATA.y[:1])
    (result,) = trained.certify(outside, "1/1000000", clip=(-2, 1))
    assert result.verdict in ("verified", "falsified")
    with pytest.raises(TlverifyError, match="certify: clip: expected the least and the greatest"):
        trained.certify(DATA, 0.1, clip=1)
    with pytest.raises(TlverifyError, match=r"certify: data: expected a Dataset, .*, found ndarray"):
        trained.certify(DATA.x, 0.1)
    targets = data.tensor_dataset(DATA.x, np.zeros((len(DATA), 4)))
    with pytest.raises(TlverifyError, match="certify: expected labels, found targets"):
        trained.certify(targets, 0.1)
