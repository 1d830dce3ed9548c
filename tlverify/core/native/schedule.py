"""What to do with which memory: a graph as loops, matrix products and calls over buffers.

Every value of the graph is a View of a buffer; reshape, transpose, broadcast_to, slice and windows only make another
view where they can. Elementwise nodes over the same domain join one Loop, so that what lies between them never goes to
memory unless something else reads it; a sum or maximum joins the loop of what it is over.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.core.native.functions import ELEMENTWISE, FLOATS
from tlverify.graph import Graph, Node, Shape

MOST_STATEMENTS = 48  # of a loop
MOST_STREAMS = 24  # views that a loop loads
SMALL_PRODUCT = 4096  # multiplications up to which a matrix product is a loop of its own


@dataclass
class Buffer:
    """Memory for `size` elements. `place`: an index of the inputs, constants or outputs, None for scratch memory."""

    dtype: str
    size: int
    kind: str = "scratch"
    place: int | None = None


@dataclass(frozen=True)
class View:
    """Elements of a buffer: `offset` and `strides` count elements; a stride may be 0."""

    buffer: int
    offset: int
    shape: Shape
    strides: Shape


Operand = tuple[str, Any]
"""("load", i), ("statement", i), or ("constant", number)."""


@dataclass(frozen=True)
class Statement:
    """`op` of operands in the dtype `dtype`; `given` is that of the operands."""

    op: str
    operands: tuple[Operand, ...]
    dtype: str
    given: str
    attributes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Work:
    """An elementwise op that is still to be put into a loop; operands may be such as well."""

    op: str
    operands: tuple[Value, ...]
    shape: Shape
    dtype: str
    given: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def views(self) -> Iterator[View]:
        """All that it reads."""
        for operand in self.operands:
            if isinstance(operand, Work):
                yield from operand.views()
            elif isinstance(operand, View):
                yield operand


Value = View | Work | int | float


@dataclass
class Loop:
    """Statements for every index of `domain`. `stores` are (operand, view); `reductions` are (sum or max, operand, view
    without the axes in `over`)."""

    domain: Shape
    loads: list[View] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    stores: list[tuple[Operand, View]] = field(default_factory=list)
    reductions: list[tuple[str, Operand, View]] = field(default_factory=list)
    over: tuple[int, ...] = ()

    def load(self, view: View) -> Operand:
        if view not in self.loads:
            self.loads.append(view)
        return "load", self.loads.index(view)


@dataclass(frozen=True)
class Product:
    """result = left @ right for every index of the leading axes; added to result if `accumulate`."""

    left: View
    right: View
    result: View
    accumulate: bool = False


@dataclass(frozen=True)
class Call:
    """An op without machine code: its function on arrays, which are whole buffers."""

    function: Callable[..., Any]
    inputs: tuple[View, ...]
    result: View


Instruction = Loop | Product | Call


@dataclass
class Schedule:
    buffers: list[Buffer]
    instructions: list[Instruction]
    outputs: list[View]
    inputs: list[int]
    constants: list[Any]


def views_of(instruction: Instruction) -> list[View]:
    if isinstance(instruction, Loop):
        stores = [view for _, view in instruction.stores]
        return [*instruction.loads, *stores, *(view for _, _, view in instruction.reductions)]
    if isinstance(instruction, Product):
        return [instruction.left, instruction.right, instruction.result]
    return [*instruction.inputs, instruction.result]


def contiguous(shape: Shape) -> Shape:
    """Strides of C order."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * max(shape[axis + 1], 1)
    return tuple(strides)


def reshaped(view: View, shape: Shape) -> View | None:
    """The same elements in another shape, if strides can tell."""
    if math.prod(shape) == 0:
        return replace(view, shape=shape, strides=contiguous(shape))
    old = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    strides: list[int] = []
    place = 0
    for group in _matched([n for n, _ in old], [n for n in shape if n != 1]):
        count, parts = group
        sources = old[place : place + count]
        place += count
        for (_, outer), (n, inner) in zip(sources, sources[1:], strict=False):
            if outer != n * inner:
                return None
        step = sources[-1][1]
        strides += [step * math.prod(parts[i + 1 :]) for i in range(len(parts))]
    found = iter(strides)
    return replace(view, shape=shape, strides=tuple(0 if n == 1 else next(found) for n in shape))


