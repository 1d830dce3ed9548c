"""A gradient checker: both derivatives against central differences in float64, to second order."""

import numpy as np

from tlverify.core import jvp, vjp

STEP = 1e-5


def check_gradients(fn, args, order=2, seed=0):
    """`fn` takes float64 arrays and gives one array or a tuple of arrays; it must be smooth around `args`."""
    rng = np.random.default_rng(seed)
    directions = [rng.normal(size=a.shape) for a in args]
    forward = _flat(fn(*[a + STEP * d for a, d in zip(args, directions, strict=True)]))
    backward = _flat(fn(*[a - STEP * d for a, d in zip(args, directions, strict=True)]))
    numeric = [(f - b) / (2 * STEP) for f, b in zip(forward, backward, strict=True)]

    result, tangent = jvp(fn, args, directions)
    for derivative, expected in zip(_flat(tangent), numeric, strict=True):
        assert derivative.shape == expected.shape
        np.testing.assert_allclose(derivative, expected, rtol=1e-5, atol=1e-7)

    weights = [rng.normal(size=np.shape(y)) for y in _flat(result)]
    cotangent = tuple(weights) if isinstance(result, tuple) else weights[0]
    by_argument = vjp(fn, *args)[1](cotangent)
    for gradient, argument in zip(by_argument, args, strict=True):
        assert gradient.shape == argument.shape
    along = sum(np.vdot(g, d) for g, d in zip(by_argument, directions, strict=True))
    expected = sum(np.vdot(w, n) for w, n in zip(weights, numeric, strict=True))
    np.testing.assert_allclose(along, expected, rtol=1e-5, atol=1e-7)

    if order > 1:
        check_gradients(lambda *a: vjp(fn, *a)[1](cotangent), args, order - 1, seed + 1)
        check_gradients(lambda *a: jvp(fn, a, directions)[1], args, order - 1, seed + 2)


def _flat(value):
    return list(value) if isinstance(value, tuple) else [value]
