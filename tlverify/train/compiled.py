"""A step of training as machine code, which reads one piece of memory with a state and writes another one."""

from __future__ import annotations

import ctypes
import math
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core.native.formulas import function
from tlverify.core.native.memory import ALIGN, address, aligned
from tlverify.core.native.module import CALLER
from tlverify.core.native.program import compile_code
from tlverify.core.native.stepping import RATE, stepping
from tlverify.train.packed import Layout, PackedState, packed_state
from tlverify.train.whole import AFTER, BEFORE, GIVEN, LOSS, NUMBERS, WholeStep

_LARGE = 1 << 16  # bytes of an input from which it is read where it lies
_SHORT = 0.02  # seconds of machine code that keep Ctrl-C waiting for no longer than one notices
_PIECES = {BEFORE: "before", AFTER: "after", NUMBERS: "results"}


class CompiledStep:
    """`state, loss = step(state, arrays, lr)` for states of the layout and leaves of arguments of the step's types.

    `reads` tells for each of these whether anything depends on it. `scan` takes many steps at once, and `scans` tells
    whether it can: where a step is one function for one thread.
    """

    def __init__(self, whole: WholeStep, layout: Layout, winograd: bool = False):
        self.whole, self.layout, self._lock = whole, layout, threading.Lock()
        self._numbers, self._loss = aligned(8 * whole.count), aligned(8).view(whole.loss_type)[:1]
        self.code = code = compile_code(whole.graph, whole.inputs, whole.outputs, winograd=winograd)
        code.table[CALLER + LOSS], code.table[CALLER + NUMBERS] = address(self._loss), address(self._numbers)
        self.reads = whole.read(code.reads)
        # The record: old and new state, rate, and small inputs, which takes less time than to ask where they lie.
        self._small: list[int] = []
        self._large: list[int] = []
        record, at, places = "QQd", RATE + 8, {}
        sizes = [math.prod(type_.shape) * np.dtype(type_.dtype).itemsize for type_ in whole.given]
        for number, (size, read) in enumerate(zip(sizes, self.reads, strict=True)):
            if read and size < _LARGE:
                self._small.append(number)
                record += f"{-at % ALIGN}x{size}s"
                places[number] = at + -at % ALIGN
                at = places[number] + size
            elif read:
                self._large.append(number)
        self._record = aligned(at)
        # Written out, since a loop over two arrays takes as long as a small network's step.
        given = "".join(f", arrays[{number}].tobytes()" for number in self._small)
        names = {"pack": struct.Struct(f"={record}").pack_into, "record": self._record}
        self._put = eval(f"lambda before, after, lr, arrays: pack(record, 0, before, after, lr{given})", names)
        for number, place in places.items():
            code.table[CALLER + GIVEN + number] = address(self._record) + place
        self.scans = code.whole is not None
        self._count = 1  # steps of a scan that do not take too long
        moves = {CALLER + GIVEN + number: size for number, size in enumerate(sizes) if self.reads[number]}
        self._stepping = stepping(
            _numbers(whole),
            code.whole or 0,
            code.address,
            address(self._record),
            (CALLER + BEFORE, CALLER + AFTER, CALLER + NUMBERS),
            {CALLER + LOSS: self._loss.itemsize, **moves},
            len(code.table),
        )
        self._run = self._stepping.step if self.scans else self._in_parts

    def __call__(self, state: PackedState, arrays: Sequence[Any], lr: float) -> tuple[PackedState, float]:
        after = self.layout.memory()
        with self._lock:
            self._put(state.memory.address, after.address, lr, arrays)
            if self._large:
                held = [np.ascontiguousarray(arrays[number]) for number in self._large]
                for number, array in zip(self._large, held, strict=True):
                    self.code.table[CALLER + GIVEN + number] = address(array)
            self._run()
            loss = self._loss.item()
        return packed_state(state.step + 1, self.layout, after), loss

    def _in_parts(self) -> None:
        self._stepping.prepare()
        self.code.run()

    def scan(self, state: PackedState, arrays: Sequence[Any], rates: Any) -> tuple[PackedState, Any]:
        """A step for each of the `rates`, a float64 array, and each item of the arrays; and the losses."""
        count = len(rates)
        first, second = self.layout.memory(), self.layout.memory()
        losses = np.empty(count, self._loss.dtype)
        given = [(number, np.ascontiguousarray(arrays[number])) for number in self._small + self._large]
        # A table of its own, so that nothing is left of a scan that Ctrl-C breaks off.
        table = (ctypes.c_size_t * (len(self.code.table) + 2))(*self.code.table, address(rates), second.address)
        table[CALLER + BEFORE], table[CALLER + AFTER] = state.memory.address, first.address
        table[CALLER + LOSS] = address(losses)
        for number, array in given:
            table[CALLER + GIVEN + number] = address(array)
        with self._lock:
            done = 0
            while done < count:
                many, begin = min(self._count, count - done), time.perf_counter()
                self._stepping.steps(many, ctypes.addressof(table))
                done += many
                took = time.perf_counter() - begin
                if many == self._count:
                    self._count = max(1, self._count * 2 if took < _SHORT else int(self._count * _SHORT / took))
        return packed_state(state.step + count, self.layout, first if count % 2 else second), losses


def _numbers(whole: WholeStep) -> str:
    """The text of the function that works out the numbers of a step."""
    names = {name: (dtype, (_PIECES[piece], at)) for name, (dtype, (piece, at)) in whole.names.items()}
    names["lr"] = "float64", ("rate", 0)
    results = [(formula, dtype, (_PIECES[piece], at)) for formula, dtype, (piece, at) in whole.results]
    return function("numbers", ("before", "after", "rate", "results"), names, results)


class AccumulatedStep:
    """`state, losses = step(state, arrays, lr)` with the mean of the gradients of several batches: `arrays` has the
    leaves of arguments of each. `gradient` and `update` are those of gradient_step and update_step."""

    scans = False

    def __init__(self, gradient: WholeStep, update: WholeStep, layout: Layout, winograd: bool = False):
        self._gradient, self._update = CompiledStep(gradient, layout, winograd), CompiledStep(update, layout)
        self._sums = CALLER + GIVEN + len(gradient.given)  # and behind it the buffers
        self._zeros, self._lock = aligned(layout.size), threading.Lock()
        self._zeros[...] = 0
        self.reads = self._gradient.reads

    def __call__(
        self, state: PackedState, arrays: Sequence[Sequence[Any]], lr: float
    ) -> tuple[PackedState, list[float]]:
        losses, pieces = [], self._gradient.code.table
        with self._lock:
            pieces[self._sums], pieces[self._sums + 1] = address(self._zeros), state.memory.address
            for given in arrays:
                total, loss = self._gradient(state, given, lr)
                pieces[self._sums] = pieces[self._sums + 1] = total.memory.address
                losses.append(loss)
            self._update.code.table[CALLER + GIVEN] = total.memory.address
            new, _ = self._update(state, (), lr)
        return new, losses
