"""Shapes, dtypes and attributes: what a shape rule reads, and the checks that all of them share."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from tlverify.graph.errors import ShapeError

Shape = tuple[int, ...]
Attribute = int | str | tuple[int, ...]
Attributes = Mapping[str, Attribute]

FLOATS = ("float32", "float64")
DTYPES = (*FLOATS, "int64", "bool")

# 2**-1074, the smallest float64, has a denominator of 324 digits.
_FRACTION = re.compile(r"(0|-?[1-9][0-9]{0,399})(?:/([1-9][0-9]{0,399}))?", re.ASCII)


@dataclass(frozen=True)
class Type:
    """Shape and dtype of a value."""

    shape: Shape
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


def require(condition: bool, message: str) -> None:
    """ShapeError with `message` unless the condition holds."""
    if not condition:
        raise ShapeError(message)


def integers(attributes: Attributes, name: str, count: int | None = None, least: int | None = None) -> Shape:
    """The attribute as a tuple of integers: `count` of them, each at least `least`, where these are given."""
    value = attributes[name]
    if not isinstance(value, tuple) or not all(type(item) is int for item in value):
        raise ShapeError(f"attribute {name!r}: expected a list of integers, found {value!r}")
    if count is not None:
        require(len(value) == count, f"{name}: expected {count} integers, found {list(value)}")
    if least is not None:
        require(min(value, default=least) >= least, f"{name}: expected integers >= {least}, found {list(value)}")
    return value


def fraction(attributes: Attributes, name: str, dtype: str) -> Fraction:
    """The value of an attribute that holds a number exactly; ShapeError unless `dtype` holds it too.

    The text is "p" or "p/q" in lowest terms with q a power of two, such as "-3/8": each number has one text.
    """
    text = str(attributes[name])
    match = _FRACTION.fullmatch(text)
    value = Fraction(int(match[1]), int(match[2] or 1)) if match else None
    if value is None or str(value) != text or value.denominator & (value.denominator - 1):
        form = "an integer or p/q in lowest terms with q a power of two"
        raise ShapeError(f"{name}: expected {form}, found {text!r}")
    try:
        require(Fraction(_rounded(value, dtype)) == value, f"{name}: {dtype} does not hold {text} exactly")
    except OverflowError:
        raise ShapeError(f"{name}: {text} is too large for {dtype}") from None
    return value


def fraction_text(value: float, dtype: str, name: str = "value") -> str:
    """`value` rounded to the float `dtype`, as the text that `fraction` reads; ShapeError if that is not finite."""
    try:
        return str(Fraction(_rounded(value, dtype)))
    except (OverflowError, ValueError):
        raise ShapeError(f"{name}: expected a finite {dtype}, found {value!r}") from None


def _rounded(value: float | Fraction, dtype: str) -> float:
    code = {"float32": "<f", "float64": "<d"}[dtype]
    return float(struct.unpack(code, struct.pack(code, float(value)))[0])
