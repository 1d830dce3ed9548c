"""Values that are -inf in some places, on their way to a softmax.

A graph stores finite numbers only, so such a value is kept as a pair until a softmax gives these places the weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Value = Any


@dataclass(frozen=True, eq=False)
class Masked:
    """`value` where the bool `keep` holds, -inf elsewhere; the two broadcast."""

    value: Value
    keep: Value


def is_minus_infinity(value: Value) -> bool:
    """Whether it is a number or a stored array of -inf only."""
    return isinstance(value, float | np.ndarray) and bool(np.isneginf(value).all())


def as_mask(value: Value) -> np.ndarray[Any, Any] | None:
    """Where a stored array of 0 and -inf is 0; None for any other value."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return None
    closed = np.isneginf(value)
    return ~closed if closed.any() and not value[~closed].any() else None
