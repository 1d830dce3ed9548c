"""Activation functions and logical functions, written with the ops."""

from __future__ import annotations

import math

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, as_value

_GELU_SCALE, _GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715
# Klambauer et al. 2017, "Self-Normalizing Neural Networks", eq. 14.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_LOWEST = -1e30


def elu(x: Value, alpha: float = 1.0) -> Value:
    """x above 0, alpha * (exp(x) - 1) elsewhere (Clevert et al. 2016). The derivative at 0 is alpha."""
    x = as_value(x)
    positive = f.greater(x, 0)
    # The power is taken of numbers <= 0 only: an infinity that `where` drops would make the derivative NaN.
    return f.where(positive, x, f.mul(f.expm1(f.where(positive, 0, x)), alpha))


def selu(x: Value) -> Value:
    """The self-normalizing scale times elu."""
    return f.mul(elu(x, _SELU_ALPHA), _SELU_SCALE)


def gelu(x: Value, approximate: bool = False) -> Value:
    """x times the normal distribution function at x (Hendrycks and Gimpel 2016), or its approximation by tanh."""
    x = as_value(x)
    if approximate:
        inner = f.mul(f.add(x, f.mul(f.mul(f.square(x), x), _GELU_CUBIC)), _GELU_SCALE)
        return f.mul(f.mul(x, 0.5), f.add(f.tanh(inner), 1.0))
    return f.mul(f.mul(x, 0.5), f.add(f.erf(f.mul(x, math.sqrt(0.5))), 1.0))


def silu(x: Value) -> Value:
    """x * sigmoid(x), also known as swish."""
    return f.mul(x, f.sigmoid(x))


def mish(x: Value) -> Value:
    """x * tanh(softplus(x)) (Misra 2020)."""
    return f.mul(x, f.tanh(f.softplus(x)))


def log_sigmoid(x: Value) -> Value:
    """log(sigmoid(x)) without cancellation."""
    return f.neg(f.softplus(f.neg(x)))


def relu6(x: Value) -> Value:
    """min(max(x, 0), 6)."""
    return f.clamp(x, 0.0, 6.0)


def hard_sigmoid(x: Value) -> Value:
    """x / 6 + 1/2 limited to [0, 1]."""
    return f.clamp(f.add(f.div(x, 6.0), 0.5), 0.0, 1.0)


def hard_swish(x: Value) -> Value:
    """x * hard_sigmoid(x) (Howard et al. 2019)."""
    return f.mul(x, hard_sigmoid(x))


def softsign(x: Value) -> Value:
    """x / (1 + |x|)."""
    return f.div(x, f.add(f.abs(x), 1.0))


def glu(x: Value) -> Value:
    """The first half of the last axis times the sigmoid of the second (Dauphin et al. 2017)."""
    half = x.shape[-1] // 2
    return f.mul(f.slice(x, ..., slice(0, half)), f.sigmoid(f.slice(x, ..., slice(half, 2 * half))))


def masked_softmax(x: Value, mask: Value, axes: f.Axes = -1) -> Value:
    """Softmax over the elements where the bool `mask` holds, exactly 0 elsewhere; all 0 where none is left."""
    x = as_value(x)
    # Dropped scores are a finite number that no score reaches, and then the peak: nothing here is ever infinite.
    peak = f.detach(f.max(f.where(mask, x, _LOWEST), axes, keepdims=True))
    powers = f.where(mask, f.exp(f.sub(f.where(mask, x, peak), peak)), 0)
    total = f.sum(powers, axes, keepdims=True)
    return f.div(powers, f.where(f.greater(total, 0), total, 1))


def logical_not(a: Value) -> Value:
    """The other truth value of a bool."""
    return f.equal(a, False)


def logical_and(a: Value, b: Value) -> Value:
    """Whether both bools hold."""
    return f.where(a, b, False)


def logical_or(a: Value, b: Value) -> Value:
    """Whether one of the bools holds."""
    return f.where(a, True, b)


def greater_equal(a: Value, b: Value) -> Value:
    """a >= b, as bool."""
    return logical_or(f.greater(a, b), f.equal(a, b))


def less_equal(a: Value, b: Value) -> Value:
    """a <= b, as bool."""
    return greater_equal(b, a)
