"""ATEN: the functions of ATen that can be imported, by name, whatever their overload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tlverify.core import ops
from tlverify.interop.torch import rules_elementwise as elementwise
from tlverify.interop.torch import rules_layers as layers
from tlverify.interop.torch import rules_shape as shape

Rule = Callable[..., Any]

_SAME = (
    *("alias", "clone", "contiguous", "detach", "lift_fresh", "lift_fresh_copy"),
    *("alias_copy", "detach_copy"),
)
_UNARY = {
    **{name: getattr(ops, name) for name in ("abs", "cos", "erf", "exp", "expm1", "log", "log1p", "neg", "relu")},
    **{name: getattr(ops, name) for name in ("sigmoid", "sign", "sin", "sqrt", "square", "tanh")},
    **{name: getattr(ops, name) for name in ("log_sigmoid", "mish", "relu6", "selu", "silu", "softsign")},
    "bitwise_not": ops.logical_not,
    "hardsigmoid": ops.hard_sigmoid,
    "hardswish": ops.hard_swish,
    "logical_not": ops.logical_not,
    "sgn": ops.sign,
}
_BINARY = {
    "eq": ops.equal,
    "ge": ops.greater_equal,
    "gt": ops.greater,
    "le": ops.less_equal,
    "lt": ops.less,
    "maximum": ops.maximum,
    "minimum": ops.minimum,
}

MOVES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME, elementwise.same),
    "_unsafe_view": shape.view,
    "cat": shape.cat,
    "chunk": shape.chunk,
    "constant_pad_nd": shape.constant_pad_nd,
    "expand": shape.expand,
    "flatten": shape.flatten,
    "flip": shape.flip,
    "index": shape.index,
    "index_select": shape.index_select,
    "pad": shape.pad_nd,
    "permute": shape.permute,
    "repeat": shape.repeat,
    "reshape": shape.reshape,
    "roll": shape.roll,
    "select": shape.select,
    "slice": shape.slice_,
    "split": shape.split,
    "split_with_sizes": shape.split_with_sizes,
    "squeeze": shape.squeeze,
    "stack": shape.stack,
    "t": shape.t,
    "transpose": shape.transpose,
    "unbind": shape.unbind,
    "unflatten": shape.unflatten,
    "unsqueeze": shape.unsqueeze,
    "view": shape.view,
}
"""What only moves numbers, so that it can be done to stored ones at once, exactly."""

ATEN: Mapping[str, Rule] = {
    **MOVES,
    # elementwise
    **{name: elementwise.unary(op) for name, op in _UNARY.items()},
    **{name: elementwise.binary(op) for name, op in _BINARY.items()},
    "add": elementwise.add,
    "bitwise_and": elementwise.logical(ops.logical_and),
    "bitwise_or": elementwise.logical(ops.logical_or),
    "celu": elementwise.celu,
    "clamp": elementwise.clamp,
    "div": elementwise.div,
    "dropout": elementwise.dropout,
    "elu": elementwise.elu,
    "gelu": elementwise.gelu,
    "glu": elementwise.glu,
    "hardtanh": elementwise.hardtanh,
    "leaky_relu": elementwise.leaky_relu,
    "logical_and": elementwise.logical(ops.logical_and),
    "logical_or": elementwise.logical(ops.logical_or),
    "masked_fill": elementwise.masked_fill,
    "mul": elementwise.mul,
    "ne": elementwise.not_equal,
    "pow": elementwise.pow_,
    "prelu": elementwise.prelu,
    "_prelu_kernel": elementwise.prelu,
    "reciprocal": elementwise.reciprocal,
    "rsqrt": elementwise.rsqrt,
    "rsub": elementwise.rsub,
    "softplus": elementwise.softplus,
    "sub": elementwise.sub,
    "where": elementwise.where,
    # products, convolutions, pools
    "_adaptive_avg_pool2d": layers.adaptive_avg_pool2d,
    "adaptive_avg_pool1d": layers.adaptive_avg_pool1d,
    "adaptive_avg_pool2d": layers.adaptive_avg_pool2d,
    "adaptive_max_pool2d": layers.adaptive_max_pool2d,
    "addmm": layers.addmm,
    "avg_pool1d": layers.avg_pool,
    "avg_pool2d": layers.avg_pool,
    "bmm": layers.mm,
    "col2im": layers.col2im,
    "conv1d": layers.conv,
    "conv2d": layers.conv,
    "conv3d": layers.conv,
    "conv_transpose1d": layers.conv_transpose,
    "conv_transpose2d": layers.conv_transpose,
    "convolution": layers.convolution,
    "einsum": layers.einsum,
    "im2col": layers.im2col,
    "linear": layers.linear,
    "matmul": layers.matmul,
    "max_pool1d": layers.max_pool,
    "max_pool2d": layers.max_pool,
    "max_pool2d_with_indices": layers.max_pool_with_indices,
    "mm": layers.mm,
    "upsample_bilinear2d": layers.upsample_bilinear2d,
    "upsample_nearest2d": layers.upsample_nearest2d,
    # normalisation, attention, embedding
    "_log_softmax": layers.log_softmax,
    "_native_batch_norm_legit_no_training": layers.batch_norm,
    "_softmax": layers.softmax,
    "embedding": layers.embedding,
    "group_norm": layers.group_norm,
    "instance_norm": layers.instance_norm,
    "layer_norm": layers.layer_norm,
    "native_group_norm": layers.native_group_norm,
    "native_layer_norm": layers.native_layer_norm,
    "rms_norm": layers.rms_norm,
    "scaled_dot_product_attention": layers.attention,
    # reductions and choices
    "amax": shape.amax,
    "amin": shape.amin,
    "argmax": shape.argmax,
    "cumsum": shape.cumsum,
    "gather": shape.gather,
    "linalg_vector_norm": shape.vector_norm,
    "logsumexp": shape.logsumexp,
    "max": shape.max_,
    "mean": shape.mean,
    "min": shape.min_,
    "sum": shape.sum_,
    "tril": shape.tril,
    "triu": shape.triu,
    "var": shape.var,
}
MASKED = (*_SAME, "_softmax", "dropout", "scaled_dot_product_attention")
"""Functions that take a value with -inf in it."""
KEPT = (
    *("_softmax", "_log_softmax", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("avg_pool1d", "avg_pool2d", "chunk", "constant_pad_nd", "conv1d", "conv2d", "conv3d", "einsum", "elu", "gelu"),
    *("conv_transpose1d", "conv_transpose2d", "glu", "group_norm", "hardsigmoid", "hardswish", "hardtanh"),
    *("layer_norm", "leaky_relu", "linear", "log_sigmoid", "logsumexp", "matmul", "max_pool1d", "max_pool2d", "mish"),
    *("prelu", "relu6", "rms_norm", "scaled_dot_product_attention", "selu", "silu", "softplus", "upsample_bilinear2d"),
    *("upsample_nearest2d", "celu", "instance_norm", "roll", "im2col", "col2im"),
)
"""Functions that are not taken apart into smaller ones before the import."""
CREATED = ("arange", "empty", "full", "full_like", "ones", "ones_like", "scalar_tensor", "zeros", "zeros_like")
"""Functions that make a constant, whatever the input holds."""
CHECKS = ("_assert_async", "_assert_scalar", "_assert_tensor_metadata", "sym_constrain_range_for_size")
"""Functions that only check something."""
