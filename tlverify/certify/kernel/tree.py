"""The rule `tree`: many splits and their leaves in one step, kept as bits and bytes of the payload.

It means the same as the steps that it stands for. Every node takes a template of `interval` and `rebound` steps on the
table that its parent left; every leaf refutes each disjunct by a combination of the bad set's inequalities and the
path's phase splits.

Nodes are in preorder: a split node, then its half below, then its half above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from tlverify.certify.kernel.arithmetic import Constant
from tlverify.certify.kernel.backward import SLOPE_BITS, Bounds, Job, Path
from tlverify.certify.kernel.claim import Inequality
from tlverify.certify.kernel.errors import MAX_TREE_DEPTH, MAX_TREE_NODES, NODE_STEPS, Rejected
from tlverify.certify.kernel.proof import (
    STEPS,
    Combination,
    Disjunct,
    Goal,
    Listing,
    Machine,
    entry,
    negated,
    read_listing,
)
from tlverify.certify.kernel.reader import fields

CHUNK = 256  # leaves of one table handed to the arithmetic at a time


@dataclass(frozen=True)
class Tree:
    """The step as read: for each node in preorder the number of the entry that it splits, or -1 for a leaf."""

    entries: Sequence[tuple[str, int]]
    nodes: Sequence[int]
    steps: Sequence[Any]
    listing: Listing
    weighted: bool

    @cached_property
    def cuts(self) -> list[tuple[Inequality, Inequality]]:
        """For each entry: value <= 0, and value >= 0."""
        zero, one = Fraction(0), Fraction(1)
        return [
            (Inequality(((name, index, -one),), zero, False), Inequality(((name, index, one),), zero, False))
            for name, index in self.entries
        ]

    @property
    def slopes(self) -> int:
        """Slopes that a leaf gives for each disjunct."""
        return sum(len(neurons) for _, neurons in self.listing)


@dataclass(frozen=True)
class Node:
    """A part of the goal's region: a table, the ends that the path tightens in it, and the path's phase splits (entry,
    whether it is the half above)."""

    bounds: Bounds
    path: Path
    phases: Sequence[tuple[int, bool]]


def short(word: int) -> Constant:
    """A multiplier in 16 bits: the low ten times 2^(high six - 42)."""
    return word & 1023, (word >> 10) - 42


def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    read = read_tree(machine, goal, step, where)
    slopes = [bytes(read.slopes) for _ in goal.bad]
    stack = [Node(goal.bounds, (), ())]
    pending: list[tuple[Combination, Job, str]] = []
    for number, split in enumerate(read.nodes):
        node, here = stack.pop(), f"{where} node {number}"
        if read.steps:
            own = goal.branch()
            own.bounds.update(node.bounds.along(node.path))
            for inner in read.steps:
                STEPS[inner["rule"]](machine, own, inner, here)
            node = Node(own.bounds, (), node.phases)
        if split >= 0:
            stack += halves(machine, read, node, split)
        else:
            for which, disjunct in enumerate(goal.bad):
                combined = combination(read, disjunct, node.phases, read_words(machine, read, disjunct, node, here))
                slopes[which] = read_slopes(machine, read, slopes[which], here)
                job = negated(combined, named(read, slopes[which]), path=node.path)
                pending.append((combined, job, here))
        if pending and (read.steps or len(pending) >= CHUNK or not stack):
            found = machine.engine(machine.program, node.bounds, [job for _, job, _ in pending])
            for (combined, _, leaf), bound in zip(pending, found, strict=True):
                machine.refute(combined, bound, leaf)
            pending.clear()
    machine.next_goal()


def read_tree(machine: Machine, goal: Goal, step: Any, where: str) -> Tree:
    """The payload holds a bit for each node (1: split), then the entry of each split in one or two bytes; after that
    what each leaf brings."""
    _, count, entries, steps, sloped, weighted = fields(
        step, where, rule=str, nodes=int, entries=list, steps=list, slopes=dict, weighted=int
    )
    if not 1 <= count <= MAX_TREE_NODES or count % 2 == 0 or weighted not in (0, 1):
        raise Rejected(where, f"expected an odd number of nodes up to {MAX_TREE_NODES}, and weighted 0 or 1")
    machine.spend(count, where)
    for pair in entries:
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) is not int:
            raise Rejected(where, "entries are pairs [value, index]")
        entry(machine, goal, pair[0], pair[1], where)
    for inner in steps:
        if type(inner) is not dict or inner.get("rule") not in ("interval", "rebound"):
            raise Rejected(where, "the steps of a node are interval and rebound")
        if type(inner.get("nodes", [])) is not list:
            raise Rejected(where, "the nodes of an interval step are a list")
    if sum(len(inner.get("nodes", "1")) for inner in steps) > NODE_STEPS * len(machine.program.values):
        raise Rejected(where, f"the steps of a node are over {NODE_STEPS} for each value of the program")
    flags = machine.take(-(-count // 8), where)
    if int.from_bytes(flags, "little") >> count:
        raise Rejected(where, "a bit after the last node is set")
    split = [bool(flags[node >> 3] >> (node & 7) & 1) for node in range(count)]
    width = 1 if len(entries) <= 256 else 2
    raw = machine.take(width * sum(split), where)
    numbers = iter([int.from_bytes(raw[k : k + width], "little") for k in range(0, len(raw), width)])
    nodes = [next(numbers) if is_split else -1 for is_split in split]
    if max(nodes) >= len(entries):
        raise Rejected(where, f"a split is not among the {len(entries)} entries")
    depths = [0]
    for node in nodes:
        if not depths:
            raise Rejected(where, "the bits are not those of a tree in preorder")
        depth = depths.pop()
        if depth > MAX_TREE_DEPTH:
            raise Rejected(where, f"the tree is deeper than {MAX_TREE_DEPTH}")
        if node >= 0:
            depths += [depth + 1, depth + 1]
    if depths:
        raise Rejected(where, "the bits are not those of a tree in preorder")
    pairs = [(name, index) for name, index in entries]
    return Tree(pairs, nodes, steps, read_listing(machine.program, sloped, where), weighted == 1)


def halves(machine: Machine, read: Tree, node: Node, split: int) -> list[Node]:
    """The half above and the half below. An input is cut in the middle (floor, in the unit of the table), any other
    value at 0."""
    name, index = read.entries[split]
    phases = machine.program.values[name].kind != "input"
    middle = 0
    if not phases:
        low, high = node.bounds[name].lower[index], node.bounds[name].upper[index]
        for other, number, upper, end in node.path:
            if (other, number) == (name, index):
                low, high = (low, end) if upper else (end, high)
        middle = low + high >> 1
    return [
        Node(
            node.bounds,
            (*node.path, (name, index, not above, middle)),
            (*node.phases, (split, above)) if phases else node.phases,
        )
        for above in (True, False)
    ]


def read_words(machine: Machine, read: Tree, disjunct: Disjunct, node: Node, where: str) -> Sequence[int] | None:
    """The multipliers of a leaf in 16 bits: of a disjunct's inequalities, then of the path's phase splits."""
    if not read.weighted:
        return None
    raw = machine.take(2 * (len(disjunct) + len(node.phases)), where)
    return [raw[k] | raw[k + 1] << 8 for k in range(0, len(raw), 2)]


def read_slopes(machine: Machine, read: Tree, before: bytes, where: str) -> bytes:
    """The slopes of a leaf, given as differences modulo 256 from those of the leaf before."""
    slopes = add_bytes(before, machine.take(read.slopes, where))
    if slopes and max(slopes) > 1 << SLOPE_BITS:
        raise Rejected(where, "a slope is above 1")
    return slopes


def add_bytes(one: bytes, two: bytes) -> bytes:
    """Sums modulo 256 of bytes at the same places: low seven bits are added, top bits without a carry."""
    a, b, low = (int.from_bytes(data, "little") for data in (one, two, b"\x7f" * len(one)))
    return (((a & low) + (b & low)) ^ ((a ^ b) & ~low)).to_bytes(len(one), "little")


def named(read: Tree, slopes: bytes) -> dict[str, dict[int, int]]:
    """Slopes in the order of the listing, by ReLU and neuron."""
    result, start = {}, 0
    for name, neurons in read.listing:
        result[name] = dict(zip(neurons, slopes[start : start + len(neurons)], strict=True))
        start += len(neurons)
    return result


def combination(
    read: Tree, disjunct: Disjunct, phases: Sequence[tuple[int, bool]], words: Sequence[int] | None
) -> Combination:
    """The inequalities that refute a disjunct at a leaf with their multipliers: its own (1 if no words are given), then
    the phase splits of the path from the root (0)."""
    if words is None:
        return [((1, 0), row) for row in disjunct]
    known = [*disjunct, *(read.cuts[number][above] for number, above in phases)]
    return list(zip(map(short, words), known, strict=True))
