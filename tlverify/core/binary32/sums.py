"""Sums of products in a chosen order: what a CPU, a GPU or a compiler may do with one affine map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from tlverify.core.binary32 import vector
from tlverify.core.binary32.format import NEAREST, Binary32Error, Mode
from tlverify.core.binary32.vector import Floats

Tree = Literal["sequential", "pairwise", "blocked"]
Bias = Literal["first", "last"]


@dataclass(frozen=True)
class Order:
    """How the terms of a sum are arranged, and by which tree they are added.

    The terms are taken as given, `reverse`d, or permuted by the random `seed`. "sequential" adds one after another,
    "pairwise" halves the number of partial sums again and again, "blocked" adds `block` terms one after another in
    each block and then the blocks one after another.
    """

    tree: Tree = "sequential"
    block: int = 8
    reverse: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.tree not in get_args(Tree):
            raise Binary32Error(f"order: expected one of {', '.join(get_args(Tree))}, found {self.tree!r}")
        if self.block < 1:
            raise Binary32Error(f"order: expected a block of 1 or more terms, found {self.block}")

    def places(self, count: int) -> Any:
        """The order in which `count` terms are taken."""
        indices = np.arange(count) if self.seed is None else np.random.default_rng(self.seed).permutation(count)
        return indices[::-1] if self.reverse else indices


@dataclass(frozen=True)
class Execution:
    """One way to run a graph: the order of sums, whether products contract to FMA, the place of the bias, the mode."""

    order: Order = Order()
    fma: bool = False
    bias: Bias = "last"
    mode: Mode = NEAREST

    def __post_init__(self) -> None:
        if self.bias not in get_args(Bias):
            raise Binary32Error(f"bias: expected first or last, found {self.bias!r}")


Step = Callable[[Any, Any], Floats]  # the accumulator (None at first) and term numbers -> the accumulator


def dot(left: Floats, right: Floats, bias: Floats | None, execution: Execution) -> Floats:
    """The sum over the first axis of left * right, and bias: shapes (k, *L) and (k, *R), where L and R broadcast."""
    mode = execution.mode

    def step(total: Floats | None, terms: Any) -> Floats:
        a, b = left[terms], right[terms]
        if total is None:
            return vector.mul(a, b, mode)
        return vector.fma(a, b, total, mode) if execution.fma else vector.add(total, vector.mul(a, b, mode), mode)

    return _reduce(step, len(left), bias, execution)


def total(values: Floats, execution: Execution) -> Floats:
    """The sum over the first axis of `values`."""

    def step(total: Floats | None, terms: Any) -> Floats:
        return values[terms] if total is None else vector.add(total, values[terms], execution.mode)

    if len(values) == 0:
        return np.zeros(values.shape[1:], np.float32)
    return _reduce(step, len(values), None, execution)


def _reduce(step: Step, count: int, bias: Floats | None, execution: Execution) -> Floats:
    mode, order = execution.mode, execution.order
    places = order.places(count)
    start = bias if execution.bias == "first" else None
    if count == 0:
        raise Binary32Error("a sum of no products has no order; expected one or more terms")
    if order.tree == "pairwise":
        result = _pairwise(step, places, start, mode)
    else:
        result = _blocks(step, places, count if order.tree == "sequential" else order.block, start, mode)
    return vector.add(result, bias, mode) if bias is not None and start is None else result


def _run(step: Step, terms: Any, start: Floats | None) -> Floats:
    """Terms one after another; a second axis of `terms` runs beside the first."""
    result = start
    for column in terms:
        result = step(result, column)
    if result is None:
        raise Binary32Error("a sum of no products has no order; expected one or more terms")
    return result


def _blocks(step: Step, places: Any, block: int, start: Floats | None, mode: Mode) -> Floats:
    result = _run(step, places[:block], start)
    whole = (len(places) - len(places[:block])) // block
    rest = places[block:]
    if whole:
        partial = _run(step, rest[: whole * block].reshape(whole, block).T, None)
        for value in partial:
            result = vector.add(result, value, mode)
    if len(rest) > whole * block:
        result = vector.add(result, _run(step, rest[whole * block :], None), mode)
    return result


def _pairwise(step: Step, places: Any, start: Floats | None, mode: Mode) -> Floats:
    even = len(places) // 2 * 2
    sums = []
    if even:
        sums.append(step(step(None, places[:even:2]), places[1:even:2]))
    if even < len(places):
        sums.append(step(None, places[even:]))
    partial = np.concatenate(sums)
    if start is not None:
        partial = np.concatenate([np.broadcast_to(start, (1, *partial.shape[1:])), partial])
    while len(partial) > 1:
        even = len(partial) // 2 * 2
        partial = np.concatenate([vector.add(partial[:even:2], partial[1:even:2], mode), partial[even:]])
    return np.asarray(partial[0])
