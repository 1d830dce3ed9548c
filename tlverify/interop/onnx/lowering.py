"""What the rules of the import build with: values, and a graph under construction that folds constants.

A value is a constant array or a node of the graph. Integers that say shapes and places are constants and never reach
the graph. Folding is exact: arrays are moved, compared or negated; sums and products count only if nothing is rounded.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core.ops.forward import FORWARD
from tlverify.graph import FLOATS, Array, Attribute, Graph, GraphBuilder, Input, Node, Parameter, Shape, Type, infer
from tlverify.interop.onnx.errors import MAX_ELEMENTS, OnnxError

MAX_CONSTANTS = 1 << 29
MAX_NAME = 200
_EXACT = frozenset(
    [
        "abs",
        "broadcast_to",
        "concat",
        "detach",
        "equal",
        "greater",
        "max",
        "maximum",
        "minimum",
        "neg",
        "pad",
        "relu",
        "reshape",
        "sign",
        "slice",
        "transpose",
        "where",
    ]
)
_EXACT_ON_INTEGERS = frozenset(("add", "mul", "sub", "sum"))
_UNPRINTABLE = re.compile(r"[^!-~]|#")


@dataclass(frozen=True, eq=False)
class Constant:
    """An array known when the model is read; `name` is the one that it had in the model."""

    name: str
    data: Array

    @property
    def type(self) -> Type:
        return Type(self.data.shape, self.data.dtype.name)


@dataclass(frozen=True)
class Computed:
    """An input or a node of the graph under construction."""

    name: str
    type: Type


@dataclass(frozen=True, eq=False)
class Pending:
    """A product that waits for its bias, so that MatMul and Add become one `linear`.

    `finish(bias)` makes the node for a bias (channels,) along `axis` of the result, which counts from the end.
    """

    type: Type
    axis: int
    finish: Callable[[Constant | None], Value]


Value = Constant | Computed
Given = Value | Pending


class Lowering:
    """A graph under construction. Nodes have numbers until `build`, which gives them the names of the model."""

    def __init__(self) -> None:
        self._builder = GraphBuilder()
        self._claimed: set[str] = set()  # inputs and outputs, whose names stay
        self._parameters: dict[tuple[Any, ...], str] = {}
        self._spent = 0
        self._finished: dict[Pending, Value] = {}
        self._names: dict[str, str] = {}

    def input(self, name: str, type_: Type) -> Computed:
        """Add an input."""
        key = self._builder.input(f"input {len(self._claimed)}", type_)
        self._claimed.add(key)
        self._names[key] = name
        return Computed(key, type_)

    def emit(self, op: str, *values: Value, **attributes: Attribute) -> Value:
        """`op` of the values: a constant if all are constants and it is exact, else a node. ShapeError if unfit."""
        constants = [value for value in values if isinstance(value, Constant)]
        if len(constants) == len(values):
            result = infer(op, tuple(value.type for value in constants), attributes)
            self._spend(math.prod(result.shape))
            data = _fold(op, [value.data for value in constants], attributes)
            if data is not None:
                return Constant(constants[0].name, data)
        return self.node(op, *values, **attributes)

    def node(self, op: str, *values: Value, **attributes: Attribute) -> Computed:
        """`op` of the values as a node of the graph, whatever they are."""
        name = self._builder.node(op, *map(self._key, values), name=None, **attributes)
        type_ = self._builder.type_of(name)
        if math.prod(type_.shape) > MAX_ELEMENTS:
            raise OnnxError(f"a value {type_} is over the limit of {MAX_ELEMENTS} entries")
        return Computed(name, type_)

    def resolve(self, value: Given) -> Value:
        """The value itself; a pending product without a bias."""
        if not isinstance(value, Pending):
            return value
        if value not in self._finished:
            self._finished[value] = value.finish(None)
        return self._finished[value]

    def broadcast(self, value: Value, shape: Shape) -> Value:
        """The value repeated to `shape`; no node if it has that shape already."""
        return value if value.type.shape == shape else self.emit("broadcast_to", value, shape=shape)

    def together(self, *values: Value) -> list[Value]:
        """The values broadcast against each other."""
        shape = common_shape(*(value.type.shape for value in values))
        return [self.broadcast(value, shape) for value in values]

    def reshape(self, value: Value, shape: Sequence[int]) -> Value:
        """The value in `shape`; no node if it has that shape already."""
        return value if value.type.shape == tuple(shape) else self.emit("reshape", value, shape=tuple(shape))

    def named(self, value: Value, name: str) -> Value:
        """The value under its name in the model, unless a node has a name already."""
        if isinstance(value, Constant):
            return Constant(name, value.data)
        self._names.setdefault(value.name, name)
        return value

    def output(self, value: Value, name: str) -> str:
        """A node that carries the name of an output of the model."""
        if not isinstance(value, Computed) or value.name in self._claimed:
            value = self.node("reshape", value, shape=value.type.shape)
        self._claimed.add(value.name)
        self._names[value.name] = name
        return value.name

    def build(self, outputs: Sequence[str]) -> Graph:
        """The graph, with the names of the model as far as the format of the graph has them."""
        graph = self._builder.build(*outputs)
        inputs = [value.name for value in graph.inputs]
        claimed = [*inputs, *outputs, *(n.name for n in graph.nodes), *(p.name for p in graph.parameters)]
        order = [key for key in dict.fromkeys(claimed) if key in self._names]
        final: dict[str, str] = {}
        names = _Names()
        for key in [*order, *(key for key in dict.fromkeys(claimed) if key not in self._names)]:
            final[key] = names.take(_legal(self._names.get(key, key)))
        return Graph(
            tuple(Input(final[v.name], v.shape, v.dtype) for v in graph.inputs),
            tuple(Parameter(final[p.name], p.data) for p in graph.parameters),
            tuple(
                Node(final[n.name], n.op, tuple(final[s] for s in n.inputs), n.shape, n.dtype, n.attributes)
                for n in graph.nodes
            ),
            tuple(final[name] for name in outputs),
        )

    def _spend(self, size: int) -> None:
        """Count the entries of constants that are made."""
        self._spent += size
        if self._spent > MAX_CONSTANTS:
            raise OnnxError(f"constants are over the limit of {MAX_CONSTANTS} entries in all")

    def _key(self, value: Value) -> str:
        if isinstance(value, Computed):
            return value.name
        return self._parameter(value)

    def _parameter(self, constant: Constant) -> str:
        """The parameter that holds this very array; one for each array of a name."""
        data = constant.data
        if data.dtype.kind == "f" and not np.isfinite(data).all():
            raise OnnxError(f"constant {constant.name!r} holds a NaN or an infinity")
        content = hashlib.sha256(np.ascontiguousarray(data).data).digest()
        identity = (constant.name, data.shape, data.dtype.name, content)
        if identity not in self._parameters:
            self._spend(data.size)
            key = f"parameter {len(self._parameters)}"
            self._parameters[identity] = self._builder.parameter(data, key)
            self._names[key] = constant.name
        return self._parameters[identity]


def as_integers(value: Value, what: str) -> list[int]:
    """A constant of integers, flat; OnnxError if it is computed from the input."""
    if not isinstance(value, Constant):
        raise OnnxError(f"{what}: expected constants, found values that depend on the input")
    if value.data.dtype.name != "int64" or value.data.ndim > 1:
        raise OnnxError(f"{what}: expected a list of integers, found {value.type}")
    result: list[int] = value.data.ravel().tolist()
    return result


def axis_of(axis: int, rank: int) -> int:
    """An axis that may count from the end."""
    if not -rank <= axis < rank:
        raise OnnxError(f"axis: expected -{rank} to {rank - 1}, found {axis}")
    return axis % rank


def integers(values: Sequence[int], name: str = "shape") -> Constant:
    """A constant list of integers."""
    return Constant(name, np.array(values, np.int64).reshape(len(values)))


def common_shape(*shapes: Shape) -> Shape:
    """The shape that all broadcast to."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(str(list(shape)) for shape in shapes)
        raise OnnxError(f"shapes {found} do not broadcast together") from None


