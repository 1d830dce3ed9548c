"""Random graphs with random batches of jobs, in all arithmetics against exact values at points of the region."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.certify import kernel
from tlverify.certify.kernel.arithmetic import enclose
from tlverify.certify.kernel.backward import Bounds, Job, propagate_all
from tlverify.certify.kernel.program import Program, enclose_value
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from . import exact

OPS = ("linear", "relu", "relu", "add", "sub", "abs", "leaky_relu", "clamp", "maximum")
ATTRIBUTES = {"leaky_relu": {"slope": "1/4"}, "clamp": {"minimum": "-1/2", "maximum": "3/4"}}
POINTS = 6


@dataclass(frozen=True)
class Case:
    program: Program
    table: Bounds
    jobs: list[Job]
    true: list[list[Fraction]]
    """For each job its function at the points that its path allows."""


def random_graph(rng: random.Random) -> Graph:
    """Few values of few entries, used in every way: ReLUs of inputs and of ReLUs, residual sums, ill-scaled weights."""
    builder, size = GraphBuilder(), rng.choice([1, 2, 3, 5])
    values = [builder.input(f"x{k}", Type((size,), "float64")) for k in range(rng.choice([1, 1, 2]))]
    for _ in range(rng.randrange(2, 8)):
        op, source = rng.choice(OPS), rng.choice(values[-3:])
        if op == "linear":
            scale = rng.choice([1, 1, 1, 1e-9, 1e7])
            entries = [
                rng.choice([0, rng.gauss(0, 1), rng.randrange(-3, 4), rng.gauss(0, scale)]) for _ in range(size**2)
            ]
            bias = [rng.choice([0.0, rng.gauss(0, 1)]) for _ in range(size)]
            weight = builder.parameter(np.array(entries, dtype=float).reshape(size, size))
            values.append(builder.node(op, source, weight, builder.parameter(np.array(bias))))
        elif op in ("add", "sub", "maximum"):
            values.append(builder.node(op, source, rng.choice(values)))
        else:
            values.append(builder.node(op, source, **ATTRIBUTES.get(op, {})))
    return builder.build(values[-1])


def cases(seed: int) -> Iterator[Case]:
    """Three batches of four jobs about one graph; the last along a path of phases that a point of the region has."""
    rng = random.Random(seed)
    graph = random_graph(rng)
    program = kernel.read_program(*to_bytes(graph))
    region = {}
    for value in graph.inputs:
        low = [Fraction(rng.randrange(-8, 8), 4) for _ in range(value.shape[0])]
        region[value.name] = low, [a + Fraction(rng.choice([0, 1, 2, 6]), 4) for a in low]
    table = Bounds({name: enclose(*ends) for name, ends in region.items()})
    for value in program.values.values():
        if value.kind != "input":
            table[value.name] = enclose_value(value, table)
    found = []
    for _ in range(POINTS):
        point = {
            name: [rng.choice([a, b, a + (b - a) * Fraction(rng.randrange(9), 8)]) for a, b in zip(*ends, strict=True)]
            for name, ends in region.items()
        }
        found.append({name: np.ravel(values) for name, values in exact.values(graph, point).items()})
    names = [name for name in program.values if name in found[0]]
    for batch in range(3):
        path: list[tuple[str, int, bool, int]] = []
        allowed = found
        if batch == 2:
            allowed = [rng.choice(found)]
            for name in names:
                if program.values[name].kind != "input" and rng.random() < 0.5:
                    index = rng.randrange(program.values[name].size)
                    path.append((name, index, bool(allowed[0][name][index] <= 0), 0))
        jobs = [random_job(rng, program, names, path) for _ in range(4)]
        yield Case(program, table, jobs, [[_value(job, point) for point in allowed] for job in jobs])


def random_job(rng: random.Random, program: Program, names: list[str], path: Any) -> Job:
    rows = {}
    for name in rng.sample(names, min(len(names), rng.choice([1, 1, 2, 3]))):
        size = program.values[name].size
        rows[name] = {i: rng.randrange(-9, 10) for i in range(size) if rng.random() < 0.7} or {0: 1}
    slopes = {
        value.name: {i: rng.randrange(129) for i in range(value.size) if rng.random() < 0.5}
        for value in program.values.values()
        if value.kind == "relu" and rng.random() < 0.5
    }
    taken = tuple(path) if rng.random() < 0.7 else ()
    return Job(rows, rng.randrange(-3, 3), (rng.randrange(-9, 9), 0), slopes, taken)


def _value(job: Job, point: dict[str, Any]) -> Fraction:
    total = sum((c * Fraction(point[name][i]) for name, row in job.rows.items() for i, c in row.items()), Fraction(0))
    return job.constant[0] + total * Fraction(2) ** job.exponent


def number(constant: tuple[int, int]) -> Fraction:
    return constant[0] * Fraction(2) ** constant[1]


def check(case: Case, fast: Any, interval: Any) -> None:
    """`fast` gives what `exact` gives, together and alone; no bound is above a value that is attained."""
    reference = [number(bound) for bound in propagate_all(case.program, case.table, case.jobs)]
    assert [number(bound) for bound in fast(case.program, case.table, case.jobs)] == reference
    bounds = [reference]
    with suppress(kernel.Rejected):  # beyond float64
        bounds.append([number(bound) for bound in interval(case.program, case.table, case.jobs)])
    for found in bounds:
        for bound, true in zip(found, case.true, strict=True):
            assert bound <= min(true)
