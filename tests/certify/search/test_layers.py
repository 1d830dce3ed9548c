"""The layers of floats mean what the kernel's program means, for every op."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.kernel.arithmetic import enclose
from tlverify.certify.kernel.program import enclose_value
from tlverify.certify.search import layers as module
from tlverify.certify.search.layers import TooLarge, floats, forward, gradient, layers_of
from tlverify.graph import to_bytes

from ..examples import random_graph
from .networks import setup


@pytest.mark.parametrize("family", ["normal", "eighths"])
@pytest.mark.parametrize("seed", range(8))
def test_values_are_those_of_the_kernel(family, seed):
    rng = random.Random(seed)
    program = kernel.read_program(*to_bytes(random_graph(rng, family, every_op=True)))
    layers = layers_of(program)
    point = {
        name: [Fraction(rng.randrange(-32, 33), 16) for _ in range(program.values[name].size)]
        for name in program.inputs
    }
    known = {name: enclose(values, values) for name, values in point.items()}
    for name, value in program.values.items():
        if value.kind != "input":
            known[name] = enclose_value(value, known, shortened=False)
    x = np.array([[float(v) for name in layers.offsets for v in point[name]]])
    inner, values = forward(layers, x)
    for found, name in [
        *zip(inner, (layer.source for layer in layers.layers), strict=True),
        *((values[name], name) for name in values),
    ]:
        exact = floats(known[name].lower, known[name].exponent)
        np.testing.assert_allclose(found[0], exact, rtol=1e-9, atol=1e-9 * max(1, np.abs(exact).max()), err_msg=name)


def test_gradient_is_that_of_differences():
    case = setup(1)
    (output,) = case.graph.outputs
    rng = np.random.default_rng(0)
    x, direction = rng.normal(size=(2, 5, case.layers.inputs))
    row = rng.normal(size=(5, 3))
    inner, _ = forward(case.layers, x)
    slope = (gradient(case.layers, inner, {output: row}) * direction).sum(1)
    step = 1e-6
    ends = [(forward(case.layers, x + s * direction)[1][output] * row).sum(1) for s in (step, -step)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5)


def test_what_is_too_large_is_named(monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 100)
    with pytest.raises(TooLarge, match=r"value .linear_0.: a dense matrix of 14 x 12 is needed.*at most 100"):
        layers_of(setup(1).program)


@pytest.mark.parametrize(
    ("integer", "exponent", "value"),
    [(3, -1, 1.5), (-(1 << 3000), -3000, -1.0), (1 << 3000, 0, np.inf), (-(1 << 3000), 0, -np.inf), (0, 9999, 0.0)],
)
def test_floats(integer, exponent, value):
    assert floats([integer], exponent).tolist() == [value]
