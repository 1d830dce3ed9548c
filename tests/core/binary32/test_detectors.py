"""The four detectors of Szász, Bánhelyi and Jelasity, "No Soundness in the Real World" (ICML 2025), built from
their description: a sum that is one number in real arithmetic and another in some order of float32 steers the class.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tlverify.core.binary32 import Execution, Order, run_binary32
from tlverify.graph import GraphBuilder, Type

OMEGA = 2.0**24
DETECTORS = {
    "Precision": [OMEGA, 1, -OMEGA],
    "Order1": ([OMEGA / 4] * 4 + [1] + [-OMEGA / 4] * 4) * 15,
    "Order2": [2 / 512] * 512 + [OMEGA, -OMEGA],
    "Order3": [1] * 512 + [OMEGA, -OMEGA],
}
ORDERS = [Order(), Order(reverse=True), Order("pairwise"), Order("blocked", 8), *(Order(seed=s) for s in range(8))]


def detector(terms):
    """x -> two logits: what the terms times x sum to, and half of what they sum to in real arithmetic for x = 1."""
    real = sum(map(Fraction, terms))
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float32"))

    def linear(value, weight, bias):
        arrays = np.array(weight, np.float32), np.array(bias, np.float32)
        return builder.node("linear", value, *map(builder.parameter, arrays))

    copies = builder.node("relu", linear(x, [[1]] * len(terms), [0] * len(terms)))
    hidden = builder.node("relu", linear(copies, [terms], [0]))
    logits = linear(hidden, [[1], [0]], [0, float(real / 2)])
    return builder.build(logits), real


@pytest.mark.parametrize("name", DETECTORS)
def test_some_order_changes_the_class(name):
    graph, real = detector(DETECTORS[name])
    assert real > 0
    classes = {}
    for order in ORDERS:
        (logits,) = run_binary32(graph, [np.ones(1, np.float32)], Execution(order))
        classes.setdefault(int(logits.argmax()), order)
    assert 0 in classes, "no order gives the class of real arithmetic"
    assert 1 in classes, "no order gives another class than real arithmetic"


def test_the_order_as_written_loses_precision_and_order1():
    for name, expected in {"Precision": 0, "Order1": 0, "Order2": 2, "Order3": 512}.items():
        (logits,) = run_binary32(detector(DETECTORS[name])[0], [np.ones(1, np.float32)])
        assert logits[0] == expected, name
