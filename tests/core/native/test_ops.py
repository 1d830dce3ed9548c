"""Machine code gives the values of the op tables: of every op, of its derivatives, and of loops of every shape."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import jvp, run, trace, vjp
from tlverify.core.native.program import compile_graph

from ..test_op_tables import FLAT

RNG = np.random.default_rng(0)


def agree(fn, args, rtol=1e-9, atol=1e-12):
    """The function run by the interpreter and as machine code."""
    graph = trace(fn, *args).graph
    expected, found = run(graph, list(args)), compile_graph(graph)(*args)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol, atol)


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_an_op_and_its_derivatives(fn, args):
    agree(fn, args)
    results = fn(*args)
    shapes = [y.shape for y in (results if isinstance(results, tuple) else (results,))]
    weights = [RNG.normal(size=shape) for shape in shapes]
    directions = [RNG.normal(size=a.shape) for a in args]

    def backward(*values):
        given = values[len(args) :]
        return vjp(fn, *values[: len(args)])[1](tuple(given) if isinstance(results, tuple) else given[0])

    agree(backward, [*args, *weights], 1e-8, 1e-11)
    agree(lambda *values: jvp(fn, values[: len(args)], values[len(args) :])[1], [*args, *directions], 1e-8, 1e-11)
