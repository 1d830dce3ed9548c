"""Points of the region: exact floats inside it, values of the network there, and gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from tlverify.certify.interval.engine import Network

Floats = npt.NDArray[np.float64]


def inside(lower: Sequence[Fraction], upper: Sequence[Fraction]) -> tuple[Floats, Floats]:
    """The least and the largest float64 of each interval [lower, upper]. (The least is larger where there is none.)"""
    low = np.array([float(v) for v in lower])
    high = np.array([float(v) for v in upper])
    for i, (a, b) in enumerate(zip(lower, upper, strict=True)):
        if Fraction(float(low[i])) < a:
            low[i] = math.nextafter(low[i], math.inf)
        if Fraction(float(high[i])) > b:
            high[i] = math.nextafter(high[i], -math.inf)
    return low, high


def values_at(network: Network, points: Mapping[str, Floats]) -> dict[str, Floats]:
    """All values at points (batch, n) of the inputs, in plain float64."""
    values = dict(points)
    batch = len(next(iter(points.values())))
    for value in network.program.values.values():
        if value.kind == "relu":
            values[value.name] = np.maximum(values[value.source], 0.0)
        elif value.kind == "affine":
            total = np.zeros((batch, value.size))
            for source, matrix in network.terms(value):
                total += matrix.forward(values[source], matrix.weight)
            if value.name in network.biases:
                total += network.biases[value.name]
            values[value.name] = total
    return values


def gradients(network: Network, values: Mapping[str, Floats], start: Mapping[str, Floats]) -> dict[str, Floats]:
    """Of start . values with respect to the inputs, at the points of `values`: start[name] is (batch, n)."""
    pending = dict(start)
    result: dict[str, Floats] = {}
    for name in network.program.order(tuple(sorted(start))):
        row = pending.pop(name, None)
        if row is None:
            continue
        value = network.program.values[name]
        if value.kind == "input":
            result[name] = row
            continue
        if value.kind == "relu":
            parts = [(value.source, row * (values[value.source] > 0))]
        else:
            parts = [(source, matrix.backward(row)) for source, matrix in network.terms(value)]
        for source, part in parts:
            pending[source] = pending[source] + part if source in pending else part
    return result
