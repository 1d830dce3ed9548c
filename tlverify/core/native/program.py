"""A graph compiled, and run."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tlverify.core.native import machine, shares, threads
from tlverify.core.native.memory import ALIGN, address, aligned, arena
from tlverify.core.native.module import CALLER, CONSTANTS, COUNT, SCRATCH, Places, module
from tlverify.core.native.planner import plan
from tlverify.core.native.schedule import Call, Product, Schedule, View, views_of
from tlverify.core.rewrite import rewrite
from tlverify.graph import Graph

Place = tuple[int, int]
"""A base of the caller, and an offset in bytes."""


@dataclass(eq=False)
class Code:
    """Machine code of a graph, whose inputs and outputs lie where the caller put them.

    The addresses of the caller's bases are to be put into `table` from CALLER on. `run` must not be called by two
    threads at a time. `reads` tells for each input whether anything depends on it.
    """

    schedule: Schedule
    places: Places
    parts: list[Any]  # (addresses of a function for each thread, a function that does it all), or a call
    table: Any
    reads: list[bool]
    kept: tuple[Any, ...]  # what the table points to
    pace: threads.Pace | None  # of several threads
    address: int = field(init=False)  # of the table
    _arrived: Any = field(init=False)
    _multiplies: bool = field(init=False)

    def __post_init__(self) -> None:
        self.address = ctypes.addressof(self.table)
        self._arrived = aligned(ALIGN).view(np.int64)
        self.table[COUNT] = address(self._arrived)
        self._multiplies = any(isinstance(one, Product) for one in self.schedule.instructions)

    @property
    def whole(self) -> int | None:
        """The address of the function that does it all, if that is one, and for one thread."""
        if len(self.parts) != 1 or isinstance(self.parts[0], Call) or self.pace is not None or self._multiplies:
            return None
        return ctypes.cast(self.parts[0][1], ctypes.c_void_p).value

    def run(self) -> None:
        if not self._multiplies:
            self._run()
            return
        with machine.blas_alone():
            self._run()

    def _run(self) -> None:
        if self.pace is None:
            self._go(False)
            return
        together, begin = self.pace.choose(), time.perf_counter()
        self._go(together)
        self.pace.note(together, time.perf_counter() - begin)

    def _go(self, together: bool) -> None:
        for part in self.parts:
            if isinstance(part, Call):
                self._array(part.result)[...] = part.function(*map(self._array, part.inputs))
                continue
            several, alone = part
            if together:
                threads.run(several, self.address, self._arrived)
            else:
                alone(self.address)

    def _array(self, view: View) -> Any:
        buffer = self.schedule.buffers[view.buffer]
        base, offset = self.places[view.buffer]
        dtype = np.dtype(buffer.dtype)
        memory: Any = (ctypes.c_byte * (buffer.size * dtype.itemsize)).from_address(self.table[base] + offset)
        strides = tuple(s * dtype.itemsize for s in view.strides)
        flat = np.frombuffer(memory, dtype)[view.offset :]
        return np.lib.stride_tricks.as_strided(flat, view.shape, strides)


def compile_code(
    graph: Graph,
    inputs: Sequence[Place],
    outputs: Sequence[Place],
    target: machine.Target | None = None,
    most: int | None = None,
    winograd: bool = False,
) -> Code:
    """The graph as code with the given places of its inputs and outputs, for this processor and for as many threads as
    it may use unless told otherwise. With `winograd` convolutions are made by Winograd's products where they can be."""
    target = target or machine.host()
    most = most or threads.count()
    # Each of several threads takes two shares, since an axis is cut into pieces of two or more.
    found = plan(rewrite(graph), winograd=(2 * most if most > 1 else 1) if winograd else 0)
    offsets, size = arena(found)
    constants, starts = _pool(found.constants)
    places = {buffer: (SCRATCH, offset) for buffer, offset in offsets.items()}
    bases = {"input": inputs, "output": outputs}
    for number, buffer in enumerate(found.buffers):
        if buffer.kind == "constant":
            places[number] = CONSTANTS, starts[buffer.place or 0]
        elif buffer.kind != "scratch":
            base, offset = bases[buffer.kind][buffer.place or 0]
            places[number] = CALLER + base, offset
    number = shares.worthwhile(found, most)
    text, names = module(found, places, target.tile, number)
    engine = machine.engine(text, target)
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    parts: list[Any] = []
    for part in names:
        if isinstance(part, Call):
            parts.append(part)
        else:
            *several, alone = map(engine.get_function_address, part)
            parts.append((several, call(alone)))
    scratch = aligned(size)
    caller = 1 + max((base for base, _ in (*inputs, *outputs)), default=-1)
    table = (ctypes.c_size_t * (CALLER + caller))(
        machine.blas().sgemm, machine.blas().dgemm, address(scratch), address(constants), 0, machine.system()[0]
    )
    read = {view.buffer for instruction in found.instructions for view in views_of(instruction)}
    reads, kept = [b in read for b in found.inputs], (scratch, constants, engine)
    return Code(found, places, parts, table, reads, kept, threads.Pace(number) if number > 1 else None)


def _pool(arrays: Sequence[Any]) -> tuple[Any, list[int]]:
    """Copies of the arrays in one piece of memory, and where they start."""
    starts, total = [], 0
    for array in arrays:
        starts.append(total)
        total += -(-array.nbytes // ALIGN) * ALIGN
    pool = aligned(total)
    for array, start in zip(arrays, starts, strict=True):
        pool[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return pool, starts


@dataclass(frozen=True, eq=False)
class Program:
    """`program(*arrays)` gives the outputs of the graph, in new arrays."""

    code: Code
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        given = [np.ascontiguousarray(array) for array in arrays]
        found = self.code.schedule
        outputs = [np.empty(view.shape, found.buffers[view.buffer].dtype) for view in found.outputs]
        with self._lock:
            self.code.table[CALLER:] = [*map(address, given), *map(address, outputs)]
            self.code.run()
        return tuple(outputs)


def compile_graph(
    graph: Graph, target: machine.Target | None = None, most: int | None = None, winograd: bool = False
) -> Program:
    """The graph as a function of arrays, as code for this processor and its threads unless told otherwise."""
    count = len(graph.inputs)
    outputs = [(count + i, 0) for i in range(len(graph.outputs))]
    return Program(compile_code(graph, [(i, 0) for i in range(count)], outputs, target, most, winograd))
