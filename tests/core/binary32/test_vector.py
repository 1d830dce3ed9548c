"""The vectorised operations: the same bits as the scalar reference, and as the machine."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.binary32.test_scalar import ARITY, reference
from tests.core.binary32.values import EDGES, as_bits, as_floats, machine_fma, random_bits, tuples
from tlverify.core.binary32 import ROUNDINGS, Binary32Error, Mode, convert, vector

MODES = [Mode(rounding, flush, flush) for rounding in ROUNDINGS for flush in (False, True)]
MODES += [Mode(ftz=True), Mode(daz=True)]
BINARY = {"minimum": 2, "maximum": 2}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("op", [*ARITY, *BINARY])
def test_same_bits_as_the_reference(op, mode):
    arity = {**ARITY, **BINARY}[op]
    bits = np.concatenate([tuples(arity)[:, :: 1 if arity < 3 else 31], random_bits(4, arity, 4000)], axis=1)
    found = as_bits(getattr(vector, op)(*as_floats(bits), mode))
    np.testing.assert_array_equal(found, reference(op, bits, mode))


def test_fma_on_every_triple_of_edges_and_at_random():
    bits = np.concatenate([tuples(3), random_bits(5, 3, 300000)], axis=1)
    expected = machine_fma(bits)
    np.testing.assert_array_equal(as_bits(vector.fma(*as_floats(bits))), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_fma_on_ten_million(seed):
    bits = random_bits(100 + seed, 3, 1_000_000)
    expected = machine_fma(bits)
    np.testing.assert_array_equal(as_bits(vector.fma(*as_floats(bits))), expected)


@pytest.mark.slow
@pytest.mark.parametrize("top", range(256))
def test_square_root_of_every_number_in_every_direction(top):
    """The least and the greatest number of each direction enclose the root exactly: their squares do in float64."""
    x = as_floats(np.arange(top << 24, (top + 1) << 24, dtype=np.uint32))
    x = x[np.isfinite(x) & (x > 0)]
    down, up = vector.sqrt(x, Mode("down")), vector.sqrt(x, Mode("up"))
    low, high, exact = down.astype(np.float64) ** 2, up.astype(np.float64) ** 2, x.astype(np.float64)
    assert (low <= exact).all()
    assert (high >= exact).all()
    assert np.array_equal(np.where(low == exact, down, np.nextafter(down, np.float32(np.inf))), up)
    assert np.array_equal(vector.sqrt(x, Mode("zero")), down)


def test_naive_float64_fma_is_wrong_where_ours_is_right():
    a, c = np.float32([1 + 2.0**-12]), np.float32([2.0**-80])
    naive = (a.astype(np.float64) * a + c).astype(np.float32)
    assert vector.fma(a, a, c) == np.nextafter(naive, np.float32(2)) != naive


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_conversion_from_float64(rounding):
    rng = np.random.default_rng(6)
    x = rng.integers(0, 1 << 63, 2000).view(np.float64)
    with np.errstate(all="ignore"):
        near = as_floats(random_bits(7, 1, 4000)[0]).astype(np.float64) * (1 + 2.0**-30)
        x = np.concatenate([x, near, as_floats(EDGES)])
    mode = Mode(rounding)
    expected = np.array([convert.from_float64(float(value), mode) for value in x], np.uint32)
    np.testing.assert_array_equal(as_bits(vector.to_binary32(x, mode)), expected)


def test_other_dtypes_are_refused():
    with pytest.raises(Binary32Error, match=r"expected a float32 array, found float64"):
        vector.add(np.zeros(2), np.zeros(2, np.float32))
    with pytest.raises(Binary32Error, match=r"expected a float64 array, found float32"):
        vector.to_binary32(np.zeros(2, np.float32))
