"""Elementwise ops. Broadcasting becomes explicit."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from tlverify.graph import FLOATS, ShapeError
from tlverify.graph.types import fraction_text
from tlverify.interop.onnx import division
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import Constant, Given, Pending, Value, common_shape
from tlverify.interop.onnx.reader import stored
from tlverify.interop.onnx.rules_linear import as_bias
from tlverify.interop.onnx.view import View

CASTS = {1: "float32", 6: "int64", 7: "int64", 9: "bool", 11: "float64"}


def unary(op: str, node: View) -> list[Given]:
    return [node.build.emit(op, node.value(0))]


def same(node: View) -> list[Given]:
    """Identity."""
    return [node.value(0)]


def variadic(op: str, node: View) -> list[Given]:
    """Max, Min and Sum of one or more values, from left to right."""
    first, *others = node.values
    for other in others:
        first = node.build.emit(op, *node.build.together(first, other))
    return [first]


def binary(op: str, node: View) -> list[Given]:
    return [node.build.emit(op, *node.build.together(*node.values))]


def add(node: View) -> list[Given]:
    """A sum; a bias that follows a product is taken into it."""
    for product, other in (node.given, node.given[::-1]):
        if isinstance(product, Pending) and other is not None and not isinstance(other, Pending):
            bias = as_bias(product, other)
            if bias is not None:
                return [product.finish(bias)]
    a, b = node.values
    if _adds_nothing(b, a):
        return [a]
    return [b] if _adds_nothing(a, b) else binary("add", node)


def sub(node: View) -> list[Given]:
    """A difference; nothing is done where zeros are taken away, as in networks with an unused mean."""
    a, b = node.values
    return [a] if _adds_nothing(b, a) else binary("sub", node)


def _adds_nothing(value: Value, to: Value) -> bool:
    """Whether a value is zeros that do not change the shape or dtype of another."""
    if not isinstance(value, Constant) or value.type.dtype != to.type.dtype or value.data.any():
        return False
    return common_shape(value.type.shape, to.type.shape) == to.type.shape


def mul(node: View) -> list[Given]:
    a, b = node.values
    for x, constant in ((a, b), (b, a)):
        floats = x.type.dtype == constant.type.dtype and x.type.dtype in FLOATS
        if floats and isinstance(constant, Constant):
            return [division.multiply(node.build, x, constant)]
    return binary("mul", node)


def div(node: View) -> list[Given]:
    x, divisor = node.values
    if isinstance(divisor, Constant) and divisor.type.dtype in FLOATS and x.type.dtype == divisor.type.dtype:
        return [division.divide(node.build, x, divisor)]
    if isinstance(divisor, Constant) and isinstance(x, Constant):
        return [_quotient_of_integers(x, divisor)]
    return binary("div", node)


def _quotient_of_integers(x: Constant, divisor: Constant) -> Constant:
    """Integers are divided towards 0."""
    if x.type.dtype != "int64" or divisor.type.dtype != "int64":
        raise OnnxError(f"expected equal dtypes, found {x.type} and {divisor.type}")
    if (divisor.data == 0).any():
        raise OnnxError("division of integers by 0")
    signs = np.sign(x.data) * np.sign(divisor.data)
    return Constant(x.name, signs * (np.abs(x.data) // np.abs(divisor.data)))


def less(node: View) -> list[Given]:
    a, b = node.build.together(*node.values)
    return [node.build.emit("greater", b, a)]


def cast(node: View) -> list[Given]:
    x, wanted = node.value(0), CASTS.get(node.attributes.get("to", 0))
    if wanted is None:
        raise OnnxError(f"to: expected a cast to float32, float64, int32, int64 or bool, found {node.attributes}")
    if x.type.dtype == wanted:
        return [x]
    if not isinstance(x, Constant):
        return [node.build.node("cast", x, dtype=wanted)]
    with np.errstate(all="ignore"):
        data = x.data.astype(wanted)
        if wanted in FLOATS and not np.array_equal(data.astype(x.data.dtype), x.data):
            raise OnnxError(f"constant {x.name!r}: the cast to {wanted} would round it")
    return [Constant(x.name, stored(data, x.name))]


def leaky_relu(node: View) -> list[Given]:
    x, alpha = node.value(0), node.attributes.get("alpha", float(np.float32(0.01)))
    return [node.build.emit("leaky_relu", x, slope=fraction_text(alpha, x.type.dtype, "alpha"))]


def prelu(node: View) -> list[Given]:
    """relu(x) - slope relu(-x); `leaky_relu` if all slopes are equal."""
    x, slope = node.value(0), node.value(1)
    if not isinstance(slope, Constant):
        raise OnnxError("slope: expected a constant, found a value that depends on the input")
    flat = slope.data.ravel()
    if flat.size and (flat == flat[0]).all():
        text = fraction_text(float(flat[0]), x.type.dtype, "slope")
        return [node.build.emit("leaky_relu", x, slope=text)]
    build = node.build
    below = division.multiply(build, build.emit("relu", build.emit("neg", x)), slope)
    return [build.emit("sub", build.emit("relu", x), below)]


def clip(node: View) -> list[Given]:
    """min(max(x, least), most), where each may be left out."""
    x = node.value(0)
    ends: list[float | None] = []
    for position, name in ((1, "min"), (2, "max")):
        if node.opset < 11:
            end = node.attributes.get(name)
        else:
            end = _number(node.constant(position, name), name) if node.has(position) else None
        ends.append(None if end is None or math.isinf(end) else end)
    least, most = ends
    if x.type.dtype not in FLOATS:
        raise ShapeError(f"expected floats, found {x.type}")
    if least is not None and most is not None:
        low, high = (fraction_text(end, x.type.dtype) for end in (least, most))
        return [node.build.node("clamp", x, minimum=low, maximum=high)]
    if least == 0:
        return [node.build.emit("relu", x)]
    for end, op in ((least, "maximum"), (most, "minimum")):
        if end is not None:
            return [node.build.emit(op, x, Constant("limit", np.full(x.type.shape, end, x.type.dtype)))]
    return [x]


def _number(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], name: str) -> float:
    if array.size != 1:
        raise OnnxError(f"{name}: expected one number, found {array.size}")
    return float(array.ravel()[0])


def dropout(node: View) -> list[Given]:
    """Nothing happens when a model is not in training."""
    if node.has(2) and node.constant(2, "training_mode").any():
        raise OnnxError("training_mode: expected a model for inference")
    return [node.value(0)]


def where(node: View) -> list[Given]:
    return [node.build.emit("where", *node.build.together(*node.values))]


abs_, neg, relu, sign, exp, log, sqrt = (
    partial(unary, op) for op in ("abs", "neg", "relu", "sign", "exp", "log", "sqrt")
)
cos, erf, sigmoid, sin, softplus, tanh = (
    partial(unary, op) for op in ("cos", "erf", "sigmoid", "sin", "softplus", "tanh")
)
