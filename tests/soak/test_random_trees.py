"""Random trees in the arithmetic `interval`, leaf by leaf: no bound is above what a point attains.

TLVERIFY_SOAK is how many proofs in all (10^4 if not given), TLVERIFY_SEED from which on:
`pytest -m slow -s tests/soak/test_random_trees.py`.
"""

from __future__ import annotations

import os

import pytest

from ..certify.interval.laws import load
from ..certify.random_proofs import SEMANTICS
from ..certify.random_trees import check

COUNT = int(os.environ.get("TLVERIFY_SOAK", "10000"))
SEED = int(os.environ.get("TLVERIFY_SEED", str(10**9)))


@pytest.mark.slow
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_random_trees(semantics: str) -> None:
    interval, bounds = load(), 0
    for seed in range(SEED, SEED + COUNT // len(SEMANTICS)):
        try:
            bounds += check(seed, interval, semantics)
        except BaseException as error:
            raise AssertionError(f"{semantics}, seed {seed}") from error
    print(f"\n{semantics}: {bounds} bounds of leaves, wrong 0")
