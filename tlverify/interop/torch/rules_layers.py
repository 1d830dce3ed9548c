"""ATen's layers: products, convolutions, pools, normalisation, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.interop.torch.errors import TorchError
from tlverify.interop.torch.masks import Masked
from tlverify.interop.torch.rules_elementwise import add

Value = Any
Sizes = Sequence[int]


def linear(input: Value, weight: Value, bias: Value | None = None) -> Value:  # noqa: A002
    return ops.linear(input, weight, bias)


def addmm(self: Value, mat1: Value, mat2: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """self + mat1 mat2: a linear layer if mat2 is stored."""
    if (alpha, beta) != (1, 1):
        raise TorchError(f"expected alpha = beta = 1, found {alpha} and {beta}")
    if isinstance(mat2, np.ndarray) and self.ndim == 1:
        return ops.linear(mat1, mat2.T, self)
    return ops.add(ops.matmul(mat1, mat2), self)


def matmul(self: Value, other: Value) -> Value:
    """A linear layer if a matrix that is stored stands to the right."""
    if isinstance(other, np.ndarray) and other.ndim == 2 and not isinstance(self, np.ndarray):
        return ops.linear(self, other.T)
    return ops.matmul(self, other)


def mm(self: Value, mat2: Value) -> Value:
    return matmul(self, mat2)


def einsum(equation: str, tensors: Sequence[Value], *, path: Sequence[int] | None = None) -> Value:
    return ops.einsum(equation, *tensors)


def convolution(
    input: Value,  # noqa: A002
    weight: Value,
    bias: Value | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Value:
    """(n, channels, *axes) with one, two or three axes."""
    rank = weight.ndim - 2
    stride, padding, dilation, output_padding = (
        tuple(v) if len(v) == rank else tuple(v) * rank for v in (stride, padding, dilation, output_padding)
    )
    name = f"conv_transpose{rank}d" if transposed else f"conv{rank}d"
    function = getattr(ops, name, None)
    if function is None:
        raise TorchError(f"{name} is not supported")
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    if transposed:
        options["output_padding"] = output_padding
    if rank == 1:
        options = {key: sizes[0] for key, sizes in options.items()}
    return function(input, weight, bias, **options, groups=groups)


def conv(
    input: Value,  # noqa: A002
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = (1,),
    padding: Sizes | str = (0,),
    dilation: Sizes = (1,),
    groups: int = 1,
) -> Value:
    rank = weight.ndim - 2
    if isinstance(padding, str):
        if padding == "valid":
            padding = (0,)
        else:
            return _conv_same(input, weight, bias, stride, dilation, groups)
    return convolution(input, weight, bias, stride, padding, dilation, False, (0,) * rank, groups)


def conv_transpose(
    input: Value,  # noqa: A002
    weight: Value,
    bias: Value | None = None,
    stride: Sizes = (1,),
    padding: Sizes = (0,),
    output_padding: Sizes = (0,),
    groups: int = 1,
    dilation: Sizes = (1,),
) -> Value:
    return convolution(input, weight, bias, stride, padding, dilation, True, output_padding, groups)


def max_pool(
    self: Value,
    kernel_size: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    dilation: Sizes = (1,),
    ceil_mode: bool = False,
) -> Value:
    """(..., *axes) with one or two axes; a window may begin in the padding, which never wins."""
    if isinstance(kernel_size, int):
        kernel_size = (kernel_size,)
    rank = len(kernel_size)
    _no_ceil(self, rank, kernel_size, stride or kernel_size, padding, dilation, ceil_mode)
    if rank == 1:
        return ops.max_pool1d(self, kernel_size[0], (stride or kernel_size)[0], padding[0], dilation[0])
    return ops.max_pool2d(self, tuple(kernel_size), _sizes(stride or kernel_size), _sizes(padding), _sizes(dilation))


def max_pool_with_indices(
    self: Value,
    kernel_size: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    dilation: Sizes = (1,),
    ceil_mode: bool = False,
) -> tuple[Value, None]:
    return max_pool(self, kernel_size, stride, padding, dilation, ceil_mode), None


def avg_pool(
    self: Value,
    kernel_size: Sizes,
    stride: Sizes = (),
    padding: Sizes = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    rank = len(kernel_size)
    if divisor_override is not None:
        raise TorchError(f"divisor_override: expected None, found {divisor_override}")
    _no_ceil(self, rank, kernel_size, stride or kernel_size, padding, (1,), ceil_mode)
    if rank == 1:
        return ops.avg_pool1d(self, kernel_size[0], (stride or kernel_size)[0], padding[0], count_include_pad)
    return ops.avg_pool2d(self, tuple(kernel_size), _sizes(stride or kernel_size), _sizes(padding), count_include_pad)


def adaptive_avg_pool1d(self: Value, output_size: Sizes) -> Value:
    lifted = ops.expand_dims(self, -2)
    return ops.squeeze(ops.adaptive_avg_pool2d(lifted, (1, *output_size)), -2)


def adaptive_avg_pool2d(self: Value, output_size: Sizes) -> Value:
    return ops.adaptive_avg_pool2d(self, tuple(output_size))


def adaptive_max_pool2d(self: Value, output_size: Sizes) -> tuple[Value, None]:
    """Where the sizes divide: windows that do not overlap."""
    height, width = self.shape[-2:]
    rows, columns = output_size
    if height % rows or width % columns:
        raise TorchError(f"output_size: expected divisors of {[height, width]}, found {list(output_size)}")
    return ops.max_pool2d(self, (height // rows, width // columns)), None


def im2col(self: Value, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes) -> Value:
    """(n, C, H, W) -> (n, C kh kw, places)."""
    parts = ops.windows(self, tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation))
    count, channels = self.shape[:2]
    return ops.reshape(parts, (count, channels * math.prod(kernel_size), -1))


def col2im(
    self: Value, output_size: Sizes, kernel_size: Sizes, dilation: Sizes, padding: Sizes, stride: Sizes
) -> Value:
    """The adjoint of im2col."""
    count, rows, _ = self.shape
    places = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(output_size, kernel_size, dilation, padding, stride, strict=True)
    ]
    parts = ops.reshape(self, (count, rows // math.prod(kernel_size), *kernel_size, *places))
    return ops.fold(parts, tuple(output_size), tuple(kernel_size), tuple(stride), tuple(padding), tuple(dilation))


def upsample_nearest2d(input: Value, output_size: Sizes | None, *factors: Any) -> Value:  # noqa: A002
    return ops.resize(input, _resized(input, output_size, factors), "nearest")


def upsample_bilinear2d(
    input: Value,  # noqa: A002
    output_size: Sizes | None,
    align_corners: bool,
    *factors: Any,
) -> Value:
    return ops.resize(input, _resized(input, output_size, factors), "linear", align_corners)


def batch_norm(
    input: Value,  # noqa: A002
    weight: Value | None,
    bias: Value | None,
    running_mean: Value,
    running_var: Value,
    momentum: float,
    eps: float,
) -> tuple[Value, None, None]:
    return ops.batch_norm(input, running_mean, running_var, weight, bias, 1, eps), None, None


def layer_norm(
    input: Value,  # noqa: A002
    normalized_shape: Sizes,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Value:
    return _affine(_standardized(input, range(-len(normalized_shape), 0), eps), weight, bias)


def rms_norm(
    input: Value,  # noqa: A002
    normalized_shape: Sizes,
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    least = float(np.finfo(str(input.dtype)).eps) if eps is None else eps
    axes = tuple(range(-len(normalized_shape), 0))
    size = ops.sqrt(ops.add(ops.mean(ops.square(input), axes, keepdims=True), least))
    return _affine(ops.div(input, size), weight, None)


def group_norm(
    input: Value,  # noqa: A002
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Value:
    """Over groups of channels and all places of (n, channels, *axes)."""
    count, channels, *rest = input.shape
    parts = ops.reshape(input, (count, num_groups, channels // num_groups, *rest))
    y = ops.reshape(_standardized(parts, range(2, parts.ndim), eps), input.shape)
    weight, bias = (None if v is None else ops.reshape(v, (-1, *(1,) * len(rest))) for v in (weight, bias))
    return _affine(y, weight, bias)


def instance_norm(
    input: Value,  # noqa: A002
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Value:
    if use_input_stats:
        return group_norm(input, input.shape[1], weight, bias, eps)
    return ops.batch_norm(input, running_mean, running_var, weight, bias, 1, eps)


def native_layer_norm(
    input: Value,  # noqa: A002
    normalized_shape: Sizes,
    weight: Value | None,
    bias: Value | None,
    eps: float,
) -> tuple[Value, None, None]:
    return layer_norm(input, normalized_shape, weight, bias, eps), None, None


def native_group_norm(
    input: Value,  # noqa: A002
    weight: Value | None,
    bias: Value | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Value, None, None]:
    return group_norm(input, group, weight, bias, eps), None, None


def softmax(self: Value | Masked, dim: int, half_to_float: bool = False) -> Value:
    """Where a row is -inf everywhere, the result is 0; PyTorch's is NaN."""
    if isinstance(self, Masked):
        return ops.masked_softmax(self.value, self.keep, dim)
    return ops.softmax(self, dim)


