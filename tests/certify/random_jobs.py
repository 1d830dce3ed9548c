"""Random graphs with random batches of jobs, in all arithmetics against values at points of the region: exact ones, or
with a contract those of executions in float32 and of the worst that its rounding errors allow."""

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
from tlverify.certify.kernel.contract import LEAST, RELATIVE_BITS, Contract
from tlverify.certify.kernel.execution import Order, execute
from tlverify.certify.kernel.program import Program, enclose_error, enclose_value, error_of
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


def random_graph(rng: random.Random, dtype: str = "float64") -> Graph:
    """Few values of few entries, used in every way: ReLUs of inputs and of ReLUs, residual sums, ill-scaled weights."""
    builder, size = GraphBuilder(), rng.choice([1, 2, 3, 5])
    values = [builder.input(f"x{k}", Type((size,), dtype)) for k in range(rng.choice([1, 1, 2]))]
    for _ in range(rng.randrange(2, 8)):
        op, source = rng.choice(OPS), rng.choice(values[-3:])
        if op == "linear":
            scale = rng.choice([1, 1, 1, 1e-9, 1e7])
            entries = [
                rng.choice([0, rng.gauss(0, 1), rng.randrange(-3, 4), rng.gauss(0, scale)]) for _ in range(size**2)
            ]
            bias = [rng.choice([0.0, rng.gauss(0, 1)]) for _ in range(size)]
            weight = builder.parameter(np.array(entries, dtype=dtype).reshape(size, size))
            values.append(builder.node(op, source, weight, builder.parameter(np.array(bias, dtype=dtype))))
        elif op in ("add", "sub", "maximum"):
            values.append(builder.node(op, source, rng.choice(values)))
        else:
            values.append(builder.node(op, source, **ATTRIBUTES.get(op, {})))
    return builder.build(values[-1])


def cases(seed: int, contract: Contract | None = None) -> Iterator[Case]:
    """Three batches of four jobs about one graph; the last along a path of phases that a point of the region has."""
    rng = random.Random(seed)
    graph = random_graph(rng, "float64" if contract is None else "float32")
    program = kernel.read_program(*to_bytes(graph), contract)
    region = {}
    for value in graph.inputs:
        low = [Fraction(rng.randrange(-8, 8), 4) for _ in range(value.shape[0])]
        region[value.name] = low, [a + Fraction(rng.choice([0, 1, 2, 6]), 4) for a in low]
    table = Bounds({name: enclose(*ends) for name, ends in region.items()})
    for value in program.values.values():
        if value.rounding is not None:
            table[error_of(value.name)] = enclose_error(value, table)
        if value.kind != "input":
            table[value.name] = enclose_value(value, table)
    found = []
    for number in range(POINTS):
        point = {
            name: [rng.choice([a, b, a + (b - a) * Fraction(rng.randrange(9), 8)]) for a, b in zip(*ends, strict=True)]
            for name, ends in region.items()
        }
        if contract is None:
            found.append({name: np.ravel(values) for name, values in exact.values(graph, point).items()})
        elif number % 2:
            found.append(executed(program, point, rng))
        else:
            found.append(perturbed(program, point, rng))
        check_table(table, found[-1])
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


def executed(program: Program, point: dict[str, list[Fraction]], rng: random.Random) -> dict[str, Any]:
    """All values in one execution, its sums in random orders."""
    orders = {}
    for value in program.values.values():
        if value.rounding is not None and value.rounding.ordered:
            places = rng.sample(range(5), 5)
            orders[value.name] = Order(rng.choice([2, 3, 1 << 30]), rng.random() < 0.5, rng.random() < 0.5, places)
    unit = Fraction(2) ** LEAST
    return {name: [v * unit for v in values] for name, values in execute(program, point, orders).items()}


def perturbed(program: Program, point: dict[str, list[Fraction]], rng: random.Random) -> dict[str, Any]:
    """All values if every rounding error is as large as its bound at this very point, of either sign."""
    found: dict[str, Any] = dict(point)
    for name, value in program.values.items():
        if value.kind == "relu":
            found[name] = [max(v, Fraction(0)) for v in found[value.source]]
        elif value.kind == "affine":
            total, size = [Fraction(0)] * value.size, [Fraction(0)] * value.size
            if value.bias is not None:
                total = [b * Fraction(2) ** value.bias.exponent for b in value.bias.integers]
                size = [abs(b) for b in total]
            for source, matrix in value.terms:
                common = max(v.denominator for v in found[source])  # all are binary fractions
                unit, x = Fraction(2) ** matrix.exponent / common, [int(v * common) for v in found[source]]
                total = [a + b * unit for a, b in zip(total, matrix.forward(x), strict=True)]
                size = [a + b * unit for a, b in zip(size, matrix.magnitude([abs(v) for v in x]), strict=True)]
            if value.rounding is not None:
                far = sum(abs(v) for source, _ in value.terms for v in found[source])
                relative = Fraction(value.rounding.relative, 1 << RELATIVE_BITS)
                tiny = Fraction(2) ** value.rounding.tiny_exponent
                errors = [relative * s + tiny * (t + far) for s, t in zip(size, value.rounding.tiny, strict=True)]
                total = [v + rng.choice([1, -1]) * e for v, e in zip(total, errors, strict=True)]
            found[name] = total
    return found


def check_table(table: Bounds, found: dict[str, Any]) -> None:
    """Every value is within its interval."""
    for name, values in found.items():
        if name in table:
            unit, known = Fraction(2) ** table[name].exponent, table[name]
            for low, value, high in zip(known.lower, values, known.upper, strict=True):
                assert low * unit <= value <= high * unit, name


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
