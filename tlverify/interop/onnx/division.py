"""Products with and quotients by constants, exactly.

1/c is a binary fraction only if c is a power of two. For any other float c, `batch_norm` says x / c exactly: it divides
by sqrt(variance + epsilon), and with f a power of two the square (f c)^2 has at most twice the digits of a float, so it
is the sum of two floats. The kernel encloses the coefficient f / sqrt(variance + epsilon) = 1 / |c| by itself.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import groupby

import numpy as np
import numpy.typing as npt

from tlverify.graph.types import fraction_text
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import Computed, Constant, Lowering, Value, common_shape

MAX_RUNS = 4096

Floats = npt.NDArray[np.floating]


def multiply(build: Lowering, x: Value, constant: Constant) -> Value:
    """x times a constant that broadcasts against it: `scale` if all its entries are equal, else `mul`."""
    shape = common_shape(x.type.shape, constant.data.shape)
    x = build.broadcast(x, shape)
    flat = constant.data.ravel()
    if flat.size and flat.dtype.kind == "f" and (flat == flat[0]).all():
        return scale(build, x, float(flat[0]))
    return build.emit("mul", x, build.broadcast(constant, shape))


def scale(build: Lowering, x: Value, factor: float) -> Value:
    """x times a number that its dtype holds; x itself for 1."""
    if factor == 1:
        return x
    text = fraction_text(factor, x.type.dtype, "factor")
    if isinstance(x, Constant):
        product = build.emit("mul", x, Constant("factor", np.full(x.type.shape, factor, x.type.dtype)))
        if isinstance(product, Constant):
            return product
    return build.emit("scale", x, factor=text)


def divide(build: Lowering, x: Value, constant: Constant) -> Value:
    """x over a constant that broadcasts against it."""
    divisors: Floats = constant.data.astype(x.type.dtype, copy=False)
    if not np.isfinite(divisors).all() or (divisors == 0).any():
        raise OnnxError(f"divisor {constant.name!r}: holds 0, a NaN or an infinity")
    with np.errstate(over="ignore", under="ignore"):
        inverse = 1 / divisors
    fraction, _ = np.frexp(divisors)
    if (np.abs(fraction) == 0.5).all() and np.isfinite(inverse).all():
        return multiply(build, x, Constant(constant.name, inverse))
    shape = common_shape(x.type.shape, divisors.shape)
    x = build.broadcast(x, shape)
    if 0 in shape:
        return x
    full = divisors.reshape((1,) * (len(shape) - divisors.ndim) + divisors.shape)
    varying = [axis for axis, size in enumerate(full.shape) if size > 1]
    if len(varying) > 1:
        flat = build.reshape(x, (math.prod(shape),))
        return build.reshape(_along(build, flat, np.broadcast_to(full, shape).ravel(), 0), shape)
    if not shape:
        return build.reshape(_along(build, build.reshape(x, (1,)), full.ravel(), 0), ())
    axis = varying[0] if varying else shape.index(min(shape))
    return _along(build, x, np.broadcast_to(full.ravel(), shape[axis]), axis)


def _along(build: Lowering, x: Value, divisors: Floats, axis: int) -> Value:
    """x over divisors (size,) along an axis: one `batch_norm` for each run of divisors of equal size."""
    runs = [(size, len(list(same))) for size, same in groupby(np.abs(divisors).tolist())]
    if len(runs) > MAX_RUNS:
        raise OnnxError(f"a division by {len(runs)} different constants is over the limit of {MAX_RUNS}")
    parts: list[Value] = []
    start = 0
    for size, count in runs:
        part = x if len(runs) == 1 else cut(build, x, axis, start, start + count)
        parts.append(_quotient(build, part, size, np.sign(divisors[start : start + count]), axis))
        start += count
    return parts[0] if len(parts) == 1 else build.emit("concat", *parts, axis=axis)


def _quotient(build: Lowering, x: Value, divisor: float, signs: Floats, axis: int) -> Computed:
    dtype = x.type.dtype
    factor, variance, epsilon = normaliser(divisor, dtype)
    zeros = Constant("zeros", np.zeros(len(signs), dtype))
    statistics = Constant("variance", np.full(len(signs), variance, dtype))
    factors = Constant("scale", np.where(signs > 0, factor, -factor).astype(dtype))
    text = str(epsilon)
    return build.node("batch_norm", x, zeros, statistics, factors, zeros, axis=axis, epsilon=text)


def normaliser(divisor: float, dtype: str) -> tuple[float, float, Fraction]:
    """Floats f, v, e > 0 of the dtype with f / sqrt(v + e) = 1 / divisor exactly."""
    digits = np.finfo(dtype).nmant + 1
    mantissa, exponent = math.frexp(divisor)
    square = Fraction(2 * mantissa) ** 2  # in [1, 4), with at most 2 * digits binary digits
    unit = 2 ** (digits - 2)
    high = Fraction(math.floor(square * unit), unit)
    low = square - high
    if low == 0:
        high = low = square / 2
    if 1 - exponent >= np.finfo(dtype).maxexp:
        raise OnnxError(f"divisor {divisor}: is too small to divide by exactly")
    factor = math.ldexp(1.0, 1 - exponent)
    return factor, float(high), low


def cut(build: Lowering, x: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """x[start:stop:step] along one axis; x itself if that is all of it."""
    shape = x.type.shape
    if (start, stop, step) == (0, shape[axis], 1):
        return x
    starts, stops, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], stops[axis], steps[axis] = start, stop, step
    return build.emit("slice", x, starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
