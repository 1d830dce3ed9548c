"""Which array library a value belongs to.

CuPy is never imported here: an array can only be a CuPy array if its owner has imported CuPy already.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from tlverify.graph import ShapeError


def namespace(*arrays: Any) -> ModuleType:
    """`cupy` if the arrays are CuPy's, else `numpy`. ShapeError if both kinds are mixed."""
    cupy: Any = sys.modules.get("cupy")
    if cupy is None:
        return np
    on_device = [isinstance(array, cupy.ndarray) for array in arrays]
    if not any(on_device):
        return np
    if not all(on_device):
        raise ShapeError("arrays of NumPy and CuPy are mixed; move all of them with cupy.asarray")
    return cupy  # type: ignore[no-any-return]


def as_array(value: Any) -> Any:
    """NumPy gives a scalar where a result has no axes; this makes it an array. Arrays are left as they are."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def to_numpy(array: Any) -> Any:
    """The array in host memory."""
    return array.get() if namespace(array) is not np else np.asarray(array)
