"""The rule `tree`: many splits and their leaves in one step, kept as bits and bytes of the payload.

It means the same as the steps `split` and `close` that it stands for. All leaves are refuted in the same way: a
template of interval and rebound steps, then a combination of the bad set's inequalities and the path's phase splits.

Nodes are numbered in level order, so the children of the i-th split node are nodes 2 i + 1 (below) and 2 i + 2 (above).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import Any

from tlverify.certify.kernel.arithmetic import Constant
from tlverify.certify.kernel.backward import Job, Path
from tlverify.certify.kernel.claim import Inequality
from tlverify.certify.kernel.errors import MAX_TREE_DEPTH, MAX_TREE_NODES, Rejected
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
    take_slopes,
)
from tlverify.certify.kernel.reader import fields

CHUNK = 256  # leaves handed to the arithmetic at a time

Split = tuple[int, bool, int]
"""Which entry of the step's list, whether it is the half above, and where it is cut, in the unit of the table."""


@dataclass(frozen=True)
class Tree:
    """The step as read. `splits[i]` is the node and the entry of the i-th split; `leaves` are the other nodes."""

    entries: Sequence[tuple[str, int]]
    splits: Sequence[tuple[int, int]]
    leaves: Sequence[int]
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


def short(word: int) -> Constant:
    """A multiplier in 16 bits: the low ten times 2^(high six - 42)."""
    return word & 1023, (word >> 10) - 42


def check_tree(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct at every leaf."""
    read = read_tree(machine, goal, step, where)
    pending = iter(read.leaves)
    while chunk := list(islice(pending, CHUNK)):
        jobs: list[Job] = []
        combinations: list[tuple[Combination, str]] = []
        for leaf in chunk:
            path = path_to(machine, goal, read, leaf)
            here = f"{where} leaf {leaf}"
            for combined, job in leaf_jobs(machine, goal, read, path, here):
                combinations.append((combined, here))
                if read.steps:
                    own = goal.branch()
                    own.bounds.update(own.bounds.along(job.path))
                    for inner in read.steps:
                        STEPS[inner["rule"]](machine, own, inner, here)
                    machine.refute(combined, machine.engine(machine.program, own.bounds, [job])[0], here)
                else:
                    jobs.append(job)
        if jobs:
            found = machine.engine(machine.program, goal.bounds, jobs)
            for (combined, here), bound in zip(combinations, found, strict=True):
                machine.refute(combined, bound, here)
    machine.next_goal()


def read_tree(machine: Machine, goal: Goal, step: Any, where: str) -> Tree:
    """The payload holds a bit for each node (1: split), then the entry of each split in one or two bytes; after that
    what each leaf brings."""
    _, count, entries, steps, sloped, weighted = fields(
        step, where, rule=str, nodes=int, entries=list, steps=list, slopes=dict, weighted=int
    )
    if not 1 <= count <= MAX_TREE_NODES or count % 2 == 0 or weighted not in (0, 1):
        raise Rejected(where, f"expected an odd number of nodes up to {MAX_TREE_NODES}, and weighted 0 or 1")
    for pair in entries:
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) is not int:
            raise Rejected(where, "entries are pairs [value, index]")
        entry(machine, goal, pair[0], pair[1], where)
    for inner in steps:
        if type(inner) is not dict or inner.get("rule") not in ("interval", "rebound"):
            raise Rejected(where, "the steps of a leaf are interval and rebound")
    flags = machine.take(-(-count // 8), where)
    nodes = [node for node in range(8 * len(flags)) if flags[node >> 3] >> (node & 7) & 1]
    width = 1 if len(entries) <= 256 else 2
    raw = machine.take(width * len(nodes), where)
    numbers = [int.from_bytes(raw[k : k + width], "little") for k in range(0, len(raw), width)]
    if (
        2 * len(nodes) + 1 != count
        or (nodes and nodes[-1] >= count)
        or any(node > 2 * i for i, node in enumerate(nodes))
    ):
        raise Rejected(where, "the bits are not those of a tree in level order")
    if any(number >= len(entries) for number in numbers):
        raise Rejected(where, f"a split is not among the {len(entries)} entries")
    depth: list[int] = []
    for node in nodes:
        depth.append(depth[(node - 1) // 2] + 1 if node else 0)
        if depth[-1] >= MAX_TREE_DEPTH:
            raise Rejected(where, f"the tree is deeper than {MAX_TREE_DEPTH}")
    split = set(nodes)
    rest = [node for node in range(count) if node not in split]
    listing = read_listing(machine.program, sloped, where)
    pairs = [(name, index) for name, index in entries]
    return Tree(pairs, list(zip(nodes, numbers, strict=True)), rest, steps, listing, weighted == 1)


def require_bounds(goal: Goal, where: str) -> None:
    """The table has bounds for what the bad set speaks of."""
    for disjunct in goal.bad:
        for inequality in disjunct:
            for name, _, _ in inequality.terms:
                if name not in goal.bounds:
                    raise Rejected(where, f"bounds: {name!r} has none yet; an interval step must come first")


def path_to(machine: Machine, goal: Goal, read: Tree, leaf: int) -> list[Split]:
    """The splits from the root to a leaf: inputs are halved (floor, in the unit of the table), phases cut at 0."""
    turns: list[tuple[int, bool]] = []
    node = leaf
    while node:
        parent, number = read.splits[(node - 1) // 2]
        turns.append((number, node % 2 == 0))
        node = parent
    path: list[Split] = []
    ends: dict[int, tuple[int, int]] = {}
    for number, above in reversed(turns):
        name, index = read.entries[number]
        middle = 0
        if machine.program.values[name].kind == "input":
            bounds = goal.bounds[name]
            low, high = ends.get(number, (bounds.lower[index], bounds.upper[index]))
            middle = low + high >> 1
            ends[number] = (middle, high) if above else (low, middle)
        path.append((number, above, middle))
    return path


def leaf_jobs(
    machine: Machine, goal: Goal, read: Tree, path: Sequence[Split], where: str
) -> Iterator[tuple[Combination, Job]]:
    """For each disjunct the combination that refutes it at this leaf."""
    phases = sum(machine.program.values[read.entries[number][0]].kind != "input" for number, _, _ in path)
    for disjunct in goal.bad:
        words = None
        if read.weighted:
            raw = machine.take(2 * (len(disjunct) + phases), where)
            words = [raw[k] | raw[k + 1] << 8 for k in range(0, len(raw), 2)]
        combined, tightened = combination(machine, read, disjunct, path, words)
        yield combined, negated(combined, take_slopes(machine, read.listing, where), path=tightened)


def combination(
    machine: Machine, read: Tree, disjunct: Disjunct, path: Sequence[Split], words: Sequence[int] | None
) -> tuple[Combination, Path]:
    """The inequalities that refute a disjunct at a leaf with their multipliers, first its own, then the phase splits of
    the path from the root (1 and 0 if no words are given); and the ends that the path tightens."""
    cuts, tightened = [], []
    for number, above, middle in path:
        name, index = read.entries[number]
        tightened.append((name, index, not above, middle))
        if machine.program.values[name].kind != "input":
            cuts.append(read.cuts[number][above])
    if words is None:
        return [((1, 0), row) for row in disjunct], tightened
    return list(
        zip(map(short, map(int, words[: len(disjunct) + len(cuts)])), [*disjunct, *cuts], strict=True)
    ), tightened
