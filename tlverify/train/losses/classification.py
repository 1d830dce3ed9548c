"""Losses of labels: classes are the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.backend import namespace
from tlverify.graph import ShapeError, TlverifyError


def cross_entropy(
    logits: Any,
    labels: Any,
    smoothing: float = 0.0,
    weight: Sequence[float] | None = None,
    ignore: int | None = None,
) -> Any:
    """Mean cross-entropy of logits (..., classes) with int64 labels (...), or with probabilities (..., classes).

    `smoothing` moves that share of each label's weight evenly to all classes (Szegedy et al. 2016, section 7).
    `weight` has one factor for each class, and the mean is over the factors of the labels, as in PyTorch. Labels
    equal to `ignore` do not count; where none is left the loss is 0.
    """
    require(0 <= smoothing < 1, "cross_entropy: smoothing", "in [0, 1)", smoothing)
    classes = logits.shape[-1]
    indices = labels.shape == logits.shape[:-1] and str(labels.dtype) == "int64"
    if weight is not None or ignore is not None:
        if not indices:
            expected = f"int64 {list(logits.shape[:-1])}"
            raise ShapeError(f"cross_entropy: labels: expected {expected} for weight or ignore, found {_type(labels)}")
        return _weighted(ops.log_softmax(logits), labels, weight, ignore, smoothing)
    if indices:
        labels = ops.one_hot(labels, classes, str(logits.dtype))
    if tuple(labels.shape) != tuple(logits.shape):
        expected = f"int64 {list(logits.shape[:-1])} or probabilities {list(logits.shape)}"
        raise ShapeError(f"cross_entropy: labels: expected {expected}, found {_type(labels)}")
    if smoothing:
        labels = ops.add(ops.mul(labels, 1.0 - smoothing), smoothing / classes)
    return ops.neg(ops.mean(ops.sum(ops.mul(labels, ops.log_softmax(logits)), -1)))


def nll(log_probabilities: Any, labels: Any, weight: Sequence[float] | None = None, ignore: int | None = None) -> Any:
    """Mean of minus the log-probability (..., classes) of the int64 label (...); see cross_entropy for the rest."""
    if tuple(labels.shape) != tuple(log_probabilities.shape[:-1]) or str(labels.dtype) != "int64":
        expected = f"int64 {list(log_probabilities.shape[:-1])}"
        raise ShapeError(f"nll: labels: expected {expected}, found {_type(labels)}")
    return _weighted(log_probabilities, labels, weight, ignore, 0.0)


def bce(probabilities: Any, targets: Any) -> Any:
    """Mean binary cross-entropy of probabilities and targets in [0, 1]; logarithms are at least -100, as in PyTorch."""
    same_shape("bce", probabilities, targets)
    # Below exp(-100) the logarithm is taken of a constant, so neither it nor its derivative is infinite.
    log_p, log_q = (_log(p) for p in (probabilities, ops.sub(1.0, probabilities)))
    return ops.neg(ops.mean(ops.add(ops.mul(targets, log_p), ops.mul(ops.sub(1.0, targets), log_q))))


def bce_with_logits(logits: Any, targets: Any, positive_weight: float = 1.0) -> Any:
    """bce of sigmoid(logits) without overflow; `positive_weight` multiplies the part of the targets."""
    same_shape("bce_with_logits", logits, targets)
    negative = ops.mul(ops.sub(1.0, targets), ops.softplus(logits))
    positive = ops.mul(targets, ops.softplus(ops.neg(logits)))
    return ops.mean(ops.add(negative, ops.mul(positive, positive_weight)))


def hinge(outputs: Any, targets: Any) -> Any:
    """Mean of max(0, 1 - output * target) with targets -1 and 1 (Cortes and Vapnik 1995)."""
    same_shape("hinge", outputs, targets)
    return ops.mean(ops.relu(ops.sub(1.0, ops.mul(outputs, targets))))


def multiclass_hinge(logits: Any, labels: Any, margin: float = 1.0) -> Any:
    """Mean over examples of sum(max(0, margin - logit of the label + other logit)) / classes, as in PyTorch."""
    classes = logits.shape[-1]
    if tuple(labels.shape) != tuple(logits.shape[:-1]):
        raise ShapeError(f"multiclass_hinge: labels: expected {list(logits.shape[:-1])}, found {_type(labels)}")
    chosen = ops.take_along_axis(logits, ops.expand_dims(labels, -1))
    excess = ops.relu(ops.add(ops.sub(logits, chosen), margin))
    others = ops.sub(1.0, ops.one_hot(labels, classes, str(logits.dtype)))
    return ops.mean(ops.div(ops.sum(ops.mul(excess, others), -1), float(classes)))


def same_shape(name: str, outputs: Any, targets: Any) -> None:
    """ShapeError unless both have one shape."""
    if tuple(outputs.shape) != tuple(targets.shape):
        found = f"{list(outputs.shape)} and {list(targets.shape)}"
        raise ShapeError(f"{name}: expected outputs and targets of one shape, found {found}; reshape the targets")


def require(condition: bool, name: str, expected: str, found: object) -> None:
    """TlverifyError unless a setting is in its range."""
    if not condition:
        raise TlverifyError(f"{name}: expected a number {expected}, found {found!r}")


def _weighted(log_p: Any, labels: Any, weight: Sequence[float] | None, ignore: int | None, smoothing: float) -> Any:
    classes, dtype = log_p.shape[-1], str(log_p.dtype)
    if weight is not None and len(weight) != classes:
        raise ShapeError(f"weight: expected {classes} factors, one for each class, found {len(weight)}")
    factors = namespace(*[v for v in (log_p, labels) if not hasattr(v, "trace")]).asarray(
        np.ones(classes) if weight is None else weight, dtype=dtype
    )
    chosen = ops.one_hot(labels, classes, dtype)
    if ignore is not None:
        counted = ops.cast(ops.logical_not(ops.equal(labels, ignore)), dtype)
        chosen = ops.mul(chosen, ops.expand_dims(counted, -1))
    else:
        counted = ops.ones_like(ops.sum(chosen, -1))
    shares = ops.mul(chosen, factors)
    target = shares
    if smoothing:
        even = ops.mul(ops.expand_dims(counted, -1), ops.mul(factors, smoothing / classes))
        target = ops.add(ops.mul(shares, 1.0 - smoothing), even)
    total = ops.sum(shares)
    mean = ops.div(ops.sum(ops.mul(target, log_p)), ops.where(ops.greater(total, 0), total, 1))
    return ops.neg(mean)


def _log(p: Any) -> Any:
    enough = ops.greater(p, np.exp(-100.0))
    return ops.where(enough, ops.log(ops.where(enough, p, 1)), -100.0)


def _type(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}"
