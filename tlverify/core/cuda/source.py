"""A loop as a kernel in CUDA C++.

Every output has a thread, or for long sums several whose parts are added in a tree: the order of a sum is fixed by its
shape. Neighbouring threads take neighbours along the last axis. In sums of products a thread makes several outputs
that share a factor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tlverify.core.cuda.functions import PRELUDE, TYPES, expression, literal
from tlverify.core.native.emit import Kernel, Stream, fused, identity
from tlverify.core.native.schedule import Operand, Statement

BLOCK = 256  # threads of a block
WARP = 32
MOST_PARTS = 1024
ENOUGH = 1 << 17  # threads that keep a GPU busy
TILES = (8, 4, 2)


@dataclass(frozen=True)
class Function:
    """The text of a kernel, and how many blocks of how many threads run it."""

    name: str
    text: str
    grid: int
    block: int


def function(name: str, kernel: Kernel) -> Function:
    """The kernel as a function of pointers to the first element of its streams. Its domain is not empty."""
    return _Function(name, kernel).done()


def module(functions: Sequence[Function]) -> str:
    """The source that NVRTC compiles."""
    return PRELUDE + "\n".join(one.text for one in functions)


def _power(n: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(n - 1, 0).bit_length()


class _Function:
    def __init__(self, name: str, kernel: Kernel):
        self.name, self.kernel, self.lines = name, kernel, list[str]()
        self.streams = [*kernel.loads, *(s for _, s in kernel.stores), *(s for _, _, s in kernel.reductions)]
        self.fused = fused(kernel)
        self.last = len(kernel.domain) - 1
        self.summed = [a for a in range(len(kernel.domain)) if self.is_summed(a)]
        self.kept = [a for a in range(len(kernel.domain)) if a not in self.summed]
        self.tables: dict[tuple[int, ...], str] = {}
        self.tiled, self.tile = self.choose_tile()
        counts = [self.count(a) for a in self.kept]
        self.outputs = math.prod(counts)
        self.split, self.parts = self.choose_parts()
        self.block = max(BLOCK, self.parts)

    def is_summed(self, axis: int) -> bool:
        """Whether outputs have no index along the axis: it is added up, or added to one place in turns."""
        results = [s for _, _, s in self.kernel.reductions]
        one_place = self.kernel.accumulate and all(s.strides[axis] == 0 for s in results)
        return bool(results) and (axis in self.kernel.over or one_place)

    def listed(self, axis: int) -> bool:
        """Whether a stream has an offset of its own for each index of the axis."""
        return any(isinstance(stream.strides[axis], tuple) for stream in self.streams)

    def count(self, axis: int) -> int:
        """Threads along an axis."""
        return -(-self.kernel.domain[axis] // self.tile) if axis == self.tiled else self.kernel.domain[axis]

    # How the work is cut.

    def choose_tile(self) -> tuple[int | None, int]:
        """An axis along which outputs share a factor, and how many of them a thread makes."""
        if not self.fused or self.kernel.stores or self.last in self.summed:
            return None, 1
        domain = self.kernel.domain
        axes = [
            a
            for a in self.kept
            if a != self.last and domain[a] > 1 and not self.listed(a)
            if any(s.strides[self.last] and not s.strides[a] for s in self.kernel.loads)
        ]
        if not axes:
            return None, 1
        axis = max(axes, key=lambda a: domain[a])
        threads = math.prod(domain[a] for a in self.kept)
        return axis, next((t for t in TILES if t <= domain[axis] and threads // t >= ENOUGH // 4), 1)

    def choose_parts(self) -> tuple[int | None, int]:
        """An axis whose indices are dealt out to the threads of an output, and how many these are."""
        domain = self.kernel.domain
        axes = [a for a in self.summed if not self.listed(a)]
        if not axes:
            return None, 1
        if self.last in axes and domain[self.last] >= WARP // 4:
            axis, least = self.last, min(_power(domain[self.last]), WARP)
        else:
            axis, least = max(axes, key=lambda a: domain[a]), 1
        most = min(_power(domain[axis]), MOST_PARTS if axis == self.last else WARP)
        parts, terms = least, math.prod(domain[a] for a in self.summed)
        while parts < most and self.outputs * parts < ENOUGH and terms > 8 * parts:
            parts *= 2
        return (axis, parts) if parts > 1 else (None, 1)

    # Text.

    def done(self) -> Function:
        self.begin()
        self.sums()
        self.end()
        restrict = "__restrict__ " if self.kernel.separate else ""
        arguments = ", ".join(f"{TYPES[s.dtype]}* {restrict}p{i}" for i, s in enumerate(self.streams))
        tables = [
            f"__device__ const int {name}[] = {{{', '.join(map(str, offsets))}}};"
            for offsets, name in self.tables.items()
        ]
        head = f'extern "C" __global__ void __launch_bounds__({self.block}) {self.name}({arguments}) {{'
        grid = -(-self.outputs * self.parts // self.block)
        return Function(self.name, "\n".join([*tables, head, *self.lines, "}", ""]), grid, self.block)

    def put(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def begin(self) -> None:
        """The number of the output, its index along every axis, and of its part."""
        wide = max(sum(_reach(s, a, n) for a, n in enumerate(self.kernel.domain)) for s in self.streams)
        kind = "int" if max(wide, self.outputs * self.parts) < 2**31 else "long long"
        self.put(f"typedef {kind} ix;")
        each = self.block // self.parts
        if self.split == self.last:
            self.put(f"ix part = threadIdx.x % {self.parts}, mine = threadIdx.x / {self.parts};")
        else:
            self.put(f"ix part = threadIdx.x / {each}, mine = threadIdx.x % {each};")
        self.put(f"ix rest = (ix)blockIdx.x * {each} + mine;")
        self.put(f"bool inside = rest < {self.outputs};")
        if self.parts == 1:
            self.put("if (!inside) return;")
        for place, axis in enumerate(reversed(self.kept)):
            count = self.count(axis)
            outermost = place == len(self.kept) - 1
            self.put(f"ix i{axis} = {'rest' if outermost else f'rest % {count}'};")
            if not outermost:
                self.put(f"rest /= {count};")

    def sums(self) -> None:
        """What the thread adds up, or does if there are no sums."""
        for lane in range(self.tile):
            if self.tile > 1:
                axis, size = self.tiled, self.kernel.domain[self.tiled or 0]
                index = f"i{axis} * {self.tile} + {lane}"
                self.put(f"ix j{lane} = {index} < {size} ? {index} : {size - 1};")
            for number, (kind, _, stream) in enumerate(self.kernel.reductions):
                first = literal(identity(kind, stream.dtype), stream.dtype)
                if self.kernel.accumulate:
                    first = f"inside && part == 0 ? {self.element(self.result(number), lane)} : {first}"
                self.put(f"{TYPES[stream.dtype]} a{number}_{lane} = {first};")
        if self.parts > 1:
            self.put("if (inside) {")
        for axis in self.summed:
            size, name = self.kernel.domain[axis], f"i{axis}"
            if self.listed(axis):
                self.put("#pragma unroll")
            start, step = ("part", self.parts) if axis == self.split else ("0", 1)
            self.put(f"for (ix {name} = {start}; {name} < {size}; {name} += {step}) {{")
        self.body()
        self.put("}" * (len(self.summed) + (self.parts > 1)))

    def body(self) -> None:
        for lane in range(self.tile):
            for number, stream in enumerate(self.kernel.loads):
                if lane == 0 or stream.strides[self.tiled or 0]:
                    self.put(f"{TYPES[stream.dtype]} v{number}_{lane} = {self.element(number, lane)};")
            for number, s in enumerate(self.kernel.statements):
                if number not in self.fused:
                    value = expression(s.op, s.given, self.operands(s, lane), dict(s.attributes))
                    self.put(f"{TYPES[s.dtype]} t{number}_{lane} = {value};")
            for place, (operand, stream) in enumerate(self.kernel.stores, len(self.kernel.loads)):
                self.put(f"{self.element(place, lane)} = {self.operand(operand, stream.dtype, lane)};")
            for number, (kind, operand, stream) in enumerate(self.kernel.reductions):
                total = f"a{number}_{lane}"
                if operand[0] == "statement" and operand[1] in self.fused:
                    factors = self.operands(self.kernel.statements[operand[1]], lane)
                    self.put(f"{total} = fma({', '.join(factors)}, {total});")
                else:
                    self.put(f"{total} = {_COMBINE[kind]}({total}, {self.operand(operand, stream.dtype, lane)});")

    def end(self) -> None:
        """The parts of an output put together, and written."""
        for number, (kind, _, stream) in enumerate(self.kernel.reductions):
            for lane in range(self.tile):
                total = f"a{number}_{lane}"
                if self.parts > 1:
                    self.put(f"{{ __shared__ {TYPES[stream.dtype]} m[{self.block}];")
                    step = 1 if self.split == self.last else self.block // self.parts
                    self.put("__syncthreads();")
                    self.put(f"m[threadIdx.x] = {total};")
                    self.put(f"for (int half = {self.parts // 2}; half; half /= 2) {{")
                    self.put("__syncthreads();")
                    other = f"m[threadIdx.x + half * {step}]"
                    self.put(f"if (part < half) m[threadIdx.x] = {_COMBINE[kind]}(m[threadIdx.x], {other}); }}")
                    self.put(f"{total} = m[threadIdx.x]; }}")
                conditions = ["inside && part == 0"] if self.parts > 1 else []
                if self.tile > 1:
                    conditions.append(f"i{self.tiled} * {self.tile} + {lane} < {self.kernel.domain[self.tiled or 0]}")
                guard = f"if ({' && '.join(conditions)}) " if conditions else ""
                self.put(f"{guard}{self.element(self.result(number), lane)} = {total};")

    # Elements and operands.

    def result(self, number: int) -> int:
        """The stream of a reduction."""
        return len(self.streams) - len(self.kernel.reductions) + number

    def element(self, number: int, lane: int) -> str:
        """The element of a stream at the thread's index."""
        terms = []
        for axis, stride in enumerate(self.streams[number].strides):
            index = f"j{lane}" if axis == self.tiled and self.tile > 1 else f"i{axis}"
            if isinstance(stride, tuple):
                terms.append(f"{self.table(stride)}[{index}]")
            elif stride and self.kernel.domain[axis] > 1:
                terms.append(index if stride == 1 else f"{index} * {stride}")
        return f"p{number}[{' + '.join(terms) or '0'}]"

    def table(self, offsets: tuple[int, ...]) -> str:
        return self.tables.setdefault(offsets, f"{self.name}_{len(self.tables)}")

    def operand(self, given: Operand, dtype: str, lane: int) -> str:
        kind, which = given
        if kind == "constant":
            return literal(which, dtype)
        if kind == "statement":
            return f"t{which}_{lane}"
        return f"v{which}_{lane if self.kernel.loads[which].strides[self.tiled or 0] else 0}"

    def operands(self, s: Statement, lane: int) -> list[str]:
        dtypes = ["bool" if s.op == "where" and i == 0 else s.given for i in range(len(s.operands))]
        return [self.operand(given, dtype, lane) for given, dtype in zip(s.operands, dtypes, strict=True)]


_COMBINE = {"sum": "add_", "max": "max_"}


def _reach(stream: Stream, axis: int, size: int) -> int:
    """How far apart the elements of an axis lie at most."""
    stride = stream.strides[axis]
    return int(max(map(abs, stride)) if isinstance(stride, tuple) else abs(stride) * (size - 1))
