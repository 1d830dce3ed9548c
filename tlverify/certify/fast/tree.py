"""The rule `tree` with its leaves decoded and refuted as arrays; the same step as kernel.tree.check_tree.

A tree whose nodes take steps of their own, or split inputs, is left to kernel.tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import numpy.typing as npt

from tlverify.certify.fast import digits
from tlverify.certify.fast.digits import EXACT, Array
from tlverify.certify.fast.engine import GIVEN, Batch, Engine, Pending, run
from tlverify.certify.fast.prepared import Prepared
from tlverify.certify.kernel import tree as exact_tree
from tlverify.certify.kernel.backward import propagate
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.proof import Disjunct, Goal, Machine, negated
from tlverify.certify.kernel.tree import Tree, read_tree
from tlverify.certify.leaves import Ints, Payload, Shape

CHUNK = 4096  # leaves decoded at a time
MANTISSAS = numpy.arange(1024)  # of a multiplier, as an odd integer times a power of two
TRAILING: Ints = numpy.frexp(MANTISSAS & -MANTISSAS)[1].astype(numpy.int64) - (MANTISSAS > 0)
ODD = (MANTISSAS >> TRAILING).astype(float)
POWERS = 2.0 ** numpy.arange(32)


@dataclass(frozen=True)
class Entries:
    """What a tree may split: for each entry the number of its value in `names`, and its neuron there; `cell` is the
    same for entries that are the same. `active` says which neurons of a value are not negative anyway."""

    names: Sequence[str]
    owner: Ints
    neuron: Ints
    cell: Ints
    active: Mapping[str, npt.NDArray[numpy.bool_]]

    @classmethod
    def of(cls, read: Tree, prepared: Prepared) -> Entries:
        names = list(dict.fromkeys(name for name, _ in read.entries))
        number = {name: k for k, name in enumerate(names)}
        cell = {pair: k for k, pair in enumerate(dict.fromkeys(read.entries))}
        return cls(
            names,
            numpy.array([number[name] for name, _ in read.entries], dtype=numpy.int64),
            numpy.array([index for _, index in read.entries], dtype=numpy.int64),
            numpy.array([cell[pair] for pair in read.entries], dtype=numpy.int64),
            {name: numpy.array([low >= 0 for low in prepared.bounds[name].lower]) for name in names},
        )


@dataclass(frozen=True)
class Leaves:
    """Leaves of a tree: their nodes, the phase splits of their paths (leaves, most depth), what they bring."""

    nodes: Ints
    path: Ints
    payload: Payload

    def part(self, number: int, conjuncts: Sequence[Any], part: slice) -> Part:
        """Some of them, for a disjunct by its number."""
        path = self.path[part]
        words = self.payload.words(number, part, path)
        return Part(conjuncts, self.nodes[part], path, words, self.payload.slopes[number][part])


@dataclass(frozen=True)
class Part:
    """Leaves at which a disjunct is refuted: their nodes, paths, multipliers (None: not given) and slopes."""

    disjunct: Disjunct
    nodes: Ints
    path: Ints
    words: Ints | None
    given: npt.NDArray[numpy.uint8]


def check_alone(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    engine = machine.engine
    simple = step.get("steps") == [] and phases_only(machine, step)
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
    entries = Entries.of(read, prepared)
    for leaves in take_leaves(machine, goal, read, max(CHUNK, prepared.batch), where):
        for number, disjunct in enumerate(goal.bad):
            for start in range(0, len(leaves.nodes), prepared.batch):
                part = leaves.part(number, disjunct, slice(start, start + prepared.batch))
                batch = gather_leaves(prepared, read, entries, part)
                run(prepared, batch)
                compare(machine, goal, read, part, batch, where)
    machine.next_goal()


def take_leaves(machine: Machine, goal: Goal, read: Tree, chunk: int, where: str) -> Iterator[Leaves]:
    """The leaves of a tree, so many at a time, with their part of the payload."""
    shape = Shape.of(machine, read)
    every = shape.leaves
    last = numpy.zeros((len(goal.bad), read.slopes), dtype=numpy.uint8)
    for start in range(0, len(every), chunk):
        nodes = every[start : start + chunk]
        payload = Payload.take(machine, goal, read, shape.depth[nodes], last, where)
        yield Leaves(nodes, shape.phases(nodes), payload)


def phases_only(machine: Machine, step: dict[str, Any]) -> bool:
    """Every entry is of a ReLU's input; malformed entries are left to the reader."""
    sources = {value.source for value in machine.program.values.values() if value.kind == "relu"}
    entries = step.get("entries")
    names = [pair[0] for pair in entries if type(pair) is list and pair] if type(entries) is list else []
    return all(type(name) is str and name in sources and name not in machine.program.inputs for name in names)


