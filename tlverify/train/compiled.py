"""A step of training as one program: forward, loss, backward, limits on gradients and optimizer.

The arrays of a state lie in one piece of memory, which the program reads, and it writes another one; the numbers of the
optimizer (steps done, rates) are worked out by Python as formulas, so that no optimizer knows of any of this.
"""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.formula import Formula, function_of
from tlverify.core.native.memory import address, aligned
from tlverify.core.native.module import CALLER
from tlverify.core.native.program import compile_code
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import TlverifyError
from tlverify.train.packed import Layout, PackedState, packed_state, type_of
from tlverify.train.state import TrainState

_BEFORE, _AFTER = CALLER, CALLER + 2
_FORMATS = {"float32": "f4x", "float64": "d", "int64": "q"}
_LARGE = 1 << 16  # bytes of an input from which it is read where it lies


class CompiledStep:
    """`state, loss = step(state, arrays, lr)` for states of the layout and leaves of arguments of the types given.

    `gradient(params, buffers, *arguments)` gives ((loss, new buffers), gradient), which goes to `update(gradient,
    optimizer state, params, lr)`. TypeError or TlverifyError if one of them needs the value of what is traced.
    """

    def __init__(
        self,
        gradient: Callable[..., Any],
        update: Callable[..., Any],
        layout: Layout,
        state: TrainState,
        arguments: Sequence[Any],
    ):
        leaves, tree = pytree.flatten((state.params, state.buffers, state.optimizer))
        self.layout, self._lock = layout, threading.Lock()
        given, inner = pytree.flatten(tuple(arguments))
        trace = Trace()
        symbols: list[Any] = []
        for number, (leaf, place) in enumerate(zip(leaves, self.layout.leaves, strict=True)):
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
            self._build(trace, loss, results)
        finally:
            trace.closed = True

    def _build(self, trace: Trace, loss: Tensor, results: Sequence[Any]) -> None:
        outputs = [trace.lift(loss)]
        places = [(1, 0)]
        for result, place in zip(results, self.layout.leaves, strict=True):
            if place is not None:
                tensor = trace.lift(result)
                if tensor.type != place[1]:
                    raise TlverifyError(f"the step turns {place[1]} into {tensor.type}")
                outputs.append(tensor)
                places.append((2, place[0]))
        graph = trace.build(*(tensor.name for tensor in outputs))
        formulas = [(value.name, value.dtype) for value in graph.inputs if value.name in trace.formulas]
        self._numbers_of([trace.formulas[name] for name, _ in formulas], results)
        # The bases of the program: old state, loss, new state, formulas, and the inputs.
        scalars = {name: 8 * i for i, (name, _) in enumerate(formulas)}
        self._format = struct.Struct("".join(_FORMATS[dtype] for _, dtype in formulas))
        self._scalars = aligned(8 * len(scalars))
        self._loss = aligned(8).view(loss.dtype)[:1]
        sources: list[tuple[int, int]] = []
        state = iter([place[0] for place in self.layout.leaves if place is not None])
        for value in graph.inputs:
            if value.name in scalars:
                sources.append((3, scalars[value.name]))
            elif value.name.startswith("state."):
                sources.append((0, next(state)))
            else:
                sources.append((4 + int(value.name.partition(".")[2]), 0))
        self.code = code = compile_code(graph, sources, places)
        code.table[CALLER + 1], code.table[CALLER + 3] = address(self._loss), address(self._scalars)
        # Small inputs are copied to a place of their own, which costs less than to ask where they lie.
        self.reads: list[bool] = []
        self._small: list[tuple[int, Any]] = []
        self._large: list[tuple[int, int, str]] = []
        for value, read in zip(graph.inputs, code.reads, strict=True):
            if not value.name.startswith("given."):
                continue
            number, slot = len(self.reads), CALLER + 4 + len(self.reads)
            self.reads.append(read)
            size = math.prod(value.shape) * np.dtype(value.dtype).itemsize
            if read and size < _LARGE:
                stage = aligned(size).view(value.dtype).reshape(value.shape)
                code.table[slot] = address(stage)
                self._small.append((number, stage))
            elif read:
                self._large.append((number, slot, value.dtype))

    def _numbers_of(self, used: Sequence[Formula], results: Sequence[Any]) -> None:
        """A function of (lr, numbers of the state): what the graph takes, and the numbers of the new state."""
        names = [f"s{i}" for i, place in enumerate(self.layout.leaves) if place is None]
        after = [result for result, place in zip(results, self.layout.leaves, strict=True) if place is None]
        self._evaluate = function_of([*used, *after], ["lr", *names])
        self._used = len(used)

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]:
        table, used = self.code.table, self._used
        after = self.layout.memory()
        with self._lock:
            values = self._evaluate(lr, *state.numbers)
            self._format.pack_into(self._scalars, 0, *values[:used])
            table[_BEFORE], table[_AFTER] = state.memory[1], after[1]
            for number, stage in self._small:
                stage[...] = arrays[number]
            held = [np.ascontiguousarray(arrays[number], dtype) for number, _, dtype in self._large]
            for (_, slot, _), array in zip(self._large, held, strict=True):
                table[slot] = address(array)
            self.code.run()
            loss = self._loss.item()
        return packed_state(state.step + 1, self.layout, after, values[used:]), loss
