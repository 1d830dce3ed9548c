"""Claims from a property of another format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from tlverify.certify.claim import Claim, Inequality, Number, box
from tlverify.graph import Graph
from tlverify.interop.vnnlib import Property
from tlverify.interop.vnnlib_logic import PropertyError, Row


def to_claims(prop: Property, graph: Graph) -> tuple[Claim, ...]:
    """One claim for each case: the property holds if all are verified, and is falsified if one is.

    X and Y number the entries of all inputs and outputs of the graph, flat and in order. PropertyError if their numbers
    differ.
    """
    inputs = [(value.name, math.prod(value.shape)) for value in graph.inputs]
    outputs = [(name, math.prod(graph.types[name].shape)) for name in graph.outputs]
    for what, expected, sizes in (("inputs", prop.inputs, inputs), ("outputs", prop.outputs, outputs)):
        found = sum(size for _, size in sizes)
        if found != expected:
            raise PropertyError(f"the property declares {expected} {what}, the network has {found}")
    places = {"X": _places(inputs), "Y": _places(outputs)}
    always = Inequality(((*places["Y"][0], Fraction(0)),))
    claims = []
    for case in prop.cases:
        ranges: dict[str, tuple[Iterable[Number], Iterable[Number]]] = {}
        start = 0
        for name, size in inputs:
            ranges[name] = case.lower[start : start + size], case.upper[start : start + size]
            start += size
        bad = [[_inequality(row, places) for row in rows] or [always] for rows in case.bad]
        claims.append(box(graph, ranges, bad))
    return tuple(claims)


def _places(sizes: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    return [(name, index) for name, size in sizes for index in range(size)]


def _inequality(row: Row, places: Mapping[str, list[tuple[str, int]]]) -> Inequality:
    terms = tuple((*places[kind][index], coefficient) for (kind, index), coefficient in row.terms)
    return Inequality(terms, row.bound, row.strict)
