"""Convolution and pooling over one or two axes of places: (N, C, L) or (N, C, H, W)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tlverify.graph import Shape, Type, infer
from tlverify.interop.onnx.errors import OnnxError
from tlverify.interop.onnx.lowering import Constant, Given, Lowering, Pending, Value
from tlverify.interop.onnx.view import View


@dataclass(frozen=True)
class Window:
    """The window of a node over images (N, C, H, W); a line is an image of height 1."""

    image: Value
    kernel: Shape
    stride: Shape
    dilation: Shape
    padding: Shape
    rank: int

    def places(self, axis: int) -> int:
        """How many windows there are along an axis."""
        span = (self.kernel[axis] - 1) * self.dilation[axis] + 1
        size = self.image.type.shape[axis - 2] + self.padding[axis] + self.padding[axis + 2]
        return (size - span) // self.stride[axis] + 1


def window(node: View, kernel: Shape) -> Window:
    """The attributes of a convolution or pooling, with automatic padding worked out."""
    build, x = node.build, node.value(0)
    shape = x.type.shape
    rank = len(shape) - 2
    if rank not in (1, 2):
        raise OnnxError(f"expected (N, C, L) or (N, C, H, W), found {x.type}")
    if len(kernel) != rank:
        raise OnnxError(f"kernel_shape: expected {rank} sizes for {x.type}, found {list(kernel)}")
    stride, dilation = node.numbers("strides", rank, 1), node.numbers("dilations", rank, 1)
    if min(*kernel, *stride, *dilation) < 1:
        raise OnnxError("kernel_shape, strides, dilations: expected sizes of at least 1")
    before, after = _padding(node, shape[2:], kernel, stride, dilation)
    if rank == 1:
        x = build.reshape(x, (*shape[:2], 1, shape[2]))
        kernel, stride, dilation = (1, *kernel), (1, *stride), (1, *dilation)
        before, after = (0, *before), (0, *after)
    return Window(x, kernel, stride, dilation, (*before, *after), rank)


def _padding(node: View, sizes: Shape, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[Shape, Shape]:
    rank, mode = len(sizes), node.attributes.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        pads = node.numbers("pads", 2 * rank, 0)
        if min(pads) < 0:
            raise OnnxError(f"pads: expected sizes of at least 0, found {list(pads)}")
        return pads[:rank], pads[rank:]
    if mode == "VALID":
        return (0,) * rank, (0,) * rank
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise OnnxError(f"auto_pad: expected NOTSET, VALID, SAME_UPPER or SAME_LOWER, found {mode!r}")
    if max(dilation) > 1:  # runtimes differ on whether the size of the window counts the gaps
        raise OnnxError(f"auto_pad: {mode} with dilations {list(dilation)} is ambiguous; give pads")
    totals = [
        (-(-n // s) - 1) * s + (k - 1) * d + 1 - n for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    if min(totals) < -1:  # the windows do not reach all: one runtime begins at the first entry, another later
        raise OnnxError(
            f"auto_pad: {mode} of window {list(kernel)} with strides {list(stride)} is ambiguous; give pads"
        )
    totals = [max(total, 0) for total in totals]
    less, more = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def conv(node: View) -> list[Given]:
    """Cross-correlation; a bias that follows as an Add is taken into it."""
    build, weight = node.build, node.value(1)
    if not isinstance(weight, Constant) or (node.has(2) and not isinstance(node.value(2), Constant)):
        raise OnnxError("expected constant weights and bias, found values that depend on the input")
    if len(weight.data.shape) < 3:
        raise OnnxError(f"W: expected (out, channels / group, ...), found {weight.type}")
    kernel = weight.data.shape[2:]
    if tuple(node.attributes.get("kernel_shape", kernel)) != kernel:
        raise OnnxError(f"kernel_shape: expected {list(kernel)} as in W, found {node.attributes['kernel_shape']}")
    move = window(node, kernel)
    weight = Constant(weight.name, weight.data.reshape(*weight.data.shape[:2], *move.kernel))
    groups = node.attributes.get("group", 1)

    zeros = Constant("zeros", np.zeros(len(weight.data), weight.data.dtype))
    attributes = {"stride": move.stride, "padding": move.padding, "dilation": move.dilation}

    def finish(bias: Constant | None) -> Value:
        result = build.node("conv2d", move.image, weight, bias or zeros, **attributes, groups=groups)
        return build.reshape(result, _shape_back(move, result.type.shape))

    if node.has(2):
        bias = node.value(2)
        return [finish(bias if isinstance(bias, Constant) else None)]
    type_ = infer("conv2d", (move.image.type, weight.type, zeros.type), {**attributes, "groups": groups})
    return [Pending(Type(_shape_back(move, type_.shape), type_.dtype), -1 - move.rank, finish)]


def max_pool(node: View) -> list[Given]:
    """The largest of each window; padding never wins."""
    if any(node.outputs[1:]):
        raise OnnxError("its second output, the places of the maxima, is not supported")
    move = window(node, tuple(node.attributes.get("kernel_shape", ())))
    padding = _whole(node, move)
    result = node.build.node(
        "max_pool2d", move.image, kernel=move.kernel, stride=move.stride, padding=padding, dilation=move.dilation
    )
    return [node.build.reshape(result, _shape_back(move, result.type.shape))]


def average_pool(node: View) -> list[Given]:
    """The mean of each window, over padding too if count_include_pad; never over what ceil_mode adds."""
    move = window(node, tuple(node.attributes.get("kernel_shape", ())))
    if move.dilation != (1, 1):
        raise OnnxError(f"dilations: expected 1, found {list(move.dilation)}")
    padding, image = _whole(node, move), move.image
    include = int(bool(node.attributes.get("count_include_pad", 0)))
    if include and padding != move.padding:
        top, left, bottom, right = move.padding
        image = node.build.emit("pad", image, before=(0, 0, top, left), after=(0, 0, bottom, right), value="0")
        padding, include = (0, 0, padding[2] - bottom, padding[3] - right), 0
    result = node.build.node(
        "avg_pool2d", image, kernel=move.kernel, stride=move.stride, padding=padding, count_include_pad=include
    )
    return [node.build.reshape(result, _shape_back(move, result.type.shape))]


def _whole(node: View, move: Window) -> Shape:
    """The padding with what ceil_mode adds at the end: a last window that does not fit, but begins before the end."""
    spans = [(k - 1) * d + 1 for k, d in zip(move.kernel, move.dilation, strict=True)]
    if any(padding >= spans[side % 2] for side, padding in enumerate(move.padding)):
        raise OnnxError(f"pads: expected less than the window {spans}, found {list(move.padding)}")
    if not node.attributes.get("ceil_mode", 0):
        return move.padding
    padding = list(move.padding)
    for axis in (0, 1):
        size = move.image.type.shape[axis - 2]
        start = move.places(axis) * move.stride[axis]  # where one more window would begin
        end = start + (move.kernel[axis] - 1) * move.dilation[axis] + 1
        total = padding[axis] + size + padding[axis + 2]
        if start < padding[axis] + size and start - move.stride[axis] + (end - start) < total:
            padding[axis + 2] += end - total
    if tuple(padding) != move.padding and node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise OnnxError("ceil_mode: with auto_pad it is ambiguous here; give pads")
    return tuple(padding)


def global_average_pool(node: View) -> list[Given]:
    """The mean over all places."""
    x = _places(node)
    shape = x.type.shape
    return [mean_of_last(node.build, x, len(shape) - 2, (*shape[:2], *(1 for _ in shape[2:])))]


def global_max_pool(node: View) -> list[Given]:
    """The largest of all places."""
    x = _places(node)
    return [node.build.node("max", x, axes=tuple(range(2, len(x.type.shape))), keepdims=1)]


def mean_of_last(build: Lowering, x: Value, count: int, result: Shape) -> Value:
    """The mean over the last `count` axes, in the shape `result`: a window that is as large as they are."""
    shape = x.type.shape
    kept, gone = shape[: len(shape) - count], shape[len(shape) - count :]
    height, width = (1, math.prod(gone)) if count != 2 else gone
    image = build.reshape(x, (*kept, height, width))
    mean = build.node(
        "avg_pool2d", image, kernel=(height, width), stride=(1, 1), padding=(0, 0, 0, 0), count_include_pad=0
    )
    return build.reshape(mean, result)


def _places(node: View) -> Value:
    x = node.value(0)
    if len(x.type.shape) < 3:
        raise OnnxError(f"expected (N, C, ...), found {x.type}")
    return x


def _shape_back(move: Window, shape: Shape) -> Shape:
    """The shape of a result (N, C, H, W) in the rank of the input."""
    return shape if move.rank == 2 else (*shape[:2], shape[3])
