"""Losses of numbers: means over all elements of two values of one shape."""

from __future__ import annotations

import math
from typing import Any

from tlverify.core import ops
from tlverify.graph import ShapeError
from tlverify.train.losses.classification import require, same_shape


def mse(outputs: Any, targets: Any) -> Any:
    """Mean of the squared differences of two values of one shape."""
    same_shape("mse", outputs, targets)
    return ops.mean(ops.square(ops.sub(outputs, targets)))


def mae(outputs: Any, targets: Any) -> Any:
    """Mean of the absolute differences."""
    same_shape("mae", outputs, targets)
    return ops.mean(ops.abs(ops.sub(outputs, targets)))


def huber(outputs: Any, targets: Any, delta: float = 1.0) -> Any:
    """Mean of d^2 / 2 for differences d up to `delta`, and delta * (|d| - delta / 2) beyond (Huber 1964)."""
    same_shape("huber", outputs, targets)
    require(delta > 0, "huber: delta", "above 0", delta)
    size = ops.abs(ops.sub(outputs, targets))
    near = ops.minimum(size, delta)
    # d^2 / 2 where near is d, delta^2 / 2 + delta (d - delta) where it is delta.
    return ops.mean(ops.add(ops.mul(ops.square(near), 0.5), ops.mul(ops.sub(size, near), delta)))


def log_cosh(outputs: Any, targets: Any) -> Any:
    """Mean of log(cosh(difference)), without overflow."""
    same_shape("log_cosh", outputs, targets)
    d = ops.sub(outputs, targets)
    return ops.mean(ops.sub(ops.add(d, ops.softplus(ops.mul(d, -2.0))), math.log(2.0)))


def poisson(log_rates: Any, counts: Any) -> Any:
    """Mean of exp(log rate) - count * log rate: the Poisson negative log-likelihood without log(count!)."""
    same_shape("poisson", log_rates, counts)
    return ops.mean(ops.sub(ops.exp(log_rates), ops.mul(counts, log_rates)))


def cosine(outputs: Any, targets: Any, eps: float = 1e-8) -> Any:
    """Mean of 1 - cosine of the angle between vectors on the last axis."""
    same_shape("cosine", outputs, targets)
    if len(outputs.shape) == 0:
        raise ShapeError("cosine: expected vectors on the last axis, found numbers")
    product = ops.sum(ops.mul(outputs, targets), -1)
    squares = [ops.sum(ops.square(v), -1) for v in (outputs, targets)]
    lengths = [ops.sqrt(ops.maximum(square, eps * eps)) for square in squares]
    return ops.mean(ops.sub(1.0, ops.div(product, ops.mul(*lengths))))


def kl_divergence(log_q: Any, p: Any) -> Any:
    """Mean over examples of sum(p (log p - log q)) on the last axis; terms with p = 0 are 0."""
    same_shape("kl_divergence", log_q, p)
    positive = ops.greater(p, 0)
    log_p = ops.log(ops.where(positive, p, 1))
    return ops.mean(ops.sum(ops.mul(p, ops.sub(log_p, log_q)), -1))
