"""The public functions: NumPy's conventions for axes and broadcasting, written out as ops.

Every function takes Tensors, arrays and scalars. With a Tensor among them it adds nodes to its trace, with
arrays only it computes at once.
"""
# ruff: noqa: A001, A004

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tlverify.core.backend import namespace
from tlverify.core.ops.apply import Value, apply, as_value, broadcast, same_dtype, same_shape, trace_of
from tlverify.core.ops.indexing import slice as slice
from tlverify.graph import Shape, ShapeError
from tlverify.graph.ops import fraction_text

Axes = int | Sequence[int] | None


def abs(x: Value) -> Value:
    """|x|. The derivative at 0 is 0."""
    return apply("abs", as_value(x))


def add(a: Value, b: Value) -> Value:
    """a + b."""
    return _elementwise("add", a, b)


def sub(a: Value, b: Value) -> Value:
    """a - b."""
    return _elementwise("sub", a, b)


def mul(a: Value, b: Value) -> Value:
    """a * b, elementwise."""
    return _elementwise("mul", a, b)


def div(a: Value, b: Value) -> Value:
    """a / b, elementwise, for floats."""
    return _elementwise("div", a, b)


def neg(x: Value) -> Value:
    """-x."""
    return apply("neg", as_value(x))


def exp(x: Value) -> Value:
    """e to the power x."""
    return apply("exp", as_value(x))


def log(x: Value) -> Value:
    """Natural logarithm."""
    return apply("log", as_value(x))


def expm1(x: Value) -> Value:
    """exp(x) - 1, accurate near 0."""
    return apply("expm1", as_value(x))


def log1p(x: Value) -> Value:
    """log(1 + x), accurate near 0."""
    return apply("log1p", as_value(x))


def sqrt(x: Value) -> Value:
    """Square root."""
    return apply("sqrt", as_value(x))


def pow(a: Value, b: Value) -> Value:
    """a to the power b. The derivative by b is 0 where a is not above 0."""
    return square(a) if isinstance(b, int | float) and b == 2 else _elementwise("pow", a, b)


def sin(x: Value) -> Value:
    """Sine of radians."""
    return apply("sin", as_value(x))


def cos(x: Value) -> Value:
    """Cosine of radians."""
    return apply("cos", as_value(x))


def tanh(x: Value) -> Value:
    """Hyperbolic tangent."""
    return apply("tanh", as_value(x))


def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(-x))."""
    return apply("sigmoid", as_value(x))


def softplus(x: Value) -> Value:
    """log(1 + exp(x))."""
    return apply("softplus", as_value(x))


def erf(x: Value) -> Value:
    """The error function 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return apply("erf", as_value(x))


def square(x: Value) -> Value:
    """x * x."""
    return mul(x, x)


def sign(x: Value) -> Value:
    """-1, 0 or 1 in the dtype of x. The derivative is 0 everywhere."""
    return apply("sign", as_value(x))


def relu(x: Value) -> Value:
    """max(x, 0). The derivative at 0 is 0."""
    return apply("relu", as_value(x))


def leaky_relu(x: Value, negative_slope: float = 0.01) -> Value:
    """x where x > 0, `negative_slope` * x elsewhere. The derivative at 0 is the slope."""
    x = as_value(x)
    return apply("leaky_relu", x, slope=fraction_text(negative_slope, str(x.dtype), "leaky_relu: negative_slope"))


def maximum(a: Value, b: Value) -> Value:
    """The larger of a and b, elementwise. Where they are equal each takes half of the derivative."""
    return _elementwise("maximum", a, b)


def minimum(a: Value, b: Value) -> Value:
    """The smaller of a and b, elementwise. Where they are equal each takes half of the derivative."""
    return _elementwise("minimum", a, b)


def clip(x: Value, lower: Value, upper: Value) -> Value:
    """x limited to [lower, upper]."""
    return minimum(maximum(x, lower), upper)


