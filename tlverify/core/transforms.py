"""vmap, and the matrices of derivatives: jacrev, jacfwd, hessian, and products with the Hessian."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tlverify.core import pytree
from tlverify.core.autograd import grad, jvp, vjp
from tlverify.core.backend import namespace
from tlverify.core.ops import arranging
from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, apply, as_value, type_of
from tlverify.core.ops.batch import BATCH, NO_RULE
from tlverify.core.trace import Spec, leaf_type, trace
from tlverify.graph import FLOATS, Graph, GraphError, ShapeError

Fn = Callable[..., Any]
Axis = int | None


def vmap(fn: Fn, in_axes: Axis | Sequence[Axis] = 0, out_axes: int = 0) -> Fn:
    """`fn` on many examples at once: a function of arguments that have one more axis.

    `in_axes` says which axis of all leaves of an argument counts the examples, or None where the argument is the
    same for all; one number is for all arguments. Every leaf of the result has the examples on `out_axes`.
    """

    def mapped(*args: Any) -> Any:
        axes = _axes(in_axes, len(args))
        leaves, in_tree = pytree.flatten(args)
        owners = [i for i, child in enumerate(in_tree.children) for _ in range(child.size)]
        values, specs, sizes = [], [], {}
        for position, (leaf, owner) in enumerate(zip(leaves, owners, strict=True)):
            kind, axis = leaf_type(leaf, f"argument {owner}"), axes[owner]
            value = as_value(leaf)
            if axis is not None:
                if not -len(kind.shape) <= axis < len(kind.shape):
                    raise ShapeError(f"vmap: argument {owner}: in_axes {axis} is not an axis of {kind}")
                value = arranging.moveaxis(value, axis, 0)
                sizes[position] = value.shape[0]
            values.append(value)
            specs.append(Spec(tuple(value.shape) if axis is None else tuple(value.shape[1:]), kind.dtype))
        if len(set(sizes.values())) != 1:
            found = sorted(set(sizes.values())) or "no argument with examples"
            raise ShapeError(f"vmap: expected one number of examples in all arguments, found {found}")
        count = next(iter(sizes.values()))
        traced = trace(fn, *pytree.unflatten(in_tree, specs))
        batched = [axes[owner] is not None for owner in owners] + [False] * len(traced.captured)
        results = _run(traced.graph, [*values, *traced.captured], batched, count)
        return pytree.unflatten(traced.out_tree, [arranging.moveaxis(result, 0, out_axes) for result in results])

    return mapped


def jacrev(fn: Fn, argnums: int | Sequence[int] = 0) -> Fn:
    """The Jacobian of `fn`, row by row: for each leaf of the result a tree like the argument, (*result, *argument).

    With several `argnums` a tuple of those trees. Good where the result is smaller than the argument.
    """

    def jacobian(*args: Any) -> Any:
        chosen, call = _restricted(fn, argnums, args)
        result, pullback = vjp(call, *chosen)
        outputs, out_tree = pytree.flatten(result)
        shapes = [tuple(value.shape) for value in outputs]
        basis = pytree.unflatten(out_tree, _basis(outputs, "result"))
        rows = vmap(pullback)(basis)
        return pytree.unflatten(out_tree, [_like(argnums, part) for part in _parts(rows, shapes)])

    return jacobian


def jacfwd(fn: Fn, argnums: int | Sequence[int] = 0) -> Fn:
    """The Jacobian of `fn`, column by column, in the form that jacrev gives it.

    Good where the argument is smaller than the result.
    """

    def jacobian(*args: Any) -> Any:
        chosen, call = _restricted(fn, argnums, args)
        leaves, tree = pytree.flatten(chosen)
        shapes = [tuple(as_value(leaf).shape) for leaf in leaves]
        basis = pytree.unflatten(tree, _basis([as_value(leaf) for leaf in leaves], "argument"))
        columns = vmap(lambda tangents: jvp(call, chosen, tangents)[1])(basis)
        outputs, out_tree = pytree.flatten(columns)
        results = []
        for output in outputs:
            parts = [_as_columns(part, shape) for part, shape in zip(_pieces(output, shapes), shapes, strict=True)]
            results.append(_like(argnums, pytree.unflatten(tree, parts)))
        return pytree.unflatten(out_tree, results)

    return jacobian


def hessian(fn: Fn, argnums: int | Sequence[int] = 0) -> Fn:
    """The second derivatives of `fn`: the Jacobian of its Jacobian, forward over reverse."""
    return jacfwd(jacrev(fn, argnums), argnums)


def hvp(fn: Fn, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of a scalar function at `primals` times `tangents`, a tuple of trees like the primals.

    It costs a few evaluations of `fn`, whatever the size of the Hessian.
    """
    return jvp(grad(fn, tuple(range(len(primals)))), primals, tangents)[1]


