"""The elementwise work of an optimizer over all parameters at once.

An optimizer does the same to every parameter. Where the parameters lie behind one another, and so do the trees that the
optimizer keeps, a chain of steps for each parameter is one chain over all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tlverify.core.ops.forward import FORWARD
from tlverify.graph import Graph, Node, Type
from tlverify.train.packed import Layout
from tlverify.train.whole import AFTER, BEFORE, WholeStep

Lanes = tuple[str, ...]
"""A value for each parameter."""


@dataclass
class Chain:
    """Nodes over flat arrays of `size` elements, of which parameter i has those from `starts[i]` on.

    A flat array of the old or new state begins at a byte that `old` and `new` tell; `outer` are flat arrays that are
    put together from a value for each parameter, such as its gradient; `numbers` are single numbers. What `merged`
    names of the graph need not run.
    """

    dtype: str
    size: int
    starts: tuple[int, ...]
    nodes: list[Node] = field(default_factory=list)
    old: dict[str, int] = field(default_factory=dict)
    new: list[tuple[str, int]] = field(default_factory=list)
    outer: dict[str, Lanes] = field(default_factory=dict)
    numbers: set[str] = field(default_factory=set)
    merged: set[str] = field(default_factory=set)

    @property
    def done(self) -> set[int]:
        """Bytes of the new state at which an array begins that the chain makes."""
        width = np.dtype(self.dtype).itemsize
        return {offset + start * width for _, offset in self.new for start in self.starts}


def chain_of(whole: WholeStep, graph: Graph, layout: Layout, count: int) -> Chain | None:
    """That of a graph with the step's inputs and outputs, whose state begins with `count` parameters; None if nothing
    is done to all of them alike."""
    leaves = [leaf for leaf in layout.leaves if leaf is not None]
    if count < 2 or len({type_.dtype for _, type_ in leaves[:count]}) != 1:
        return None
    apart: set[str] = set()
    while True:
        search = _Search(whole, graph, leaves, count, apart)
        chain = search.chain
        kept = {name for name, place in zip(graph.outputs, whole.outputs, strict=True) if place not in search.places}
        outside = kept.union(*(node.inputs for node in graph.nodes if node.name not in chain.merged))
        if chain.merged.isdisjoint(outside):
            return chain if chain.new else None
        apart |= chain.merged & outside


class _Search:
    """What makes the new state, as far back as it is made alike for all parameters. Values that are `apart` are read
    elsewhere."""

    def __init__(self, whole: WholeStep, graph: Graph, leaves: Sequence[tuple[int, Type]], count: int, apart: set[str]):
        self.apart, self.types = apart, graph.types
        self.nodes = {node.name: node for node in graph.nodes}
        names = [value.name for value in graph.inputs]
        self.old = {n: offset for n, (piece, offset) in zip(names, whole.inputs, strict=True) if piece == BEFORE}
        first, self.lanes = leaves[0][0], [type_ for _, type_ in leaves[:count]]
        self.steps = [offset - first for offset, _ in leaves[:count]]
        dtype = self.lanes[0].dtype
        starts = tuple(step // np.dtype(dtype).itemsize for step in self.steps)
        self.chain = Chain(dtype, starts[-1] + math.prod(self.lanes[-1].shape), starts)
        self.known: dict[Lanes, str] = {}
        self.places: set[tuple[int, int]] = set()
        made = {place: name for name, place in zip(graph.outputs, whole.outputs, strict=True)}
        number = 0
        while number + count <= len(leaves):
            group = leaves[number : number + count]
            if self.alike(group):
                self.root(group[0][0], tuple(made[AFTER, offset] for offset, _ in group))
            number += count if self.alike(group) else 1

    def alike(self, group: Sequence[tuple[int, Type]]) -> bool:
        """Whether these lie as the parameters do."""
        steps = [offset - group[0][0] for offset, _ in group]
        return steps == self.steps and [type_ for _, type_ in group] == self.lanes

    def root(self, offset: int, lanes: Lanes) -> None:
        if self.mergeable(lanes) or self.state(lanes) is not None:
            self.chain.new.append((self.value(lanes), offset))
            self.places.update((AFTER, offset + step) for step in self.steps)

    def mergeable(self, lanes: Lanes) -> bool:
        """Whether these are one elementwise op with the same attributes."""
        if not self.apart.isdisjoint(lanes) or not all(name in self.nodes for name in lanes):
            return False
        nodes = [self.nodes[name] for name in lanes]
        first = nodes[0]
        return (
            elementwise(first.op)
            and all(node.op == first.op and node.attributes == first.attributes for node in nodes)
            and all(node.type.shape == lane.shape for node, lane in zip(nodes, self.lanes, strict=True))
            and all(self.fits(column) for column in zip(*(node.inputs for node in nodes), strict=True))
        )

    def fits(self, lanes: Lanes) -> bool:
        """Whether the values are one number, or have the shapes of the parameters."""
        return self.number(lanes) is not None or [self.types[name].shape for name in lanes] == [
            lane.shape for lane in self.lanes
        ]

    def number(self, lanes: Lanes) -> str | None:
        """The single number that all lanes are, repeated or not."""
        sources = set()
        for name in lanes:
            node = self.nodes.get(name)
            sources.add(node.inputs[0] if node is not None and node.op == "broadcast_to" else name)
        (name, *others) = sources
        return name if not others and math.prod(self.types[name].shape) == 1 else None

    def state(self, lanes: Lanes) -> int | None:
        """Where in the old state these lie as the parameters do."""
        offsets = [self.old.get(name) for name in lanes]
        first = offsets[0]
        if first is None or offsets != [first + step for step in self.steps]:
            return None
        return first

    def value(self, lanes: Lanes) -> str:
        """The name of a flat array, or of a number."""
        if lanes in self.known:
            return self.known[lanes]
        chain = self.chain
        if (number := self.number(lanes)) is not None:
            chain.numbers.add(number)
            self.known[lanes] = number
        elif (offset := self.state(lanes)) is not None:
            name = self.known[lanes] = f"old.{offset}"
            chain.old[name] = offset
        elif self.mergeable(lanes):
            nodes = [self.nodes[name] for name in lanes]
            inputs = tuple(self.value(column) for column in zip(*(node.inputs for node in nodes), strict=True))
            name = self.known[lanes] = f"flat.{len(self.known)}"
            first = nodes[0]
            chain.nodes.append(Node(name, first.op, inputs, (chain.size,), first.dtype, first.attributes))
            chain.merged.update(lanes)
        else:
            name = self.known[lanes] = f"outer.{len(chain.outer)}"
            chain.outer[name] = lanes
        return self.known[lanes]


def elementwise(op: str) -> bool:
    """Whether an element of its value depends on the elements there, which may be single numbers."""
    return isinstance(FORWARD[op], np.ufunc) or op in ("clamp", "leaky_relu", "relu", "scale", "where")