def clamp(x: Value, minimum: float, maximum: float) -> Value:
    """x limited to [minimum, maximum], which are constants of the op. The derivative at both is 1."""
    x = as_value(x)
    least, most = (fraction_text(v, str(x.dtype), "clamp: limits") for v in (minimum, maximum))
    return apply("clamp", x, minimum=least, maximum=most)


def scale(x: Value, factor: float) -> Value:
    """x times a constant of the op."""
    x = as_value(x)
    return apply("scale", x, factor=fraction_text(factor, str(x.dtype), "scale: factor"))


def greater(a: Value, b: Value) -> Value:
    """a > b, as bool."""
    return _elementwise("greater", a, b)


def less(a: Value, b: Value) -> Value:
    """a < b, as bool."""
    return greater(b, a)


def equal(a: Value, b: Value) -> Value:
    """a == b, as bool."""
    return _elementwise("equal", a, b)


def where(condition: Value, a: Value, b: Value) -> Value:
    """a where the bool `condition` holds, b elsewhere."""
    return apply("where", *same_shape("where", as_value(condition), *same_dtype("where", a, b)))


def cast(x: Value, dtype: str) -> Value:
    """x in another dtype: float32, float64, int64 or bool."""
    x = as_value(x)
    return x if x.dtype == dtype else apply("cast", x, dtype=dtype)


def detach(x: Value) -> Value:
    """x, with derivative 0."""
    return apply("detach", as_value(x))


def linear(x: Value, weight: Value, bias: Value | None = None) -> Value:
    """x @ weight.T + bias: x (..., in), weight (out, in), bias (out,) -> (..., out)."""
    if bias is None:
        x, weight = same_dtype("linear", x, weight)
        bias = namespace(weight).zeros(weight.shape[:1], weight.dtype)
    return apply("linear", *same_dtype("linear", x, weight, bias))


def matmul(a: Value, b: Value) -> Value:
    """Matrix product over the last two axes; leading axes broadcast, 1-d operands are vectors."""
    a, b = same_dtype("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: expected at least one axis, found shapes {list(a.shape)} and {list(b.shape)}")
    left = reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    right = reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ShapeError(f"matmul: leading axes of {list(a.shape)} and {list(b.shape)} do not broadcast") from None
    left, right = (broadcast(m, (*batch, *m.shape[-2:])) for m in (left, right))
    result = apply("matmul", left, right)
    rows = () if a.ndim == 1 else result.shape[-2:-1]
    columns = () if b.ndim == 1 else result.shape[-1:]
    return reshape(result, (*batch, *rows, *columns))


def sum(x: Value, axes: Axes = None, keepdims: bool = False) -> Value:
    """Sum over `axes`, all of them by default."""
    x = as_value(x)
    return apply("sum", x, axes=normalize_axes("sum", axes, x.ndim), keepdims=int(keepdims))


def mean(x: Value, axes: Axes = None, keepdims: bool = False) -> Value:
    """Mean over `axes`, all of them by default."""
    x = as_value(x)
    count = math.prod(x.shape[axis] for axis in normalize_axes("mean", axes, x.ndim))
    if count == 0:
        raise ShapeError(f"mean: no elements along axes {axes} of shape {list(x.shape)}")
    return div(sum(x, axes, keepdims), float(count))


def max(x: Value, axes: Axes = None, keepdims: bool = False) -> Value:
    """Maximum over `axes`, all of them by default. Equal maxima share the derivative equally."""
    x = as_value(x)
    return apply("max", x, axes=normalize_axes("max", axes, x.ndim), keepdims=int(keepdims))


def min(x: Value, axes: Axes = None, keepdims: bool = False) -> Value:
    """Minimum over `axes`, all of them by default. Equal minima share the derivative equally."""
    return neg(max(neg(x), axes, keepdims))


def broadcast_to(x: Value, shape: Sequence[int]) -> Value:
    """x repeated to `shape` by NumPy's rule."""
    return broadcast(as_value(x), _sizes((shape,)))


