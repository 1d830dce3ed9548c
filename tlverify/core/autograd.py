"""Derivatives of functions of trees: traced, derived graph to graph, run or added to an enclosing trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tlverify.core import pytree
from tlverify.core.interpreter import run
from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, trace_of
from tlverify.core.ops.jvp import JVP
from tlverify.core.ops.vjp import VJP, Rule
from tlverify.core.pytree import TreeDef
from tlverify.core.tensor import Trace
from tlverify.core.trace import Traced, evaluate, leaf_type, trace
from tlverify.graph import FLOATS, Graph, GraphError, Node, ShapeError, Type

Fn = Callable[..., Any]
Rules = Mapping[str, tuple[Rule | None, ...]]


def grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Fn:
    """The gradient of a scalar function by the arguments `argnums`, as trees like those arguments.

    With `has_aux`, `fn` gives (loss, aux) and the result is (gradient, aux).
    """
    both = value_and_grad(fn, argnums, has_aux)

    def gradient(*args: Any) -> Any:
        value, gradients = both(*args)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(fn: Fn, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Fn:
    """A function that gives (value of fn, gradient by the arguments `argnums`).

    `fn` gives a float without axes, or (loss, aux) with `has_aux`. It is traced once for each combination of
    argument types, so arrays that it closes over must not change. ShapeError if the loss is not a scalar,
    GraphError if an argument to differentiate by is not float.
    """
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    cache: dict[Any, tuple[Graph, TreeDef, TreeDef]] = {}

    def wrapped(*args: Any) -> Any:
        leaves, in_tree = pytree.flatten(args)
        key = (in_tree, tuple([(type(x), getattr(x, "shape", None), getattr(x, "dtype", None)) for x in leaves]))
        found = cache.get(key)
        if found is None:
            traced = trace(fn, *args)
            wrt, grad_tree = _selected(traced, chosen, isinstance(argnums, int))
            _check_scalar(traced, has_aux)
            if trace_of(*leaves, *traced.captured) is not None:
                results = _value_and_grad(traced.graph, [*leaves, *traced.captured], wrt)
                return _unflatten_two(traced.out_tree, grad_tree, results)
            found = cache[key] = (_value_and_grad_graph(traced.graph, wrt), traced.out_tree, grad_tree)
        graph, out_tree, grad_tree = found
        return _unflatten_two(out_tree, grad_tree, run(graph, leaves))

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
        for name, value in zip(traced.graph.outputs, given, strict=True):
            _check_type(f"cotangent of {name!r}", value, types[name])
        return pytree.unflatten(traced.in_tree, backward(traced.graph, values, given, wrt))

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
        _check_type(f"tangent of {declared.name!r}", value, declared.type)
        if declared.dtype in FLOATS:
            active[declared.name] = value
    outputs = [values[name] for name in traced.graph.outputs]
    derivatives = forward(traced.graph, values, active)
    return pytree.unflatten(traced.out_tree, outputs), pytree.unflatten(traced.out_tree, derivatives)


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
    values = _evaluate_in(outer, graph)
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
    for node in reversed(graph.nodes):
        if node.name not in active or node.name not in sums:
            continue
        given = sums[node.name] if node.name in wrt else sums.pop(node.name)
        inputs = [values[name] for name in node.inputs]
        for name, rule in zip(node.inputs, VJP[node.op], strict=True):
            if rule is not None and name in active:
                accumulate(name, rule(given, values[node.name], *inputs, **node.attributes))
    return [sums[name] if name in sums else f.zeros_like(values[name]) for name in wrt]


def forward(graph: Graph, values: Mapping[str, Value], tangents: Mapping[str, Value]) -> list[Value]:
    """Tangents of the outputs, from those of some values and every value of the graph by name."""
    active = _active(graph, list(tangents), JVP)
    sums = dict(tangents)
    for node in graph.nodes:
        if node.name not in active:
            continue
        inputs = [values[name] for name in node.inputs]
        for name, rule in zip(node.inputs, JVP[node.op], strict=True):
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
        rows = zip(node.inputs, rules[node.op], strict=True)
        return any(rule is not None and name in active for name, rule in rows)

    for node in graph.nodes:
        if depends(node):
            active.add(node.name)
    return active


def _evaluate_in(outer: Trace, graph: Graph) -> dict[str, Value]:
    return evaluate(graph, [outer.add_input(value.name, value.type) for value in graph.inputs], outer)


def _value_and_grad_graph(graph: Graph, wrt: Sequence[str]) -> Graph:
    outer = Trace()
    values = _evaluate_in(outer, graph)
    results = _from_loss(graph, values, wrt)
    return outer.build(*(outer.lift(result).name for result in results))


def _value_and_grad(graph: Graph, inputs: Sequence[Value], wrt: Sequence[str]) -> list[Value]:
    return _from_loss(graph, evaluate(graph, inputs), wrt)


def _from_loss(graph: Graph, values: Mapping[str, Value], wrt: Sequence[str]) -> list[Value]:
    """The outputs, of which the first is the loss, and the gradients of the loss."""
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


def _check_type(what: str, value: Value, expected: Type) -> None:
    found = leaf_type(value, what)
    if found != expected:
        raise ShapeError(f"{what}: expected {expected}, found {found}")


def _unflatten_two(first: TreeDef, second: TreeDef, leaves: Sequence[Value]) -> tuple[Any, Any]:
    size = first.size
    return pytree.unflatten(first, leaves[:size]), pytree.unflatten(second, leaves[size:])
