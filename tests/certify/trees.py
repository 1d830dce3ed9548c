"""Trees from nested descriptions: what the tests write before `tree_writer` puts it into bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.certify.tree_writer import tree

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


def full(order: Sequence[int], leaf: Callable[[Turns], Leaf], path: Turns = ()) -> Split | Leaf:
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
