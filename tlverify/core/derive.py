"""Derivatives of graphs: a backward and a forward pass over the nodes, written with the public functions.

On arrays the passes compute; on Tensors they add the derivative to the graph being traced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value
from tlverify.core.ops.jvp import JVP
from tlverify.core.ops.vjp import VJP, Row, rules_of
from tlverify.core.recompute import computed_again, region_of
from tlverify.core.tensor import Trace
from tlverify.core.trace import evaluate
from tlverify.graph import FLOATS, Graph, GraphError, Node

Rules = Mapping[str, Row]


def vjp_graph(graph: Graph, wrt: Sequence[str]) -> Graph:
    """The graph of the reverse derivative.

    Its inputs are those of `graph` and then `cotangent.NAME` for every output NAME; its outputs are the cotangents
    of the inputs or parameters in `wrt`, in that order.
    """
    types = graph.types
    known = [value.name for value in graph.values if not isinstance(value, Node)]
    unknown = sorted(set(wrt) - set(known))
    if unknown:
        raise GraphError(f"wrt {unknown[0]!r}: expected inputs or parameters, {', '.join(known)}")
    outer = Trace()
    values = evaluate_in(outer, graph)
    cotangents = []
    for name in graph.outputs:
        label = f"cotangent.{name}"
        while label in outer:
            label = f"cotangent.{label}"
        cotangents.append(outer.add_input(label, types[name]))
    results = backward(graph, values, cotangents, wrt)
    return outer.build(*(outer.lift(result).name for result in results))


def backward(
    graph: Graph, values: Mapping[str, Value], cotangents: Sequence[Value | None], wrt: Sequence[str]
) -> list[Value]:
    """Cotangents of the values `wrt`, from those of the outputs (None is 0) and all values by name."""
    active = _active(graph, wrt, VJP)
    sums: dict[str, Value] = {}

    def accumulate(name: str, cotangent: Value) -> None:
        sums[name] = f.add(sums[name], cotangent) if name in sums else cotangent

    for name, cotangent in zip(graph.outputs, cotangents, strict=True):
        if name in active and cotangent is not None:
            accumulate(name, cotangent)
    region, outside = "", values
    for node in reversed(graph.nodes):
        if node.name not in active or node.name not in sums:
            continue
        if region_of(node) != region:
            region = region_of(node)
            values = computed_again(graph, outside, region) if region else outside
        given = sums[node.name] if node.name in wrt else sums.pop(node.name)
        inputs = [values[name] for name in node.inputs]
        for name, rule in zip(node.inputs, rules_of(VJP[node.op], len(inputs)), strict=True):
            if rule is not None and name in active:
                accumulate(name, rule(given, values[node.name], *inputs, **node.attributes))
    return [sums[name] if name in sums else f.zeros_like(outside[name]) for name in wrt]


def forward(graph: Graph, values: Mapping[str, Value], tangents: Mapping[str, Value]) -> list[Value]:
    """Tangents of the outputs, from those of some values and every value of the graph by name."""
    active = _active(graph, list(tangents), JVP)
    sums = dict(tangents)
    for node in graph.nodes:
        if node.name not in active:
            continue
        inputs = [values[name] for name in node.inputs]
        for name, rule in zip(node.inputs, rules_of(JVP[node.op], len(inputs)), strict=True):
            if rule is not None and name in active:
                part = rule(sums[name], values[node.name], *inputs, **node.attributes)
                sums[node.name] = f.add(sums[node.name], part) if node.name in sums else part
    return [sums[name] if name in sums else f.zeros_like(values[name]) for name in graph.outputs]


def _active(graph: Graph, wrt: Sequence[str], rules: Rules) -> set[str]:
    """Float values that depend on `wrt` through derivatives that are not 0 everywhere."""
    types = graph.types
    active = {name for name in wrt if types[name].dtype in FLOATS}

    def depends(node: Node) -> bool:
        if node.dtype not in FLOATS:
            return False
        if active.isdisjoint(node.inputs):
            return False
        rows = zip(node.inputs, rules_of(rules[node.op], len(node.inputs)), strict=True)
        return any(rule is not None and name in active for name, rule in rows)

    for node in graph.nodes:
        if depends(node):
            active.add(node.name)
    return active


def evaluate_in(outer: Trace, graph: Graph) -> dict[str, Value]:
    return evaluate(graph, [outer.add_input(value.name, value.type) for value in graph.inputs], outer)
