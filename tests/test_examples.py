"""Every example runs from an empty folder, with few steps, and ends by saying what was established."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
# The flags of each run: few steps, and every model.
RUNS = {
    "addition_gpt": ["--steps=2 --batch-size 8"],
    "autoencoder": ["--steps=2", "--steps=2 --model vqvae"],
    "autograd": [""],
    "cart_pole": ["--steps 1"],
    "diffusion": ["--steps 5"],
    "executions": ["--steps 20"],
    "digits": ["--steps 60"],
    "fno_burgers": ["--steps 2 --optim=adamw"],
    "floats": ["--steps 2"],
    "forecast": ["--steps 2 --log=log.jsonl"],
    "gan": ["--steps 3 --dtype float64"],
    "graphs": [""],
    "grid_world": ["--steps 150 --batch-size=16", "--steps 256 --method ppo"],
    "images": ["--steps 2 --model cnn", "--steps 1 --model=resnet", "--steps 1 --model=vit"],
    "loaders": [""],
    "masked_autoencoder": ["--steps 2"],
    "mnist": ["--steps 2"],
    "mnist_certified": ["--steps 2 --images 10"],
    "pytorch": ["--steps 2"],
    "regression": ["--steps 100 --execution eager --dtype=float32"],
    "sequences": [f"--steps 2 --model {name}" for name in ("lstm", "gru", "rnn", "transformer", "mamba")],
    "table": ["--steps 20"],
    "tensors": [""],
    "text": ["--steps 1 --batch-size 4", "--steps 1 --batch-size 4 --tokens bpe"],
    "vae": ["--steps 2 --seed=3 --dtype=float64"],
}
OWN_LOOPS = ["cart_pole", "diffusion", "grid_world"]  # in float32, on NumPy: they refuse flags for anything else
NOTHING_TRAINED = ["autograd", "graphs", "loaders", "tensors"]
CASES = [(name, flags) for name, runs in RUNS.items() for flags in runs]


NAMES = [" ".join(case).strip() for case in CASES]


@pytest.mark.parametrize(("name", "flags"), CASES, ids=NAMES)
def test_example_runs(
    name: str,
    flags: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(os.environ.get("TLVERIFY_DATA", FOLDER.parents[1] / "shared" / "data")) / "mnist"
    if name.startswith("mnist") and not folder.is_dir():
        pytest.skip(f"no MNIST in {folder}; set TLVERIFY_DATA")
    if name == "pytorch":
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *flags.split()])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "Established" in printed
    assert "Not established: " in printed
    assert (tmp_path / "log.jsonl").exists() == (name == "forecast")


@pytest.mark.gpu
@pytest.mark.parametrize(("name", "flags"), [case for case in CASES if case[1] and case[0] not in OWN_LOOPS])
def test_example_runs_on_a_gpu(
    cupy: ModuleType,
    name: str,
    flags: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    test_example_runs(name, f"{flags} --backend cupy", tmp_path, monkeypatch, capsys)


def test_every_example_is_tried() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(RUNS)


@pytest.mark.parametrize("name", sorted(set(RUNS) - set(NOTHING_TRAINED) - {"mnist", "mnist_certified", "pytorch"}))
def test_every_example_takes_every_flag(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = RUNS[name][0].replace("=", " ").split()[1]
    flags = f"--steps {steps} --batch-size=8 --lr 0.002 --optim=sgd"
    if name not in OWN_LOOPS:
        dtype = "float32" if name == "executions" else "float64"
        flags += f" --dtype {dtype} --backend=numpy --execution eager"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *flags.split(), "--seed=5", "--log=log.csv"])
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert "Established" in capsys.readouterr().out
    assert (tmp_path / "log.csv").read_text().startswith("step,")


@pytest.mark.parametrize("name", NOTHING_TRAINED)
def test_an_example_that_trains_nothing_refuses_flags(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--steps=3"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert "unrecognized arguments: --steps=3" in capsys.readouterr().err
