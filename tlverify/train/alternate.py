"""Steppers that take turns on one set of parameters, as the two sides of a game do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.backend import to_numpy
from tlverify.graph import TlverifyError
from tlverify.train.state import TrainState
from tlverify.train.stepper import Batch, Metrics, Stepper


@dataclass(frozen=True)
class Alternating:
    """`states, metrics = alternating(states, batch)`: one step of each stepper in turn, on the same batch.

    Each sees the parameters that the one before it left, and keeps a state of its optimizer. Which parameters a stepper
    changes is for its optimizer to say: `optim.Groups(optim.Adam(), {"generator.*": optim.Frozen()})`.
    """

    steppers: Sequence[Stepper]

    def __post_init__(self) -> None:
        if not self.steppers:
            raise TlverifyError("Alternating: expected one stepper or more, found none")

    def init(self, rng: np.random.Generator) -> tuple[TrainState, ...]:
        """A state for each stepper, with the same new parameters in all."""
        return self.start(self.steppers[0].model.init(rng))

    def start(self, params: Any) -> tuple[TrainState, ...]:
        """A state for each stepper, with the given parameters."""
        return tuple(stepper.start(params) for stepper in self.steppers)

    def params(self, states: Sequence[TrainState]) -> Any:
        """The parameters that all states share, in host memory."""
        return pytree.map(to_numpy, states[0].params)

    def __call__(
        self, states: Sequence[TrainState], *batches: Batch
    ) -> tuple[tuple[TrainState, ...], tuple[Metrics, ...]]:
        """The new states, which share parameters and buffers, and the metrics of each stepper."""
        if len(states) != len(self.steppers):
            raise TlverifyError(f"Alternating: expected {len(self.steppers)} states, found {len(states)}")
        latest, new, metrics = states[0], [], []
        for stepper, state in zip(self.steppers, states, strict=True):
            latest, told = stepper(replace(state, params=latest.params, buffers=latest.buffers), *batches)
            new.append(latest)
            metrics.append(told)
        return tuple(replace(s, params=latest.params, buffers=latest.buffers) for s in new), tuple(metrics)
