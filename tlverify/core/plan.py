"""A graph made ready to run: everything that does not depend on the inputs is settled once."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from tlverify.core.ops.forward import FORWARD
from tlverify.graph import FLOATS, Graph, Node, Shape

Step = tuple[Callable[..., Any], tuple[int, ...], int, tuple[int, ...]]

BROADCASTING = frozenset(("add", "div", "equal", "greater", "maximum", "minimum", "mul", "pow", "sub", "where"))
"""Ops whose functions repeat operands themselves."""


@dataclass(frozen=True)
class Plan:
    """One slot for each value, inputs first, those of parameters filled in.

    A step `(function, inputs, output, dead)` sets slot `output` to `function(*inputs)` and then empties the slots
    in `dead`, which no later step reads. What depends on parameters only was computed beforehand; of steps with the
    same op, attributes and inputs there is the first, so that two outputs may be one array.
    """

    inputs: tuple[tuple[str, Shape, np.dtype[Any]], ...]
    slots: tuple[Any, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


_plans: weakref.WeakKeyDictionary[Graph, dict[str, Plan]] = weakref.WeakKeyDictionary()


def plan_for(graph: Graph, xp: ModuleType) -> Plan:
    """The plan of the graph for arrays of the namespace, made once for as long as the graph lives."""
    plans = _plans.setdefault(graph, {})
    if xp.__name__ not in plans:
        plans[xp.__name__] = _make_plan(graph, xp)
    return plans[xp.__name__]


@dataclass(frozen=True)
class Line:
    """Values in a row: inputs, parameters, nodes. A step is the function of a node, which values it takes, and whether
    the value may be one that is not finite where they are: a view of a node's value may not. What only ops read that
    repeat it themselves is not repeated."""

    parameters: tuple[Any, ...]
    steps: tuple[tuple[Callable[..., Any], tuple[int, ...], bool], ...]
    outputs: tuple[int, ...]


_lines: weakref.WeakKeyDictionary[Graph, dict[str, Line]] = weakref.WeakKeyDictionary()
_VIEWS = frozenset(("broadcast_to", "detach", "reshape", "slice", "transpose"))


def line_for(graph: Graph, xp: ModuleType) -> Line:
    """The nodes of the graph one by one for arrays of the namespace, made once for as long as the graph lives."""
    lines = _lines.setdefault(graph, {})
    if xp.__name__ not in lines:
        index = {value.name: place for place, value in enumerate(graph.values)}
        first = len(graph.inputs) + len(graph.parameters)
        shapes = [value.shape for value in graph.values]
        narrow = {index[node.name]: index[node.inputs[0]] for node in graph.nodes if node.op == "broadcast_to"}
        rows = []
        for node in graph.nodes:
            sources = tuple(index[name] for name in node.inputs)
            rows.append(_skip_broadcasts(sources, narrow, shapes, node.shape) if node.op in BROADCASTING else sources)
        outputs = tuple(index[name] for name in graph.outputs)
        read = {*outputs, *(source for sources in rows for source in sources)}
        steps = []
        for place, (node, sources) in enumerate(zip(graph.nodes, rows, strict=True), first):
            checked = node.dtype in FLOATS and not (node.op in _VIEWS and sources[0] >= first)
            skipped = node.op == "broadcast_to" and place not in read
            steps.append((_same if skipped else function_of(node), sources, checked))
        parameters = tuple(xp.asarray(parameter.data) for parameter in graph.parameters)
        lines[xp.__name__] = Line(parameters, tuple(steps), outputs)
    return lines[xp.__name__]


def _same(x: Any) -> Any:
    return x


def function_of(node: Node) -> Callable[..., Any]:
    """The value of the node as a function of the arrays of its inputs."""
    function = FORWARD[node.op]
    return partial(function, **node.attributes) if node.attributes else function


def _make_plan(graph: Graph, xp: ModuleType) -> Plan:
    index = {value.name: slot for slot, value in enumerate(graph.values)}
    shapes = [value.shape for value in graph.values]
    slots: list[Any] = [None] * len(shapes)
    for parameter in graph.parameters:
        slots[index[parameter.name]] = xp.asarray(parameter.data)
    constants = {index[parameter.name] for parameter in graph.parameters}
    narrow: dict[int, int] = {}
    steps: list[Step] = []
    first: dict[Any, int] = {}
    for node in graph.nodes:
        output, sources = index[node.name], tuple(index[name] for name in node.inputs)
        key = (node.op, sources, tuple(sorted(node.attributes.items())))
        if key in first:
            index[node.name] = first[key]
            continue
        first[key] = output
        if node.op == "broadcast_to":
            narrow[output] = narrow.get(sources[0], sources[0])
        elif node.op in BROADCASTING:
            sources = _skip_broadcasts(sources, narrow, shapes, node.shape)
        if constants.issuperset(sources):
            slots[output] = function_of(node)(*[slots[source] for source in sources])
            constants.add(output)
        else:
            steps.append((function_of(node), sources, output, ()))
    outputs = tuple(index[name] for name in graph.outputs)
    steps, read = _with_dead_slots(steps, set(outputs), constants)
    types = tuple((value.name, value.shape, np.dtype(value.dtype)) for value in graph.inputs)
    return Plan(types, tuple(v if slot in read else None for slot, v in enumerate(slots)), tuple(steps), outputs)


def _skip_broadcasts(
    sources: tuple[int, ...], narrow: dict[int, int], shapes: list[Shape], shape: Shape
) -> tuple[int, ...]:
    """The inputs of broadcast_to in place of its results, where the array library gives the same shape itself."""
    direct = tuple(narrow.get(source, source) for source in sources)
    return direct if np.broadcast_shapes(*(shapes[source] for source in direct)) == shape else sources


def _with_dead_slots(steps: list[Step], outputs: set[int], constants: set[int]) -> tuple[list[Step], set[int]]:
    """The steps that something reads, with the slots that each reads last; and all slots that are read."""
    read = set(outputs)
    result: list[Step] = []
    for function, sources, output, _ in reversed(steps):
        if output in read:
            result.append((function, sources, output, tuple(set(sources) - read - constants)))
            read.update(sources)
    return result[::-1], read
