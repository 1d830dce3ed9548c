"""ELEMENTWISE: machine code of every elementwise op, as LLVM IR for vectors of any width.

The functions of float32 and float64 that no instruction computes are polynomials after a reduction of the argument, as
in Cephes (Moshier 1989). They use fused multiply-adds, which are named as such in the IR, so that all processors give
the same bits. Errors over all of float32, in ulp: see docs/execution.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.core.ops.forward_smooth import ERF_FAR, ERF_LIMIT, ERF_NEAR

FLOATS = ("float32", "float64")
NUMBERS = (*FLOATS, "int64")
TYPES = {"float32": "float", "float64": "double", "int64": "i64", "bool": "i1"}


class Code:
    """Instructions of one basic block after another; `lanes` is the width of vectors, 1 for scalars."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declared: set[str] = set()
        self.count = 0

    def fresh(self, stem: str = "v") -> str:
        self.count += 1
        return f"%{stem}{self.count}"

    def put(self, text: str) -> str:
        """A new value `text`."""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name


@dataclass(frozen=True)
class Kind:
    """The type of the values of a statement."""

    dtype: str
    lanes: int

    def __str__(self) -> str:
        return self.of(TYPES[self.dtype])

    def of(self, scalar: str) -> str:
        """The type of as many `scalar`."""
        return scalar if self.lanes == 1 else f"<{self.lanes} x {scalar}>"

    @property
    def suffix(self) -> str:
        """That of intrinsic functions."""
        scalar = {"float32": "f32", "float64": "f64", "int64": "i64", "bool": "i1"}[self.dtype]
        return scalar if self.lanes == 1 else f"v{self.lanes}{scalar}"

    def constant(self, value: float) -> str:
        return self.splat(TYPES[self.dtype], literal(value, self.dtype))

    def splat(self, scalar: str, text: str) -> str:
        return text if self.lanes == 1 else f"splat ({scalar} {text})"


def literal(value: float, dtype: str) -> str:
    """A number as LLVM reads it: floats by their bits."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype == "int64":
        return str(int(value))
    if dtype == "float32":
        try:
            value = struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            value = math.copysign(math.inf, value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Writer:
    """Writes operations on values of one kind."""

    def __init__(self, code: Code, kind: Kind):
        self.code, self.kind = code, kind

    def constant(self, value: float) -> str:
        return self.kind.constant(value)

    def op(self, name: str, *args: str) -> str:
        return self.code.put(f"{name} {self.kind} {', '.join(args)}")

    def call(self, name: str, *args: str) -> str:
        """An intrinsic function llvm.NAME of values of this kind."""
        full = f"llvm.{name}.{self.kind.suffix}"
        self.code.declared.add(f"declare {self.kind} @{full}({', '.join([str(self.kind)] * len(args))})")
        return self.code.put(f"call {self.kind} @{full}({', '.join(f'{self.kind} {a}' for a in args)})")

    def add(self, a: str, b: str) -> str:
        return self.op("fadd", a, b)

    def sub(self, a: str, b: str) -> str:
        return self.op("fsub", a, b)

    def mul(self, a: str, b: str) -> str:
        return self.op("fmul", a, b)

    def div(self, a: str, b: str) -> str:
        return self.op("fdiv", a, b)

    def fma(self, a: str, b: str, c: str) -> str:
        return self.call("fma", a, b, c)

    def compare(self, how: str, a: str, b: str) -> str:
        name = "icmp" if self.kind.dtype in ("int64", "bool") else "fcmp"
        return self.code.put(f"{name} {how} {self.kind} {a}, {b}")

    def select(self, which: str, a: str, b: str) -> str:
        mask = self.kind.of("i1")
        return self.code.put(f"select {mask} {which}, {self.kind} {a}, {self.kind} {b}")

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """By Horner's rule, the coefficient of the highest power first."""
        total = self.constant(coefficients[0])
        for c in coefficients[1:]:
            total = self.fma(total, x, self.constant(c))
        return total

    # Bits of floats.

    @property
    def integer(self) -> str:
        return self.kind.of("i32" if self.kind.dtype == "float32" else "i64")

    @property
    def scalar_integer(self) -> str:
        return "i32" if self.kind.dtype == "float32" else "i64"

    def bits(self, x: str) -> str:
        return self.code.put(f"bitcast {self.kind} {x} to {self.integer}")

    def unbits(self, x: str) -> str:
        return self.code.put(f"bitcast {self.integer} {x} to {self.kind}")

    def integers(self, name: str, a: str, b: int | str) -> str:
        other = b if isinstance(b, str) else self.kind.splat(self.scalar_integer, str(b))
        return self.code.put(f"{name} {self.integer} {a}, {other}")

    @property
    def mantissa(self) -> int:
        return 23 if self.kind.dtype == "float32" else 52

    @property
    def bias(self) -> int:
        return 127 if self.kind.dtype == "float32" else 1023

    def power_of_two(self, n: str) -> str:
        """2**n for integers n in the range of exponents."""
        return self.unbits(self.integers("shl", self.integers("add", n, self.bias), self.mantissa))

    def nearest(self, x: str) -> tuple[str, str]:
        """The nearest integer to x, as a float and as an integer, if |x| < 2**21. Other x give anything."""
        magic = 1.5 * 2.0**self.mantissa
        shifted = self.add(x, self.constant(magic))
        whole = self.sub(shifted, self.constant(magic))
        base = self.code.put(f"bitcast {self.kind} {self.constant(magic)} to {self.integer}")
        return whole, self.integers("sub", self.bits(shifted), base)


