"""Random trees in the arithmetic `interval`, leaf by leaf; tests/soak has many thousands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .interval.laws import load
from .random_proofs import SEMANTICS
from .random_trees import check

INTERVAL = load()


@pytest.mark.parametrize("semantics", SEMANTICS)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_leaves_hold_whatever_they_are_beside(semantics: str, seed: int) -> None:
    check(seed, INTERVAL, semantics)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_many_bounds_are_compared(semantics: str) -> None:
    found = [check(seed, INTERVAL, semantics) for seed in range(20)]
    assert sum(map(bool, found)) > 10
    assert sum(found) > 200
