"""What a training calls on its way, and when it stops early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tlverify.graph import TlverifyError
from tlverify.train.state import TrainState
from tlverify.train.stepper import Metrics

if TYPE_CHECKING:
    from tlverify.train.trained import Trained


@dataclass(frozen=True)
class Callbacks:
    """Functions to call at the start, after each step, after each pass over the data, and at the end.

    One that raises StopTraining ends the training after the step; its text goes to the report.
    """

    train_start: Callable[[TrainState], None] | None = None
    step: Callable[[TrainState, Metrics], None] | None = None
    epoch: Callable[[TrainState, float | None], None] | None = None
    train_end: Callable[[Trained], None] | None = None


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the score on the evaluation data was not better by `least` in the last `patience` passes."""

    patience: int = 5
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise TlverifyError(f"EarlyStopping: patience: expected 1 or more, found {self.patience}")

    def reason(self, scores: Sequence[tuple[int, float]], higher: bool) -> str | None:
        """Why to stop after these (step, score) pairs, of which a higher or lower score is better; None to go on."""
        values = [score if higher else -score for _, score in scores]
        best: float | None = None
        since = 0
        for value in values:
            if best is None or value > best + self.least:
                best, since = value, 0
            else:
                since += 1
        if since < self.patience:
            return None
        return f"no better score than {scores[len(values) - since - 1][1]:.4g} in {since} passes"
