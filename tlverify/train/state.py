"""What training changes, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tlverify.core import pytree
from tlverify.graph import TlverifyError


class TrainingError(TlverifyError):
    """Training could not go on: the message names the step and the value."""


class StopTraining(Exception):
    """Raised in a callback: training ends after this step, and the text goes to the report."""


@pytree.register
@dataclass(frozen=True)
class TrainState:
    """Steps done, parameters, the state of layers (running statistics), and the state of the optimizer."""

    step: int
    params: Any
    buffers: Any
    optimizer: Any


def expect(argument: str, value: object, kind: Any, expected: str) -> None:
    """TlverifyError unless `value` is of `kind`: `argument` says whose it is, `expected` what to give."""
    if not isinstance(value, kind):
        raise TlverifyError(f"{argument}: expected {expected}, found {type(value).__name__}")
