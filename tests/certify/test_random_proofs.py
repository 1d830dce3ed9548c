"""Random proofs in every arithmetic and semantics; tests/soak has many thousands."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.certify.interval import interval

from .random_proofs import SEMANTICS, check

ARITHMETICS = (kernel.EXACT, fast(), interval())


@pytest.mark.parametrize("semantics", SEMANTICS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_nothing_false_is_accepted(semantics: str, seed: int) -> None:
    check(seed, semantics, ARITHMETICS)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_many_are_accepted(semantics: str) -> None:
    found = sum((check(seed, semantics, ARITHMETICS) for seed in range(20)), Counter[str]())
    assert found["accepted"] > 10
