"""Branch and bound for networks of few inputs: boxes are halved, and phases split once few neurons are unstable.

Bounds are those of the arithmetic `interval`, the same that checks the certificate: in each part only the neurons that
may still have either sign are bounded again. What made the difference on ACAS Xu, in order: the dimension to halve by
what each input contributes to the relaxation gaps; adaptive lower slopes; refuting all inequalities of a disjunct and
the path's half-spaces together; phase splits, always in the earliest layer that has an unstable neuron, where the
half-space is exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify import certificate
from tlverify.certify.claim import Claim
from tlverify.certify.interval.engine import Boxes, Engine, Network, Reaches, backward, rebound
from tlverify.certify.kernel import RULES
from tlverify.certify.kernel.claim import Claim as Statement
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.program import Program
from tlverify.certify.kernel.proof import STEPS, Goal, Machine
from tlverify.certify.search.combine import combine, least, weights_of, words_of
from tlverify.certify.search.layers import Layers, forward
from tlverify.certify.search.phases import Search
from tlverify.certify.search.points import BadSet, attack
from tlverify.certify.search.problem import inside
from tlverify.certify.tree_writer import tree

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Words = npt.NDArray[np.uint16]

BLOCK = 256  # parts bounded together
PHASE_LIMIT = 12  # unstable neurons up to which phases are split
OWN_WIDTH = 0.1  # weight of an input's own share in the bound against its share in the gaps
SLACK = 1e-9  # a leaf's bound exceeds 0 by this part of its terms, so that shorter arithmetic proves it too


@dataclass(frozen=True)
class Root:
    """The claim's region with its table, and the bad set as rows: conjunct k is rows . values >= bounds[k]."""

    program: Program
    network: Network
    reaches: Reaches
    boxes: Boxes
    steps: Sequence[dict[str, Any]]
    layers: Sequence[str]
    inputs: Sequence[tuple[str, int]]
    rows: Mapping[str, Floats]
    bounds: Floats
    disjuncts: Sequence[Ints]
    exponents: Mapping[str, int]


@dataclass(frozen=True)
class Block:
    """Parts of the region: numbers in the tree, tables, and the half-spaces coefficient . x + constant >= 0 of the
    phases on their paths, (parts, most, inputs) and (parts, most), zeros where the path is shorter."""

    numbers: Ints
    boxes: Boxes
    coefficients: Floats
    constants: Floats

    def part(self, rows: Ints | slice) -> Block:
        return Block(self.numbers[rows], self.boxes.part(rows), self.coefficients[rows], self.constants[rows])

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass
class Tree:
    """The tree so far. Of node i: what it splits (an index into `entries`, -1 if it does not), its half below (the half
    above is the next), its depth in phase splits, and for a leaf the multipliers of each disjunct."""

    entries: dict[tuple[str, int], int] = field(default_factory=dict)
    split: list[int] = field(default_factory=lambda: [-1])
    below: list[int] = field(default_factory=lambda: [-1])
    depth: list[int] = field(default_factory=lambda: [0])
    words: dict[int, list[Words]] = field(default_factory=dict)

    def entry(self, name: str, index: int) -> int:
        return self.entries.setdefault((name, index), len(self.entries))

    def halve(self, number: int, entry: int, phase: bool) -> int:
        """Split a node; the number of its half below."""
        self.split[number], self.below[number] = entry, len(self.split)
        self.split += [-1, -1]
        self.below += [-1, -1]
        self.depth += [self.depth[number] + phase] * 2
        return len(self.split) - 2

    def preorder(self) -> list[int]:
        """Node numbers as they stand in a certificate."""
        order, stack = [], [0]
        while stack:
            number = stack.pop()
            order.append(number)
            if self.split[number] >= 0:
                stack += [self.below[number] + 1, self.below[number]]
        return order


