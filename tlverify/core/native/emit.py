"""A loop as a function in LLVM IR.

The axes of the domain that lie behind one another in every view are joined. The last axis is walked in vectors of LANES
elements and a shorter one for the rest. A sum over the last axis adds vectors, and at the end their halves, quarters
and so on; a sum over other axes adds whole vectors of the last one. So the order of every sum is fixed by its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tlverify.core.native.functions import FLOATS, TYPES, Code, Kind, Writer, literal, maximum, write
from tlverify.core.native.schedule import Loop, Operand, Statement, Strides, View
from tlverify.graph import Shape

LANES = 16
SMALLEST_TILE = 4  # of a transposing copy
LANES_OF_SUMS = 32  # along a last axis that is summed over
MEMORY = {"float32": "float", "float64": "double", "int64": "i64", "bool": "i8"}
SIZE = {"float32": 4, "float64": 8, "int64": 8, "bool": 1}


@dataclass(frozen=True)
class Tile:
    """Sums that are made at once, as many as the registers hold: `lanes` along the last axis for `together` neighbours
    of another one. What is added up to a sum, and in which order, does not depend on it."""

    lanes: int
    together: int


WIDE, NARROW = Tile(32, 8), Tile(16, 6)
"""For 32 registers of 512 bits, and for 16 of 256."""


@dataclass(frozen=True)
class Stream:
    """What a loop reads or writes, by strides over the domain."""

    dtype: str
    strides: Strides


@dataclass(frozen=True)
class Kernel:
    """A loop without its buffers: loops with equal kernels share a function. Streams: loads, stores, reductions."""

    domain: Shape
    loads: tuple[Stream, ...]
    statements: tuple[Statement, ...]
    stores: tuple[tuple[Operand, Stream], ...]
    reductions: tuple[tuple[str, Operand, Stream], ...]
    over: tuple[int, ...]
    separate: bool  # nothing that is written is read
    accumulate: bool = False


def kernel_of(loop: Loop, dtype: Callable[[View], str]) -> tuple[Kernel, list[View]]:
    """The kernel, and the views it takes in the order of its streams."""
    results = [(kind, operand, spread(view, loop)) for kind, operand, view in loop.reductions]
    views = [*loop.loads, *(view for _, view in loop.stores), *(view for _, _, view in results)]
    domain, strides, over = _joined(
        loop.domain, [view.strides for view in views], loop.over if results else (), loop.accumulate
    )
    streams = [Stream(dtype(view), s) for view, s in zip(views, strides, strict=True)]
    # A sum over axes of size 1 alone is a store.
    kept = [operand for operand, _ in loop.stores] + [operand for _, operand, _ in results if not over]
    loads, stores = len(loop.loads), len(loop.loads) + len(kept)
    written = {view.buffer for view in views[loads:]}
    kernel = Kernel(
        domain,
        tuple(streams[:loads]),
        tuple(loop.statements),
        tuple(zip(kept, streams[loads:stores], strict=True)),
        tuple((kind, operand, s) for (kind, operand, _), s in zip(results, streams[stores:], strict=False)),
        over,
        written.isdisjoint(view.buffer for view in loop.loads) and len(written) == len(views) - loads,
        loop.accumulate,
    )
    return kernel, views


def spread(view: View, loop: Loop) -> View:
    """The result of a reduction with stride 0 in the axes that are summed over."""
    own = iter(view.strides)
    strides = tuple(0 if axis in loop.over else next(own) for axis in range(len(loop.domain)))
    return View(view.buffer, view.offset, loop.domain, strides)


def _joined(
    domain: Shape, strides: Sequence[Strides], over: Sequence[int], accumulate: bool
) -> tuple[Shape, list[Strides], tuple[int, ...]]:
    """The domain without axes of size 1, and with neighbours joined where all strides allow it."""
    axes = [a for a, n in enumerate(domain) if n != 1] or [len(domain) - 1] * (len(domain) > 0)
    sizes: list[int] = []
    steps: list[list[Any]] = [[] for _ in strides]
    summed: list[bool] = []
    for a in axes:
        rows = list(zip(strides, steps, strict=True))
        same = bool(sizes) and summed[-1] == (a in over)
        same = same and not any(isinstance(s[a], tuple) or isinstance(row[-1], tuple) for s, row in rows if row)
        if same and all(row[-1] == s[a] * domain[a] for row, s in zip(steps, strides, strict=True)):
            sizes[-1] *= domain[a]
            for row, s in zip(steps, strides, strict=True):
                row[-1] = s[a]
            continue
        sizes.append(domain[a])
        summed.append(a in over)
        for row, s in zip(steps, strides, strict=True):
            row.append(s[a])
    if not sizes:
        sizes, summed, steps = [1], [bool(over)], [[0] for _ in strides]
    if accumulate and not any(summed):
        sizes, summed, steps = [1, *sizes], [True, *summed], [[0, *row] for row in steps]
    if any(isinstance(row[-1], tuple) for row in steps) or (accumulate and summed[-1]):
        # Vectors lie along the last axis, so that one must have strides; and so must what is added to.
        sizes, summed, steps = [*sizes, 1], [*summed, False], [[*row, 0] for row in steps]
    return tuple(sizes), [tuple(row) for row in steps], tuple(a for a, s in enumerate(summed) if s)


def function(name: str, kernel: Kernel, tile: Tile = WIDE) -> tuple[str, set[str]]:
    """The text of the function, and the declarations it needs."""
    return _Function(name, kernel, tile).text()


class _Function:
    def __init__(self, name: str, kernel: Kernel, tile: Tile):
        self.name, self.kernel, self.tile = name, kernel, tile
        self.code = Code()
        self.streams = [*kernel.loads, *(s for _, s in kernel.stores), *(s for _, _, s in kernel.reductions)]
        self.block = "entry"
        self.fused = fused(kernel)

    def text(self) -> tuple[str, set[str]]:
        noalias = " noalias" if self.kernel.separate else ""
        arguments = ", ".join(f"ptr{noalias} %p{i}" for i in range(len(self.streams)))
        pointers = [f"%p{i}" for i in range(len(self.streams))]
        if 0 not in self.kernel.domain:
            self.nest(pointers)
        body = "\n".join(self.code.lines)
        text = f"define internal void @{self.name}({arguments}) {{\nentry:\n{body}\n  ret void\n}}\n"
        return text, self.code.declared

    # Loops.

    def listed(self, axis: int) -> bool:
        """Whether a stream has an offset of its own for each index of the axis."""
        return any(isinstance(stream.strides[axis], tuple) for stream in self.streams)

    def walk(self, axis: int, body: Callable[[str], None]) -> None:
        """body(index) for every index of the axis."""
        if self.listed(axis):
            for index in range(self.kernel.domain[axis]):
                body(str(index))
        else:
            self.each(self.kernel.domain[axis], body)

    def each(self, count: int, body: Callable[[str], None], step: int = 1) -> None:
        """body(index) for 0, step, 2 step, ... below count * step."""
        if count == 0:
            return
        if count == 1:
            body("0")
            return
        code = self.code
        head, end = code.fresh("head")[1:], code.fresh("end")[1:]
        index, following, done = code.fresh("i"), code.fresh("n"), code.fresh("d")
        before = self.block
        latch = code.fresh("latch")[1:]
        code.lines += [f"  br label %{head}", f"{head}:"]
        code.lines.append(f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]")
        self.block = head
        body(index)
        code.lines += [
            f"  br label %{latch}",
            f"{latch}:",
            f"  {following} = add nuw nsw i64 {index}, {step}",
            f"  {done} = icmp eq i64 {following}, {count * step}",
            f"  br i1 {done}, label %{end}, label %{head}",
            f"{end}:",
        ]
        self.block = end

    def moved(self, pointers: Sequence[str], index: str, axis: int) -> list[str]:
        """The pointers at `index` of an axis."""
        result = []
        for pointer, stream in zip(pointers, self.streams, strict=True):
            stride = stream.strides[axis]
            if isinstance(stride, tuple):
                index_or_offset = str(stride[int(index)])
                stride = 1
            else:
                index_or_offset = index
            if stride and index_or_offset != "0":
                kind = MEMORY[stream.dtype]
                place = index_or_offset
                if stride != 1:
                    place = self.code.put(f"mul nsw i64 {index}, {stride}")
                pointer = self.code.put(f"getelementptr inbounds {kind}, ptr {pointer}, i64 {place}")
            result.append(pointer)
        return result

    def over_axes(self, axes: Sequence[int], pointers: Sequence[str], body: Callable[[list[str]], None]) -> None:
        if not axes:
            body(list(pointers))
            return
        first, *rest = axes
        self.walk(first, lambda index: self.over_axes(rest, self.moved(pointers, index, first), body))

    def nest(self, pointers: Sequence[str]) -> None:
        last = len(self.kernel.domain) - 1
        outer = [a for a in range(last) if a not in self.kernel.over]
        if (axis := self.turned()) is not None:
            outer.remove(axis)
            self.over_axes(outer, pointers, lambda place: self.turn(place, axis))
        elif last in self.kernel.over:
            self.over_axes(outer, pointers, lambda place: self.sum_rows(place))
        elif (jam := self.jammed(outer)) is not None:
            outer.remove(jam)
            self.over_axes(outer, pointers, lambda place: self.tiles(place, jam))
        else:
            self.over_axes(outer, pointers, lambda place: self.along_last([place]))

    # Transposing copies.

    def turned(self) -> int | None:
        """The axis along which a copy reads what lies behind one another, if it writes along another one."""
        kernel = self.kernel
        if kernel.statements or kernel.over or len(kernel.loads) != 1 or not kernel.separate:
            return None
        if [operand for operand, _ in kernel.stores] != [("load", 0)] or kernel.loads[0].dtype == "bool":
            return None
        source, target, last = kernel.loads[0].strides, kernel.stores[0][1].strides, len(kernel.domain) - 1
        if target[last] != 1 or source[last] in (0, 1) or kernel.domain[last] < SMALLEST_TILE:
            return None
        axes = [a for a in range(last) if source[a] == 1 and kernel.domain[a] >= SMALLEST_TILE]
        return axes[0] if axes else None

    def turn(self, pointers: list[str], axis: int) -> None:
        """Square tiles of the axis and the last one; the tiles at the ends lie over those before them."""
        last = len(self.kernel.domain) - 1
        tile = LANES
        while tile > min(self.kernel.domain[axis], self.kernel.domain[last]):
            tile //= 2

        def along(axis: int, pointers: list[str], body: Callable[[list[str]], None]) -> None:
            whole, rest = divmod(self.kernel.domain[axis], tile)
            self.each(whole, lambda index: body(self.moved(pointers, index, axis)), tile)
            if rest:
                body(self.moved(pointers, str(self.kernel.domain[axis] - tile), axis))

        along(axis, pointers, lambda place: along(last, place, lambda corner: self.turn_tile(corner, axis, tile)))

    def turn_tile(self, corner: list[str], axis: int, tile: int) -> None:
        last = len(self.kernel.domain) - 1
        source, (_, target) = self.kernel.loads[0], self.kernel.stores[0]
        kind, flat = Kind(source.dtype, tile), Stream(source.dtype, (1,))
        rows = [self.load(self.moved(corner, str(i), last)[0], flat, tile) for i in range(tile)]
        bit = 1
        while bit < tile:
            for i in range(tile):
                if not i & bit:
                    a, b = rows[i], rows[i | bit]
                    low = [j if not j & bit else tile + (j ^ bit) for j in range(tile)]
                    rows[i], rows[i | bit] = (self.shuffled(kind, a, b, [j ^ at for j in low]) for at in (0, bit))
            bit *= 2
        for i, row in enumerate(rows):
            self.store(row, self.moved(corner, str(i), axis)[1], Stream(target.dtype, (1,)), tile)

    def shuffled(self, kind: Kind, a: str, b: str, places: Sequence[int]) -> str:
        mask = ", ".join(f"i32 {place}" for place in places)
        return self.code.put(f"shufflevector {kind} {a}, {kind} {b}, <{len(places)} x i32> <{mask}>")

    def jammed(self, outer: Sequence[int]) -> int | None:
        """An axis along which neighbours share a vector that is loaded, so that their sums are best made together."""
        if not self.kernel.over or self.kernel.stores:
            return None
        shared = {
            axis: any(s.strides[-1] and not s.strides[axis] for s in self.kernel.loads)
            for axis in outer
            if self.kernel.domain[axis] > 1 and all(s.strides[axis] for _, _, s in self.kernel.reductions)
        }
        return max((axis for axis, some in shared.items() if some), key=lambda a: self.kernel.domain[a], default=None)

    def tiles(self, pointers: list[str], axis: int) -> None:
        """The axis in steps of the tile."""
        count = self.kernel.domain[axis]
        step = count if self.listed(axis) and count <= self.tile.together + 1 else self.tile.together
        whole, rest = divmod(count, step)

        def tile(place: list[str], count: int) -> None:
            self.along_last([self.moved(place, str(i), axis) for i in range(count)], axis)

        if self.listed(axis):
            for start in range(0, count, step):
                shifted = [self.moved(pointers, str(start + i), axis) for i in range(min(step, count - start))]
                self.along_last(shifted, axis)
            return
        self.each(whole, lambda index: tile(self.moved(pointers, index, axis), step), step)
        if rest:
            tile(self.moved(pointers, str(whole * step), axis), rest)

    def along_last(self, rows: list[list[str]], jam: int | None = None) -> None:
        """The last axis is kept: vectors of it, each with its own sums over the axes of `over`. `rows` are the pointers
        of neighbours along the axis `jam`."""
        last = len(self.kernel.domain) - 1
        lanes = self.tile.lanes if self.kernel.over else LANES
        whole, rest = divmod(self.kernel.domain[last], lanes)

        def column(index: str, count: int) -> None:
            self.column([self.moved(row, index, last) for row in rows], count, jam)

        self.each(whole, lambda index: column(index, lanes), lanes)
        if rest and whole and self.kernel.separate and not self.kernel.accumulate:
            column(str(self.kernel.domain[last] - lanes), lanes)  # some once more, which does no harm
        elif rest:
            column(str(whole * lanes), rest)

    def column(self, rows: list[list[str]], lanes: int, jam: int | None) -> None:
        if not self.kernel.over:
            self.body(rows[0], lanes, {})
            return
        sums = [self.start(lanes, row) for row in rows]
        own = len(self.streams)

        def step(place: list[str]) -> None:
            loaded: dict[int, str] = {}
            for number, variables in enumerate(sums):
                shared = {i: v for i, v in loaded.items() if jam is not None and not self.streams[i].strides[jam]}
                terms, loaded = self.body(place[number * own : (number + 1) * own], lanes, shared)
                for which, term in enumerate(terms):
                    self.accumulate(variables, which, term, lanes)

        self.along_rows(self.kernel.over, rows, step)
        for row, variables in zip(rows, sums, strict=True):
            for number, (pointer, stream) in enumerate(self.results(row)):
                kind = Kind(stream.dtype, lanes)
                value = self.code.put(f"load {kind}, ptr {variables[number]}")
                self.store(value, pointer, stream, lanes)

    def along_rows(self, axes: Sequence[int], rows: list[list[str]], body: Callable[[list[str]], None]) -> None:
        """As over_axes, for several lists of pointers at once."""
        if not axes:
            body([pointer for row in rows for pointer in row])
            return
        first, *rest = axes

        def inner(index: str) -> None:
            self.along_rows(rest, [self.moved(row, index, first) for row in rows], body)

        self.walk(first, inner)

    def sum_rows(self, pointers: list[str]) -> None:
        """The last axis is summed over, and maybe others."""
        last = len(self.kernel.domain) - 1
        count = self.kernel.domain[last]
        lanes = LANES_OF_SUMS if count >= LANES_OF_SUMS else 1 << (count - 1).bit_length()
        whole, rest = divmod(count, lanes)
        sums = self.start(lanes)
        assert not self.kernel.accumulate, "along rows"

        def row(place: list[str]) -> None:
            def step(index: str) -> None:
                terms, _ = self.body(self.moved(place, index, last), lanes, {})
                for number, term in enumerate(terms):
                    self.accumulate(sums, number, term, lanes)

            self.each(whole, step, lanes)
            if rest:
                terms, _ = self.body(self.moved(place, str(whole * lanes), last), rest, {})
                for number, term in enumerate(terms):
                    wide = tuple(self.widened(value, number, rest, lanes) for value in term)
                    self.accumulate(sums, number, wide, lanes)

        self.over_axes([a for a in self.kernel.over if a != last], pointers, row)
        for number, (pointer, stream) in enumerate(self.results(pointers)):
            value = self.code.put(f"load {Kind(stream.dtype, lanes)}, ptr {sums[number]}")
            self.store(self.folded(number, value, lanes), pointer, stream, 1)

    # Sums.

    def start(self, lanes: int, pointers: Sequence[str] = ()) -> list[str]:
        """A variable for each reduction; it begins with what is in memory at `pointers` if the kernel accumulates."""
        result = []
        for number, (kind, _, stream) in enumerate(self.kernel.reductions):
            vector = Kind(stream.dtype, lanes)
            variable = self.code.fresh("sum")
            self.code.lines.insert(0, f"  {variable} = alloca {vector}, align 64")
            first = vector.constant(identity(kind, stream.dtype))
            if self.kernel.accumulate:
                first = self.load(self.results(pointers)[number][0], stream, lanes)
            self.code.lines.append(f"  store {vector} {first}, ptr {variable}")
            result.append(variable)
        return result

    def results(self, pointers: Sequence[str]) -> list[tuple[str, Stream]]:
        count = len(self.kernel.reductions)
        return [(pointer, s) for pointer, (_, _, s) in zip(pointers[-count:], self.kernel.reductions, strict=True)]

    def combine(self, number: int, a: str, b: str, lanes: int) -> str:
        kind, _, stream = self.kernel.reductions[number]
        w = Writer(self.code, Kind(stream.dtype, lanes))
        if kind == "max":
            return maximum(w, a, b)
        return w.op("fadd" if stream.dtype in FLOATS else "add", a, b)

    def accumulate(self, sums: Sequence[str], number: int, term: tuple[str, ...], lanes: int) -> None:
        """A term is one value, or two factors that a fused multiply-add takes."""
        vector = Kind(self.kernel.reductions[number][2].dtype, lanes)
        before = self.code.put(f"load {vector}, ptr {sums[number]}")
        if len(term) == 2:
            after = Writer(self.code, vector).fma(*term, before)
        else:
            after = self.combine(number, before, term[0], lanes)
        self.code.lines.append(f"  store {vector} {after}, ptr {sums[number]}")

    def widened(self, value: str, number: int, lanes: int, wide: int) -> str:
        """A vector with the identity of the reduction in its further lanes."""
        kind, _, stream = self.kernel.reductions[number]
        few = Kind(stream.dtype, lanes)
        if lanes == 1:
            all_of_it = Kind(stream.dtype, wide)
            base = all_of_it.constant(identity(kind, stream.dtype))
            return self.code.put(f"insertelement {all_of_it} {base}, {few} {value}, i64 0")
        places = ", ".join(f"i32 {i if i < lanes else lanes}" for i in range(wide))
        none = few.constant(identity(kind, stream.dtype))
        return self.code.put(f"shufflevector {few} {value}, {few} {none}, <{wide} x i32> <{places}>")

    def folded(self, number: int, value: str, lanes: int) -> str:
        """The vector's lanes combined in a binary tree."""
        dtype = self.kernel.reductions[number][2].dtype
        while lanes > 1:
            kind, half = Kind(dtype, lanes), lanes // 2
            if half == 1:
                parts = [self.code.put(f"extractelement {kind} {value}, i64 {i}") for i in (0, 1)]
            else:
                parts = []
                for start in (0, half):
                    places = ", ".join(f"i32 {start + i}" for i in range(half))
                    parts.append(
                        self.code.put(f"shufflevector {kind} {value}, {kind} poison, <{half} x i32> <{places}>")
                    )
            lanes = half
            value = self.combine(number, parts[0], parts[1], lanes)
        return value

    # What is done for a vector.

    def body(
        self, pointers: Sequence[str], lanes: int, loaded: dict[int, str]
    ) -> tuple[list[tuple[str, ...]], dict[int, str]]:
        """Loads but for those in `loaded`, statements and stores; the terms of the reductions, and all loads."""
        loads = dict(loaded)
        for number, (pointer, stream) in enumerate(zip(pointers, self.kernel.loads, strict=False)):
            if number not in loads:
                loads[number] = self.load(pointer, stream, lanes)
        values: dict[int, str] = {}

        def operand(given: Operand, dtype: str) -> str:
            kind, which = given
            if kind == "constant":
                return Kind(dtype, lanes).constant(which)
            return loads[which] if kind == "load" else values[which]

        def operands(s: Statement) -> list[str]:
            dtypes = ["bool" if s.op == "where" and i == 0 else s.given for i in range(len(s.operands))]
            return [operand(given, dtype) for given, dtype in zip(s.operands, dtypes, strict=True)]

        for number, s in enumerate(self.kernel.statements):
            if number not in self.fused:
                values[number] = write(self.code, s.op, Kind(s.given, lanes), operands(s), dict(s.attributes))
        stores = pointers[len(self.kernel.loads) : len(self.kernel.loads) + len(self.kernel.stores)]
        for pointer, (given, stream) in zip(stores, self.kernel.stores, strict=True):
            self.store(operand(given, stream.dtype), pointer, stream, lanes)
        terms: list[tuple[str, ...]] = []
        for _, given, stream in self.kernel.reductions:
            if given[0] == "statement" and given[1] in self.fused:
                terms.append(tuple(operands(self.kernel.statements[given[1]])))
            else:
                terms.append((operand(given, stream.dtype),))
        return terms, loads

    def load(self, pointer: str, stream: Stream, lanes: int) -> str:
        stride, memory = stream.strides[-1], MEMORY[stream.dtype]
        if stride == 1 or lanes == 1:
            kind = Kind(stream.dtype, lanes)
            value = self.code.put(f"load {kind.of(memory)}, ptr {pointer}, align {SIZE[stream.dtype]}")
            return self.truth(value, kind) if stream.dtype == "bool" else value
        if stride == 2 and stream.dtype != "bool":
            return self.every_second(pointer, stream, lanes)
        if stride == 0:
            return self.splat(self.load(pointer, Stream(stream.dtype, (1,)), 1), Kind(stream.dtype, lanes))
        vector = Kind(stream.dtype, lanes)
        total = "poison"
        for lane in range(lanes):
            place = self.code.put(f"getelementptr inbounds {memory}, ptr {pointer}, i64 {lane * stride}")
            value = self.load(place, Stream(stream.dtype, (1,)), 1)
            scalar = TYPES[stream.dtype]
            total = self.code.put(f"insertelement {vector} {total}, {scalar} {value}, i64 {lane}")
        return total

    def every_second(self, pointer: str, stream: Stream, lanes: int) -> str:
        """Two vectors that end where the elements do, and of each every second element."""
        flat, kind = Stream(stream.dtype, (1,)), Kind(stream.dtype, lanes)
        place = self.code.put(f"getelementptr inbounds {MEMORY[stream.dtype]}, ptr {pointer}, i64 {lanes - 1}")
        first, second = self.load(pointer, flat, lanes), self.load(place, flat, lanes)
        return self.shuffled(kind, first, second, [2 * i if 2 * i < lanes else 2 * i + 1 for i in range(lanes)])

    def truth(self, value: str, kind: Kind) -> str:
        return self.code.put(f"icmp ne {kind.of('i8')} {value}, {kind.splat('i8', '0')}")

    def splat(self, value: str, kind: Kind) -> str:
        scalar = TYPES[kind.dtype]
        first = self.code.put(f"insertelement {kind} poison, {scalar} {value}, i64 0")
        return self.code.put(f"shufflevector {kind} {first}, {kind} poison, <{kind.lanes} x i32> zeroinitializer")

    def store(self, value: str, pointer: str, stream: Stream, lanes: int) -> None:
        kind, memory = Kind(stream.dtype, lanes), MEMORY[stream.dtype]
        if lanes > 1 and stream.strides[-1] == 2 and stream.dtype in FLOATS:
            self.store_every_second(value, pointer, kind)
            return
        if lanes > 1 and stream.strides[-1] != 1:
            for lane in range(lanes):
                part = self.code.put(f"extractelement {kind} {value}, i64 {lane}")
                place = pointer
                if lane:
                    step = lane * stream.strides[-1]
                    place = self.code.put(f"getelementptr inbounds {memory}, ptr {pointer}, i64 {step}")
                self.store(part, place, Stream(stream.dtype, (1,)), 1)
            return
        if stream.dtype == "bool":
            value = self.code.put(f"zext {kind} {value} to {kind.of('i8')}")
        self.code.lines.append(f"  store {kind.of(memory)} {value}, ptr {pointer}, align {SIZE[stream.dtype]}")

    def store_every_second(self, value: str, pointer: str, kind: Kind) -> None:
        """Two vectors that end where the elements do, of which only every second element is written."""
        lanes = kind.lanes
        for start in (0, lanes - 1):
            held = [place for place in range(lanes) if (start + place) % 2 == 0]
            places = [(start + place) // 2 if place in held else 0 for place in range(lanes)]
            mask = ", ".join(f"i1 {str(place in held).lower()}" for place in range(lanes))
            vector = self.shuffled(kind, value, value, places)
            place = self.code.put(f"getelementptr inbounds {MEMORY[kind.dtype]}, ptr {pointer}, i64 {start}")
            name = f"@llvm.masked.store.v{lanes}f{8 * SIZE[kind.dtype]}.p0"
            self.code.declared.add(f"declare void {name}({kind}, ptr, i32, {kind.of('i1')})")
            self.code.lines.append(
                f"  call void {name}({kind} {vector}, ptr {place}, i32 {SIZE[kind.dtype]}, {kind.of('i1')} <{mask}>)"
            )


def fused(kernel: Kernel) -> set[int]:
    """Products that nothing but one sum of floats reads."""
    uses = [o for s in kernel.statements for o in s.operands] + [o for o, _ in kernel.stores]
    uses += [o for _, o, _ in kernel.reductions]
    return {
        o[1]
        for kind, o, stream in kernel.reductions
        if kind == "sum" and stream.dtype in FLOATS and o[0] == "statement" and uses.count(o) == 1
        if kernel.statements[o[1]].op == "mul"
    }


def identity(kind: str, dtype: str) -> float:
    """What a sum or maximum of no terms is."""
    if kind == "sum":
        return 0.0 if dtype == "int64" else -0.0
    return -(2**63) if dtype == "int64" else float("-inf")


__all__ = ["Kernel", "function", "fused", "identity", "kernel_of", "literal", "spread"]
