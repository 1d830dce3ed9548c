"""Kernels give the values of the op tables, run on the processor; and NVIDIA's compiler takes every one of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlverify.core import jvp, ops, run, trace, vjp
from tlverify.core.binary32 import accuracy
from tlverify.core.cuda import source
from tlverify.core.cuda.program import compile_graph

from ..native.test_random_graphs import random_function
from ..test_op_tables import FLAT
from . import nvrtc
from .host import Host

needs_compiler = pytest.mark.skipif(not shutil.which("g++"), reason="kernels run here through g++, which is not found")
needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason="pip install nvidia-cuda-nvrtc")
RNG = np.random.default_rng(0)
CASES = [case.values for case in FLAT]
AT_ONCE = 15  # cases that go into one graph, which saves compilations
SIZES = [1, 2, 3, 31, 32, 33, 65, 300]


class Recorded(Host):
    """Keeps what is compiled."""

    def build(self, text):
        self.text = text
        return super().build(text)


class OnlyText(Host):
    """Compiles nothing."""

    def build(self, text):
        self.text = text
        return lambda name: name


def with_derivatives(fn, args):
    """A function that gives the results, their vjp and their jvp, and its arguments."""
    results = fn(*args)
    several = isinstance(results, tuple)
    weights = [RNG.normal(size=y.shape) for y in (results if several else (results,))]
    directions = [RNG.normal(size=a.shape) for a in args]
    n, w = len(args), len(weights)

    def whole(*values):
        args, weights, directions = values[:n], values[n : n + w], values[n + w :]
        back = vjp(fn, *args)[1](tuple(weights) if several else weights[0])
        forward = jvp(fn, args, directions)
        return [forward, back]

    return whole, [*args, *weights, *directions]


def together(cases):
    """One function of all arguments for several."""
    made = [with_derivatives(fn, args) for fn, args in cases]

    def fn(*values):
        rest = iter(values)
        return [fn(*(next(rest) for _ in args)) for fn, args in made]

    return fn, [arg for _, args in made for arg in args]


def agree(fn, args, rtol, atol):
    graph, device = trace(fn, *args).graph, Recorded()
    with np.errstate(all="ignore"):
        expected = run(graph, list(args))
    program = compile_graph(graph, device)
    found = program(*args)
    for a, b, again in zip(found, expected, program(*args), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol, atol)
        np.testing.assert_array_equal(a, again)
    return device.text


@needs_compiler
@pytest.mark.parametrize("start", range(0, len(CASES), AT_ONCE))
def test_ops_and_their_derivatives(start):
    agree(*together(CASES[start : start + AT_ONCE]), 1e-8, 1e-10)


@pytest.fixture(params=[1, source.ENOUGH], ids=["tiles", "parts"])
def _cut(request, monkeypatch):
    """Sums are cut as on a small GPU, where a thread makes several outputs, and as on a large one."""
    monkeypatch.setattr(source, "ENOUGH", request.param)


@needs_compiler
@pytest.mark.usefixtures("_cut")
def test_sizes():
    def fn(*arrays):
        for x, y in zip(arrays[::2], arrays[1::2], strict=True):
            z = ops.relu(x * y + 1.0) - ops.transpose(ops.transpose(x))
            turned = ops.transpose(z) * 2.0
            yield z, ops.sum(z), ops.sum(z, 0), ops.sum(turned, 0), ops.sum(turned), turned, z > 0.5
            yield ops.max(x), ops.max(x, 0), ops.max(x, 1), ops.argmax(x, 1), x / ops.sum(ops.exp(x), 1, keepdims=True)

    arrays = [RNG.normal(size=(3, n)).astype(np.float32) for n in SIZES for _ in range(2)]
    agree(lambda *arrays: list(fn(*arrays)), arrays, 1e-5, 1e-4)
    agree(lambda x: (x * 2.0, ops.sum(x, 1), ops.concat([x, x], 1)), [np.zeros((3, 0), np.float32)], 0, 0)


@needs_compiler
@pytest.mark.usefixtures("_cut")
def test_products():
    args = []
    for m, k, n in ((1, 5, 3), (9, 64, 40), (33, 1, 8), (20, 300, 1), (40, 700, 50)):
        args += [RNG.normal(size=(2, m, k)).astype(np.float32), RNG.normal(size=(2, k, n)).astype(np.float32)]

    def fn(*args):
        found = []
        for a, b in zip(args[::2], args[1::2], strict=True):
            turned = ops.transpose(b, (0, 2, 1)) @ ops.transpose(a, (0, 2, 1))
            found += [a @ b, ops.sum(a @ b, 0), (a @ b) + (b[:1, :1] * 2.0 + a @ b), turned, a[0] @ b]
        return found

    agree(fn, args, 1e-4, 1e-3)


@needs_compiler
@pytest.mark.usefixtures("_cut")
def test_convolutions():
    given = []
    for groups, kernel, stride, padding, dilation in (
        (1, (3, 3), (1, 1), (1, 1), (1, 1)),
        (2, (2, 4), (2, 3), (0, 2), (2, 1)),
        (3, (1, 1), (2, 2), (1, 0), (1, 1)),
    ):
        how = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        x = RNG.normal(size=(3, 2 * groups, 13, 11)).astype(np.float32)
        weight = RNG.normal(size=(9 * groups, 2, *kernel)).astype(np.float32)
        given.append((how, [x, weight, RNG.normal(size=9 * groups).astype(np.float32)]))

    def fn(*args):
        rest, found = iter(args), []
        for how, arrays in given:
            one = [next(rest) for _ in arrays]
            y, pull = vjp(lambda *a, how=how: ops.conv2d(*a, **how), *one)
            found += [y, pull(y * 0.1)]
        return found

    agree(fn, [array for _, arrays in given for array in arrays], 1e-4, 1e-3)


@needs_compiler
def test_special_values():
    special = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e-45, -1e-39, 3e38, 88.0, -104.0, 200.0]
    functions = [getattr(ops, name) for name in (*accuracy.FUNCTIONS, "abs", "neg", "sign", "relu", "square")]
    pairs = [ops.add, ops.sub, ops.mul, ops.div, ops.maximum, ops.minimum, ops.greater, ops.equal]

    def fn(x, a, b):
        limits = ops.where(x > 1.0, np.float32(np.inf), ops.clip(x, -np.inf, 7.0))
        return limits, [function(x) for function in functions], [function(a, b) for function in pairs]

    for dtype in (np.float32, np.float64):
        x = np.array(special, dtype)
        agree(fn, [x, *(np.ascontiguousarray(a) for a in np.meshgrid(x, x))], 1e-5, 0)


@needs_compiler
def test_integers():
    x, y = RNG.integers(-9, 9, (4, 20)), RNG.integers(-9, 9, (4, 20))
    x[0, 0], y[0, 0] = -(2**63), 2**63 - 1

    def fn(x, y):
        mixed = ops.where(x > y, x * y - x, ops.maximum(x, y) + y)
        return mixed, ops.sum(mixed, 1), ops.max(mixed, 0), ops.cast(x, "float32") / 3.0, ops.equal(x, y), -x

    agree(fn, [x, y], 0, 0)


@needs_compiler
@pytest.mark.usefixtures("_cut")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_random_graphs(data):
    fn, arrays = random_function(data.draw)
    agree(fn, arrays, 2e-4, 1e-2)


def texts():
    """What is compiled for all ops and their derivatives, and for a step of float32 with convolutions."""
    for start in range(0, len(CASES), AT_ONCE):
        fn, args = together(CASES[start : start + AT_ONCE])
        yield text_of(fn, args)
    x, weight = (RNG.normal(size=s).astype(np.float32) for s in ((4, 3, 9, 9), (8, 3, 3, 3)))
    yield text_of(
        lambda x, w: vjp(lambda x, w: ops.sum(ops.gelu(ops.conv2d(x, w))), x, w)[1](np.float32(1)), [x, weight]
    )


def text_of(fn, args):
    device = OnlyText()
    compile_graph(trace(fn, *args).graph, device)
    return device.text


@needs_nvrtc
@pytest.mark.usefixtures("_cut")
def test_the_compiler_takes_every_kernel():
    for text in texts():
        assert nvrtc.compile_to_ptx(text).count(".entry") == text.count("__global__")


@needs_nvrtc
def test_the_compiler_says_what_is_wrong():
    with pytest.raises(ValueError, match="undefined"):
        nvrtc.compile_to_ptx("__global__ void f(float* p) { p[0] = nothing(1.0f); }")
