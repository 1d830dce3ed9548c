"""The rule `tree` with its leaves decoded and refuted as arrays; the same step as kernel.tree.check_tree.

A tree whose nodes take steps of their own, or split inputs, is left to kernel.tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing as npt

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import EXACT, Array
from tlverify.certify.fast.engine import Batch, Engine, Prepared, run
from tlverify.certify.kernel import tree as exact_tree
from tlverify.certify.kernel.backward import propagate
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.proof import Disjunct, Goal, Machine, negated
from tlverify.certify.kernel.tree import Tree, read_tree
from tlverify.certify.leaves import Ints, Payload, Shape

CHUNK = 4096  # leaves decoded at a time


@dataclass(frozen=True)
class Entries:
    """What a tree may split: for each entry the number of its value in `names`, and its neuron there. `active` says
    which neurons of a value are not negative anyway."""

    names: Sequence[str]
    owner: Ints
    neuron: Ints
    active: Mapping[str, npt.NDArray[numpy.bool_]]

    @classmethod
    def of(cls, read: Tree, prepared: Prepared) -> Entries:
        names = list(dict.fromkeys(name for name, _ in read.entries))
        number = {name: k for k, name in enumerate(names)}
        return cls(
            names,
            numpy.array([number[name] for name, _ in read.entries], dtype=numpy.int64),
            numpy.array([index for _, index in read.entries], dtype=numpy.int64),
            {name: numpy.array([low >= 0 for low in prepared.bounds[name].lower]) for name in names},
        )


def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    engine = machine.engine
    simple = step.get("steps") == [] and _phases_only(machine, step)
    if not isinstance(engine, Engine) or not simple:
        exact_tree.check_tree(machine, goal, step, where)
        return
    read = read_tree(machine, goal, step, where)
    for disjunct in goal.bad:
        for inequality in disjunct:
            for name, _, _ in inequality.terms:
                if name not in goal.bounds:
                    raise Rejected(where, f"bounds: {name!r} has none yet; an interval step must come first")
    prepared = engine.prepare(machine.program, goal.bounds)
    shape = Shape.of(machine, read)
    entries = Entries.of(read, prepared)
    every = shape.leaves
    last = numpy.zeros((len(goal.bad), read.slopes), dtype=numpy.uint8)
    for start in range(0, len(every), CHUNK):
        leaves = every[start : start + CHUNK]
        payload = Payload.take(machine, goal, read, shape.depth[leaves], last, where)
        _refute(machine, goal, read, entries, prepared, leaves, shape.phases(leaves), payload, where)
    machine.next_goal()


def _phases_only(machine: Machine, step: dict[str, Any]) -> bool:
    """Every entry is of a ReLU's input; malformed entries are left to the reader."""
    sources = {value.source for value in machine.program.values.values() if value.kind == "relu"}
    entries = step.get("entries")
    names = [pair[0] for pair in entries if type(pair) is list and pair] if type(entries) is list else []
    return all(type(name) is str and name in sources and name not in machine.program.inputs for name in names)


def _refute(
    machine: Machine,
    goal: Goal,
    read: Tree,
    entries: Entries,
    prepared: Prepared,
    leaves: Ints,
    path: Ints,
    payload: Payload,
    where: str,
) -> None:
    """Propagate what the leaves bring, and compare with 0."""
    for number, disjunct in enumerate(goal.bad):
        for start in range(0, len(leaves), prepared.batch):
            part = slice(start, start + prepared.batch)
            words, given = payload.words(number, part, path[part]), payload.slopes[number][part]
            batch = _batch(prepared, read, entries, disjunct, path[part], words, given)
            run(prepared, batch)
            _compare(machine, goal, read, disjunct, prepared, batch, leaves[part], path[part], words, given, where)


def _batch(
    prepared: Prepared,
    read: Tree,
    entries: Entries,
    disjunct: Disjunct,
    path: Ints,
    words: Ints | None,
    given: npt.NDArray[numpy.uint8],
) -> Batch:
    """The negated combination of each leaf as rows."""
    xp, program, count = prepared.xp, prepared.program, len(path)
    conjuncts = len(disjunct)
    if words is None:
        mantissa = numpy.concatenate([numpy.ones((count, conjuncts)), numpy.zeros(path.shape)], 1)
        power = numpy.zeros(mantissa.shape, dtype=numpy.int64)
    else:
        mantissa, power = (words & 1023).astype(float), (words >> 10) - 42
    power[:, :conjuncts] += numpy.array([inequality.integral[2] for inequality in disjunct], dtype=numpy.int64)
    undone = numpy.zeros(count, dtype=bool)
    used = mantissa[:, :conjuncts] != 0
    unit = numpy.where(used, power[:, :conjuncts], 100).min(1)
    unit = numpy.where(used.any(1), unit, 0)
    scaled = mantissa[:, :conjuncts] * numpy.ldexp(1.0, numpy.where(used, power[:, :conjuncts] - unit[:, None], 0))
    rows: dict[str, tuple[Array, Array]] = {}
    constant = numpy.zeros(count)
    for k, inequality in enumerate(disjunct):
        left, bound, _ = inequality.integral
        terms = [(name, index, -c) for name, index, c in left]
        largest = max([abs(c) for _, _, c in terms] + [abs(bound), 1])
        undone |= scaled[:, k] * min(largest, 1 << 60) * conjuncts >= EXACT
        for name, index, c in terms:
            if name not in rows:
                rows[name] = (numpy.zeros((count, program.values[name].size)), unit)
            rows[name][0][:, index] += scaled[:, k] * float(min(max(c, -(1 << 60)), 1 << 60))
        constant += scaled[:, k] * float(min(max(bound, -(1 << 60)), 1 << 60))
    _add_cuts(prepared, entries, rows, path, mantissa[:, conjuncts:], power[:, conjuncts:], undone)
    zero = numpy.zeros(count)
    total, own = digits.accumulate(zero, zero.astype(numpy.int64), [constant], unit, numpy)
    batch = Batch(
        {name: tuple(map(xp.asarray, _reduce(row, exponent))) for name, (row, exponent) in rows.items()},
        xp.asarray(total),
        xp.asarray(own),
        xp.asarray(undone),
    )
    batch.cut = _cuts(prepared, entries, path)
    batch.slopes = _slopes(prepared, read, given)
    return batch


