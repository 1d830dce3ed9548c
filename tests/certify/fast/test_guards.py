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


def test_adding_zero_changes_nothing_whatever_its_exponent() -> None:
    total, unit = np.array([5.0]), np.array([0])
    zero = [np.array([0.0]), np.array([0.0])]
    for exponent in (-900, 0, 900):
        found, own = digits.accumulate(total, unit, zero, np.array([exponent]), np)
        assert (found.tolist(), own.tolist()) == ([5.0], [0])
