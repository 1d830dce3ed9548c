"""Random batches of jobs in every arithmetic; tests/soak has a hundred thousand."""

import pytest

from tlverify.certify.fast.engine import Engine as Fast
from tlverify.certify.interval.engine import Engine as Interval

from .random_jobs import cases, check


@pytest.mark.parametrize("start", range(8))
def test_bounds_of_random_jobs(start):
    fast, interval = Fast(), Interval()
    for seed in range(1000 * start, 1000 * start + 25):
        for case in cases(seed):
            check(case, fast, interval)
