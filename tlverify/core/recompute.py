"""`checkpoint`: a derivative computes the inside of a function anew instead of keeping it.

The nodes of such a region have names that begin with `checkpoint_k.`, k counting the regions of a trace. The
graph and its values are otherwise those of the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tlverify.core import pytree
from tlverify.core.ops.apply import Value, apply, trace_of
from tlverify.graph import Graph, Node

PREFIX = "checkpoint_"


def checkpoint(fn: Callable[..., Any]) -> Callable[..., Any]:
    """`fn` with less memory for its derivative: what it computes is computed a second time on the way back.

    Only the first derivative saves memory; those of the derivative keep all values. On arrays it is `fn`.
    """

    def wrapped(*args: Any) -> Any:
        trace = trace_of(*pytree.flatten(args)[0])
        if trace is None or trace.scope:
            # A region inside a region belongs to the outer one.
            return fn(*args)
        with trace.region(PREFIX):
            return fn(*args)

    return wrapped


def region_of(node: Node) -> str:
    """The name of the region that the node lies in, empty outside of all."""
    head, dot, _ = node.name.partition(".")
    return head if dot and head.startswith(PREFIX) else ""


def computed_again(graph: Graph, values: Mapping[str, Value], region: str) -> dict[str, Value]:
    """All values of the region, from the values outside that it uses."""
    again = dict(values)
    for node in graph.nodes:
        if region_of(node) == region:
            again[node.name] = apply(node.op, *(again[name] for name in node.inputs), **node.attributes)
    return again