LN2 = {"float32": (0.693359375, -2.12194440e-4), "float64": (6.93145751953125e-1, 1.42860682030941723212e-6)}
FACTORIALS = {"float32": 8, "float64": 14}


def exp(w: Writer, x: str) -> str:
    """exp(r) 2**n with |r| <= log(2) / 2."""
    low, high = (-104.0, 89.0) if w.kind.dtype == "float32" else (-746.0, 710.0)
    over = w.compare("ogt", x, w.constant(high))
    under = w.compare("olt", x, w.constant(low))
    n, exponent = w.nearest(w.mul(x, w.constant(1 / math.log(2))))
    r = w.fma(n, w.constant(-LN2[w.kind.dtype][0]), x)
    r = w.fma(n, w.constant(-LN2[w.kind.dtype][1]), r)
    power = w.polynomial(r, [1 / math.factorial(k) for k in range(FACTORIALS[w.kind.dtype] - 1, -1, -1)])
    half = w.integers("ashr", exponent, 1)
    result = w.mul(w.mul(power, w.power_of_two(half)), w.power_of_two(w.integers("sub", exponent, half)))
    result = w.select(over, w.constant(math.inf), result)
    return w.select(under, w.constant(0.0), result)


def log(w: Writer, x: str) -> str:
    """n log(2) + 2 artanh(s) with s = (m - 1) / (m + 1), where x = m 2**n and sqrt(1/2) <= m < sqrt(2)."""
    least = 2.0 ** (1 - w.bias)
    small = w.compare("olt", x, w.constant(least))
    scaled = w.select(small, w.mul(x, w.constant(2.0**w.mantissa)), x)
    bits = w.bits(scaled)
    root = struct.unpack("<I", struct.pack("<f", math.sqrt(0.5)))[0] if w.mantissa == 23 else 0x3FE6A09E667F3BCD
    shifted = w.integers("sub", bits, root)
    exponent = w.integers("ashr", shifted, w.mantissa)
    m = w.unbits(w.integers("sub", bits, w.integers("shl", exponent, w.mantissa)))
    n = w.code.put(f"sitofp {w.integer} {exponent} to {w.kind}")
    n = w.select(small, w.sub(n, w.constant(w.mantissa)), n)
    f = w.sub(m, w.constant(1.0))
    s = w.div(f, w.add(m, w.constant(1.0)))
    z = w.mul(s, s)
    count = 5 if w.mantissa == 23 else 12
    tail = w.mul(w.mul(z, s), w.polynomial(z, [2 / (2 * k + 1) for k in range(count, 0, -1)]))
    # 2 s = f - s f, where f is exact.
    rest = w.fma(w.sub(w.constant(0.0), s), f, tail)
    rest = w.fma(n, w.constant(LN2[w.kind.dtype][1]), rest)
    result = w.add(w.fma(n, w.constant(LN2[w.kind.dtype][0]), f), rest)
    result = w.select(w.compare("oeq", x, w.constant(0.0)), w.constant(-math.inf), result)
    result = w.select(w.compare("olt", x, w.constant(0.0)), w.constant(math.nan), result)
    usual = w.compare("olt", x, w.constant(math.inf))
    return w.select(w.compare("oge", x, w.constant(math.inf)), x, w.select(usual, result, w.add(x, x)))


