"""Multipliers that refute several linear functions together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify.kernel.tree import short
from tlverify.certify.search.combine import combine, least, weights_of, words_of


def test_least_is_attained_at_a_corner():
    found = least(np.array([2.0, -1.0]), np.array(0.5), np.array([-1.0, 0.0]), np.array([3.0, 4.0]))
    assert found == 0.5 - 2 - 4


@pytest.mark.parametrize(
    ("rows", "constants", "positive"),
    [
        ([[1.0, 0.0], [-1.0, 0.0]], [-0.25, 0.5], True),  # x - 1/4 and 1/2 - x: never both <= 0
        ([[1.0, 0.0], [-1.0, 0.0]], [-0.5, 0.25], False),  # both at 1/4 <= x <= 1/2
        ([[1.0, 1.0], [-1.0, 1.0], [0.0, -1.0]], [0.1, 0.1, -0.05], True),
        ([[0.0, 0.0]], [1.0], True),
        ([[1.0, 0.0], [0.0, 0.0]], [2.0, 0.0], True),  # the second row stands for nothing
    ],
)
def test_sign_of_the_best_combination(rows, constants, positive):
    A, c = np.array([rows]), np.array([constants])
    lower, upper = -np.ones((1, 2)), np.ones((1, 2))
    w = combine(A, c, lower, upper)
    assert (w >= 0).all()
    value = least(np.einsum("bk,bkn->bn", w, A), (w * c).sum(1), lower, upper)
    assert (value > 0).all() == positive


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_positive_combination_is_found_where_there_is_one(seed):
    rng = np.random.default_rng(seed)
    batch, rows, n = 8, int(rng.integers(1, 9)), int(rng.integers(1, 6))
    A, c = rng.standard_normal((batch, rows, n)), rng.standard_normal((batch, rows)) * 0.3
    lower = rng.uniform(-2, 1, (batch, n))
    upper = lower + rng.uniform(1e-6, 1, (batch, n))
    hidden = rng.random((batch, rows))  # shift the constants so that this combination has bound 0.01
    row = np.einsum("bk,bkn->bn", hidden, A)
    c += (0.01 - least(row, (hidden * c).sum(1), lower, upper))[:, None] / hidden.sum(1, keepdims=True)
    w = combine(A, c, lower, upper)
    assert (least(np.einsum("bk,bkn->bn", w, A), (w * c).sum(1), lower, upper) > 0).all()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=6))
def test_words_mean_what_the_kernel_reads(values):
    weights = np.array([values])
    words = words_of(weights)
    meant = weights_of(words)
    for word, value in zip(words[0].tolist(), meant[0].tolist(), strict=True):
        mantissa, exponent = short(word)
        assert mantissa * 2.0**exponent == value
    largest = weights.max()
    if largest > 0:
        assert np.allclose(meant * largest, weights, rtol=2**-9, atol=largest * 2**-29)
