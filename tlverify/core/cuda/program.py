"""A graph as kernels and matrix products in the memory of a GPU, recorded once and launched as one."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from tlverify.core.cuda import source
from tlverify.core.native import emit
from tlverify.core.native.memory import ALIGN, arena
from tlverify.core.native.planner import plan
from tlverify.core.native.schedule import Call, Instruction, Loop, Product, Schedule, View, views_of
from tlverify.core.rewrite import rewrite
from tlverify.graph import Graph, Type

SCRATCH, CONSTANTS, CALLER = 0, 1, 2
MOST_RECORDED = 64  # recordings that a program keeps

Place = tuple[int, int]
"""A base of the caller, and an offset in bytes."""
Launch = Callable[[], None]


@dataclass(frozen=True)
class Gemm:
    """`count` products of row-major matrices: result = left @ right, m x k times k x n, plus what it was if `add`.

    A leading dimension counts the elements between rows, or between columns of a factor that lies transposed; `steps`
    count those between the matrices of left, right and result.
    """

    dtype: str
    size: tuple[int, int, int]
    turned: tuple[bool, bool]
    leading: tuple[int, int, int]
    steps: tuple[int, int, int]
    count: int
    add: bool


class Device(Protocol):
    """Where programs run, in the order in which they are told to."""

    def memory(self, size: int) -> tuple[Any, int]:
        """So many bytes that hold 0, and their address."""

    def write(self, address: int, array: Any) -> None:
        """Put a contiguous array of the host or the device at an address."""

    def read(self, address: int, size: int, dtype: Any) -> Any:
        """A flat array of the host with what lies there, once all that was told before is done."""

    def array(self, address: int, size: int, dtype: Any) -> Any:
        """A flat array over memory that something else keeps."""

    def view(self, memory: Any, offset: int, type_: Type) -> Any:
        """An array in `memory`, which it keeps."""

    def build(self, text: str) -> Callable[[str], Any]:
        """Compile CUDA C++; the functions in it by name."""

    def launch(self, function: Any, grid: int, block: int, addresses: Sequence[int]) -> None: ...

    def multiply(self, gemm: Gemm, left: int, right: int, result: int) -> None: ...

    def record(self, do: Launch) -> Launch:
        """What `do` launches, as one thing that can be launched again."""


Bases = tuple[int, ...]


@dataclass(eq=False)
class Code:
    """A graph on a device, whose inputs and outputs lie where the caller's bases say: `run(bases)`.

    Addresses are part of what is recorded, so a caller takes turns between few of them. `reads` tells for each input
    whether anything depends on it. `run` must not be called by two threads at a time.
    """

    device: Device
    schedule: Schedule
    places: dict[int, Place]
    parts: list[list[Callable[[Bases], None]] | Call]
    own: Bases  # of scratch memory and constants
    reads: list[bool]
    kept: tuple[Any, ...]
    recorded: dict[Bases, list[Launch]] = field(default_factory=dict)

    def run(self, bases: Bases) -> None:
        """Everything is put into the device's queue; what it writes is there when the device has come to its end."""
        if bases not in self.recorded:
            if len(self.recorded) >= MOST_RECORDED:
                self.recorded.clear()
            self.recorded[bases] = [self._launch(part, self.own + bases) for part in self.parts]
        for launch in self.recorded[bases]:
            launch()

    def _launch(self, part: list[Callable[[Bases], None]] | Call, bases: Bases) -> Launch:
        if isinstance(part, Call):
            return lambda: self._call(part, bases)

        def do() -> None:
            for one in part:
                one(bases)

        return self.device.record(do)

    def _call(self, call: Call, bases: Bases) -> None:
        self._array(call.result, bases)[...] = call.function(*(self._array(view, bases) for view in call.inputs))

    def _array(self, view: View, bases: Bases) -> Any:
        buffer = self.schedule.buffers[view.buffer]
        base, offset = self.places[view.buffer]
        flat = self.device.array(bases[base] + offset, buffer.size, np.dtype(buffer.dtype))[view.offset :]
        strides = tuple(s * flat.itemsize for s in view.strides)
        return _strided(flat, view.shape, strides)


