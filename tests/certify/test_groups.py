"""Groups hold every entry of a map once, and compute what the kernel's sparse map does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import groups
from tlverify.certify.groups import grouped, product, transposed
from tlverify.certify.kernel.arithmetic import Short
from tlverify.certify.kernel.program import Sparse

COLUMNS = 7
pairs = st.lists(st.tuples(st.integers(0, COLUMNS - 1), st.integers(-9, 9)), max_size=5)
maps = st.lists(pairs, min_size=1, max_size=8)


def applied(entries, size, source):
    found = grouped(entries)
    result = np.zeros((size, source.shape[1]))
    product(found, [np.array(g.coefficients, dtype=float).reshape(g.shape) for g in found], source, result)
    return result.astype(int)


@given(maps, st.integers(1, 4), st.integers(1, 40))
@settings(deadline=None)
def test_products_are_those_of_the_map(entries, batch, chunk):
    matrix = Sparse(entries, COLUMNS)
    rng = np.random.default_rng(0)
    right, left = (rng.integers(-99, 99, (n, batch)) for n in (COLUMNS, len(entries)))
    before, groups.CHUNK = groups.CHUNK, chunk
    try:
        forward = applied(entries, len(entries), right.astype(float))
        backward = applied(transposed(entries, COLUMNS), COLUMNS, left.astype(float))
    finally:
        groups.CHUNK = before
    for job in range(batch):
        assert forward[:, job].tolist() == matrix.forward(right[:, job].tolist())
        assert backward[:, job].tolist() == matrix.backward(Short(left[:, job].tolist(), 0)).integers


def test_what_sees_the_same_window_stands_together():
    """Two channels at three places, as of a convolution: one stack of three small matrices."""
    entries = [[(place, 1 + channel), (place + 1, 5)] for channel in range(2) for place in range(3)]
    (group,) = grouped(entries)
    assert group.shape == (3, 2, 2)
    assert group.index.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert group.result.tolist() == [[0, 3], [1, 4], [2, 5]]
