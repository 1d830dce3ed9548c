"""What the rules of the export write into: nodes and constants of an ONNX model under construction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tlverify.graph import Array, Graph, Node, Shape, Type

if TYPE_CHECKING:
    import onnx

ELEMENTS = {"float32": 1, "int64": 7, "bool": 9, "float64": 11}


class Writer:
    """Collects nodes and constants. Names of the graph stay; others get a number after `#`."""

    def __init__(self, graph: Graph) -> None:
        self.types: Mapping[str, Type] = graph.types
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._taken = set(self.types)

    def emit(self, op: str, *inputs: str, name: str, unused: str | None = None, **attributes: Any) -> str:
        """A node of the model whose result has this name; `unused` names a result before it."""
        from onnx import helper

        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, list(inputs), [*filter(None, [unused]), name], name=name, **given))
        return name

    def part(self, node: Node) -> str:
        """A new name for a part of a node."""
        return self.fresh(node.name)

    def fresh(self, stem: str) -> str:
        """A new name."""
        count = 0
        while f"{stem}#{count}" in self._taken:
            count += 1
        name = f"{stem}#{count}"
        self._taken.add(name)
        return name

    def constant(self, node: Node, array: Array) -> str:
        """A constant that belongs to a node."""
        name = self.part(node)
        self.store(name, array)
        return name

    def store(self, name: str, array: Array) -> None:
        """A constant under this name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))

    def integers(self, node: Node, values: Sequence[int]) -> str:
        """A constant list of integers."""
        return self.constant(node, np.array(values, np.int64).reshape(len(values)))

    def number(self, node: Node, value: float, shape: Shape = ()) -> str:
        """A constant of the node's dtype."""
        return self.constant(node, np.full(shape, value, node.dtype))

    def reshape(self, node: Node, value: str, shape: Shape, name: str | None = None) -> str:
        """The value in another shape, under a new name unless one is given."""
        target = self.integers(node, shape)
        allow = 1 if 0 in shape else None
        return self.emit("Reshape", value, target, name=name or self.part(node), allowzero=allow)

    def as_rank(self, node: Node, value: str, shape: Shape, rank: int) -> str:
        """A value of this shape with its leading axes joined or added, so that it has `rank` axes."""
        if len(shape) == rank:
            return value
        kept = shape[len(shape) - rank + 1 :]
        lead = (1,) * (rank - 1 - len(kept))
        return self.reshape(node, value, (math.prod(shape[: len(shape) - len(kept)]), *lead, *kept))
