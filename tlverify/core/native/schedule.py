"""What to do with which memory: a graph as loops, matrix products and calls over buffers.

Every value of the graph is a View of a buffer; reshape, transpose, broadcast_to, slice and windows only make another
view where they can. Elementwise nodes over the same domain join one Loop, so that what lies between them never goes to
memory unless something else reads it; a sum or maximum joins the loop of what it is over.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tlverify.graph import Shape


@dataclass
class Buffer:
    """Memory for `size` elements. `place`: an index of the inputs, constants or outputs, None for scratch memory."""

    dtype: str
    size: int
    kind: str = "scratch"
    place: int | None = None


Strides = tuple[Any, ...]
"""For each axis how many elements lie between neighbours, or a tuple with the offset of each index."""


@dataclass(frozen=True)
class View:
    """Elements of a buffer: `offset` and `strides` count elements; a stride may be 0. Only loops take offsets."""

    buffer: int
    offset: int
    shape: Shape
    strides: Strides


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
    without the axes in `over`), which are added to what the view has if `accumulate`."""

    domain: Shape
    loads: list[View] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    stores: list[tuple[Operand, View]] = field(default_factory=list)
    reductions: list[tuple[str, Operand, View]] = field(default_factory=list)
    over: tuple[int, ...] = ()
    accumulate: bool = False

    def add_sum(self, product: Work, result: View) -> None:
        """The sum over `over` of a product of two views."""
        operands = tuple(self.load(view) for view in product.views())
        self.statements.append(Statement(product.op, operands, product.dtype, product.given))
        self.reductions.append(("sum", ("statement", len(self.statements) - 1), result))

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
        for (_, outer), (n, inner) in itertools.pairwise(sources):
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
