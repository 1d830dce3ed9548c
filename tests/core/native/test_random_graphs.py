"""Random graphs as machine code: the values of the interpreter, and no byte written beyond a buffer."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import ops, run, trace
from tlverify.core.native import memory, program

GUARD = 256


def grown(draw, values, rng):
    """One more value, made of some of the list."""
    x = draw(st.sampled_from(values))
    same = [v for v in values if v.shape == x.shape]
    kind = draw(st.sampled_from(["unary", "binary", "row", "reduce", "view", "copy", "product", "where", "windows"]))
    if kind == "unary":
        return draw(
            st.sampled_from([ops.tanh, ops.relu, ops.neg, ops.abs, ops.square, ops.sigmoid, lambda v: v * 0.5])
        )(x)
    if kind == "binary":
        return draw(st.sampled_from([ops.add, ops.sub, ops.mul, ops.maximum]))(x, draw(st.sampled_from(same)))
    if kind == "row" and x.ndim:
        return x + ops.sum(x, draw(st.integers(0, x.ndim - 1)), keepdims=True) * 0.1
    if kind == "reduce" and x.ndim:
        axes = draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, max_size=x.ndim, unique=True))
        fold = ops.max if draw(st.booleans()) and 0 not in x.shape else ops.sum
        return fold(x, sorted(axes), keepdims=draw(st.booleans())) * 0.25
    if kind == "view" and x.ndim:
        how = draw(st.sampled_from(["turn", "flat", "slice", "repeat"]))
        if how == "turn":
            return ops.transpose(x, draw(st.permutations(range(x.ndim))))
        if how == "flat":
            return ops.reshape(x, int(np.prod(x.shape)))
        if how == "repeat" and x.ndim < 4:
            return ops.broadcast_to(ops.expand_dims(x, 0), (draw(st.integers(1, 3)), *x.shape))
        axis = draw(st.integers(0, x.ndim - 1))
        start = draw(st.integers(0, max(x.shape[axis] - 1, 0)))
        step = draw(st.integers(1, 3))
        return x[(slice(None),) * axis + (slice(start, x.shape[axis], step),)]
    if kind == "copy" and x.ndim:
        axis = draw(st.integers(0, x.ndim - 1))
        if draw(st.booleans()):
            return ops.concat([x, draw(st.sampled_from(same))], axis)
        return ops.pad(x, [draw(st.integers(0, 2)) for _ in range(2 * draw(st.integers(1, x.ndim)))])
    if kind == "product" and x.ndim >= 2:
        weight = rng.normal(size=(x.shape[-1], draw(st.integers(1, 40)))).astype(np.float32)
        y = x @ weight * 0.2
        return y + x @ weight if draw(st.booleans()) else y
    if kind == "where":
        return ops.where(x > 0.1, x, draw(st.sampled_from(same)))
    if kind == "windows" and x.ndim >= 3 and min(x.shape[-2:]) >= 2:
        weight = rng.normal(size=(draw(st.integers(1, 9)), x.shape[-3], 2, 2)).astype(np.float32)
        return ops.conv2d(x, weight, stride=draw(st.integers(1, 2)), padding=draw(st.integers(0, 1))) * 0.2
    return x


def random_function(draw):
    """A function of arrays, and arrays for it."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    shapes = draw(st.lists(st.lists(st.integers(1, 20), max_size=4), min_size=1, max_size=3))
    arrays = [rng.normal(size=shape).astype(np.float32) for shape in shapes]

    def fn(*values):
        values = list(values)
        for _ in range(draw(st.integers(1, 14))):
            new = grown(draw, values, rng)
            if int(np.prod(new.shape)) <= 40_000:
                values.append(new)
        return tuple(values[-4:])

    return fn, arrays


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs(data):
    fn, arrays = random_function(data.draw)
    graph = trace(fn, *arrays).graph
    guarded: list[np.ndarray] = []

    def aligned(size):
        whole = memory.aligned(size + GUARD)
        whole[size:] = 0xA5
        guarded.append(whole[size:])
        return whole[:size]

    original, program.aligned = program.aligned, aligned
    try:
        found = program.compile_graph(graph)
        values = found(*arrays)
        again = found(*arrays)
    finally:
        program.aligned = original
    assert all((end == 0xA5).all() for end in guarded)
    with np.errstate(all="ignore"):
        expected = run(graph, arrays)
    for a, b, c in zip(values, expected, again, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, c)
        np.testing.assert_allclose(a, b, 2e-4, 2e-4 * (1 + np.abs(b[np.isfinite(b)]).max(initial=0)))
