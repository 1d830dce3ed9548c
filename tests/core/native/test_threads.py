"""Several threads: the same bits as one, whatever is cut, and no thread that waits for ever."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.native.test_random_graphs import random_function
from tlverify import Trainer, data, losses, nn
from tlverify.core import ops, pytree, trace, vjp
from tlverify.core.native import shares, threads
from tlverify.core.native.program import compile_graph
from tlverify.core.native.schedule import Loop, Product, View

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def everything_is_cut(monkeypatch):
    monkeypatch.setattr(shares, "SMALLEST_SHARE", 1)
    monkeypatch.setattr(shares, "SMALLEST_RUN", 0)
    monkeypatch.setattr(shares, "VECTORS", 4)


def same(fn, *args, counts=(2, 3)):
    graph = trace(fn, *args).graph
    one = compile_graph(graph, most=1)
    for count in counts:
        several = compile_graph(graph, most=count)
        for _ in range(5):
            for a, b in zip(one(*args), several(*args), strict=True):
                np.testing.assert_array_equal(a, b)
        assert all(len(part[0]) == count for part in several.code.parts if isinstance(part, tuple))
        several.code.pace.left = 1.0  # one thread does all of their shares
        np.testing.assert_equal(several(*args), one(*args))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_graphs(drawn):
    fn, arrays = random_function(drawn.draw)
    same(fn, *arrays)


@pytest.mark.parametrize(("m", "k", "n"), [(130, 600, 70), (70, 600, 300), (5, 3000, 100), (200, 9, 2), (64, 0, 64)])
def test_products(m, k, n):
    a, b = RNG.normal(size=(k, m)).astype(np.float32), RNG.normal(size=(k, n)).astype(np.float32)
    c = RNG.normal(size=(3, m, k)).astype(np.float32)
    same(lambda a, b, c: (ops.matmul(ops.transpose(a), b), ops.matmul(c, b)), a, b, c)


def test_convolution_and_its_derivatives():
    x, w = RNG.normal(size=(4, 3, 9, 8)).astype(np.float32), RNG.normal(size=(6, 3, 3, 3)).astype(np.float32)

    def fn(x, w):
        found, pull = vjp(lambda x, w: ops.conv2d(x, w, stride=2, padding=1), x, w)
        return found, pull(found)

    same(fn, x, w)


def test_calls_between():
    x = RNG.normal(size=(40, 12)).astype(np.float32)

    def places(x):
        return ops.cast(ops.argsort(x), "float32")

    same(lambda x: ops.sum(ops.exp(places(x) * x), 0) + ops.max(places(x * 2.0), 0), x)


def schedule_of(fn, *args):
    return compile_graph(trace(fn, *args).graph, most=1).code.schedule


def test_a_sum_is_never_cut():
    schedule = schedule_of(lambda x: (ops.sum(x), ops.sum(x, 0), ops.sum(x, 1)), RNG.normal(size=(64, 48)))
    for loop in schedule.instructions:
        for share in shares.split(loop, 3):
            for one in share:
                assert all(one.domain[axis] == loop.domain[axis] for axis in loop.over)


def test_overlapping_results_are_not_cut():
    """Two rows that write the same elements must stay in their order."""
    view = View(1, 0, (8, 16), (4, 1))
    loop = Loop((8, 16), [View(0, 0, (8, 16), (16, 1))], stores=[(("load", 0), view)])
    assert shares.split(loop, 2)[1] == []
    assert shares.split(replace(loop, stores=[(("load", 0), replace(view, strides=(16, 1)))]), 2)[1] != []


def test_a_loop_that_reads_its_neighbours_is_not_cut():
    loop = Loop((8, 16), [View(0, 0, (8, 16), (16, 1))], stores=[(("load", 0), View(0, 16, (8, 16), (16, 1)))])
    assert shares.split(loop, 2)[1] == []


def test_parts_of_a_product_do_not_depend_on_threads():
    product = Product(View(0, 0, (300, 40), (40, 1)), View(1, 0, (40, 7), (7, 1)), View(2, 0, (300, 7), (7, 1)))
    parts = [[one for share in shares.split(product, count) for one in share] for count in (1, 2, 3, 8)]
    assert len(parts[0]) == shares.PARTS
    assert all(found == parts[0] for found in parts)


def test_programs_of_several_callers():
    """More threads than processors, and several programs at a time: each comes to its end."""
    x = RNG.normal(size=(64, 64)).astype(np.float32)
    programs = [compile_graph(trace(lambda x, k=k: ops.matmul(x, x) * k + ops.sum(x), x).graph, most=3) for k in (1, 2)]
    expected = [program(x)[0] for program in programs]
    wrong = []

    def ask(number):
        for _ in range(50):
            if not np.array_equal(programs[number % 2](x)[0], expected[number % 2]):
                wrong.append(number)

    callers = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="no safe fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork():
    x = RNG.normal(size=(64, 64)).astype(np.float32)
    program = compile_graph(trace(lambda x: ops.matmul(x, x), x).graph, most=2)
    expected = program(x)[0]
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(program(x)[0], expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("4,2", 4), (" 1 ", 1)])
def test_number_of_threads(monkeypatch, given, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads.count() == expected


@pytest.mark.parametrize("given", ["", "0", "many", "-1"])
def test_all_processors_otherwise(monkeypatch, given):
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert 1 <= threads.count() <= (os.cpu_count() or 1)


def test_alone_where_together_is_slower():
    pace, chosen, spent = threads.Pace(2), [], 0.0
    for busy in [*[False] * 20, *[True] * 200, *[False] * 200]:
        together = pace.choose()
        seconds = (30.0 if busy else 1.0) if together else (4.0 if busy else 2.0)
        pace.note(together, seconds)
        chosen.append(together)
        spent += seconds * busy
    assert all(chosen[:20])
    assert spent < 1.35 * 200 * 4.0
    assert all(chosen[-100:])


def test_one_slow_run_changes_nothing():
    pace = threads.Pace(2)
    for seconds in [1.0, 1.0, 1.0, 50.0, 1.0, 1.0, 60.0, 70.0, 1.0, 1.0]:
        assert pace.choose()
        pace.note(True, seconds)


def test_training(monkeypatch):
    x, y = RNG.normal(size=(96, 20)).astype(np.float32), RNG.integers(0, 4, 96)
    states = []
    for count in "123":
        monkeypatch.setenv("OMP_NUM_THREADS", count)
        model = nn.Sequential(nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 4))
        trained = Trainer(model, "custom", loss=losses.cross_entropy, execution="native").train(
            data.tensor_dataset(x, y), steps=20
        )
        states.append(trained.params)
    for a, b, c in zip(*(pytree.flatten(state)[0] for state in states), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
