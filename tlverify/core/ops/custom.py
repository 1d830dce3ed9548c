"""Ops of one's own: a name, and the rows that an op has in every table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from tlverify.core.ops.apply import Value, apply, same_dtype
from tlverify.core.ops.batch import BATCH, NO_RULE, BatchRule, trailing
from tlverify.core.ops.derivatives_spatial import Rule
from tlverify.core.ops.forward import FORWARD
from tlverify.core.ops.jvp import JVP
from tlverify.core.ops.vjp import VJP, Row
from tlverify.graph import GraphError, Type
from tlverify.graph.ops import OPS, Attributes, Op


def custom_op(
    name: str,
    *,
    infer: Callable[[tuple[Type, ...], Attributes], Type],
    forward: Callable[..., Any],
    vjp: Sequence[Rule | None],
    jvp: Sequence[Rule | None],
    attributes: Mapping[str, type] | None = None,
    leading_axes: bool = False,
) -> Callable[..., Value]:
    """The function of a new op `name`, which has a dot in it, as in "mine.bessel"; it adds a row to every table.

    `infer` gives the type of the result from those of the inputs, `forward` its value from arrays. `vjp[i]` and
    `jvp[i]` are the derivatives by input i, `rule(g_or_t, y, *inputs, **attributes)` written with `ops`, or None where
    there is none; their number is that of the inputs. `attributes` maps names to int, str or tuple. With
    `leading_axes` the op takes equal leading axes on all inputs, and vmap uses them.

    A second definition of a name replaces the first. The kernel knows no such op, so a graph with one is never
    proved. GraphError if a rule is missing.
    """
    parts = name.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise GraphError(f"custom_op: expected a name such as 'mine.bessel', found {name!r}")
    if len(vjp) != len(jvp) or not vjp:
        raise GraphError(
            f"custom_op {name!r}: expected a vjp and a jvp rule for each input, found {len(vjp)}, {len(jvp)}"
        )
    kinds = dict(attributes or {})
    if not set(kinds.values()) <= {int, str, tuple}:
        raise GraphError(f"custom_op {name!r}: attributes: expected types int, str or tuple, found {kinds}")
    cast(dict[str, Op], OPS)[name] = Op(len(vjp), kinds, infer)
    cast(dict[str, Callable[..., Any]], FORWARD)[name] = forward
    cast(dict[str, Row], VJP)[name] = tuple(vjp)
    cast(dict[str, Row], JVP)[name] = tuple(jvp)
    if leading_axes:
        cast(dict[str, BatchRule], BATCH)[name] = trailing(name)
    else:
        cast(dict[str, str], NO_RULE)[name] = "custom_op was called without leading_axes=True"

    def function(*values: Value, **given: Any) -> Value:
        return apply(name, *same_dtype(name, *values), **given)

    function.__name__ = parts[-1]
    return function


def remove_op(name: str) -> None:
    """Take the rows of a custom op out of the tables again."""
    if "." not in name:
        raise GraphError(f"remove_op: expected the name of a custom op, found {name!r}")
    for table in (OPS, FORWARD, VJP, JVP, BATCH, NO_RULE):
        cast(dict[str, Any], table).pop(name, None)
