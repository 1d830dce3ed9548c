"""Conversions: integers, float64 and decimal text."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.binary32.values import EDGES, as_bits, random_bits
from tlverify.core.binary32 import ROUNDINGS, Binary32Error, Mode, convert
from tlverify.core.binary32.format import INFINITY, NAN, SIGN, exact

SAMPLE = [*EDGES, *random_bits(8, 1, 2000)[0].tolist()]


@pytest.mark.parametrize("convert_back", [convert.to_decimal, lambda bits: repr(convert.to_float64(bits))])
def test_text_and_back(convert_back):
    for bits in SAMPLE:
        plain = NAN if bits & ~SIGN > INFINITY else bits
        assert convert.from_decimal(convert_back(bits)) == plain


@given(st.integers(-(2**53), 2**53))
def test_integers_are_rounded_as_numpy_does(value):
    assert convert.from_int(value) == as_bits(np.float64([value]).astype(np.float32))[0]


@given(st.integers(2**53, 2**127))
def test_large_integers_lie_between_their_directed_roundings(value):
    down, up = (exact(convert.from_int(value, Mode(rounding))) for rounding in ("down", "up"))
    assert down <= value <= up <= down * (1 + Fraction(1, 2**23))


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_to_int(rounding):
    function = {"nearest": round, "zero": math.trunc, "up": math.ceil, "down": math.floor}[rounding]
    for bits in SAMPLE:
        if bits & ~SIGN < INFINITY:
            assert convert.to_int(bits, Mode(rounding)) == function(exact(bits))


@pytest.mark.parametrize(
    ("text", "rounding", "expected"),
    [
        ("0.1", "nearest", 0x3DCCCCCD),
        ("0.1", "zero", 0x3DCCCCCC),
        ("-0.1", "up", 0xBDCCCCCC),
        ("-0.1", "down", 0xBDCCCCCD),
        ("-0", "nearest", SIGN),
        ("1e-46", "nearest", 0),
        ("1e-46", "up", 1),
        ("3.5e38", "nearest", INFINITY),
        ("3.5e38", "down", 0x7F7FFFFF),
        ("1e9999", "zero", 0x7F7FFFFF),
        ("-inf", "up", SIGN | INFINITY),
    ],
)
def test_decimal_text_is_rounded_once(text, rounding, expected):
    assert convert.from_decimal(text, Mode(rounding)) == expected


@pytest.mark.parametrize("text", ["", "1,5", "0x1p3", "1e99999", "--1", "1_0", "٣", "9" * 500])
def test_other_text_is_refused(text):
    with pytest.raises(Binary32Error, match="decimal: expected digits"):
        convert.from_decimal(text)


def test_what_float32_does_not_hold_is_refused():
    assert convert.bits_of(0.5) == 0x3F000000
    with pytest.raises(Binary32Error, match=r"binary32 holds, found 0\.1"):
        convert.bits_of(0.1)
    assert exact(convert.bits_of(2.0**-149)) == Fraction(1, 2**149)
    assert as_bits(np.float32([0.5]))[0] == 0x3F000000
