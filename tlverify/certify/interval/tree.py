"""The rule `tree` in float64: many nodes take their steps together, each with its own table.

The walk is depth first in blocks, so that what is kept grows with the depth of the tree, not with its width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from tlverify.certify.interval.engine import (
    ETA,
    SLACK,
    Bits,
    Boxes,
    Engine,
    Floats,
    Ints,
    Network,
    Reaches,
    as_constant,
    as_floats,
    backward,
    gamma,
    interval_step,
    rebound,
)
from tlverify.certify.kernel.backward import SLOPE_BITS
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.program import error_of
from tlverify.certify.kernel.proof import Disjunct, Goal, Machine, once
from tlverify.certify.kernel.reader import fields, items
from tlverify.certify.kernel.tree import Tree, combination, read_tree
from tlverify.certify.leaves import Bytes, Payload, Shape

BLOCK = 1024  # nodes worked on together


@dataclass(frozen=True)
class Block:
    """Some nodes by number, and their tables."""

    numbers: Ints
    boxes: Boxes

    def part(self, rows: Ints) -> Block:
        return Block(self.numbers[rows], self.boxes.part(rows))

    def before(self, other: Block) -> Block:
        return Block(numpy.concatenate([self.numbers, other.numbers]), Boxes.stacked([self.boxes, other.boxes]))


@numpy.errstate(over="ignore", invalid="ignore")  # what is not finite is refused
def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    engine = machine.engine
    if not isinstance(engine, Engine):
        raise TypeError("this rule belongs to the arithmetic interval")
    read = read_tree(machine, goal, step, where)
    steps = [(inner["rule"], name) for inner in read.steps for name in _names(machine, goal, inner, where)]
    network, root, reaches = engine.prepare(machine.program, goal.bounds)
    shape = Shape.of(machine, read)
    row_of = numpy.cumsum(shape.splits < 0) - 1  # of a leaf in the payload
    last = numpy.zeros((len(goal.bad), read.slopes), dtype=numpy.uint8)
    payload = Payload.take(machine, goal, read, shape.depth[shape.leaves], last, where)
    refuters = [Refuter.of(network, goal, read, disjunct, where) for disjunct in goal.bad]
    changing = {name for name, _ in read.entries} | {name for _, name in steps}
    changing |= {error_of(name) for _, name in steps}
    stack = [Block(numpy.zeros(1, dtype=numpy.intp), root.with_own(changing))]
    while stack:
        block = stack.pop()
        while len(block.numbers) < BLOCK and stack:
            block = block.before(stack.pop())
        if len(block.numbers) > BLOCK:
            stack.append(block.part(numpy.arange(BLOCK, len(block.numbers))))
            block = block.part(numpy.arange(BLOCK))
        for rule, name in steps:
            if rule == "rebound":
                rebound(network, reaches, block.boxes, name)
            else:
                interval_step(network, block.boxes, name)
        splits = shape.splits[block.numbers]
        at = numpy.flatnonzero(splits < 0)
        if len(at):
            path, rows = shape.phases(block.numbers[at]), row_of[block.numbers[at]]
            for number, refuter in enumerate(refuters):
                words, slopes = payload.words(number, rows, path), payload.slopes[number][rows]
                refuter.refute(machine, reaches, block, at, path, words, slopes)
        opened = numpy.flatnonzero(splits >= 0)
        if len(opened):
            whole = block.numbers[opened]
            numbers = numpy.concatenate([whole + 1, shape.half_above[whole]])
            order = numpy.argsort(numbers)  # neighbours have much in common
            halves = block.boxes.part(numpy.tile(opened, 2)[order])
            _cut(machine, goal, read, splits[numpy.tile(opened, 2)[order]], order >= len(opened), halves)
            stack.append(Block(numbers[order], halves))
    machine.next_goal()


def _names(machine: Machine, goal: Goal, inner: Any, where: str) -> list[str]:
    """The values that a step of the template is about."""
    if inner["rule"] == "interval":
        names = once(items(fields(inner, where, rule=str, nodes=list)[1], str, where), where)
    else:
        names = [fields(inner, where, rule=str, node=str)[1]]
    for name in names:
        value = machine.program.values.get(name)  # the table has rounding errors too, which are none
        if value is None or value.kind == "input" or name not in goal.bounds:
            raise Rejected(where, f"{name[:80]!r} is not a value that is computed and has bounds")
    return names


def _cut(machine: Machine, goal: Goal, read: Tree, splits: Ints, upper: Bits, halves: Boxes) -> None:
    """Tighten the tables of halves, by what was split and whether it is the half above. An input's ends are integers of
    45 bits in its unit, so the cut is exact."""
    for entry in numpy.unique(splits).tolist():
        name, index = read.entries[entry]
        mine = splits == entry
        below, above = numpy.flatnonzero(mine & ~upper), numpy.flatnonzero(mine & upper)
        low, high = halves.lower[name][:, index], halves.upper[name][:, index]
        if machine.program.values[name].kind == "input":
            exponent = goal.bounds[name].exponent
            middle = numpy.ldexp(numpy.floor(numpy.ldexp(low + high, -exponent - 1)), exponent)
            low[above], high[below] = middle[above], middle[below]
        else:
            low[above], high[below] = numpy.maximum(low[above], 0.0), numpy.minimum(high[below], 0.0)


@dataclass(frozen=True)
class Refuter:
    """A disjunct's inequalities as rows, by value (conjuncts, n), with their bounds, rounded; and what a tree may
    split."""

    network: Network
    read: Tree
    disjunct: Disjunct
    rows: Mapping[str, Floats]
    bounds: Floats
    where: str

    @classmethod
    def of(cls, network: Network, goal: Goal, read: Tree, disjunct: Disjunct, where: str) -> Refuter:
        rows: dict[str, Floats] = {}
        bounds = numpy.zeros(len(disjunct))
        for k, inequality in enumerate(disjunct):
            terms, bound, exponent = inequality.integral
            bounds[k] = as_floats([bound], exponent, "a bound", exactly=False)[0]
            for name, index, coefficient in terms:
                if name not in goal.bounds:
                    raise Rejected(where, f"bounds: {name!r} has none yet; an interval step must come first")
                row = rows.setdefault(name, numpy.zeros((len(disjunct), network.program.values[name].size)))
                row[k, index] = as_floats([coefficient], exponent, "a coefficient", exactly=False)[0]
        return cls(network, read, disjunct, rows, bounds, where)

    def refute(
        self, machine: Machine, reaches: Reaches, block: Block, at: Ints, path: Ints, words: Ints | None, given: Bytes
    ) -> None:
        """The bounds of the leaves `at` of a block are above 0."""
        conjuncts, boxes = len(self.disjunct), block.boxes
        weights = numpy.concatenate([numpy.ones((len(at), conjuncts)), numpy.zeros(path.shape)], 1)
        if words is not None:
            weights = numpy.ldexp((words & 1023).astype(float), (words >> 10) - 42)
        own = weights[:, :conjuncts]
        rows = {name: -(own @ matrix) for name, matrix in self.rows.items()}
        sizes = {name: own @ numpy.abs(matrix) for name, matrix in self.rows.items()}
        self._add_cuts(rows, sizes, path, weights[:, conjuncts:])
        products = weights.shape[1] + 8
        off = gamma(products)  # of sums of as many, of what is rounded already
        error = off * (own @ numpy.abs(self.bounds)) * SLACK + ETA * products
        for name, size in sizes.items():
            far = boxes.far(name)
            error = error + (off * (size @ far) + ETA * products * (1 + far).sum()) * SLACK
        found = backward(self.network, reaches, boxes, at, rows, own @ self.bounds, self._slopes(given), error)
        for row in {*numpy.flatnonzero(found <= 0).tolist(), int(found.argmin())}:  # the others are refuted
            phases = [(turn // 2, turn % 2 == 1) for turn in path[row].tolist() if turn >= 0]
            taken = None if words is None else words[row].tolist()[: conjuncts + len(phases)]
            combined = combination(self.read, self.disjunct, phases, taken)
            machine.refute(combined, as_constant(float(found[row])), f"{self.where} node {block.numbers[at[row]]}")

    def _add_cuts(self, rows: dict[str, Floats], sizes: dict[str, Floats], path: Ints, weights: Floats) -> None:
        """Minus the multiplier of value >= 0, plus that of value <= 0; and the sums of their magnitudes."""
        leaf, place = numpy.nonzero((path >= 0) & (weights != 0))
        entry, above, values = path[leaf, place] // 2, path[leaf, place] % 2 == 1, weights[leaf, place]
        for name in dict.fromkeys(self.read.entries[k][0] for k in numpy.unique(entry).tolist()):
            n = self.network.program.values[name].size
            index = numpy.array([at if of == name else -1 for of, at in self.read.entries])[entry]
            mine = index >= 0
            flat = leaf[mine] * n + index[mine]
            for sums, part in ((rows, numpy.where(above, -values, values)[mine]), (sizes, values[mine])):
                added = numpy.bincount(flat, part, len(path) * n).astype(float).reshape(len(path), n)
                sums[name] = sums[name] + added if name in sums else added

    def _slopes(self, given: Bytes) -> dict[str, Floats]:
        """Slopes by ReLU, (leaves, n), NaN where the default is meant."""
        result: dict[str, Floats] = {}
        start = 0
        for name, neurons in self.read.listing:
            part = numpy.full((len(given), self.network.program.values[name].size), numpy.nan)
            part[:, list(neurons)] = given[:, start : start + len(neurons)] / 2.0**SLOPE_BITS
            start += len(neurons)
            result[name] = part
        return result
