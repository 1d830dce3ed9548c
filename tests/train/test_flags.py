"""Flags of training scripts: both forms, defaults of the script, and refusals."""

from __future__ import annotations

import pytest

from tlverify.core import nn
from tlverify.train import flags, optim
from tlverify.train.logs import CsvLog, JsonLines


def test_both_forms_and_the_defaults_of_the_script() -> None:
    found = flags.parse("a script", ["--steps", "7", "--lr=0.5", "--optim", "sgd", "--batch-size=3"], seed=4)
    assert (found.steps, found.batch_size, found.seed, found.dtype) == (7, 3, 4, "float32")
    assert found.optimizer == optim.SGD(0.5)
    assert found.run == {"steps": 7, "batch_size": 3, "logs": []}
    trainer = found.trainer(nn.Linear(1, 1))
    assert (trainer.seed, trainer.task, trainer.optimizer) == (4, "regression", optim.SGD(0.5))


def test_logs() -> None:
    assert flags.parse(None, ["--log", "a.csv"]).run["logs"] == [CsvLog("a.csv")]
    assert flags.parse(None, ["--log=a.jsonl"]).run["logs"] == [JsonLines("a.jsonl")]


def test_flags_of_the_script_itself(capsys: pytest.CaptureFixture[str]) -> None:
    choices = {"model": ("cnn", "vit")}
    assert flags.parse(None, [], choices).chosen == {"model": "cnn"}
    assert flags.parse(None, ["--model=vit", "--steps", "2"], choices).chosen == {"model": "vit"}
    with pytest.raises(SystemExit):
        flags.parse(None, ["--model", "mlp"], choices)
    assert "invalid choice: 'mlp'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--step", "3"], "unrecognized arguments: --step 3"),
        (["--steps", "0"], "expected an integer of 1 or more, found 0"),
        (["--steps", "x"], "expected an integer of 1 or more, found x"),
        (["--lr", "-1"], "expected a number above 0, found -1"),
        (["--optim", "magic"], "invalid choice: 'magic'"),
        (["--backend=torch"], "invalid choice: 'torch'"),
    ],
)
def test_refused_with_exit_code_2(arguments: list[str], reason: str, capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        flags.parse("a script", arguments)
    assert caught.value.code == 2
    assert reason in capsys.readouterr().err


def test_flags_that_a_script_cannot_heed_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = flags.parse(None, ["--steps", "2"], without=("dtype", "backend"))
    assert (found.steps, found.dtype) == (2, "float32")
    with pytest.raises(SystemExit):
        flags.parse(None, ["--dtype=float64"], without=("dtype", "backend"))
    assert "unrecognized arguments: --dtype=float64" in capsys.readouterr().err
