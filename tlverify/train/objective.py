"""Objectives: what a Trainer minimises, as a function of the model itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tlverify.core import nn

OutputLoss = Callable[[Any, Any], Any]
"""A scalar from outputs (n, ...) and labels or targets; arrays or Tensors."""


@runtime_checkable
class Objective(Protocol):
    """A scalar that may evaluate the model as it likes."""

    def coefficients(self, fraction: float) -> tuple[float, ...]:
        """Numbers that vary in training, after `fraction` of its steps, in [0, 1]."""

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        """The scalar on a batch x (n, *features), y (n, ...) with those numbers."""


@dataclass(frozen=True)
class OfOutputs:
    """The objective `loss(model(params, x), y)`."""

    loss: OutputLoss

    def coefficients(self, fraction: float) -> tuple[float, ...]:
        """None."""
        return ()

    def __call__(self, model: nn.Model, params: Any, x: Any, y: Any, *coefficients: Any) -> Any:
        return self.loss(model(params, x), y)


def as_objective(loss: OutputLoss | Objective) -> Objective:
    """`loss` if it is an objective already, otherwise the objective that applies it to the outputs."""
    return loss if isinstance(loss, Objective) else OfOutputs(loss)
