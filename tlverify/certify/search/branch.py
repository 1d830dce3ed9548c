"""Branch and bound on boxes in NumPy, for every network: many parts are bounded at once."""

from __future__ import annotations

from math import inf

import numpy as np

from tlverify.certify.kernel.errors import MAX_TREE_DEPTH
from tlverify.certify.search.boxes import PHASE_LIMIT, Block, Bounder, joined
from tlverify.certify.search.forest import Forest, Parts, Proof
from tlverify.certify.search.root import Floats, Ints, Root, halfway

BLOCK = 1024  # parts bounded together


class Branch:
    """The engine: a stack of blocks of open parts, and the trees that they belong to."""

    def __init__(self, root: Root, parts: Parts | None = None, phase_limit: int = PHASE_LIMIT) -> None:
        """With parts that another one gave away, or the whole region."""
        self.root, self.phase_limit, self.stuck, self.leaves = root, phase_limit, False, 0
        self.entries = [*root.inputs, *((n, i) for n in root.layers for i in range(root.program.values[n].size))]
        if parts is None:
            none = np.zeros(1, dtype=np.intp)
            parts = Parts(
                none, none, -inf, Block(none, root.boxes, np.zeros((1, 0, len(root.inputs))), np.zeros((1, 0)))
            )
        self.forest = Forest.of(parts.depths)
        self.stack: list[Block] = []
        self.least: list[float] = []
        self.put(parts)

    def __len__(self) -> int:
        return sum(map(len, self.stack))

    @property
    def lower(self) -> float:
        """A bound that all open parts have."""
        return min(self.least, default=0.0)

    def advance(self) -> Floats | None:
        """Bound a block of parts, close what is refuted and split the rest, in whose corners (batch, inputs) the bad
        set may be reached. It is `stuck` if a part is too small to be split."""
        block, reached = self.stack.pop(), self.least.pop()
        while len(block) < BLOCK and self.stack:
            block, reached = joined(self.stack.pop(), block), min(reached, self.least.pop())
        if len(block) > BLOCK:
            first, last = np.split(np.arange(len(block)), [-BLOCK])
            self._push(block.part(first), reached)
            block = block.part(last)
        bounder = Bounder(self.root, block)
        closed = (bounder.values > 0).all(1)
        for row in np.flatnonzero(closed).tolist():
            number = int(block.numbers[row])
            depth = int(self.forest.depths(block.numbers[row]))
            parts = zip(bounder.words, self.root.disjuncts, strict=True)
            self.forest.close(number, [words[row, : len(mine) + depth] for words, mine in parts])
        self.leaves += int(closed.sum())
        at = np.flatnonzero(~closed)
        if not len(at):
            return None
        points = bounder.minimisers(at)
        self.stuck = self.forest.depths(block.numbers[at]).max() >= MAX_TREE_DEPTH or not bounder.divisible(at)
        if self.stuck:
            self._push(block.part(at), reached)
        else:
            self._push(self._split(block, bounder, at), max(reached, float(bounder.values[at].min())))
        return points

    def _push(self, block: Block, lower: float) -> None:
        self.stack.append(block)
        self.least.append(lower)

    def take(self, which: slice) -> Parts:
        """Give parts away, by their places in the stack."""
        whole, lower = joined(*self.stack), self.lower
        places = np.arange(len(whole))
        given, rest = places[which], np.delete(places, which)
        self.stack, self.least = [], []
        if len(rest):
            self._push(whole.part(rest), lower)
        block = whole.part(given)
        return Parts(block.numbers, self.forest.depths(block.numbers), lower, block)

    def put(self, parts: Parts) -> None:
        """Begin with these, which have nodes of this forest; no other is open."""
        block = parts.known
        boxes = block.boxes.part(np.arange(len(block)))  # they are tightened in place
        self.stack = [Block(parts.numbers, boxes, block.coefficients, block.constants)]
        self.least = [parts.lower]

    def proof(self) -> Proof:
        """The tree of node 0, once it is complete."""
        return self.forest.proof(self.entries, map(len, self.root.disjuncts))

    def _split(self, block: Block, bounder: Bounder, at: Ints) -> Block:
        """Both halves of the parts `at` of a block."""
        root, inputs = self.root, len(self.root.inputs)
        scores, gaps = bounder.scores(at)
        chosen = scores.argmax(1)
        counts = {}
        for name in root.layers:
            low, high = block.boxes.lower[name][at], block.boxes.upper[name][at]
            counts[name] = ((low < 0) & (high > 0)).sum(1)
        total = sum(counts.values())
        few = (total > 0) & (total <= self.phase_limit)
        depth = self.forest.depths(block.numbers[at])
        most = int((depth + few).max())
        coefficients = np.zeros((2, len(at), most, inputs))  # of the half-spaces of both halves
        constants = np.zeros((2, len(at), most))
        known = min(most, block.constants.shape[1])
        coefficients[:, :, :known] = block.coefficients[at, :known]
        constants[:, :, :known] = block.constants[at, :known]
        todo, first = few, inputs
        for name in root.layers:  # the earliest that has an unstable neuron
            rows = np.flatnonzero(todo & (counts[name] > 0))
            todo = todo & (counts[name] == 0)
            if len(rows):
                low, high = block.boxes.lower[name][at[rows]], block.boxes.upper[name][at[rows]]
                gap = gaps.get(name, np.zeros((len(at), low.shape[1])))[rows] + 1e-30 * (high - low)
                neuron = np.where((low < 0) & (high > 0), gap, -1.0).argmax(1)
                chosen[rows] = first + neuron
                plane = bounder.planes[name]
                for half in (0, 1):
                    coefficients[half, rows, depth[rows]] = plane.coefficients[at[rows], half, neuron]
                    constants[half, rows, depth[rows]] = plane.constants[at[rows], half, neuron]
            first += root.program.values[name].size
        numbers = self.forest.halve(block.numbers[at], chosen, few)
        below, above = block.boxes.part(at), block.boxes.part(at)
        for entry in np.unique(chosen).tolist():
            name, index = self.entries[entry]
            rows = np.flatnonzero(chosen == entry)
            cut = np.zeros(len(rows))
            if root.program.values[name].kind == "input":
                cut = halfway(root, name, below.lower[name][rows, index], below.upper[name][rows, index])
            below.upper[name][rows, index] = np.minimum(below.upper[name][rows, index], cut)
            above.lower[name][rows, index] = np.maximum(above.lower[name][rows, index], cut)
        halves = zip((numbers, numbers + 1), (below, above), coefficients, constants, strict=True)
        return joined(*(Block(*half) for half in halves))
