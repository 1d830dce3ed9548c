"""VNN-LIB properties: read from `.vnnlib` or `.vnnlib.gz`, exactly.

A file states the negation of the property: what it asserts is the bad state, so `sat` means that the property is
falsified and `unsat` that it is verified.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from tlverify.interop.vnnlib_logic import Formula, PropertyError, Row, conjoin
from tlverify.interop.vnnlib_text import read_text

MAX_BYTES = 512 << 20
_VERSION_2 = re.compile(r"^\s*\(\s*vnnlib-version\s*<\s*2\.\d+\s*>\s*\)", re.MULTILINE)


@dataclass(frozen=True)
class Tensor:
    """A variable that VNN-LIB 2.0 declares; `kind` is X (input) or Y (output)."""

    name: str
    kind: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A box of inputs, flat, and the conjunctions of rows that are bad in it. An empty conjunction holds everywhere."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    bad: tuple[tuple[Row, ...], ...]


class _Box(NamedTuple):
    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    bad: list[tuple[Row, ...]]


@dataclass(frozen=True)
class Property:
    """No input lies in the box of a case and satisfies one of its conjunctions.

    `inputs` and `outputs` count the entries of all inputs and outputs. Without cases nothing is bad: the file's input
    region is empty. `tensors` are the declarations of VNN-LIB 2.0, in order; empty for 1.0.
    """

    inputs: int
    outputs: int
    cases: tuple[Case, ...]
    tensors: tuple[Tensor, ...] = ()


def read_vnnlib(path: str | os.PathLike[str]) -> Property:
    """Read a property of VNN-LIB 1.0, or of 2.0 with the package `vnnlib`.

    PropertyError names the file and what is wrong with it.
    """
    source = Path(path)
    try:
        with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise PropertyError(f"over {MAX_BYTES >> 20} MiB")
        return parse_vnnlib(data.decode("utf-8"))
    except PropertyError as error:
        raise PropertyError(f"{source}: {error}") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise PropertyError(f"{source}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse_vnnlib(text: str) -> Property:
    """The property that a file with this text states."""
    if _VERSION_2.search(text):
        from tlverify.interop.vnnlib_two import read_text_two

        inputs, outputs, assertions, tensors = read_text_two(text)
        return make_property(inputs, outputs, assertions, tensors)
    read = read_text(text)
    return make_property(read.inputs, read.outputs, read.assertions)


def make_property(
    inputs: int, outputs: int, assertions: Iterable[Formula], tensors: tuple[Tensor, ...] = ()
) -> Property:
    """The disjuncts of all assertions together, those in one box as one case."""
    same: dict[tuple[int, int], _Box] = {}  # many disjuncts share the very objects of their bounds
    boxes: dict[tuple[int, ...], _Box] = {}
    conjunctions = conjoin(assertions)
    for conjunction in conjunctions:
        shared = id(conjunction.lower), id(conjunction.upper)
        if shared not in same:
            lower, upper = _ends(conjunction.lower, inputs, "lower"), _ends(conjunction.upper, inputs, "upper")
            key = tuple(part for end in (*lower, *upper) for part in (end.numerator, end.denominator))
            same[shared] = boxes.setdefault(key, _Box(lower, upper, []))
        same[shared].bad.append(conjunction.rows)
    cases = tuple(Case(found.lower, found.upper, tuple(found.bad)) for found in boxes.values())
    return Property(inputs, outputs, cases, tensors)


def _ends(ends: Mapping[int, Fraction], inputs: int, side: str) -> tuple[Fraction, ...]:
    try:
        return tuple([ends[index] for index in range(inputs)])
    except KeyError as missing:
        raise PropertyError(
            f"X_{missing.args[0]} has no {side} bound in a disjunct: every input needs both, as numbers"
        ) from None
