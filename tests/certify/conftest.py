from pathlib import Path

import pytest

from tlverify import Trainer, data, losses, nn, optim

from .kernel.test_changed_files import EXAMPLES


@pytest.fixture
def record(tmp_path) -> Path:
    """A folder with a graph and two certificates of it, `a` (of a proof) and `b` (of a proof of the same claim)."""
    example = EXAMPLES["verified"]
    (tmp_path / "model.graph.json").write_bytes(example.graph)
    (tmp_path / "model.safetensors").write_bytes(example.parameters)
    for name in ("a", "b"):
        (tmp_path / f"{name}.claim.json").write_bytes(example.claim)
        (tmp_path / f"{name}.cert").write_bytes(example.certificate)
    return tmp_path


@pytest.fixture(scope="session")
def digits():
    """The graph of a small network trained a little on handwritten digits, and the test images."""
    train, test = data.digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    trainer = Trainer(model, optimizer=optim.Adam(lr=3e-3), loss=losses.cross_entropy, seed=0)
    return trainer.train(train, epochs=5, batch_size=64).graph, test
