"""Applying an op: at once on arrays, as a new node on Tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlverify.core.backend import as_array, namespace
from tlverify.core.ops.forward import FORWARD
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import Shape, ShapeError, Type, infer

Value = Any
"""A Tensor while a function is traced, otherwise an array or a scalar."""


def type_of(value: Value) -> Type:
    """Shape and dtype of a Tensor or array."""
    return value.type if isinstance(value, Tensor) else Type(value.shape, value.dtype.name)


def trace_of(*values: Value) -> Trace | None:
    """The innermost trace among the Tensors in `values`; None if there are none."""
    traces = [value.trace for value in values if isinstance(value, Tensor)]
    return max(traces, key=lambda trace: trace.number) if traces else None


def apply(op: str, *values: Value, **attributes: Any) -> Value:
    """`op` of Tensors and arrays that already have the types it takes; ShapeError if they do not."""
    trace = trace_of(*values)
    if trace is not None:
        names = [trace.lift(value).name for value in values]
        return Tensor(trace, trace.node(op, *names, **attributes))
    infer(op, tuple(type_of(value) for value in values), attributes)
    result = FORWARD[op](*values, **attributes)
    return result if all(isinstance(value, np.generic) for value in values) else as_array(result)


def as_value(value: Value) -> Value:
    """A Tensor or array as it is; a Python scalar as a NumPy scalar, a list as an array."""
    return value if isinstance(value, Tensor) or hasattr(value, "dtype") else np.asarray(value)[()]


def same_dtype(op: str, *values: Value) -> tuple[Value, ...]:
    """The values as Tensors or arrays of one dtype.

    Scalars, of Python or NumPy, and constants met in a trace take the dtype of the others. Nothing else is
    converted: ShapeError asks for a cast.
    """
    trace = trace_of(*values)
    typed = [v for v in values if isinstance(v, Tensor) or (trace is None and _has_dtype(v))]
    if not typed:
        dtype = np.result_type(*values)
        return tuple(np.asarray(value, dtype)[()] for value in values)
    first, *others = (type_of(value) for value in typed)
    for other in others:
        if other.dtype != first.dtype:
            remedy = f"cast one, as in ops.cast(x, {first.dtype!r})"
            raise ShapeError(f"{op}: {first} and {other} have different dtypes; {remedy}")
    if trace is not None:
        return tuple(trace.lift(v) if isinstance(v, Tensor) else trace.constant(v, first.dtype) for v in values)
    xp = namespace(*typed)
    return tuple(v if _has_dtype(v) else xp.asarray(v, dtype=first.dtype) for v in values)


def same_shape(op: str, *values: Value) -> tuple[Value, ...]:
    """The values broadcast against each other by NumPy's rule, with explicit nodes."""
    shapes = [value.shape for value in values]
    if all(shape == shapes[0] for shape in shapes):
        return values
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(str(list(shape)) for shape in shapes)
        raise ShapeError(f"{op}: shapes {found} do not broadcast together") from None
    return tuple(broadcast(value, shape) for value in values)


def beside(array: Any, like: Value, dtype: str | None = None) -> Any:
    """The array as a constant to use with `like`: on its device if that is an array."""
    xp = np if trace_of(like) is not None else namespace(like)
    return xp.asarray(array, dtype=dtype)


def broadcast(value: Value, shape: Shape) -> Value:
    """`value` repeated to `shape`; no node if it has that shape already."""
    return value if value.shape == shape else apply("broadcast_to", value, shape=shape)


def _has_dtype(value: Value) -> bool:
    return hasattr(value, "dtype") and not isinstance(value, np.generic)
