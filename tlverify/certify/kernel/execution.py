"""Running a program in float32: one of the executions that a contract allows, to replay a counterexample.

A float32 number is an integer in units of 2^LEAST. Every operation is exact and then rounded to nearest, ties to even,
with gradual underflow, which every contract allows. An infinity is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.contract import LEAST, nearest, quotient, representable
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import Dense, Map, Program, Value
from tlverify.certify.kernel.reader import fields, items


@dataclass(frozen=True)
class Order:
    """How sums of products are executed. Terms are taken in the order of `places` (those that are not listed last), the
    bias before or after them; each `block` of them is summed one after another, then each `block` of the sums, until
    one is left. With `fma` a product is not rounded before it is added."""

    block: int
    fma: bool
    bias_first: bool
    places: Sequence[int]

    def depth(self, terms: int, bias: bool) -> int:
        """Of the tree of sums."""
        count, depth = terms + (bias and self.bias_first), int(bias and not self.bias_first)
        while count > 1:
            depth += min(count, self.block) - 1
            count = -(-count // self.block)
        return depth


SEQUENTIAL = Order(1 << 30, False, False, ())


def read_orders(data: dict[str, Any], program: Program) -> dict[str, Order]:
    """From a witness: the orders of values by name, where they are not sequential."""
    result = {}
    for name, entry in data.items():
        value = program.values.get(name)
        if value is None or value.rounding is None or not value.rounding.ordered:
            raise Rejected("witness", f"{name[:80]!r} is not a sum of products that has an order")
        block, fma, first, places = fields(entry, "execution", block=int, fma=int, bias_first=int, places=list)
        if block < 2 or fma not in (0, 1) or first not in (0, 1):
            raise Rejected("witness", f"order of {name!r}: block is 2 or more, fma and bias_first are 0 or 1")
        if sorted(items(places, int, "places")) != list(range(len(places))):
            raise Rejected("witness", f"order of {name!r}: places are not 0 to {len(places) - 1}, each once")
        result[name] = Order(block, fma == 1, first == 1, places)
    return result


def execute(
    program: Program, points: Mapping[str, Sequence[Fraction]], orders: Mapping[str, Order]
) -> dict[str, list[int]]:
    """Every value in units of 2^LEAST, from inputs that are float32 numbers."""
    found = {name: [_number(name, point) for point in points[name]] for name in program.inputs}
    for name, value in program.values.items():
        if value.kind != "input":
            found[name] = execute_value(program, value, found, orders.get(name, SEQUENTIAL))
    return found


def execute_value(program: Program, value: Value, found: Mapping[str, Sequence[int]], order: Order) -> list[int]:
    """A value from its sources."""
    if value.kind == "relu":
        return [max(v, 0) for v in found[value.source]]
    if value.rounding is not None and value.rounding.ordered:
        return _sums(program, value, found, order)
    return _once(value, found)


def _number(name: str, point: Fraction) -> int:
    if not representable(point):
        raise Rejected("witness", f"input {name!r} holds {float(point)!r}, which is not a float32 number")
    return int(point / Fraction(2) ** LEAST)


def _once(value: Value, found: Mapping[str, Sequence[int]]) -> list[int]:
    """The exact value, rounded if the op rounds."""
    parts: list[tuple[Sequence[int], int]] = []
    for source, matrix in value.terms:
        parts.append((matrix.forward(found[source]), matrix.exponent))
    if value.bias is not None:
        parts.append((value.bias.integers, value.bias.exponent - LEAST))
    places = max(0, *(-exponent for _, exponent in parts))
    total = [0] * value.size
    for integers, exponent in parts:
        total = [a + (b << places + exponent) for a, b in zip(total, integers, strict=True)]
    if value.rounding is not None:
        return [nearest(v, places) for v in total]
    if places:
        raise TypeError(f"{value.name} is not exact")
    return total


def _sums(program: Program, value: Value, found: Mapping[str, Sequence[int]], order: Order) -> list[int]:
    ((source, matrix),) = value.terms
    rounding, contract = value.rounding, program.contract
    if rounding is None or contract is None:
        raise TypeError(f"{value.name} is not rounded")
    if matrix.inexact and not rounding.divisors:
        raise Rejected("witness", f"executions of {value.name!r} are not replayed: batch_norm has no order")
    x, result = found[source], []
    for entry, pairs in enumerate(rows_of(matrix)):
        chosen = [k for k in order.places if k < len(pairs)]
        chosen += range(len(order.places), len(pairs))
        if contract.depth and order.depth(len(chosen), value.bias is not None) > contract.depth:
            raise Rejected(
                "witness", f"the sums of {value.name!r} are deeper than the {contract.depth} of the contract"
            )
        if rounding.divisors:
            terms = [(1, x[pairs[k][0]]) for k in chosen]
            result.append(quotient(_sum(terms, 0, None, order), rounding.divisors[entry]))
            continue
        bias = None if value.bias is None else nearest(value.bias.integers[entry], LEAST - value.bias.exponent)
        result.append(_sum([(pairs[k][1], x[pairs[k][0]]) for k in chosen], -matrix.exponent, bias, order))
    return result


def rows_of(matrix: Map) -> Sequence[Sequence[tuple[int, int]]]:
    """For each entry of the result its (index, coefficient) pairs."""
    if not isinstance(matrix, Dense):
        return matrix.entries
    starts = range(0, matrix.columns, matrix.in_features)
    return [[(start + i, w) for i, w in enumerate(row)] for start in starts for row in matrix.rows]


def _sum(terms: Sequence[tuple[int, int]], places: int, bias: int | None, order: Order) -> int:
    """The products w x 2^-places and the bias, summed."""
    leaves: list[tuple[int, int] | int] = [*terms]
    if bias is not None and order.bias_first:
        leaves.insert(0, bias)

    def add(total: int | None, leaf: tuple[int, int] | int) -> int:
        if isinstance(leaf, int):
            return leaf if total is None else nearest(total + leaf, 0)
        product = leaf[0] * leaf[1]
        if total is None:
            return nearest(product, places)
        if order.fma:
            return nearest((total << max(places, 0)) + (product << max(-places, 0)), max(places, 0))
        return nearest(total + nearest(product, places), 0)

    while True:
        sums: list[tuple[int, int] | int] = []
        for start in range(0, len(leaves), order.block):
            total = None
            for leaf in leaves[start : start + order.block]:
                total = add(total, leaf)
            sums.append(0 if total is None else total)
        leaves = sums
        if len(leaves) <= 1:
            break
    result = leaves[0] if leaves else 0
    if not isinstance(result, int):
        raise TypeError("a sum is a number")
    return nearest(result + bias, 0) if bias is not None and not order.bias_first else result
