"""The rule `tree` in float64: the leaves of a chunk are regions of one table, and take their steps together."""

from __future__ import annotations

from typing import Any

import numpy

from tlverify.certify.interval.engine import (
    CHUNK,
    Boxes,
    Engine,
    Floats,
    Network,
    arrays,
    as_constant,
    backward,
    interval_step,
)
from tlverify.certify.kernel import tree as exact_tree
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.proof import Combination, Goal, Machine
from tlverify.certify.kernel.reader import fields
from tlverify.certify.kernel.tree import Tree, path_to, read_tree

REGIONS = 512  # leaves worked on together

Reaches = dict[str, tuple[Floats, float]]


def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    engine = machine.engine
    if not isinstance(engine, Engine):
        raise TypeError("this rule belongs to the arithmetic interval")
    read = read_tree(machine, goal, step, where)
    for inner in read.steps:
        _read_inner(machine, goal, inner, where)
    network, root, reaches = engine.prepare(machine.program, goal.bounds)
    for start in range(0, len(read.leaves), REGIONS):
        _check_leaves(machine, goal, read, network, root, reaches, read.leaves[start : start + REGIONS], where)
    machine.next_goal()


def _read_inner(machine: Machine, goal: Goal, inner: Any, where: str) -> list[str]:
    """The values that a step of the template is about."""
    if inner["rule"] == "interval":
        names = fields(inner, where, rule=str, nodes=list)[1]
    else:
        names = [fields(inner, where, rule=str, node=str)[1]]
    for name in names:
        if type(name) is not str or name not in goal.bounds or machine.program.values[name].kind == "input":
            raise Rejected(where, f"{str(name)[:80]!r} is not a value that is computed and has bounds")
    return list(names)


def _check_leaves(
    machine: Machine,
    goal: Goal,
    read: Tree,
    network: Network,
    root: Boxes,
    reaches: Reaches,
    leaves: Any,
    where: str,
) -> None:
    count = len(leaves)
    boxes = Boxes(
        {name: numpy.repeat(ends, count, 0) for name, ends in root.lower.items()},
        {name: numpy.repeat(ends, count, 0) for name, ends in root.upper.items()},
    )
    combinations: list[tuple[Combination, str]] = []
    jobs, at = [], []
    for region, leaf in enumerate(leaves):
        path = path_to(machine, goal, read, leaf)
        for number, above, middle in path:
            name, index = read.entries[number]
            at_float = numpy.ldexp(float(middle), goal.bounds[name].exponent)
            ends = boxes.lower[name] if above else boxes.upper[name]
            ends[region, index] = (max if above else min)(ends[region, index], at_float)
        here = f"{where} leaf {leaf}"
        for combined, job in exact_tree.leaf_jobs(machine, goal, read, path, here):
            missing = [name for name in job.rows if name not in goal.bounds]
            if missing:
                raise Rejected(here, f"{missing[0]!r} has no bounds yet; an interval step must come first")
            combinations.append((combined, here))
            jobs.append(job)
            at.append(region)
    for inner in read.steps:
        for name in _read_inner(machine, goal, inner, where):
            if inner["rule"] == "interval":
                interval_step(network, boxes, name)
            else:
                _rebound(network, reaches, boxes, name)
    rows, constant, slopes = arrays(machine.program, jobs)
    for start in range(0, len(jobs), CHUNK):
        part = slice(start, start + CHUNK)
        found = backward(
            network,
            reaches,
            boxes,
            numpy.array(at[part], dtype=numpy.intp),
            {name: row[part] for name, row in rows.items()},
            constant[part],
            {name: row[part] for name, row in slopes.items()},
        )
        for (combined, here), value in zip(combinations[part], found.tolist(), strict=True):
            machine.refute(combined, as_constant(value), here)


def _rebound(network: Network, reaches: Reaches, boxes: Boxes, name: str) -> None:
    """Backward bounds of every entry that can have either sign, each in its own region."""
    regions, entries = numpy.nonzero((boxes.lower[name] < 0) & (boxes.upper[name] > 0))
    low, high = boxes.lower[name].copy(), boxes.upper[name].copy()
    for start in range(0, len(regions), CHUNK):
        at, index = regions[start : start + CHUNK], entries[start : start + CHUNK]
        for sign, ends in ((1.0, low), (-1.0, high)):
            unit = numpy.zeros((len(at), boxes.lower[name].shape[1]))
            unit[numpy.arange(len(at)), index] = sign
            found = backward(network, reaches, boxes, at, {name: unit}, numpy.zeros(len(at)), {})
            ends[at, index] = (
                numpy.maximum(ends[at, index], found) if sign > 0 else numpy.minimum(ends[at, index], -found)
            )
    boxes.lower[name], boxes.upper[name] = low, high
