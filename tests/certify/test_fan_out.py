"""Values that several others use: sums of coefficients of very different size, in every arithmetic."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import Inequality, box, kernel
from tlverify.certify.fast import fast
from tlverify.certify.interval import interval
from tlverify.graph import GraphBuilder, Type, to_bytes

from . import exact
from .kernel.laws import simple_proof


def fan_out(rng: random.Random, gap: int, consumers: int):
    """-x times several constants, each 2^-gap smaller than the next, all added up."""
    builder = GraphBuilder()
    value = builder.node("neg", builder.input("x", Type((4,), "float64")))
    parts = []
    for k in reversed(range(consumers)):
        small = [rng.choice([0, 1, -1, 2, -2, 1 << 21, -(1 << 21)]) for _ in range(3)]
        weights = np.array([(1 << 21) + rng.randrange(1 << 21), *small]) * 2.0 ** (-gap * k)
        parts.append(builder.node("mul", value, builder.parameter(weights)))
    total = parts[0]
    for part in parts[1:]:
        total = builder.node("add", total, part)
    return builder.build(total)


def attained(rng: random.Random, graph):
    """A false claim: the sum of the outputs is above a value that it takes at a corner."""
    (output,) = graph.outputs
    lower = [0, *(rng.choice([1 << 40, 0, -(1 << 20)]) for _ in range(3))]
    upper = [0, *(low + rng.randrange(2) for low in lower[1:])]
    terms = tuple((output, index, Fraction(-1)) for index in range(4))
    start = box(graph, {"x": (lower, upper)}, [[Inequality(terms, Fraction(0))]])
    found = [exact.values(graph, point) for point in exact.points(rng, start, 16)]
    least = max(exact.excess(start, values)[0][0] for values in found)
    claim = box(graph, {"x": (lower, upper)}, [[Inequality(terms, least)]])
    assert any(exact.is_bad(claim, values) for values in found)
    return claim


ARITHMETICS = {"exact": kernel.EXACT, "fast": fast(), "interval": interval()}


@pytest.mark.parametrize("arithmetic", ["exact", "interval", "fast"])
def test_a_false_claim_is_rejected(arithmetic):
    for seed in range(150):
        rng = random.Random(seed)
        graph = fan_out(rng, rng.choice([20, 23, 25, 26]), rng.choice([3, 4]))
        claim = attained(rng, graph)
        certificate = simple_proof(graph, claim, ["1"])
        with pytest.raises(kernel.Rejected, match="not refuted"):
            kernel.check_with(kernel.read_program(*to_bytes(graph)), claim.data, certificate, ARITHMETICS[arithmetic])