def expm1(w: Writer, x: str) -> str:
    """A polynomial near 0; else exp(x) - 1."""
    count = 10 if w.mantissa == 23 else 18
    near = w.mul(x, w.polynomial(x, [1 / math.factorial(k) for k in range(count, 0, -1)]))
    far = w.sub(exp(w, x), w.constant(1.0))
    return w.select(w.compare("olt", w.call("fabs", x), w.constant(0.5)), near, far)


def log1p(w: Writer, x: str) -> str:
    """log(u) x / (u - 1) with u = 1 + x (Goldberg 1991, theorem 4)."""
    u = w.add(w.constant(1.0), x)
    difference = w.sub(u, w.constant(1.0))
    result = w.mul(log(w, u), w.div(x, difference))
    result = w.select(w.compare("oeq", difference, w.constant(0.0)), x, result)
    result = w.select(w.compare("oeq", u, w.constant(0.0)), w.constant(-math.inf), result)
    return w.select(w.compare("oeq", u, w.constant(math.inf)), u, result)


def tanh(w: Writer, x: str) -> str:
    """e / (e + 2) with e = expm1(2 |x|), and the sign of x."""
    size = w.call("fabs", x)
    size = w.select(w.compare("ogt", size, w.constant(20.0)), w.constant(20.0), size)
    e = expm1(w, w.add(size, size))
    return w.call("copysign", w.div(e, w.add(e, w.constant(2.0))), x)


def erf(w: Writer, x: str) -> str:
    """x P(x**2) near 0, else 1 - exp(-x**2) Q((|x| - 2) / (|x| + 2)) with the sign of x."""
    near = w.mul(x, w.polynomial(w.mul(x, x), ERF_NEAR[w.kind.dtype]))
    size, limit = w.call("fabs", x), w.constant(ERF_LIMIT[w.kind.dtype])
    bounded = w.select(w.compare("ogt", size, limit), limit, size)
    place = w.div(w.sub(bounded, w.constant(2.0)), w.add(bounded, w.constant(2.0)))
    power = exp(w, w.sub(w.constant(-0.0), w.mul(bounded, bounded)))
    far = w.sub(w.constant(1.0), w.mul(power, w.polynomial(place, ERF_FAR[w.kind.dtype])))
    return w.select(w.compare("olt", size, w.constant(1.0)), near, w.call("copysign", far, x))


def sigmoid(w: Writer, x: str) -> str:
    """As core.ops.forward_smooth.sigmoid."""
    power = exp(w, w.sub(w.constant(-0.0), w.call("fabs", x)))
    top = w.select(w.compare("oge", x, w.constant(0.0)), w.constant(1.0), power)
    return w.div(top, w.add(w.constant(1.0), power))


def softplus(w: Writer, x: str) -> str:
    """max(x, 0) + log1p(exp(-|x|))."""
    power = exp(w, w.sub(w.constant(-0.0), w.call("fabs", x)))
    return w.add(maximum(w, x, w.constant(0.0)), log1p(w, power))


def maximum(w: Writer, a: str, b: str) -> str:
    """The larger one, or a NaN."""
    if w.kind.dtype == "int64":
        return w.call("smax", a, b)
    return w.select(w.compare("uno", a, a), a, w.select(w.compare("ogt", a, b), a, b))


def minimum(w: Writer, a: str, b: str) -> str:
    """The smaller one, or a NaN."""
    if w.kind.dtype == "int64":
        return w.call("smin", a, b)
    return w.select(w.compare("uno", a, a), a, w.select(w.compare("olt", a, b), a, b))


def sign(w: Writer, x: str) -> str:
    one = w.call("copysign", w.constant(1.0), x)
    return w.select(w.compare("oeq", x, w.constant(0.0)), w.constant(0.0), w.select(w.compare("uno", x, x), x, one))


