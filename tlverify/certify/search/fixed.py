"""Nodes with the phase of every neuron fixed: there the network is affine, and what is left is a linear program."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tlverify.certify.search.combine import combine_or_meet
from tlverify.certify.search.dual import Nodes, Relaxation, shorten
from tlverify.certify.search.fold import Rows

MEMORY = 1 << 26  # bytes of the normal equations of the nodes that are solved at a time
MOST_INPUTS = 1024  # above, one would take seconds
LEAST = 1e-6  # the row's multiplier beside the largest: it is 0 where the phases alone contradict one another (Farkas)


def settle(relaxation: Relaxation, row: Rows, nodes: Nodes) -> tuple[Nodes, Any]:
    """The nodes with the best multipliers, and points t (nodes, inputs): where no multipliers refute the row, (1, ...),
    it is below 0 there. Nodes in which a phase is open keep theirs, and their point is the middle."""
    fold = relaxation.fold
    count, n = len(nodes.phase), fold.rows.t.shape[1]
    beta, points = nodes.beta.copy(), np.zeros((count, n), np.float32)
    every = np.flatnonzero((nodes.phase != 0).all(1)) if n <= MOST_INPUTS else np.zeros(0, np.intp)
    width = max(1, MEMORY // (8 * (n + 1) * (n + fold.size + 2)))
    for first in range(0, len(every), width):
        part = every[first : first + width]
        phase = nodes.phase[part]
        A, c = _rows(relaxation, row, phase)
        ends = np.ones((len(part), n))
        weights, points[part] = combine_or_meet(A, c, -ends, ends)
        beta[part] = shorten(weights[:, 1:] / np.maximum(weights[:, :1], LEAST))
    return replace(nodes, beta=beta), points


def _rows(relaxation: Relaxation, row: Rows, phase: Any) -> tuple[Any, Any]:
    """The row, and -phase z of each neuron, as affine functions A t + c: (nodes, 1 + neurons, inputs) and without the
    last axis. No point of the node has all of them below 0 if the row is positive there."""
    fold = relaxation.fold
    A = np.tile(fold.rows.t.astype(np.float64), (len(phase), 1, 1))
    c = np.tile(fold.rows.constant.astype(np.float64), (len(phase), 1))
    above = phase > 0
    for first, last in fold.ends:
        u = fold.rows.u[first:last, :first] * above[:, None, :first]
        A[:, first:last] += u @ A[:, :first]
        c[:, first:last] += (u @ c[:, :first, None])[..., 0]
    u = row.u[:1] * above
    A = np.concatenate([row.t[:1] + u[:, None] @ A, -phase[..., None] * A], 1)
    c = np.concatenate([row.constant[:1, None] + u[:, None, :] @ c[..., None], -(phase * c)[..., None]], 1)
    return A, c[..., 0]
