"""The trees of a branch and bound as arrays, one for each part of the region that it began with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]
Words = npt.NDArray[np.uint16]

SPLIT, HALF, DEPTH, BEGIN = 0, 1, 2, 3  # in a row of `nodes`
NODES, WORDS = 1 << 12, 1 << 16  # room at first


@dataclass(frozen=True)
class Proof:
    """A complete tree: of each node in preorder the entry that it splits, -1 for a leaf; the multipliers of each
    disjunct at each leaf."""

    nodes: Ints
    entries: Sequence[tuple[str, int]]
    words: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Parts:
    """Open parts of a search: their nodes, how many phases are split on the way there, a bound that all of them have,
    and what the engine knows of them."""

    numbers: Ints
    depths: Ints
    lower: float
    known: Any

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass
class Forest:
    """Of each node a row (what it splits: the number of an entry, -1 nothing; its half below, that above is the next;
    its depth in phase splits; where a leaf's multipliers begin), and all multipliers. Only `size` rows and `used`
    multipliers count, the rest is room."""

    nodes: Ints
    words: Words
    size: int
    used: int = 0

    @classmethod
    def of(cls, depths: Ints) -> Forest:
        """Trees of one node each, numbered from 0."""
        forest = cls(np.zeros((NODES, 4), dtype=np.int64), np.zeros(WORDS, dtype=np.uint16), 0)
        forest.grow(len(depths), 0)
        forest.size = len(depths)
        forest.nodes[: forest.size] = -1
        forest.nodes[: forest.size, DEPTH] = depths
        return forest

    def grow(self, nodes: int, words: int) -> None:
        """Make room for more."""
        while self.size + nodes > len(self.nodes):
            self.nodes = np.concatenate([self.nodes, np.zeros_like(self.nodes)])
        while self.used + words > len(self.words):
            self.words = np.concatenate([self.words, np.zeros_like(self.words)])

    def depths(self, numbers: Ints) -> Ints:
        """How many phases are split on the way to nodes."""
        depths: Ints = self.nodes[numbers, DEPTH]
        return depths

    def halve(self, numbers: Ints, splits: Ints, phases: Ints) -> Ints:
        """Split nodes, which are 1 in `phases` where a phase is split; the numbers of their halves below."""
        self.grow(2 * len(numbers), 0)
        below: Ints = self.size + 2 * np.arange(len(numbers))
        self.nodes[numbers, SPLIT], self.nodes[numbers, HALF] = splits, below
        self.size += 2 * len(numbers)
        for half in (below, below + 1):
            self.nodes[half] = -1
            self.nodes[half, DEPTH] = self.nodes[numbers, DEPTH] + phases
        return below

    def close(self, number: int, words: Sequence[Words]) -> None:
        """Make a node a leaf, with the multipliers of each disjunct."""
        row = np.concatenate(words)
        self.grow(0, len(row))
        self.nodes[number, BEGIN] = self.used
        self.words[self.used : self.used + len(row)] = row
        self.used += len(row)

    def trimmed(self) -> Forest:
        """Without room."""
        return Forest(self.nodes[: self.size].copy(), self.words[: self.used].copy(), self.size, self.used)

    def graft(self, numbers: Ints, other: Forest) -> Ints:
        """Put the other's trees in the place of the nodes `numbers`; the numbers that all its nodes have here."""
        self.grow(other.size - len(numbers), other.used)
        where: Ints = np.concatenate([numbers, self.size + np.arange(other.size - len(numbers))])
        rows = other.nodes[: other.size].copy()
        rows[:, HALF] = np.where(rows[:, SPLIT] >= 0, where[rows[:, HALF]], -1)
        rows[:, BEGIN] += self.used
        self.nodes[where] = rows
        self.words[self.used : self.used + other.used] = other.words[: other.used]
        self.size += other.size - len(numbers)
        self.used += other.used
        return where

    def proof(self, entries: Sequence[tuple[str, int]], conjuncts: Iterable[int]) -> Proof:
        """The tree of node 0, all of whose leaves are closed, as it stands in a certificate. Entries are those that it
        splits, in the order given; `conjuncts` is how many inequalities each disjunct has."""
        order, waiting = [], [0]
        split, half = self.nodes[:, SPLIT].tolist(), self.nodes[:, HALF].tolist()
        while waiting:
            number = waiting.pop()
            order.append(number)
            if split[number] >= 0:
                waiting += [half[number] + 1, half[number]]
        used, numbers = np.unique(self.nodes[order, SPLIT], return_inverse=True)
        shift = int(used[0] < 0)
        leaves = [number for number in order if split[number] < 0]
        sizes, found = list(conjuncts), []
        for begin, depth in zip(self.nodes[leaves, BEGIN].tolist(), self.nodes[leaves, DEPTH].tolist(), strict=True):
            parts = []
            for size in sizes:
                parts.append(self.words[begin : begin + size + depth])
                begin += size + depth
            found.append(parts)
        return Proof(numbers - shift, [entries[k] for k in used[shift:].tolist()], found)


class Engine(Protocol):
    """Branch and bound on the open parts of a forest: `Walk` or `Branch`."""

    forest: Forest
    stuck: bool

    def __len__(self) -> int: ...
    @property
    def leaves(self) -> int: ...
    @property
    def lower(self) -> float: ...
    def advance(self) -> npt.NDArray[np.float64] | None: ...
    def take(self, which: slice) -> Parts: ...
    def put(self, parts: Parts) -> None: ...
    def proof(self) -> Proof: ...
