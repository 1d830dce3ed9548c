"""Loops, sums, products, convolutions and copies of all shapes as machine code, for several processors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import ops, run, trace, vjp
from tlverify.core.binary32 import accuracy
from tlverify.core.native import machine
from tlverify.core.native.program import compile_graph
from tlverify.core.ops.forward import FORWARD

RNG = np.random.default_rng(0)
SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 50, 65]
TARGETS = {
    "baseline": machine.Target("x86-64", ""),
    "AVX2": machine.Target("haswell", "+avx2,+fma"),
    "host": machine.host(),
}
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-45, -1e-39, 3e38, 88.0, -104.0, 200.0], np.float32
)


def agree(fn, *args, rtol=1e-5, atol=1e-6, target=None):
    graph = trace(fn, *args).graph
    with np.errstate(all="ignore"):
        expected = run(graph, list(args))
    found = compile_graph(graph, target)(*args)
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol, atol)
    return found


@pytest.mark.parametrize("n", SIZES)
def test_sizes(n):
    x, y = (RNG.normal(size=(3, n)).astype(np.float32) for _ in range(2))

    def fn(x, y):
        z = ops.relu(x * y + 1.0) - ops.transpose(ops.transpose(x))
        turned = ops.transpose(z) * 2.0
        return z, ops.sum(z), ops.sum(z, 0), ops.sum(turned, 0), ops.sum(turned), turned, z > 0.5, ops.reshape(z, 3 * n)

    agree(fn, x, y, atol=1e-4)
    if n:
        agree(lambda x: (ops.max(x), ops.max(x, 0), ops.max(x, 1), ops.argmax(x, 1)), x)


@pytest.mark.parametrize("m", [1, 2, 9, 33])
@pytest.mark.parametrize("k", [1, 5, 64])
@pytest.mark.parametrize("n", [1, 3, 8, 40])
def test_products(m, k, n):
    a, b = RNG.normal(size=(2, m, k)).astype(np.float32), RNG.normal(size=(2, k, n)).astype(np.float32)
    turned = np.ascontiguousarray(b.swapaxes(1, 2))
    agree(ops.matmul, a, b, atol=1e-4)
    agree(lambda a, t: a @ ops.transpose(t, (0, 2, 1)), a, turned, atol=1e-4)
    agree(lambda a, b: ops.sum(a @ b, 0), a, b, atol=1e-4)
    agree(lambda a, b: (a @ b) + (b[:1, :1] * 2.0 + a @ b), a, b, atol=1e-4)


def test_products_that_go_to_blas():
    left, right = RNG.normal(size=(20, 700)), RNG.normal(size=(700, 600))
    agree(lambda a, b: (a @ b, ops.transpose(b) @ ops.transpose(a)), left, right, rtol=1e-9)
    agree(lambda a, b: a @ b + ops.exp(a @ b * 1e-3) * 2.0, left, right, rtol=1e-9)
    batch = RNG.normal(size=(3, 600, 4)).astype(np.float32)
    agree(lambda a, b: (ops.sum(ops.transpose(a, (0, 2, 1)) @ a, 0), a @ b), batch, batch[0].T.copy(), atol=1e-3)


def test_sums_that_end_in_one_place():
    x, w = RNG.normal(size=(6, 40)).astype(np.float32), RNG.normal(size=(40, 40)).astype(np.float32)

    def fn(x, w):
        for i in range(4):
            x = ops.concat([x[1:], ops.tanh(x[:1] @ w * 0.1)], 0) + x[i : i + 1]
        return ops.sum(x * x)

    agree(lambda x, w: vjp(fn, x, w)[1](np.float32(1.0)), x, w, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_convolutions(data):
    draw = data.draw
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel, stride, dilation = ((draw(st.integers(1, most)), draw(st.integers(1, most))) for most in (4, 3, 2))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(2))
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    sizes = [max(e - 2 * p, 1) + draw(st.integers(0, 20)) for e, p in zip(extent, padding, strict=True)]
    channels, out = groups * draw(st.integers(1, 5)), groups * draw(st.integers(1, 12))
    x = RNG.normal(size=(draw(st.integers(1, 3)), channels, *sizes)).astype(np.float32)
    weight = RNG.normal(size=(out, channels // groups, *kernel)).astype(np.float32)

    def fn(x, weight, bias):
        return ops.conv2d(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)

    args = x, weight, RNG.normal(size=out).astype(np.float32)
    (y,) = agree(fn, *args, atol=1e-4)
    agree(lambda g, *args: vjp(fn, *args)[1](g), RNG.normal(size=y.shape).astype(np.float32), *args, atol=1e-3)


@pytest.mark.parametrize("shape", [(5, 7), (33, 17), (16, 16), (3, 16, 20, 9), (64, 2, 30)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_copies_in_another_order(shape, dtype):
    x = (RNG.normal(size=shape) * 100).astype(dtype)
    for axes in (range(len(shape))[::-1], np.roll(range(len(shape)), 1)):
        (found,) = compile_graph(trace(lambda x, axes=axes: ops.transpose(x, list(axes)), x).graph)(x)
        np.testing.assert_array_equal(found, x.transpose(list(axes)))


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_every_processor_gives_the_same_bits(target):
    if target.cpu == "haswell" and not {"avx2", "fma"} <= set(machine.host().features.replace("+", "").split(",")):
        pytest.skip("this processor has no AVX2")
    x = RNG.normal(size=(9, 2, 11, 13)).astype(np.float32)
    weight, dense = RNG.normal(size=(5, 2, 3, 3)).astype(np.float32), RNG.normal(size=(45, 40)).astype(np.float32)

    def fn(x, weight, dense):
        y = ops.tanh(ops.conv2d(x, weight, ops.sum(weight, (1, 2, 3)), stride=2))
        z = ops.exp(ops.reshape(y[..., :3, :3], 9, 45) @ dense * 0.1)
        return z, ops.sum(z), ops.log(ops.sum(z, 0)), ops.max(z, 1)

    graph = trace(fn, x, weight, dense).graph
    for a, b in zip(
        compile_graph(graph, target)(x, weight, dense), compile_graph(graph)(x, weight, dense), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [*accuracy.FUNCTIONS, "abs", "neg", "sign", "relu", "square"])
def test_special_values(name):
    for x in (SPECIAL, SPECIAL.astype(np.float64)):
        agree(getattr(ops, name), x, rtol=1e-5, atol=0 if name != "tanh" else 1e-44)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum", "minimum", "greater", "equal"])
def test_special_values_in_pairs(name):
    agree(getattr(ops, name), *(np.ascontiguousarray(a) for a in np.meshgrid(SPECIAL, SPECIAL)), rtol=0, atol=0)


ULPS = {"cos": 0.7, "erf": 3.0, "exp": 1.0, "expm1": 2.0, "log": 2.0, "log1p": 3.0, "sigmoid": 2.5, "sin": 0.7}
ULPS |= {"softplus": 3.0, "sqrt": 0.51, "tanh": 3.5}


@pytest.mark.parametrize("name", accuracy.FUNCTIONS)
def test_functions_of_float32_are_as_accurate_as_documented(name):
    """Of every 40009-th number; docs/execution.md says it of every 257-th."""
    bits = np.arange(0, 1 << 32, 40009, dtype=np.uint32).view(np.float32)
    x = bits[np.isfinite(bits)]
    (found,) = compile_graph(trace(getattr(ops, name), x).graph)(x)
    with np.errstate(all="ignore"):
        error, special = accuracy._errors(found, FORWARD[name](x.astype(np.float64)), np)
    assert special == 0
    assert error.max() < ULPS[name]


@pytest.mark.parametrize("name", ["exp", "log", "expm1", "log1p", "tanh", "erf"])
def test_functions_of_float64(name):
    x = np.concatenate([RNG.normal(size=300) * s for s in (1e-8, 1e-3, 0.3, 1.0, 10.0)])
    x = np.abs(x) if name == "log" else x[x > -1] if name == "log1p" else x
    (found,) = compile_graph(trace(getattr(ops, name), x).graph)(x)
    np.testing.assert_allclose(found, [getattr(math, name)(v) for v in x.tolist()], rtol=6e-16)


def test_integers():
    x, y = RNG.integers(-9, 9, (4, 20)), RNG.integers(-9, 9, (4, 20))

    def fn(x, y):
        mixed = ops.where(x > y, x * y - x, ops.maximum(x, y) + y)
        return mixed, ops.sum(mixed, 1), ops.max(mixed, 0), ops.cast(x, "float32") / 3.0, ops.equal(x, y)

    agree(fn, x, y, rtol=0, atol=0)
