"""The four detectors of Szász, Bánhelyi and Jelasity, "No Soundness in the Real World" (ICML 2025), built from
their description: a sum that is one number in real arithmetic and another in some order of float32 steers the class.
They are run, and claims about them are decided in both arithmetics.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.claim import Inequality, box
from tlverify.certify.prove import certify
from tlverify.core.binary32 import Execution, Order, run_binary32
from tlverify.graph import GraphBuilder, Type, to_bytes

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


def claim(name, radius=Fraction(0)):
    """The class is 0, as in real arithmetic."""
    graph, _ = detector(DETECTORS[name])
    (output,) = graph.outputs
    bad = [[Inequality(((output, 1, Fraction(1)), (output, 0, Fraction(-1))))]]
    return graph, box(graph, {"x": ([1 - radius], [1 + radius])}, bad)


@pytest.mark.parametrize("name", DETECTORS)
def test_float32_is_falsified_with_the_order_that_breaks_it(name):
    graph, stated = claim(name)
    (result,) = certify(graph, [stated.under("float32")], timeout=60)
    assert result.verdict == "falsified"
    accepted = kernel.check(*to_bytes(graph), result.claim.data, result.certificate)
    assert accepted.verdict == "falsified"
    assert "every float32 execution" in accepted.statement


@pytest.mark.parametrize("name", DETECTORS)
def test_real_is_what_real_arithmetic_says(name):
    graph, stated = claim(name, Fraction(1, 1 << 10))
    (result,) = certify(graph, [stated], timeout=60)
    assert result.verdict == "verified"


@pytest.mark.parametrize("name", DETECTORS)
def test_no_bounded_order_is_verified_either(name):
    """Any contract whose sums may be deeper than 2 terms breaks it; it must never be verified."""
    graph, stated = claim(name)
    for semantics in ("numpy-cpu", "cuda-tf32", "any-rounding"):
        (result,) = certify(graph, [stated.under(semantics)], timeout=20)
        assert result.verdict != "verified"
