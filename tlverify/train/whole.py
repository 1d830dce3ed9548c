"""A step of training as one graph: forward, loss, backward, limits on gradients and optimizer.

The arrays of a state are inputs and outputs; the numbers of the optimizer (steps done, rates) are formulas that Python
works out as it would without a trace, so that no optimizer knows of any of this.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.formula import Formula, function_of
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import Graph, TlverifyError, Type
from tlverify.train.packed import Layout, Numbers, type_of
from tlverify.train.state import TrainState

BEFORE, LOSS, AFTER, NUMBERS, GIVEN = range(5)
"""Pieces of memory: old state, loss, new state, numbers of 8 bytes each, and from GIVEN on the arguments."""

_FORMATS = {"float32": "f4x", "float64": "d", "int64": "q"}

Place = tuple[int, int]
"""A piece of memory, and an offset in bytes."""


@dataclass(frozen=True, eq=False)
class WholeStep:
    """The graph, and where its inputs and outputs lie. `given` are the leaves of arguments, by type; `evaluate(lr,
    *numbers of the state)` gives the values that `format` packs into the piece NUMBERS, and those of the new state.
    The same as formulas: `results` of the numbers `names` but for lr, each with its dtype and where it lies.
    """

    graph: Graph
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    given: tuple[Type, ...]
    format: struct.Struct
    count: int
    evaluate: Callable[..., Numbers]
    names: Mapping[str, tuple[str, Place]]
    results: tuple[tuple[float | Formula, str, Place], ...]

    @property
    def loss_type(self) -> np.dtype[Any]:
        losses = [output for output, (piece, _) in zip(self.graph.outputs, self.outputs, strict=True) if piece == LOSS]
        return np.dtype(self.graph.types[losses[0]].dtype if losses else "float64")

    def read(self, reads: Sequence[bool]) -> list[bool]:
        """For each argument whether anything depends on it; `reads` is so for the inputs of the graph."""
        places = [piece for (piece, _), read in zip(self.inputs, reads, strict=True) if read]
        return [GIVEN + number in places for number in range(len(self.given))]


class Tracing:
    """A step under construction: what it reads are symbols of a trace, each with its place."""

    def __init__(self, layout: Layout, state: TrainState):
        self.layout, self.trace, self.places = layout, Trace(), dict[str, Place]()
        self.leaves, self.tree = pytree.flatten((state.params, state.buffers, state.optimizer))
        self.types: tuple[Type, ...] = ()

    def state(self, piece: int = BEFORE, stem: str = "state") -> Any:
        """(params, buffers, optimizer) that lie in a piece. Their numbers are always those of the old state."""
        symbols: list[Any] = []
        for number, place in enumerate(self.layout.leaves):
            if place is None:
                symbols.append(Formula(f"s{number}"))
            else:
                symbols.append(self._input(f"{stem}.{number}", place[1], (piece, place[0])))
        return pytree.unflatten(self.tree, symbols)

    def given(self, arguments: Sequence[Any]) -> Any:
        """The arguments, whose leaves lie in pieces of their own."""
        leaves, tree = pytree.flatten(tuple(arguments))
        self.types = tuple(map(type_of, leaves))
        inputs = [self._input(f"given.{i}", type_, (GIVEN + i, 0)) for i, type_ in enumerate(self.types)]
        return pytree.unflatten(tree, inputs)

    def _input(self, name: str, type_: Type, place: Place) -> Tensor:
        self.places[name] = place
        return self.trace.add_input(name, type_)

    def whole(self, loss: Any, state: Any) -> WholeStep:
        """The step that gives the loss, if there is one, and a state of the same structure, where a leaf `...` is not
        written."""
        trace, layout = self.trace, self.layout
        results, found = pytree.flatten(state)
        if found != self.tree:
            raise TlverifyError("the optimizer gives a state of another structure than it takes")
        tensors, outputs = ([], []) if loss is None else ([trace.lift(loss)], [(LOSS, 0)])
        for result, place in zip(results, layout.leaves, strict=True):
            if place is not None and result is not ...:
                tensor = trace.lift(result)
                if tensor.type != place[1]:
                    raise TlverifyError(f"the step turns {place[1]} into {tensor.type}")
                tensors.append(tensor)
                outputs.append((AFTER, place[0]))
        graph = trace.build(*(tensor.name for tensor in tensors))
        formulas = [(value.name, value.dtype) for value in graph.inputs if value.name in trace.formulas]
        self.places |= {name: (NUMBERS, 8 * i) for i, (name, _) in enumerate(formulas)}
        inputs = tuple(self.places[value.name] for value in graph.inputs)
        numbers = [
            (i, result) for i, (result, place) in enumerate(zip(results, layout.leaves, strict=True)) if not place
        ]
        names, used = [f"s{i}" for i, _ in numbers], [trace.formulas[name] for name, _ in formulas]
        after = [
            (result, *place) for (_, result), place in zip(numbers, layout.numbers, strict=True) if result is not ...
        ]
        evaluate = function_of([*used, *(one for one, _, _ in after)], ["lr", *names])
        packing = struct.Struct("".join(_FORMATS[dtype] for _, dtype in formulas))
        before = {name: (type_.dtype, (BEFORE, at)) for name, (at, type_) in zip(names, layout.numbers, strict=True)}
        written = [(one, dtype, self.places[name]) for one, (name, dtype) in zip(used, formulas, strict=True)]
        written += [(one, type_.dtype, (AFTER, at)) for one, at, type_ in after]
        parts = inputs, tuple(outputs), self.types, packing, len(formulas), evaluate, before, tuple(written)
        return WholeStep(graph, *parts)

    @contextmanager
    def open(self) -> Iterator[None]:
        """The symbols mean nothing after it."""
        try:
            yield
        finally:
            self.trace.closed = True


def whole_step(
    gradient: Callable[..., Any],
    update: Callable[..., Any],
    layout: Layout,
    state: TrainState,
    arguments: Sequence[Any],
) -> WholeStep:
    """The step from states of the layout, and leaves of arguments of the types given.

    `gradient(params, buffers, *arguments)` gives ((loss, new buffers), gradient), which goes to `update(gradient,
    optimizer state, params, lr)`. TypeError or TlverifyError if one of them needs the value of what is traced.
    """
    tracing = Tracing(layout, state)
    with tracing.open():
        params, buffers, optimizer = tracing.state()
        (loss, buffers), grads = gradient(params, buffers, *tracing.given(arguments))
        params, optimizer = update(grads, optimizer, params, Formula("lr"))
        return tracing.whole(loss, (params, buffers, optimizer))


def gradient_step(
    gradient: Callable[..., Any], layout: Layout, state: TrainState, arguments: Sequence[Any]
) -> WholeStep:
    """The gradient of one of several batches, as of whole_step, added to the sum of those before it.

    Two more pieces follow the arguments: one with the sum, in the places of the parameters, and one with the buffers.
    What is written is of their kind: the new sum and the new buffers. The parameters are those of the old state.
    """
    tracing = Tracing(layout, state)
    with tracing.open():
        params, _, optimizer = tracing.state()
        given = tracing.given(arguments)
        sums, _, _ = tracing.state(GIVEN + len(tracing.types), "sum")
        _, buffers, _ = tracing.state(GIVEN + len(tracing.types) + 1, "buffer")
        (loss, buffers), grads = gradient(params, buffers, *given)
        sums = pytree.map(lambda a, b: a + b, sums, grads)
        return tracing.whole(loss, (sums, buffers, pytree.map(lambda leaf: ..., optimizer)))


def update_step(update: Callable[..., Any], layout: Layout, state: TrainState, batches: int) -> WholeStep:
    """The step with the mean of the gradients of so many batches: the piece GIVEN is what gradient_step wrote."""
    tracing = Tracing(layout, state)
    with tracing.open():
        params, _, optimizer = tracing.state()
        sums, buffers, _ = tracing.state(GIVEN, "sum")
        params, optimizer = update(pytree.map(lambda g: g / batches, sums), optimizer, params, Formula("lr"))
        return tracing.whole(None, (params, buffers, optimizer))