def _reduce(row: Array, exponent: Array) -> tuple[Array, Array]:
    """kernel.backward.reduce for each row."""
    integers = numpy.where(numpy.abs(row) < EXACT, row, 0).astype(numpy.int64)
    lowest = numpy.bitwise_or.reduce(integers, axis=1)
    lowest = numpy.maximum(lowest & -lowest, 1)
    return row / lowest[:, None], exponent + (numpy.frexp(lowest)[1] - 1)


def _add_cuts(
    prepared: Prepared,
    entries: Entries,
    rows: dict[str, tuple[Array, Array]],
    path: Ints,
    mantissa: npt.NDArray[numpy.float64],
    power: Ints,
    undone: npt.NDArray[numpy.bool_],
) -> None:
    """Rows on split neurons: minus the multiplier of value >= 0, plus that of value <= 0."""
    used = (path >= 0) & (mantissa != 0)
    turns = numpy.maximum(path, 0)
    signed = mantissa * numpy.where(turns % 2 == 1, -1.0, 1.0)
    owner, neuron = entries.owner[turns // 2], entries.neuron[turns // 2]
    for number, name in enumerate(entries.names):
        here = used & (owner == number)
        if not here.any():
            continue
        unit = numpy.where(here, power, 100).min(1)
        unit = numpy.where(here.any(1), unit, 0)
        if name in rows:  # the disjunct speaks of this value as well
            undone |= here.any(1)
            continue
        leaf, place = numpy.nonzero(here)
        gap = power[leaf, place] - unit[leaf]
        numpy.logical_or.at(undone, leaf, gap > 30)
        row = numpy.zeros((len(path), prepared.program.values[name].size))
        values = signed[leaf, place] * numpy.ldexp(1.0, numpy.minimum(gap, 30))
        numpy.add.at(row, (leaf, neuron[leaf, place]), values)
        rows[name] = (row, unit)


def _cuts(prepared: Prepared, entries: Entries, path: Ints) -> dict[str, tuple[Array, Array, Array]]:
    """The phases that the leaves fix, each neuron once: active if it is cut from below anywhere, or is so anyway."""
    xp = prepared.xp
    found: dict[str, tuple[Array, Array, Array]] = {}
    leaf, place = numpy.nonzero(path >= 0)
    turns = path[leaf, place]
    owner, neuron = entries.owner[turns // 2], entries.neuron[turns // 2]
    for number, name in enumerate(entries.names):
        mine = owner == number
        if not mine.any():
            continue
        width = prepared.program.values[name].size
        unique, inverse = numpy.unique(leaf[mine] * width + neuron[mine], return_inverse=True)
        above = numpy.bincount(inverse, turns[mine] % 2) > 0
        jobs, neurons = unique // width, unique % width
        found[name] = (xp.asarray(jobs), xp.asarray(neurons), xp.asarray(above | entries.active[name][neurons]))
    return found


def _slopes(prepared: Prepared, read: Tree, given: npt.NDArray[numpy.uint8]) -> dict[str, Array]:
    result: dict[str, Array] = {}
    start = 0
    for name, neurons in read.listing:
        array = numpy.full((len(given), prepared.program.values[name].size), -1.0)
        array[:, list(neurons)] = given[:, start : start + len(neurons)]
        start += len(neurons)
        result[name] = prepared.xp.asarray(array)
    return result


def _compare(
    machine: Machine,
    goal: Goal,
    read: Tree,
    disjunct: Disjunct,
    prepared: Prepared,
    batch: Batch,
    leaves: Ints,
    path: Ints,
    words: Ints | None,
    given: npt.NDArray[numpy.uint8],
    where: str,
) -> None:
    """All bounds are above 0. What is not clearly so, and the least, goes through the kernel's own comparison."""
    total = numpy.asarray(batch.total.tolist())
    unit = numpy.asarray(batch.unit.tolist())
    undone = numpy.asarray(batch.undone.tolist(), dtype=bool)
    least = unit[~undone].min() if not undone.all() else 0  # so that comparing as floats neither over- nor underflows
    value = numpy.where(undone, -1.0, numpy.ldexp(total, numpy.clip(unit - least, 0, 900)))
    doubtful = set(numpy.flatnonzero(undone | (total <= 0)).tolist())
    doubtful |= set(
        numpy.flatnonzero(~undone & (value <= numpy.where(undone, numpy.inf, value).min() * (1 + 1e-9))).tolist()
    )
    for row in sorted(doubtful):
        leaf = int(leaves[row])
        here = f"{where} node {leaf}"
        phases = [(int(turn) // 2, bool(turn % 2)) for turn in path[row] if turn >= 0]
        given_words = None if words is None else words[row].tolist()[: len(disjunct) + len(phases)]
        combined = exact_tree.combination(read, disjunct, phases, given_words)
        if undone[row]:
            tightened = [(*read.entries[number], not upper, 0) for number, upper in phases]
            job = negated(combined, exact_tree.named(read, given[row].tobytes()), path=tightened)
            found = propagate(machine.program, goal.bounds.along(tightened), job)
        else:
            found = (int(total[row]), int(unit[row]))
        machine.refute(combined, found, here)
