"""ATen's elementwise functions, with the names of their arguments in ATen, written with our ops."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.ops.apply import apply
from tlverify.graph import FLOATS
from tlverify.graph.types import fraction_text
from tlverify.interop.onnx.division import normaliser
from tlverify.interop.torch.errors import TorchError
from tlverify.interop.torch.masks import Masked, as_mask, is_minus_infinity

Value = Any
"""A Tensor of the trace, or an array that the module stores."""
Scalar = Any
"""A Value or a number."""


def same(self: Value, *, memory_format: Any = None) -> Value:
    """What only moves memory, or only matters in training."""
    return self


def dropout(input: Value, p: float, train: bool) -> Value:  # noqa: A002
    if train:
        raise TorchError("expected a module in evaluation, found dropout in training; call module.eval()")
    return input


def add(self: Scalar, other: Scalar, *, alpha: float = 1) -> Value:
    """A stored array of 0 and -inf is a mask."""
    for x, mask in ((self, as_mask(other)), (other, as_mask(self))):
        if mask is not None and alpha == 1:
            return Masked(x, mask)
    return ops.add(self, _times(other, alpha))


def sub(self: Scalar, other: Scalar, *, alpha: float = 1) -> Value:
    return ops.sub(self, _times(other, alpha))


def rsub(self: Scalar, other: Scalar, alpha: float = 1) -> Value:
    return ops.sub(other, _times(self, alpha))


def mul(self: Scalar, other: Scalar) -> Value:
    for x, factor in ((self, other), (other, self)):
        if _is_number(factor) and _is_float(x):
            return ops.scale(x, float(factor))
    return ops.mul(self, other)


def div(self: Scalar, other: Scalar, *, rounding_mode: str | None = None) -> Value:
    """By a number: `scale` for powers of two, otherwise a `batch_norm` whose root is exactly the divisor."""
    if rounding_mode is not None:
        raise TorchError(f"rounding_mode: expected None, found {rounding_mode!r}")
    if not _is_number(other) or not _is_float(self):
        return ops.div(self, other)
    divisor = float(np.asarray(other, self.dtype))
    if divisor == 0 or not math.isfinite(divisor):
        raise TorchError(f"expected a divisor that is finite and not 0, found {divisor}")
    if abs(math.frexp(divisor)[0]) == 0.5:
        return ops.scale(self, 1 / divisor)
    factor, variance, epsilon = normaliser(abs(divisor), str(self.dtype))
    x = ops.reshape(self, (*self.shape, 1))
    constants = (0.0, variance, math.copysign(factor, divisor), 0.0)
    statistics = [np.full(1, value, str(self.dtype)) for value in constants]
    result = apply("batch_norm", x, *statistics, axis=len(self.shape), epsilon=str(epsilon))
    return ops.reshape(result, self.shape)


def pow_(self: Scalar, exponent: Scalar) -> Value:
    """x^2 is a product, x^0.5 a square root."""
    if _is_number(exponent) and exponent == 0.5:
        return ops.sqrt(self)
    return ops.pow(self, exponent)


def rsqrt(self: Value) -> Value:
    return ops.div(1.0, ops.sqrt(self))


def reciprocal(self: Value) -> Value:
    return ops.div(1.0, self)


def clamp(self: Value, min: Scalar | None = None, max: Scalar | None = None) -> Value:  # noqa: A002
    if isinstance(min, int | float) and isinstance(max, int | float) and _is_float(self):
        return ops.relu(self) if (min, max) == (0, math.inf) else ops.clamp(self, float(min), float(max))
    if min is not None:
        self = ops.relu(self) if _is_number(min) and min == 0 else ops.maximum(self, min)
    return self if max is None else ops.minimum(self, max)


def hardtanh(self: Value, min_val: float = -1, max_val: float = 1) -> Value:
    return ops.clamp(self, float(min_val), float(max_val))


def leaky_relu(self: Value, negative_slope: float = 0.01) -> Value:
    return ops.leaky_relu(self, float(negative_slope))


def prelu(self: Value, weight: Value) -> Value:
    """relu(x) - slope relu(-x), with a slope for each channel; `leaky_relu` for one stored slope."""
    if isinstance(weight, np.ndarray) and weight.size == 1:
        return apply("leaky_relu", self, slope=fraction_text(float(weight.ravel()[0]), str(self.dtype), "weight"))
    slope = weight if weight.ndim != 1 else ops.reshape(weight, (-1, *(1,) * (self.ndim - 2)))
    return ops.sub(ops.relu(self), ops.mul(ops.relu(ops.neg(self)), slope))


def elu(self: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    """scale max(x, 0) + scale alpha (exp(input_scale min(x, 0)) - 1)."""
    below = ops.expm1(_times(ops.minimum(self, 0.0), input_scale))
    return ops.add(_times(ops.relu(self), scale), _times(below, alpha * scale))


def celu(self: Value, alpha: float = 1.0) -> Value:
    return elu(self, alpha, 1, 1 / alpha)


def gelu(self: Value, *, approximate: str = "none") -> Value:
    return ops.gelu(self, approximate == "tanh")


def softplus(self: Value, beta: float = 1, threshold: float = 20) -> Value:
    """log(1 + exp(beta x)) / beta. PyTorch's shortcut above the threshold differs by less than exp(-20)."""
    return ops.softplus(self) if beta == 1 else ops.div(ops.softplus(_times(self, beta)), float(beta))


def glu(self: Value, dim: int = -1) -> Value:
    left, right = ops.chunk(self, 2, dim)
    return ops.mul(left, ops.sigmoid(right))


def not_equal(self: Scalar, other: Scalar) -> Value:
    return ops.logical_not(ops.equal(self, other))


def where(condition: Value, self: Scalar, other: Scalar) -> Value:
    if is_minus_infinity(other):
        return Masked(self, condition)
    if is_minus_infinity(self):
        return Masked(other, ops.logical_not(condition))
    return ops.where(condition, self, other)


def masked_fill(self: Value, mask: Value, value: Scalar) -> Value:
    return where(mask, value, self)


def logical(op: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    """For `and` and `or` of truth values."""

    def rule(self: Value, other: Value) -> Value:
        if str(getattr(self, "dtype", "")) != "bool" or str(getattr(other, "dtype", "")) != "bool":
            raise TorchError("expected truth values, found numbers")
        return op(self, other)

    return rule


def binary(op: Callable[[Scalar, Scalar], Value]) -> Callable[[Scalar, Scalar], Value]:
    """For functions of two values, each an array or a number."""

    def rule(self: Scalar, other: Scalar) -> Value:
        return op(self, other)

    return rule


def unary(op: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """For functions of one value."""

    def rule(self: Value) -> Value:
        return op(self)

    return rule


def _times(value: Scalar, factor: float) -> Value:
    if factor == 1:
        return value
    return mul(value, factor) if not _is_number(value) else value * factor


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Fraction)


def _is_float(value: Any) -> bool:
    return str(getattr(value, "dtype", "")) in FLOATS
