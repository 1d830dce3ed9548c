"""No execution exceeds the a-priori bound, and the bound is not idle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.core.binary32.executions import executions
from tlverify.core.binary32 import ROUNDINGS, Binary32Error, Mode, affine_error
from tlverify.core.binary32.sums import dot

FAMILIES = {"normal": (0, 1), "wide": (-30, 30), "tiny": (-24, -16), "subnormal": (-42, 0), "cancelling": (0, 1)}


def vectors(family, n, rng, rows=3):
    low, high = FAMILIES[family]

    def draw(*shape):
        return (rng.standard_normal(shape) * 10.0 ** rng.uniform(low / 2, high / 2, shape)).astype(np.float32)

    weight, bias, x = draw(rows, n), draw(rows), draw(n)
    if family == "cancelling":
        half = n // 2
        weight[:, half : 2 * half] = -weight[:, :half]
        x[half : 2 * half] = x[:half]
    return weight, bias, x


def exceeds(weight, bias, x, execution, directed):
    """The largest error over bound of the rows, exactly."""
    found = dot(x[:, None], np.ascontiguousarray(weight.T), bias, execution)
    bound = affine_error(weight, bias, np.abs(x), directed)
    ratios = []
    for row, offset, value, limit in zip(weight, bias, found, bound, strict=True):
        terms = (Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, x, strict=True))
        error = abs(Fraction(float(value)) - sum(terms, Fraction(float(offset))))
        ratios.append(error / Fraction(float(limit)))
    return max(ratios)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_execution_to_nearest_exceeds_the_bound(family):
    rng = np.random.default_rng(1)
    for n in (1, 2, 5, 13, 30):
        for _ in range(3):
            weight, bias, x = vectors(family, n, rng)
            for execution in executions():
                assert exceeds(weight, bias, x, execution, directed=False) <= 1, execution


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(20))
def test_no_execution_of_many_exceeds_the_bound(family, seed):
    rng = np.random.default_rng(100 + seed)
    for n in (3, 17, 60, 200):
        weight, bias, x = vectors(family, n, rng)
        for execution in executions():
            assert exceeds(weight, bias, x, execution, directed=False) <= 1, execution


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("flush", [False, True])
def test_no_directed_execution_exceeds_the_directed_bound(rounding, flush):
    rng = np.random.default_rng(2)
    for family in FAMILIES:
        for n in (2, 9, 21):
            weight, bias, x = vectors(family, n, rng)
            for execution in executions(Mode(rounding, flush, flush)):
                assert exceeds(weight, bias, x, execution, directed=True) <= 1, execution


def test_sequential_sums_of_adversarial_terms_come_near_the_bound():
    """1, and then terms of just under half a last place, each of which is lost."""
    n = 1000
    x = np.full(n, 2.0**-24, np.float32)
    x[0] = 1
    first = next(iter(executions()))
    assert Fraction(9, 10) < exceeds(np.ones((1, n), np.float32), np.zeros(1, np.float32), x, first, False) <= 1


def test_flushing_costs_what_the_bound_says():
    """Products just below 2^-126 are each flushed: without the terms in t the bound would be exceeded."""
    n = 50
    x, weight = np.full(n, 2.0**-63, np.float32), np.full((1, n), 2.0**-64, np.float32)
    execution = next(e for e in executions() if e.mode.ftz and not e.fma)
    ratio = exceeds(weight, np.zeros(1, np.float32), x, execution, False)
    assert Fraction(1, 5) < ratio <= 1


def test_no_bound_where_a_sum_may_overflow():
    weight = np.array([[1e38, 1e38], [1, 1]], np.float32)
    bound = affine_error(weight, np.zeros(2), np.ones(2))
    assert np.isposinf(bound[0])
    assert bound[1] < 1e-6


@pytest.mark.parametrize(
    ("weight", "bias", "magnitude", "reason"),
    [
        (np.ones(3), np.ones(1), np.ones(3), r"expected weight \(m, n\)"),
        (np.ones((2, 3)), np.ones(2), np.ones(2), r"found \(2, 3\), \(2,\), \(2,\)"),
        (np.full((1, 1), np.nan), np.ones(1), np.ones(1), "expected finite numbers"),
        (np.ones((0, 1 << 20)), np.ones(0), np.ones(1 << 20), r"fewer than 2\^20 terms"),
    ],
)
def test_what_has_no_bound_is_refused(weight, bias, magnitude, reason):
    with pytest.raises(Binary32Error, match=reason):
        affine_error(weight, bias, magnitude)
