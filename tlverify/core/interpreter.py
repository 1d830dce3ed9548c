"""Running a graph on arrays, one node after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from tlverify.core.backend import as_array, namespace
from tlverify.core.plan import function_of, plan_for
from tlverify.graph import FLOATS, Graph, GraphError, ShapeError, TlverifyError, Type


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
    return tuple([as_array(slots[output]) for output in plan.outputs])


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
    values = {value.name: array for value, array in zip(graph.inputs, arrays, strict=True)}
    values |= {parameter.name: xp.asarray(parameter.data) for parameter in graph.parameters}
    for node in graph.nodes:
        result = function_of(node)(*[values[name] for name in node.inputs])
        values[node.name] = result
        if node.dtype in FLOATS and not xp.isfinite(result).all():
            inputs = ", ".join(f"{name} {_describe(values[name], xp)}" for name in node.inputs)
            found = _describe(result, xp)
            raise NonFiniteError(f"node {node.name!r} ({node.op}) is not finite: {found}; its inputs: {inputs}")
    return tuple(as_array(values[name]) for name in graph.outputs)


def _describe(array: Any, xp: ModuleType) -> str:
    finite = xp.isfinite(array)
    good = array[finite]
    extent = f"from {float(good.min()):.4g} to {float(good.max()):.4g}" if good.size else "no finite element"
    bad = array.size - int(finite.sum())
    return f"({extent}, {bad} of {array.size} not finite)" if bad else f"({extent})"
