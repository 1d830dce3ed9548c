"""Building a graph one node at a time."""

from __future__ import annotations

from types import MappingProxyType

from tlverify.graph.errors import GraphError
from tlverify.graph.graph import Array, Graph, Input, Node, Parameter
from tlverify.graph.ops import Attribute, Type, infer


class GraphBuilder:
    """Collects inputs, parameters and nodes; `build` freezes them into a Graph.

    Names are given or generated as `op_k`, counting per op, so equal programs get equal graphs.
    """

    def __init__(self) -> None:
        self._inputs: list[Input] = []
        self._parameters: list[Parameter] = []
        self._nodes: list[Node] = []
        self._types: dict[str, Type] = {}
        self._counts: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def type_of(self, name: str) -> Type:
        """Shape and dtype of a value added before."""
        return self._types[name]

    def input(self, name: str, type_: Type) -> str:
        """Add an input and return its name."""
        self._inputs.append(Input(self._bind(name, type_), type_.shape, type_.dtype))
        return name

    def parameter(self, data: Array, name: str | None = None) -> str:
        """Add a constant array and return its name."""
        parameter = Parameter(name or self._fresh("constant"), data)
        self._bind(parameter.name, parameter.type)
        self._parameters.append(parameter)
        return parameter.name

    def node(self, op: str, *inputs: str, name: str | None = None, **attributes: Attribute) -> str:
        """Add `op(inputs, attributes)` and return the name of its result; ShapeError if it does not fit."""
        result = infer(op, tuple(self._types[value] for value in inputs), attributes)
        name = self._bind(name or self._fresh(op), result)
        frozen = MappingProxyType(dict(attributes))
        self._nodes.append(Node(name, op, inputs, result.shape, result.dtype, frozen))
        return name

    def build(self, *outputs: str) -> Graph:
        """The graph that computes `outputs`. Nodes and parameters that no output needs are left out."""
        needed = set(outputs)
        for node in reversed(self._nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return Graph(
            tuple(self._inputs),
            tuple(p for p in self._parameters if p.name in needed),
            tuple(n for n in self._nodes if n.name in needed),
            outputs,
        )

    def _bind(self, name: str, type_: Type) -> str:
        if name in self._types:
            raise GraphError(f"value {name!r} is bound twice; choose another name")
        self._types[name] = type_
        return name

    def _fresh(self, stem: str) -> str:
        while True:
            count = self._counts.get(stem, 0)
            self._counts[stem] = count + 1
            if f"{stem}_{count}" not in self._types:
                return f"{stem}_{count}"
