"""Taking values apart and putting them together, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tlverify.core import Spec, grad, ops, trace
from tlverify.graph import ShapeError

X = np.arange(24.0).reshape(2, 3, 4)
INDICES = hnp.basic_indices((2, 3, 4), allow_ellipsis=True, allow_newaxis=True)


@given(INDICES)
def test_slice_is_the_index_of_numpy(index):
    items = index if isinstance(index, tuple) else (index,)
    if any(isinstance(item, slice) and item.step is not None and item.step < 0 for item in items):
        with pytest.raises(ShapeError, match="slice: expected steps >= 1"):
            ops.slice(X, *items)
        return
    np.testing.assert_array_equal(ops.slice(X, *items), X[index])
    if items != (...,):
        traced = trace(lambda x: x[index], X)(X)
        np.testing.assert_array_equal(traced, X[index])
    indicator = grad(lambda x: ops.sum(ops.slice(x, *items)))(X)
    expected = np.zeros_like(X)
    expected[index] = 1.0
    np.testing.assert_array_equal(indicator, expected)


def test_a_slice_of_everything_is_no_node():
    assert not trace(lambda x: x[:, ...], Spec((2, 3))).graph.nodes


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ((2,), r"slice: index 2 is outside an axis of size 2 of \[2, 3, 4\]"),
        ((0, -4), "slice: index -4 is outside an axis of size 3"),
        ((0, 0, 0, 0), "slice: expected up to 3 indices and one ellipsis"),
        ((..., ...), "slice: expected up to 3 indices and one ellipsis"),
        ((True,), "slice: expected integers, slices, None and one ellipsis, found True"),
        (([0, 1],), "slice: expected integers, slices"),
        ((np.array([0, 1]),), r"ops.take\(x, indices, axis\) takes an array of indices, ops.where a mask"),
    ],
)
def test_indices_that_are_not_basic_are_errors(index, reason):
    with pytest.raises(ShapeError, match=reason):
        ops.slice(X, *index)
    with pytest.raises(ShapeError, match=reason):
        trace(lambda x: x[index], X)


def test_concat():
    parts = [X, X[:, :1], X[:, :0]]
    np.testing.assert_array_equal(ops.concat(parts, 1), np.concatenate(parts, 1))
    np.testing.assert_array_equal(trace(lambda x: ops.concat([x, X[:, :1]], -2), X)(X), np.concatenate(parts, 1))
    with pytest.raises(ShapeError, match="concat: expected one or more values"):
        ops.concat([])
    with pytest.raises(ShapeError, match=r"concat: .* different dtypes"):
        ops.concat([X, X.astype("float32")])
    with pytest.raises(ShapeError, match="concat: axis: expected an axis of"):
        ops.concat([X], 3)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=3))
def test_pad_counts_from_the_last_axis(widths):
    flat = [n for pair in widths for n in pair]
    expected = np.pad(X, [(0, 0)] * (3 - len(widths)) + widths[::-1], constant_values=-1.5)
    np.testing.assert_array_equal(ops.pad(X, flat, -1.5), expected)


@pytest.mark.parametrize("padding", [(1,), (0, 0, 0, 0, 0, 0, 1, 1)])
def test_a_padding_without_its_axis_is_an_error(padding):
    with pytest.raises(ShapeError, match="pad: expected \\(before, after\\) for up to 3 axes"):
        ops.pad(X, padding)
    with pytest.raises(ShapeError, match="pad: before: expected integers >= 0"):
        ops.pad(X, (-1, 0))
