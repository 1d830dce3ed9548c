"""Convolution, pooling and batch normalisation against loops over every element."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import Spec, ops, trace
from tlverify.graph import ShapeError

rng = np.random.default_rng(11)


def loop_windows(x, kernel, stride, padding, dilation):
    """For each image, row and column of the result: (its index, the elements of x there, None in the padding)."""
    (height, width), (top, left, bottom, right) = x.shape[-2:], padding
    rows = (height + top + bottom - (kernel[0] - 1) * dilation[0] - 1) // stride[0] + 1
    columns = (width + left + right - (kernel[1] - 1) * dilation[1] - 1) // stride[1] + 1
    for row, column in itertools.product(range(rows), range(columns)):
        window = []
        for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
            a, b = row * stride[0] - top + i * dilation[0], column * stride[1] - left + j * dilation[1]
            window.append(x[..., a, b] if 0 <= a < height and 0 <= b < width else None)
        yield row, column, window


def loop_pool(x, reduce, *window):
    values = {(row, column): reduce(elements) for row, column, elements in loop_windows(x, *window)}
    rows, columns = max(values)
    return np.stack([np.stack([values[i, j] for j in range(columns + 1)], -1) for i in range(rows + 1)], -2)


def loop_max(elements):
    return np.max([e for e in elements if e is not None], 0)


def loop_mean(elements):
    return np.mean([e for e in elements if e is not None], 0)


def loop_mean_with_padding(elements):
    return np.sum([e for e in elements if e is not None], 0) / len(elements)


def loop_conv(x, weight, bias, stride, padding, dilation, groups):
    def at(elements):
        result = np.empty((*x.shape[:-3], len(weight)))
        for o in range(len(weight)):
            depth, group = weight.shape[1], o // (len(weight) // groups)
            terms = [
                e[..., group * depth : (group + 1) * depth] @ w
                for e, w in zip(elements, weight[o].reshape(depth, -1).T, strict=True)
                if e is not None
            ]
            result[..., o] = sum(terms) + bias[o]
        return result

    return loop_pool(x, at, weight.shape[2:], stride, padding, dilation)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIZES = {"height": st.integers(1, 6), "width": st.integers(1, 6), "kernel": pairs, "stride": pairs, "dilation": pairs}


@settings(max_examples=60, deadline=None)
@given(**SIZES, padding=st.tuples(*[st.integers(0, 3)] * 4), groups=st.sampled_from([1, 2, 4]), batch=st.integers(0, 2))
def test_conv2d(height, width, kernel, stride, dilation, padding, groups, batch):
    x = rng.normal(size=(*(2, 1)[:batch], 4, height, width))
    weight, bias = rng.normal(size=(4, 4 // groups, *kernel)), rng.normal(size=4)
    fits = all((kernel[i] - 1) * dilation[i] + 1 <= x.shape[i - 2] + padding[i] + padding[i + 2] for i in (0, 1))
    if not fits:
        with pytest.raises(ShapeError, match="more than the padded input"):
            ops.conv2d(x, weight, bias, stride, padding, dilation, groups)
        return
    result = ops.conv2d(x, weight, bias, stride, padding, dilation, groups)
    np.testing.assert_allclose(result, loop_conv(x, weight, bias, stride, padding, dilation, groups), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(**SIZES, padding=st.tuples(*[st.integers(0, 4)] * 4))
def test_pools(height, width, kernel, stride, dilation, padding):
    x = rng.normal(size=(2, height, width)) - 5.0
    for d, name in ((dilation, "max"), ((1, 1), "mean")):
        span = [(kernel[i] - 1) * d[i] + 1 for i in (0, 1)]
        fits = all(span[i] <= x.shape[i - 2] + padding[i] + padding[i + 2] for i in (0, 1))
        inside = all(padding[i] < span[i % 2] for i in range(4))
        empty = fits and any(set(w) == {None} for w in map(flags, loop_windows(x, kernel, stride, padding, d)))
        if not (fits and inside) or empty:
            with pytest.raises(ShapeError, match=r"more than the padded input|less than the window|on padding only"):
                ops.max_pool2d(x, kernel, stride, padding, d)
            continue
        window = kernel, stride, padding, d
        if name == "max":
            np.testing.assert_array_equal(ops.max_pool2d(x, *window), loop_pool(x, loop_max, *window))
        else:
            for include, reduce in ((True, loop_mean_with_padding), (False, loop_mean)):
                result = ops.avg_pool2d(x, *window[:3], count_include_pad=include)
                np.testing.assert_allclose(result, loop_pool(x, reduce, *window), rtol=1e-12)


def flags(item):
    return [None if element is None else True for element in item[2]]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_batch_norm(axis):
    x = rng.normal(size=(2, 3, 4)).astype("float32")
    channels = x.shape[axis]
    mean, variance, scale, bias = (rng.uniform(0.5, 2.0, channels).astype("float32") for _ in range(4))
    result = ops.batch_norm(x, mean, variance, scale, bias, axis, 1e-3)
    shape = [-1 if i == axis % 3 else 1 for i in range(3)]
    m, v, s, b = (a.astype("float64").reshape(shape) for a in (mean, variance, scale, bias))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, s * (x - m) / np.sqrt(v + 1e-3) + b, rtol=1e-5, atol=1e-5)
    plain = ops.batch_norm(x, mean, variance, axis=axis, epsilon=1e-3)
    np.testing.assert_allclose(plain, (x - m) / np.sqrt(v + 1e-3), rtol=1e-5, atol=1e-5)


def test_fold_is_the_adjoint_of_windows():
    options = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}
    x = rng.normal(size=(3, 6, 5))
    patches = ops.windows(x, (3, 2), **options)
    y = rng.normal(size=patches.shape)
    assert np.vdot(patches, y) == pytest.approx(np.vdot(x, ops.fold(y, (6, 5), (3, 2), **options)), rel=1e-12)


def test_each_is_one_node_of_the_graph():
    weight, channels = np.ones((4, 3, 3, 3), "float32"), np.ones(4, "float32")

    def model(x):
        x = ops.batch_norm(ops.conv2d(x, weight, padding=1), channels, channels)
        return ops.avg_pool2d(ops.max_pool2d(x, 2), 2, padding=1)

    graph = trace(model, Spec((2, 3, 8, 8))).graph
    assert [node.op for node in graph.nodes] == ["conv2d", "batch_norm", "max_pool2d", "avg_pool2d"]
    assert graph.nodes[0].attributes["padding"] == (1, 1, 1, 1)
    assert graph.nodes[1].attributes["epsilon"] == str(Fraction(float(np.float32(1e-5))))
    assert graph.nodes[2].attributes["stride"] == (2, 2)


def test_an_infinite_maximum_is_not_replaced_by_padding():
    assert ops.max_pool2d(np.full((1, 1), -math.inf), 2, padding=1).tolist() == [[-math.inf]]
    assert np.isnan(ops.max_pool2d(np.full((1, 1), math.nan), 2, padding=1)).all()
