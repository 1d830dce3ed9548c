"""Writing a step of the rule `tree` and its part of the payload, from arrays. The kernel has its own reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint16]

ONE = 512 + (33 << 10)
"""The multiplier 1 in 16 bits."""


def tree(
    nodes: Sequence[int] | Ints,
    entries: Sequence[tuple[str, int]],
    steps: Sequence[Mapping[str, Any]] = (),
    listing: Mapping[str, Sequence[int]] | None = None,
    words: Sequence[Sequence[Words]] | None = None,
    slopes: Bytes | None = None,
) -> tuple[dict[str, Any], bytes]:
    """The step and the bytes that it takes from the payload.

    `nodes` in preorder (a split node, its half below, its half above): the number of the entry that is split, -1 for a
    leaf. `steps` are taken at every node. `words[leaf][disjunct]` are the 16-bit multipliers of the disjunct's
    inequalities and then of the path's phase splits from the root; None: 1 and 0. `slopes` is (leaves, disjuncts, n)
    in units of 1/128, for the n neurons of `listing`, its names sorted; None if there are none.
    """
    numbers = np.asarray(nodes, dtype=np.int64)
    inner = numbers[numbers >= 0]
    step = {
        "rule": "tree",
        "nodes": len(numbers),
        "entries": [[name, int(index)] for name, index in entries],
        "steps": [dict(step) for step in steps],
        "slopes": {name: [int(neuron) for neuron in neurons] for name, neurons in sorted((listing or {}).items())},
        "weighted": int(words is not None),
    }
    width = "u1" if len(entries) <= 256 else "<u2"
    flags = np.packbits(numbers >= 0, bitorder="little").tobytes()
    return step, flags + inner.astype(width).tobytes() + _leaves(words, slopes)


def _leaves(words: Sequence[Sequence[Words]] | None, slopes: Bytes | None) -> bytes:
    """For each leaf and disjunct its multipliers, then its slopes less those of the leaf before, modulo 256."""
    if slopes is None and words is None:
        return b""
    if slopes is None:
        slopes = np.zeros((len(words or ()), len((words or [()])[0]), 0), dtype=np.uint8)
    changes = np.diff(slopes.astype(np.uint8), axis=0, prepend=np.zeros((1, *slopes.shape[1:]), dtype=np.uint8))
    rows = changes.reshape(slopes.shape[0] * slopes.shape[1], slopes.shape[2])
    if words is None:
        return rows.tobytes()
    flat = [part for leaf in words for part in leaf]
    sizes = 2 * np.array([len(part) for part in flat], dtype=np.int64)
    given = np.concatenate(flat).astype("<u2").view(np.uint8)
    begins = np.cumsum(sizes + rows.shape[1]) - sizes - rows.shape[1]
    result = np.empty(len(given) + rows.size, dtype=np.uint8)
    within = np.arange(len(given)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    result[np.repeat(begins, sizes) + within] = given
    result[(begins + sizes)[:, None] + np.arange(rows.shape[1])] = rows
    return result.tobytes()