def reshape(x: Value, *shape: int | Sequence[int]) -> Value:
    """x with the same elements in another shape. One size may be -1: it is worked out."""
    x = as_value(x)
    sizes = _sizes(shape)
    if sizes.count(-1) == 1:
        known = math.prod(size for size in sizes if size != -1)
        rest = math.prod(x.shape) // known if known else 0
        sizes = tuple(rest if size == -1 else size for size in sizes)
    return x if x.shape == sizes else apply("reshape", x, shape=sizes)


def transpose(x: Value, axes: Sequence[int] | None = None) -> Value:
    """x with its axes permuted; reversed by default."""
    x = as_value(x)
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(int(a + x.ndim if a < 0 else a) for a in axes)
    return x if order == tuple(range(x.ndim)) else apply("transpose", x, axes=order)


def logsumexp(x: Value, axes: Axes = -1, keepdims: bool = False) -> Value:
    """log(sum(exp(x))) without overflow."""
    x = as_value(x)
    peak = detach(max(x, axes, keepdims=True))
    total = add(log(sum(exp(sub(x, peak)), axes, keepdims=True)), peak)
    return total if keepdims else reshape(total, _dropped(x, axes))


def log_softmax(x: Value, axes: Axes = -1) -> Value:
    """x - logsumexp(x)."""
    x = as_value(x)
    shifted = sub(x, detach(max(x, axes, keepdims=True)))
    return sub(shifted, log(sum(exp(shifted), axes, keepdims=True)))


def softmax(x: Value, axes: Axes = -1) -> Value:
    """exp(x) / sum(exp(x)) without overflow."""
    x = as_value(x)
    powers = exp(sub(x, detach(max(x, axes, keepdims=True))))
    return div(powers, sum(powers, axes, keepdims=True))


def one_hot(labels: Value, classes: int, dtype: str = "float32") -> Value:
    """int64 labels (...) -> (..., classes) with 1 at the label. A label outside 0..classes-1 gives zeros."""
    labels = as_value(labels)
    if labels.dtype != "int64":
        raise ShapeError(f"one_hot: expected int64 labels, found {labels.dtype}")
    columns = namespace(labels).arange(classes, dtype="int64")
    return cast(equal(reshape(labels, (*labels.shape, 1)), columns), dtype)


def zeros_like(x: Value) -> Value:
    """Zeros of the shape and dtype of x."""
    return _filled(x, 0)


def ones_like(x: Value) -> Value:
    """Ones of the shape and dtype of x."""
    return _filled(x, 1)


def normalize_axes(op: str, axes: Axes, ndim: int) -> Shape:
    """Increasing axes in 0..ndim-1 for an int, a sequence, or None for all; ShapeError otherwise."""
    if axes is None:
        return tuple(range(ndim))
    given = tuple(int(axis) for axis in axes) if isinstance(axes, Sequence) else (int(axes),)
    result = tuple(sorted({axis + ndim if axis < 0 else axis for axis in given}))
    if len(result) != len(given) or any(not 0 <= axis < ndim for axis in result):
        raise ShapeError(f"{op}: axes {list(given)} are not distinct axes of a value with {ndim} axes")
    return result


def _elementwise(op: str, *values: Value) -> Value:
    return apply(op, *same_shape(op, *same_dtype(op, *values)))


def _sizes(shape: tuple[int | Sequence[int], ...]) -> Shape:
    given = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return tuple(int(size) for size in given)  # type: ignore[arg-type]


def _dropped(x: Value, axes: Axes) -> Shape:
    gone = normalize_axes("logsumexp", axes, x.ndim)
    return tuple(size for axis, size in enumerate(x.shape) if axis not in gone)


def _filled(x: Value, value: int) -> Value:
    x = as_value(x)
    trace = trace_of(x)
    if trace is None:
        return namespace(x).full(x.shape, value, x.dtype)
    return broadcast(trace.constant(value, x.dtype), x.shape)
