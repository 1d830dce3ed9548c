"""Winograd convolutions: errors, bits on every processor and for any number of threads, where they are made."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import ops, trace, vjp
from tlverify.core.native import machine, shares
from tlverify.core.native.program import compile_graph
from tlverify.core.native.schedule import Loop

RNG = np.random.default_rng(0)
TARGETS = {
    "baseline": machine.Target("x86-64", ""),
    "AVX2": machine.Target("haswell", "+avx2,+fma"),
    "host": machine.host(),
}
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], np.float64)
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float64)
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], np.float64)
SHAPES = [  # images, channels, out, height, width, padding
    (2, 16, 16, 6, 6, 1),
    (3, 17, 19, 7, 5, 1),
    (2, 16, 33, 1, 1, 1),
    (1, 16, 32, 3, 3, 0),
    (1, 20, 16, 9, 12, 0),
    (9, 18, 33, 16, 16, 1),
    (2, 16, 16, 5, 6, 2),
    (5, 16, 17, 1, 40, 1),
]


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def exactly(x, weight, padding):
    """In float64, and the bound of the errors that winograd.py states."""
    x, weight = x.astype(np.float64), weight.astype(np.float64)
    rows, columns = (size + 2 * padding - 2 for size in x.shape[2:])
    padded = np.pad(x, [(0, 0), (0, 0), (padding, padding + rows % 2), (padding, padding + columns % 2)])
    result = sum(
        np.einsum("nchw,oc->nohw", padded[:, :, i : i + rows, j : j + columns], weight[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), (2, 3))[:, :, ::2, ::2]
    sizes = abs(G) @ abs(weight) @ abs(G).T, abs(B) @ abs(tiles) @ abs(B).T
    products = np.einsum("ocij,ncyxij->noyxij", *sizes)
    bound = (abs(A) @ products @ abs(A).T).swapaxes(3, 4).reshape(*result.shape[:2], rows + rows % 2, -1)
    steps = (x.shape[1] + 10) * 2.0**-24
    return result, steps / (1 - steps) * bound[:, :, :rows, :columns]


def convolution(padding):
    return lambda x, weight: ops.conv2d(x, weight, np.zeros(len(weight), np.float32), padding=padding)


def gradient(padding):
    return lambda x, weight, g: vjp(lambda x: convolution(padding)(x, weight), x)[1](g)


def makes(program):
    """Whether the program has the 16 products of tiles."""
    return any(
        getattr(one, "domain", ())[1:2] == (16,) and one.over == (3,) for one in program.code.schedule.instructions
    )


def near(found, x, weight, padding):
    expected, bound = exactly(x, weight, padding)
    assert found.shape == expected.shape
    assert (abs(found - expected) <= bound).all()


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_errors_are_within_the_bound(shape, target):
    if target.cpu == "haswell" and not {"avx2", "fma"} <= set(machine.host().features.replace("+", "").split(",")):
        pytest.skip("this processor has no AVX2")
    n, channels, out, height, width, padding = shape
    x, weight = normal(n, channels, height, width), normal(out, channels, 3, 3)
    program = compile_graph(trace(convolution(padding), x, weight).graph, target, winograd=True)
    assert makes(program)
    (found,) = program(x, weight)
    near(found, x, weight, padding)
    g = normal(*found.shape)
    program = compile_graph(trace(gradient(padding), x, weight, g).graph, target, winograd=True)
    assert makes(program)
    (derivative,) = program(x, weight, g)
    near(derivative, g, weight.swapaxes(0, 1)[:, :, ::-1, ::-1], 2 - padding)
    for graph, args, bits in (
        (trace(convolution(padding), x, weight).graph, (x, weight), found),
        (trace(gradient(padding), x, weight, g).graph, (x, weight, g), derivative),
    ):
        np.testing.assert_array_equal(compile_graph(graph, winograd=True)(*args)[0], bits)


def test_no_contract_about_float32_covers_it():
    """1 * 1 and zeros, which any order adds up to 1; but 1 - 2**30 is rounded here."""
    x, weight = np.zeros((1, 16, 4, 4), np.float32), np.zeros((16, 16, 3, 3), np.float32)
    x[0, 0, 0, 0], x[0, 0, 0, 2], weight[0, 0, 0, 0] = 1.0, 2.0**30, 1.0
    graph = trace(convolution(0), x, weight).graph
    (direct,), (found,) = compile_graph(graph)(x, weight), compile_graph(graph, winograd=True)(x, weight)
    assert direct[0, 0, 0, 0] == 1.0
    assert found[0, 0, 0, 0] == 0.0
    near(found, x, weight, 0)


@pytest.mark.parametrize("shape", SHAPES[1::4])
def test_threads_give_the_same_bits(shape, monkeypatch):
    monkeypatch.setattr(shares, "SMALLEST_SHARE", 1)
    monkeypatch.setattr(shares, "SMALLEST_RUN", 0)
    n, channels, out, height, width, padding = shape
    x, weight = normal(n, channels, height, width), normal(out, channels, 3, 3)

    def fn(x, weight):
        y, pullback = vjp(convolution(padding), x, weight)
        return y, *pullback(y)

    graph = trace(fn, x, weight).graph
    expected = compile_graph(graph, most=1, winograd=True)(x, weight)
    for count in (2, 3):
        program = compile_graph(graph, most=count, winograd=True)
        for _ in range(5):
            for a, b in zip(program(x, weight), expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_threads_do_not_wait_for_one_another_in_between():
    x, weight = normal(48, 16, 16, 16), normal(16, 16, 3, 3)
    code = compile_graph(trace(convolution(1), x, weight).graph, most=2, winograd=True).code
    products = sum(isinstance(one, Loop) and one.over == (3,) for one in code.schedule.instructions)
    waits = sum(len(run) for run in shares.rounds(code.schedule, code.places, 2))
    assert products >= 3
    assert waits <= 3  # after the planes, after the kernels, and at the end


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("padding", [0, 1])
def test_what_is_not_finite_reaches_the_same_results(value, padding):
    weight = normal(16, 16, 3, 3)
    graph = trace(convolution(padding), normal(1, 16, 7, 8), weight).graph
    direct, winograd = compile_graph(graph), compile_graph(graph, winograd=True)
    for row, column in np.ndindex(7, 8):
        x = normal(1, 16, 7, 8)
        x[0, 3, row, column] = value
        np.testing.assert_array_equal(np.isfinite(winograd(x, weight)[0]), np.isfinite(direct(x, weight)[0]))


@pytest.mark.parametrize(
    ("channels", "out", "settings", "dtype"),
    [
        (15, 16, {}, np.float32),
        (16, 15, {}, np.float32),
        (16, 16, {"stride": 2}, np.float32),
        (16, 16, {"dilation": 2}, np.float32),
        (32, 32, {"groups": 2}, np.float32),
        (16, 16, {}, np.float64),
    ],
)
def test_others_are_made_directly(channels, out, settings, dtype):
    x, groups = RNG.normal(size=(2, channels, 9, 9)).astype(dtype), settings.get("groups", 1)
    weight, bias = RNG.normal(size=(out, channels // groups, 3, 3)).astype(dtype), np.zeros(out, dtype)
    graph = trace(lambda x, w: vjp(lambda x: ops.conv2d(x, w, bias, **settings), x)[0], x, weight).graph
    given, direct = compile_graph(graph, winograd=True), compile_graph(graph)
    assert not makes(given)
    np.testing.assert_array_equal(given(x, weight), direct(x, weight))


def test_padding_beyond_the_kernel():
    x, weight = normal(2, 16, 5, 5), normal(16, 16, 3, 3)
    graph = trace(gradient(3), x, weight, normal(2, 16, 9, 9)).graph
    assert not makes(compile_graph(graph, winograd=True))
