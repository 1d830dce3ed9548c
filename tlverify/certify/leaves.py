"""What the nodes and leaves of a `tree` step bring, as arrays: the reading that the arithmetics `fast` and `interval`
share. It takes from the payload exactly what kernel.tree takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import numpy.typing as npt

from tlverify.certify.kernel.backward import SLOPE_BITS
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.proof import Goal, Machine
from tlverify.certify.kernel.tree import Tree

CHUNK = 4096  # leaves whose slopes are gathered at a time
Ints = npt.NDArray[numpy.int64]
Bytes = npt.NDArray[numpy.uint8]


@dataclass(frozen=True)
class Shape:
    """For each node in preorder: the entry that it splits (-1: leaf), its half above (the half below is the next
    node), the phase split that it is under (the nearest; 0 if there is none), on which side of that it is, and how
    many phase splits it is under."""

    splits: Ints
    half_above: Ints
    phase: Ints
    side: Ints
    depth: Ints

    @classmethod
    def of(cls, machine: Machine, read: Tree) -> Shape:
        inputs = {k for k, (name, _) in enumerate(read.entries) if machine.program.values[name].kind == "input"}
        count = len(read.nodes)
        half_above, phase, side, depth = ([0] * count for _ in range(4))
        stack = [(0, 0, 0, 0)]
        for node, split in enumerate(read.nodes):
            above_of, phase[node], side[node], depth[node] = stack.pop()
            half_above[above_of] = node  # overwritten for 0 until the root's half above comes
            if split < 0:
                continue
            if split in inputs:
                same = phase[node], side[node], depth[node]
                stack += [(node, *same), (count - 1, *same)]
            else:
                stack += [(node, node, 1, depth[node] + 1), (count - 1, node, 0, depth[node] + 1)]
        arrays = (numpy.array(part, dtype=numpy.int64) for part in (read.nodes, half_above, phase, side, depth))
        return cls(*arrays)

    @property
    def leaves(self) -> Ints:
        return numpy.flatnonzero(self.splits < 0)

    def phases(self, nodes: Ints) -> Ints:
        """Each node's phase splits from the root, (nodes, most depth): 2 * entry + (1 if above), -1 after them."""
        left = self.depth[nodes]
        result = numpy.full((len(nodes), int(left.max(initial=0))), -1, dtype=numpy.int64)
        here = nodes.copy()
        rows = numpy.flatnonzero(left)
        while len(rows):
            left[rows] -= 1
            phase = self.phase[here[rows]]
            result[rows, left[rows]] = 2 * self.splits[phase] + self.side[here[rows]]
            here[rows] = phase
            rows = rows[left[rows] > 0]
        return result


@dataclass(frozen=True)
class Payload:
    """What the leaves bring for each disjunct, leaf by leaf in preorder: where their multipliers begin in `raw`, and
    their slopes, (leaves, n)."""

    raw: Bytes
    begins: Sequence[Ints]
    slopes: Sequence[Bytes]
    conjuncts: Sequence[int]
    weighted: bool

    @classmethod
    def take(cls, machine: Machine, goal: Goal, read: Tree, depth: Ints, last: Bytes, where: str) -> Payload:
        """The next leaves' part of the payload. `depth` is their number of phase splits, `last` the slopes of the leaf
        before, (disjuncts, n), which are replaced."""
        width = read.slopes
        counts = [2 * (len(disjunct) + depth) * read.weighted + width for disjunct in goal.bad]
        ends = numpy.cumsum(numpy.stack(counts, 1).ravel()).reshape(len(depth), -1)
        raw = numpy.frombuffer(machine.take(int(ends[-1, -1]), where), dtype=numpy.uint8)
        begins, slopes = [], []
        for number, count in enumerate(counts):
            begins.append(ends[:, number] - count)
            given = numpy.empty((len(depth), width), dtype=numpy.uint8)
            for start in range(0, len(depth), CHUNK):  # an index takes eight times the memory of what it selects
                first = ends[start : start + CHUNK, number] - width
                part = raw[first[:, None] + numpy.arange(width)].cumsum(0, dtype=numpy.uint8) + last[number]
                given[start : start + CHUNK] = part
                last[number] = part[-1]
            if (given > 1 << SLOPE_BITS).any():
                raise Rejected(where, "a slope is above 1")
            slopes.append(given)
        return cls(raw, begins, slopes, [len(disjunct) for disjunct in goal.bad], read.weighted)

    def words(self, number: int, rows: Ints | slice, path: Ints) -> Ints | None:
        """The multipliers of a disjunct at some leaves with these phase splits, (leaves, conjuncts + depth) in 16 bits,
        0 where the path is shorter; None if there are none."""
        if not self.weighted:
            return None
        conjuncts = self.conjuncts[number]
        places = self.begins[number][rows][:, None] + 2 * numpy.arange(conjuncts + path.shape[1])
        there = numpy.concatenate([numpy.ones((len(path), conjuncts), dtype=bool), path >= 0], 1)
        safe = numpy.where(there, places, 0)
        high = self.raw[numpy.minimum(safe + 1, max(len(self.raw) - 1, 0))].astype(numpy.int64) << 8
        result: Ints = numpy.where(there, self.raw[safe] | high, 0)
        return result
