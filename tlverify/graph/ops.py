"""The op table: for each op its number of inputs, its attributes, and its shape rule.

This is the list of all ops. Every other question about an op (forward value, derivative, exact rule in the
kernel, ...) has a table of its own, keyed by the names below. Broadcasting is explicit: elementwise ops take
equal shapes, and `broadcast_to` makes them equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tlverify.graph.errors import ShapeError

Shape = tuple[int, ...]
Attribute = int | str | tuple[int, ...]
Attributes = Mapping[str, Attribute]

FLOATS = ("float32", "float64")
DTYPES = (*FLOATS, "int64", "bool")


@dataclass(frozen=True)
class Type:
    """Shape and dtype of a value."""

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True)
class Op:
    """`arity` inputs, `attributes` by name with their Python type, and the type of the result."""

    arity: int
    attributes: Mapping[str, type]
    infer: Callable[[tuple[Type, ...], Attributes], Type]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


def _ints(attributes: Attributes, name: str) -> tuple[int, ...]:
    value = attributes[name]
    if not isinstance(value, tuple):
        raise ShapeError(f"attribute {name!r}: expected a list of integers, found {value!r}")
    return value


def _same(types: tuple[Type, ...], attributes: Attributes) -> Type:
    first = types[0]
    for other in types[1:]:
        _require(other == first, f"expected equal shapes and dtypes, found {first} and {other}")
    return first


def _same_float(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same(types, attributes)
    _require(result.dtype in FLOATS, f"expected a float dtype, found {result.dtype}")
    return result


def _same_number(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same(types, attributes)
    _require(result.dtype != "bool", "expected numbers, found bool")
    return result


def _compare(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return Type(_same(types, attributes).shape, "bool")


def _where(types: tuple[Type, ...], attributes: Attributes) -> Type:
    condition, left, right = types
    _require(condition.dtype == "bool", f"condition: expected bool, found {condition.dtype}")
    result = _same((left, right), attributes)
    _require(condition.shape == result.shape, f"condition {condition} does not match {result}")
    return result


def _cast(types: tuple[Type, ...], attributes: Attributes) -> Type:
    dtype = attributes["dtype"]
    _require(dtype in DTYPES, f"dtype: expected one of {', '.join(DTYPES)}, found {dtype!r}")
    return Type(types[0].shape, str(dtype))


def _reshape(types: tuple[Type, ...], attributes: Attributes) -> Type:
    shape = _ints(attributes, "shape")
    _require(min(shape, default=0) >= 0, f"shape: expected sizes >= 0, found {list(shape)}")
    before, after = math.prod(types[0].shape), math.prod(shape)
    _require(before == after, f"cannot reshape {types[0]} ({before} elements) to {list(shape)} ({after})")
    return Type(shape, types[0].dtype)


def _transpose(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axes, shape = _ints(attributes, "axes"), types[0].shape
    _require(sorted(axes) == list(range(len(shape))), f"axes {list(axes)} do not permute {types[0]}")
    return Type(tuple(shape[axis] for axis in axes), types[0].dtype)


def _broadcast_to(types: tuple[Type, ...], attributes: Attributes) -> Type:
    shape, old = _ints(attributes, "shape"), types[0].shape
    _require(min(shape, default=0) >= 0, f"shape: expected sizes >= 0, found {list(shape)}")
    padded = (1,) * (len(shape) - len(old)) + old
    fits = len(padded) == len(shape) and all(a in (1, b) for a, b in zip(padded, shape, strict=True))
    _require(fits, f"cannot broadcast {types[0]} to {list(shape)}")
    return Type(shape, types[0].dtype)


def _reduce(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axes, shape = _ints(attributes, "axes"), types[0].shape
    in_range = all(0 <= axis < len(shape) for axis in axes) and sorted(set(axes)) == list(axes)
    _require(in_range, f"axes {list(axes)}: expected increasing axes of {types[0]}")
    keep = attributes["keepdims"]
    _require(keep in (0, 1), f"keepdims: expected 0 or 1, found {keep!r}")
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    return Type(kept, types[0].dtype)


def _reduce_sum(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _same_number(types, attributes)
    return _reduce(types, attributes)


def _reduce_max(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _reduce_sum(types, attributes)
    empty = any(types[0].shape[axis] == 0 for axis in _ints(attributes, "axes"))
    _require(not empty, f"the maximum over an axis of size 0 does not exist: {types[0]}")
    return result


def _matmul(types: tuple[Type, ...], attributes: Attributes) -> Type:
    left, right = types
    _require(left.dtype == right.dtype, f"expected equal dtypes, found {left} and {right}")
    _require(left.dtype in FLOATS, f"expected a float dtype, found {left.dtype}")
    a, b = left.shape, right.shape
    fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
    _require(fits, f"cannot multiply {left} by {right}: expected (..., m, k) and (..., k, n)")
    return Type((*a[:-1], b[-1]), left.dtype)


def _linear(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, weight, bias = types
    _require(x.dtype == weight.dtype == bias.dtype, f"expected equal dtypes, found {x}, {weight}, {bias}")
    _require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    _require(len(weight.shape) == 2, f"weight: expected (out, in), found {weight}")
    out, features = weight.shape
    _require(bias.shape == (out,), f"bias: expected ({out},) to match weight {weight}, found {bias}")
    fits = len(x.shape) >= 1 and x.shape[-1] == features
    _require(fits, f"input {x}: expected {features} features on the last axis, to match weight {weight}")
    return Type((*x.shape[:-1], out), x.dtype)


OPS: Mapping[str, Op] = {
    # elementwise
    "abs": Op(1, {}, _same_float),
    "add": Op(2, {}, _same_number),
    "cast": Op(1, {"dtype": str}, _cast),
    "detach": Op(1, {}, _same),
    "div": Op(2, {}, _same_float),
    "equal": Op(2, {}, _compare),
    "exp": Op(1, {}, _same_float),
    "greater": Op(2, {}, _compare),
    "log": Op(1, {}, _same_float),
    "maximum": Op(2, {}, _same_number),
    "minimum": Op(2, {}, _same_number),
    "mul": Op(2, {}, _same_number),
    "neg": Op(1, {}, _same_number),
    "relu": Op(1, {}, _same_float),
    "sign": Op(1, {}, _same_float),
    "sqrt": Op(1, {}, _same_float),
    "sub": Op(2, {}, _same_number),
    "where": Op(3, {}, _where),
    # linear algebra
    "linear": Op(3, {}, _linear),
    "matmul": Op(2, {}, _matmul),
    # reductions
    "max": Op(1, {"axes": tuple, "keepdims": int}, _reduce_max),
    "sum": Op(1, {"axes": tuple, "keepdims": int}, _reduce_sum),
    # shape
    "broadcast_to": Op(1, {"shape": tuple}, _broadcast_to),
    "reshape": Op(1, {"shape": tuple}, _reshape),
    "transpose": Op(1, {"axes": tuple}, _transpose),
}


def infer(op: str, types: tuple[Type, ...], attributes: Attributes) -> Type:
    """Type of the result of `op`, or ShapeError. Checks the op name, arity, attribute names and types."""
    row = OPS.get(op)
    if row is None:
        raise ShapeError(f"unknown op {op!r}; known ops: {', '.join(sorted(OPS))}")
    _require(len(types) == row.arity, f"{op}: expected {row.arity} inputs, found {len(types)}")
    if set(attributes) != set(row.attributes):
        expected, found = sorted(row.attributes), sorted(attributes)
        raise ShapeError(f"{op}: expected attributes {expected}, found {found}")
    for name, kind in row.attributes.items():
        _require(
            type(attributes[name]) is kind,
            f"{op}: attribute {name!r}: expected {kind.__name__}, found {attributes[name]!r}",
        )
    try:
        return row.infer(types, attributes)
    except ShapeError as error:
        raise ShapeError(f"{op}: {error}") from None
