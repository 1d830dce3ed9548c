"""VNN-LIB 2.0 by the package `vnnlib`, against the same property in 1.0."""

import re
from fractions import Fraction

import pytest

from tlverify.interop.vnnlib import Tensor, parse_vnnlib
from tlverify.interop.vnnlib_logic import PropertyError
from tlverify.interop.vnnlib_text import MAX_DEPTH

pytest.importorskip("vnnlib")

HEADER = "; a comment\n(vnnlib-version <2.0>)\n"
NETWORK = "(declare-network f (declare-input X float32 [1, 2]) (declare-output Y float32 [2]))\n"
BOX = "(assert (and (>= X[0,0] 0.0) (<= X[0,0] 1.0)))\n(assert (and (>= X[0,1] -0.5) (<= X[0,1] 0.1)))\n"
ONE = "".join(f"(declare-const {name} Real)\n" for name in ("X_0", "X_1", "Y_0", "Y_1"))
ONE_BOX = "(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 -0.5)) (assert (<= X_1 0.1))"


@pytest.mark.parametrize(
    ("two", "one"),
    [
        ("(assert (<= Y[0] Y[1]))", "(assert (<= Y_0 Y_1))"),
        ("(assert (or (< Y[0] 0.015) (> Y[1] X[0,1])))", "(assert (or (< Y_0 0.015) (> Y_1 X_1)))"),
        (
            "(assert (<= (+ (* 2.0 Y[0]) (- Y[1] X[0,0] 1.0)) (- Y[0])))",
            "(assert (<= (+ (* 2 Y_0) (- Y_1 X_0 1)) (- Y_0)))",
        ),
        ("(assert (== Y[0] 0.1))", "(assert (= Y_0 0.1))"),
        ("(assert (!= Y[0] Y[1]))", "(assert (distinct Y_0 Y_1))"),
        ("(assert (and (<= X[0,0] 0.3) (or (<= Y[0] 0.0))))", "(assert (and (<= X_0 0.3) (<= Y_0 0)))"),
    ],
)
def test_means_the_same_as_version_1(two, one):
    found = parse_vnnlib(HEADER + NETWORK + BOX + two)
    assert found.cases == parse_vnnlib(ONE + ONE_BOX + one).cases
    assert found.tensors == (Tensor("X", "X", "float32", (1, 2)), Tensor("Y", "Y", "float32", (2,)))


def test_decimals_are_exact():
    (case,) = parse_vnnlib(HEADER + NETWORK + BOX + "(assert (<= Y[0] 0.10000000000000000000001))").cases
    assert case.upper == (1, Fraction(1, 10))
    assert case.bad[0][0].bound == -Fraction("0.10000000000000000000001")


def test_several_inputs_are_numbered_one_after_the_other():
    network = "(declare-network f (declare-input A real [2]) (declare-input B real []) (declare-output Y real [1]))"
    bounds = "".join(
        f"(assert (and (>= {name} {k}.0) (<= {name} 9.0)))" for k, name in enumerate(["A[0]", "A[1]", "B[]"])
    )
    (case,) = parse_vnnlib(HEADER + network + bounds.replace("B[]", "B") + "(assert (<= Y[0] 0.0))").cases
    assert case.lower == (0, 1, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (NETWORK + "(assert (<= Y[7] 0.0))", "line"),
        (NETWORK + "(assert (<= Z[0] 0.0))", "line"),
        (NETWORK + "(assert (<= Y[0] 1))", "Type mismatch"),
        (NETWORK + "(assert (<= Y[0]", "syntax error"),
        (NETWORK + BOX + "(assert (<= (* Y[0] Y[1]) 0.0))", "a product of variables"),
        (
            NETWORK.replace("f (", "g (equal-to f) (").replace("X f", "Z f").replace("Y f", "W f") + NETWORK,
            "networks: expected one|line",
        ),
        (NETWORK.replace("float32", "int8") + "(assert (<= Y[0] 1))", "type I8: expected a float or real"),
        (NETWORK + "(assert (<= Y[0] 0.0))", "X_0 has no lower bound"),
        (NETWORK + "(assert " + "(and " * MAX_DEPTH, f"nested over {MAX_DEPTH} deep"),
    ],
)
def test_refusals(text, reason):
    with pytest.raises(PropertyError, match=reason):
        parse_vnnlib(HEADER + text)


def test_parentheses_in_comments_do_not_nest():
    comments = "; ( an open one\n" * (MAX_DEPTH + 1)
    assert parse_vnnlib(HEADER + comments + NETWORK + BOX + "(assert (<= Y[0] 0.0))").cases


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "vnnlib", None)
    with pytest.raises(PropertyError, match=re.escape("pip install 'tlverify[vnnlib]'")):
        parse_vnnlib(HEADER + NETWORK + BOX)
