"""Optimised slopes never give a worse bound than the default ones, and are written as the kernel reads them."""

import numpy as np
import pytest

from tlverify.certify.search.bounds import backward, relaxation, unstable
from tlverify.certify.search.slopes import optimize_slopes, quantized

from .test_bounds import setup


@pytest.mark.parametrize("seed", range(6))
def test_slopes(seed):
    rng, graph, network, table, *_ = setup("normal", seed)
    output = graph.outputs[0]
    start = {output: np.array([[[rng.gauss(0, 1) for _ in range(network.sizes[output])] for _ in range(2)]])}
    constant = np.zeros((1, 2))
    default = backward(network, table, start, constant)[0]
    slopes, bound = optimize_slopes(network, table, start, constant, iterations=12)
    assert (bound >= default).all()
    np.testing.assert_allclose(bound, backward(network, table, start, constant, slopes)[0], rtol=1e-12)
    for name, value in slopes.items():
        assert (value * 128 == np.round(value * 128)).all(), name
        assert value.min() >= 0
        assert value.max() <= 1
    listing, payload = quantized(network, table, slopes, 0, [1, 0])
    assert len(payload) == 2 * sum(map(len, listing.values()))
    assert list(listing) == sorted(listing)
    columns = [slopes[name][0, :, neurons].T for name, neurons in listing.items()]
    expected = [round(float(v) * 128) for row in (1, 0) for part in columns for v in part[row]]
    assert list(payload) == expected
    for node in network.piecewise:
        rest = np.setdiff1d(np.flatnonzero(unstable(table, node)[0]), listing.get(node.name, []))
        assert (slopes[node.name][0][:, rest] == relaxation(table, node)[1][0, rest]).all()
