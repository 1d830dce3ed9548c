"""Derivatives of functions of trees: traced, derived graph to graph, run or added to an enclosing trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tlverify.core import pytree
from tlverify.core.derive import backward, evaluate_in, forward
from tlverify.core.interpreter import run
from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, as_value, trace_of
from tlverify.core.pytree import TreeDef
from tlverify.core.tensor import Trace
from tlverify.core.trace import Traced, evaluate, leaf_type, trace
from tlverify.graph import FLOATS, Graph, GraphError, ShapeError, Type

Fn = Callable[..., Any]


def grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Fn:
    """The gradient of a scalar function by the arguments `argnums`, as trees like those arguments.

    With `has_aux`, `fn` gives (loss, aux) and the result is (gradient, aux).
    """
    both = value_and_grad(fn, argnums, has_aux)

    def gradient(*args: Any) -> Any:
        value, gradients = both(*args)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False, check: bool = False) -> Fn:
    """A function that gives (value of fn, gradient by the arguments `argnums`).

    `fn` gives a float without axes, or (loss, aux) with `has_aux`. It is traced once for each combination of
    argument types, so arrays that it closes over must not change. With `check` the graph runs node by node, and
    NonFiniteError names the first value that is not finite. ShapeError if the loss is not a scalar,
    GraphError if an argument to differentiate by is not float.
    """
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    cache: dict[Any, tuple[Graph, TreeDef]] = {}

    def wrapped(*args: Any) -> Any:
        leaves, in_tree = pytree.flatten(args)
        kinds = [(type(leaf), getattr(leaf, "shape", None), getattr(leaf, "dtype", None)) for leaf in leaves]
        key = (in_tree, tuple(kinds))
        if key in cache:
            graph, tree = cache[key]
            return pytree.unflatten(tree, run(graph, leaves, check))
        traced = trace(fn, *args)
        wrt, grad_tree = _selected(traced, chosen, isinstance(argnums, int))
        _check_scalar(traced, has_aux)
        tree = TreeDef(tuple, ("0", "1"), (traced.out_tree, grad_tree))
        inputs = [*leaves, *traced.captured]
        if trace_of(*inputs) is not None:
            return pytree.unflatten(tree, _with_gradient(traced.graph, evaluate(traced.graph, inputs), wrt))
        outer = Trace()
        results = _with_gradient(traced.graph, evaluate_in(outer, traced.graph), wrt)
        graph = outer.build(*(outer.lift(result).name for result in results))
        cache[key] = graph, tree
        return pytree.unflatten(tree, run(graph, leaves, check))

    return wrapped


def vjp(fn: Fn, *args: Any) -> tuple[Any, Fn]:
    """(fn(*args), pullback): `pullback` takes a tree like the result and gives one like `args`.

    Where an argument or result is not float its cotangent is zero, in its own dtype.
    """
    traced = trace(fn, *args)
    leaves, _ = pytree.flatten(args)
    values = evaluate(traced.graph, [*leaves, *traced.captured])
    wrt = [value.name for value in traced.graph.inputs[: len(leaves)]]

    def pullback(cotangent: Any) -> Any:
        given, tree = pytree.flatten(cotangent)
        if tree != traced.out_tree:
            expected, found = pytree.paths(traced.out_tree), pytree.paths(tree)
            raise GraphError(f"cotangent: expected a tree like the result {expected}, found {found}")
        types = traced.graph.types
        checked = [
            _checked(f"cotangent of {name!r}", value, types[name])
            for name, value in zip(traced.graph.outputs, given, strict=True)
        ]
        return pytree.unflatten(traced.in_tree, backward(traced.graph, values, checked, wrt))

    outputs = [values[name] for name in traced.graph.outputs]
    return pytree.unflatten(traced.out_tree, outputs), pullback


def jvp(fn: Fn, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(fn(*primals), its derivative in the direction `tangents`), which is a tree like the primals."""
    traced = trace(fn, *primals)
    leaves, in_tree = pytree.flatten(tuple(primals))
    given, tree = pytree.flatten(tuple(tangents))
    if tree != in_tree:
        expected, found = pytree.paths(in_tree), pytree.paths(tree)
        raise GraphError(f"tangents: expected a tree like the primals {expected}, found {found}")
    values = evaluate(traced.graph, [*leaves, *traced.captured])
    active = {}
    for declared, value in zip(traced.graph.inputs, given, strict=False):
        tangent = _checked(f"tangent of {declared.name!r}", value, declared.type)
        if declared.dtype in FLOATS:
            active[declared.name] = tangent
    outputs = [values[name] for name in traced.graph.outputs]
    derivatives = forward(traced.graph, values, active)
    return pytree.unflatten(traced.out_tree, outputs), pytree.unflatten(traced.out_tree, derivatives)


def _with_gradient(graph: Graph, values: Mapping[str, Value], wrt: Sequence[str]) -> list[Value]:
    """The outputs, of which the first is the loss, and then the gradients of the loss."""
    outputs = [values[name] for name in graph.outputs]
    cotangents = [f.ones_like(outputs[0]), *[None] * (len(outputs) - 1)]
    return [*outputs, *backward(graph, values, cotangents, wrt)]


def _selected(traced: Traced, argnums: Sequence[int], single: bool) -> tuple[list[str], TreeDef]:
    """Names of the inputs to differentiate by, and the tree of the gradients."""
    arguments = traced.in_tree.children
    starts = [sum(child.size for child in arguments[:i]) for i in range(len(arguments))]
    wrt: list[str] = []
    for number in argnums:
        if not 0 <= number < len(arguments):
            raise GraphError(f"argnums {number}: the function was called with {len(arguments)} arguments")
        start = starts[number]
        for value in traced.graph.inputs[start : start + arguments[number].size]:
            if value.dtype not in FLOATS:
                raise GraphError(f"argument {value.name!r}: cannot differentiate by {value.type}")
            wrt.append(value.name)
    chosen = tuple(arguments[number] for number in argnums)
    keys = tuple(str(i) for i in range(len(chosen)))
    return wrt, chosen[0] if single else TreeDef(tuple, keys, chosen)


def _check_scalar(traced: Traced, has_aux: bool) -> None:
    tree = traced.out_tree
    if has_aux and not (tree.kind is tuple and len(tree.children) == 2):
        raise GraphError(f"has_aux: expected the function to give (loss, aux), found {pytree.paths(tree)}")
    loss = tree.children[0] if has_aux else tree
    type_ = traced.graph.types[traced.graph.outputs[0]]
    if loss.kind is not None or type_.shape != () or type_.dtype not in FLOATS:
        raise ShapeError(f"grad needs a float loss without axes, found {type_}; take its mean or sum")


def _checked(what: str, value: Value, expected: Type) -> Value:
    found = leaf_type(value, what)
    if found != expected:
        raise ShapeError(f"{what}: expected {expected}, found {found}")
    return as_value(value)
