"""The op table of the kernel: for each op its inputs, attributes, shape, and how it is written with affine maps and
ReLUs. What `conv2d` or `abs` means is said here and nowhere else; an op without a row is refused by the reader.

Smooth ops will need a third kind of step beside affine and relu, with rows of their own; see docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tlverify.certify.kernel import rules_affine as affine
from tlverify.certify.kernel import rules_piecewise as piecewise
from tlverify.certify.kernel.lowering import Lowering, Node, Shape


@dataclass(frozen=True)
class Rule:
    """`arity` 0 means one or more. `shape` gives None where the op does not accept its inputs."""

    arity: int
    shape: Callable[[Node, list[Node]], Shape | None]
    lower: Callable[[Node, Lowering], None]
    attributes: Mapping[str, type] = field(default_factory=dict)


POOL = {"kernel": list, "stride": list, "padding": list}

RULES: Mapping[str, Rule] = {
    # affine
    "add": Rule(2, affine.same_shape, affine.add),
    "avg_pool2d": Rule(1, affine.pool_shape, affine.avg_pool2d, {**POOL, "count_include_pad": int}),
    "batch_norm": Rule(5, affine.batch_norm_shape, affine.batch_norm, {"axis": int, "epsilon": str}),
    "broadcast_to": Rule(1, affine.broadcast_shape, affine.broadcast_to, {"shape": list}),
    "concat": Rule(0, affine.concat_shape, affine.concat, {"axis": int}),
    "conv2d": Rule(
        3, affine.conv2d_shape, affine.conv2d, {"stride": list, "padding": list, "dilation": list, "groups": int}
    ),
    "linear": Rule(3, affine.linear_shape, affine.linear),
    "matmul": Rule(2, affine.matmul_shape, affine.matmul),
    "mul": Rule(2, affine.mul_shape, affine.mul),
    "neg": Rule(1, affine.same_shape, affine.neg),
    "pad": Rule(1, affine.pad_shape, affine.pad, {"before": list, "after": list, "value": str}),
    "reshape": Rule(1, affine.reshape_shape, affine.reshape, {"shape": list}),
    "scale": Rule(1, affine.same_shape, affine.scale, {"factor": str}),
    "slice": Rule(1, affine.slice_shape, affine.slice_, {"starts": list, "stops": list, "steps": list}),
    "sub": Rule(2, affine.same_shape, affine.sub),
    "sum": Rule(1, affine.reduce_shape, affine.sum_, {"axes": list, "keepdims": int}),
    "transpose": Rule(1, affine.transpose_shape, affine.transpose, {"axes": list}),
    # piecewise linear
    "abs": Rule(1, affine.same_shape, piecewise.abs_),
    "clamp": Rule(1, affine.same_shape, piecewise.clamp, {"minimum": str, "maximum": str}),
    "leaky_relu": Rule(1, affine.same_shape, piecewise.leaky_relu, {"slope": str}),
    "max": Rule(1, affine.reduce_shape, piecewise.max_, {"axes": list, "keepdims": int}),
    "max_pool2d": Rule(1, affine.pool_shape, piecewise.max_pool2d, {**POOL, "dilation": list}),
    "maximum": Rule(2, affine.same_shape, piecewise.maximum),
    "minimum": Rule(2, affine.same_shape, piecewise.minimum),
    "relu": Rule(1, affine.same_shape, piecewise.relu),
}
