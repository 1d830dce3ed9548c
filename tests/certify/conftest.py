from pathlib import Path

import pytest

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
