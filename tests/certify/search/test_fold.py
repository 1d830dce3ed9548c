"""What is left after folding computes the same values."""

import numpy as np
import pytest

from tlverify.certify.search.goals import goals_of, refutation

from .networks import setup


@pytest.mark.parametrize("seed", range(4))
def test_unstable_neurons_and_goals_have_their_values(seed):
    case = setup(seed)
    folding = case.folding
    fold = folding.fold()
    t = case.points(np.random.default_rng(seed), 50)
    inner, values = case.inner(t)
    z = np.stack([inner[k][:, i] for k, i in zip(fold.layer, fold.index, strict=True)], 1)
    u = np.maximum(z, 0)
    rows = fold.rows
    np.testing.assert_allclose(t @ rows.t.T + u[:, : rows.u.shape[1]] @ rows.u.T + rows.constant, z, atol=1e-4)
    for (first, last), (_, before) in zip(fold.ends, [(0, 0), *fold.ends], strict=False):
        assert not rows.u[first:last, before:].any()
    assert (fold.lower < 0).all()
    assert (fold.upper > 0).all()
    for goal in goals_of(case.layers, case.claim):
        row = refutation(folding, goal)
        np.testing.assert_allclose(t @ row.t.T + u @ row.u.T + row.constant, -goal.left(values), atol=1e-6)


def test_some_neurons_were_folded():
    case = setup(0)
    assert 0 < case.folding.fold().size < sum(layer.size for layer in case.layers.layers)


def test_taken_rows_have_their_signs():
    rows = setup(0).folding.fold().rows
    taken = rows.take(np.array([2, 0, 2]), np.array([1, -1, -1]))
    for part in ("t", "u", "constant"):
        own = getattr(rows, part)
        np.testing.assert_array_equal(getattr(taken, part), np.stack([own[2], -own[0], -own[2]]))
