"""Executions of random graphs by an arithmetic that shares no code with the kernel, in every direction of rounding and
with subnormal numbers flushed or kept, are within the kernel's intervals."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.kernel.arithmetic import Interval, enclose
from tlverify.certify.kernel.contract import Contract
from tlverify.certify.kernel.program import enclose_error, enclose_value, error_of
from tlverify.core.binary32 import Execution, Mode, Order, run_binary32
from tlverify.graph import to_bytes

from ..random_jobs import random_graph

ROUNDINGS = ("nearest", "zero", "up", "down")


def table_of(program: kernel.Program, points: dict[str, list[Fraction]]) -> dict[str, Interval]:
    """Intervals of every value where the inputs are known."""
    table = {name: enclose(point, point) for name, point in points.items()}
    for name, value in program.values.items():
        if value.rounding is not None:
            table[error_of(name)] = enclose_error(value, table)
        if value.kind != "input":
            table[name] = enclose_value(value, table)
    return table


@pytest.mark.parametrize("start", range(4))
def test_executions_are_within_the_intervals(start: int) -> None:
    for seed in range(1000 * start, 1000 * start + 40):
        rng = random.Random(seed)
        graph = random_graph(rng, "float32")
        power = rng.choice([0, 0, 10, -60, -124, -132, -146])
        inputs = [
            np.ldexp(np.array([rng.randrange(-4096, 4097) for _ in range(v.shape[0])]) / 1024, power)
            for v in graph.inputs
        ]
        inputs = [array.astype(np.float32) for array in inputs]
        points = {v.name: [Fraction(float(x)) for x in a] for v, a in zip(graph.inputs, inputs, strict=True)}
        for _ in range(6):
            rounding, ftz, daz = rng.choice(ROUNDINGS), rng.random() < 0.5, rng.random() < 0.5
            order = Order(rng.choice(["sequential", "pairwise", "blocked"]), rng.choice([2, 3]), seed=rng.randrange(99))
            how = Execution(order, rng.random() < 0.5, rng.choice(["first", "last"]), Mode(rounding, ftz, daz))
            contract = Contract(
                "nearest" if rounding == "nearest" else "any", "any" if ftz or daz else "gradual", "float32", 0
            )
            program = kernel.read_program(*to_bytes(graph), contract)
            (name,) = program.outputs
            try:
                found = table_of(program, points)[name]
            except kernel.Rejected:  # what may overflow
                continue
            unit, tiny = Fraction(2) ** found.exponent, Fraction(2) ** contract.tiny if ftz or daz else 0
            (result,) = run_binary32(graph, inputs, how)
            for low, executed, high in zip(found.lower, result.ravel().tolist(), found.upper, strict=True):
                assert low * unit - tiny <= Fraction(executed) <= high * unit + tiny, (seed, how)
