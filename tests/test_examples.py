"""Every example runs from an empty folder, with few steps, and ends by saying what was established."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
FEW = {
    "addition_gpt": ["--steps=2", "--batch-size", "8"],
    "cart_pole": ["--steps", "1"],
    "diffusion": ["--steps", "5"],
    "fno_burgers": ["--steps", "2", "--optim=adamw"],
    "forecast": ["--steps", "2", "--log=log.jsonl"],
    "gan": ["--steps", "3"],
    "grid_world": ["--steps", "80", "--batch-size=16"],
    "masked_autoencoder": ["--steps", "2"],
    "mnist": ["--steps", "2"],
    "mnist_certified": ["--steps", "2"],
    "regression": ["--steps", "100", "--execution", "eager", "--dtype=float32"],
    "tensors": [],
    "vae": ["--steps", "2", "--seed=3"],
}


@pytest.mark.parametrize("name", FEW)
def test_example_runs(name: str, tmp_path, monkeypatch, capsys) -> None:
    folder = Path(os.environ.get("TLVERIFY_DATA", FOLDER.parents[1] / "shared" / "data")) / "mnist"
    if name.startswith("mnist") and not folder.is_dir():
        pytest.skip(f"no MNIST in {folder}; set TLVERIFY_DATA")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *FEW[name]])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert "Established" in capsys.readouterr().out
    assert (tmp_path / "log.jsonl").exists() == (name == "forecast")


def test_every_example_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*FEW, "digits"}
