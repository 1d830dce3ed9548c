"""Matrix products and normalisation."""

from __future__ import annotations

import math

import numpy as np

from tlverify.graph import FLOATS, infer
from tlverify.graph.types import fraction_text
from tlverify.interop.onnx import division
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import Constant, Given, Lowering, Pending, Value, common_shape
from tlverify.interop.onnx.view import View


def linear(build: Lowering, x: Value, weight: Constant) -> Pending:
    """x Wᵀ for a constant W (out, in), which becomes `linear` with the bias that follows, or 0."""
    zeros = Constant("zeros", np.zeros(len(weight.data), weight.data.dtype))

    def finish(bias: Constant | None) -> Value:
        return build.node("linear", x, weight, bias or zeros)

    return Pending(infer("linear", (x.type, weight.type, zeros.type), {}), -1, finish)


def matmul(node: View) -> list[Given]:
    """As numpy.matmul. A product with a constant matrix on the right is `linear`."""
    build, (a, b) = node.build, node.values
    if not a.type.shape or not b.type.shape:
        raise OnnxError(f"expected matrices or vectors, found {a.type} and {b.type}")
    _check_inner(a.type.shape[-1], b.type.shape[max(-2, -len(b.type.shape))], a, b)
    matrix = isinstance(b, Constant) and math.prod(b.type.shape[:-2]) == 1 and len(b.type.shape) >= 2
    if matrix and isinstance(b, Constant) and not isinstance(a, Constant) and len(a.type.shape) >= len(b.type.shape):
        return [linear(build, a, Constant(b.name, b.data.reshape(b.type.shape[-2:]).T))]
    left = build.reshape(a, (1, *a.type.shape)) if len(a.type.shape) == 1 else a
    right = build.reshape(b, (*b.type.shape, 1)) if len(b.type.shape) == 1 else b
    shape = _product_shape(a, b, left, right)
    if isinstance(right, Constant) and not isinstance(a, Constant) and right.data.ndim == 2:
        return [build.reshape(build.resolve(linear(build, left, Constant(right.name, right.data.T))), shape)]
    batch = common_shape(left.type.shape[:-2], right.type.shape[:-2])
    left = build.broadcast(left, (*batch, *left.type.shape[-2:]))
    right = build.broadcast(right, (*batch, *right.type.shape[-2:]))
    return [build.reshape(build.emit("matmul", left, right), shape)]


def _check_inner(left: int, right: int, a: Value, b: Value) -> None:
    if left != right:
        raise OnnxError(f"cannot multiply {a.type} by {b.type}: their inner sizes differ")


def _product_shape(a: Value, b: Value, left: Value, right: Value) -> tuple[int, ...]:
    batch = common_shape(left.type.shape[:-2], right.type.shape[:-2])
    rows = left.type.shape[-2:-1] if len(a.type.shape) > 1 else ()
    return (*batch, *rows, *(right.type.shape[-1:] if len(b.type.shape) > 1 else ()))


def gemm(node: View) -> list[Given]:
    """alpha A B + beta C, with A or B transposed first."""
    build, a, b = node.build, node.value(0), node.value(1)
    if len(a.type.shape) != 2 or len(b.type.shape) != 2:
        raise OnnxError(f"expected matrices, found {a.type} and {b.type}")
    if node.attributes.get("transA", 0):
        a = build.emit("transpose", a, axes=(1, 0))
    across = bool(node.attributes.get("transB", 0))
    _check_inner(a.type.shape[1], b.type.shape[1 if across else 0], a, b)
    a = division.scale(build, a, node.attributes.get("alpha", 1.0))
    product: Given
    if isinstance(b, Constant) and not isinstance(a, Constant):
        product = linear(build, a, b if across else Constant(b.name, b.data.T))
    else:
        product = build.emit("matmul", a, build.emit("transpose", b, axes=(1, 0)) if across else b)
    beta = node.attributes.get("beta", 1.0)
    if not node.has(2) or beta == 0:
        return [product]
    return [_plus(build, product, division.scale(build, node.value(2), beta))]


def _plus(build: Lowering, product: Given, addend: Value) -> Value:
    """The product plus C, which broadcasts to it."""
    if isinstance(product, Pending):
        bias = as_bias(product, addend)
        if bias is not None:
            return product.finish(bias)
    result = build.resolve(product)
    return build.emit("add", result, build.broadcast(addend, result.type.shape))


def as_bias(product: Pending, other: Value) -> Constant | None:
    """The constant as a bias (channels,), if it depends on the channel only."""
    rank, shape = len(product.type.shape), other.type.shape
    if not isinstance(other, Constant) or len(shape) > rank or other.type.dtype != product.type.dtype:
        return None
    padded = (1,) * (rank - len(shape)) + shape
    channels, place = product.type.shape[product.axis], rank + product.axis
    if math.prod(padded) != padded[place] or padded[place] not in (1, channels):
        return None
    return Constant(other.name, np.broadcast_to(other.data.ravel(), (channels,)))


def batch_norm(node: View) -> list[Given]:
    """scale (x - mean) / sqrt(variance + epsilon) + bias for each channel."""
    x = node.value(0)
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        raise OnnxError("expected statistics for each channel and a model for inference")
    if any(node.outputs[1:]):
        raise OnnxError("its running statistics are not supported; export the model for inference")
    scale, bias, mean, variance = (
        _statistic(node, position, name) for position, name in enumerate(("scale", "B", "mean", "var"), 1)
    )
    if len(x.type.shape) < 2 or x.type.dtype not in FLOATS:
        raise OnnxError(f"expected floats (N, C, ...), found {x.type}")
    epsilon = fraction_text(node.attributes.get("epsilon", float(np.float32(1e-5))), x.type.dtype, "epsilon")
    return [node.build.node("batch_norm", x, mean, variance, scale, bias, axis=1, epsilon=epsilon)]


def _statistic(node: View, position: int, name: str) -> Value:
    value = node.value(position)
    if not isinstance(value, Constant):
        raise OnnxError(f"{name}: expected a constant, found a value that depends on the input")
    return value