def prepare_root(program: Program, claim: Statement) -> Root:
    """The table at the root, by the kernel's own rules in the arithmetic `interval`."""
    engine = Engine()
    machine = Machine(program, claim, b"", RULES, engine)
    goal = machine.goal
    if goal is None:
        raise TypeError("a machine begins with a goal")
    layers = list(dict.fromkeys(v.source for v in program.values.values() if v.kind == "relu"))
    steps: list[dict[str, Any]] = []
    names: list[str] = []
    for name, value in program.values.items():
        if value.kind == "input":
            continue
        names.append(name)
        if name in layers and value.kind == "affine":
            steps += [{"rule": "interval", "nodes": names}, {"rule": "rebound", "node": name}]
            names = []
    if names:
        steps.append({"rule": "interval", "nodes": names})
    for number, step in enumerate(steps):
        STEPS[step["rule"]](machine, goal, step, f"step {number}")
    network, boxes, reaches = engine.prepare(program, goal.bounds)
    rows, bounds, disjuncts = _bad_set(program, goal)
    inputs = [(name, index) for name in program.inputs for index in range(program.values[name].size)]
    exponents = {name: goal.bounds[name].exponent for name in program.inputs}
    own = boxes.with_own([*program.inputs, *layers])
    return Root(program, network, reaches, own, steps, layers, inputs, rows, bounds, disjuncts, exponents)


