"""Reading VNN-LIB 1.0: what it means, and what it refuses, by line."""

import contextlib
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.interop.vnnlib_logic import Conjunction, PropertyError, Row
from tlverify.interop.vnnlib_text import MAX_DEPTH, read_number, read_text

HEADER = "(declare-const X_0 Real)\n(declare-const X_1 Real)\n(declare-const Y_0 Real)\n(declare-const Y_1 Real)\n"
Y0, Y1, X0, X1 = ("Y", 0), ("Y", 1), ("X", 0), ("X", 1)


def read(text):
    (formula,) = read_text(HEADER + text).assertions
    return tuple(formula)


def row(*terms, bound=0, strict=False):
    return (Conjunction(rows=(Row(tuple((v, Fraction(c)) for v, c in terms), Fraction(bound), strict),)),)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("(assert (<= X_0 0.5))", (Conjunction(upper={0: Fraction(1, 2)}),)),
        ("(assert (>= 0.5 X_0))", (Conjunction(upper={0: Fraction(1, 2)}),)),
        ("(assert (>= X_1 -1e-2))", (Conjunction(lower={1: Fraction(-1, 100)}),)),
        ("(assert (<= (* 2 X_0) 1))", (Conjunction(upper={0: Fraction(1, 2)}),)),
        ("(assert (<= (* -2 X_0) 1))", (Conjunction(lower={0: Fraction(-1, 2)}),)),
        (
            "(assert (< X_0 1))",
            (Conjunction(upper={0: Fraction(1)}, rows=(Row(((X0, Fraction(-1)),), Fraction(-1), True),)),),
        ),
        ("(assert (= X_0 0.1))", (Conjunction({0: Fraction(1, 10)}, {0: Fraction(1, 10)}),)),
        ("(assert (<= Y_0 Y_1))", row((Y0, -1), (Y1, 1))),
        ("(assert (> Y_0 Y_1))", row((Y0, 1), (Y1, -1), strict=True)),
        ("(assert (>= Y_0 (- 3)))", row((Y0, 1), bound=-3)),
        ("(assert (>= (+ Y_0 X_0 1) (- X_0 Y_1 2)))", row((Y0, 1), (Y1, 1), bound=-3)),
        ("(assert (>= (/ Y_0 4) (* 3 X_1)))", row((X1, -3), (Y0, Fraction(1, 4)))),
        ("(assert (not (<= Y_0 2)))", row((Y0, 1), bound=2, strict=True)),
        ("(assert (or (<= Y_0 Y_1) false))", row((Y0, -1), (Y1, 1))),
        ("(assert (and true (<= Y_0 Y_1)))", row((Y0, -1), (Y1, 1))),
        ("(assert (<= 1 2))", (Conjunction(),)),
        ("(assert (< 2 2))", ()),
        ("(assert (and (<= X_0 1) (>= X_0 2)))", ()),
        ("(assert (<= 0 X_0 1))", (Conjunction({0: Fraction(0)}, {0: Fraction(1)}),)),
        ("(assert (=> (>= X_0 3) (<= X_1 0)))", None),
    ],
)
def test_meaning(text, meaning):
    if meaning is None:
        assert len(read(text)) == 2
    else:
        assert read(text) == meaning


