"""Predictions at chosen inputs, before and after training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.train.data import Array


@dataclass(frozen=True, eq=False)
class Probe:
    """An example `x` (*features) with a name, and what is expected of it, if anything."""

    name: str
    x: Any
    expected: Any = None


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Outputs at a probe before and after training."""

    probe: Probe
    before: Array
    after: Array

    def __str__(self) -> str:
        def text(value: Any) -> str:
            return np.array2string(np.asarray(value), precision=4, suppress_small=True, threshold=8)

        expected = "" if self.probe.expected is None else f" (expected {text(self.probe.expected)})"
        return f"{self.probe.name}: {text(self.before)} -> {text(self.after)}{expected}"
