"""Sparse matrices are the dense ones that they stand for."""

import numpy as np
import pytest

from tlverify.certify.search import matrices
from tlverify.certify.search.matrices import Sparse, add, apply, dense, pull, through
from tlverify.certify.search.pieces import Pieces


def random(rng, rows, columns, share):
    whole = np.where(rng.random((rows, columns)) < share, rng.normal(size=(rows, columns)), 0.0)
    return whole, Sparse.of(whole.shape, *np.nonzero(whole), whole[np.nonzero(whole)])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("seed", range(3))
def test_each_operation(seed, share, monkeypatch):
    rng = np.random.default_rng(seed)
    a, one = random(rng, 9, 7, share)
    b, two = random(rng, 7, 5, 0.4)
    c, three = random(rng, 9, 7, 0.3)
    points, rows = rng.normal(size=(4, 7)), rng.normal(size=(4, 9))
    chosen, columns = np.array([8, 0, 3]), np.array([6, 1])
    np.testing.assert_array_equal(one.whole(), a)
    np.testing.assert_allclose(one.after(two).whole(), a @ b, atol=1e-12)
    np.testing.assert_allclose(apply(one, points), points @ a.T, atol=1e-12)
    np.testing.assert_allclose(pull(one, rows), rows @ a, atol=1e-12)
    np.testing.assert_array_equal(dense(one, chosen, columns), a[np.ix_(chosen, columns)])
    for other in (three, c):
        total = add(one, other)
        np.testing.assert_array_equal(total.whole() if isinstance(total, Sparse) else total, a + c)
    rights = [rng.normal(size=(2, 3)), rng.normal(size=2)]
    for limit in (0, 10**9):
        monkeypatch.setattr(matrices, "VERY_SPARSE", limit)
        for matrix in (one, a):
            for found, right in zip(through(matrix, chosen, columns, rights), rights, strict=True):
                np.testing.assert_allclose(found, a[np.ix_(chosen, columns)] @ right, atol=1e-12)


def test_the_identity():
    points, rows = np.arange(6.0).reshape(2, 3), np.array([2, 0])
    assert apply(None, points) is points
    assert pull(None, points) is points
    np.testing.assert_array_equal(dense(None, rows, np.arange(3)), np.eye(3)[rows])


@pytest.mark.parametrize("width", [3, 20, 400])
def test_pieces_are_the_matrix(width, monkeypatch):
    """Windows that wander over the columns; wide ones leave nothing to cut."""
    rng = np.random.default_rng(width)
    matrix = np.zeros((150, 400), dtype=np.float32)
    for row in range(140):
        first = row * (400 - width) // 140
        matrix[row, first : first + width] = rng.normal(size=width)
    pieces = Pieces.of(matrix)
    assert (pieces.area == matrix.size) == (width == 400)
    left, right = rng.normal(size=(5, 150)).astype(np.float32), rng.normal(size=(5, 400)).astype(np.float32)
    pulled, pushed = np.ones((5, 400), np.float32), np.ones((5, 150), np.float32)
    pieces.pull(left, pulled)
    pieces.push(right, pushed)
    np.testing.assert_allclose(pulled, 1 + left @ matrix, atol=1e-4)
    np.testing.assert_allclose(pushed, 1 + right @ matrix.T, atol=1e-4)
    assert Pieces.of(np.zeros((0, 4), np.float32)).area == Pieces.of(np.zeros((4, 0), np.float32)).area == 0
