"""Each step on digits is the kernel's on integers, for numbers of every length and either sign."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import DIGIT_BITS, HALF_BITS
from tlverify.certify.kernel import arithmetic

quick = settings(deadline=None, max_examples=200)
integers = st.integers(0, 70).flatmap(lambda n: st.integers(-(1 << n), 1 << n))
exponents = st.integers(-90, 90)


def spread(values: list[int], count: int) -> list[np.ndarray]:
    """The digits of each, with digits of sign on top."""
    low = [[v >> DIGIT_BITS * k & (1 << DIGIT_BITS) - 1 for v in values] for k in range(count - 1)]
    return [np.asarray(part, dtype=float) for part in [*low, [v >> DIGIT_BITS * (count - 1) for v in values]]]


@quick
@given(st.lists(integers, min_size=1, max_size=5))
@example([-(1 << 22), (1 << 22) - 1])
@example([1 << 22, -1])
def test_digits_add_up_and_are_short(values):
    for width in (DIGIT_BITS, HALF_BITS):
        split = [part.tolist() for part in digits.split(values, width)]
        assert [sum(part[i] << width * k for k, part in enumerate(split)) for i in range(len(values))] == values
        assert all(0 <= v < 1 << width for part in split[:-1] for v in part)
        assert all(-(1 << width) <= v < 1 << width for v in split[-1])


@quick
@given(st.lists(st.integers(-(1 << 52) + 1, (1 << 52) - 1), min_size=1, max_size=7))
@example([(1 << 52) - 1] * 6)
@example([1 - (1 << 52)] * 5)
def test_joining_half_digits_keeps_the_number(parts):
    for width in (DIGIT_BITS, HALF_BITS):
        whole = digits.joined([np.asarray([float(part)]) for part in parts], width, np)
        carried = digits.carry(whole, np)
        expected = sum(part << width * k for k, part in enumerate(parts))
        for digit in (whole, carried):
            assert sum(int(part[0]) << DIGIT_BITS * k for k, part in enumerate(digit)) == expected


@given(st.integers(1, 1 << 22))
def test_the_width_of_digits_keeps_sums_exact(count):
    assert digits.width(count) in (DIGIT_BITS, HALF_BITS)
    if count < 1 << 19:
        assert count << DIGIT_BITS + digits.width(count) < digits.EXACT


@quick
@given(st.lists(st.tuples(*[st.integers(-(1 << 51), 1 << 51)] * 3), min_size=1, max_size=5))
def test_carrying_keeps_the_number(rows):
    carried = digits.carry([np.asarray(part, dtype=float) for part in zip(*rows, strict=True)], np)
    for i, row in enumerate(rows):
        found = [int(part[i]) for part in carried]
        assert sum(v << DIGIT_BITS * k for k, v in enumerate(found)) == sum(
            v << DIGIT_BITS * k for k, v in enumerate(row)
        )
        assert all(0 <= v < 1 << DIGIT_BITS for v in found[:-1])


@quick
@given(st.integers(-(1 << 49), 1 << 49), exponents, integers, exponents, st.integers(4, 5))
@example(1, 0, 5, 0, 4)
@example(0, 0, -1, 0, 4)
@example(1, 0, -(1 << 22), 0, 4)
@example(1, 0, 1 << 21, 40, 4)
@example(0, 0, -(1 << 22) - 5, 0, 4)
@example(3, 0, 0, 90, 4)
def test_constants_are_the_kernels(total, unit, value, exponent, count):
    start = arithmetic.accumulate((0, 0), (total, unit))
    before = np.asarray([float(start[0])]), np.asarray([start[1]])
    found, own = digits.accumulate(*before, spread([value], count), np.asarray([exponent]), np)
    assert (int(found[0]), int(own[0])) == arithmetic.accumulate(start, (value, exponent))


@quick
@given(st.lists(integers, min_size=1, max_size=5), exponents, st.integers(1, 5))
@example([-1], 0, 1)
@example([0, 0], 3, 3)
def test_rows_are_the_kernels(values, exponent, count):
    parts = spread(values, count)
    top = parts[-1].tolist()
    if max(map(abs, top)) >= 2.0**50:
        return
    row, own, floored, undone = digits.shorten([part[:, None] for part in parts], np.asarray([exponent]), np)
    expected, dropped = arithmetic.shorten(arithmetic.Vector(values, exponent))
    if undone[0]:
        assert all(v in (0, -1) for v in top)
    else:
        assert (row[:, 0].tolist(), int(own[0]), bool(floored[0])) == (expected.integers, expected.exponent, dropped)


def test_a_zero_column_changes_no_other() -> None:
    """Beside a column of zeros, one whose low digits are all 0 is shortened as if it were alone."""
    low, high = np.zeros((2, 2)), np.array([[0.0, 3.0], [0.0, -5.0]])
    rows, exponent, floored, undone = digits.shorten([low, high], np.zeros(2, dtype=int), np)
    known, dropped = arithmetic.shorten(arithmetic.Vector([3 << 22, -5 << 22], 0))
    assert (rows[:, 1].tolist(), exponent[1], floored[1], undone.any()) == (
        known.integers,
        known.exponent,
        dropped,
        False,
    )
