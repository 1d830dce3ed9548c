"""The Trainer: a model, a loss and an optimizer, run over data for a number of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tlverify.core import native, nn, pytree
from tlverify.graph import FLOATS, ShapeError, TlverifyError
from tlverify.train import losses, optim
from tlverify.train.backend import BACKENDS, WINOGRAD
from tlverify.train.callbacks import Callbacks, EarlyStopping
from tlverify.train.checkpoint import Checkpoints, Saved
from tlverify.train.chunks import Chunks
from tlverify.train.data import Array, DataError, Dataset
from tlverify.train.logs import Log
from tlverify.train.objective import Objective, OutputLoss, as_objective
from tlverify.train.order import ShuffledBatches
from tlverify.train.probe import Probe, ProbeResult
from tlverify.train.progress import progress_bar
from tlverify.train.report import Report
from tlverify.train.state import StopTraining, TrainingError, TrainState, expect
from tlverify.train.stepper import Batch, Metrics, Stepper
from tlverify.train.stream import StepStream
from tlverify.train.trained import Trained

Task = Literal["classification", "regression", "cross_entropy", "custom"]
Augment = Callable[[Array, np.random.Generator], Array]
"""A batch x (n, *features) changed at random, labels kept."""

TASKS = ("classification", "regression", "cross_entropy", "custom")
_DEFAULT_LOSS: Mapping[str, OutputLoss] = {
    "classification": losses.cross_entropy,
    "cross_entropy": losses.cross_entropy,
    "regression": losses.mse,
}
_SCORES = {"classification": "accuracy", "cross_entropy": "loss", "custom": "loss", "regression": "mse"}


@dataclass(frozen=True)
class Trainer:
    """How to train `model`: a layer such as nn.Sequential, with `init(rng)` and `model(params, x)`.

    `loss` is a function of outputs and labels, or an objective such as losses.IntervalCrossEntropy(0.02); by
    default cross-entropy for classification and mean squared error for regression. The task `cross_entropy` has
    probabilities as targets, or labels for each step of a sequence; the task `custom` needs a loss, and checks no
    shapes. `seed` decides the initial parameters, the order of examples, the augmentation and the random
    numbers of layers: one seed gives the same bytes again on one machine.

    `backend` is numpy or cupy. With `execution="eager"` the graph of a step runs node by node, and the first value
    that is not finite is named at once; "compiled" runs it as one plan of NumPy or CuPy; "native" makes machine code
    of the whole step, optimizer included (extra `native`; on cupy kernels in one CUDA graph). "auto" is native for a
    training of 200 steps or more on numpy where it can be, else compiled; the report says which, and why. With
    "native" on numpy, `convolution="winograd"` takes Winograd's F(2x2, 3x3) for convolutions in float32 of 3x3, with
    stride 1 and 16 channels or more on both sides: faster, with larger errors. See docs/execution.md.
    """

    model: nn.Layer
    task: Task = "classification"
    optimizer: optim.Optimizer = field(default_factory=optim.Adam)
    loss: OutputLoss | Objective | None = None
    seed: int = 0
    dtype: str = "float32"
    backend: Literal["numpy", "cupy"] = "numpy"
    execution: Literal["auto", "native", "compiled", "eager"] = "auto"
    convolution: Literal["direct", "winograd"] = "direct"

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise TlverifyError(f"Trainer: task: expected {', '.join(TASKS[:-1])} or custom, found {self.task!r}")
        if self.task == "custom" and self.loss is None:
            raise TlverifyError("Trainer: the task custom needs a loss, as in loss=lambda outputs, targets: ...")
        choices = {"dtype": FLOATS, "backend": BACKENDS, "execution": EXECUTIONS, "convolution": CONVOLUTIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                found = getattr(self, name)
                raise TlverifyError(f"Trainer: {name}: expected {' or '.join(known)}, found {found!r}")
        if self.convolution == "winograd":
            for name, needed in (("execution", "native"), ("backend", "numpy"), ("dtype", "float32")):
                if (found := getattr(self, name)) != needed:
                    raise TlverifyError(f"Trainer: convolution winograd: needs {name}={needed!r}, found {found!r}")
        if isinstance(self.model, type):
            name = self.model.__name__
            raise TlverifyError(
                f"Trainer: model: expected a layer, found the class {name}; make one, as in {name}(...)"
            )
        if isinstance(self.optimizer, type) or not hasattr(self.optimizer, "update"):
            found = getattr(self.optimizer, "__name__", repr(self.optimizer))
            raise TlverifyError(f"Trainer: optimizer: expected one such as optim.Adam(lr=0.001), found {found}")
        loss: object = self.loss
        if loss is not None and not callable(loss):
            expected = "a function of outputs and targets, such as losses.cross_entropy"
            raise TlverifyError(f"Trainer: loss: expected {expected}, found {loss!r}")
        if not isinstance(self.seed, int | np.integer) or not 0 <= self.seed < 2**63:
            raise TlverifyError(f"Trainer: seed: expected an integer >= 0 and below 2^63, found {self.seed!r}")

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return as_objective(self.loss or _DEFAULT_LOSS[self.task])

    @property
    def score_name(self) -> str:
        """The name of the score on evaluation data."""
        return _SCORES[self.task]

    def stepper(self, total: int, schedule: optim.Schedule = optim.constant) -> Stepper:
        """One step as a function `(state, batch) -> (state, metrics)`, for a training of `total` steps."""
        return Stepper(
            self.model,
            self.objective,
            self.optimizer,
            total,
            schedule,
            self.seed,
            self.dtype,
            WINOGRAD if self.convolution == "winograd" else BACKENDS[self.backend](),
            *self._execution(total),
        )

    def _execution(self, total: int) -> tuple[str, str]:
        """How the steps of a training run, and if that was not asked for the reason."""
        reason = ""
        if self.backend != "numpy":
            reason = "execution='native' records a step of the GPU as one"
        elif not native.installed():
            reason = "pip install 'tlverify[native]' for machine code"
            if self.execution == "native":
                raise TlverifyError(f"Trainer: execution native: it needs llvmlite; {reason}")
        if self.execution != "auto":
            return self.execution, ""
        if total < AUTO_STEPS:
            return "compiled", f"fewer than {AUTO_STEPS} steps"
        return ("compiled", reason) if reason else ("native", "chosen")

    def train(
        self,
        data: Dataset | StepStream,
        *,
        epochs: int | None = None,
        steps: int | None = None,
        batch_size: int = 128,
        schedule: optim.Schedule = optim.constant,
        augment: Augment | None = None,
        evaluation: Dataset | None = None,
        accumulate: int = 1,
        callbacks: Callbacks | Sequence[Callbacks] = (),
        stop_early: EarlyStopping | None = None,
        checkpoints: Checkpoints | None = None,
        params: Any = None,
        probes: Sequence[Probe] = (),
        logs: Sequence[Log] = (),
        log_every: int = 1,
        fast_dev_run: bool = False,
        progress: bool = True,
        title: str = "",
        notes: str = "",
    ) -> Trained:
        """Train for `epochs` passes over `data`, or for `steps` steps; from new parameters or from `params`.

        Batches have `batch_size` examples, or all of them if there are fewer; what is left at the end of a pass
        is skipped, and the next pass is in another order. A step takes `accumulate` batches and the mean of their
        gradients. `schedule` multiplies the learning rate. The accuracy (or mean squared error, or loss) on
        `evaluation` is reported after each pass. With `checkpoints` the state is saved on the way, and a training that
        was cut off goes on from the last one with the same result, to the bit. `fast_dev_run` does one step of
        everything. TrainingError at the first step with a loss that is not finite.
        """
        hooks = (callbacks,) if isinstance(callbacks, Callbacks) else callbacks
        expect("train: data", data, Dataset | StepStream, "a Dataset, as of data.tensor_dataset(x, y), or a StepStream")
        expect("train: evaluation", evaluation, Dataset | None, "a Dataset, as of data.tensor_dataset(x, y)")
        expect("train: schedule", schedule, Callable, "a schedule such as optim.cosine")
        expect("train: augment", augment, Callable | None, "a function of a batch and a numpy Generator")
        expect("train: stop_early", stop_early, EarlyStopping | None, "EarlyStopping(...)")
        expect("train: checkpoints", checkpoints, Checkpoints | None, "Checkpoints(folder)")
        for argument, given, kind_of in (("callbacks", hooks, Callbacks), ("probes", probes, Probe)):
            expect(f"train: {argument}", given, Sequence, f"a list of {kind_of.__name__}")
            for item in given:
                expect(f"train: {argument}", item, kind_of, f"a list of {kind_of.__name__}")
        if log_every < 1:
            raise TlverifyError(f"train: expected log_every of 1 or more, found {log_every}")
        expect("train: logs", logs, list | tuple, "a list of logs such as JsonLines(path)")
        if params is None and not hasattr(self.model, "init"):
            raise TlverifyError("train: the model has no init(rng); give its parameters, as in params={'w': ...}")
        init_rng, order_rng, augment_rng = np.random.default_rng(self.seed).spawn(3)
        first = pytree.map(np.asarray, self.model.init(init_rng) if params is None else params)
        if isinstance(data, StepStream):
            total, order = _stream_steps(epochs, steps, accumulate), None
        else:
            _check_data(self, first, data)
            size = min(batch_size, len(data))
            total = _steps(epochs, steps, batch_size, len(data), accumulate)
            order = ShuffledBatches(data, size, order_rng)
        total = 1 if fast_dev_run else total
        stepper = self.stepper(total, schedule)
        state = stepper.start(first)
        kind = "int64" if isinstance(data, Dataset) and data.x.dtype == np.int64 else self.dtype

        def trained(state: TrainState, report: Report) -> Trained:
            host = pytree.map(_to_host, (state.params, state.buffers))
            return Trained(self, host[0], data.features, report, host[1], kind)

        probe_inputs = np.stack([np.asarray(probe.x) for probe in probes]) if probes else None
        before = None if probe_inputs is None else trained(state, Report()).outputs(probe_inputs)
        settings = _settings(self, data, total, batch_size, accumulate, augment)
        curve: list[float] = []
        scores: list[tuple[int, float]] = []
        if checkpoints is not None and (saved := checkpoints.load(state, settings)) is not None:
            state, curve, scores = saved.state, list(saved.losses), list(saved.scores)
            state = pytree.map(lambda leaf: _to_device(leaf, stepper), state)
            _restore_position(saved.position, order, augment_rng)
        for hook in hooks:
            if hook.train_start:
                hook.train_start(state)
        # Steps are taken together where nothing looks at what is between them.
        alone = order is not None and augment is None and accumulate == 1 and not any(hook.step for hook in hooks)
        by_pass = evaluation is not None or bool(logs) or any(hook.epoch for hook in hooks)
        ends = [*([log_every] if logs else []), *([checkpoints.every] if checkpoints is not None else [])]
        chunks = Chunks(_batch_bytes(data, batch_size), ends)
        began, stopped, higher = time.perf_counter(), "", self.task == "classification"
        with progress_bar(title, total, progress) as update, np.errstate(all="ignore"):
            while state.step < total and not stopped:
                most = min(total - state.step, order.left if order is not None and by_pass else total)
                many = chunks.at(state.step, most) if alone and stepper.scans else 1
                with chunks.timed(many):
                    if many > 1 and order is not None:
                        state, told = stepper.scan(state, order.take(many))
                        metrics = Metrics(float(told[-1]), stepper.rate(state.step - 1))
                    else:
                        first_batch = state.step * accumulate
                        numbers = range(first_batch, first_batch + accumulate)
                        batches = [_batch(data, order, number, augment, augment_rng) for number in numbers]
                        state, metrics = stepper(state, *batches)
                        told = np.array([metrics.loss])
                curve.extend(told.tolist())
                end_of_pass = state.step == total or (order is not None and order.at_end)
                values = {"loss": metrics.loss, "lr": metrics.lr}
                try:
                    for hook in hooks:
                        if hook.step:
                            hook.step(state, metrics)
                    if end_of_pass:
                        if evaluation is not None:
                            scores.append((state.step, trained(state, Report()).score(evaluation)))
                            values[self.score_name] = scores[-1][1]
                        for hook in hooks:
                            if hook.epoch:
                                hook.epoch(state, scores[-1][1] if evaluation is not None else None)
                except StopTraining as reason:
                    stopped = str(reason) or "a callback stopped it"
                if stop_early is not None and end_of_pass and evaluation is not None:
                    stopped = stopped or stop_early.reason(scores, higher) or ""
                if state.step % log_every == 0 or end_of_pass:
                    for log in logs:
                        log.write(state.step, values)
                if checkpoints is not None and (state.step % checkpoints.every == 0 or state.step == total or stopped):
                    position = _position(order, augment_rng)
                    checkpoints.save(Saved(state, tuple(curve), tuple(scores), position), settings, higher)
                update(state.step, f"loss {metrics.loss:.4f}")
        _check_finite(state)
        for log in logs:
            log.close()
        seconds = time.perf_counter() - began
        results: tuple[ProbeResult, ...] = ()
        if probe_inputs is not None and before is not None:
            after = trained(state, Report()).outputs(probe_inputs)
            results = tuple(ProbeResult(*row) for row in zip(probes, before, after, strict=True))
        report = Report(title, tuple(curve), tuple(scores), seconds, stopped, results, notes, stepper.how)
        result = trained(state, report)
        for hook in hooks:
            if hook.train_end:
                hook.train_end(result)
        return result


EXECUTIONS = ("auto", "native", "compiled", "eager")
CONVOLUTIONS = ("direct", "winograd")
AUTO_STEPS = 200  # from which machine code is worth the time to make it


def _to_host(leaf: Any) -> Any:
    return leaf.get() if hasattr(leaf, "get") else leaf


def _to_device(leaf: Any, stepper: Stepper) -> Any:
    return leaf if isinstance(leaf, bool | int | float) else stepper.backend.to_device(leaf)


def _check_data(trainer: Trainer, params: Any, data: Dataset) -> None:
    """One example fits the model, and the labels or targets fit its outputs."""
    if trainer.task == "custom":
        return
    outputs = tuple(nn.apply(trainer.model, params, nn.init_state(trainer.model), data.x[:1])[0].shape[1:])
    if trainer.task == "regression":
        if data.labelled:
            raise DataError("y: expected float targets for regression, found labels; y.astype('float32') makes some")
        if outputs != data.y.shape[1:]:
            raise ShapeError(f"the model gives {list(outputs)} for each example, y has {list(data.y.shape[1:])}")
    elif trainer.task == "cross_entropy" and not data.labelled:
        if outputs != data.y.shape[1:]:
            found = f"y has {list(data.y.shape[1:])}"
            raise ShapeError(f"the model gives {list(outputs)} for each example, {found}; expected probabilities")
    elif not data.labelled:
        raise DataError("y: expected integer labels for classification, found float targets")
    elif len(outputs) == 0 or outputs[:-1] != data.y.shape[1:] or outputs[-1] < data.classes:
        found = f"y has labels up to {data.classes - 1}"
        raise ShapeError(f"the model gives {list(outputs)} for each example, {found}; expected one logit a class")


def _steps(epochs: int | None, steps: int | None, batch_size: int, examples: int, accumulate: int) -> int:
    found = f"found epochs={epochs}, steps={steps}, batch_size={batch_size}"
    for name, value in (("epochs", epochs), ("steps", steps), ("batch_size", batch_size), ("accumulate", accumulate)):
        expect(f"train: {name}", value, int | np.integer | None, "an integer")
    if batch_size < 1:
        raise TlverifyError(f"train: expected a batch_size of 1 or more, {found}")
    if accumulate < 1:
        raise TlverifyError(f"train: expected accumulate of 1 or more, found {accumulate}")
    if (epochs is None) == (steps is None):
        raise TlverifyError(f"train: expected either epochs or steps, {found}")
    total = steps if steps is not None else (epochs or 0) * max(examples // batch_size, 1) // accumulate
    if total < 1:
        raise TlverifyError(f"train: expected one step or more, {found}")
    return total


def _stream_steps(epochs: int | None, steps: int | None, accumulate: int) -> int:
    expect("train: steps", steps, int | np.integer | None, "an integer")
    if epochs is not None or steps is None or steps < 1 or accumulate < 1:
        raise TlverifyError(f"train: expected steps of 1 or more for a stream, found epochs={epochs}, steps={steps}")
    return steps


def _batch(
    data: Dataset | StepStream,
    order: ShuffledBatches | None,
    number: int,
    augment: Augment | None,
    rng: np.random.Generator,
) -> Batch:
    x, y = data.batch(number) if isinstance(data, StepStream) else order.next()  # type: ignore[union-attr]
    return (x if augment is None else augment(x, rng)), y


def _batch_bytes(data: Dataset | StepStream, size: int) -> int:
    return 0 if isinstance(data, StepStream) else size * (data.x[:1].nbytes + data.y[:1].nbytes)


def _position(order: ShuffledBatches | None, augment_rng: np.random.Generator) -> dict[str, Any]:
    place = {} if order is None else order.position()
    return {"order": place, "augment": augment_rng.bit_generator.state}


def _restore_position(
    position: Mapping[str, Any], order: ShuffledBatches | None, augment_rng: np.random.Generator
) -> None:
    augment_rng.bit_generator.state = position["augment"]
    if order is not None:
        order.restore(position["order"])


def _settings(
    trainer: Trainer,
    data: Dataset | StepStream,
    total: int,
    batch_size: int,
    accumulate: int,
    augment: Augment | None,
) -> dict[str, str]:
    """What must be the same for a training to be taken up again."""
    return {
        "model": nn.layer_text(trainer.model),
        "task": trainer.task,
        "optimizer": str(trainer.optimizer),
        "seed": str(trainer.seed),
        "dtype": trainer.dtype,
        "steps": str(total),
        "batch_size": str(batch_size),
        "accumulate": str(accumulate),
        "data": repr(data) if isinstance(data, Dataset) else f"stream {data.x_shape} {data.y_shape}",
        "augment": "none" if augment is None else type(augment).__name__,
    }


def _check_finite(state: TrainState) -> None:
    leaves, tree = pytree.flatten(state.params)
    for path, leaf in zip(pytree.paths(tree), leaves, strict=True):
        if not np.isfinite(leaf).all():
            raise TrainingError(f"step {state.step}: parameter {path!r} is not finite; lower the learning rate")
