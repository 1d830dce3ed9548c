"""The Trainer: a model, a loss and an optimizer, run over data for a number of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tlverify.core import NonFiniteError, nn, pytree, run, trace, value_and_grad
from tlverify.graph import ShapeError, TlverifyError
from tlverify.train import losses, optim
from tlverify.train.data import Array, DataError, Dataset, loader
from tlverify.train.objective import Objective, OutputLoss, as_objective
from tlverify.train.progress import progress_bar
from tlverify.train.trained import Report, Trained

Task = Literal["classification", "regression"]
Augment = Callable[[Array, np.random.Generator], Array]
"""A batch x (n, *features) changed at random, labels kept."""


class TrainingError(TlverifyError):
    """Training could not go on: the message names the step and the value."""


@dataclass(frozen=True)
class Trainer:
    """How to train `model`: a layer such as nn.Sequential, with `init(rng)` and `model(params, x)`.

    `loss` is a function of outputs and labels, or an objective such as losses.IntervalCrossEntropy(0.02); by
    default cross-entropy for classification and mean squared error for regression. `seed` decides the initial
    parameters, the order of examples and the augmentation: one seed gives the same bytes again on one machine.
    """

    model: nn.Layer
    task: Task = "classification"
    optimizer: optim.Optimizer = field(default_factory=optim.Adam)
    loss: OutputLoss | Objective | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.task not in ("classification", "regression"):
            raise TlverifyError(f"Trainer: task: expected classification or regression, found {self.task!r}")

    def train(
        self,
        data: Dataset,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 128,
        schedule: optim.Schedule = optim.constant,
        augment: Augment | None = None,
        evaluation: Dataset | None = None,
        progress: bool = True,
        title: str = "",
    ) -> Trained:
        """Train from new parameters for `epochs` passes over `data`, or for `steps` batches.

        Batches have `batch_size` examples, or all of them if there are fewer; what is left at the end of a pass
        is skipped, and the next pass is in another order. `schedule` multiplies the learning rate. The accuracy
        (or mean squared error) on `evaluation` is reported after each pass. TrainingError at the first step with
        a loss that is not finite.
        """
        init_rng, order_rng, augment_rng = np.random.default_rng(self.seed).spawn(3)
        params = self.model.init(init_rng)
        _check_data(self, params, data)
        size = min(batch_size, len(data))
        total = _steps(epochs, steps, batch_size, len(data))
        objective = as_objective(self.loss or _DEFAULT_LOSS[self.task])

        def loss_of(params: Any, x: Any, y: Any, coefficients: tuple[Any, ...]) -> Any:
            return objective(self.model, params, x, y, *coefficients)

        step_of = value_and_grad(loss_of)
        state = self.optimizer.init(params)
        curve: list[float] = []
        scores: list[tuple[int, float]] = []
        began = time.perf_counter()
        with progress_bar(title, total, progress) as update, np.errstate(all="ignore"):
            for step, (x, y, end_of_pass) in enumerate(_batches(data, size, total, order_rng)):
                fraction = step / total
                coefficients = tuple([np.asarray(c, x.dtype) for c in objective.coefficients(fraction)])
                batch = (x if augment is None else augment(x, augment_rng), y, coefficients)
                loss, grads = step_of(params, *batch)
                curve.append(float(loss))
                if not math.isfinite(curve[-1]):
                    raise TrainingError(_not_finite(step + 1, curve[-1], loss_of, params, batch))
                params, state = self.optimizer.update(grads, state, params, self.optimizer.lr * schedule(fraction))
                if end_of_pass and evaluation is not None:
                    scores.append((step + 1, Trained(self, params, data.features).score(evaluation)))
                update(step + 1, f"loss {curve[-1]:.4f}")
        for path, leaf in zip(pytree.paths(pytree.flatten(params)[1]), pytree.flatten(params)[0], strict=True):
            if not np.isfinite(leaf).all():
                raise TrainingError(f"step {total}: parameter {path!r} is not finite; lower the learning rate")
        report = Report(title, tuple(curve), tuple(scores), time.perf_counter() - began)
        return Trained(self, params, data.features, report)


_DEFAULT_LOSS: Mapping[Task, OutputLoss] = {"classification": losses.cross_entropy, "regression": losses.mse}


def _check_data(trainer: Trainer, params: Any, data: Dataset) -> None:
    """One example fits the model, and the labels or targets fit its outputs."""
    outputs = tuple(trainer.model(params, data.x[:1]).shape[1:])
    if trainer.task == "regression":
        if data.labelled:
            raise DataError("y: expected float targets for regression, found labels; y.astype('float32') makes some")
        if outputs != data.y.shape[1:]:
            raise ShapeError(f"the model gives {list(outputs)} for each example, y has {list(data.y.shape[1:])}")
    elif not data.labelled:
        raise DataError("y: expected integer labels for classification, found float targets")
    elif len(outputs) != 1 or outputs[0] < data.classes:
        found = f"y has labels up to {data.classes - 1}"
        raise ShapeError(f"the model gives {list(outputs)} for each example, {found}; expected one logit a class")


def _steps(epochs: int | None, steps: int | None, batch_size: int, examples: int) -> int:
    found = f"found epochs={epochs}, steps={steps}, batch_size={batch_size}"
    if batch_size < 1:
        raise TlverifyError(f"train: expected a batch_size of 1 or more, {found}")
    if (epochs is None) == (steps is None):
        raise TlverifyError(f"train: expected either epochs or steps, {found}")
    total = steps if steps is not None else (epochs or 0) * max(examples // batch_size, 1)
    if total < 1:
        raise TlverifyError(f"train: expected one step or more, {found}")
    return total


def _batches(data: Dataset, size: int, total: int, rng: np.random.Generator) -> Iterator[tuple[Array, Array, bool]]:
    """`total` batches of `size` examples, and whether each is the last of a pass or of all."""
    per_epoch = len(data) // size
    step = 0
    while step < total:
        for x, y in loader(data, size, shuffle=True, rng=rng, drop_last=True):
            step += 1
            yield x, y, step % per_epoch == 0 or step == total
            if step == total:
                return


def _not_finite(step: int, loss: float, loss_of: Any, params: Any, batch: tuple[Any, ...]) -> str:
    """Where the loss of this step left the finite numbers, from a checked run of its graph."""
    leaves, _ = pytree.flatten((params, *batch))
    where = "a gradient of the step before"
    try:
        run(trace(loss_of, params, *batch).graph, leaves, check=True)
    except NonFiniteError as error:
        where = str(error)
    return f"step {step}: the loss is {loss}: {where}; lower the learning rate or check the loss"