def relu(w: Writer, x: str) -> str:
    return w.select(w.compare("olt", x, w.constant(0.0)), w.constant(0.0), x)


def leaky_relu(w: Writer, x: str, *, slope: str) -> str:
    return w.select(w.compare("ogt", x, w.constant(0.0)), x, w.mul(x, w.constant(float(Fraction(slope)))))


def clamp(w: Writer, x: str, *, minimum: str, maximum: str) -> str:
    x = _maximum(w, x, w.constant(float(Fraction(minimum))))
    return _minimum(w, x, w.constant(float(Fraction(maximum))))


_maximum, _minimum = maximum, minimum


def arithmetic(float_name: str, integer_name: str) -> Callable[..., str]:
    return lambda w, a, b: w.op(integer_name if w.kind.dtype == "int64" else float_name, a, b)


def negative(w: Writer, x: str) -> str:
    return w.op("sub", w.constant(0), x) if w.kind.dtype == "int64" else w.code.put(f"fneg {w.kind} {x}")


def cast(w: Writer, x: str, *, dtype: str) -> str:
    """From the kind of `w` to another."""
    there, here = Kind(dtype, w.kind.lanes), w.kind.dtype
    if dtype == here:
        return x
    if dtype == "bool":
        return w.compare("une" if here in FLOATS else "ne", x, w.constant(0))
    names = {
        ("float32", "float64"): "fpext",
        ("float64", "float32"): "fptrunc",
        ("bool", "int64"): "zext",
        ("bool", "float32"): "uitofp",
        ("bool", "float64"): "uitofp",
        ("int64", "float32"): "sitofp",
        ("int64", "float64"): "sitofp",
    }
    return w.code.put(f"{names[here, dtype]} {w.kind} {x} to {there}")


@dataclass(frozen=True)
class Row:
    """How to write an op on values of the given kind, and the dtypes of its last operand that it is written for."""

    write: Callable[..., str]
    dtypes: Sequence[str] = FLOATS


ELEMENTWISE: Mapping[str, Row] = {
    "abs": Row(lambda w, x: w.call("fabs", x)),
    "add": Row(arithmetic("fadd", "add"), NUMBERS),
    "cast": Row(cast, (*NUMBERS, "bool")),
    "clamp": Row(clamp),
    "cos": Row(lambda w, x: w.call("cos", x)),
    "div": Row(lambda w, a, b: w.div(a, b)),
    "equal": Row(lambda w, a, b: w.compare("oeq" if w.kind.dtype in FLOATS else "eq", a, b), (*NUMBERS, "bool")),
    "erf": Row(erf),
    "exp": Row(exp),
    "expm1": Row(expm1),
    "greater": Row(lambda w, a, b: w.compare("ogt" if w.kind.dtype in FLOATS else "sgt", a, b), NUMBERS),
    "leaky_relu": Row(leaky_relu),
    "log": Row(log),
    "log1p": Row(log1p),
    "maximum": Row(maximum, NUMBERS),
    "minimum": Row(minimum, NUMBERS),
    "mul": Row(arithmetic("fmul", "mul"), NUMBERS),
    "neg": Row(negative, NUMBERS),
    "pow": Row(lambda w, a, b: w.call("pow", a, b)),
    "relu": Row(relu),
    "scale": Row(lambda w, x, factor: w.mul(x, w.constant(float(Fraction(factor))))),
    "sigmoid": Row(sigmoid),
    "sign": Row(sign),
    "sin": Row(lambda w, x: w.call("sin", x)),
    "softplus": Row(softplus),
    "sqrt": Row(lambda w, x: w.call("sqrt", x)),
    "sub": Row(arithmetic("fsub", "sub"), NUMBERS),
    "tanh": Row(tanh),
    "where": Row(lambda w, which, a, b: w.select(which, a, b), (*NUMBERS, "bool")),
}


def write(code: Code, op: str, kind: Kind, args: Sequence[str], attributes: Mapping[str, Any]) -> str:
    """The value of the op; `kind` is that of its last operand."""
    return ELEMENTWISE[op].write(Writer(code, kind), *args, **attributes)
