"""Lowering: writing the ops of a graph as affine maps and ReLUs, one op after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlverify.certify.kernel.arithmetic import Interval, Vector
from tlverify.certify.kernel.contract import Contract
from tlverify.certify.kernel.errors import MAX_PROGRAM_ENTRIES, MAX_PROGRAM_PAIRS, Malformed
from tlverify.certify.kernel.program import Map, Rounding, Sparse, Value

Shape = tuple[int, ...]
Terms = list[tuple[str, Map]]


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


class Lowering:
    """The program so far. Parts of an op `NAME` that the graph does not name are `NAME#0`, `NAME#1`, ...

    With a `contract`, values are those of a float32 execution, each off by its `rounding` from its map.
    """

    def __init__(self, nodes: Mapping[str, Node], parameters: Mapping[str, Vector], contract: Contract | None) -> None:
        self.nodes = nodes
        self.parameters = parameters
        self.contract = contract
        self.values: dict[str, Value] = {}
        self._parts: dict[str, int] = {}
        self._entries = self._pairs = 0

    def input(self, node: Node) -> None:
        """An input of the graph."""
        self.values[node.name] = Value(node.name, node.size, "input")

    def source(self, name: str) -> str:
        """The name itself, after a parameter that is used as a value has become a constant of the program."""
        if name not in self.values:
            vector = self.parameters[name]
            self.values[name] = Value(name, len(vector.integers), "affine", (), vector)
        return name

    def affine(
        self,
        name: str,
        terms: Terms,
        bias: Vector | None = None,
        direct: Callable[[Sequence[Interval]], Interval] | None = None,
        direct_sources: Sequence[str] = (),
        products: int | None = None,
        divisors: Sequence[int] = (),
        more: int = 0,
        headroom: int = 0,
    ) -> str:
        """name = sum of map(source) + bias. An execution in float32 finds it exactly; or as the exact number rounded
        once, if `products` is 0; or as a sum of so many products and the bias in some order and `more` roundings, where
        a map that is a mean may be a sum that is divided by `divisors` at last; see Rounding."""
        size = terms[0][1].size
        rounding = None
        if self.contract is not None and products is not None:
            rounding = Rounding.of(self.contract, terms, products, divisors, more, headroom)
        self._count(name, size, sum(len(pairs) for _, m in terms if isinstance(m, Sparse) for pairs in m.entries))
        self.values[name] = Value(name, size, "affine", terms, bias, "", direct, direct_sources, rounding)
        return name

    def relu(self, name: str, source: str) -> str:
        """name = relu(source)."""
        self._count(name, self.values[source].size, 0)
        self.values[name] = Value(name, self.values[source].size, "relu", (), None, source)
        return name

    def expect(self, name: str, pairs: int) -> None:
        """Refuse a map of too many pairs before it is built."""
        if pairs > MAX_PROGRAM_PAIRS:
            raise Malformed(f"value {name!r}: a map of {pairs} pairs is over the limit of {MAX_PROGRAM_PAIRS}")

    def _count(self, name: str, entries: int, pairs: int) -> None:
        self._entries += entries
        self._pairs += pairs
        if self._entries > MAX_PROGRAM_ENTRIES or self._pairs > MAX_PROGRAM_PAIRS:
            raise Malformed(f"value {name!r}: the program is over the limit of {MAX_PROGRAM_ENTRIES} entries")

    def part(self, node: Node) -> str:
        """A new name for a part of an op."""
        count = self._parts.get(node.name, 0)
        self._parts[node.name] = count + 1
        return f"{node.name}#{count}"


def scaled(size: int, integer: int = 1, exponent: int = 0) -> Sparse:
    """The identity times integer * 2^exponent."""
    return Sparse([[(i, integer)] for i in range(size)], size, exponent)


def gather(indices: Sequence[int | None], columns: int) -> Sparse:
    """Entry k is entry indices[k] of the source, or 0 for None."""
    return Sparse([[] if i is None else [(i, 1)] for i in indices], columns)


def diagonal(vector: Vector) -> Sparse:
    """Entry k is vector[k] times entry k of the source."""
    return Sparse([[(i, v)] for i, v in enumerate(vector.integers)], len(vector.integers), vector.exponent)


def negated(terms: Terms) -> Terms:
    """The terms of the negative."""
    result: Terms = []
    for source, matrix in terms:
        if not isinstance(matrix, Sparse) or matrix.inexact:
            raise TypeError("only exact sparse maps are negated")
        entries = [[(i, -c) for i, c in pairs] for pairs in matrix.entries]
        result.append((source, Sparse(entries, matrix.columns, matrix.exponent)))
    return result
