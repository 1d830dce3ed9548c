"""ELEMENTWISE: every elementwise op as an expression of CUDA C++, for operands of any type that it is written for.

Names that end in an underscore are functions of PRELUDE; the others are CUDA's own, overloaded for float and double.
Kernels are compiled with -fmad=false: what is fused to a multiply-add says so.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

TYPES = {"float32": "float", "float64": "double", "int64": "long long", "bool": "bool"}

PRELUDE = """
template <class T> __device__ inline T add_(T a, T b) { return a + b; }
template <class T> __device__ inline T sub_(T a, T b) { return a - b; }
template <class T> __device__ inline T mul_(T a, T b) { return a * b; }
template <> __device__ inline long long add_(long long a, long long b) { return (unsigned long long)a + b; }
template <> __device__ inline long long sub_(long long a, long long b) { return (unsigned long long)a - b; }
template <> __device__ inline long long mul_(long long a, long long b) { return (unsigned long long)a * b; }
template <class T> __device__ inline T max_(T a, T b) { return a != a ? a : (a > b ? a : b); }
template <class T> __device__ inline T min_(T a, T b) { return a != a ? a : (a < b ? a : b); }
template <class T> __device__ inline T sign_(T x) { return x == T(0) ? T(0) : x != x ? x : copysign(T(1), x); }
template <class T> __device__ inline T relu_(T x) { return x < T(0) ? T(0) : x; }
template <class T> __device__ inline T sigmoid_(T x) {
  T power = exp(-fabs(x));
  return (x >= T(0) ? T(1) : power) / (T(1) + power);
}
template <class T> __device__ inline T softplus_(T x) { return max_(x, T(0)) + log1p(exp(-fabs(x))); }
"""
"""Functions with the NaN and the wrap-around of NumPy's."""


def literal(value: float, dtype: str) -> str:
    """A number of the dtype, exactly."""
    kind = TYPES[dtype]
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "int64":
        number = int(value)
        return f"({number + 1}LL - 1)" if number == -(2**63) else f"{number}LL"
    if dtype == "float32":
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    if not math.isfinite(value):
        bits = struct.unpack("<q", struct.pack("<d", value))[0]
        return f"{kind}(__longlong_as_double({bits}LL))"
    return f"{kind}({float(value).hex()})"


def _call(name: str) -> Callable[..., str]:
    return lambda _, *args: f"{name}({', '.join(args)})"


def _infix(sign: str) -> Callable[..., str]:
    return lambda _, a, b: f"({a} {sign} {b})"


def _number(dtype: str, text: str) -> str:
    """The rational number that an attribute says."""
    return literal(float(Fraction(text)), dtype)


def _clamp(dtype: str, x: str, *, minimum: str, maximum: str) -> str:
    return f"min_(max_({x}, {_number(dtype, minimum)}), {_number(dtype, maximum)})"


def _leaky_relu(dtype: str, x: str, *, slope: str) -> str:
    zero = literal(0.0, dtype)
    return f"({x} > {zero} ? {x} : {x} * {_number(dtype, slope)})"


def _cast(_: str, x: str, *, dtype: str) -> str:
    return f"({x} != 0)" if dtype == "bool" else f"({TYPES[dtype]})({x})"


ELEMENTWISE: Mapping[str, Callable[..., str]] = {
    "abs": _call("fabs"),
    "add": _call("add_"),
    "cast": _cast,
    "clamp": _clamp,
    "cos": _call("cos"),
    "div": _infix("/"),
    "equal": _infix("=="),
    "erf": _call("erf"),
    "exp": _call("exp"),
    "expm1": _call("expm1"),
    "greater": _infix(">"),
    "leaky_relu": _leaky_relu,
    "log": _call("log"),
    "log1p": _call("log1p"),
    "maximum": _call("max_"),
    "minimum": _call("min_"),
    "mul": _call("mul_"),
    "neg": lambda dtype, x: f"sub_(0LL, {x})" if dtype == "int64" else f"(-{x})",
    "pow": _call("pow"),
    "relu": _call("relu_"),
    "scale": lambda dtype, x, factor: f"({x} * {_number(dtype, factor)})",
    "sigmoid": _call("sigmoid_"),
    "sign": _call("sign_"),
    "sin": _call("sin"),
    "softplus": _call("softplus_"),
    "sqrt": _call("sqrt"),
    "sub": _call("sub_"),
    "tanh": _call("tanh"),
    "where": lambda _, which, a, b: f"({which} ? {a} : {b})",
}


def expression(op: str, dtype: str, args: Sequence[str], attributes: Mapping[str, Any]) -> str:
    """The value of the op; `dtype` is that of its last operand."""
    return ELEMENTWISE[op](dtype, *args, **attributes)
