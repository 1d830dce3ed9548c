"""Einstein summation, lowered to transpose, reshape, matmul, mul and sum."""

from __future__ import annotations

import math
import re

from tlverify.core.ops import functions as f
from tlverify.core.ops.apply import Value, same_dtype
from tlverify.graph import ShapeError

_EQUATION = re.compile(r"([A-Za-z]*(?:,[A-Za-z]*)*)(?:->([A-Za-z]*))?")


def einsum(equation: str, *operands: Value) -> Value:
    """Sums of products over labelled axes, as in `einsum("bij,bjk->bik", a, b)`; operands are taken left to right.

    Without `->` the result has the labels that occur once, in alphabetical order. A label may not occur twice in
    one operand: take its `diagonal` first.
    """
    inputs, output = _parse(equation, operands)
    values = same_dtype("einsum", *operands)
    sizes: dict[str, int] = {}
    for labels, value in zip(inputs, values, strict=True):
        for label, size in zip(labels, value.shape, strict=True):
            if sizes.setdefault(label, size) != size:
                raise ShapeError(f"einsum: {equation!r}: axis {label!r} has sizes {sizes[label]} and {size}")
    labels, result = _drop(inputs[0], values[0], set(output).union(*inputs[1:]))
    for i, (right, value) in enumerate(zip(inputs[1:], values[1:], strict=True), start=2):
        later = set(output).union(*inputs[i:])
        right, value = _drop(right, value, later | set(labels))
        labels, result = _drop(labels, result, later | set(right))
        labels, result = _pair(labels, result, right, value, later, sizes)
    return f.transpose(result, [labels.index(label) for label in output])


def _parse(equation: str, operands: tuple[Value, ...]) -> tuple[list[str], str]:
    match = _EQUATION.fullmatch(equation.replace(" ", ""))
    if match is None:
        raise ShapeError(f"einsum: expected an equation such as 'ij,jk->ik', found {equation!r}")
    inputs = match[1].split(",")
    if len(inputs) != len(operands) or not operands:
        raise ShapeError(f"einsum: {equation!r} has {len(inputs)} operands, found {len(operands)}")
    joined = "".join(inputs)
    output = match[2]
    if output is None:
        output = "".join(sorted(label for label in set(joined) if joined.count(label) == 1))
    for labels, value in zip(inputs, operands, strict=True):
        rank = len(getattr(value, "shape", ()))
        if len(labels) != rank:
            raise ShapeError(f"einsum: {equation!r}: {labels!r} names {len(labels)} axes of a value with {rank}")
        if len(set(labels)) != len(labels):
            raise ShapeError(f"einsum: {equation!r}: {labels!r} names an axis twice; take ops.diagonal first")
    if len(set(output)) != len(output) or not set(output) <= set(joined):
        raise ShapeError(f"einsum: {equation!r}: expected distinct labels of the operands after '->'")
    return inputs, output


def _drop(labels: str, value: Value, wanted: set[str]) -> tuple[str, Value]:
    """The sum over the axes that nothing else needs."""
    axes = [i for i, label in enumerate(labels) if label not in wanted]
    kept = "".join(label for label in labels if label in wanted)
    return kept, f.sum(value, axes) if axes else value


def _pair(left: str, a: Value, right: str, b: Value, later: set[str], sizes: dict[str, int]) -> tuple[str, Value]:
    """The product of two operands, summed over the labels that they share and nothing needs later."""
    shared = [label for label in left if label in right]
    summed = [label for label in shared if label not in later]
    batch = [label for label in shared if label in later]
    rows = [label for label in left if label not in right]
    columns = [label for label in right if label not in left]
    a = f.transpose(a, [left.index(label) for label in (*batch, *rows, *summed)])
    b = f.transpose(b, [right.index(label) for label in (*batch, *summed, *columns)])
    lead = [sizes[label] for label in batch]
    m, k, n = (math.prod(sizes[label] for label in group) for group in (rows, summed, columns))
    product = f.matmul(f.reshape(a, *lead, m, k), f.reshape(b, *lead, k, n))
    shape = [sizes[label] for label in (*batch, *rows, *columns)]
    return "".join((*batch, *rows, *columns)), f.reshape(product, shape)