def _matched(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The shortest runs of axes of the old shape and of the new one that have the same number of elements."""
    groups, i, j = [], 0, 0
    while i < len(old):
        a, b, start, first = old[i], new[j], i, j
        i, j = i + 1, j + 1
        while a != b:
            if a < b:
                a, i = a * old[i], i + 1
            else:
                b, j = b * new[j], j + 1
        groups.append((i - start, list(new[first:j])))
    return groups


def broadcast(view: View, shape: Shape) -> View:
    lead = len(shape) - len(view.shape)
    own = zip(view.shape, view.strides, shape[lead:], strict=True)
    return replace(view, shape=shape, strides=(*(0,) * lead, *(0 if n == 1 else s for n, s, _ in own)))


def transposed(view: View, axes: Shape) -> View:
    return replace(view, shape=tuple(view.shape[a] for a in axes), strides=tuple(view.strides[a] for a in axes))


def part(view: View, starts: Shape, shape: Shape, steps: Shape) -> View:
    offset = view.offset + sum(a * s for a, s in zip(starts, view.strides, strict=True))
    return View(view.buffer, offset, shape, tuple(s * k for s, k in zip(view.strides, steps, strict=True)))


def plan(graph: Graph) -> Schedule:
    """The schedule of a graph that `rewrite` has been over."""
    return _Planner(graph).done()


class _Planner:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.types, self.kept = graph, graph.types, set(graph.outputs)
        self.buffers: list[Buffer] = []
        self.instructions: list[Instruction] = []
        self.values: dict[str, View] = {}
        self.numbers: dict[str, int | float] = {}
        self.made: dict[int, tuple[int, Operand]] = {}  # buffer -> (instruction, statement) whose whole value it is
        self.ready: dict[int, int] = {}  # buffer -> the instruction after which it is filled
        self.constants: list[Any] = []
        self.stored: set[int] = set()
        self.later: dict[str, Work] = {}
        self.terms: dict[str, list[Value | Node]] = {}
        self.summed: dict[str, Node] = {}
        self.users: dict[str, list[Node]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self.users.setdefault(name, []).append(node)

    def done(self) -> Schedule:
        inputs = []
        for place, value in enumerate(self.graph.inputs):
            view = self.new(value.shape, value.dtype, "input", place)
            self.values[value.name] = view
            inputs.append(view.buffer)
        for parameter in self.graph.parameters:
            view = self.new(parameter.shape, parameter.dtype, "constant", len(self.constants))
            self.constants.append(parameter.data)
            self.values[parameter.name] = view
            if parameter.data.size == 1:
                self.numbers[parameter.name] = parameter.data.reshape(()).item()
        for node in self.graph.nodes:
            self.add(node)
        outputs = [self.output(name, place) for place, name in enumerate(self.graph.outputs)]
        for place, view in enumerate(outputs):
            assert self.buffers[view.buffer].place == place
        return Schedule(self.buffers, self.instructions, outputs, inputs, self.constants)

    # Memory.

    def new(self, shape: Shape, dtype: str, kind: str = "scratch", place: int | None = None) -> View:
        self.buffers.append(Buffer(dtype, math.prod(shape), kind, place))
        return View(len(self.buffers) - 1, 0, tuple(shape), contiguous(tuple(shape)))

    def dtype(self, view: View) -> str:
        return self.buffers[view.buffer].dtype

    def whole(self, view: View) -> bool:
        """Whether the view is all of its buffer, in order."""
        if view.offset or math.prod(view.shape) != self.buffers[view.buffer].size:
            return False
        return all(n == 1 or s == t for n, s, t in zip(view.shape, view.strides, contiguous(view.shape), strict=True))

    def read(self, view: View) -> View:
        """The view, which something other than the loop that makes it will read."""
        if view.buffer in self.made and view.buffer not in self.stored:
            self.stored.add(view.buffer)
            number, operand = self.made[view.buffer]
            loop = self.instructions[number]
            assert isinstance(loop, Loop)
            loop.stores.append((operand, View(view.buffer, 0, loop.domain, contiguous(loop.domain))))
        return view

    def after(self, *views: View) -> int:
        """The last instruction that fills one of the views; -1 if they are there from the start."""
        return max((self.ready.get(view.buffer, -1) for view in views), default=-1)

    def push(self, instruction: Instruction, *filled: View) -> int:
        self.instructions.append(instruction)
        for view in filled:
            self.ready[view.buffer] = len(self.instructions) - 1
        return len(self.instructions) - 1

    # Nodes.

    def add(self, node: Node) -> None:
        if self.collected(node):
            return
        rule = getattr(self, f"add_{node.op}", None)
        if rule is not None:
            rule(node)
        elif node.op in ELEMENTWISE and self.supports(node):
            work = Work(node.op, self.operands(node), node.shape, node.dtype, self.given(node), dict(node.attributes))
            if self.joins(node):
                self.later[node.name] = work
            else:
                self.values[node.name] = self.elementwise(work)
        else:
            self.call(node)

    def collected(self, node: Node) -> bool:
        """Puts a term of a sum by, or adds all of them up in one place where the sum ends: a matrix product adds itself
        to it, and what is padded with 0 goes where it belongs.
        """
        if node.op == "pad" and Fraction(node.attributes["value"]) == 0 or node.op == "matmul" and self.large(node):
            if self.added(node):
                self.terms[node.name] = [node]
                return True
            if node.op == "matmul" and self.all_summed(node):
                self.summed[node.name] = node
                return True
            return False
        if node.op != "add" or self.terms.keys().isdisjoint(node.inputs):
            return False
        terms: list[Value | Node] = []
        for name, operand in zip(node.inputs, self.operands(node), strict=True):
            terms += self.terms.pop(name, None) or [operand]
        if self.added(node):
            self.terms[node.name] = terms
        else:
            self.values[node.name] = self.total(terms, node)
        return True

    def all_summed(self, node: Node) -> bool:
        """Whether nothing reads the product but a sum over its leading axes."""
        users, lead = self.users.get(node.name, []), len(node.shape) - 2
        alone = len(users) == 1 and users[0].op == "sum" and node.name not in self.kept
        return alone and lead > 0 and set(users[0].attributes["axes"]) == set(range(lead))

    def sum_of_products(self, product: Node, node: Node) -> View:
        (*lead, m, n) = product.shape
        result = self.new((m, n), node.dtype)
        self.fill(0.0, result)
        self.product(product, broadcast(result, (*lead, m, n)), True)
        shaped = reshaped(result, node.shape)
        assert shaped is not None
        return shaped

    def added(self, node: Node) -> bool:
        """Whether nothing reads the node but an addition."""
        users = self.users.get(node.name, [])
        return len(users) == 1 and users[0].op == "add" and node.name not in self.kept

    def total(self, terms: Sequence[Value | Node], node: Node) -> View:
        others = [term for term in terms if not isinstance(term, Node)]
        if others:
            work = functools.reduce(lambda a, b: Work("add", (a, b), node.shape, node.dtype, node.dtype), others)
            result = self.elementwise(work) if isinstance(work, Work) else self.copy(self.values_of(work, node))
            self.read(result)
        else:
            result = self.new(node.shape, node.dtype)
            self.fill(0.0, result)
        self.made.pop(result.buffer, None)
        for term in terms:
            if isinstance(term, Node) and term.op == "matmul":
                self.product(term, result, True)
            elif isinstance(term, Node):
                source = self.read(self.value(term.inputs[0]))
                place = part(result, term.attributes["before"], source.shape, (1,) * len(node.shape))
                self.elementwise(Work("add", (place, source), source.shape, node.dtype, node.dtype), into=place)
        return result

    def values_of(self, value: Value, node: Node) -> View:
        """A View that is a term by itself."""
        if isinstance(value, View):
            return value
        result = self.new(node.shape, node.dtype)
        assert isinstance(value, int | float)
        self.fill(value, result)
        return result

    def supports(self, node: Node) -> bool:
        given = self.given(node)
        to_integer = node.op == "cast" and node.dtype == "int64" and given in FLOATS  # undefined where it overflows
        return given in ELEMENTWISE[node.op].dtypes and not to_integer

    def given(self, node: Node) -> str:
        """The dtype of the last operand."""
        return self.types[node.inputs[-1]].dtype

    def joins(self, node: Node) -> bool:
        """Whether the only thing that reads the node is a statement or a reduction over the same domain."""
        users = self.users.get(node.name, [])
        if len(users) != 1 or node.name in self.graph.outputs:
            return False
        (user,) = users
        if user.op in ("sum", "max"):
            return node.dtype != "bool" and math.prod(node.shape) > 0
        return user.op in ELEMENTWISE and user.shape == node.shape and self.supports(user)

    def operands(self, node: Node) -> tuple[Value, ...]:
        return tuple(self.operand(name) for name in node.inputs)

    def operand(self, name: str) -> Value:
        if name in self.numbers:
            return self.numbers[name]
        if name in self.terms:
            return 0  # its terms stand for it
        return self.later.get(name) or self.values[name]

    def value(self, name: str) -> View:
        """Where the value is, or will be once it is stored."""
        if name in self.later:
            self.values[name] = self.elementwise(self.later.pop(name))
        return self.values[name]

    def elementwise(self, work: Work, into: View | None = None) -> View:
        """A statement in the best loop for it. Its value goes to `into`, or to a new buffer if anything reads it."""
        number = len(self.instructions) if into is not None else self.place(list(work.views()), work.shape)
        if number == len(self.instructions):
            self.push(Loop(work.shape))
        loop = self.instructions[number]
        assert isinstance(loop, Loop)
        operand = self.argument(loop, number, work)
        if into is not None:
            loop.stores.append((operand, into))
            self.ready[into.buffer] = number
            return into
        result = self.new(work.shape, work.dtype)
        self.made[result.buffer] = number, operand
        self.ready[result.buffer] = number
        return result

    def argument(self, loop: Loop, number: int, value: Value) -> Operand:
        """The value as an operand in the loop of this number."""
        if isinstance(value, Work):
            args = tuple(self.argument(loop, number, v) for v in value.operands)
            statement = Statement(value.op, args, value.dtype, value.given, tuple(sorted(value.attributes.items())))
            if statement not in loop.statements:
                loop.statements.append(statement)
            return "statement", loop.statements.index(statement)
        if not isinstance(value, View):
            return "constant", value
        made = self.made.get(value.buffer)
        if made is not None and made[0] == number and self.direct(value, loop):
            return made[1]
        return loop.load(self.read(value))

    def direct(self, view: View, loop: Loop) -> bool:
        return view.shape == loop.domain and self.whole(view)

    def place(self, views: Sequence[View], shape: Shape) -> int:
        """The first loop over `shape` that can take a statement of the views, or a new one."""
        first = 0
        for view in views:
            made = self.made.get(view.buffer)
            loop = self.instructions[made[0]] if made is not None else None
            inside = isinstance(loop, Loop) and self.direct(view, loop)
            first = max(first, self.after(view) + (0 if inside else 1))
        buffers = {view.buffer for view in views}
        for number in range(first, len(self.instructions)):
            loop = self.instructions[number]
            if isinstance(loop, Loop) and self.fits(loop, shape) and self.shares(loop, number, buffers):
                return number
        return len(self.instructions)

    def fits(self, loop: Loop, shape: Shape) -> bool:
        return loop.domain == shape and len(loop.statements) < MOST_STATEMENTS and len(loop.loads) < MOST_STREAMS

    def shares(self, loop: Loop, number: int, buffers: set[int]) -> bool:
        """Whether the loop makes or loads one of the buffers."""
        return any(self.made.get(b, (-1,))[0] == number for b in buffers) or any(v.buffer in buffers for v in loop.loads)

    # Views.

    def add_reshape(self, node: Node) -> None:
        source = self.value(node.inputs[0])
        view = reshaped(source, node.shape)
        if view is None:
            copied = self.copy(source)
            view = reshaped(copied, node.shape)
            assert view is not None
        self.values[node.name] = view
        self.number(node)

    def add_broadcast_to(self, node: Node) -> None:
        self.values[node.name] = broadcast(self.value(node.inputs[0]), node.shape)
        self.number(node)

    def number(self, node: Node) -> None:
        if node.inputs[0] in self.numbers:
            self.numbers[node.name] = self.numbers[node.inputs[0]]

    def add_transpose(self, node: Node) -> None:
        self.values[node.name] = transposed(self.value(node.inputs[0]), node.attributes["axes"])

    def add_slice(self, node: Node) -> None:
        starts, steps = (node.attributes[name] for name in ("starts", "steps"))
        self.values[node.name] = part(self.value(node.inputs[0]), starts, node.shape, steps)

    def add_windows(self, node: Node) -> None:
        source = self.value(node.inputs[0])
        padding = node.attributes["padding"]
        if any(padding):
            lead = (0,) * (len(source.shape) - 2)
            source = self.padded(source, (*lead, *padding[:2]), (*lead, *padding[2:]), 0.0)
        (dy, dx), (sy, sx) = node.attributes["dilation"], node.attributes["stride"]
        *lead_strides, row, column = source.strides
        strides = (*lead_strides, row * dy, column * dx, row * sy, column * sx)
        self.values[node.name] = View(source.buffer, source.offset, node.shape, strides)

    # Copies.

    def copy(self, view: View, into: View | None = None) -> View:
        into = into or self.new(view.shape, self.dtype(view))
        loop = Loop(view.shape)
        loop.stores.append((loop.load(self.read(view)), into))
        self.push(loop, into)
        return into

    def fill(self, value: float, into: View) -> None:
        loop = Loop(into.shape)
        loop.stores.append((("constant", value), into))
        self.push(loop, into)

    def padded(self, view: View, before: Shape, after: Shape, value: float) -> View:
        shape = tuple(a + n + b for a, n, b in zip(before, view.shape, after, strict=True))
        result = self.new(shape, self.dtype(view))
        self.fill(value, result)
        self.copy(view, part(result, before, view.shape, (1,) * len(shape)))
        return result

    def add_pad(self, node: Node) -> None:
        given = node.attributes
        value = float(Fraction(given["value"]))
        self.values[node.name] = self.padded(self.value(node.inputs[0]), given["before"], given["after"], value)

    def add_concat(self, node: Node) -> None:
        result, axis = self.new(node.shape, node.dtype), node.attributes["axis"]
        start = 0
        for name in node.inputs:
            view = self.value(name)
            starts = tuple(start if a == axis else 0 for a in range(len(node.shape)))
            self.copy(view, part(result, starts, view.shape, (1,) * len(node.shape)))
            start += view.shape[axis]
        self.values[node.name] = result

    def add_fold(self, node: Node) -> None:
        given, source = node.attributes, self.value(node.inputs[0])
        top, left, bottom, right = given["padding"]
        height, width = given["size"]
        total = self.new((*node.shape[:-2], top + height + bottom, left + width + right), node.dtype)
        self.fill(0.0, total)
        lead = len(node.shape) - 2
        rows, columns = source.shape[-2:]
        for i, j in np.ndindex(*given["kernel"]):
            tap = part(source, (*(0,) * lead, i, j, 0, 0), (*source.shape[:lead], 1, 1, rows, columns), (1,) * (lead + 4))
            tap = View(tap.buffer, tap.offset, (*source.shape[:lead], rows, columns), (*tap.strides[:lead], *tap.strides[-2:]))
            starts = (*(0,) * lead, i * given["dilation"][0], j * given["dilation"][1])
            place = part(total, starts, tap.shape, (*(1,) * lead, *given["stride"]))
            work = Work("add", (place, self.read(tap)), tap.shape, node.dtype, node.dtype)
            self.elementwise(work, into=place)
        self.values[node.name] = part(total, (*(0,) * lead, top, left), node.shape, (1,) * (lead + 2))

    # Reductions and products.

    def add_sum(self, node: Node) -> None:
        self.reduce(node)

    def add_max(self, node: Node) -> None:
        self.reduce(node)

    def reduce(self, node: Node) -> None:
        if node.inputs[0] in self.summed:
            self.values[node.name] = self.sum_of_products(self.summed.pop(node.inputs[0]), node)
            return
        type_, axes = self.types[node.inputs[0]], tuple(node.attributes["axes"])
        if type_.dtype == "bool" or math.prod(type_.shape) == 0:
            self.call(node)
            return
        (source,) = self.operands(node) if axes else (self.value(node.inputs[0]),)
        if not isinstance(source, View | Work):
            source = self.value(node.inputs[0])
        kept = self.reduction(node.op, source, axes, node.dtype)
        view = reshaped(kept, node.shape)
        assert view is not None
        self.values[node.name] = view

    def reduction(self, kind: str, source: View | Work, axes: tuple[int, ...], dtype: str) -> View:
        if isinstance(source, View) and not axes:
            return source
        views = list(source.views()) if isinstance(source, Work) else [source]
        number = self.place(views, source.shape)
        if number < len(self.instructions):
            loop = self.instructions[number]
            assert isinstance(loop, Loop)
            if loop.over not in ((), axes) and loop.reductions:
                number = len(self.instructions)
        if number == len(self.instructions):
            self.push(Loop(source.shape))
        loop = self.instructions[number]
        assert isinstance(loop, Loop)
        loop.over = axes
        shape = tuple(n for axis, n in enumerate(source.shape) if axis not in axes)
        result = self.new(shape, dtype)
        loop.reductions.append((kind, self.argument(loop, number, source), result))
        self.ready[result.buffer] = number
        return result

    def add_matmul(self, node: Node) -> None:
        (m, k), n = self.types[node.inputs[0]].shape[-2:], node.shape[-1]
        if min(m, k, n) == 0 or node.dtype not in FLOATS:
            self.call(node)
        elif self.large(node):
            self.values[node.name] = self.product(node, self.new(node.shape, node.dtype), False)
        else:
            left, right = self.factors(node)
            self.values[node.name] = self.small_product(left, right, node.dtype)

    def large(self, node: Node) -> bool:
        """Whether it goes to BLAS."""
        (m, k), n = self.types[node.inputs[0]].shape[-2:], node.shape[-1]
        return m * k * n > SMALL_PRODUCT and node.dtype in FLOATS

    def factors(self, node: Node) -> tuple[View, View]:
        left, right = (self.value(name) for name in node.inputs)
        lead = node.shape[:-2]
        return broadcast(left, (*lead, *left.shape[-2:])), broadcast(right, (*lead, *right.shape[-2:]))

    def product(self, node: Node, result: View, accumulate: bool) -> View:
        left, right = (self.read(self.matrix(view)) for view in self.factors(node))
        self.push(Product(left, right, result, accumulate), result)
        return result

    def small_product(self, left: View, right: View, dtype: str) -> View:
        """As a sum of products in a loop, along the axis in which `right` is contiguous."""
        *lead, m, k = left.shape
        n, axis = right.shape[-1], len(lead)
        if right.strides[-1] == 1 or n == 1 and right.strides[-2] != 1:
            domain, over = (*lead, m, k, n), axis + 1
            a = View(left.buffer, left.offset, domain, (*left.strides, 0))
            b = View(right.buffer, right.offset, domain, (*right.strides[:-2], 0, *right.strides[-2:]))
        else:
            domain, over = (*lead, m, n, k), axis + 2
            a = View(left.buffer, left.offset, domain, (*left.strides[:-1], 0, left.strides[-1]))
            b = View(right.buffer, right.offset, domain, (*right.strides[:-2], 0, right.strides[-1], right.strides[-2]))
        return self.reduction("sum", Work("mul", (a, b), domain, dtype, dtype), (over,), dtype)

    def matrix(self, view: View) -> View:
        """The view itself if BLAS can read its matrices, or a copy."""
        (m, n), (row, column) = view.shape[-2:], view.strides[-2:]
        by_rows = (column == 1 or n == 1) and (row >= n or m == 1)
        by_columns = (row == 1 or m == 1) and (column >= m or n == 1)
        if by_rows or by_columns:
            return view
        zero = [a for a in range(len(view.shape) - 2) if view.strides[a] == 0]
        narrow = replace(view, shape=tuple(1 if a in zero else n for a, n in enumerate(view.shape)))
        return broadcast(self.copy(narrow), view.shape)

    # Ops without machine code, and outputs.

    def call(self, node: Node) -> None:
        from tlverify.core.plan import function_of

        inputs = tuple(self.read(self.value(name)) for name in node.inputs)
        result = self.new(node.shape, node.dtype)
        self.push(Call(function_of(node), inputs, result), result)
        self.values[node.name] = result

    def output(self, name: str, place: int) -> View:
        view = self.value(name)
        buffer = self.buffers[view.buffer]
        if buffer.kind != "scratch" or not self.whole(view):
            view = self.copy(view)
            buffer = self.buffers[view.buffer]
        self.read(view)
        buffer.kind, buffer.place = "output", place
        return view
