"""Writing what the search found as steps of a certificate. Steps that bound neurons are taken at once, on `ground`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify import tree_writer
from tlverify.certify.search.dual import SLOPE_ONE, Relaxation
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.layers import Layers
from tlverify.certify.search.tighten import Tree

Step = dict[str, Any]


class Steps:
    """Steps and their payload, in order."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.payload = bytearray()
        self.leaves = 0

    def copy(self) -> Steps:
        other = Steps()
        other.steps, other.payload, other.leaves = list(self.steps), bytearray(self.payload), self.leaves
        return other

    def _add(self, ground: Ground, step: Step, payload: bytes = b"") -> None:
        ground.take([step], payload)
        self.steps.append(step)
        self.payload += payload

    def interval(self, ground: Ground, names: Sequence[str]) -> None:
        if names:
            self._add(ground, {"rule": "interval", "nodes": list(names)})

    def bound(self, ground: Ground, node: str, lower: Sequence[int], upper: Sequence[int]) -> None:
        """Backward bounds with default slopes."""
        plain: Step = {"slopes": {}, "cuts": [], "multipliers": []}
        self._add(ground, {"rule": "bound", "node": node, "lower": list(lower), "upper": list(upper), **plain})

    def bound_with_slopes(
        self, ground: Ground, layers: Layers, relaxation: Relaxation, node: str, rows: Sequence[tuple[int, bool, Tree]]
    ) -> None:
        """Backward bounds of (entry, is upper, tree of one leaf) with the slopes of that leaf."""
        ordered = [*(row for row in rows if not row[1]), *(row for row in rows if row[1])]
        alpha = np.concatenate([tree.duals.alpha for *_, tree in ordered])
        used = np.concatenate([tree.used for *_, tree in ordered])
        listing, wide, default = _listing(layers, relaxation, alpha, used)
        payload = _carried(alpha[:, wide], used[:, wide], default[wide]).tobytes()
        lower = [int(index) for index, upper, _ in ordered if not upper]
        upper = [int(index) for index, upper, _ in ordered if upper]
        step: Step = {"rule": "bound", "node": node, "lower": lower, "upper": upper, "slopes": listing}
        self._add(ground, {**step, "cuts": [], "multipliers": []}, payload)

    def lemma(self, node: str, index: int, upper: bool, at: float) -> None:
        side = "upper" if upper else "lower"
        step = {"rule": "lemma", "node": node, "index": int(index), "side": side, "at": str(Fraction(at))}
        self.steps.append(step)

    def ball(self, name: str, direction: Sequence[str]) -> None:
        self.steps.append({"rule": "ball", "input": name, "direction": list(direction)})

    def cases(self) -> None:
        self.steps.append({"rule": "cases"})

    def tree(self, layers: Layers, relaxation: Relaxation, tree: Tree, words: npt.NDArray[np.uint16]) -> None:
        """`words` (leaves, conjuncts) are the multipliers of the goal's inequalities."""
        step, payload = pack_tree(layers, relaxation, tree, words)
        self.steps.append(step)
        self.payload += payload
        self.leaves += len(tree.leaves)


def pack_tree(layers: Layers, relaxation: Relaxation, tree: Tree, words: npt.NDArray[np.uint16]) -> tuple[Step, bytes]:
    """The step `tree` and its payload."""
    fold = relaxation.fold
    made = {node: j for j, (node, _) in enumerate(tree.splits)}
    neurons = sorted({neuron for _, neuron in tree.splits})
    number = {neuron: k for k, neuron in enumerate(neurons)}
    row = {node: r for r, node in enumerate(tree.leaves)}
    paths: list[tuple[int, ...]] = []
    nodes: list[int] = []
    order: list[int] = []  # rows of the leaves
    stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while stack:  # in preorder
        node, path = stack.pop()
        if node in made:
            j = made[node]
            neuron = tree.splits[j][1]
            nodes.append(number[neuron])
            stack += [(2 * j + 2, (*path, neuron)), (2 * j + 1, (*path, neuron))]
        else:
            nodes.append(-1)
            order.append(row[node])
            paths.append(path)
    lengths = [len(path) for path in paths]
    columns = np.fromiter((neuron for path in paths for neuron in path), np.intp, sum(lengths))
    multipliers = encode(tree.duals.beta[np.repeat(order, lengths), columns])
    ends = np.cumsum(lengths).tolist()
    given = [
        [np.concatenate([words[r], multipliers[end - length : end]])]
        for r, length, end in zip(order, lengths, ends, strict=True)
    ]
    listing, wide, default = _listing(layers, relaxation, tree.duals.alpha, tree.used)
    slopes = _carried(tree.duals.alpha[order][:, wide], tree.used[order][:, wide], default[wide])
    entries = [(layers.layers[fold.layer[n]].source, int(fold.index[n])) for n in neurons]
    return tree_writer.tree(nodes, entries, listing=listing, words=given, slopes=slopes[:, None])


def _carried(
    alpha: npt.NDArray[np.uint8], used: npt.NDArray[np.bool_], first: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint8]:
    """Slopes (leaves, n) in which those that do not matter are as in the row before, so that they cost nothing."""
    result = np.empty_like(alpha)
    for r in range(len(alpha)):
        first = np.where(used[r], alpha[r], first)
        result[r] = first
    return result


def _listing(
    layers: Layers, relaxation: Relaxation, alpha: npt.NDArray[np.uint8], used: npt.NDArray[np.bool_]
) -> tuple[dict[str, list[int]], npt.NDArray[np.intp], npt.NDArray[np.uint8]]:
    """The neurons for which some row has its own slope, as a certificate lists them; their numbers in the fold in that
    order; and the default slopes of all."""
    fold = relaxation.fold
    default = np.where(fold.upper > -fold.lower, SLOPE_ONE, 0).astype(np.uint8)
    listed = np.flatnonzero((used & (alpha != default)).any(0))
    names = [layer.name for layer in layers.layers]
    listing: dict[str, list[int]] = {}
    columns: list[npt.NDArray[np.intp]] = []
    for name in sorted({names[k] for k in fold.layer[listed]}):
        own = listed[fold.layer[listed] == names.index(name)]
        listing[name] = fold.index[own].tolist()
        columns.append(own)
    return listing, np.concatenate(columns) if columns else np.zeros(0, np.intp), default


def encode(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Multipliers >= 0 as (integer below 1024) * 2^(k - 42): floored, and held to the largest."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    integer = np.floor(np.ldexp(mantissa, 10)).astype(np.int64)
    power = exponent.astype(np.int64) - 10 + 42
    low = np.minimum(power, 0)  # too small: fewer bits
    integer = np.floor(np.ldexp(integer.astype(np.float64), low)).astype(np.int64)
    power = np.where(integer == 0, 0, np.maximum(power, 0))
    over = power > 63
    integer, power = np.where(over, 1023, integer), np.where(over, 63, power)
    return (power << 10 | integer).astype(np.uint16)
