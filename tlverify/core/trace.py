"""Tracing a Python function into a graph, and using graphs as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.backend import namespace
from tlverify.core.interpreter import run
from tlverify.core.ops.apply import Value, apply, as_value, trace_of
from tlverify.core.pytree import TreeDef
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import DTYPES, Graph, GraphError, Parameter, Shape, ShapeError, Type


@dataclass(frozen=True)
class Spec:
    """Shape and dtype of an argument, in place of its value."""

    shape: Shape
    dtype: str = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))


@dataclass(frozen=True, eq=False)
class Traced:
    """A function as a graph, and how its arguments and results are put together from arrays.

    `captured` are the Tensors of an enclosing trace that the function uses; they follow the arguments.
    """

    graph: Graph
    in_tree: TreeDef
    out_tree: TreeDef
    captured: tuple[Tensor, ...] = ()

    def __call__(self, *args: Any) -> Any:
        """Run on arrays, or add the graph to the trace of the Tensors in `args`."""
        leaves, in_tree = pytree.flatten(args)
        if in_tree != self.in_tree:
            expected, found = pytree.paths(self.in_tree), pytree.paths(in_tree)
            raise GraphError(f"arguments: expected {expected}, found {found}")
        return pytree.unflatten(self.out_tree, call_graph(self.graph, *leaves, *self.captured))


def trace(fn: Callable[..., Any], *args: Any) -> Traced:
    """The graph of `fn`, whose arguments are trees of arrays, Tensors or Specs; only their types are used.

    Inputs are named by argument and path, as in `params.0.weight`. Arrays that `fn` closes over become
    parameters. `fn` runs once, so a Python `if` or loop in it is settled here.
    """
    leaves, in_tree = pytree.flatten(args)
    names = _input_names(fn, in_tree)
    inner = Trace()
    types = [leaf_type(leaf, name) for leaf, name in zip(leaves, names, strict=True)]
    tensors = [inner.add_input(name, type_) for name, type_ in zip(names, types, strict=True)]
    try:
        results, out_tree = pytree.flatten(fn(*pytree.unflatten(in_tree, tensors)))
        outputs = [inner.lift(result).name for result in results]
        graph = inner.build(*outputs)
    finally:
        inner.closed = True
    return Traced(graph, in_tree, out_tree, tuple(inner.captured.values()))


def call_graph(graph: Graph, *values: Value) -> tuple[Value, ...]:
    """The outputs on `values`: run if all are arrays, otherwise added to the trace of the Tensors."""
    return run(graph, values) if trace_of(*values) is None else apply_graph(graph, *values)


def apply_graph(graph: Graph, *values: Value) -> tuple[Value, ...]:
    """The outputs of the graph on `values`, op by op, in the trace of the Tensors among them."""
    env = evaluate(graph, values)
    return tuple(env[name] for name in graph.outputs)


def evaluate(graph: Graph, values: Sequence[Value], into: Trace | None = None) -> dict[str, Value]:
    """Every value of the graph by name, op by op, in the trace of the Tensors among `values` or in `into`."""
    if len(values) != len(graph.inputs):
        names = ", ".join(value.name for value in graph.inputs)
        raise GraphError(f"expected {len(graph.inputs)} inputs ({names}), found {len(values)}")
    into = into or trace_of(*values)
    env: dict[str, Value] = {}
    for declared, value in zip(graph.inputs, values, strict=True):
        env[declared.name] = as_value(value)
        found = leaf_type(env[declared.name], declared.name)
        if found != declared.type:
            raise ShapeError(f"input {declared.name!r}: expected {declared.type}, found {found}")
    for parameter in graph.parameters:
        if into is None:
            env[parameter.name] = namespace(*env.values()).asarray(parameter.data)
        else:
            env[parameter.name] = into.constant(parameter.data, name=parameter.name)
    for node in graph.nodes:
        env[node.name] = apply(node.op, *(env[name] for name in node.inputs), **node.attributes)
    return env


def bind(graph: Graph, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Graph:
    """The graph with the inputs in `values` turned into parameters, and values renamed by `names`."""
    types = {value.name: value.type for value in graph.inputs}
    parameters = []
    for name, value in values.items():
        if name not in types:
            raise GraphError(f"cannot bind {name!r}: the inputs are {', '.join(types)}")
        parameter = Parameter(name, value)
        if parameter.type != types[name]:
            raise ShapeError(f"input {name!r}: expected {types[name]}, found {parameter.type}")
        parameters.append(parameter)
    free = tuple(value for value in graph.inputs if value.name not in values)
    bound = Graph(free, (*parameters, *graph.parameters), graph.nodes, graph.outputs)
    return rename(bound, names) if names else bound


def rename(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with the values in `names` called by their new names; GraphError if two names meet."""
    unknown = sorted(set(names) - set(graph.types))
    if unknown:
        raise GraphError(f"cannot rename {unknown[0]!r}: the graph has no such value")

    def new(name: str) -> str:
        return names.get(name, name)

    return Graph(
        tuple(replace(value, name=new(value.name)) for value in graph.inputs),
        tuple(replace(parameter, name=new(parameter.name)) for parameter in graph.parameters),
        tuple(replace(n, name=new(n.name), inputs=tuple(map(new, n.inputs))) for n in graph.nodes),
        tuple(map(new, graph.outputs)),
    )


def leaf_type(leaf: Any, name: str) -> Type:
    """Type of an argument: array, Tensor, Spec or scalar."""
    if isinstance(leaf, Tensor):
        return leaf.type
    if isinstance(leaf, bool | int | float):
        leaf = np.asarray(leaf)
    shape, dtype = getattr(leaf, "shape", None), str(getattr(leaf, "dtype", None))
    if shape is None or dtype not in DTYPES:
        known = ", ".join(DTYPES)
        kind = type(leaf).__name__
        hint = "; np.from_dlpack(tensor) makes an array" if dtype.startswith("torch.") else ""
        raise GraphError(f"argument {name!r}: expected an array of {known}, found {kind} of dtype {dtype}{hint}")
    return Type(tuple(shape), dtype)


def _input_names(fn: Callable[..., Any], in_tree: TreeDef) -> list[str]:
    """`argument.path` for every leaf; an argument that is a leaf itself gives its own name."""
    kinds = inspect.Parameter
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except ValueError:
        parameters = []
    positional = [p.name for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), "argument")
    names: list[str] = []
    for position, child in enumerate(in_tree.children):
        extra = f"{rest}.{position - len(positional)}"
        names += pytree.paths(child, positional[position] if position < len(positional) else extra)
    return names
