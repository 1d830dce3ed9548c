"""Running a graph on arrays, one node after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from types import ModuleType
from typing import Any

import numpy as np
from numpy import vdot

from tlverify.core.backend import as_array, namespace
from tlverify.core.plan import line_for, plan_for
from tlverify.graph import Graph, GraphError, ShapeError, TlverifyError, Type


class NonFiniteError(TlverifyError):
    """A node of a graph computed an infinity or a NaN."""


def run(graph: Graph, inputs: Sequence[Any] | Mapping[str, Any], check: bool = False) -> tuple[Any, ...]:
    """The outputs of the graph on arrays given in the order of its inputs, or by their names.

    ShapeError if an input has another shape or dtype than the graph declares. With `check`, NonFiniteError at
    the first float node whose value is not finite. An output may share memory with an input.
    """
    given = _ordered(graph, inputs)
    xp = namespace(*[value for value in given if hasattr(value, "dtype")])
    arrays = [value if hasattr(value, "dtype") else xp.asarray(value) for value in given]
    plan = plan_for(graph, xp)
    for array, (name, shape, dtype) in zip(arrays, plan.inputs, strict=True):
        if array.shape != shape or array.dtype != dtype:
            expected, found = Type(shape, dtype.name), Type(array.shape, str(array.dtype))
            raise ShapeError(f"input {name!r}: expected {expected}, found {found}")
    if check:
        with np.errstate(all="ignore"):
            return _run_checked(graph, arrays, xp)
    slots = list(plan.slots)
    slots[: len(arrays)] = arrays
    for function, sources, output, dead in plan.steps:
        slots[output] = function(*[slots[source] for source in sources])
        for slot in dead:
            slots[slot] = None
    # What depends on no input belongs to the plan, and callers change what they get.
    return tuple([as_array(slots[o] if plan.slots[o] is None else slots[o].copy()) for o in plan.outputs])


def _ordered(graph: Graph, inputs: Sequence[Any] | Mapping[str, Any]) -> Sequence[Any]:
    names = [value.name for value in graph.inputs]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise GraphError(f"expected inputs {sorted(names)}, found {sorted(inputs)}")
        return [inputs[name] for name in names]
    if len(inputs) != len(names):
        raise GraphError(f"expected {len(names)} inputs ({', '.join(names)}), found {len(inputs)}")
    return inputs


def _run_checked(graph: Graph, arrays: Sequence[Any], xp: ModuleType) -> tuple[Any, ...]:
    """Node by node: nothing is merged or folded."""
    line = line_for(graph, xp)
    values = [*arrays, *line.parameters]
    for number, (function, sources, checked) in enumerate(line.steps):
        result = function(*[values[source] for source in sources])
        values.append(result)
        # A sum of squares is finite only if all terms are, and takes one pass; but it may overflow.
        if checked and not isfinite(vdot(result, result)) and not xp.isfinite(result).all():
            node = graph.nodes[number]
            names = zip(node.inputs, sources, strict=True)
            inputs = ", ".join(f"{name} {_describe(values[source], xp)}" for name, source in names)
            found = _describe(result, xp)
            raise NonFiniteError(f"node {node.name!r} ({node.op}) is not finite: {found}; its inputs: {inputs}")
    return tuple([as_array(values[output]) for output in line.outputs])


def _describe(array: Any, xp: ModuleType) -> str:
    finite = xp.isfinite(array)
    good = array[finite]
    extent = f"from {float(good.min()):.4g} to {float(good.max()):.4g}" if good.size else "no finite element"
    bad = array.size - int(finite.sum())
    return f"({extent}, {bad} of {array.size} not finite)" if bad else f"({extent})"
