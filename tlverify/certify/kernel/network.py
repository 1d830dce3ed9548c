"""The kernel's own reading of `NAME.graph.json` and `NAME.safetensors` into a Program."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from tlverify.certify.kernel.arithmetic import Vector, decode
from tlverify.certify.kernel.contract import Contract, representable
from tlverify.certify.kernel.errors import MAX_NODES, MAX_PROGRAM_ENTRIES, MAX_RANK, Malformed
from tlverify.certify.kernel.lowering import Lowering, Node
from tlverify.certify.kernel.program import Program
from tlverify.certify.kernel.reader import fields, items, parse_json, parse_safetensors, rational, shape_of, tagged
from tlverify.certify.kernel.rules import RULES

NAME = re.compile(r"[!-\"$-~]{1,200}")  # printable ASCII but for space and #, which names parts of an op
STORED = {"float32": "F32", "float64": "F64"}


def read_program(graph: bytes, parameters: bytes, contract: Contract | None = None) -> Program:
    """Read and check a graph, and lower it: every name is bound once and used after it is bound, and every op has a
    row in RULES whose shape rule gives the declared shape. Malformed otherwise.

    Its values are those of real arithmetic, or with a contract those of the executions in float32 that keep it.
    """
    data = parse_json(graph, "graph")
    tagged(data, "graph", "tlverify.graph")
    _, _, inputs, declared, listed, outputs = fields(
        data, "graph", format=str, version=int, inputs=list, parameters=list, nodes=list, outputs=list
    )
    if len(inputs) + len(declared) + len(listed) > MAX_NODES:
        raise Malformed(f"graph: over the limit of {MAX_NODES} values")
    nodes: dict[str, Node] = {}
    for entry in inputs:
        _bind(nodes, _leaf(entry, "input"))
    stored, hashes = _read_parameters(declared, parameters, nodes)
    for entry in listed:
        _bind(nodes, _read_node(entry, nodes))
    for name in items(outputs, str, "outputs"):
        if name not in nodes:
            raise Malformed(f"output {name[:80]!r}: not a value of the graph")
    if sum(node.size for node in nodes.values() if node.op != "parameter") > MAX_PROGRAM_ENTRIES:
        raise Malformed(f"graph: its values are over the limit of {MAX_PROGRAM_ENTRIES} entries")
    lowering = Lowering(nodes, stored, contract)
    for node in nodes.values():
        if contract is not None:
            _check_float32(node)
        if node.op == "input":
            lowering.input(node)
        elif node.op in RULES:
            RULES[node.op].lower(node, lowering)
    for name in outputs:
        lowering.source(name)
    data["parameters"].sort(key=lambda entry: entry["name"])
    data["nodes"].sort(key=lambda entry: entry["name"])
    text = json.dumps({"graph": data, "parameters": hashes}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    return Program(digest, lowering.values, tuple(entry["name"] for entry in inputs), tuple(outputs), contract)


def _check_float32(node: Node) -> None:
    """What a float32 execution does with the node is known."""
    if node.dtype != "float32":
        raise Malformed(f"value {node.name!r}: is {node.dtype}; claims about float32 need a graph of float32 values")
    for key, kind in RULES[node.op].attributes.items() if node.op in RULES else ():
        if kind is str and not representable(rational(node.attributes[key], f"node {node.name!r}: {key}")):
            raise Malformed(f"node {node.name!r}: {key} {node.attributes[key][:40]} is not a float32 number")


def _read_parameters(
    declared: list[Any], raw: bytes, nodes: dict[str, Node]
) -> tuple[dict[str, Vector], dict[str, str]]:
    tensors = parse_safetensors(raw)
    values, hashes = {}, {}
    for entry in declared:
        node = _leaf(entry, "parameter")
        tensor = tensors.pop(node.name, None)
        if tensor is None:
            raise Malformed(f"parameter {node.name!r}: not among the stored tensors")
        if (STORED[node.dtype], node.shape) != (tensor.dtype, tensor.shape):
            raise Malformed(f"parameter {node.name!r}: stored as {tensor.dtype}{list(tensor.shape)}")
        _bind(nodes, node)
        values[node.name] = decode(tensor.dtype, tensor.data, f"parameter {node.name!r}")
        hashes[node.name] = hashlib.sha256(tensor.data).hexdigest()
    for name in tensors:
        raise Malformed(f"stored tensor {name[:80]!r}: not declared by the graph")
    return values, hashes


def _bind(nodes: dict[str, Node], node: Node) -> None:
    if node.name in nodes:
        raise Malformed(f"value {node.name!r}: bound twice")
    nodes[node.name] = node


def _leaf(entry: Any, what: str) -> Node:
    name, shape, dtype = fields(entry, what, name=str, shape=list, dtype=str)
    _check_name(name, dtype)
    return Node(name, what, (), {}, shape_of(shape, f"{what} {name!r}"), dtype)


def _check_name(name: str, dtype: str) -> None:
    if NAME.fullmatch(name) is None:
        raise Malformed(f"value {name[:80]!r}: a name is 1 to 200 printable ASCII characters without space and #")
    if dtype not in STORED:
        raise Malformed(f"value {name!r}: dtype {dtype[:20]!r} is not one of {', '.join(STORED)}")


def _read_node(entry: Any, nodes: Mapping[str, Node]) -> Node:
    name, op, inputs, attributes, shape, dtype = fields(
        entry, "node", name=str, op=str, inputs=list, attributes=dict, shape=list, dtype=str
    )
    _check_name(name, dtype)
    if op not in RULES:
        raise Malformed(f"node {name!r}: the kernel has no rule for op {op[:40]!r}")
    for source in items(inputs, str, f"node {name!r}"):
        if source not in nodes:
            raise Malformed(f"node {name!r}: uses {source[:80]!r} before it is bound")
        if nodes[source].dtype != dtype:
            raise Malformed(f"node {name!r}: is {dtype}, but its input {source!r} is {nodes[source].dtype}")
    node = Node(name, op, tuple(inputs), attributes, shape_of(shape, f"node {name!r}"), dtype)
    rule, sources = RULES[op], [nodes[source] for source in inputs]
    if set(attributes) != set(rule.attributes):
        raise Malformed(f"node {name!r}: {op} has the attributes {sorted(rule.attributes)}")
    for key, kind in rule.attributes.items():
        if type(attributes[key]) is not kind:
            raise Malformed(f"node {name!r}: attribute {key!r} is not {kind.__name__}")
        if kind is list and len(items(attributes[key], int, f"node {name!r}")) > MAX_RANK:
            raise Malformed(f"node {name!r}: attribute {key!r} is out of range: over {MAX_RANK} entries")
    if len(sources) != rule.arity and not (rule.arity == 0 and sources):
        raise Malformed(f"node {name!r}: {op} takes {rule.arity or 'one or more'} inputs, found {len(sources)}")
    derived = rule.shape(node, sources)
    if derived != node.shape:
        raise Malformed(f"node {name!r}: declared shape {list(node.shape)}, its op gives {list(derived or ())}")
    return node
