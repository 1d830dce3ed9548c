"""The graph: single-assignment nodes over named inputs and parameters. Frozen data, shared by training,
execution and certification."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from tlverify.graph.errors import GraphError, ShapeError
from tlverify.graph.ops import DTYPES, Attributes, Shape, Type, infer

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Input:
    """A value given at run time."""

    name: str
    shape: Shape
    dtype: str

    @property
    def type(self) -> Type:
        return Type(self.shape, self.dtype)


@dataclass(frozen=True, eq=False)
class Parameter:
    """A named constant array. `data` is contiguous, little-endian and read-only."""

    name: str
    data: Array

    def __post_init__(self) -> None:
        array = np.asarray(self.data)
        if array.dtype.name not in DTYPES:
            known = ", ".join(DTYPES)
            raise GraphError(f"parameter {self.name!r}: expected dtype {known}, found {array.dtype.name}")
        array = np.array(array, dtype=array.dtype.newbyteorder("<"), order="C", copy=True)
        array.setflags(write=False)
        object.__setattr__(self, "data", array)

    @property
    def shape(self) -> Shape:
        return self.data.shape

    @property
    def dtype(self) -> str:
        return self.data.dtype.name

    @property
    def type(self) -> Type:
        return Type(self.shape, self.dtype)


@dataclass(frozen=True)
class Node:
    """`name = op(inputs, attributes)` of the given shape and dtype."""

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: Shape
    dtype: str
    attributes: Attributes = field(default_factory=lambda: MappingProxyType({}))

    @property
    def type(self) -> Type:
        return Type(self.shape, self.dtype)


@dataclass(frozen=True, eq=False)
class Graph:
    """Inputs, parameters, nodes in an order of use after definition, and the names of the outputs.

    A graph is validated when it is made; `Graph(...)` raises GraphError naming the offending value.
    """

    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        validate(self)

    @property
    def values(self) -> tuple[Input | Parameter | Node, ...]:
        """Inputs, parameters and nodes."""
        return (*self.inputs, *self.parameters, *self.nodes)

    @property
    def types(self) -> dict[str, Type]:
        """Shape and dtype of every value by name."""
        return {value.name: value.type for value in self.values}

    @property
    def parameter_count(self) -> int:
        """Number of scalars in all parameters."""
        return sum(math.prod(parameter.shape) for parameter in self.parameters)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def validate(graph: Graph) -> None:
    """Every value is bound once, used after it is bound, and has the shape its op gives it."""
    bound: dict[str, Type] = {}
    for value in graph.values:
        if not value.name or value.name in bound:
            raise GraphError(f"value {value.name!r}: expected a new, non-empty name")
        if isinstance(value, Node):
            missing = [name for name in value.inputs if name not in bound]
            if missing:
                raise GraphError(f"node {value.name!r} uses {missing[0]!r} before it is bound")
            try:
                derived = infer(value.op, tuple(bound[name] for name in value.inputs), value.attributes)
            except ShapeError as error:
                raise ShapeError(f"node {value.name!r}: {error}") from None
            if derived != value.type:
                raise ShapeError(f"node {value.name!r}: declared {value.type}, its op gives {derived}")
        elif value.dtype not in DTYPES or min(value.shape, default=0) < 0:
            raise GraphError(f"value {value.name!r}: {value.type} is not a known dtype and shape")
        bound[value.name] = value.type
    unknown = [name for name in graph.outputs if name not in bound]
    if unknown or not graph.outputs:
        raise GraphError(f"outputs {list(graph.outputs)}: expected one or more bound names")


def _lines(graph: Graph) -> Iterator[str]:
    yield f"graph({', '.join(f'{v.name}: {v.type}' for v in graph.inputs)}) -> {', '.join(graph.outputs)}"
    yield from (f"  parameter {p.name}: {p.type}" for p in graph.parameters)
    for node in graph.nodes:
        attributes = "".join(f", {key}={value}" for key, value in sorted(node.attributes.items()))
        yield f"  {node.name}: {node.type} = {node.op}({', '.join(node.inputs)}{attributes})"
