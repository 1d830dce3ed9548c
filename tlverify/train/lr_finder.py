"""A range test of the learning rate (Smith 2017, section 3.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tlverify.graph import TlverifyError
from tlverify.train.callbacks import Callbacks
from tlverify.train.data import Dataset
from tlverify.train.state import StopTraining, TrainingError, TrainState
from tlverify.train.stepper import Metrics
from tlverify.train.trainer import Trainer


@dataclass(frozen=True)
class RangeTest:
    """Learning rates, the loss at each (smoothed), and the rate where the loss fell fastest."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_lr(
    trainer: Trainer,
    data: Dataset,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    batch_size: int = 128,
    smoothing: float = 0.9,
) -> RangeTest:
    """Train new parameters while the rate grows from `lowest` to `highest` by equal ratios.

    It ends when the smoothed loss is four times its least value, or is not finite. The suggestion is the rate of the
    steepest fall of the smoothed loss. TlverifyError if the loss never fell.
    """
    if not 0 < lowest < highest or steps < 3 or not 0 <= smoothing < 1:
        found = f"lowest {lowest}, highest {highest}, steps {steps}, smoothing {smoothing}"
        expected = "0 < lowest < highest, 3 or more steps, smoothing in [0, 1)"
        raise TlverifyError(f"find_lr: expected {expected}; found {found}")
    rates: list[float] = []
    smooth: list[float] = []
    mean = 0.0

    def record(state: TrainState, metrics: Metrics) -> None:
        nonlocal mean
        mean = smoothing * mean + (1 - smoothing) * metrics.loss
        rates.append(metrics.lr)
        # Division takes away the pull of the mean's start at 0 (Kingma and Ba 2015, section 3).
        smooth.append(mean / (1 - smoothing ** len(rates)))
        if smooth[-1] > 4 * min(smooth) and len(smooth) > 10:
            raise StopTraining("the loss grows")

    growth = highest / lowest
    at_lowest = trainer.optimizer.lr / lowest
    try:
        trainer.train(
            data,
            steps=steps,
            batch_size=batch_size,
            schedule=lambda fraction: growth**fraction / at_lowest,
            callbacks=Callbacks(step=record),
            progress=False,
        )
    except TrainingError:
        if len(smooth) < 3:
            raise
    slopes = np.diff(smooth) / np.diff(np.log(rates))
    if not math.isfinite(float(slopes.min())) or slopes.min() >= 0:
        raise TlverifyError(f"find_lr: the loss did not fall between {lowest:g} and {rates[-1]:g}; change the range")
    return RangeTest(tuple(rates), tuple(smooth), float(rates[int(slopes.argmin())]))
