"""From a graph to a schedule."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.core.native import convolution, products, winograd
from tlverify.core.native.functions import ELEMENTWISE, FLOATS
from tlverify.core.native.schedule import (
    Buffer,
    Call,
    Instruction,
    Loop,
    Operand,
    Schedule,
    Statement,
    Value,
    View,
    Work,
    broadcast,
    contiguous,
    part,
    reshaped,
    transposed,
)
from tlverify.core.plan import function_of
from tlverify.graph import Graph, Node, Shape

_LAZY = frozenset(("broadcast_to", "reshape", "slice", "transpose", "windows"))
"""Ops that make views, which are made when something asks for them."""

MOST_STATEMENTS = 48  # of a loop
MOST_STREAMS = 24  # views that a loop loads
SMALL_PRODUCT = 4096  # multiplications up to which a matrix product is a loop of its own


def convolutional(product: Node, patches: Node, fold: Node) -> bool:
    """Whether these make the derivative of a convolution by its input: (..., groups, depth, places) as windows."""
    *lead, groups, depth, places = product.shape
    channels, *window = patches.shape[-5:]
    same = tuple(lead) == patches.shape[:-5] and math.prod(window[2:]) == places and len(window) == 4
    return same and channels * math.prod(window[:2]) == groups * depth and channels % groups == 0


def attributes(node: Node) -> Mapping[str, Any]:
    """Those of the node, of types that its op says."""
    return node.attributes


def dense(view: View) -> bool:
    """Whether it has an element of its own for each index."""
    return all(s or n == 1 for n, s in zip(view.shape, view.strides, strict=True))


def plan(graph: Graph, all_products: bool = False, winograd: int = 0) -> Schedule:
    """The schedule of a graph that `rewrite` has been over, with the largest matrix products left to BLAS, or with all
    that are worth a call. With `winograd` shares, convolutions are made by Winograd's products where they can be."""
    return _Planner(graph, all_products, winograd).done()


