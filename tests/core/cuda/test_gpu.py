"""Recorded graphs and steps on a GPU itself: `pytest -m gpu`."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import run, trace
from tlverify.core.cuda.program import compile_graph
from tlverify.core.jit import jit
from tlverify.train.backend import BACKENDS

from .test_ops import AT_ONCE, CASES, RNG, together
from .test_steps import CASES as STEPS
from .test_steps import steps

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("start", range(0, len(CASES), AT_ONCE))
def test_ops_and_their_derivatives(cupy, start):
    from tlverify.core.cuda.device import gpu

    fn, args = together(CASES[start : start + AT_ONCE])
    graph = trace(fn, *args).graph
    program, expected = compile_graph(graph, gpu()), run(graph, list(args))
    first, again = program(*args), program(*map(cupy.asarray, args))
    for a, b, c in zip(first, expected, again, strict=True):
        assert isinstance(a, cupy.ndarray)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a.get(), b, 1e-8, 1e-10)
        np.testing.assert_array_equal(a.get(), c.get())


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_those_of_the_plan(cupy, name):
    model, x, y, settings = STEPS[name]
    found, told = steps(model, (x, y), settings, BACKENDS["cupy"]())
    expected, losses = steps(model, (x, y), settings, None)
    np.testing.assert_allclose(told, losses, 1e-3)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.get() if isinstance(a, cupy.ndarray) else a, b, 1e-2, 1e-3)


def test_convolutions_and_products_of_a_size_that_fills_a_gpu(cupy):
    from tlverify.core import ops, vjp

    def fn(x, weight, dense):
        y, pull = vjp(lambda x, w: ops.relu(ops.conv2d(x, w, padding=1)), x, weight)
        return ops.sum(ops.exp(ops.reshape(y, 64, 32 * 256) @ dense * 1e-3), 1), pull(y)

    args = [RNG.normal(size=s).astype(np.float32) for s in ((64, 16, 16, 16), (32, 16, 3, 3), (32 * 256, 100))]
    expected = run(trace(fn, *args).graph, args)
    found = jit(fn, "native")(*map(cupy.asarray, args))
    for a, b in zip([found[0], *found[1]], expected, strict=True):
        np.testing.assert_allclose(a.get(), b, 1e-3, 1e-2)
