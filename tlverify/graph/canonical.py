"""Canonical JSON, and the digest that names a graph.

Canonical JSON has sorted keys, no insignificant whitespace, ASCII, and only strings, integers, lists and
objects: never a float, true, false or null. Two equal values have equal bytes.

The digest of a graph is sha256 over the canonical JSON of
`{"graph": structure, "parameters": {name: sha256 of its little-endian C-order bytes}}`, where the structure
lists parameters and nodes by name. It depends neither on the order of nodes in a file nor on the memory
layout of arrays.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tlverify.graph.errors import GraphError
from tlverify.graph.graph import Graph
from tlverify.graph.ops import Attribute

FORMAT, VERSION = "tlverify.graph", 1


def canonical_json(value: Any) -> bytes:
    """The canonical bytes of a JSON value made of strings, integers, lists and objects."""
    _check(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def structure(graph: Graph) -> dict[str, Any]:
    """The graph as JSON data, without the bytes of its parameters."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "inputs": [{"name": v.name, "shape": list(v.shape), "dtype": v.dtype} for v in graph.inputs],
        "parameters": [
            {"name": p.name, "shape": list(p.shape), "dtype": p.dtype}
            for p in sorted(graph.parameters, key=lambda p: p.name)
        ],
        "nodes": [
            {
                "name": n.name,
                "op": n.op,
                "inputs": list(n.inputs),
                "attributes": {key: _plain(value) for key, value in n.attributes.items()},
                "shape": list(n.shape),
                "dtype": n.dtype,
            }
            for n in graph.nodes
        ],
        "outputs": list(graph.outputs),
    }


def digest(graph: Graph) -> str:
    """Hexadecimal sha256 that names the graph and its parameter values."""
    data = structure(graph)
    data["nodes"].sort(key=lambda node: node["name"])
    hashes = {p.name: hashlib.sha256(p.data.tobytes()).hexdigest() for p in graph.parameters}
    return hashlib.sha256(canonical_json({"graph": data, "parameters": hashes})).hexdigest()


def _plain(value: Attribute) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _check(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise GraphError(f"canonical JSON: expected string keys, found {key!r}")
            _check(item)
    elif isinstance(value, list):
        for item in value:
            _check(item)
    elif type(value) not in (str, int):
        raise GraphError(f"canonical JSON holds strings and integers, found {value!r}")
