"""Every op and its derivatives on a GPU, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import jvp, vjp

from .test_op_tables import FLAT

pytestmark = pytest.mark.gpu


def _leaves(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_an_op_has_the_values_and_derivatives_of_numpy(cupy, fn, args):
    rng = np.random.default_rng(0)
    directions = [rng.normal(size=a.shape) for a in args]
    results, tangents = jvp(fn, args, directions)
    weights = [rng.normal(size=np.shape(y)) for y in _leaves(results)]
    gradients = vjp(fn, *args)[1](tuple(weights) if isinstance(results, tuple) else weights[0])

    there = [cupy.asarray(a) for a in args]
    found, moved = jvp(fn, there, [cupy.asarray(d) for d in directions])
    given = [cupy.asarray(w) for w in weights]
    back = vjp(fn, *there)[1](tuple(given) if isinstance(found, tuple) else given[0])

    everything = [*_leaves(found), *_leaves(moved), *back]
    expected = [*_leaves(results), *_leaves(tangents), *gradients]
    for device, host in zip(everything, expected, strict=True):
        assert isinstance(device, cupy.ndarray)
        assert (device.shape, device.dtype) == (host.shape, host.dtype)
        np.testing.assert_allclose(device.get(), host, rtol=1e-9, atol=1e-11)
