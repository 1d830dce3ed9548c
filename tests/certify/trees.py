"""Trees from nested descriptions: what the tests write before `tree_writer` puts it into bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.certify.tree_writer import ONE, tree

Turns = tuple[tuple[int, bool], ...]
"""The splits of a path from the root: entry, whether it is the half above."""


@dataclass(frozen=True)
class Split:
    """A node that splits an entry."""

    entry: int
    below: Split | Leaf
    above: Split | Leaf


@dataclass(frozen=True)
class Leaf:
    """What a leaf brings: for each disjunct its multipliers in 16 bits, and its slopes."""

    words: Sequence[Sequence[int]] = ()
    slopes: Sequence[Sequence[int]] = ()


def full(order: Sequence[int], leaf: Callable[[Turns], Split | Leaf], path: Turns = ()) -> Split | Leaf:
    """The tree that splits these entries one after the other on every path."""
    if not order:
        return leaf(path)
    halves = (full(order[1:], leaf, (*path, (order[0], above))) for above in (False, True))
    return Split(order[0], *halves)


def preorder(root: Split | Leaf) -> tuple[list[int], list[Leaf]]:
    """Entries of the nodes in preorder (-1: leaf), and the leaves."""
    if isinstance(root, Leaf):
        return [-1], [root]
    parts = [preorder(half) for half in (root.below, root.above)]
    return [root.entry, *parts[0][0], *parts[1][0]], [*parts[0][1], *parts[1][1]]


def written(
    root: Split | Leaf,
    entries: Sequence[tuple[str, int]],
    steps: Sequence[dict[str, Any]] = (),
    listing: Mapping[str, Sequence[int]] | None = None,
    weighted: bool = False,
) -> tuple[dict[str, Any], bytes]:
    """The step and its part of the payload."""
    nodes, leaves = preorder(root)
    words = [[np.array(part, dtype=np.uint16) for part in leaf.words] for leaf in leaves] if weighted else None
    slopes = np.array([leaf.slopes for leaf in leaves], dtype=np.uint8) if listing else None
    return tree(nodes, entries, steps, listing, words, slopes)


Ends = Mapping[tuple[str, int], tuple[int, int]]
"""For each entry of an input the ends of its range, in the unit of its interval."""


def expanded(
    root: Split | Leaf,
    entries: Sequence[tuple[str, int]],
    inner: Sequence[dict[str, Any]],
    listing: Mapping[str, Sequence[int]],
    weighted: bool,
    disjuncts: Sequence[int],
    ends: Ends,
    exponents: Mapping[str, int],
) -> tuple[list[dict[str, Any]], bytes]:
    """The steps of other rules that a `tree` step stands for, and what they take from the payload."""
    steps: list[dict[str, Any]] = []
    payload = bytearray()

    def node(here: Split | Leaf, cuts: list[int], depth: int, ends: Ends) -> None:
        steps.extend(inner)
        if isinstance(here, Leaf):
            words = here.words if weighted else [[ONE] * rows + [0] * len(cuts) for rows in disjuncts]
            multipliers = [[str(Fraction(w & 1023) * Fraction(2) ** ((w >> 10) - 42)) for w in part] for part in words]
            steps.append({"rule": "close", "multipliers": multipliers, "slopes": dict(listing), "cuts": cuts})
            payload.extend(slope for part in here.slopes for slope in part)
            return
        (name, index), at = entries[here.entry], 0
        inputs = (name, index) in ends
        if inputs:
            at = sum(ends[name, index]) >> 1
        text = str(at * Fraction(2) ** exponents.get(name, 0))
        steps.append({"rule": "split", "node": name, "index": index, "at": text})
        for half, above in ((here.below, False), (here.above, True)):
            own = dict(ends)
            if inputs:
                own[name, index] = (at, ends[name, index][1]) if above else (ends[name, index][0], at)
            node(half, cuts if inputs else [*cuts, depth], depth + 1, own)

    node(root, [], 0, ends)
    return steps, bytes(payload)


def grown(
    rng: random.Random,
    splits: int,
    entries: Sequence[tuple[str, int]],
    inputs: Collection[str],
    leaf: Callable[[int], Leaf],
) -> Split | Leaf:
    """A random tree of so many splits; `leaf` is given the number of phase splits above it."""

    def part(splits: int, phases: int) -> Split | Leaf:
        if not splits:
            return leaf(phases)
        below, entry = rng.randrange(splits), rng.randrange(len(entries))
        phases += entries[entry][0] not in inputs
        return Split(entry, part(below, phases), part(splits - 1 - below, phases))

    return part(splits, 0)
