"""The operations of `scalar` on NumPy float32 arrays, bit for bit, in float64.

Each operation makes the exact result rounded to odd in float64: 53 bits are at least 24 + 2, so a second rounding
to binary32 in any direction gives what one rounding would (Boldo and Melquiond, "Emulation of FMA and correctly
rounded sums", IEEE TC 57(4), 2008). Products of float32 numbers are exact in float64, a sum has its error by
Knuth's TwoSum, a quotient and a root have the sign of theirs from the residual. Nothing overflows or underflows in
float64 on the way. Needs a float64 that rounds to nearest and keeps subnormal numbers, as NumPy's does by default.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.core.binary32.format import NEAREST, Binary32Error, Mode

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_LEAST_NORMAL = np.float32(2.0**-126)


def add(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    a, b = operands(mode, a, b)
    with np.errstate(all="ignore"):
        if mode.rounding == "nearest":
            return flushed(a + b, mode)
        return _sum(a.astype(np.float64), b.astype(np.float64), mode)


def sub(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    return add(a, -np.asarray(b), mode)


def mul(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    a, b = operands(mode, a, b)
    with np.errstate(all="ignore"):
        if mode.rounding == "nearest":
            return flushed(a * b, mode)
        return to_binary32(a.astype(np.float64) * b.astype(np.float64), mode)


def div(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    a, b = operands(mode, a, b)
    with np.errstate(all="ignore"):
        if mode.rounding == "nearest":
            return flushed(a / b, mode)
        x, y = a.astype(np.float64), b.astype(np.float64)
        quotient = np.asarray(x / y)
        high = _leading(quotient, 25)
        residual = (x - high * y) - (quotient - high) * y
        return to_binary32(_odd(quotient, np.asarray(residual * np.sign(y))), mode)


def sqrt(a: Any, mode: Mode = NEAREST) -> Floats:
    (a,) = operands(mode, a)
    with np.errstate(all="ignore"):
        if mode.rounding == "nearest":
            return flushed(np.sqrt(a), mode)
        x = a.astype(np.float64)
        root = np.asarray(np.sqrt(x))
        high = _leading(root, 27)
        low = root - high
        return to_binary32(_odd(root, np.asarray(((x - high * high) - 2 * high * low) - low * low)), mode)


def fma(a: Any, b: Any, c: Any, mode: Mode = NEAREST) -> Floats:
    """a b + c with one rounding."""
    a, b, c = operands(mode, a, b, c)
    with np.errstate(all="ignore"):
        return _sum(a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64), mode)


def minimum(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    """The smaller one, NaN if either is NaN, and -0 < +0."""
    return -maximum(-np.asarray(a), -np.asarray(b), mode)


def maximum(a: Any, b: Any, mode: Mode = NEAREST) -> Floats:
    """The larger one, NaN if either is NaN, and -0 < +0."""
    a, b = operands(mode, a, b)
    with np.errstate(all="ignore"):
        larger = np.maximum(a, b)
        # The machine may return either zero; a sum of zeros is -0 only if both are.
        return np.asarray(np.where((a == 0) & (b == 0), a + b, larger), dtype=np.float32)


def to_binary32(x: Any, mode: Mode = NEAREST) -> Floats:
    """A float64 array rounded to binary32, and flushed, as `mode` says."""
    x = np.asarray(x)
    if x.dtype != np.float64:
        raise Binary32Error(f"expected a float64 array, found {x.dtype}")
    with np.errstate(all="ignore"):
        y = x.astype(np.float32)
        if mode.rounding != "nearest":
            upward = (mode.rounding == "up") | ((mode.rounding == "zero") & (x < 0))
            target = np.where(upward, np.float32(np.inf), np.float32(-np.inf))
            wrong = np.where(upward, y < x, y > x)
            y = np.where(wrong, np.nextafter(y, target), y)
        return flushed(y, mode)


def operands(mode: Mode, *values: Any) -> tuple[Floats, ...]:
    """The values as float32 arrays, subnormal ones flushed where `mode.daz`."""
    arrays = tuple(np.asarray(value) for value in values)
    for array in arrays:
        if array.dtype != np.float32:
            raise Binary32Error(f"expected a float32 array, found {array.dtype}")
    return tuple(_flush(array) for array in arrays) if mode.daz else arrays


def flushed(result: Any, mode: Mode) -> Floats:
    """The result of an operation, subnormal numbers flushed where `mode.ftz`."""
    return _flush(result) if mode.ftz else np.asarray(result, dtype=np.float32)


def _flush(x: Any) -> Floats:
    return np.asarray(np.where(np.abs(x) < _LEAST_NORMAL, np.copysign(np.float32(0), x), x), dtype=np.float32)


def _sum(x: Doubles, y: Doubles, mode: Mode) -> Floats:
    total = np.asarray(x + y)
    part = total - x
    error = (x - (total - part)) + (y - part)
    result = to_binary32(_odd(total, np.asarray(error)), mode)
    if mode.rounding == "down":
        cancelled = (total == 0) & (np.signbit(x) != np.signbit(y))
        result = np.where(cancelled, np.float32(-0.0), result)
    return result


def _odd(x: Doubles, error: Doubles) -> Doubles:
    """x + error rounded to odd, where x is x + error rounded to nearest and only the sign of the error is read."""
    bits = x.view(np.int64)
    # Away from zero if the error has the sign of x. An infinity or a NaN has an error that is NaN, and stays.
    step = np.where(np.signbit(error) == np.signbit(x), 1, -1)
    moved = (error != 0) & np.isfinite(error) & np.isfinite(x) & (bits & 1 == 0)
    return np.where(moved, bits + step, bits).view(np.float64)


def _leading(x: Doubles, dropped: int) -> Doubles:
    """x with the last `dropped` bits of its mantissa cleared."""
    return (x.view(np.int64) & ~((1 << dropped) - 1)).view(np.float64)