class _Planner(products.Maker):
    def __init__(self, graph: Graph, all_products: bool, winograd: int) -> None:
        self.all_products, self.winograd = all_products, winograd
        self.graph, self.types, self.kept = graph, graph.types, set(graph.outputs)
        self.buffers: list[Buffer] = []
        self.instructions: list[Instruction] = []
        self.values: dict[str, View] = {}
        self.numbers: dict[str, int | float] = {}
        self.made: dict[int, tuple[int, Operand]] = {}  # buffer -> (instruction, statement) whose whole value it is
        self.ready: dict[int, int] = {}  # buffer -> the instruction after which it is filled
        self.constants: list[Any] = []
        self.stored: set[int] = set()  # buffers of `made` that a store fills
        # Nodes that are put by until something asks for them:
        self.pending: dict[str, Node] = {}  # views
        self.later: dict[str, Work] = {}  # statements that join the loop of what reads them
        self.terms: dict[str, list[Value | Node]] = {}  # sums, by terms, that are part of a larger sum
        self.summed: dict[str, Node] = {}  # products that are summed over their first axes
        self.folded: dict[str, Node] = {}  # by the windows they make: products that are derivatives of a convolution
        self.laid = {}  # planes of what a convolution is of
        self.copies: dict[View, View] = {}  # of right factors, with rows that lie behind one another
        self.makers = {node.name: node for node in graph.nodes}
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
        if node.op in _LAZY:
            self.pending[node.name] = node
            self.number(node)
            return
        if self.collected(node):
            return
        rule = getattr(self, f"add_{node.op}", None)
        if rule is not None:
            rule(node)
        elif node.op in ELEMENTWISE and self.supports(node):
            work = Work(node.op, self.operands(node), node.shape, node.dtype, self.given(node), dict(attributes(node)))
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
        zeros_around = node.op == "pad" and Fraction(attributes(node)["value"]) == 0
        if zeros_around or (node.op == "matmul" and self.large(node)):
            if self.added(node) and not self.beside_few(node):
                self.terms[node.name] = [node]
                return True
            if node.op == "matmul" and (patches := self.only_user(node, "reshape")) is not None:
                fold = self.only_user(patches, "fold")
                if fold is not None and convolutional(node, patches, fold):
                    self.folded[patches.name] = node
                    return True
            if node.op == "matmul" and self.all_summed(node):
                self.summed[node.name] = node
                return True
            return False
        if node.op != "add" or self.terms.keys().isdisjoint(node.inputs):
            return False
        terms: list[Value | Node] = []
        for name, operand in zip(node.inputs, self.operands(node), strict=True):
            terms += self.terms.pop(name) if name in self.terms else [operand]
        if self.added(node):
            self.terms[node.name] = terms
        else:
            self.values[node.name] = self.total(terms, node)
        return True

    def all_summed(self, node: Node) -> bool:
        """Whether nothing reads the product but a sum over the first of its leading axes."""
        user = self.only_user(node, "sum")
        axes = () if user is None else tuple(attributes(user)["axes"])
        return 0 < len(axes) <= len(node.shape) - 2 and axes == tuple(range(len(axes)))

    def sum_of_products(self, product: Node, node: Node) -> View:
        result = self.weight_gradient(product)
        if result is None:
            summed = len(attributes(node)["axes"])
            result = self.new(product.shape[summed:], node.dtype)
            self.fill(0.0, result)
            self.product(product, broadcast(result, product.shape), True)
        return self.shaped(result, node.shape)

    def only_user(self, node: Node, op: str) -> Node | None:
        """The node that alone reads this one, if it is of that op."""
        users = self.users.get(node.name, [])
        return users[0] if len(users) == 1 and users[0].op == op and node.name not in self.kept else None

    def beside_few(self, node: Node) -> bool:
        """Whether it is added to something that is repeated, as a bias is: better in the loop of what comes next."""
        others = [self.makers.get(name) for name in self.users[node.name][0].inputs if name != node.name]
        return any(other is not None and other.op == "broadcast_to" for other in others)

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
                place = part(result, attributes(term)["before"], source.shape, (1,) * len(node.shape))
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
        return self.later.get(name) or self.value(name)

    def value(self, name: str) -> View:
        """Where the value is, or will be once it is stored."""
        if name in self.pending:
            node = self.pending.pop(name)
            getattr(self, f"add_{node.op}")(node)
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
        buffers = {view.buffer for view in views if dense(view)}
        for number in range(first, len(self.instructions)):
            loop = self.instructions[number]
            if isinstance(loop, Loop) and self.fits(loop, shape) and self.shares(loop, number, buffers):
                return number
        return len(self.instructions)

    def fits(self, loop: Loop, shape: Shape) -> bool:
        return loop.domain == shape and len(loop.statements) < MOST_STATEMENTS and len(loop.loads) < MOST_STREAMS

    def shares(self, loop: Loop, number: int, buffers: set[int]) -> bool:
        """Whether the loop makes or loads one of the buffers."""
        loaded = any(view.buffer in buffers and dense(view) for view in loop.loads)
        return loaded or any(b in self.made and self.made[b][0] == number for b in buffers)

    # Views.

    def add_reshape(self, node: Node) -> None:
        source = self.value(node.inputs[0])
        view = reshaped(source, node.shape)
        if view is None:
            copied = self.copy(source)
            view = reshaped(copied, node.shape)
            assert view is not None
        self.values[node.name] = view

    def add_broadcast_to(self, node: Node) -> None:
        self.values[node.name] = broadcast(self.value(node.inputs[0]), node.shape)

    def number(self, node: Node) -> None:
        if node.op in ("broadcast_to", "reshape") and node.inputs[0] in self.numbers:
            self.numbers[node.name] = self.numbers[node.inputs[0]]

    def add_transpose(self, node: Node) -> None:
        self.values[node.name] = transposed(self.value(node.inputs[0]), attributes(node)["axes"])

    def add_slice(self, node: Node) -> None:
        starts, steps = (attributes(node)[name] for name in ("starts", "steps"))
        self.values[node.name] = part(self.value(node.inputs[0]), starts, node.shape, steps)

    def add_windows(self, node: Node) -> None:
        source = self.value(node.inputs[0])
        padding = attributes(node)["padding"]
        if any(padding):
            lead = (0,) * (len(source.shape) - 2)
            source = self.padded(source, (*lead, *padding[:2]), (*lead, *padding[2:]), 0.0)
        (dy, dx), (sy, sx) = attributes(node)["dilation"], attributes(node)["stride"]
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
        given = attributes(node)
        value = float(Fraction(given["value"]))
        self.values[node.name] = self.padded(self.value(node.inputs[0]), given["before"], given["after"], value)

    def add_concat(self, node: Node) -> None:
        result, axis = self.new(node.shape, node.dtype), attributes(node)["axis"]
        start = 0
        for name in node.inputs:
            view = self.value(name)
            starts = tuple(start if a == axis else 0 for a in range(len(node.shape)))
            self.copy(view, part(result, starts, view.shape, (1,) * len(node.shape)))
            start += view.shape[axis]
        self.values[node.name] = result

    def add_fold(self, node: Node) -> None:
        if node.inputs[0] in self.folded:
            self.values[node.name] = self.input_gradient(self.folded.pop(node.inputs[0]), node)
            return
        given, source = attributes(node), self.value(node.inputs[0])
        top, left, bottom, right = given["padding"]
        height, width = given["size"]
        total = self.new((*node.shape[:-2], top + height + bottom, left + width + right), node.dtype)
        self.fill(0.0, total)
        lead = len(node.shape) - 2
        rows, columns = source.shape[-2:]
        for i, j in np.ndindex(*given["kernel"]):
            at = source.offset + i * source.strides[lead] + j * source.strides[lead + 1]
            strides = (*source.strides[:lead], *source.strides[lead + 2 :])
            tap = View(source.buffer, at, (*source.shape[:lead], rows, columns), strides)
            starts = (*(0,) * lead, i * given["dilation"][0], j * given["dilation"][1])
            place = part(total, starts, tap.shape, (*(1,) * lead, *given["stride"]))
            work = Work("add", (place, self.read(tap)), tap.shape, node.dtype, node.dtype)
            self.elementwise(work, into=place)
        self.values[node.name] = part(total, (*(0,) * lead, top, left), node.shape, (1,) * (lead + 2))

    # Convolutions.

    def add_conv2d(self, node: Node) -> None:
        x, weight = (self.value(name) for name in node.inputs[:2])
        if not math.prod(node.shape) or not math.prod(x.shape) or node.dtype not in FLOATS:
            self.call(node)
            return
        images = self.shaped(x, (math.prod(x.shape[:-3]), *x.shape[-3:]))
        given = dict(attributes(node))
        groups = given.pop("groups")
        window = convolution.Window(weight.shape[2:], node.shape[-2:], **given)
        x, weight = self.read(images), self.read(weight)
        if self.winograd and groups == 1 and winograd.applies(weight, window, node.dtype):
            view = winograd.convolve(self, x, weight, window, self.winograd)
        else:
            view = convolution.convolve(self, x, weight, window, groups)
        result = self.shaped(view, node.shape)
        bias = broadcast(self.shaped(self.value(node.inputs[2]), (node.shape[-3], 1, 1)), node.shape)
        work = Work("add", (result, bias), node.shape, node.dtype, node.dtype)
        if self.joins(node):
            self.later[node.name] = work
        else:
            self.values[node.name] = self.elementwise(work)

    def shaped(self, view: View, shape: Shape) -> View:
        """Reshaped, after a copy if there is no other way."""
        return reshaped(view, shape) or reshaped(self.copy(view), shape)  # type: ignore[return-value]

    def input_gradient(self, product: Node, fold: Node) -> View:
        given = attributes(fold)
        weight, g = self.factors(product)
        n, places = math.prod(product.shape[:-3]), tuple(self.types[fold.inputs[0]].shape[-2:])
        groups, depth, filters = weight.shape[-3:]
        kernel = given["kernel"]
        weight = View(weight.buffer, weight.offset, weight.shape[-3:], weight.strides[-3:])
        weight = self.shaped(weight, (groups, depth // math.prod(kernel), *kernel, filters))
        g = self.shaped(g, (n, groups, filters, *places))
        window = convolution.Window(kernel, places, given["stride"], given["padding"], given["dilation"])
        weight, g = self.read(weight), self.read(g)
        images, taps, around = convolution.turned(weight, g, window, given["size"])
        if self.winograd and groups == 1 and winograd.applies(taps, around, product.dtype):
            found = winograd.convolve(self, images, taps, around, self.winograd)
        else:
            found = convolution.input_gradient(self, weight, g, window, given["size"])
        return self.shaped(found, fold.shape)

    def weight_gradient(self, product: Node) -> View | None:
        """Of g (images, groups, filters, places) and the windows of x, if it is such a product."""
        turned = self.makers.get(product.inputs[1])
        columns = self.makers.get(turned.inputs[0]) if turned is not None and turned.op == "transpose" else None
        patches = self.makers.get(columns.inputs[0]) if columns is not None and columns.op == "reshape" else None
        summed = attributes(self.users[product.name][0])["axes"]
        if patches is None or turned is None or patches.op != "windows" or len(product.shape) != 4 or summed != (0,):
            return None
        n, groups, filters, depth = product.shape
        kernel, places = attributes(patches)["kernel"], patches.shape[-2:]
        size = (n, groups, depth, math.prod(places))
        if attributes(turned)["axes"] != (0, 1, 3, 2) or self.types[turned.inputs[0]].shape != size:
            return None
        x = self.value(patches.inputs[0])
        images = self.shaped(x, (n, math.prod(x.shape[:-2]) // n, *x.shape[-2:]))
        if images.shape[1] * math.prod(kernel) != groups * depth:
            return None
        g = self.shaped(self.value(product.inputs[0]), (n, groups, filters, *places))
        given = {name: attributes(patches)[name] for name in ("stride", "padding", "dilation")}
        window = convolution.Window(kernel, places, **given)
        return convolution.weight_gradient(self, self.read(g), self.read(images), window, groups)

    # Reductions and products.

    def add_sum(self, node: Node) -> None:
        self.reduce(node)

    def add_max(self, node: Node) -> None:
        self.reduce(node)

    def reduce(self, node: Node) -> None:
        if node.inputs[0] in self.summed:
            self.values[node.name] = self.sum_of_products(self.summed.pop(node.inputs[0]), node)
            return
        type_, axes = self.types[node.inputs[0]], tuple(attributes(node)["axes"])
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

    # Ops without machine code, and outputs.

    def call(self, node: Node) -> None:
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