def _strided(flat: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    if isinstance(flat, np.ndarray):
        return np.lib.stride_tricks.as_strided(flat, shape, strides)
    import cupy

    return cupy.lib.stride_tricks.as_strided(flat, shape, strides)


def compile_code(graph: Graph, inputs: Sequence[Place], outputs: Sequence[Place], device: Device) -> Code:
    """The graph on the device, with the given places of its inputs and outputs."""
    found = plan(rewrite(graph), all_products=True)
    offsets, size = arena(found)
    places = {buffer: (SCRATCH, offset) for buffer, offset in offsets.items()}
    bases = {"input": inputs, "output": outputs}
    total = 0
    for number, buffer in enumerate(found.buffers):
        if buffer.kind == "constant":
            places[number] = CONSTANTS, total
            total += -(-buffer.size * emit.SIZE[buffer.dtype] // ALIGN) * ALIGN
        elif buffer.kind != "scratch":
            base, offset = bases[buffer.kind][buffer.place or 0]
            places[number] = CALLER + base, offset
    (scratch, at), (constants, start) = device.memory(size), device.memory(total)
    for number, buffer in enumerate(found.buffers):
        if buffer.kind == "constant":
            device.write(start + places[number][1], np.ascontiguousarray(found.constants[buffer.place or 0]))
    maker = _Maker(device, found, places)
    steps = [(instruction, maker.step(instruction)) for instruction in found.instructions]
    maker.built = device.build(source.module(list(maker.functions.values())))
    parts: list[list[Callable[[Bases], None]] | Call] = []
    for calls, run in groupby(steps, lambda step: isinstance(step[0], Call)):
        if calls:
            parts += [instruction for instruction, _ in run if isinstance(instruction, Call)]
        elif steps_of_run := [step for _, steps in run for step in steps]:
            parts.append(steps_of_run)
    read = {view.buffer for instruction in found.instructions for view in views_of(instruction)}
    reads = [buffer in read for buffer in found.inputs]
    return Code(device, found, places, parts, (at, start), reads, (scratch, constants))


class _Maker:
    """Instructions as functions of the bases; kernels are found when these are called."""

    def __init__(self, device: Device, found: Schedule, places: dict[int, Place]):
        self.device, self.found, self.places = device, found, places
        self.functions: dict[emit.Kernel, source.Function] = {}
        self.built: Callable[[str], Any]

    def dtype(self, view: View) -> str:
        return self.found.buffers[view.buffer].dtype

    def place(self, view: View) -> Place:
        base, offset = self.places[view.buffer]
        return base, offset + view.offset * emit.SIZE[self.dtype(view)]

    def step(self, instruction: Instruction) -> list[Callable[[Bases], None]]:
        if isinstance(instruction, Product):
            return self.product(instruction)
        if isinstance(instruction, Loop) and (instruction.stores or instruction.reductions):
            return self.loop(instruction)
        return []

    def loop(self, loop: Loop) -> list[Callable[[Bases], None]]:
        kernel, views = emit.kernel_of(loop, self.dtype)
        if 0 in kernel.domain:
            return []
        if kernel not in self.functions:
            self.functions[kernel] = source.function(f"loop{len(self.functions)}", kernel)
        one, places = self.functions[kernel], [self.place(view) for view in views]

        def step(bases: Bases) -> None:
            addresses = [bases[base] + offset for base, offset in places]
            self.device.launch(self.built(one.name), one.grid, one.block, addresses)

        return [step]

    def product(self, product: Product) -> list[Callable[[Bases], None]]:
        """One call for every index of the leading axes but for the last ones that lie evenly."""
        views = (product.left, product.right, product.result)
        (m, k), n = product.left.shape[-2:], product.right.shape[-1]
        (left, lda), (right, ldb) = layout(product.left), layout(product.right)
        ldc = max(product.result.strides[-2], n) if m > 1 else n
        axes = [axis for axis, size in enumerate(product.result.shape[:-2]) if size != 1]
        batched = _batched(axes, views)
        count = math.prod(product.result.shape[axis] for axis in batched)
        steps = [view.strides[batched[-1]] if batched else 0 for view in views]
        lead = axes[: len(axes) - len(batched)]
        dtype = self.dtype(product.result)
        at = (steps[0], steps[1], steps[2])
        gemm = Gemm(dtype, (m, k, n), (left, right), (lda, ldb, ldc), at, count, product.accumulate)
        places = [self.place(view) for view in views]
        result: list[Callable[[Bases], None]] = []
        for index in np.ndindex(*(product.result.shape[axis] for axis in lead)):
            starts = [sum(i * view.strides[axis] for i, axis in zip(index, lead, strict=True)) for view in views]
            shifts = [emit.SIZE[dtype] * start for start in starts]

            def step(bases: Bases, shifts: Sequence[int] = shifts) -> None:
                a, b, c = (bases[base] + offset + s for (base, offset), s in zip(places, shifts, strict=True))
                self.device.multiply(gemm, a, b, c)

            result.append(step)
        return result


def _batched(axes: Sequence[int], views: Sequence[View]) -> list[int]:
    """The last ones of the axes whose matrices lie evenly, each result in a place of its own."""
    found: list[int] = []
    for axis in reversed(axes):
        even = not found or all(v.strides[axis] == v.strides[found[0]] * v.shape[found[0]] for v in views)
        if not even or views[-1].strides[axis] == 0:
            break
        found.insert(0, axis)
    return found


def layout(view: View) -> tuple[bool, int]:
    """Whether the matrices of the view lie transposed, and their leading dimension."""
    (m, n), (row, column) = view.shape[-2:], view.strides[-2:]
    if (column == 1 or n == 1) and (row >= n or m == 1):
        return False, max(row, n, 1) if m > 1 else max(n, 1)
    return True, max(column, m, 1) if n > 1 else max(m, 1)


@dataclass(frozen=True, eq=False)
class Program:
    """`program(*arrays)` gives the outputs of the graph, in new arrays of the device."""

    code: Code
    bases: Bases
    _kept: tuple[Any, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        code, found = self.code, self.code.schedule
        with self._lock:
            for array, base, read in zip(arrays, self.bases, code.reads, strict=False):
                if read:
                    code.device.write(base, array)
            code.run(self.bases)
            results = []
            for view, base in zip(found.outputs, self.bases[len(arrays) :], strict=True):
                flat = code.device.array(base, math.prod(view.shape), np.dtype(found.buffers[view.buffer].dtype))
                results.append(flat.copy().reshape(view.shape))
        return tuple(results)


def compile_graph(graph: Graph, device: Device) -> Program:
    """The graph as a function of arrays of the host or the device."""
    count = len(graph.inputs)
    outputs = [(count + i, 0) for i in range(len(graph.outputs))]
    code = compile_code(graph, [(i, 0) for i in range(count)], outputs, device)
    types = graph.types
    ends = [*(value.type for value in graph.inputs), *(types[name] for name in graph.outputs)]
    kept, bases = zip(*(device.memory(math.prod(t.shape) * emit.SIZE[t.dtype]) for t in ends), strict=True)
    return Program(code, bases, kept)
