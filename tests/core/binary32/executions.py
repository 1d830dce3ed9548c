"""Ways to run a graph, and graphs to run."""

from __future__ import annotations

import itertools

import numpy as np

from tlverify.core.binary32 import Execution, Mode, Order
from tlverify.graph import GraphBuilder, Type

ORDERS = [Order(), Order(reverse=True), Order("pairwise"), Order("blocked", 4), Order("blocked", 7, seed=1)]
ORDERS += [Order(seed=2), Order("pairwise", seed=3)]


def executions(mode=None):
    """Every order with and without FMA, the bias first and last, with and without flushing."""
    for order in ORDERS:
        for fma in (False, True):
            for bias in ("first", "last"):
                for chosen in (Mode(), Mode(ftz=True, daz=True)) if mode is None else (mode,):
                    yield Execution(order, fma, bias, chosen)


def perceptron(seed, *sizes):
    """Linear layers with ReLU between them, and their weights."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    value = builder.input("x", Type((sizes[0],), "float32"))
    weights = []
    for before, after in itertools.pairwise(sizes):
        weight = (rng.standard_normal((after, before)) / np.sqrt(before)).astype(np.float32)
        bias = rng.standard_normal(after).astype(np.float32)
        if weights:
            value = builder.node("relu", value)
        value = builder.node("linear", value, builder.parameter(weight), builder.parameter(bias))
        weights.append((weight, bias))
    return builder.build(value), weights
