"""Random graphs and batches of jobs: `fast` as `exact`, and no bound above an attained value.

TLVERIFY_SOAK=100000 pytest -m slow tests/soak/test_random_jobs.py
"""

import os

import pytest

from tlverify.certify.fast.engine import Engine as Fast
from tlverify.certify.interval.engine import Engine as Interval

from ..certify.random_jobs import cases, check

COUNT = int(os.environ.get("TLVERIFY_SOAK", "2000"))


@pytest.mark.slow
def test_bounds_of_random_jobs():
    fast, interval = Fast(), Interval()
    for seed in range(10**9, 10**9 + COUNT):
        try:
            for case in cases(seed):
                check(case, fast, interval)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error
