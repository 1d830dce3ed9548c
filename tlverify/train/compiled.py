"""A step of training as machine code, which reads one piece of memory with a state and writes another one."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core.native.memory import address, aligned
from tlverify.core.native.module import CALLER
from tlverify.core.native.program import compile_code
from tlverify.train.packed import Layout, PackedState, packed_state
from tlverify.train.whole import AFTER, BEFORE, GIVEN, LOSS, NUMBERS, WholeStep

_LARGE = 1 << 16  # bytes of an input from which it is read where it lies


class CompiledStep:
    """`state, loss = step(state, arrays, lr)` for states of the layout and leaves of arguments of the step's types.
    `reads` tells for each of these whether anything depends on it."""

    def __init__(self, whole: WholeStep, layout: Layout):
        self.whole, self.layout, self._lock = whole, layout, threading.Lock()
        self._scalars, self._loss = aligned(8 * whole.count), aligned(8).view(whole.loss_type)[:1]
        self.code = code = compile_code(whole.graph, whole.inputs, whole.outputs)
        code.table[CALLER + LOSS], code.table[CALLER + NUMBERS] = address(self._loss), address(self._scalars)
        self.reads = whole.read(code.reads)
        # Small inputs are copied to a place of their own, which costs less than to ask where they lie.
        self._small: list[tuple[int, Any]] = []
        self._large: list[tuple[int, int, str]] = []
        for number, (type_, read) in enumerate(zip(whole.given, self.reads, strict=True)):
            slot = CALLER + GIVEN + number
            size = math.prod(type_.shape) * np.dtype(type_.dtype).itemsize
            if read and size < _LARGE:
                stage = aligned(size).view(type_.dtype).reshape(type_.shape)
                code.table[slot] = address(stage)
                self._small.append((number, stage))
            elif read:
                self._large.append((number, slot, type_.dtype))

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]:
        table, count = self.code.table, self.whole.count
        after = self.layout.memory()
        with self._lock:
            values = self.whole.evaluate(lr, *state.numbers)
            self.whole.format.pack_into(self._scalars, 0, *values[:count])
            table[CALLER + BEFORE], table[CALLER + AFTER] = state.memory[1], after[1]
            for number, stage in self._small:
                stage[...] = arrays[number]
            held = [np.ascontiguousarray(arrays[number], dtype) for number, _, dtype in self._large]
            for (_, slot, _), array in zip(self._large, held, strict=True):
                table[slot] = address(array)
            self.code.run()
            loss = self._loss.item()
        return packed_state(state.step + 1, self.layout, after, values[count:]), loss
