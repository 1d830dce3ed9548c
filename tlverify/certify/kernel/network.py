"""The network under proof: the kernel's own reading of `NAME.graph.json` and `NAME.safetensors`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tlverify.certify.kernel.arithmetic import (
    COEFFICIENT_BITS,
    INTERVAL_BITS,
    Interval,
    Packed,
    Vector,
    decode,
    outward,
)
from tlverify.certify.kernel.errors import MAX_NODES, Malformed
from tlverify.certify.kernel.reader import fields, items, parse_json, parse_safetensors, shape_of, tagged

Shape = tuple[int, ...]
NAME = re.compile(r"[!-~]{1,200}")
STORED = {"float32": "F32", "float64": "F64"}


@dataclass(frozen=True)
class Node:
    """`name = op(inputs, attributes)`; inputs and parameters of the graph are nodes without inputs."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    shape: Shape
    dtype: str

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Matrix:
    """A stored matrix of shape (out, in) as integers with a shared exponent, packed for exact products."""

    rows: Sequence[Sequence[int]]
    exponent: int
    columns: int

    @cached_property
    def by_row(self) -> Packed:
        """combine(a) = a W, for a backward coefficient row `a`."""
        return Packed(self.rows, self.columns, COEFFICIENT_BITS + 1)

    @cached_property
    def by_column(self) -> Packed:
        """combine(x) = W x."""
        return Packed(list(zip(*self.rows, strict=True)), len(self.rows), INTERVAL_BITS + 2)

    @cached_property
    def magnitude_by_column(self) -> Packed:
        """combine(x) = |W| x."""
        absolute = [[abs(value) for value in column] for column in zip(*self.rows, strict=True)]
        return Packed(absolute, len(self.rows), INTERVAL_BITS + 2)


@dataclass(frozen=True)
class Network:
    """Nodes by name in an order of use after definition; `values` holds the parameters as exact integers."""

    digest: str
    nodes: Mapping[str, Node]
    values: Mapping[str, Vector]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    matrices: Mapping[str, Matrix]

    @cached_property
    def constants(self) -> Mapping[str, Interval]:
        """The parameters as intervals."""
        return {n: outward(v.integers, v.integers, v.exponent) for n, v in self.values.items()}


def read_network(graph: bytes, parameters: bytes, rules: Mapping[str, Any]) -> Network:
    """Read and check a graph: every name is bound once and used after it is bound, every op has a row in
    `rules` whose shape rule gives the declared shape. Malformed otherwise."""
    data = parse_json(graph, "graph")
    tagged(data, "graph", "tlverify.graph")
    _, _, inputs, declared, listed, outputs = fields(
        data, "graph", format=str, version=int, inputs=list, parameters=list, nodes=list, outputs=list
    )
    if len(inputs) + len(declared) + len(listed) > MAX_NODES:
        raise Malformed(f"graph: over the limit of {MAX_NODES} values")
    nodes: dict[str, Node] = {}
    for entry in inputs:
        name, shape, dtype = _leaf(entry, "input")
        _bind(nodes, Node(name, "input", (), {}, shape, dtype))
    tensors = parse_safetensors(parameters)
    values, hashes = {}, {}
    for entry in declared:
        name, shape, dtype = _leaf(entry, "parameter")
        tensor = tensors.pop(name, None)
        if tensor is None:
            raise Malformed(f"parameter {name[:80]!r}: not among the stored tensors")
        if (STORED[dtype], shape) != (tensor.dtype, tensor.shape):
            raise Malformed(f"parameter {name[:80]!r}: stored as {tensor.dtype}{list(tensor.shape)}")
        _bind(nodes, Node(name, "parameter", (), {}, shape, dtype))
        values[name] = decode(tensor.dtype, tensor.data, f"parameter {name[:80]!r}")
        hashes[name] = hashlib.sha256(tensor.data).hexdigest()
    for name in tensors:
        raise Malformed(f"stored tensor {name[:80]!r}: not declared by the graph")
    for entry in listed:
        _bind(nodes, _read_node(entry, nodes, rules))
    for name in items(outputs, str, "outputs"):
        if name not in nodes:
            raise Malformed(f"output {name[:80]!r}: not a value of the graph")
    data["parameters"].sort(key=lambda entry: entry["name"])
    data["nodes"].sort(key=lambda entry: entry["name"])
    text = json.dumps({"graph": data, "parameters": hashes}, sort_keys=True, separators=(",", ":"))
    return Network(
        digest=hashlib.sha256(text.encode("ascii")).hexdigest(),
        nodes=nodes,
        values=values,
        inputs=tuple(entry["name"] for entry in inputs),
        outputs=tuple(outputs),
        matrices={name: _matrix(values[name], nodes[name].shape) for name in _weights(nodes)},
    )


def _weights(nodes: Mapping[str, Node]) -> set[str]:
    return {node.inputs[1] for node in nodes.values() if node.op == "linear"}


def _matrix(value: Vector, shape: Shape) -> Matrix:
    count, columns = shape
    rows = [value.integers[row * columns : (row + 1) * columns] for row in range(count)]
    return Matrix(rows, value.exponent, columns)


def _bind(nodes: dict[str, Node], node: Node) -> None:
    if NAME.fullmatch(node.name) is None:
        raise Malformed(f"value {node.name[:80]!r}: a name is 1 to 200 printable ASCII characters, no space")
    if node.name in nodes:
        raise Malformed(f"value {node.name!r}: bound twice")
    nodes[node.name] = node


def _leaf(entry: Any, what: str) -> tuple[str, Shape, str]:
    name, shape, dtype = fields(entry, what, name=str, shape=list, dtype=str)
    if dtype not in STORED:
        raise Malformed(f"{what} {name[:80]!r}: dtype {dtype[:20]!r} is not one of {', '.join(STORED)}")
    return name, shape_of(shape, f"{what} {name[:80]!r}"), dtype


def _read_node(entry: Any, nodes: Mapping[str, Node], rules: Mapping[str, Any]) -> Node:
    name, op, inputs, attributes, shape, dtype = fields(
        entry, "node", name=str, op=str, inputs=list, attributes=dict, shape=list, dtype=str
    )
    what = f"node {name[:80]!r}"
    if op not in rules:
        raise Malformed(f"{what}: the kernel has no rule for op {op[:40]!r}")
    if dtype not in STORED:
        raise Malformed(f"{what}: dtype {dtype[:20]!r} is not one of {', '.join(STORED)}")
    for source in items(inputs, str, what):
        if source not in nodes:
            raise Malformed(f"{what}: uses {source[:80]!r} before it is bound")
        if nodes[source].dtype != dtype:
            raise Malformed(f"{what}: is {dtype}, but its input {source[:80]!r} is {nodes[source].dtype}")
    node = Node(name, op, tuple(inputs), attributes, shape_of(shape, what), dtype)
    derived = rules[op].shape(node, [nodes[source] for source in inputs])
    if derived != node.shape:
        raise Malformed(f"{what}: declared shape {list(node.shape)}, its op gives {list(derived)}")
    return node
