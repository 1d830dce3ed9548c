"""What training gives: parameters, a report of how it went, and the graph to export and certify."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tlverify.core import nn, ops
from tlverify.graph import Graph, Shape, TlverifyError, digest, save_graph
from tlverify.train import metrics
from tlverify.train.data import Array, Dataset
from tlverify.train.report import Report
from tlverify.train.state import expect

if TYPE_CHECKING:
    from tlverify.certify import Result
    from tlverify.certify.claim import Number, Semantics
    from tlverify.train.trainer import Trainer


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A trained model: the Trainer, its parameters, the shape of one example, the report, and the state of layers.

    Everything here is evaluation: no dropout, running statistics as they are in `state`.
    """

    trainer: Trainer
    params: Any
    input_shape: Shape
    report: Report = field(default_factory=Report)
    state: Any = field(default_factory=dict)
    input_dtype: str = "float32"

    @property
    def graph(self) -> Graph:
        """The graph of one example: input `x`, output `y`."""
        return nn.export_graph(self.trainer.model, self.params, self.input_shape, self.input_dtype, self.state or None)

    @property
    def digest(self) -> str:
        """Hexadecimal sha256 that names the graph and its parameters."""
        return digest(self.graph)

    def outputs(self, x: npt.ArrayLike) -> Array:
        """Logits or values (n, *outputs) for examples x (n, *features)."""
        found = np.asarray(x, self.input_dtype)
        if found.shape[1:] != self.input_shape:
            expected = f"(n, {', '.join(map(str, self.input_shape))})"
            raise TlverifyError(f"x: expected examples {expected}, found shape {found.shape}")
        return np.asarray(nn.apply(self.trainer.model, self.params, self.state, found)[0])

    def __call__(self, x: npt.ArrayLike) -> Array:
        """The same as `outputs`."""
        return self.outputs(x)

    def predict(self, x: npt.ArrayLike) -> Array:
        """Labels (n,) for classification, values (n, *outputs) for the other tasks."""
        outputs = self.outputs(x)
        return outputs.argmax(-1) if self.trainer.task == "classification" else outputs

    def probabilities(self, x: npt.ArrayLike) -> Array:
        """The softmax of the outputs (n, classes)."""
        return np.asarray(ops.softmax(self.outputs(x)))

    def accuracy(self, data: Dataset) -> float:
        """The fraction of examples whose label is predicted."""
        if self.trainer.task != "classification":
            raise TlverifyError("accuracy is for classification; score gives the mean squared error")
        return float((self.predict(data.x) == data.y).mean())

    def confusion_matrix(self, data: Dataset) -> Array:
        """(classes, classes): how many examples of the class of the row were taken for that of the column."""
        if self.trainer.task != "classification":
            raise TlverifyError("confusion_matrix is for classification")
        return metrics.confusion_matrix(self.predict(data.x), data.y)

    def score(self, data: Dataset) -> float:
        """Accuracy for classification, mean squared error for regression, the loss for other tasks."""
        if self.trainer.task == "classification":
            return self.accuracy(data)
        if self.trainer.task == "regression":
            return float(np.square(self.outputs(data.x) - data.y).mean())
        model = nn.evaluation(self.trainer.model, self.state)
        return float(self.trainer.objective(model, self.params, data.x, data.y))

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write `path`, which ends in `.graph.json`, and the `.safetensors` beside it; gives the path back."""
        target = Path(path)
        save_graph(self.graph, target)
        return target

    def certify(
        self,
        data: Dataset,
        epsilon: Number,
        index: Sequence[int] | None = None,
        timeout: float | None = 60.0,
        clip: tuple[Number, Number] = (0, 1),
        semantics: Semantics | None = None,
    ) -> Iterator[Result]:
        """The verdict on the robustness of each example (or those at `index`) within `epsilon` and `clip`.

        Each `verified` comes with a certificate that the kernel has accepted, each `falsified` with a counterexample
        that it has replayed. It holds for every float32 execution, or for real numbers if the network is of float64,
        unless `semantics` says otherwise (as in tlverify.certify.robustness). `timeout` is in seconds of search for
        each example.
        """
        from tlverify.certify import certify, robustness

        expect("certify: data", data, Dataset, "a Dataset, as of data.tensor_dataset(x, y)")
        expect("certify: clip", clip, tuple | list, "the least and the greatest value of an input, as (0, 1)")
        if not data.labelled:
            raise TlverifyError(
                "certify: expected labels, found targets; tlverify.certify.certify proves what else holds"
            )
        chosen = data if index is None else data.take(list(index))
        graph = self.graph
        told = semantics or ("float32" if graph.inputs[0].dtype == "float32" else "real")
        claims = robustness(graph, chosen.x, chosen.y, epsilon, clip, told)
        return certify(graph, claims, timeout=timeout)

    def summary(self) -> str:
        """The layers with shapes and parameter counts, the training, and the digest."""
        lines = [nn.summary(self.trainer.model, self.input_shape), "", *self.report.lines(self.trainer.score_name)]
        return "\n".join([*lines, f"digest    {self.digest}"])

    def __repr__(self) -> str:
        steps = len(self.report.losses)
        return f"Trained({nn.layer_text(self.trainer.model)}, {steps} steps, digest {self.digest[:12]})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>{self.report.curve()}"