def test_comments_commands_and_any_order():
    text = """; a (comment) with "marks
    (set-info :source "of (unbalanced")
    (assert (<= X_0 Y_0)) ; (assert false
    (declare-fun X_0 () Real) (declare-const Y_0 Real)
    (check-sat)"""
    found = read_text(text)
    assert (found.inputs, found.outputs, len(found.assertions)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("(assert (<= X_0 Y_7))", "Y_7 is used but not declared"),
        ("(declare-const X_3 Real)", "X_2 is not declared, but X_3 is"),
        ("(declare-const X_1 Real)", "line 5: X_1 is declared twice"),
        ("(declare-const Z_0 Real)", "line 5: declaration of 'Z_0': expected X_i or Y_j"),
        ("(declare-const X_2 Int)", "line 5: declaration of X_2: expected sort Real, found 'Int'"),
        ("(declare-fun X_2 (Real) Real)", "line 5: 'Real' is not supported"),
        ("(declare-const X_2)", "expected (declare-const NAME Real)"),
        ("\n\n(assert (<= X_0 0.5)", "line 7: the file ends inside 1 open parentheses"),
        ("(assert (<= X_0 0.5)))", "line 5: a closing parenthesis without an opening one"),
        ("hello", "line 5: expected (declare-const ...) or (assert ...), found 'hello'"),
        ("(<= X_0 1)", "line 5: expected (declare-const ...) or (assert ...), found '(<= X_0 1)'"),
        ("(+ X_0 1)", "line 5: expected (declare-const ...) or (assert ...), found ('+' ...)"),
        ("(assert (<= X_0 0,5))", "expected a number, X_i or Y_j, found '0,5'"),
        ("(assert (<= X_0 nan))", "expected a number, X_i or Y_j, found 'nan'"),
        ("(assert (<= X_0 1e999))", "a number of over 300 digits"),
        ("(assert (<= X_0 1e99999))", "expected a number, X_i or Y_j"),
        (f"(assert (<= X_0 1{'0' * 400}))", "a number of over 300 digits"),
        ("(assert (<= (* X_0 X_1) 1))", "a product of variables"),
        ("(assert (<= (/ 1 X_0) 1))", "expected a constant divisor other than 0"),
        ("(assert (<= (/ X_0 0) 1))", "expected a constant divisor other than 0"),
        ("(assert (<= X_0))", "(<= ...) with 1 arguments: expected two"),
        ("(assert (xor (<= X_0 1) (<= X_1 1)))", "'xor' is not supported: expected and, or"),
        ("(assert (and (<= X_0 1) X_1))", "expected a formula, found 'X_1'"),
        ("(assert (<= (<= X_0 1) 1))", "expected a number, X_i, Y_j or arithmetic of them, found a formula"),
        ("(assert (+ X_0 1))", "expected a formula, found arithmetic"),
        ("(assert ())", "expected a formula, found ()"),
        ("(assert)", "expected (assert FORMULA), found 0 arguments"),
        ("(assert (and (assert true)))", "assert stands inside another expression"),
        ("((assert true))", "line 5: assert stands inside another expression"),
        ("(assert (not true false))", "(not ...) with 2 arguments"),
        ("(assert (<= (+) 1))", "(+) has no argument"),
        ('(set-info "x)', 'line 5: a " that is not closed on its line'),
        ("(assert " + "(and " * (MAX_DEPTH + 1), f"parentheses are nested over {MAX_DEPTH} deep"),
    ],
)
def test_refusal_names_line_and_reason(text, reason):
    with pytest.raises(PropertyError, match=re.escape(reason)):
        read_text(HEADER + text)


@pytest.mark.parametrize(("text", "kind"), [("", "X"), ("(declare-const X_0 Real)", "Y")])
def test_file_without_declarations(text, kind):
    with pytest.raises(PropertyError, match=f"no {kind}_0 is declared"):
        read_text(text)


def test_deep_nesting_below_the_limit_does_not_recurse():
    depth = MAX_DEPTH - 3
    assert read("(assert " + "(and " * depth + "(<= X_0 1)" + ")" * depth + ")") == (
        Conjunction(upper={0: Fraction(1)}),
    )


def test_long_text_is_read_in_pieces_with_the_right_lines():
    filler = "; " + "x" * 70 + "\n"
    lines = (3 << 20) // len(filler)
    with pytest.raises(PropertyError, match=f"line {lines + 5}: "):
        read_text(HEADER + filler * lines + "(assert (<= X_0 oops))")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None))
def test_numbers_are_exact(value):
    text = str(value)
    if len(text) + abs(value.adjusted()) < 200:
        assert read_number(text) == Fraction(value)


@given(st.text("()<=>+-*/ XY_01.;\nandortassertbrealdecnfu", max_size=200))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(PropertyError):
        read_text(HEADER + text)
