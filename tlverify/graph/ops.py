"""The op table: for each op its number of inputs, its attributes, and its shape rule.

This is the list of all ops. Every other question about an op (forward value, derivative, exact rule in the
kernel, ...) has a table of its own, keyed by the names below. Broadcasting is explicit: elementwise ops take
equal shapes, and `broadcast_to` makes them equal.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tlverify.graph import indices, matrices, windows
from tlverify.graph.errors import ShapeError
from tlverify.graph.types import DTYPES as DTYPES
from tlverify.graph.types import FLOATS as FLOATS
from tlverify.graph.types import Attribute as Attribute
from tlverify.graph.types import Attributes as Attributes
from tlverify.graph.types import Shape as Shape
from tlverify.graph.types import Type as Type
from tlverify.graph.types import fraction as fraction
from tlverify.graph.types import fraction_text as fraction_text
from tlverify.graph.types import integers, require


@dataclass(frozen=True)
class Op:
    """`arity` inputs (None: one or more), `attributes` by name with their Python type, and the type of the result."""

    arity: int | None
    attributes: Mapping[str, type]
    infer: Callable[[tuple[Type, ...], Attributes], Type]


def _same(types: tuple[Type, ...], attributes: Attributes) -> Type:
    first = types[0]
    for other in types[1:]:
        require(other == first, f"expected equal shapes and dtypes, found {first} and {other}")
    return first


def _same_float(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same(types, attributes)
    require(result.dtype in FLOATS, f"expected a float dtype, found {result.dtype}")
    return result


def _same_number(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same(types, attributes)
    require(result.dtype != "bool", "expected numbers, found bool")
    return result


def _compare(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return Type(_same(types, attributes).shape, "bool")


def _where(types: tuple[Type, ...], attributes: Attributes) -> Type:
    condition, left, right = types
    require(condition.dtype == "bool", f"condition: expected bool, found {condition.dtype}")
    result = _same((left, right), attributes)
    require(condition.shape == result.shape, f"condition {condition} does not match {result}")
    return result


def _cast(types: tuple[Type, ...], attributes: Attributes) -> Type:
    dtype = attributes["dtype"]
    require(dtype in DTYPES, f"dtype: expected one of {', '.join(DTYPES)}, found {dtype!r}")
    return Type(types[0].shape, str(dtype))


def _reshape(types: tuple[Type, ...], attributes: Attributes) -> Type:
    shape = integers(attributes, "shape")
    require(min(shape, default=0) >= 0, f"shape: expected sizes >= 0, found {list(shape)}")
    before, after = math.prod(types[0].shape), math.prod(shape)
    require(before == after, f"cannot reshape {types[0]} ({before} elements) to {list(shape)} ({after})")
    return Type(shape, types[0].dtype)


def _transpose(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axes, shape = integers(attributes, "axes"), types[0].shape
    require(sorted(axes) == list(range(len(shape))), f"axes {list(axes)} do not permute {types[0]}")
    return Type(tuple(shape[axis] for axis in axes), types[0].dtype)


def _broadcast_to(types: tuple[Type, ...], attributes: Attributes) -> Type:
    shape, old = integers(attributes, "shape"), types[0].shape
    require(min(shape, default=0) >= 0, f"shape: expected sizes >= 0, found {list(shape)}")
    padded = (1,) * (len(shape) - len(old)) + old
    fits = len(padded) == len(shape) and all(a in (1, b) for a, b in zip(padded, shape, strict=True))
    require(fits, f"cannot broadcast {types[0]} to {list(shape)}")
    return Type(shape, types[0].dtype)


def _reduce(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axes, shape = integers(attributes, "axes"), types[0].shape
    in_range = all(0 <= axis < len(shape) for axis in axes) and sorted(set(axes)) == list(axes)
    require(in_range, f"axes {list(axes)}: expected increasing axes of {types[0]}")
    keep = attributes["keepdims"]
    require(keep in (0, 1), f"keepdims: expected 0 or 1, found {keep!r}")
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    return Type(kept, types[0].dtype)


def _reduce_sum(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _same_number(types, attributes)
    return _reduce(types, attributes)


def _reduce_max(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _reduce_sum(types, attributes)
    empty = any(types[0].shape[axis] == 0 for axis in integers(attributes, "axes"))
    require(not empty, f"the maximum over an axis of size 0 does not exist: {types[0]}")
    return result


def _matmul(types: tuple[Type, ...], attributes: Attributes) -> Type:
    left, right = types
    require(left.dtype == right.dtype, f"expected equal dtypes, found {left} and {right}")
    require(left.dtype in FLOATS, f"expected a float dtype, found {left.dtype}")
    a, b = left.shape, right.shape
    fits = len(a) == len(b) >= 2 and a[:-2] == b[:-2] and a[-1] == b[-2]
    require(fits, f"cannot multiply {left} by {right}: expected (..., m, k) and (..., k, n)")
    return Type((*a[:-1], b[-1]), left.dtype)


def _linear(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, weight, bias = types
    require(x.dtype == weight.dtype == bias.dtype, f"expected equal dtypes, found {x}, {weight}, {bias}")
    require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    require(len(weight.shape) == 2, f"weight: expected (out, in), found {weight}")
    out, features = weight.shape
    require(bias.shape == (out,), f"bias: expected ({out},) to match weight {weight}, found {bias}")
    fits = len(x.shape) >= 1 and x.shape[-1] == features
    require(fits, f"input {x}: expected {features} features on the last axis, to match weight {weight}")
    return Type((*x.shape[:-1], out), x.dtype)


def _batch_norm(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, axis = types[0], attributes["axis"]
    require(x.dtype in FLOATS, f"expected a float dtype, found {x.dtype}")
    if not isinstance(axis, int) or not 0 <= axis < len(x.shape):
        raise ShapeError(f"axis: expected an axis of {x}, found {axis!r}")
    expected = Type((x.shape[axis],), x.dtype)
    for name, type_ in zip(("mean", "variance", "scale", "bias"), types[1:], strict=True):
        require(type_ == expected, f"{name}: expected {expected}, to match axis {axis} of {x}, found {type_}")
    epsilon = fraction(attributes, "epsilon", x.dtype)
    require(epsilon > 0, f"epsilon: expected a number > 0, found {epsilon}")
    return x


def _scale(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same_float(types, attributes)
    fraction(attributes, "factor", result.dtype)
    return result


def _leaky_relu(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same_float(types, attributes)
    fraction(attributes, "slope", result.dtype)
    return result


def _clamp(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same_float(types, attributes)
    least, most = (fraction(attributes, name, result.dtype) for name in ("minimum", "maximum"))
    require(least <= most, f"expected minimum <= maximum, found {least} and {most}")
    return result


def _concat(types: tuple[Type, ...], attributes: Attributes) -> Type:
    first, axis = types[0], attributes["axis"]
    if not isinstance(axis, int) or not 0 <= axis < len(first.shape):
        raise ShapeError(f"axis: expected an axis of {first}, found {axis!r}")
    for other in types[1:]:
        fits = len(other.shape) == len(first.shape) and other.dtype == first.dtype
        fits = fits and all(i == axis or n == first.shape[i] for i, n in enumerate(other.shape))
        require(fits, f"expected equal dtypes and sizes except on axis {axis}, found {first} and {other}")
    joined = sum(type_.shape[axis] for type_ in types)
    return Type((*first.shape[:axis], joined, *first.shape[axis + 1 :]), first.dtype)


def _slice(types: tuple[Type, ...], attributes: Attributes) -> Type:
    x, rank = types[0], len(types[0].shape)
    starts, stops = integers(attributes, "starts", rank, 0), integers(attributes, "stops", rank, 0)
    steps = integers(attributes, "steps", rank, 1)
    inside = all(a <= b <= n for a, b, n in zip(starts, stops, x.shape, strict=True))
    require(inside, f"expected 0 <= start <= stop <= size on each axis of {x}, found {list(starts)} to {list(stops)}")
    return Type(tuple(-((a - b) // step) for a, b, step in zip(starts, stops, steps, strict=True)), x.dtype)


def _pad(types: tuple[Type, ...], attributes: Attributes) -> Type:
    result = _same_float(types, attributes)
    before, after = (integers(attributes, name, len(result.shape), 0) for name in ("before", "after"))
    fraction(attributes, "value", result.dtype)
    return Type(tuple(a + n + b for a, n, b in zip(before, result.shape, after, strict=True)), result.dtype)


_WINDOW = {"kernel": tuple, "stride": tuple, "padding": tuple, "dilation": tuple}

OPS: Mapping[str, Op] = {
    # elementwise
    "abs": Op(1, {}, _same_float),
    "add": Op(2, {}, _same_number),
    "batch_norm": Op(5, {"axis": int, "epsilon": str}, _batch_norm),
    "cast": Op(1, {"dtype": str}, _cast),
    "clamp": Op(1, {"minimum": str, "maximum": str}, _clamp),
    "cos": Op(1, {}, _same_float),
    "detach": Op(1, {}, _same),
    "div": Op(2, {}, _same_float),
    "equal": Op(2, {}, _compare),
    "erf": Op(1, {}, _same_float),
    "exp": Op(1, {}, _same_float),
    "expm1": Op(1, {}, _same_float),
    "greater": Op(2, {}, _compare),
    "leaky_relu": Op(1, {"slope": str}, _leaky_relu),
    "log": Op(1, {}, _same_float),
    "log1p": Op(1, {}, _same_float),
    "maximum": Op(2, {}, _same_number),
    "minimum": Op(2, {}, _same_number),
    "mul": Op(2, {}, _same_number),
    "neg": Op(1, {}, _same_number),
    "pow": Op(2, {}, _same_float),
    "relu": Op(1, {}, _same_float),
    "scale": Op(1, {"factor": str}, _scale),
    "sigmoid": Op(1, {}, _same_float),
    "sign": Op(1, {}, _same_float),
    "sin": Op(1, {}, _same_float),
    "softplus": Op(1, {}, _same_float),
    "sqrt": Op(1, {}, _same_float),
    "sub": Op(2, {}, _same_number),
    "tanh": Op(1, {}, _same_float),
    "where": Op(3, {}, _where),
    # linear algebra
    "cholesky": Op(1, {}, matrices.cholesky),
    "linear": Op(3, {}, _linear),
    "matmul": Op(2, {}, _matmul),
    "qr": Op(1, {}, matrices.qr),
    "solve": Op(2, {}, matrices.solve),
    # Fourier transforms, over pairs of real and imaginary part
    "fft": Op(1, {"inverse": int}, matrices.fft),
    "irfft": Op(1, {"size": int}, matrices.irfft),
    "rfft": Op(1, {}, matrices.rfft),
    # choosing, ordering and accumulating along an axis
    "argmax": Op(1, {"axis": int}, indices.argmax),
    "argsort": Op(1, {"axis": int, "descending": int}, indices.argsort),
    "cumsum": Op(1, {"axis": int, "reverse": int}, indices.cumsum),
    "gather": Op(2, {"batch": int}, indices.gather),
    "scatter_add": Op(2, {"batch": int, "size": int}, indices.scatter_add),
    # random numbers, a function of a key
    "random_uniform": Op(1, {"shape": tuple, "dtype": str}, matrices.random_uniform),
    # windows over the last two axes
    "avg_pool2d": Op(
        1, {"kernel": tuple, "stride": tuple, "padding": tuple, "count_include_pad": int}, windows.avg_pool2d
    ),
    "conv2d": Op(3, {"stride": tuple, "padding": tuple, "dilation": tuple, "groups": int}, windows.conv2d),
    "fold": Op(1, {**_WINDOW, "size": tuple}, windows.fold),
    "max_pool2d": Op(1, _WINDOW, windows.max_pool2d),
    "windows": Op(1, _WINDOW, windows.windows),
    # reductions
    "max": Op(1, {"axes": tuple, "keepdims": int}, _reduce_max),
    "sum": Op(1, {"axes": tuple, "keepdims": int}, _reduce_sum),
    # shape
    "broadcast_to": Op(1, {"shape": tuple}, _broadcast_to),
    "concat": Op(None, {"axis": int}, _concat),
    "pad": Op(1, {"before": tuple, "after": tuple, "value": str}, _pad),
    "reshape": Op(1, {"shape": tuple}, _reshape),
    "slice": Op(1, {"starts": tuple, "stops": tuple, "steps": tuple}, _slice),
    "transpose": Op(1, {"axes": tuple}, _transpose),
}


def infer(op: str, types: tuple[Type, ...], attributes: Attributes) -> Type:
    """Type of the result of `op`, or ShapeError. Checks the op name, arity, attribute names and types."""
    row = OPS.get(op)
    if row is None:
        near = difflib.get_close_matches(op, OPS, n=3, cutoff=0.4)
        raise ShapeError(f"unknown op {op!r}; {', '.join(near) or 'none'} of the {len(OPS)} known ones come near")
    wanted = "one or more" if row.arity is None else row.arity
    fits = bool(types) if row.arity is None else len(types) == row.arity
    require(fits, f"{op}: expected {wanted} inputs, found {len(types)}")
    if set(attributes) != set(row.attributes):
        expected, found = sorted(row.attributes), sorted(attributes)
        raise ShapeError(f"{op}: expected attributes {expected}, found {found}")
    for name, kind in row.attributes.items():
        require(
            type(attributes[name]) is kind,
            f"{op}: attribute {name!r}: expected {kind.__name__}, found {attributes[name]!r}",
        )
    try:
        return row.infer(types, attributes)
    except ShapeError as error:
        raise ShapeError(f"{op}: {error}") from None
