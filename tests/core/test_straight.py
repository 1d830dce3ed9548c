"""Straight lines over memory of their own give the values of a plan, bit for bit, run after run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.core import ops, run, trace, vjp
from tlverify.core.ops.custom import custom_op, remove_op
from tlverify.core.rewrite import merged, with_windows_kept
from tlverify.core.straight import straight

from .native.test_random_graphs import random_function
from .test_op_tables import FLAT

RNG = np.random.default_rng(0)


class Line:
    """A graph as a function: of its inputs those with even numbers move, and the others are given."""

    def __init__(self, graph):
        self.graph = graph
        self.names = [value.name for value in graph.inputs]
        self.moving, self.given = self.names[::2], self.names[1::2]
        self.targets = [np.zeros(graph.types[name].shape, graph.types[name].dtype) for name in graph.outputs]
        arrays = {value.name: np.zeros(value.shape, value.dtype) for value in graph.inputs}
        arrays |= {f"target.{i}": target for i, target in enumerate(self.targets)}
        constants = {parameter.name: parameter.data for parameter in graph.parameters}
        outputs = [(name, f"target.{i}") for i, name in enumerate(graph.outputs)]
        self.line = straight(graph.nodes, constants, arrays, self.moving, self.given, outputs)

    def __call__(self, *args):
        by_name = dict(zip(self.names, args, strict=True))
        views = self.line.views({name: by_name[name] for name in self.moving})
        self.line.run(*views, *(by_name[name] for name in self.given))
        return [target.copy() for target in self.targets]


def agree(fn, args):
    graph = trace(fn, *args).graph
    line, kept = Line(merged(graph)), [a.copy() for a in args]
    with np.errstate(all="ignore"):
        expected = run(graph, list(args))
        first, again = line(*args), line(*args)
    for a, b, c in zip(first, expected, again, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    for a, b in zip(args, kept, strict=True):
        np.testing.assert_array_equal(a, b)
    return line


@pytest.mark.parametrize(("fn", "args"), FLAT)
def test_ops_and_their_derivatives(fn, args):
    results = fn(*args)
    several = isinstance(results, tuple)
    weights = [RNG.normal(size=y.shape) for y in (results if several else (results,))]

    def both(*values):
        given = values[len(args) :]
        return fn(*values[: len(args)]), vjp(fn, *values[: len(args)])[1](tuple(given) if several else given[0])

    agree(both, [*args, *weights])


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_random_graphs(data):
    agree(*random_function(data.draw))


def test_an_output_may_be_an_input_a_view_or_another_output():
    x, y = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))
    agree(lambda x, y: (x, y, ops.transpose(x), x + 1.0, x + 1.0, ops.reshape(x + 1.0, 6)), [x, y])


def test_sums_of_padded_parts_are_added_in_place():
    def fn(x, y):
        total = ops.exp(x)
        for i in range(3):
            total = total + ops.pad(y * float(i + 2), [0, 0, i, 2 - i])
        return total, x + ops.pad(y, [0, 0, 1, 1]), ops.pad(y, [0, 0, 0, 2]) + ops.pad(y, [0, 0, 2, 0])

    agree(fn, [RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4))])


def test_what_is_kept_where_a_mask_is_true_has_the_bits_of_where():
    x = np.float32([[1, -0.0, np.nan, np.inf], [-np.inf, 1e-45, -2, 0]])
    agree(
        lambda x, y: (ops.where(x > y, x, 0.0), ops.where(x > y, ops.transpose(ops.transpose(y)), -0.0)), [x, x[::-1]]
    )
    agree(lambda x, y: ops.where(ops.transpose(x) > 0.0, ops.transpose(y), 0.0), [x, x[::-1]])


def test_memory_is_used_again():
    def fn(x):
        for _ in range(30):
            x = ops.tanh(x @ np.eye(64)) + 1.0
        return x

    line = agree(fn, [RNG.normal(size=(256, 64))])
    held = {
        id(a.base): a.base.nbytes for a in line.line.run.__globals__.values() if getattr(a, "base", None) is not None
    }
    assert sum(held.values()) <= 4 * 256 * 64 * 8


def test_windows_are_made_once_for_a_convolution_and_its_derivative():
    x, weight = RNG.normal(size=(2, 3, 8, 8)), RNG.normal(size=(4, 3, 3, 3))

    def fn(x, weight):
        y, pull = vjp(lambda x, w: ops.conv2d(x, w, padding=1, stride=2), x, weight)
        return y, pull(y)

    graph = trace(fn, x, weight).graph
    kept = with_windows_kept(graph)
    assert [node.op for node in kept.nodes].count("windows") == 1
    assert "conv2d" not in [node.op for node in kept.nodes]
    for a, b in zip(run(kept, [x, weight]), run(graph, [x, weight]), strict=True):
        np.testing.assert_array_equal(a, b)
    forward = trace(lambda x, w: ops.conv2d(x, w), x, weight).graph
    assert [node.op for node in with_windows_kept(forward).nodes] == [node.op for node in merged(forward).nodes]


def test_an_op_of_a_user_may_give_its_input_for_some_values():
    def at_most_one(x):
        norm = np.linalg.norm(x)
        return x if norm <= 1 else x / norm

    op = custom_op(
        "mine.at_most_one",
        infer=lambda types, _: types[0],
        forward=at_most_one,
        vjp=[lambda g, y, x: g],
        jvp=[lambda t, y, x: t],
    )
    try:
        for x in (RNG.normal(size=(3, 4)), np.full((3, 4), 0.1)):
            agree(lambda x, y: (op(x), op(y), op(ops.tanh(x)) * 2.0 + ops.exp(x * 3.0) * ops.exp(y)), [x, x + 0.01])
    finally:
        remove_op("mine.at_most_one")
