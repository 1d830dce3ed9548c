"""Measures of predictions, from outputs and labels as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.graph import ShapeError

Floats = npt.NDArray[np.float64]


def accuracy(outputs: Any, labels: Any) -> float:
    """The fraction of examples (...) whose largest output (..., classes) is at the label."""
    return float((_labels(outputs, labels) == np.asarray(labels)).mean())


def top_k_accuracy(outputs: Any, labels: Any, k: int = 5) -> float:
    """The fraction of examples whose label is among the k largest outputs."""
    _labels(outputs, labels)
    best = np.argsort(-np.asarray(outputs), -1, kind="stable")[..., :k]
    return float((best == np.asarray(labels)[..., None]).any(-1).mean())


def confusion_matrix(predicted: Any, labels: Any, classes: int | None = None) -> npt.NDArray[np.int64]:
    """(classes, classes): how many examples of the class of the row were taken for that of the column."""
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if predicted.shape != labels.shape:
        raise ShapeError(f"confusion_matrix: found {list(predicted.shape)} predictions, {list(labels.shape)} labels")
    count = classes or int(max(predicted.max(initial=-1), labels.max(initial=-1))) + 1
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (labels.ravel(), predicted.ravel()), 1)
    return table


def precision_recall_f1(table: Any) -> tuple[Floats, Floats, Floats]:
    """Of each class, from a confusion matrix; 0 where a class was never predicted, or does not occur."""
    table = np.asarray(table, np.float64)
    hits = np.diag(table)
    precision = hits / np.maximum(table.sum(0), 1)
    recall = hits / np.maximum(table.sum(1), 1)
    return precision, recall, 2 * precision * recall / np.maximum(precision + recall, 1e-300)


def r2(outputs: Any, targets: Any) -> float:
    """1 - squared error / squared distance from the mean target: 1 is perfect, 0 no better than the mean."""
    outputs, targets = np.asarray(outputs, np.float64), np.asarray(targets, np.float64)
    if outputs.shape != targets.shape:
        raise ShapeError(f"r2: expected equal shapes, found {list(outputs.shape)} and {list(targets.shape)}")
    around = np.square(targets - targets.mean(0)).sum()
    return float(1 - np.square(outputs - targets).sum() / around) if around > 0 else float("nan")


def format_confusion(table: Any) -> str:
    """A confusion matrix as text, rows by label."""
    table = np.asarray(table)
    width = max(len(str(table.max(initial=0))), len(str(len(table) - 1)))
    head = " " * (width + 2) + " ".join(f"{i:>{width}}" for i in range(len(table)))
    rows = [f"{i:>{width}}: " + " ".join(f"{n:>{width}}" for n in row) for i, row in enumerate(table)]
    return "\n".join([head, *rows])


def _labels(outputs: Any, labels: Any) -> Any:
    outputs, labels = np.asarray(outputs), np.asarray(labels)
    if outputs.shape[:-1] != labels.shape:
        found = f"{list(outputs.shape)} and {list(labels.shape)}"
        raise ShapeError(f"accuracy: expected outputs (..., classes) and labels (...), found {found}")
    return outputs.argmax(-1)
