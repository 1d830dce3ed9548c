"""What random operator mutants of `fast` survived: the guard of a ReLU's intercept, and adding 0 to a constant."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.fast import digits
from tlverify.certify.fast.engine import Engine, gather, run
from tlverify.certify.kernel.arithmetic import enclose
from tlverify.certify.kernel.backward import Bounds, Job, propagate_all
from tlverify.certify.kernel.program import enclose_value
from tlverify.graph import GraphBuilder, Type, to_bytes


@pytest.mark.parametrize(
    ("width", "halved", "exact_in_floats"), [(8, True, True), (2048, True, True), (2048, False, False)]
)
def test_a_wide_relu_is_left_to_exact(monkeypatch, width: int, halved: bool, exact_in_floats: bool) -> None:
    """Every neuron takes the chord with the longest coefficient, so that sum |taken| * 2^22 passes 2^52 if wide: then
    the digits of lower ends have to be shorter."""
    if not halved:
        monkeypatch.setattr(digits, "width", lambda count: digits.DIGIT_BITS)
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float32"))
    ones, zeros = np.ones((width, 1), "float32"), np.zeros(width, "float32")
    z = builder.node("linear", x, builder.parameter(ones), builder.parameter(zeros), name="z")
    program = kernel.read_program(*to_bytes(builder.build(builder.node("relu", z, name="h"))))
    bounds = Bounds({"x": enclose([Fraction(-1, 3)], [Fraction(1)])})
    for name in ("z", "h"):
        bounds[name] = enclose_value(program.values[name], bounds)
    jobs = [Job({"h": dict.fromkeys(range(width), -1)}, 0, (0, 0), {})]
    prepared = Engine().prepare(program, bounds)
    batch = gather(prepared, jobs)
    run(prepared, batch)
    assert bool(batch.undone.any()) is not exact_in_floats
    assert Engine()(program, bounds, jobs) == propagate_all(program, bounds, jobs)


def test_a_wide_value_is_done_in_floats() -> None:
    """Sums over the value pass 2^52: of lower ends, also where phases are cut, of a bias, of halved inputs."""
    rng, size = np.random.default_rng(0), 700
    builder = GraphBuilder()
    x = builder.input("x", Type((size,), "float32"))
    last = x
    for name in ("z", "y"):
        weight, bias = rng.normal(size=(size, size)), rng.normal(size=size)
        parameters = [builder.parameter(part.astype("float32")) for part in (weight, bias)]
        last = builder.node("linear", last, *parameters, name=name)
        last = builder.node("relu", last) if name == "z" else last
    program = kernel.read_program(*to_bytes(builder.build(last)))
    bounds = Bounds({"x": enclose([Fraction(-1, 3)] * size, [Fraction(1)] * size)})
    for value in list(program.values.values())[1:]:
        bounds[value.name] = enclose_value(value, bounds)
    assert -sum(min(low, 0) for low in bounds["z"].lower) > digits.EXACT
    row = {i: int(v) for i, v in enumerate(rng.integers(-(2**20), 2**20, 50))}
    middle = bounds["x"].lower[5] // 2
    paths = [(), tuple(("z", i, bool(i % 2), 0) for i in range(40)), (("x", 5, False, middle), ("x", 7, True, middle))]
    todo = [Job({"y": row}, 0, (0, 0), {}, path) for path in paths]
    todo += [Job({"z": row, "y": {3: 7}}, 0, (0, 0), {}, path) for path in paths]
    batch = gather(prepared := Engine().prepare(program, bounds), todo)
    run(prepared, batch)
    assert not batch.undone.any()
    assert Engine()(program, bounds, todo) == propagate_all(program, bounds, todo)


def test_adding_zero_changes_nothing_whatever_its_exponent() -> None:
    total, unit = np.array([5.0]), np.array([0])
    zero = [np.array([0.0]), np.array([0.0])]
    for exponent in (-900, 0, 900):
        found, own = digits.accumulate(total, unit, zero, np.array([exponent]), np)
        assert (found.tolist(), own.tolist()) == ([5.0], [0])