def log_softmax(self: Value, dim: int, half_to_float: bool = False) -> Value:
    return ops.log_softmax(self, dim)


def attention(
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """softmax(query key^T scale + mask) value, where a mask of truth values says what may be seen."""
    if dropout_p or enable_gqa:
        raise TorchError(f"expected no dropout and as many keys as queries, found {dropout_p} and {enable_gqa}")
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    scores = ops.mul(ops.matmul(query, ops.swapaxes(key, -1, -2)), factor)
    if is_causal:
        attn_mask = np.tril(np.ones((query.shape[-2], key.shape[-2]), bool))
    if attn_mask is None:
        weights = ops.softmax(scores)
    elif isinstance(attn_mask, Masked):  # made in the module, with a finite part beside it
        weights = ops.masked_softmax(ops.add(scores, attn_mask.value), attn_mask.keep)
    elif str(attn_mask.dtype) != "bool":
        weights = softmax(add(scores, attn_mask), -1)
    else:
        weights = ops.masked_softmax(scores, attn_mask)
    return ops.matmul(weights, value)


def embedding(
    weight: Value, indices: Value, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Value:
    return ops.embedding(indices, weight)


def _standardized(x: Value, axes: Sequence[int], eps: float) -> Value:
    distance = ops.sub(x, ops.mean(x, tuple(axes), keepdims=True))
    variance = ops.mean(ops.square(distance), tuple(axes), keepdims=True)
    return ops.div(distance, ops.sqrt(ops.add(variance, eps)))


def _affine(x: Value, weight: Value | None, bias: Value | None) -> Value:
    x = x if weight is None else ops.mul(x, weight)
    return x if bias is None else ops.add(x, bias)


def _conv_same(x: Value, weight: Value, bias: Value | None, stride: Sizes, dilation: Sizes, groups: int) -> Value:
    """Padding "same": where it is odd, one more at the end."""
    rank = weight.ndim - 2
    dilation = tuple(dilation) if len(dilation) == rank else tuple(dilation) * rank
    totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    before, after = [t // 2 for t in totals], [t - t // 2 for t in totals]
    if rank == 1:
        return ops.conv1d(x, weight, bias, stride[0], (*before, *after), dilation[0], groups)
    if rank == 2:
        return ops.conv2d(x, weight, bias, _sizes(stride), (*before, *after), dilation, groups)
    if before != after:
        raise TorchError("padding: expected equal padding on both sides of three axes; use an odd kernel")
    return ops.conv3d(x, weight, bias, tuple(stride), tuple(before), dilation, groups)


def _sizes(value: Sizes | int) -> tuple[int, int]:
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return (sizes[0], sizes[-1])


def _no_ceil(
    x: Value, rank: int, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool
) -> None:
    """`ceil_mode` matters only where the last window does not fit."""
    if not ceil_mode:
        return
    for axis in range(rank):
        k, s, p, d = (v[axis] if len(v) == rank else v[0] for v in (kernel, stride, padding, dilation))
        if (x.shape[axis - rank] + 2 * p - d * (k - 1) - 1) % s:
            raise TorchError("ceil_mode: the last window would not fit; pad the input or use ceil_mode=False")


def _resized(x: Value, size: Sizes | None, factors: Sequence[Any]) -> tuple[int, ...]:
    """The size that is given, or that factors give, where it is whole: PyTorch places other points between."""
    scales = factors[0] if factors and isinstance(factors[0], list | tuple) else factors
    found = [factor for factor in scales or () if factor is not None] or [None, None]
    result = []
    for axis, factor in zip((-2, -1), found, strict=True):
        old = x.shape[axis]
        new = int(old * factor) if size is None else size[axis]
        if factor is not None and old * factor != new:
            raise TorchError(
                f"scale_factor: expected a whole number of places, found {old} times {factor}; give a size"
            )
        result.append(new)
    return tuple(result)
