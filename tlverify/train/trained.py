"""What training gives: parameters, a report of how it went, and the graph to export and certify."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tlverify.core import nn
from tlverify.graph import Graph, Shape, TlverifyError, digest, save_graph
from tlverify.train.data import Array, Dataset

if TYPE_CHECKING:
    from tlverify.certify import Result
    from tlverify.certify.claim import Number
    from tlverify.train.trainer import Trainer


@dataclass(frozen=True)
class Report:
    """How training went.

    `losses` holds the loss of every step; `scores` pairs of (steps done, score on the evaluation data) after every
    pass; `seconds` is wall time.
    """

    title: str = ""
    losses: tuple[float, ...] = ()
    scores: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A trained model: the Trainer, its parameters, the shape of one example, and the report."""

    trainer: Trainer
    params: Any
    input_shape: Shape
    report: Report = Report()

    @property
    def graph(self) -> Graph:
        """The graph of one example: input `x`, output `y`."""
        return nn.export_graph(self.trainer.model, self.params, self.input_shape)

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 that names the graph and its parameters."""
        return digest(self.graph)

    def outputs(self, x: npt.ArrayLike) -> Array:
        """Logits or values (n, *outputs) for examples x (n, *features) float32."""
        found = np.asarray(x, np.float32)
        if found.shape[1:] != self.input_shape:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            raise TlverifyError(f"x: expected examples {expected}, found shape {found.shape}")
        return np.asarray(self.trainer.model(self.params, found))

    def predict(self, x: npt.ArrayLike) -> Array:
        """Labels (n,) for classification, values (n, *outputs) for regression."""
        outputs = self.outputs(x)
        return outputs.argmax(-1) if self.trainer.task == "classification" else outputs

    def accuracy(self, data: Dataset) -> float:
        """The fraction of examples whose label is predicted."""
        if self.trainer.task != "classification":
            raise TlverifyError("accuracy is for classification; score gives the mean squared error")
        return float((self.predict(data.x) == data.y).mean())

    def score(self, data: Dataset) -> float:
        """Accuracy for classification, mean squared error for regression."""
        if self.trainer.task == "classification":
            return self.accuracy(data)
        return float(np.square(self.outputs(data.x) - data.y).mean())

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write `path`, which ends in `.graph.json`, and the `.safetensors` beside it; gives the path back."""
        target = Path(path)
        save_graph(self.graph, target)
        return target

    def certify(
        self, data: Dataset, epsilon: Number, index: Sequence[int] | None = None, timeout: float | None = 60.0
    ) -> Iterator[Result]:
        """The verdict on the robustness of each example (or those at `index`) within `epsilon` and [0, 1].

        Each `verified` comes with a certificate that the kernel has accepted, each `falsified` with a counterexample
        that it has replayed. `timeout` is in seconds of search for each example.
        """
        from tlverify.certify import certify, robustness

        chosen = data if index is None else data.take(list(index))
        graph = self.graph
        return certify(graph, robustness(graph, chosen.x, chosen.y, epsilon), timeout=timeout)

    def summary(self) -> str:
        """The layers with shapes and parameter counts, the training, and the digest."""
        report = self.report
        lines = [nn.summary(self.trainer.model, self.input_shape), ""]
        if report.losses:
            lines.append(f"loss      {report.losses[0]:.4f} -> {report.losses[-1]:.4f}")
            lines.append(f"training  {len(report.losses):,} steps in {report.seconds:.1f} s")
        if report.scores:
            name = "accuracy" if self.trainer.task == "classification" else "mse"
            lines.append(f"{name:<9} {report.scores[-1][1]:.4f}")
        return "\n".join([*lines, f"digest    {self.digest}"])

    def __repr__(self) -> str:
        steps = len(self.report.losses)
        return f"Trained({self.trainer.model}, {steps} steps, digest {self.digest[:12]})"
