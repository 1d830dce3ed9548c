"""Random proofs by all rules in every arithmetic and semantics: nothing false is accepted, nothing else is raised.

TLVERIFY_SOAK is how many graphs in all (10^4 if not given; six proofs of each), TLVERIFY_SEED from which on:
`pytest -m slow -s tests/soak/test_random_proofs.py`.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.certify.interval import interval

from ..certify.random_proofs import SEMANTICS, check

COUNT = int(os.environ.get("TLVERIFY_SOAK", "10000"))
SEED = int(os.environ.get("TLVERIFY_SEED", str(10**9)))


@pytest.mark.slow
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_random_proofs(semantics: str) -> None:
    arithmetics, found = (kernel.EXACT, fast(), interval()), Counter[str]()
    for seed in range(SEED, SEED + COUNT // len(SEMANTICS)):
        try:
            found += check(seed, semantics, arithmetics)
        except BaseException as error:
            raise AssertionError(f"{semantics}, seed {seed}") from error
    print(f"\n{semantics}: {dict(found)}, wrong 0")