def _run(graph: Graph, values: Sequence[Value], batched: Sequence[bool], count: int) -> list[Value]:
    """The outputs, all with the leading axis, from inputs of which some have it."""
    env = {declared.name: value for declared, value in zip(graph.inputs, values, strict=True)}
    has_axis = {declared.name: flag for declared, flag in zip(graph.inputs, batched, strict=True)}
    arrays = [value for value in values if not hasattr(value, "trace")]
    for parameter in graph.parameters:
        env[parameter.name], has_axis[parameter.name] = namespace(*arrays).asarray(parameter.data), False
    for node in graph.nodes:
        inputs = [env[name] for name in node.inputs]
        flags = [has_axis[name] for name in node.inputs]
        has_axis[node.name] = any(flags)
        if not has_axis[node.name]:
            env[node.name] = apply(node.op, *inputs, **node.attributes)
        elif node.op in BATCH:
            env[node.name] = BATCH[node.op](count, inputs, flags, **node.attributes)
        else:
            raise GraphError(f"vmap has no rule for op {node.op!r}: {NO_RULE[node.op]}")
    outputs = [(env[name], has_axis[name]) for name in graph.outputs]
    return [value if flag else f.broadcast_to(value, (count, *value.shape)) for value, flag in outputs]


def _axes(in_axes: Axis | Sequence[Axis], count: int) -> list[Axis]:
    if in_axes is None or isinstance(in_axes, int):
        return [in_axes] * count
    if len(in_axes) != count:
        raise ShapeError(f"vmap: in_axes: expected {count} of them, one for each argument, found {list(in_axes)}")
    return list(in_axes)


def _restricted(fn: Fn, argnums: int | Sequence[int], args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Fn]:
    """The arguments to differentiate by, and `fn` as a function of these."""
    numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    for number in numbers:
        if not 0 <= number < len(args):
            raise GraphError(f"argnums {number}: the function was called with {len(args)} arguments")

    def call(*chosen: Any) -> Any:
        full = list(args)
        for number, value in zip(numbers, chosen, strict=True):
            full[number] = value
        return fn(*full)

    return tuple(args[number] for number in numbers), call


def _basis(leaves: Sequence[Value], what: str) -> list[Value]:
    """For leaves with N elements in all: arrays (N, *leaf), of which example i has a 1 at element i only."""
    sizes = [math.prod(leaf.shape) for leaf in leaves]
    total, start, result = sum(sizes), 0, []
    for leaf, size in zip(leaves, sizes, strict=True):
        kind = type_of(leaf)
        if kind.dtype not in FLOATS:
            raise GraphError(f"Jacobian: expected a float {what}, found {kind}")
        block = np.zeros((total, size), kind.dtype)
        block[start : start + size] = np.eye(size)
        xp = np if hasattr(leaf, "trace") else namespace(leaf)
        result.append(xp.asarray(block.reshape(total, *kind.shape)))
        start += size
    return result


def _pieces(stacked: Value, shapes: Sequence[tuple[int, ...]]) -> list[Value]:
    """The first axis parted into as many rows as each shape has elements."""
    pieces, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        pieces.append(f.slice(stacked, slice(start, stop)))
        start = stop
    return pieces


def _parts(rows: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    """For each shape the tree of its rows, with the first axis of each leaf in that shape."""
    leaves, tree = pytree.flatten(rows)
    columns = [_pieces(leaf, shapes) for leaf in leaves]
    return [
        pytree.unflatten(tree, [f.reshape(column[i], *shape, *column[i].shape[1:]) for column in columns])
        for i, shape in enumerate(shapes)
    ]


def _as_columns(part: Value, shape: tuple[int, ...]) -> Value:
    """(n, *result) -> (*result, *shape)."""
    last = arranging.moveaxis(part, 0, -1)
    return f.reshape(last, *last.shape[:-1], *shape)


def _like(argnums: int | Sequence[int], trees: Any) -> Any:
    return trees[0] if isinstance(argnums, int) else trees
