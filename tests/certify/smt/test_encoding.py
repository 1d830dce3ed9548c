"""The encoding has a solution at every point of the region, and its forms mean what the graph means."""

import random
from fractions import Fraction

import pytest

from tlverify.certify import kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.smt.encoding import ONE, enclosures, encode
from tlverify.graph import to_bytes

from .. import exact
from ..examples import FAMILIES, random_claim, random_graph


@pytest.mark.parametrize("family", FAMILIES)
def test_every_point_is_a_solution(family):
    for seed in range(6):
        rng = random.Random(f"{family} {seed}")
        graph = random_graph(rng, family, every_op=seed % 2 == 1)
        claim = random_claim(rng, graph, Fraction(0))
        program = kernel.read_program(*to_bytes(graph))
        statement = read_claim(claim.data, program)
        needed = program.order(tuple(sorted(program.outputs)))
        problem = encode(program, statement, enclosures(program, statement), needed)
        for point in exact.points(rng, claim, 4):
            values = exact.values(graph, point)
            solution = solve(problem, {name: [*values[name].ravel()] for name in program.inputs if name in needed})
            assert all(low <= solution[k] <= high for k, (low, high) in enumerate(problem.ranges))
            for name in graph.outputs:
                assert [evaluate(form, solution) for form in problem.values[name]] == [*values[name].ravel()]


def solve(problem, inputs):
    """The variables at a point: each pair is what its equation says, split by sign."""
    solution = {ONE: Fraction(1)}
    for name, numbers in inputs.items():
        for form, number in zip(problem.values[name], numbers, strict=True):
            solution[next(iter(form))] = Fraction(number)
    for form, (h, s) in zip(problem.zeros, problem.pairs, strict=True):
        z = evaluate({k: c for k, c in form.items() if k not in (h, s)}, solution)
        solution[h], solution[s] = max(z, Fraction(0)), max(-z, Fraction(0))
    return solution


def evaluate(form, solution):
    return sum((c * solution[k] for k, c in form.items()), Fraction(0))