def _bad_set(program: Program, goal: Goal) -> tuple[dict[str, Floats], Floats, list[Ints]]:
    conjuncts = [inequality for disjunct in goal.bad for inequality in disjunct]
    ends = np.cumsum([0, *map(len, goal.bad)])
    rows: dict[str, Floats] = {}
    for k, inequality in enumerate(conjuncts):
        for name, index, coefficient in inequality.terms:
            if name not in rows:
                rows[name] = np.zeros((len(conjuncts), program.values[name].size))
            rows[name][k, index] = float(coefficient)
    bounds = np.array([float(inequality.bound) for inequality in conjuncts])
    return rows, bounds, [np.arange(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


@dataclass(frozen=True)
class Affine:
    """Linear lower bounds over each part: coefficient . x + constant, (parts, k, inputs) and (parts, k)."""

    coefficients: Floats
    constants: Floats


class Bounder:
    """Bounds a block: tightens its table in place, and keeps what the choice of splits needs."""

    def __init__(self, root: Root, block: Block) -> None:
        self.root, self.block = root, block
        self.lower = np.concatenate([block.boxes.lower[name] for name in root.program.inputs], 1)
        self.upper = np.concatenate([block.boxes.upper[name] for name in root.program.inputs], 1)
        self.shares: dict[str, Floats] = {}
        self.planes: dict[str, Affine] = {}
        for name in root.layers:
            if root.program.values[name].kind == "affine":
                self._layer(name)
        self._close()

    def _layer(self, name: str) -> None:
        """Bound the unstable neurons of a layer again; note how their bounds depend on the inputs."""
        size, inputs = self.root.program.values[name].size, len(self.root.inputs)
        coefficients = np.zeros((len(self.block), size, inputs))
        constants = np.zeros((len(self.block), size))

        def watch(at: Ints, index: Ints, seen: Mapping[str, Floats], found: Floats) -> None:
            row = self._inputs(seen)
            coefficients[at, index] = row[0]
            constants[at, index] = found[0] - least(row[0], np.zeros(len(at)), self.lower[at], self.upper[at])
            moved = np.abs(row).sum(0) * (self.upper[at] - self.lower[at])
            shares[at, index] = moved / np.maximum(moved.sum(-1, keepdims=True), 1e-300)

        shares = np.zeros_like(coefficients)
        rebound(self.root.network, self.root.reaches, self.block.boxes, name, watch)
        self.shares[name], self.planes[name] = shares, Affine(coefficients, constants)

    def _inputs(self, seen: Mapping[str, Floats]) -> Floats:
        """The coefficients on all inputs side by side, (..., inputs)."""
        shape = next(iter(seen.values())).shape[:-1]
        parts = [seen.get(n, np.zeros((*shape, self.root.program.values[n].size))) for n in self.root.program.inputs]
        return np.concatenate(parts, -1)

    def _close(self) -> None:
        """Bounds of minus each conjunct, and for each disjunct the best combination of them and the half-spaces."""
        root, block = self.root, self.block
        parts, conjuncts = len(block), len(root.bounds)
        start = {name: np.repeat(-rows[:, None], parts, 1) for name, rows in root.rows.items()}
        constant = np.repeat(root.bounds[:, None], parts, 1)
        self.seen: dict[str, Floats] = {}
        found = backward(
            root.network, root.reaches, block.boxes, np.arange(parts), start, constant, {}, seen=self.seen
        ).T
        A = np.swapaxes(self._inputs(self.seen), 0, 1)
        c = found - least(A, np.zeros((parts, conjuncts)), self.lower[:, None], self.upper[:, None])
        scale = np.abs(c) + (np.abs(A) * np.maximum(np.abs(self.lower), np.abs(self.upper))[:, None]).sum(-1)
        self.rows, self.margins = A, found
        self.words: list[Words] = []
        self.weights: list[Floats] = []
        self.values = np.empty((parts, len(root.disjuncts)))
        cuts = block.coefficients.shape[1]
        for d, mine in enumerate(root.disjuncts):
            best = found[:, mine].argmax(1)
            weights = np.zeros((parts, len(mine) + cuts))
            weights[np.arange(parts), best] = 1.0
            value = found[np.arange(parts), mine[best]]
            unit = scale[np.arange(parts), mine[best]]
            hard = np.flatnonzero(value <= SLACK * unit)
            if len(hard) and (len(mine) > 1 or cuts):
                every = np.concatenate([A[hard][:, mine], -block.coefficients[hard]], 1)
                constants = np.concatenate([c[hard][:, mine], -block.constants[hard]], 1)
                raw = combine(every, constants, self.lower[hard], self.upper[hard])
                words = words_of(raw)
                weights[hard] = weights_of(words)
                row = np.einsum("bk,bkn->bn", weights[hard], every)
                total = (weights[hard] * constants).sum(1)
                value[hard] = least(row, total, self.lower[hard], self.upper[hard])
                unit[hard] = (weights[hard] * np.abs(constants)).sum(1) + (
                    np.einsum("bk,bkn->bn", weights[hard], np.abs(every))
                    * np.maximum(np.abs(self.lower[hard]), np.abs(self.upper[hard]))
                ).sum(1)
            self.words.append(words_of(weights))
            self.weights.append(weights)
            self.values[:, d] = value - SLACK * unit

    def scores(self, at: Ints) -> tuple[Floats, dict[str, Floats]]:
        """For parts `at`: of each input, what halving it promises (parts, inputs); and the gaps by layer (parts, n)."""
        root = self.root
        worst = self.values[at].argmin(1)
        weights = np.zeros((len(at), len(root.bounds)))
        for d, mine in enumerate(root.disjuncts):
            rows = np.flatnonzero(worst == d)
            weights[rows[:, None], mine[None]] = self.weights[d][at[rows], : len(mine)]
        width = self.upper[at] - self.lower[at]
        result = OWN_WIDTH * np.abs(np.einsum("bk,bkn->bn", weights, self.rows[at])) * width
        gaps: dict[str, Floats] = {}
        for value in root.program.values.values():
            row = self.seen.get(value.name)
            if value.kind != "relu" or row is None:
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

    def minimisers(self, at: Ints) -> Floats:
        """Corners of the parts where the relaxation of the worst disjunct is least, (parts, inputs)."""
        worst = self.values[at].argmin(1)
        row = np.zeros((len(at), len(self.root.inputs)))
        for d, mine in enumerate(self.root.disjuncts):
            rows = np.flatnonzero(worst == d)
            w = self.weights[d][at[rows]]
            row[rows] = np.einsum("bk,bkn->bn", w[:, : len(mine)], self.rows[at[rows]][:, mine])
            row[rows] -= np.einsum("bk,bkn->bn", w[:, len(mine) :], self.block.coefficients[at[rows]])
        return np.where(row > 0, self.lower[at], self.upper[at])


def branch(root: Root, search: Search) -> Iterator[Floats | Tree]:
    """Yields points where the bad set may be reached (batch, inputs), and in the end the tree, if it is complete."""
    tree, inputs = Tree(), len(root.inputs)
    stack = [Block(np.zeros(1, dtype=np.intp), root.boxes, np.zeros((1, 0, inputs)), np.zeros((1, 0)))]
    while stack:
        if search.late():
            return
        block = stack.pop()
        while len(block) < BLOCK and stack:
            block = joined(stack.pop(), block)
        if len(block) > BLOCK:
            stack.append(block.part(slice(None, -BLOCK)))
            block = block.part(slice(-BLOCK, None))
        bounder = Bounder(root, block)
        if len(tree.split) == 1:
            search.lower = float(bounder.values.min())
        closed = (bounder.values > 0).all(1)
        for row in np.flatnonzero(closed).tolist():
            number = int(block.numbers[row])
            tree.words[number] = [
                words[row, : len(mine) + tree.depth[number]]
                for words, mine in zip(bounder.words, root.disjuncts, strict=True)
            ]
        search.leaves += int(closed.sum())
        at = np.flatnonzero(~closed)
        if len(at):
            yield bounder.minimisers(at)
            stack.append(_split(root, tree, block, bounder, at))
    yield tree


def joined(one: Block, two: Block) -> Block:
    """Both, with half-spaces of one width."""
    most = max(one.constants.shape[1], two.constants.shape[1])

    def wide(block: Block) -> tuple[Floats, Floats]:
        more = most - block.constants.shape[1]
        return np.pad(block.coefficients, ((0, 0), (0, more), (0, 0))), np.pad(block.constants, ((0, 0), (0, more)))

    (a, c), (b, d) = wide(one), wide(two)
    boxes = Boxes.stacked([one.boxes, two.boxes])
    return Block(np.concatenate([one.numbers, two.numbers]), boxes, np.concatenate([a, b]), np.concatenate([c, d]))


def _split(root: Root, tree: Tree, block: Block, bounder: Bounder, at: Ints) -> Block:
    """Both halves of the parts `at` of a block."""
    scores, gaps = bounder.scores(at)
    entries = np.array([tree.entry(*root.inputs[i]) for i in range(len(root.inputs))])
    chosen = entries[scores.argmax(1)]
    phase = np.full(len(at), -1)
    counts = {}
    for name in root.layers:
        low, high = block.boxes.lower[name][at], block.boxes.upper[name][at]
        counts[name] = ((low < 0) & (high > 0)).sum(1)
    total = sum(counts.values())
    few = (total > 0) & (total <= PHASE_LIMIT)
    depth = np.array([tree.depth[number] for number in block.numbers[at].tolist()])
    most = int((depth + few).max())
    coefficients = np.zeros((len(at), most, len(root.inputs)))
    constants = np.zeros((len(at), most))
    known = min(most, block.constants.shape[1])
    coefficients[:, :known], constants[:, :known] = block.coefficients[at, :known], block.constants[at, :known]
    todo = few
    for name in root.layers:  # the earliest that has an unstable neuron
        rows = np.flatnonzero(todo & (counts[name] > 0))
        todo = todo & (counts[name] == 0)
        if not len(rows):
            continue
        low, high = block.boxes.lower[name][at[rows]], block.boxes.upper[name][at[rows]]
        gap = np.where((low < 0) & (high > 0), gaps.get(name, np.zeros_like(low))[rows] + 1e-30 * (high - low), -1.0)
        neuron = gap.argmax(1)
        phase[rows] = neuron
        chosen[rows] = [tree.entry(name, int(i)) for i in neuron]
        plane = bounder.planes[name]
        coefficients[rows, depth[rows]] = plane.coefficients[at[rows], neuron]
        constants[rows, depth[rows]] = plane.constants[at[rows], neuron]
    halved = zip(block.numbers[at].tolist(), chosen.tolist(), (phase >= 0).tolist(), strict=True)
    numbers = np.array([tree.halve(*one) for one in halved], dtype=np.intp)
    below, above = block.boxes.part(at), block.boxes.part(at)
    names = list(tree.entries)
    for entry in np.unique(chosen).tolist():
        name, index = names[entry]
        rows = np.flatnonzero(chosen == entry)
        cut = np.zeros(len(rows))
        if root.program.values[name].kind == "input":
            cut = halfway(root, name, below.lower[name][rows, index], below.upper[name][rows, index])
        below.upper[name][rows, index] = np.minimum(below.upper[name][rows, index], cut)
        above.lower[name][rows, index] = np.maximum(above.lower[name][rows, index], cut)
    sign = np.ones_like(constants)
    sign[phase >= 0, depth[phase >= 0]] = -1.0
    return joined(
        Block(numbers, below, coefficients * sign[..., None], constants * sign),
        Block(numbers + 1, above, coefficients, constants),
    )


def halfway(root: Root, name: str, low: Floats, high: Floats) -> Floats:
    """Where the rule `tree` cuts an input: the middle, rounded down to the unit of its interval."""
    exponent = root.exponents[name]
    return np.ldexp(np.floor(np.ldexp(low + high, -exponent - 1)), exponent)


ATTACK_SHARE = 0.2  # of the time, after the first round


def propose_boxes(
    program: Program, layers: Layers, claim: Claim, search: Search, rng: np.random.Generator
) -> Iterator[bytes]:
    """Certificates for the claim, for the caller to check. Attacks take turns with branch and bound."""
    root = prepare_root(program, read_claim(claim.data, program))
    bad = BadSet(root.rows, root.bounds, root.disjuncts)
    inner = np.array(
        [inside(*ends) for name in program.inputs for ends in zip(claim.lower[name], claim.upper[name], strict=True)]
    )
    has_points = bool((inner[:, 0] <= inner[:, 1]).all())
    begin, attacking, rounds = time.perf_counter(), 0.0, 0
    for found in branch(root, search):
        if isinstance(found, Tree):
            yield certificate.proof(claim.digest, *_steps(root, found))
            return
        if not has_points:
            continue
        candidates = np.clip(found, inner[:, 0], inner[:, 1])
        score = bad.badness(forward(layers, candidates)[1])[0]
        best = candidates[score.argmax()]
        now = time.perf_counter()
        if score.max() < 0 and attacking <= ATTACK_SHARE * (now - begin):
            best, reached = attack(layers, bad, inner[:, 0], inner[:, 1], rng)
            attacking += time.perf_counter() - now
            rounds += 1
            search.log.append(f"attack {rounds}: {reached:.3g}")
            score = np.array([reached])
        if score.max() >= 0:
            yield certificate.witness(claim.digest, np.split(best, list(layers.offsets.values())[1:]))


def _steps(root: Root, found: Tree) -> tuple[list[dict[str, Any]], bytes]:
    """The steps of the root and the tree's, with the payload."""
    order = found.preorder()
    template = [{"rule": "rebound", "node": name} for name in root.layers if root.program.values[name].kind == "affine"]
    words = [found.words[number] for number in order if found.split[number] < 0]
    plain = all(len(part) == 1 for leaf in words for part in leaf)  # single inequalities need no multipliers
    step, payload = tree(
        [found.split[number] for number in order], list(found.entries), template, None, None if plain else words
    )
    return [*root.steps, step], payload