def gather_leaves(prepared: Prepared, read: Tree, entries: Entries, part: Part) -> Batch:
    """The negated combination of each leaf as rows."""
    disjunct, path, words, given = part.disjunct, part.path, part.words, part.given
    xp, program, count = prepared.xp, prepared.program, len(path)
    conjuncts = len(disjunct)
    if words is None:
        mantissa = numpy.zeros((count, conjuncts + path.shape[1]), dtype=numpy.int64)
        mantissa[:, :conjuncts] = 1
        power = numpy.zeros(mantissa.shape, dtype=numpy.int64)
    else:
        mantissa, power = words & 1023, (words >> 10) - 42
    power[:, :conjuncts] += numpy.array([inequality.integral[2] for inequality in disjunct], dtype=numpy.int64)
    undone = numpy.zeros(count, dtype=bool)
    used = mantissa[:, :conjuncts] != 0
    unit = numpy.where(used, power[:, :conjuncts], 100).min(1)
    unit = numpy.where(used.any(1), unit, 0)
    scaled = mantissa[:, :conjuncts] * numpy.ldexp(1.0, numpy.where(used, power[:, :conjuncts] - unit[:, None], 0))
    rows: dict[str, Array] = {}
    constant = numpy.zeros(count)
    for k, inequality in enumerate(disjunct):
        left, bound, _ = inequality.integral
        terms = [(name, index, -c) for name, index, c in left]
        largest = max([abs(c) for _, _, c in terms] + [abs(bound), 1])
        undone |= scaled[:, k] * min(largest, 1 << 60) * conjuncts >= EXACT
        for name, index, c in terms:
            if name not in rows:
                rows[name] = numpy.zeros((program.values[name].size, count))
            rows[name][index] += scaled[:, k] * float(min(max(c, -(1 << 60)), 1 << 60))
        constant += scaled[:, k] * float(min(max(bound, -(1 << 60)), 1 << 60))
    zero = numpy.zeros(count)
    total, own = digits.accumulate(zero, zero.astype(numpy.int64), [constant], unit, numpy)
    places = _Places.of(entries, path)
    added = _added(entries, places, rows, mantissa[:, conjuncts:], power[:, conjuncts:], undone)
    reduced = {name: _reduce(row, unit) for name, row in rows.items()}
    batch = Batch(
        {name: Pending(xp.asarray(row), xp.asarray(own), GIVEN) for name, (row, own) in reduced.items()},
        xp.asarray(total),
        xp.asarray(own),
        xp.asarray(undone),
        {name: tuple(map(xp.asarray, arrays)) for name, arrays in added.items()},
    )
    batch.cut = _cuts(prepared, entries, places, count)
    batch.slopes = _slopes(prepared, read, given)
    return batch


def _reduce(rows: Array, exponent: Array) -> tuple[Array, Array]:
    """kernel.backward.reduce for each column."""
    integers = numpy.where(numpy.abs(rows) < EXACT, rows, 0).astype(numpy.int64)
    lowest = numpy.bitwise_or.reduce(integers, axis=0)
    lowest = numpy.maximum(lowest & -lowest, 1)
    return rows / lowest, exponent + (numpy.frexp(lowest)[1] - 1)


@dataclass(frozen=True)
class _Places:
    """The splits of a batch's paths, which are (leaf, place), one after another; `twice` if a path splits a neuron
    again."""

    leaf: Ints
    place: Ints
    number: Ints
    above: npt.NDArray[numpy.bool_]
    twice: bool

    @classmethod
    def of(cls, entries: Entries, path: Ints) -> _Places:
        leaf, place = numpy.nonzero(path >= 0)
        turns = path[leaf, place]
        number = turns >> 1
        cells = -1 - numpy.broadcast_to(numpy.arange(path.shape[1]), path.shape)  # differ where there is no split
        cells[leaf, place] = entries.cell[number]
        cells.sort(1)
        return cls(leaf, place, number, (turns & 1).astype(bool), bool((cells[:, 1:] == cells[:, :-1]).any()))


