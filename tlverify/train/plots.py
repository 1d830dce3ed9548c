"""Pictures of a training: matplotlib figures, written to a file where a path is given. Needs the `report` extra."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tlverify.graph import TlverifyError
from tlverify.train.lr_finder import RangeTest
from tlverify.train.report import Report


def plot_report(report: Report, path: str | os.PathLike[str] | None = None) -> Any:
    """The loss of every step, and the scores on evaluation data on an axis of their own. A suffix says the format."""
    if not report.losses:
        raise TlverifyError("plot_report: expected a report with losses, found none")
    figure = _figure((6, 3.5))
    axes = figure.add_subplot()
    axes.plot(range(1, len(report.losses) + 1), report.losses, linewidth=0.8, label="loss")
    axes.set(xlabel="step", ylabel="loss", title=report.title or "training")
    if min(report.losses) > 0 and max(report.losses) > 20 * min(report.losses):
        axes.set_yscale("log")
    if report.scores:
        right = axes.twinx()
        right.plot(*zip(*report.scores, strict=True), color="tab:orange", marker=".", label="score")
        right.set_ylabel("score")
    return _saved(figure, path)


def plot_confusion(table: Any, path: str | os.PathLike[str] | None = None, names: Sequence[str] | None = None) -> Any:
    """A confusion matrix, rows by label, with the numbers in its cells."""
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise TlverifyError(f"plot_confusion: expected (classes, classes), found {list(counts.shape)}")
    figure = _figure((1.5 + 0.45 * len(counts),) * 2)
    axes = figure.add_subplot()
    axes.imshow(counts, cmap="Blues")
    labels = names or [str(i) for i in range(len(counts))]
    axes.set_xticks(range(len(counts)), labels, rotation=90 if names else 0)
    axes.set_yticks(range(len(counts)), labels)
    axes.set(xlabel="predicted", ylabel="label")
    for (row, column), count in np.ndenumerate(counts):
        dark = count > counts.max() / 2
        axes.text(column, row, str(count), ha="center", va="center", color="white" if dark else "black", fontsize=8)
    return _saved(figure, path)


def plot_lr(test: RangeTest, path: str | os.PathLike[str] | None = None) -> Any:
    """The smoothed loss against the learning rate of a range test, with the rate that it suggests."""
    figure = _figure((6, 3.5))
    axes = figure.add_subplot()
    axes.plot(test.rates, test.losses, linewidth=1)
    axes.axvline(test.suggestion, color="tab:orange", linestyle="--", label=f"suggestion {test.suggestion:.2g}")
    axes.set(xlabel="learning rate", ylabel="loss", xscale="log")
    axes.legend()
    return _saved(figure, path)


def _figure(size: tuple[float, float]) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise TlverifyError("plots: need matplotlib: pip install 'tlverify[report]'") from None
    return Figure(figsize=size, layout="constrained")


def _saved(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(target)
        except (OSError, ValueError) as error:
            raise TlverifyError(f"plot {target}: cannot be written: {error}") from None
    return figure
