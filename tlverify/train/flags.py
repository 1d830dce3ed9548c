"""Command-line flags of a training script: `--steps 300`, `--lr=0.01`, and so on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from tlverify.train.config import OPTIMIZERS
from tlverify.train.logs import CsvLog, JsonLines, Log
from tlverify.train.optim import Optimizer
from tlverify.train.trainer import Trainer


@dataclass(frozen=True)
class Flags:
    """The settings of one run. `log` is a file, `.jsonl` or `.csv`; `chosen` holds the script's own flags by name."""

    steps: int = 300
    batch_size: int = 32
    lr: float = 1e-3
    optim: str = "adam"
    dtype: str = "float32"
    backend: str = "numpy"
    execution: str = "auto"
    seed: int = 0
    log: str | None = None
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer with the learning rate."""
        return OPTIMIZERS[self.optim](lr=self.lr)

    def trainer(
        self, model: Any, task: Any = "regression", loss: Any = None, optimizer: Optimizer | None = None
    ) -> Trainer:
        """A Trainer with these settings; `optimizer` takes the place of the one that the flags describe."""
        settings: Mapping[str, Any] = {"dtype": self.dtype, "backend": self.backend, "execution": self.execution}
        return Trainer(model, task, optimizer or self.optimizer, loss, self.seed, **settings)

    @property
    def run(self) -> dict[str, Any]:
        """The arguments of Trainer.train that the flags decide."""
        return {"steps": self.steps, "batch_size": self.batch_size, "logs": self.logs}

    @property
    def logs(self) -> list[Log]:
        """Where the numbers of each step go, for a script with a loop of its own."""
        if self.log is None:
            return []
        return [CsvLog(self.log) if self.log.endswith(".csv") else JsonLines(self.log)]


def parse(
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
    without: Sequence[str] = (),
    **defaults: Any,
) -> Flags:
    """The flags of the command line, or of `arguments`; `defaults` are those of the script.

    Both `--lr 0.1` and `--lr=0.1` will do. An unknown flag or a wrong value ends the program with exit code 2.
    `choices={"model": ("cnn", "vit")}` adds a flag of the script's own, `--model`, by default the first; those in
    `without` are left out, for a script that could not heed them.
    """
    start = Flags(**defaults)
    parser = argparse.ArgumentParser(
        description=description, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, values in choices.items():
        parser.add_argument(f"--{name}", choices=values, default=values[0], help=f"default {values[0]}")
    known = {
        "optim": sorted(OPTIMIZERS),
        "dtype": ["float32", "float64"],
        "backend": ["numpy", "cupy"],
        "execution": ["auto", "native", "compiled", "eager"],
    }
    kinds: dict[str, Callable[[str], Any]] = {"steps": _positive, "batch_size": _positive, "lr": _rate, "seed": int}
    settings = {name: value for name, value in vars(start).items() if name != "chosen" and name not in without}
    for name, value in settings.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kinds.get(name, str),
            choices=known.get(name),
            default=value,
            help=f"default {value}",
        )
    found = vars(parser.parse_args(arguments))
    chosen = {name: found.pop(name) for name in choices}
    return Flags(**found, chosen=chosen)


def none(description: str | None = None, arguments: Sequence[str] | None = None) -> None:
    """For a script without flags: --help describes it, and any flag ends the program with exit code 2."""
    argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )


def _positive(text: str) -> int:
    value = int(text) if text.lstrip("+-").isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of 1 or more, found {text}")
    return value


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return value
