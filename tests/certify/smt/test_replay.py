"""Exact membership of rational points."""

import random
from fractions import Fraction

import pytest

from tlverify.certify import kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.smt import reaches
from tlverify.graph import to_bytes

from .. import exact
from ..examples import FAMILIES, random_claim, random_graph
from ..kernel.laws import SUM, above, box

THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("bound", "strict", "point", "expected"),
    [
        (Fraction(5, 4), False, [THIRD, THIRD], True),  # y0 = x0 + 2 x1 + 1/4
        (Fraction(5, 4), True, [THIRD, THIRD], False),
        (Fraction(5, 4) + Fraction(1, 10**50), False, [THIRD, THIRD], False),
        (0, False, [THIRD, THIRD + Fraction(1, 10**50)], False),  # outside
        (0, False, [Fraction(-1, 10**50), THIRD], False),
    ],
)
def test_no_tolerance(bound, strict, point, expected):
    claim = box(SUM, {"x": ([0, 0], [THIRD, THIRD])}, [[above(SUM, 1, 9)], [above(SUM, 0, bound, strict)]])
    program = kernel.read_program(*to_bytes(SUM))
    assert reaches(program, read_claim(claim.data, program), {"x": point}) is expected


@pytest.mark.parametrize("family", FAMILIES)
def test_as_the_graph_means_it(family):
    for seed in range(4):
        rng = random.Random(f"{family} {seed}")
        graph = random_graph(rng, family, every_op=True)
        start = random_claim(rng, graph, Fraction(0), strict=seed % 2 == 1)
        program = kernel.read_program(*to_bytes(graph))
        statement = read_claim(start.data, program)
        for point in exact.points(rng, start, 3):
            values = exact.values(graph, point)
            flat = {name: [Fraction(v) for v in values[name].ravel()] for name in program.inputs}
            assert reaches(program, statement, flat) == exact.is_bad(start, values)
