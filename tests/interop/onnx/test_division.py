"""Division by a constant is exact."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.certify.kernel import read_program
from tlverify.graph import to_bytes
from tlverify.graph.types import fraction
from tlverify.interop.onnx import OnnxError, division
from tlverify.interop.onnx.division import normaliser
from tlverify.interop.onnx.importer import graph_of

from .models import imported, model, node, ops


@given(st.floats(1.401298464324817e-37, 3.4028234663852886e38, width=32))
def test_normaliser_of_float32_is_exact(divisor):
    factor, variance, epsilon = normaliser(divisor, "float32")
    assert Fraction(factor) ** 2 * Fraction(divisor) ** 2 == Fraction(variance) + epsilon
    assert [float(np.float32(v)) for v in (factor, variance, float(epsilon))] == [factor, variance, float(epsilon)]
    assert fraction({"epsilon": str(epsilon)}, "epsilon", "float32") == epsilon > 0


@given(st.floats(1e-300, 1e300))
def test_normaliser_of_float64_is_exact(divisor):
    factor, variance, epsilon = normaliser(divisor, "float64")
    assert Fraction(factor) ** 2 * Fraction(divisor) ** 2 == Fraction(variance) + epsilon
    assert fraction({"epsilon": str(epsilon)}, "epsilon", "float64") == epsilon > 0


@pytest.mark.parametrize(("divisor", "dtype"), [(1e-45, "float32"), (2.0**-128, "float32"), (5e-324, "float64")])
def test_a_divisor_without_a_finite_inverse_is_refused(divisor, dtype):
    with pytest.raises(OnnxError, match="is too small to divide by exactly"):
        normaliser(divisor, dtype)


@pytest.mark.parametrize("divisor", [0.3081, -0.3081, 3.0, 1e-20, 255.0, 7e30])
def test_the_kernel_encloses_the_quotient(divisor):
    """Its coefficient is floor(2^60 / divisor), which is marked as up to one unit more."""
    divisor = np.float32(divisor)
    graph = graph_of(model([node("Div", ["x", "c"], ["y"])], {"x": (1, 3)}, constants={"c": divisor}))
    matrices = [matrix for value in read_program(*to_bytes(graph)).values.values() for _, matrix in value.terms]
    (weights,) = [matrix for matrix in matrices if matrix.inexact]
    assert weights.exponent == -60
    assert {w for row in weights.entries for _, w in row} == {math.floor(2**60 / Fraction(float(divisor)))}


def test_division_over_many_constants_is_limited(monkeypatch):
    monkeypatch.setattr(division, "MAX_RUNS", 2)
    constants = {"c": np.array([3, 5, 3], "float32")}
    with pytest.raises(OnnxError, match="a division by 3 different constants is over the limit of 2"):
        graph_of(model([node("Div", ["x", "c"], ["y"])], {"x": (1, 3)}, constants=constants))


def test_division_of_nothing():
    message = model([node("Div", ["z", "c"], ["y"])], {"x": (1, 3)}, constants={"c": np.float32(3)})
    message.graph.node.insert(0, node("Slice", ["x", "s", "s", "a"], ["z"]))
    more = model([], {}, constants={"s": np.array([1]), "a": np.array([1])})
    message.graph.initializer.extend(more.graph.initializer)
    assert ops(imported(message)) == ["slice"]
