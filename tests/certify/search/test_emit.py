"""What is written is what the kernel reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.certify.kernel.tree import short
from tlverify.certify.search.emit import encode


@given(st.floats(0, 2.0**40, width=32))
def test_multipliers_are_floored_to_ten_bits(value):
    integer, exponent = short(int(encode(np.array([value], np.float32))[0]))
    found = integer * 2.0**exponent
    assert found <= value
    if 2.0**-30 <= value < 1023 * 2.0**21:
        assert found >= value * (1 - 2**-9)
    if value >= 1023 * 2.0**21:
        assert found == 1023 * 2.0**21


@pytest.mark.parametrize("value", [0.0, 1.0, 0.75, 1023.0, 2.0**-42, 3 * 2.0**-40])
def test_short_numbers_are_kept(value):
    integer, exponent = short(int(encode(np.array([value], np.float32))[0]))
    assert integer * 2.0**exponent == value