def _fold(op: str, arrays: Sequence[Array], attributes: Mapping[str, Attribute]) -> Array | None:
    """The result if it is exact."""
    with np.errstate(all="ignore"):
        if op in _EXACT or (op in _EXACT_ON_INTEGERS and arrays[0].dtype.name not in FLOATS):
            return np.asarray(FORWARD[op](*arrays, **attributes))
        if op not in ("add", "mul", "sub") or arrays[0].dtype != np.float32:
            return None
        # A product of two float32 is a float64; a sum is if no part of either number was lost.
        wide = [array.astype(np.float64) for array in arrays]
        result = FORWARD[op](*wide)
        if op != "mul":
            one, other = wide[0], wide[1] if op == "add" else -wide[1]
            back = result - one
            if not ((one - (result - back)) + (other - back) == 0).all():
                return None
        rounded = np.asarray(result, np.float32)
        return rounded if np.array_equal(rounded, result) else None


def _legal(name: str) -> str:
    """The name in printable ASCII without space and `#`, as the kernel has it."""
    text = _UNPRINTABLE.sub("_", name)[: MAX_NAME - 8] or "_"
    return "metadata" if text == "__metadata__" else text  # safetensors keeps that name for itself


class _Names:
    """Gives names out once; a name that is taken gets a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def take(self, name: str) -> str:
        result = name
        while result in self._taken:
            self._counts[name] = self._counts.get(name, 1) + 1
            result = f"{name}_{self._counts[name]}"
        self._taken.add(result)
        return result
