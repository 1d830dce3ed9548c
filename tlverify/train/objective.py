"""Objectives: what a Trainer minimises, as a function of the model itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tlverify.core import nn
from tlverify.graph import TlverifyError

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
        value = self.loss(model(params, x), y)
        if not hasattr(value, "dtype"):
            expected = "loss: expected a scalar computed from the outputs"
            raise TlverifyError(
                f"{expected}, found {value!r}; return it, as in return ops.mean(ops.square(y - target))"
            )
        return value


def as_objective(loss: OutputLoss | Objective) -> Objective:
    """`loss` if it is an objective already, otherwise the objective that applies it to the outputs."""
    if isinstance(loss, Objective):
        return loss
    try:
        inspect.signature(loss).bind("outputs", "targets")
    except TypeError:
        found = f"{getattr(loss, '__name__', loss)}{inspect.signature(loss)}"
        raise TlverifyError(f"loss: expected a function of outputs and targets, found {found}") from None
    except ValueError:  # a function of C has no signature
        pass
    return OfOutputs(loss)
