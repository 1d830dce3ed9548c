"""Laws of the arithmetic for any numbers, against exact fractions."""

import struct
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlverify.certify.kernel import Malformed, Rejected
from tlverify.certify.kernel.arithmetic import (
    INTERVAL_BITS,
    Interval,
    Packed,
    Vector,
    add,
    bits,
    decode,
    enclose,
    intersect,
    outward,
)

from .laws import fractions

quick = settings(deadline=None, max_examples=80)
integers = st.one_of(st.integers(-3, 3), st.integers(-(1 << 60), 1 << 60), st.integers(-(1 << 300), 1 << 300))
exponents = st.integers(-1100, 1000)
WIDTHS = {"F32": ("f", 32), "F64": ("d", 64)}


@pytest.mark.parametrize("dtype", WIDTHS)
@quick
@given(data=st.data())
def test_decode_is_exact(dtype, data):
    code, width = WIDTHS[dtype]
    floats = data.draw(st.lists(st.floats(width=width, allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
    vector = decode(dtype, memoryview(struct.pack(f"<{len(floats)}{code}", *floats)), "it")
    assert fractions(vector.integers, vector.exponent) == [Fraction(number) for number in floats]


@pytest.mark.parametrize("word", [0x7F800000, 0xFF800000, 0x7F800001, 0x7FC00000, 0xFFFFFFFF])
def test_decode_refuses_what_is_not_finite(word):
    with pytest.raises(Malformed, match="it: holds a NaN or an infinity"):
        decode("F32", memoryview(struct.pack("<2I", 0, word)), "it")
    double = (word >> 31) << 63 | 0x7FF << 52 | (word & 0x7FFFFF)
    with pytest.raises(Malformed, match="it: holds a NaN or an infinity"):
        decode("F64", memoryview(struct.pack("<2Q", 0, double)), "it")


@quick
@given(st.data())
def test_packed_products_are_exact(data):
    factor_bits = data.draw(st.integers(1, 50))
    limit = (1 << factor_bits) - 1
    rows = data.draw(
        st.integers(1, 4).flatmap(
            lambda n: st.lists(st.lists(integers, min_size=n, max_size=n), min_size=1, max_size=5)
        )
    )
    factors = [data.draw(st.sampled_from([limit, -limit, 0, 1]) | st.integers(-limit, limit)) for _ in rows]
    expected = [sum(f * row[j] for f, row in zip(factors, rows, strict=True)) for j in range(len(rows[0]))]
    assert Packed(rows, len(rows[0]), factor_bits).combine(factors, bits(factors)) == expected


@pytest.mark.parametrize("factor", [8, -9, 1 << 90])
def test_packed_refuses_a_factor_longer_than_its_lane(factor):
    with pytest.raises(Rejected, match="a factor is longer than the 3 bits of its lane"):
        Packed([[1], [1]], 1, 3).combine([0, factor], bits([0, factor]))


def test_a_packed_product_needs_one_factor_for_each_row():
    with pytest.raises(ValueError, match="expected 2 factors, found 1"):
        Packed([[1], [1]], 1, 3).combine([1], 1)


@quick
@given(st.lists(st.tuples(integers, integers), min_size=1, max_size=4), exponents, exponents)
@example([(1, -1)], -1074, 1000)
def test_sum_is_exact(pairs, a, b):
    left, right = [p for p, _ in pairs], [q for _, q in pairs]
    found = add(Vector(left, a), Vector(right, b))
    assert fractions(found.integers, found.exponent) == [
        x + y for x, y in zip(fractions(left, a), fractions(right, b), strict=True)
    ]


intervals = st.lists(st.tuples(integers, integers).map(sorted), min_size=2, max_size=2)


@quick
@given(intervals, exponents)
def test_outward_contains_and_is_short(pairs, exponent):
    lower, upper = [p for p, _ in pairs], [q for _, q in pairs]
    found = outward(lower, upper, exponent)
    _contains(found, fractions(lower, exponent), fractions(upper, exponent))


@quick
@given(intervals, intervals, st.integers(-80, 80), st.integers(-80, 80))
def test_intersection_contains_what_is_in_both(one, two, a, b):
    first = Interval([p for p, _ in one], [q for _, q in one], a)
    second = Interval([p for p, _ in two], [q for _, q in two], b)
    low = [max(x, y) for x, y in zip(fractions(first.lower, a), fractions(second.lower, b), strict=True)]
    high = [min(x, y) for x, y in zip(fractions(first.upper, a), fractions(second.upper, b), strict=True)]
    _contains(intersect(first, second), low, high)


@quick
@given(st.lists(st.tuples(st.fractions(), st.fractions()).map(sorted), min_size=1, max_size=4))
@example([[Fraction(0), Fraction(0)]])
@example([[Fraction(1, 10**399), Fraction(10**399)]])
@example([[Fraction(-(2**44)), Fraction(2**44)]])
@example([[Fraction(1 - 2**60, 2**60), Fraction(2**60 - 1, 2**60)]])
def test_enclosure_contains(pairs):
    low, high = [p for p, _ in pairs], [q for _, q in pairs]
    _contains(enclose(low, high), low, high)


def _contains(found: Interval, low: list[Fraction], high: list[Fraction]) -> None:
    assert all(a <= b for a, b in zip(fractions(found.lower, found.exponent), low, strict=True))
    assert all(a >= b for a, b in zip(fractions(found.upper, found.exponent), high, strict=True))
    assert all(abs(v) <= 1 << INTERVAL_BITS for v in (*found.lower, *found.upper))
