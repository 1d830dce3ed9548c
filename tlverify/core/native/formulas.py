"""Formulas as LLVM IR: numbers that machine code works out as Python would, to the bit."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from tlverify.core.formula import Formula, text_of
from tlverify.core.native.functions import literal
from tlverify.graph import TlverifyError

Place = tuple[str, int]
"""The argument of the function that is a pointer, and an offset in bytes."""
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("add", "fadd"),
    ast.Sub: ("sub", "fsub"),
    ast.Mult: ("mul", "fmul"),
    ast.Div: ("", "fdiv"),
    ast.Pow: ("", ""),
}


def function(
    name: str,
    arguments: Iterable[str],
    sources: Mapping[str, tuple[str, Place]],
    results: Iterable[tuple[float | Formula, str, Place]],
) -> str:
    """The text of a function of pointers that reads the named numbers, each a dtype and a place, and writes formulas
    of them in the given dtypes. It takes the C library's `pow`, which Python does, from the global pointer @power.

    Integers have 64 bits; where Python would raise an error, as for 1 / 0, a result is infinite or NaN. TlverifyError
    for what has no such value: a power of integers, or a float where an integer is to be.
    """
    writer = _Writer(sources)
    found = [(*writer.of(text_of(formula)), dtype, place) for formula, dtype, place in results]
    for kind, value, dtype, place in found:  # only when all is read
        writer.store(kind, value, dtype, place)
    body = "\n".join(writer.lines)
    return f"define internal void @{name}({', '.join(f'ptr %{a}' for a in arguments)}) {{\n{body}\n  ret void\n}}\n"


class _Writer:
    """Values are pairs: whether it is an "i64" or a "double", and what it is called."""

    def __init__(self, sources: Mapping[str, tuple[str, Place]]):
        self.sources = sources
        self.lines: list[str] = []
        self.known: dict[str, tuple[str, str]] = {}

    def of(self, text: str) -> tuple[str, str]:
        return self.value(ast.parse(text, mode="eval").body)

    def value(self, node: ast.expr) -> tuple[str, str]:
        key = ast.dump(node)
        if key not in self.known:
            self.known[key] = self.made(node)
        return self.known[key]

    def made(self, node: ast.expr) -> tuple[str, str]:
        if isinstance(node, ast.Name):
            dtype, place = self.sources[node.id]
            if dtype == "bool":
                value = self.put(f"load i8, ptr {self.pointer(place)}")
                return "i64", self.put(f"zext i8 {value} to i64")
            kind = "i64" if dtype == "int64" else "double"
            return kind, self.put(f"load {kind}, ptr {self.pointer(place)}")
        if isinstance(node, ast.UnaryOp):
            kind, value = self.value(node.operand)
            return kind, self.put(f"fneg double {value}" if kind == "double" else f"sub i64 0, {value}")
        if isinstance(node, ast.BinOp):
            return self.operation(node, self.value(node.left), self.value(node.right))
        number = eval(compile(ast.Expression(node), "", "eval"), {"float": float})
        return ("double", literal(number, "float64")) if isinstance(number, float) else ("i64", str(int(number)))

    def operation(self, node: ast.BinOp, a: tuple[str, str], b: tuple[str, str]) -> tuple[str, str]:
        whole, real = _OPERATORS[type(node.op)]
        if a[0] == b[0] == "i64" and whole:
            return "i64", self.put(f"{whole} i64 {a[1]}, {b[1]}")
        if a[0] == b[0] == "i64" and not real:
            raise TlverifyError(f"{ast.unparse(node)}: a power of integers; write one of them as a float, as in 2.0")
        x, y = self.double(*a), self.double(*b)
        if real:
            return "double", self.put(f"{real} double {x}, {y}")
        power = self.put("load ptr, ptr @power")
        return "double", self.put(f"call double {power}(double {x}, double {y})")

    def double(self, kind: str, value: str) -> str:
        return value if kind == "double" else self.put(f"sitofp i64 {value} to double")

    def store(self, kind: str, value: str, dtype: str, place: Place) -> None:
        if dtype == "int64":
            if kind == "double":
                raise TlverifyError("a formula gives a float where an integer is to be; begin with a float, as 0.0")
            stored = f"i64 {value}"
        elif dtype == "float32":
            stored = f"float {self.put(f'fptrunc double {self.double(kind, value)} to float')}"
        elif dtype == "float64":
            stored = f"double {self.double(kind, value)}"
        else:
            stored = f"i8 {self.put(f'trunc i64 {value} to i8')}"
        self.lines.append(f"  store {stored}, ptr {self.pointer(place)}")

    def pointer(self, place: Place) -> str:
        return self.put(f"getelementptr i8, ptr %{place[0]}, i64 {place[1]}")

    def put(self, text: str) -> str:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"  {name} = {text}")
        return name
