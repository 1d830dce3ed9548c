"""JVP: the forward derivative of every op.

`JVP[op][i](t, y, *inputs, **attributes)` is what the tangent `t` of input i adds to the tangent of the result
`y`, or the row has None there when that derivative is 0 everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value
from tlverify.core.ops.vjp import VJP, Rule, share_of_max
from tlverify.graph import Shape

# The Jacobian of an elementwise op is diagonal, so its two derivatives are one formula.
_ELEMENTWISE = (
    *("abs", "add", "detach", "div", "exp", "log", "maximum", "minimum", "mul", "neg"),
    *("relu", "sign", "sqrt", "sub", "where"),
)


def max_over(t: Value, y: Value, x: Value, *, axes: Shape, keepdims: int) -> Value:
    return f.sum(t * share_of_max(y, x, axes), axes, bool(keepdims))


JVP: Mapping[str, tuple[Rule | None, ...]] = {
    **{op: VJP[op] for op in _ELEMENTWISE},
    "broadcast_to": (lambda t, y, x, shape: f.broadcast_to(t, shape),),
    "cast": (lambda t, y, x, dtype: f.cast(t, dtype),),
    "linear": (
        lambda t, y, x, weight, bias: f.linear(t, weight),
        lambda t, y, x, weight, bias: f.linear(x, t),
        lambda t, y, x, weight, bias: f.broadcast_to(t, y.shape),
    ),
    "matmul": (lambda t, y, a, b: f.matmul(t, b), lambda t, y, a, b: f.matmul(a, t)),
    "max": (max_over,),
    "reshape": (lambda t, y, x, shape: f.reshape(t, shape),),
    "sum": (lambda t, y, x, axes, keepdims: f.sum(t, axes, bool(keepdims)),),
    "transpose": (lambda t, y, x, axes: f.transpose(t, axes),),
}
NO_RULE: Mapping[str, str] = {
    "equal": "the result is bool, which has no derivative",
    "greater": "the result is bool, which has no derivative",
}
