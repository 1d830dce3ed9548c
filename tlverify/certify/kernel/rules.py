"""The op table of the kernel: what each op means, exactly.

A row has four functions. `shape` re-derives the shape. `value` is the exact value. `interval` is an enclosure
given enclosures of the inputs. `backward` replaces coefficients of the result by coefficients of the inputs
and a constant, such that for all x in the region

    sum_i row_i * result_i  >=  sum over inputs of sum_j row'_j * input_j  +  constant.

The lemma behind each row is in `proofs/`. An op without a row is refused by the reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tlverify.certify.kernel.arithmetic import Interval, Vector, add, outward, shift
from tlverify.certify.kernel.errors import Malformed
from tlverify.certify.kernel.network import Network, Node, Shape

SLOPE_BITS = 7  # a proposed slope is k / 2^7 with 0 <= k <= 2^7
CHORD_BITS = 22  # a chord's slope is rounded up to a multiple of 2^-22

ZERO = Vector([0], 0)
Slopes = Mapping[int, int]  # by neuron, where they differ from the default
Backward = tuple[list[tuple[str, Vector]], Vector]


@dataclass(frozen=True)
class Unstable:
    """What the relaxation of one unstable neuron needs: its input has `lower < 0 < upper`."""

    index: int
    lower: int
    chord: int
    default_slope: int


@dataclass(frozen=True)
class Phases:
    """The neurons of a piecewise op by phase, read off the bounds of its input."""

    active: Sequence[int]
    unstable: Sequence[Unstable]
    exponent: int


@dataclass(frozen=True)
class Rule:
    shape: Callable[[Node, Sequence[Node]], Shape]
    value: Callable[[Node, Sequence[Vector], Network], Vector]
    interval: Callable[[Node, Sequence[Interval], Network], Interval]
    backward: Callable[[Node, Vector, Network, Phases | None, Slopes], Backward]
    phases: Callable[[Interval], Phases] | None = None


def _no_attributes(node: Node, arity: int) -> None:
    if len(node.inputs) != arity or node.attributes:
        raise Malformed(f"node {node.name[:80]!r}: {node.op} takes {arity} inputs and no attributes")


# linear: y = x W^T + b on the last axis of x


def _linear_shape(node: Node, sources: Sequence[Node]) -> Shape:
    _no_attributes(node, 3)
    x, weight, bias = sources
    if weight.op != "parameter" or bias.op != "parameter":
        raise Malformed(f"node {node.name[:80]!r}: weight and bias of linear must be parameters")
    fits = len(weight.shape) == 2 and bias.shape == weight.shape[:1] and x.shape[-1:] == weight.shape[1:]
    if not fits:
        shapes = f"{list(x.shape)}, {list(weight.shape)}, {list(bias.shape)}"
        raise Malformed(f"node {node.name[:80]!r}: linear does not accept shapes {shapes}")
    return (*x.shape[:-1], weight.shape[0])


def _blocks(values: Sequence[int], size: int) -> list[Sequence[int]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _linear_value(node: Node, sources: Sequence[Vector], network: Network) -> Vector:
    x, _, bias = sources
    matrix = network.matrices[node.inputs[1]]
    blocks = _blocks(x.integers, matrix.columns)
    products = [sum(w * v for w, v in zip(row, block, strict=True)) for block in blocks for row in matrix.rows]
    repeated = Vector([*bias.integers] * len(blocks), bias.exponent)
    return add(Vector(products, matrix.exponent + x.exponent), repeated)


def _linear_interval(node: Node, sources: Sequence[Interval], network: Network) -> Interval:
    """With center c = l + u and radius r = u - l: 2 (W x + b) is within W c + 2 b -+ |W| r."""
    x = sources[0]
    matrix, bias = network.matrices[node.inputs[1]], network.values[node.inputs[2]]
    center: list[int] = []
    radius: list[int] = []
    for low, high in zip(_blocks(x.lower, matrix.columns), _blocks(x.upper, matrix.columns), strict=True):
        center += matrix.by_column.combine([a + b for a, b in zip(low, high, strict=True)])
        radius += matrix.magnitude_by_column.combine([b - a for a, b in zip(low, high, strict=True)])
    doubled = Vector([*bias.integers] * (len(center) // len(matrix.rows)), bias.exponent + 1)
    exponent = matrix.exponent + x.exponent
    middle = add(Vector(center, exponent), doubled)
    around = shift(radius, exponent - middle.exponent)
    lower = [c - r for c, r in zip(middle.integers, around, strict=True)]
    upper = [c + r for c, r in zip(middle.integers, around, strict=True)]
    return outward(lower, upper, middle.exponent - 1)


def _linear_backward(node: Node, row: Vector, network: Network, phases: Phases | None, slopes: Slopes) -> Backward:
    matrix, bias = network.matrices[node.inputs[1]], network.values[node.inputs[2]]
    result: list[int] = []
    constant = 0
    for block in _blocks(row.integers, len(matrix.rows)):
        result += matrix.by_row.combine(block)
        constant += sum(a * b for a, b in zip(block, bias.integers, strict=True))
    exponent = row.exponent
    to_input = Vector(result, exponent + matrix.exponent)
    return [(node.inputs[0], to_input)], Vector([constant], exponent + bias.exponent)


# add


def _add_shape(node: Node, sources: Sequence[Node]) -> Shape:
    _no_attributes(node, 2)
    if sources[0].shape != sources[1].shape:
        raise Malformed(f"node {node.name[:80]!r}: add needs equal shapes")
    return sources[0].shape


def _add_value(node: Node, sources: Sequence[Vector], network: Network) -> Vector:
    return add(sources[0], sources[1])


def _add_interval(node: Node, sources: Sequence[Interval], network: Network) -> Interval:
    a, b = sources
    lower = add(Vector(a.lower, a.exponent), Vector(b.lower, b.exponent))
    upper = add(Vector(a.upper, a.exponent), Vector(b.upper, b.exponent))
    return outward(lower.integers, upper.integers, lower.exponent)


def _add_backward(node: Node, row: Vector, network: Network, phases: Phases | None, slopes: Slopes) -> Backward:
    return [(node.inputs[0], row), (node.inputs[1], row)], ZERO


# reshape: entries are kept in row-major order


def _reshape_shape(node: Node, sources: Sequence[Node]) -> Shape:
    shape: Any = node.attributes.get("shape")
    well_formed = len(node.inputs) == 1 and set(node.attributes) == {"shape"} and type(shape) is list
    if not well_formed or not all(type(size) is int for size in shape):
        raise Malformed(f"node {node.name[:80]!r}: reshape takes one input and the attribute shape")
    if math.prod(shape) != sources[0].size:
        raise Malformed(f"node {node.name[:80]!r}: cannot reshape {list(sources[0].shape)} to {shape}")
    return tuple(shape)


def _reshape_value(node: Node, sources: Sequence[Vector], network: Network) -> Vector:
    return sources[0]


def _reshape_interval(node: Node, sources: Sequence[Interval], network: Network) -> Interval:
    return sources[0]


def _reshape_backward(node: Node, row: Vector, network: Network, phases: Phases | None, slopes: Slopes) -> Backward:
    return [(node.inputs[0], row)], ZERO


# relu


def _relu_shape(node: Node, sources: Sequence[Node]) -> Shape:
    _no_attributes(node, 1)
    return sources[0].shape


def _relu_value(node: Node, sources: Sequence[Vector], network: Network) -> Vector:
    return Vector([max(value, 0) for value in sources[0].integers], sources[0].exponent)


def _relu_interval(node: Node, sources: Sequence[Interval], network: Network) -> Interval:
    x = sources[0]
    return Interval([max(v, 0) for v in x.lower], [max(v, 0) for v in x.upper], x.exponent)


def _relu_phases(bounds: Interval) -> Phases:
    active, unstable = [], []
    for index, (low, high) in enumerate(zip(bounds.lower, bounds.upper, strict=True)):
        if low >= 0:
            active.append(index)
        elif high > 0:
            chord = -((-high << CHORD_BITS) // (high - low))  # high / (high - low), rounded up
            unstable.append(Unstable(index, low, chord, 1 << SLOPE_BITS if high > -low else 0))
    return Phases(active, unstable, bounds.exponent)


def _relu_backward(node: Node, row: Vector, network: Network, phases: Phases | None, slopes: Slopes) -> Backward:
    """Active: the identity. Inactive: zero. Unstable, a > 0: any slope in [0, 1] through the origin is below.
    Unstable, a < 0: the chord is above, and floor(a * chord) <= a * chord keeps it so."""
    if phases is None:
        raise ValueError("relu needs the phases of its input")
    given = row.integers
    result = [0] * len(given)
    constant = 0
    for index in phases.active:
        result[index] = given[index]
    for neuron in phases.unstable:
        a = given[neuron.index]
        if a > 0:
            result[neuron.index] = a * slopes.get(neuron.index, neuron.default_slope) >> SLOPE_BITS
        elif a < 0:
            taken = a * neuron.chord >> CHORD_BITS
            result[neuron.index] = taken
            constant -= taken * neuron.lower
    return [(node.inputs[0], Vector(result, row.exponent))], Vector([constant], row.exponent + phases.exponent)


RULES: Mapping[str, Rule] = {
    "add": Rule(_add_shape, _add_value, _add_interval, _add_backward),
    "linear": Rule(_linear_shape, _linear_value, _linear_interval, _linear_backward),
    "relu": Rule(_relu_shape, _relu_value, _relu_interval, _relu_backward, _relu_phases),
    "reshape": Rule(_reshape_shape, _reshape_value, _reshape_interval, _reshape_backward),
}
