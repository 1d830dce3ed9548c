"""The scalar reference against the machine, MPFR and exact rationals."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.binary32.values import EDGES, as_bits, as_floats, machine_fma, random_bits, tuples
from tlverify.core.binary32 import NEAREST, ROUNDINGS, Binary32Error, Mode, scalar
from tlverify.core.binary32.format import INFINITY, NAN, SIGN, exact, rounded

ARITY = {"add": 2, "sub": 2, "mul": 2, "div": 2, "sqrt": 1, "fma": 3}
MACHINE = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "sqrt": np.sqrt}
finite = st.integers(0, (1 << 32) - 1).filter(lambda bits: bits & ~SIGN < INFINITY)


def reference(op, bits, mode=NEAREST):
    function = getattr(scalar, op)
    return np.array([function(*row, mode) for row in bits.T.tolist()], np.uint32)


@pytest.mark.parametrize("op", MACHINE)
def test_nearest_is_what_the_machine_computes(op):
    bits = np.concatenate([tuples(ARITY[op]), random_bits(1, ARITY[op], 20000)], axis=1)
    with np.errstate(all="ignore"):
        expected = as_bits(MACHINE[op](*as_floats(bits)))
    np.testing.assert_array_equal(reference(op, bits), expected)


def test_fma_is_what_the_machine_computes():
    bits = np.concatenate([tuples(3)[:, ::7], random_bits(2, 3, 20000)], axis=1)
    expected = machine_fma(bits)
    np.testing.assert_array_equal(reference("fma", bits), expected)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("op", ARITY)
def test_every_direction_is_what_mpfr_computes(op, rounding):
    gmpy2 = pytest.importorskip("gmpy2", reason="gmpy2 is not installed: no MPFR to compare with")
    direction = {"nearest": "ToNearest", "zero": "ToZero", "up": "Up", "down": "Down"}[rounding]
    function = getattr(gmpy2, op)
    edges = tuples(ARITY[op])
    bits = np.concatenate([edges[:, :: 1 if ARITY[op] < 3 else 29], random_bits(3, ARITY[op], 3000)], axis=1)
    context = gmpy2.ieee(32)
    context.round = getattr(gmpy2, f"Round{direction}")
    with context:
        rows = [[gmpy2.mpfr(float(x)) for x in column] for column in as_floats(bits).T]
        expected = np.array([float(function(*row)) for row in rows]).astype(np.float32)
    np.testing.assert_array_equal(reference(op, bits, Mode(rounding)), as_bits(expected))


@given(finite, finite, st.sampled_from(ROUNDINGS))
@example(1, 0x7F7FFFFF, "down")
def test_a_directed_result_is_the_next_number_on_its_side(a, b, rounding):
    value = exact(a) + exact(b)
    low, high = rounded(value, Mode("down")), rounded(value, Mode("up"))
    result = scalar.add(a, b, Mode(rounding))
    if exact_or_infinite(low) != exact_or_infinite(high):
        assert exact_or_infinite(low) < value < exact_or_infinite(high)
        assert scalar.less(low, high)
        assert result in (low, high)
        with np.errstate(over="ignore"):  # after the largest number
            assert np.nextafter(as_floats([low])[0], np.float32(np.inf)) == as_floats([high])[0]
    else:
        assert exact(result) == value


def exact_or_infinite(bits):
    return exact(bits) if bits & ~SIGN < INFINITY else -np.inf if bits & SIGN else np.inf


@pytest.mark.parametrize(
    ("mode", "a", "b", "expected"),
    [
        (NEAREST, 0x00800001, 0x80800000, 0x00000001),
        (Mode(ftz=True), 0x00800001, 0x80800000, 0),
        (Mode(ftz=True), 0x80800001, 0x00800000, SIGN),
        (Mode(daz=True), 0x007FFFFF, 0x00800000, 0x00800000),
        (Mode("up", daz=True), 0x807FFFFF, SIGN, SIGN),
        (Mode("down"), 0x3F800000, 0xBF800000, SIGN),
        (Mode("up"), 0x3F800000, 0xBF800000, 0),
        (Mode("zero"), 0x7F7FFFFF, 0x7F7FFFFF, 0x7F7FFFFF),
        (NEAREST, INFINITY, INFINITY | SIGN, NAN),
    ],
)
def test_sums_at_the_edges(mode, a, b, expected):
    assert scalar.add(a, b, mode) == expected


def test_order_of_the_edge_values():
    with np.errstate(all="ignore"):
        for a in EDGES:
            for b in EDGES:
                x, y = as_floats([a])[0], as_floats([b])[0]
                found = (scalar.less(a, b), scalar.less_equal(a, b), scalar.equal(a, b))
                assert found == (x < y, x <= y, x == y), (a, b)
                assert as_floats([scalar.maximum(a, b)])[0] == np.maximum(x, y) or NAN in (a, b)
                assert scalar.minimum(a, b) == (NAN if NAN in (a, b) else min(a, b, key=place))


def place(bits):
    return (float(as_floats([bits])[0]), not bits & SIGN)


@pytest.mark.parametrize("bits", [-1, 1 << 32, 1.0, True])
def test_what_is_not_32_bits_is_refused(bits):
    with pytest.raises(Binary32Error, match=r"expected the 32 bits as an integer"):
        scalar.add(bits, 0)


def test_an_unknown_rounding_is_refused():
    with pytest.raises(Binary32Error, match=r"expected one of nearest, zero, up, down, found 'odd'"):
        Mode("odd")


def test_infinity_has_no_exact_value():
    with pytest.raises(Binary32Error, match="not finite"):
        exact(INFINITY)
    assert exact(1) == Fraction(1, 1 << 149)
