"""Bounds of many parts of a region at once: tables tightened, the bad set refuted where possible, and what the choice
of a split needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tlverify.certify.interval.engine import Boxes, Seen, backward, interval_step, rebound
from tlverify.certify.search.combine import ROUGH, combine, least, weights_of, words_of
from tlverify.certify.search.root import Floats, Ints, Root

Words = npt.NDArray[np.uint16]

PHASE_LIMIT = 12  # unstable neurons up to which phases are split
OWN_WIDTH = 0.1  # weight of an input's own share in the bound against its share in the gaps
SMALLEST = 2.0**-40  # width of an input, as part of its size, below which it is not halved
SLACK = 1e-9  # a combination's bound exceeds 0 by this part of its terms


@dataclass(frozen=True)
class Block:
    """Parts of the region: numbers in the tree, tables, and the half-spaces coefficient . x + constant >= 0 of the
    phases on their paths, (parts, most, inputs) and (parts, most), zeros where the path is shorter."""

    numbers: Ints
    boxes: Boxes
    coefficients: Floats
    constants: Floats

    def part(self, rows: Ints) -> Block:
        return Block(self.numbers[rows], self.boxes.part(rows), self.coefficients[rows], self.constants[rows])

    def __len__(self) -> int:
        return len(self.numbers)


def joined(*blocks: Block) -> Block:
    """All in one, with half-spaces of one width."""
    most = max(block.constants.shape[1] for block in blocks)
    more = [most - block.constants.shape[1] for block in blocks]
    return Block(
        np.concatenate([block.numbers for block in blocks]),
        Boxes.stacked([block.boxes for block in blocks]),
        np.concatenate([np.pad(b.coefficients, ((0, 0), (0, k), (0, 0))) for b, k in zip(blocks, more, strict=True)]),
        np.concatenate([np.pad(b.constants, ((0, 0), (0, k))) for b, k in zip(blocks, more, strict=True)]),
    )


@dataclass(frozen=True)
class Affine:
    """Linear lower bounds over each part: coefficient . x + constant, (parts, k, inputs) and (parts, k)."""

    coefficients: Floats
    constants: Floats


@dataclass(frozen=True)
class Planes:
    """For each neuron of a layer, what its phase says of the inputs: if it is >= 0 then `above` is, if it is <= 0 then
    `below` is; (parts, 2, n, inputs) and (parts, 2, n), first below. They are opposite but for what rounding takes."""

    coefficients: Floats
    constants: Floats


class Bounder:
    """Bounds a block: tightens its table in place, and keeps what the choice of splits needs."""

    def __init__(self, root: Root, block: Block) -> None:
        self.root, self.block = root, block
        self.lower = np.concatenate([block.boxes.lower[name] for name in root.program.inputs], 1)
        self.upper = np.concatenate([block.boxes.upper[name] for name in root.program.inputs], 1)
        self.shares: dict[str, Floats] = {}
        self.planes: dict[str, Planes] = {}
        for step in root.template:
            if step["rule"] == "rebound":
                self._layer(step["node"])
            else:
                for name in step["nodes"]:
                    interval_step(root.network, block.boxes, name)
        self._close()

    def _layer(self, name: str) -> None:
        """Bound the unstable neurons of a layer again; note how their bounds depend on the inputs."""
        size, inputs = self.root.program.values[name].size, len(self.root.inputs)
        coefficients = np.zeros((len(self.block), 2, size, inputs))
        constants = np.zeros((len(self.block), 2, size))

        def watch(at: Ints, index: Ints, seen: Seen, found: Floats) -> None:
            row = self._inputs(seen, found.shape)
            for side in (0, 1):  # the value is above the first bound, minus the value above the second
                coefficients[at, side, index] = -row[side]
                constants[at, side, index] = least(row[side], -found[side], self.lower[at], self.upper[at])
            moved = np.abs(row).sum(0) * (self.upper[at] - self.lower[at])
            shares[at, index] = moved / np.maximum(moved.sum(-1, keepdims=True), 1e-300)

        shares = np.zeros((len(self.block), size, inputs))
        rebound(self.root.network, self.root.reaches, self.block.boxes, name, watch)
        self.shares[name], self.planes[name] = shares, Planes(coefficients, constants)

    def _inputs(self, seen: Seen, shape: tuple[int, ...]) -> Floats:
        """The coefficients on all inputs side by side, (*shape, inputs)."""
        parts = []
        for name in self.root.program.inputs:
            row = seen[name]
            parts.append(np.zeros((*shape, self.root.program.values[name].size)) if row is None else row)
        return np.concatenate(parts, -1)

    def _bound(self, at: Ints, start: Mapping[str, Floats], constant: Floats) -> tuple[Affine, Floats]:
        """Linear lower bounds (parts, k, inputs) of start . values + constant in the parts `at`, and their least values
        (parts, k), of rows (k, parts, n). `seen` keeps the coefficients on the way."""
        program = self.root.program
        self.seen: Seen = dict.fromkeys(
            [*program.inputs, *(v.name for v in program.values.values() if v.kind == "relu")]
        )
        found = backward(
            self.root.network, self.root.reaches, self.block.boxes, at, start, constant, {}, seen=self.seen
        )
        rows = np.swapaxes(self._inputs(self.seen, found.shape), 0, 1)
        zero = np.zeros(found.T.shape)
        return Affine(rows, found.T - least(rows, zero, self.lower[at][:, None], self.upper[at][:, None])), found.T

    def _close(self) -> None:
        """Bounds of minus each conjunct, and for each disjunct the best combination of them and the half-spaces."""
        root, block = self.root, self.block
        parts, cuts = len(block), block.constants.shape[1]
        every = np.arange(parts)
        self.words: list[Words] = []
        self.weights: list[Floats] = []
        self.values = np.empty((parts, len(root.disjuncts)))
        start = {name: np.repeat(-rows[:, None], parts, 1) for name, rows in root.rows.items()}
        self.conjuncts, found = self._bound(every, start, np.repeat(root.bounds[:, None], parts, 1))
        seen = self.seen
        for d, mine in enumerate(root.disjuncts):
            best = found[:, mine].argmax(1)
            weights = np.zeros((parts, len(mine) + cuts))
            weights[every, best] = 1.0
            value = found[every, mine[best]]
            hard = np.flatnonzero(value <= 0)
            if len(hard) and (len(mine) > 1 or cuts):
                weights[hard], value[hard] = self._combine(mine, hard)
            self.words.append(words_of(weights))
            self.weights.append(weights)
            self.values[:, d] = value
        self.seen = seen

    def _combine(self, mine: Ints, hard: Ints) -> tuple[Floats, Floats]:
        """Multipliers of the conjuncts `mine` and the half-spaces in the parts `hard`, and the value that they reach.

        The conjuncts' sum is bounded again as one, as the checker does: parts of them cancel that had to be relaxed
        apart. Mostly that is more than the sum of their bounds, but not always.
        """
        block = self.block
        lower, upper = self.lower[hard], self.upper[hard]
        rows = np.concatenate([self.conjuncts.coefficients[hard][:, mine], -block.coefficients[hard]], 1)
        constants = np.concatenate([self.conjuncts.constants[hard][:, mine], -block.constants[hard]], 1)
        best = combine(rows, constants, lower, upper)
        weights, value = np.zeros_like(best), np.full(len(hard), -np.inf)
        for step in ROUGH:
            again = np.flatnonzero(value <= 0)
            weights[again] = weights_of(words_of(best[again], step))
            row = np.einsum("bk,bkn->bn", weights[again], rows[again])
            constant = (weights[again] * constants[again]).sum(1)
            slack = SLACK * (np.abs(weights[again] * constants[again]).sum(1) + 1e-300)
            value[again] = least(row, constant, lower[again], upper[again]) - slack
        if len(mine) > 1:
            value = self._joint(mine, hard, weights)
            again = np.flatnonzero(value <= 0)
            weights[again] = weights_of(words_of(best[again]))
            value[again] = self._joint(mine, hard[again], weights[again])
        return weights, value

    def _joint(self, mine: Ints, at: Ints, weights: Floats) -> Floats:
        """The bound of a combination as the checker takes it, in the parts `at`: all inequalities as one."""
        if not len(at):
            return np.zeros(0)
        root, block = self.root, self.block
        own, cut = weights[:, : len(mine)], weights[:, len(mine) :]
        start = {name: -(own @ matrix[mine])[None] for name, matrix in root.rows.items()}
        joint, _ = self._bound(at, start, (own @ root.bounds[mine])[None])
        row = joint.coefficients[:, 0] - np.einsum("bk,bkn->bn", cut, block.coefficients[at])
        constant = joint.constants[:, 0] - (cut * block.constants[at]).sum(1)
        size = np.abs(joint.constants[:, 0]) + (cut * np.abs(block.constants[at])).sum(1)
        found: Floats = least(row, constant, self.lower[at], self.upper[at]) - SLACK * (size + 1e-300)
        return found

    def scores(self, at: Ints) -> tuple[Floats, dict[str, Floats]]:
        """For parts `at`: of each input, what halving it promises (parts, inputs); and the gaps by layer (parts, n)."""
        root = self.root
        worst = self.values[at].argmin(1)
        weights = np.zeros((len(at), len(root.bounds)))
        for d, mine in enumerate(root.disjuncts):
            rows = np.flatnonzero(worst == d)
            weights[rows[:, None], mine[None]] = self.weights[d][at[rows], : len(mine)]
        width = self.upper[at] - self.lower[at]
        result = OWN_WIDTH * np.abs(np.einsum("bk,bkn->bn", weights, self.conjuncts.coefficients[at])) * width
        gaps: dict[str, Floats] = {}
        for value in root.program.values.values():
            row = self.seen.get(value.name)
            if row is None or value.kind != "relu":
                continue
            low, high = (
                rows[at] for rows in (self.block.boxes.lower[value.source], self.block.boxes.upper[value.source])
            )
            either = (low < 0) & (high > 0)
            coefficient = np.einsum("bk,kbn->bn", weights, row[:, at])
            chord = np.where(either, -low * high / np.where(either, high - low, 1.0), 0.0)
            lost = np.where(
                coefficient < 0, -coefficient * chord, coefficient * np.where(either, np.minimum(-low, high), 0)
            )
            gaps[value.source] = gaps.get(value.source, 0.0) + lost
            result += np.einsum("bn,bnd->bd", lost, self.shares[value.source][at])
        return result, gaps

    def divisible(self, at: Ints) -> bool:
        """Whether all parts `at` are more than a point in some input, or have a neuron that may have either sign."""
        wide = (self.upper[at] - self.lower[at] > SMALLEST * np.abs(self.upper[at])).any(1)
        for name in self.root.layers:
            wide |= ((self.block.boxes.lower[name][at] < 0) & (self.block.boxes.upper[name][at] > 0)).any(1)
        return bool(wide.all())

    def minimisers(self, at: Ints) -> Floats:
        """Corners of the parts where the relaxation of the worst disjunct is least, (parts, inputs)."""
        worst = self.values[at].argmin(1)
        row = np.zeros((len(at), len(self.root.inputs)))
        for d, mine in enumerate(self.root.disjuncts):
            rows = np.flatnonzero(worst == d)
            w = self.weights[d][at[rows]]
            row[rows] = np.einsum("bk,bkn->bn", w[:, : len(mine)], self.conjuncts.coefficients[at[rows]][:, mine])
            row[rows] -= np.einsum("bk,bkn->bn", w[:, len(mine) :], self.block.coefficients[at[rows]])
        return np.where(row > 0, self.lower[at], self.upper[at])
