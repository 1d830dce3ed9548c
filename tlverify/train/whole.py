"""A step of training as one graph: forward, loss, backward, limits on gradients and optimizer.

The arrays of a state are inputs and outputs; the numbers of the optimizer (steps done, rates) are formulas that Python
works out as it would without a trace, so that no optimizer knows of any of this.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.formula import Formula, function_of
from tlverify.core.tensor import Trace
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
        return np.dtype(self.graph.types[self.graph.outputs[0]].dtype)

    def read(self, reads: Sequence[bool]) -> list[bool]:
        """For each argument whether anything depends on it; `reads` is so for the inputs of the graph."""
        places = [piece for (piece, _), read in zip(self.inputs, reads, strict=True) if read]
        return [GIVEN + number in places for number in range(len(self.given))]


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
    leaves, tree = pytree.flatten((state.params, state.buffers, state.optimizer))
    given, inner = pytree.flatten(tuple(arguments))
    trace = Trace()
    symbols: list[Any] = []
    for number, (leaf, place) in enumerate(zip(leaves, layout.leaves, strict=True)):
        if place is None:
            symbols.append(leaf if isinstance(leaf, bool) else Formula(f"s{number}"))
        else:
            symbols.append(trace.add_input(f"state.{number}", place[1]))
    inputs = [trace.add_input(f"given.{i}", type_of(array)) for i, array in enumerate(given)]
    try:
        params, buffers, optimizer = pytree.unflatten(tree, symbols)
        (loss, buffers), grads = gradient(params, buffers, *pytree.unflatten(inner, inputs))
        params, optimizer = update(grads, optimizer, params, Formula("lr"))
        results, found = pytree.flatten((params, buffers, optimizer))
        if found != tree:
            raise TlverifyError("the optimizer gives a state of another structure than it takes")
        return _placed(trace, layout, loss, results, tuple(map(type_of, given)))
    finally:
        trace.closed = True


def _placed(trace: Trace, layout: Layout, loss: Any, results: Sequence[Any], given: tuple[Type, ...]) -> WholeStep:
    tensors, outputs = [trace.lift(loss)], [(LOSS, 0)]
    for result, place in zip(results, layout.leaves, strict=True):
        if place is not None:
            tensor = trace.lift(result)
            if tensor.type != place[1]:
                raise TlverifyError(f"the step turns {place[1]} into {tensor.type}")
            tensors.append(tensor)
            outputs.append((AFTER, place[0]))
    graph = trace.build(*(tensor.name for tensor in tensors))
    formulas = [(value.name, value.dtype) for value in graph.inputs if value.name in trace.formulas]
    numbers = {name: 8 * i for i, (name, _) in enumerate(formulas)}
    state = iter([place[0] for place in layout.leaves if place is not None])
    inputs: list[Place] = []
    for value in graph.inputs:
        if value.name in numbers:
            inputs.append((NUMBERS, numbers[value.name]))
        elif value.name.startswith("state."):
            inputs.append((BEFORE, next(state)))
        else:
            inputs.append((GIVEN + int(value.name.partition(".")[2]), 0))
    names = [f"s{i}" for i, place in enumerate(layout.leaves) if place is None]
    after = [result for result, place in zip(results, layout.leaves, strict=True) if place is None]
    used = [trace.formulas[name] for name, _ in formulas]
    evaluate = function_of([*used, *after], ["lr", *names])
    packing = struct.Struct("".join(_FORMATS[dtype] for _, dtype in formulas))
    before = {name: (type_.dtype, (BEFORE, at)) for name, (at, type_) in zip(names, layout.numbers, strict=True)}
    written = [(one, dtype, (NUMBERS, numbers[name])) for one, (name, dtype) in zip(used, formulas, strict=True)]
    written += [(one, type_.dtype, (AFTER, at)) for one, (at, type_) in zip(after, layout.numbers, strict=True)]
    parts = tuple(inputs), tuple(outputs), given, packing, len(formulas), evaluate, before, tuple(written)
    return WholeStep(graph, *parts)
