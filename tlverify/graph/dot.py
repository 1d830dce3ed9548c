"""Graphviz text of a graph."""

from __future__ import annotations

import json

from tlverify.graph.graph import Graph


def to_dot(graph: Graph) -> str:
    """A `digraph` for Graphviz: inputs and parameters as boxes, nodes as ellipses, outputs doubled."""

    def quote(*lines: object) -> str:
        return json.dumps("\n".join(map(str, lines)))

    lines = ["digraph {", "  rankdir=TB; node [fontname=monospace];"]
    for value in graph.inputs:
        lines.append(f"  {quote(value.name)} [shape=box, label={quote(value.name, value.type)}];")
    for parameter in graph.parameters:
        label = quote(parameter.name, parameter.type)
        lines.append(f"  {quote(parameter.name)} [shape=box, style=dotted, label={label}];")
    for node in graph.nodes:
        rings = 2 if node.name in graph.outputs else 1
        label = quote(f"{node.name} = {node.op}", node.type)
        lines.append(f"  {quote(node.name)} [peripheries={rings}, label={label}];")
        lines.extend(f"  {quote(source)} -> {quote(node.name)};" for source in node.inputs)
    return "\n".join([*lines, "}"]) + "\n"
