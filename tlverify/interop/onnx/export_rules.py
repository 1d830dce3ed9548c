"""EXPORT: every op of the graph in ONNX ops of version 17."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from tlverify.graph import Node
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.writer import ELEMENTS, Writer

MAX_KERNEL = 1 << 12

Export = Callable[[Node, Writer], Any]


def plain(op: str, node: Node, out: Writer) -> None:
    """The same op under another name."""
    out.emit(op, *node.inputs, name=node.name)


def batch_norm(node: Node, out: Writer) -> None:
    """BatchNormalization has its channels on axis 1, and an epsilon of float32."""
    x, mean, variance, scale, bias = node.inputs
    axis, epsilon = _integer(node, "axis"), _number(node, "epsilon")
    if node.dtype != "float32":
        channels = (-1, *(1,) * (len(node.shape) - axis - 1))
        mean, variance, scale, bias = (out.reshape(node, v, channels) for v in (mean, variance, scale, bias))
        centred = out.emit("Sub", x, mean, name=out.part(node))
        spread = out.emit("Add", variance, out.number(node, epsilon), name=out.part(node))
        gain = out.emit("Div", scale, out.emit("Sqrt", spread, name=out.part(node)), name=out.part(node))
        out.emit("Add", out.emit("Mul", centred, gain, name=out.part(node)), bias, name=node.name)
        return
    direct = axis == 1
    shape = node.shape
    if not direct:
        x = out.reshape(node, x, (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
    name = node.name if direct else out.part(node)
    out.emit("BatchNormalization", x, scale, bias, mean, variance, name=name, epsilon=epsilon)
    if not direct:
        out.reshape(node, name, shape, node.name)


def broadcast_to(node: Node, out: Writer) -> None:
    out.emit("Expand", *node.inputs, out.integers(node, node.shape), name=node.name)


def cast(node: Node, out: Writer) -> None:
    out.emit("Cast", *node.inputs, name=node.name, to=ELEMENTS[node.dtype])


def clamp(node: Node, out: Writer) -> None:
    ends = [out.number(node, _number(node, key)) for key in ("minimum", "maximum")]
    out.emit("Clip", *node.inputs, *ends, name=node.name)


def argmax(node: Node, out: Writer) -> None:
    out.emit("ArgMax", *node.inputs, name=node.name, axis=node.attributes["axis"], keepdims=0)


def argsort(node: Node, out: Writer) -> None:
    """TopK of all elements, which also puts the first of equal ones first."""
    axis, largest = _integer(node, "axis"), node.attributes["descending"]
    count = out.integers(node, (node.shape[axis],))
    out.emit("TopK", *node.inputs, count, name=node.name, unused=out.part(node), axis=axis, largest=largest)


def cumsum(node: Node, out: Writer) -> None:
    axis = out.constant(node, np.array(_integer(node, "axis"), np.int64))
    out.emit("CumSum", *node.inputs, axis, name=node.name, reverse=node.attributes["reverse"])


def expm1(node: Node, out: Writer) -> None:
    out.emit("Sub", out.emit("Exp", *node.inputs, name=out.part(node)), out.number(node, 1), name=node.name)


def gather(node: Node, out: Writer) -> None:
    x, indices = node.inputs
    batch = _integer(node, "batch")
    if batch == 0:
        out.emit("Gather", x, indices, name=node.name, axis=0)
    else:
        places = out.reshape(node, indices, (*out.types[indices].shape, 1))
        out.emit("GatherND", x, places, name=node.name, batch_dims=batch)


def log1p(node: Node, out: Writer) -> None:
    out.emit("Log", out.emit("Add", *node.inputs, out.number(node, 1), name=out.part(node)), name=node.name)


def concat(node: Node, out: Writer) -> None:
    out.emit("Concat", *node.inputs, name=node.name, axis=node.attributes["axis"])


def greater(node: Node, out: Writer) -> None:
    inputs = node.inputs
    if out.types[inputs[0]].dtype == "bool":  # which Greater does not take
        inputs = tuple(out.emit("Cast", value, name=out.part(node), to=ELEMENTS["int64"]) for value in inputs)
    out.emit("Greater", *inputs, name=node.name)


def leaky_relu(node: Node, out: Writer) -> None:
    """The slope of LeakyRelu is a float32."""
    slope = _number(node, "slope")
    if node.dtype == "float32":
        out.emit("LeakyRelu", *node.inputs, name=node.name, alpha=slope)
    else:
        out.emit("PRelu", *node.inputs, out.number(node, slope, node.shape and (1,)), name=node.name)


def linear(node: Node, out: Writer) -> None:
    """Gemm takes matrices."""
    x, weight, bias = node.inputs
    shape = out.types[x].shape
    rows = out.as_rank(node, x, shape, 2)
    direct = len(shape) == 2
    name = out.emit("Gemm", rows, weight, bias, name=node.name if direct else out.part(node), transB=1)
    if not direct:
        out.reshape(node, name, node.shape, node.name)


def maximum_over(node: Node, out: Writer) -> None:
    axes = _tuple(node, "axes")
    if axes:
        out.emit("ReduceMax", *node.inputs, name=node.name, axes=axes, keepdims=node.attributes["keepdims"])
    else:
        plain("Identity", node, out)


def sum_over(node: Node, out: Writer) -> None:
    axes = _tuple(node, "axes")
    if axes:
        keep = node.attributes["keepdims"]
        out.emit("ReduceSum", *node.inputs, out.integers(node, axes), name=node.name, keepdims=keep)
    else:
        plain("Identity", node, out)


def pad(node: Node, out: Writer) -> None:
    if not node.shape:
        plain("Identity", node, out)
        return
    pads = out.integers(node, (*_tuple(node, "before"), *_tuple(node, "after")))
    out.emit("Pad", *node.inputs, pads, out.number(node, _number(node, "value")), name=node.name)


def reshape(node: Node, out: Writer) -> None:
    out.reshape(node, node.inputs[0], node.shape, node.name)


def scale(node: Node, out: Writer) -> None:
    out.emit("Mul", *node.inputs, out.number(node, _number(node, "factor")), name=node.name)


def slice_(node: Node, out: Writer) -> None:
    if not node.shape:
        plain("Identity", node, out)
        return
    starts, stops, steps = (out.integers(node, _tuple(node, key)) for key in ("starts", "stops", "steps"))
    axes = out.integers(node, range(len(node.shape)))
    out.emit("Slice", *node.inputs, starts, stops, axes, steps, name=node.name)


def transpose(node: Node, out: Writer) -> None:
    if not node.shape:
        plain("Identity", node, out)
        return
    out.emit("Transpose", *node.inputs, name=node.name, perm=_tuple(node, "axes"))


def conv2d(node: Node, out: Writer) -> None:
    x, weight, bias = node.inputs
    _on_images(node, out, "Conv", x, 3, (weight, bias), group=node.attributes["groups"], **_moves(node))


def avg_pool2d(node: Node, out: Writer) -> None:
    moves = {**_moves(node), "kernel_shape": _tuple(node, "kernel")}
    del moves["dilations"]
    include = node.attributes["count_include_pad"]
    _on_images(node, out, "AveragePool", node.inputs[0], 2, (), count_include_pad=include, **moves)


def max_pool2d(node: Node, out: Writer) -> None:
    kernel = _tuple(node, "kernel")
    _on_images(node, out, "MaxPool", node.inputs[0], 2, (), kernel_shape=kernel, **_moves(node))


def windows(node: Node, out: Writer) -> None:
    """A convolution: each element of the window is a channel of its own."""
    kernel, weight = _selector(node, out)
    x = node.inputs[0]
    *lead, height, width = out.types[x].shape
    image = out.reshape(node, x, (math.prod(lead), 1, height, width))
    result = out.emit("Conv", image, weight, name=out.part(node), kernel_shape=kernel, **_moves(node))
    out.reshape(node, result, node.shape, node.name)


def fold(node: Node, out: Writer) -> None:
    """The transposed convolution."""
    kernel, weight = _selector(node, out)
    x, size, moves = node.inputs[0], _tuple(node, "size"), _moves(node)
    *lead, _, _, rows, columns = out.types[x].shape
    image = out.reshape(node, x, (math.prod(lead), math.prod(kernel), rows, columns))
    padding, dilation, stride = moves["pads"], moves["dilations"], moves["strides"]
    extra = tuple(
        (size[d] + padding[d] + padding[d + 2] - (kernel[d] - 1) * dilation[d] - 1) % stride[d] for d in (0, 1)
    )
    result = out.emit(
        "ConvTranspose", image, weight, name=out.part(node), kernel_shape=kernel, output_padding=extra, **moves
    )
    out.reshape(node, result, node.shape, node.name)


def _selector(node: Node, out: Writer) -> tuple[tuple[int, ...], str]:
    """Weights (kh * kw, 1, kh, kw), each 1 at a place of its own."""
    kernel = _tuple(node, "kernel")
    area = math.prod(kernel)
    if area > MAX_KERNEL:
        raise OnnxError(f"node {node.name!r} ({node.op}): a window of {area} entries is over the limit of {MAX_KERNEL}")
    return kernel, out.constant(node, np.eye(area, dtype=node.dtype).reshape(area, 1, *kernel))


def _on_images(node: Node, out: Writer, op: str, x: str, rank: int, more: tuple[str, ...], **attributes: Any) -> None:
    """An op on (N, C, H, W), where the graph has it on the last `rank` axes of any array."""
    shape = out.types[x].shape
    direct = len(shape) == 4
    if not direct:
        lead = math.prod(shape[: len(shape) - rank])
        x = out.reshape(node, x, (lead, *(1,) * (3 - rank), *shape[len(shape) - rank :]))
    name = out.emit(op, x, *more, name=node.name if direct else out.part(node), **attributes)
    if not direct:
        out.reshape(node, name, node.shape, node.name)


def _moves(node: Node) -> dict[str, Any]:
    """How a window moves. The padding is (top, left, bottom, right) on both sides."""
    dilation = node.attributes.get("dilation", (1, 1))
    return {"strides": _tuple(node, "stride"), "pads": _tuple(node, "padding"), "dilations": dilation}


def _tuple(node: Node, key: str) -> tuple[int, ...]:
    value = node.attributes[key]
    return value if isinstance(value, tuple) else ()


def _integer(node: Node, key: str) -> int:
    return int(str(node.attributes[key]))


def _number(node: Node, key: str) -> float:
    return float(Fraction(str(node.attributes[key])))


EXPORT: Mapping[str, Export] = {
    "abs": partial(plain, "Abs"),
    "add": partial(plain, "Add"),
    "argmax": argmax,
    "argsort": argsort,
    "avg_pool2d": avg_pool2d,
    "batch_norm": batch_norm,
    "broadcast_to": broadcast_to,
    "cast": cast,
    "clamp": clamp,
    "concat": concat,
    "conv2d": conv2d,
    "cos": partial(plain, "Cos"),
    "cumsum": cumsum,
    "detach": partial(plain, "Identity"),
    "div": partial(plain, "Div"),
    "equal": partial(plain, "Equal"),
    "erf": partial(plain, "Erf"),
    "exp": partial(plain, "Exp"),
    "expm1": expm1,
    "fold": fold,
    "gather": gather,
    "greater": greater,
    "leaky_relu": leaky_relu,
    "linear": linear,
    "log": partial(plain, "Log"),
    "log1p": log1p,
    "matmul": partial(plain, "MatMul"),
    "max": maximum_over,
    "max_pool2d": max_pool2d,
    "maximum": partial(plain, "Max"),
    "minimum": partial(plain, "Min"),
    "mul": partial(plain, "Mul"),
    "neg": partial(plain, "Neg"),
    "pad": pad,
    "pow": partial(plain, "Pow"),
    "relu": partial(plain, "Relu"),
    "reshape": reshape,
    "scale": scale,
    "sigmoid": partial(plain, "Sigmoid"),
    "sign": partial(plain, "Sign"),
    "sin": partial(plain, "Sin"),
    "slice": slice_,
    "softplus": partial(plain, "Softplus"),
    "sqrt": partial(plain, "Sqrt"),
    "sub": partial(plain, "Sub"),
    "sum": sum_over,
    "tanh": partial(plain, "Tanh"),
    "transpose": transpose,
    "where": partial(plain, "Where"),
    "windows": windows,
}
NO_RULE: Mapping[str, str] = {
    "cholesky": "ONNX has no matrix factorisation",
    "fft": "Fourier transforms are not exported: the inverse of a real one needs op set 20",
    "irfft": "Fourier transforms are not exported: the inverse of a real one needs op set 20",
    "qr": "ONNX has no matrix factorisation",
    "random_uniform": "the random numbers of ONNX are not a function of a key",
    "rfft": "Fourier transforms are not exported: the inverse of a real one needs op set 20",
    "scatter_add": "ScatterND has no batch axes",
    "solve": "ONNX has no solution of linear systems",
}