def _added(
    entries: Entries,
    places: _Places,
    rows: Mapping[str, Array],
    mantissa: Ints,
    power: Ints,
    undone: npt.NDArray[numpy.bool_],
) -> dict[str, tuple[Any, ...]]:
    """Coefficients of split neurons: minus the multiplier of value >= 0, plus that of value <= 0."""
    found: dict[str, tuple[Any, ...]] = {}
    weight = mantissa[places.leaf, places.place]
    used = numpy.flatnonzero(weight)
    jobs, number, weight = places.leaf[used], places.number[used], weight[used]
    scale = power[jobs, places.place[used]] + TRAILING[weight]
    values = numpy.where(places.above[used], -ODD[weight], ODD[weight])
    owner = entries.owner[number]
    for k, name in enumerate(entries.names):
        here = numpy.flatnonzero(owner == k)
        if not len(here):
            continue
        job, neuron = jobs[here], entries.neuron[number[here]]
        unit = numpy.full(len(undone), 100)
        numpy.minimum.at(unit, job, scale[here])
        known = unit < 100
        if name in rows:  # the disjunct speaks of this value as well
            undone |= known
            continue
        gap = scale[here] - unit[job]
        undone[job[gap > 30]] = True
        if places.twice:
            _, first, count = numpy.unique(entries.cell[number[here]] + job * len(entries.cell), True, False, True)
            undone[job[first[count > 1]]] = True
            here, job, neuron, gap = here[first], job[first], neuron[first], gap[first]
        found[name] = (neuron, job, values[here] * POWERS[numpy.minimum(gap, 31)], unit, known)
    return found


def _cuts(prepared: Prepared, entries: Entries, places: _Places, count: int) -> dict[str, tuple[Array, Array, Array]]:
    """The phases that the leaves fix, each neuron once: active if it is cut from below anywhere, or is so anyway."""
    xp = prepared.xp
    found: dict[str, tuple[Array, Array, Array]] = {}
    leaf, number, above = places.leaf, places.number, places.above
    if places.twice:
        size = len(entries.cell)
        _, first, inverse = numpy.unique(leaf * size + entries.cell[number], True, True)
        above = numpy.bincount(inverse, above) > 0
        leaf, number = leaf[first], number[first]
    owner = entries.owner[number]
    for k, name in enumerate(entries.names):
        here = numpy.flatnonzero(owner == k)
        if len(here):
            neurons = entries.neuron[number[here]]
            active = above[here] | entries.active[name][neurons]
            found[name] = (xp.asarray(leaf[here]), xp.asarray(neurons), xp.asarray(active))
    return found


def _slopes(prepared: Prepared, read: Tree, given: npt.NDArray[numpy.uint8]) -> dict[str, tuple[Array, Array]]:
    result: dict[str, tuple[Array, Array]] = {}
    start = 0
    for name, neurons in read.listing:
        chosen = prepared.xp.asarray(neurons, dtype=int)
        result[name] = (chosen, prepared.xp.asarray(given[:, start : start + len(neurons)].T))
        start += len(neurons)
    return result


def _here(array: Array) -> Array:
    """The array in the memory of the CPU."""
    return array.get() if hasattr(array, "get") else array


def compare(machine: Machine, goal: Goal, read: Tree, part: Part, batch: Batch, where: str) -> None:
    """All bounds are above 0. What is not clearly so, and the least, goes through the kernel's own comparison."""
    disjunct, path, words, given = part.disjunct, part.path, part.words, part.given
    total, unit, undone = (_here(array) for array in (batch.total, batch.unit, batch.undone))
    least = unit[~undone].min() if not undone.all() else 0  # so that comparing as floats neither over- nor underflows
    value = numpy.where(undone, -1.0, numpy.ldexp(total, numpy.clip(unit - least, 0, 900)))
    doubtful = set(numpy.flatnonzero(undone | (total <= 0)).tolist())
    doubtful |= set(
        numpy.flatnonzero(~undone & (value <= numpy.where(undone, numpy.inf, value).min() * (1 + 1e-9))).tolist()
    )
    for row in sorted(doubtful):
        leaf = int(part.nodes[row])
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
