"""How accurate elementwise functions of float32 are on this machine, over every float32 number.

The error is in units in the last place (ulp) of the exact result: |computed - exact| / ulp(exact), where ulp(y) is the
distance of float32 numbers around y, 2^-149 for subnormal ones. The same function in float64 stands for the exact
result; what that may be off by itself, a few parts in 2^53, is granted in the figure (GRANTED).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tlverify.core.binary32.format import Binary32Error
from tlverify.core.ops.forward import FORWARD

FUNCTIONS = ("cos", "erf", "exp", "expm1", "log", "log1p", "sigmoid", "sin", "softplus", "sqrt", "tanh")
CHUNK = 1 << 22
GRANTED = 2.0**-20  # of an ulp: 16 ulp of float64 are 2^-25
LAST = 1 << 32


@dataclass(frozen=True)
class Accuracy:
    """`ulps` is the largest error, met at the input `at`; `inputs` were compared. `special` counts those where one
    result is NaN or infinite and the other is not."""

    function: str
    ulps: float
    at: float
    inputs: int
    special: int


def measure(
    function: str,
    every: int = 1,
    progress: Callable[[int], None] = lambda done: None,
    xp: ModuleType = np,
) -> Accuracy:
    """Compare every (or every n-th) finite float32 number. `progress` is told how many bit patterns are done.

    `xp` is numpy, or cupy for a GPU. Binary32Error if there is no such function.
    """
    if function not in FUNCTIONS:
        raise Binary32Error(f"function: expected one of {', '.join(FUNCTIONS)}, found {function!r}")
    if every < 1:
        raise Binary32Error(f"every: expected 1 or more, found {every}")
    rule: Callable[[Any], Any] = FORWARD[function]
    most, at, inputs, special = 0.0, 0.0, 0, 0
    for start in range(0, LAST, CHUNK * every):
        bits = xp.arange(start, min(start + CHUNK * every, LAST), every, dtype=xp.uint32)
        x = bits.view(xp.float32)
        x = x[xp.isfinite(x)]
        if len(x):
            with np.errstate(all="ignore"):
                error, odd = _errors(rule(x), rule(x.astype(xp.float64)), xp)
            special += odd
            worst = int(error.argmax())
            if float(error[worst]) > most:
                most, at = float(error[worst]), float(x[worst])
            inputs += len(x)
        progress(min(start + CHUNK * every, LAST))
    return Accuracy(function, most + GRANTED, at, inputs, special)


def _errors(found: Any, exact: Any, xp: ModuleType) -> tuple[Any, int]:
    """Errors in ulp, and how many results are NaN or infinite on one side only. Beyond its largest number float32 has
    an infinity, so the exact result is rounded to float32 for that."""
    computed = found.astype(xp.float64)
    usual = xp.isfinite(computed) & xp.isfinite(exact)
    same = (xp.isnan(computed) & xp.isnan(exact)) | (found == exact.astype(xp.float32))
    return xp.where(usual, xp.abs(computed - exact) / _ulp(exact, xp), 0.0), int((~usual & ~same).sum())


def _ulp(exact: Any, xp: ModuleType) -> Any:
    """The distance of float32 numbers around a number."""
    exponent = xp.frexp(exact)[1] - 24
    return xp.ldexp(xp.ones_like(exact), xp.maximum(exponent, -149))
