import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.graph import ShapeError
from tlverify.graph.ops import fraction, fraction_text


def read(text, dtype="float64"):
    return fraction({"value": text}, "value", dtype)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-3", -3), ("-3/8", Fraction(-3, 8)), ("1/2", Fraction(1, 2)), (str(2**1023), 2**1023)],
)
def test_an_exact_number_is_read(text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "-0", "+1", " 1", "1\n", "01", "1.5", "1e3", "inf", "nan", "1_0", "\u0661", "1/3", "2/4", "4/2", "3/1"),
        *("0/2", "1/0", "1/-2", "1/", "/2", "1/02", "1/2/2", "9" * 5000),
    ],
)
def test_every_other_text_is_rejected(text):
    with pytest.raises(ShapeError, match="value: expected an integer or p/q in lowest terms"):
        read(text)


@pytest.mark.parametrize(
    ("text", "dtype", "reason"),
    [
        (str(2**24 + 1), "float32", "value: float32 does not hold 16777217 exactly"),
        (f"1/{2**150}", "float32", "value: float32 does not hold"),
        (f"1/{2**1075}", "float64", "value: float64 does not hold"),
        (str(2**128), "float32", "is too large for float32"),
        (str(2**1024), "float64", "is too large for float64"),
    ],
)
def test_a_number_that_the_dtype_does_not_hold_is_rejected(text, dtype, reason):
    with pytest.raises(ShapeError, match=reason):
        read(text, dtype)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float64_has_a_text(value):
    assert read(fraction_text(value, "float64")) == Fraction(value)


@given(st.floats(-1e30, 1e30))
def test_a_float32_is_rounded_to_nearest(value):
    assert read(fraction_text(value, "float32"), "float32") == Fraction(float(np.float32(value)))


def test_texts_of_zero_and_of_the_ends_of_the_range():
    assert fraction_text(-0.0, "float32") == "0"
    for dtype in ("float32", "float64"):
        for value in (np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal):
            assert read(fraction_text(float(value), dtype), dtype) == Fraction(float(value))


@pytest.mark.parametrize(("value", "dtype"), [(math.inf, "float64"), (math.nan, "float32"), (1e39, "float32")])
def test_a_number_that_is_not_finite_has_no_text(value, dtype):
    with pytest.raises(ShapeError, match=f"slope: expected a finite {dtype}, found "):
        fraction_text(value, dtype, "slope")
