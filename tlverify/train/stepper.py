"""One step of training as a function of a state and batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from tlverify.core import NonFiniteError, nn, ops, pytree, run, trace, value_and_grad
from tlverify.core.tensor import Tensor
from tlverify.graph import TlverifyError
from tlverify.train import optim
from tlverify.train.backend import HOST, Backend, SeveralProgram, WholeProgram
from tlverify.train.data import Array
from tlverify.train.objective import Objective
from tlverify.train.packed import Layout, PackedState, layout_of, packed
from tlverify.train.state import TrainingError, TrainState, expect
from tlverify.train.whole import WholeStep, gradient_step, update_step, whole_step

Batch = tuple[Array, Array]


class Metrics(NamedTuple):
    """What one step tells: the loss before it (mean over its batches), and the learning rate."""

    loss: float
    lr: float


@dataclass(frozen=True)
class Stepper:
    """`state, metrics = stepper(state, batch)`; the state before the first step is `stepper.init()`.

    `total` is the number of steps that schedules count on. Several batches make one step with the mean of their
    gradients. The step number decides the random numbers of the layers: equal states and batches give equal results.
    """

    model: Any
    objective: Objective
    optimizer: optim.Optimizer
    total: int
    schedule: optim.Schedule = optim.constant
    seed: int = 0
    dtype: str = "float32"
    backend: Backend = HOST
    execution: str = "compiled"
    reason: str = ""
    _gradient: Callable[..., Any] = field(init=False, repr=False)
    _compiled: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)
    _refused: list[str] = field(init=False, repr=False, default_factory=list)
    _layouts: list[Layout] = field(init=False, repr=False, default_factory=list)
    # The latest program, and if it takes nothing but the arrays of a batch, as they are, the types it is for.
    _latest: list[Any] = field(init=False, repr=False, default_factory=lambda: [None, None])

    def __post_init__(self) -> None:
        gradient = value_and_grad(self._loss, has_aux=True, check=self.execution == "eager")
        object.__setattr__(self, "_gradient", gradient)

    def init(self, rng: np.random.Generator) -> TrainState:
        """New parameters, drawn from `rng`."""
        return self.start(self.model.init(rng))

    def start(self, params: Any) -> TrainState:
        """The state before the first step from given parameters."""
        params, buffers = (pytree.map(self._leaf, tree) for tree in (params, nn.init_state(self.model)))
        return TrainState(0, params, buffers, self.optimizer.init(params))

    def __call__(self, state: TrainState, *batches: Batch) -> tuple[TrainState, Metrics]:
        """TrainingError if the loss is not finite."""
        # First the usual case, since the step of a small network takes as long as a few lines of Python.
        if len(batches) == 1 and type(state) is PackedState:
            key, step = self._latest
            try:
                x, y = batches[0]
                usual = (state.layout, x.shape, x.dtype, y.shape, y.dtype) == key
            except (AttributeError, TypeError, ValueError):
                usual = False  # _expect says what is wrong
            if usual and (state.trees is None or not state.changed):
                lr = self.optimizer.lr * self.schedule(state.step / self.total)
                new, loss = step(state, (None, x, y), lr)
                if isfinite(loss):
                    return new, _metrics((loss, lr))
        return self._step(state, batches)

    def _step(self, state: TrainState, batches: Sequence[Batch]) -> tuple[TrainState, Metrics]:
        _expect("step", state, batches)
        found = self._program(state, batches) if self._make is not None and not self._refused else None
        if found is None:
            return self._planned(state, batches)
        step, state = found
        lr = self.rate(state.step)
        leaves = [self._leaves(state.step, number, batch) for number, batch in enumerate(batches)]
        if len(batches) == 1:
            new, loss = step(state, leaves[0], lr)
            losses = [loss]
        else:
            new, losses = step(state, leaves, lr)
            loss = sum(losses) / len(losses)
        if not isfinite(loss):
            number = next(number for number, one in enumerate(losses) if not isfinite(one))
            given = self._arguments(state.step, number, state.step / self.total, batches[number])
            raise TrainingError(self._explain(state.step + 1, losses[number], (state.params, state.buffers, *given)))
        return new, Metrics(loss, lr)

    def scan(self, state: TrainState, *batches: Batch) -> tuple[TrainState, Array]:
        """A step after another for each item of the first axis of the batches' arrays, as `jax.lax.scan` does: the
        last state, and the losses (steps,) float64. They are those of single steps, to the bit; where a step is machine
        code for one thread, all of them are one call of it. TrainingError if a loss is not finite.
        """
        if batches:
            _expect("scan", state, batches)
        parts = [part for batch in batches for part in batch]
        counts = {len(part) if part.ndim else 0 for part in parts}
        if len(counts) != 1 or 0 in counts:
            found = ", ".join(str(len(part)) if part.ndim else "a number" for part in parts)
            raise TlverifyError(f"scan: expected arrays that begin with one number of steps, found {found or 'none'}")
        count = counts.pop()
        if self._make is not None and len(batches) == 1 and not self._refused:
            x, y = batches[0]
            program = self._program(state, [(x[0], y[0])])
            if program is not None and program[0].scans:
                new, losses = program[0].scan(program[1], *self._many(*program, batches[0], count))
                if np.isfinite(losses).all():
                    return new, losses.astype(np.float64)
        losses = np.empty(count)
        for number in range(count):
            state, metrics = self(state, *((x[number], y[number]) for x, y in batches))
            losses[number] = metrics.loss
        return state, losses

    def _many(self, step: WholeProgram, state: PackedState, batch: Batch, count: int) -> tuple[Sequence[Any], Array]:
        """The leaves of the arguments of so many steps, one after another, and their rates."""
        done = range(state.step, state.step + count)
        key, _, _, *coefficients = step.reads
        random = np.array([_step_key(self.seed, number, 0) for number in done]) if key else None
        fractions = [number / self.total for number in done] if coefficients else []
        varying = np.array([self.objective.coefficients(f) for f in fractions], self.dtype).T
        lr, schedule, total = self.optimizer.lr, self.schedule, self.total  # as `rate`, of which there are many
        rates = [lr] * count if schedule is optim.constant else [lr * schedule(number / total) for number in done]
        return (random, *map(self._cast, batch), *varying), np.array(rates, np.float64)

    @property
    def scans(self) -> bool:
        """Whether the last step was machine code for one thread, so that `scan` takes such steps faster."""
        return self._latest[1] is not None and self._latest[1].scans and not self._refused

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return self.optimizer.lr * self.schedule(step / self.total)

    @property
    def _make(self) -> Callable[[WholeStep, Layout], WholeProgram] | None:
        """What makes a program of a whole step, where the execution and the backend have such programs."""
        return {"native": self.backend.native, "compiled": self.backend.compiled}.get(self.execution)

    @property
    def how(self) -> str:
        """The execution, and why it is not what was hoped for."""
        if self._refused:
            return f"compiled: {self._refused[0]}"
        return f"{self.execution}: {self.reason}" if self.reason and self.execution != "native" else self.execution

    def _program(self, state: TrainState, batches: Sequence[Batch]) -> tuple[Any, PackedState] | None:
        """The step as one program, made once for each type of batches, and the state as it takes it. None if there is
        none for such batches, or if something in the step needs values while it is traced and native execution was not
        asked for.
        """
        if type(state) is PackedState and type(state.layout.store) is not type(self.backend.store()):
            raise TlverifyError("step: the state lies on another device; begin with its parameters, by stepper.start")
        if type(state) is not PackedState or state.changed:
            state = packed(state, self._layout(layout_of(state, self.backend.store())))
        x, y = batches[0]
        if len(batches) > 1 and not self._alike(batches):
            return None
        key = (state.layout, x.shape, x.dtype, y.shape, y.dtype)
        found = self._compiled.get((len(batches), key))
        if found is None:
            given = self._arguments(state.step, 0, state.step / self.total, batches[0])
            try:
                step = self._made(state, len(batches), given)
            except (AttributeError, TypeError, TlverifyError) as error:
                self._planned(state, batches)  # where it is not the tracing, but the batch or the model, this says so
                if self.execution == "native" and not self.reason:
                    raise TlverifyError(f"execution native: {error}; take execution='compiled'") from None
                self._refused.append(str(error))
                return None
            kept = all(part.dtype == array.dtype for part, array in zip(batches[0], given[1:3], strict=True))
            usual = kept and len(batches) == 1 and len(step.reads) == 3 and not step.reads[0]
            found = self._compiled[len(batches), key] = step, usual
        step, usual = found
        self._latest[:] = key if usual else None, step
        return step, state

    def _layout(self, new: Layout) -> Layout:
        """The one that is known already, if it is equal."""
        for known in self._layouts:
            if (known.tree, known.leaves, known.numbers) == (new.tree, new.leaves, new.numbers):
                return known
        self._layouts.append(new)
        return new

    def _alike(self, batches: Sequence[Batch]) -> bool:
        """Whether they have one type, and the backend has programs for several."""
        types = {(part.shape, part.dtype) for part, _ in batches}, {(part.shape, part.dtype) for _, part in batches}
        able = self.execution == "native" and self.backend.several is not None
        return able and all(len(found) == 1 for found in types)

    def _made(self, state: PackedState, batches: int, given: Sequence[Any]) -> WholeProgram | SeveralProgram:
        if batches == 1:
            whole = whole_step(self._gradient, self.optimizer.update, state.layout, state, given)
            assert self._make is not None
            return self._make(whole, state.layout)
        assert self.backend.several is not None
        gradient = gradient_step(self._gradient, state.layout, state, given)
        return self.backend.several(
            gradient, update_step(self.optimizer.update, state.layout, state, batches), state.layout
        )

    def _planned(self, state: TrainState, batches: Sequence[Batch]) -> tuple[TrainState, Metrics]:
        """One step by the gradient of each batch, and the optimizer."""
        fraction = state.step / self.total
        lr = self.rate(state.step)
        buffers, losses, total = state.buffers, [], None
        for number, batch in enumerate(batches):
            given = self._arguments(state.step, number, fraction, batch)
            try:
                (loss, new), grads = self._gradient(state.params, buffers, *given)
            except NonFiniteError as error:
                raise TrainingError(f"step {state.step + 1}: {error}; {_REMEDY}") from None
            losses.append(float(loss))
            if not isfinite(losses[-1]):
                raise TrainingError(self._explain(state.step + 1, losses[-1], (state.params, buffers, *given)))
            buffers = new
            total = grads if total is None else pytree.map(lambda a, b: a + b, total, grads)
        if len(batches) > 1:
            total = pytree.map(lambda g: g / len(batches), total)
        params, optimizer = self.optimizer.update(total, state.optimizer, state.params, lr)
        metrics = Metrics(sum(losses) / len(losses), lr)
        return TrainState(state.step + 1, params, buffers, optimizer), metrics

    def _loss(self, params: Any, buffers: Any, key: Any, x: Any, y: Any, coefficients: Any) -> Any:
        """(loss, new buffers) with the model in training."""
        found: list[Any] = []

        def model(params: Any, x: Any) -> Any:
            result, new = nn.apply(self.model, params, buffers, x, train=True, key=key)
            found.append(new)
            return result

        loss = self.objective(model, params, x, y, *coefficients)
        # A loss may call the model inside a derivative of its own, whose values mean nothing out here.
        usable = [new for new in found if not any(_ended(leaf) for leaf in pytree.flatten(new)[0])]
        return loss, usable[-1] if usable else buffers

    def _arguments(self, step: int, number: int, fraction: float, batch: Batch) -> tuple[Any, ...]:
        x, y = map(self._cast, batch)
        coefficients = [np.asarray(c, self.dtype) for c in self.objective.coefficients(fraction)]
        key = _step_key(self.seed, step, number)
        return (*map(self.backend.to_device, (key, x, y)), tuple(map(self.backend.to_device, coefficients)))

    def _leaves(self, step: int, number: int, batch: Batch) -> list[Any]:
        """Of the arguments."""
        return pytree.flatten(self._arguments(step, number, step / self.total, batch))[0]

    def _cast(self, array: Any) -> Any:
        """In the dtype of the training, or of the same kind in the order of bytes of this machine."""
        dtype = self.dtype if np.issubdtype(array.dtype, np.floating) else array.dtype.newbyteorder("=")
        return array.astype(dtype, copy=False)

    def _leaf(self, leaf: Any) -> Any:
        return self.backend.to_device(leaf.astype(self.dtype, copy=False))

    def _explain(self, step: int, loss: float, arguments: Sequence[Any]) -> str:
        """Where the loss of this step left the finite numbers, from a checked run of its graph."""
        leaves, _ = pytree.flatten(tuple(arguments))
        where = "a gradient of the step before"
        try:
            run(trace(self._loss, *arguments).graph, leaves, check=True)
        except NonFiniteError as error:
            where = str(error)
        return f"step {step}: the loss is {loss}: {where}; {_REMEDY}"


_metrics: Callable[[tuple[float, float]], Metrics] = functools.partial(tuple.__new__, Metrics)
_REMEDY = "lower the learning rate or check the loss"


def _step_key(seed: int, step: int, number: int) -> Array:
    """fold_in(fold_in(key(seed), step), number) in integers of Python: it is made at every step."""
    place = ((step + 1) * ops.KEY_MULTIPLIER + number + 1) % 2**64
    return np.array([seed, place - 2**64 if place >= 2**63 else place], np.int64)


def _expect(what: str, state: object, batches: Sequence[object]) -> None:
    """TlverifyError unless these are a state and batches."""
    expect(f"{what}: state", state, TrainState, "a TrainState, as of stepper.init() or stepper.start(params)")
    if not batches:
        raise TlverifyError(f"{what}: expected a batch (x, y), found none")
    for batch in batches:
        parts = batch if isinstance(batch, tuple | list) else (batch,)
        if len(parts) != 2 or not all(isinstance(getattr(part, "dtype", None), np.dtype) for part in parts):
            found = ", ".join(type(part).__name__ for part in parts)
            raise TlverifyError(f"{what}: expected a pair (x, y) of arrays, found {found}")


def _ended(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.trace.closed
