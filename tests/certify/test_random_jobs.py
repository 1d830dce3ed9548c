"""Random batches of jobs in every arithmetic; tests/soak has a hundred thousand."""

import pytest

from tlverify.certify.fast.engine import Engine as Fast
from tlverify.certify.interval.engine import Engine as Interval
from tlverify.certify.kernel.contract import Contract

from .random_jobs import cases, check

CONTRACTS = (
    None,
    Contract("nearest", "any", "float32", 0),
    Contract("any", "gradual", "tf32-rounded", 0),
)


@pytest.mark.parametrize("contract", CONTRACTS, ids=["real", "float32", "tf32"])
@pytest.mark.parametrize("start", range(8))
def test_bounds_of_random_jobs(start, contract):
    fast, interval = Fast(), Interval()
    for seed in range(1000 * start, 1000 * start + 25):
        for case in cases(seed, contract):
            check(case, fast, interval)
