"""Branch and bound for networks of few inputs: boxes are halved, and phases split once few neurons are unstable.

Bounds are those of the arithmetic `interval`, the same that checks the certificate: in each part only the neurons that
may still have either sign are bounded again. What made the difference on ACAS Xu, in order: the dimension to halve by
what each input contributes to the relaxation gaps; adaptive lower slopes; refuting all inequalities of a disjunct and
the path's half-spaces together; phase splits, always in the earliest layer that has an unstable neuron, where the
half-space is exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any

import numpy as np

from tlverify.certify import certificate
from tlverify.certify.claim import Claim
from tlverify.certify.kernel.errors import MAX_TREE_DEPTH
from tlverify.certify.kernel.program import Program
from tlverify.certify.search import machine_code
from tlverify.certify.search.boxes import Block, Bounder, Words, joined
from tlverify.certify.search.executions import broken
from tlverify.certify.search.layers import Layers, forward
from tlverify.certify.search.points import BadSet, attack
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats, Ints, Root, halfway, prepare_root
from tlverify.certify.search.walk import KERNEL, Chain, Proof, walk
from tlverify.certify.search.witnesses import Witnesses
from tlverify.certify.tree_writer import tree

BLOCK = 1024  # parts bounded together
PHASE_LIMIT = 12  # unstable neurons up to which phases are split
ATTACK_SHARE = 0.2  # of the time, for the first ATTACKS rounds; then a fifth of that
ATTACKS = 12
COLD = 10.0  # seconds of search before machine code is made
ORDERED = 4  # attacks after which orders of summation are tried, in claims about float32; or when the search ends


def propose_boxes(
    program: Program, layers: Layers, claim: Claim, search: Search, rng: np.random.Generator
) -> Iterator[bytes]:
    """Certificates for the claim, for the caller to check. Attacks take turns with branch and bound."""
    root = prepare_root(program, claim)
    bad = BadSet(root.rows, root.bounds, root.disjuncts)
    witnesses = Witnesses.of(claim, program.inputs)
    if witnesses.hole:
        search.log.append(witnesses.hole)
    begin, attacking, rounds = time.perf_counter(), 0.0, 0
    worst: tuple[Floats, float] | None = None
    for found in _searched(root, layers, search):
        if isinstance(found, Proof):
            yield certificate.proof(claim.digest, *_steps(root, found))
            continue  # it was refused
        if witnesses.hole:
            continue
        candidates = witnesses.moved(found)
        score = bad.badness(forward(layers, candidates)[1])[0]
        best = candidates[score.argmax()]
        now = time.perf_counter()
        share = ATTACK_SHARE if rounds < ATTACKS else ATTACK_SHARE / 5
        if score.max() < 0 and attacking <= share * (now - begin):
            best = witnesses.moved(attack(layers, bad, witnesses.lower, witnesses.upper, rng)[0][None])[0]
            reached = float(bad.badness(forward(layers, best[None])[1])[0][0])
            attacking += time.perf_counter() - now
            rounds += 1
            search.log.append(f"attack {rounds}: {reached:.3g}")
            score = np.array([reached])
            worst = best, reached
            if reached < 0 and rounds == ORDERED:
                yield from broken(program, root.error, claim, reached, [witnesses.parts(best)], search.late)
        if score.max() >= 0:
            yield witnesses.certificate(best)
    if worst is not None and rounds < ORDERED:
        point, reached = worst
        yield from broken(program, root.error, claim, reached, [witnesses.parts(point)], search.late)


def _searched(root: Root, layers: Layers, search: Search) -> Iterator[Floats | Proof]:
    """By machine code if there is some; where it would have to be made first, only for what takes longer than that."""
    chain, begin = Chain.of(root, layers) if machine_code.installed() else None, time.perf_counter()
    if chain is None or not machine_code.made(KERNEL):
        for found in branch(root, search):
            yield found
            if chain is not None and time.perf_counter() - begin > COLD:
                break
        else:
            return
    if chain is not None:
        search.leaves = 0
        search.log.append("branch and bound as machine code")
        yield from walk(root, chain, search, PHASE_LIMIT)
        if not search.late():
            search.log.append("and once more in NumPy: its proof was refused, or it had no room")
            yield from branch(root, search)


def _steps(root: Root, found: Proof) -> tuple[list[dict[str, Any]], bytes]:
    """The steps of the root and the tree's, with the payload."""
    plain = all(len(part) == 1 for leaf in found.words for part in leaf)  # single inequalities need no multipliers
    step, payload = tree(found.nodes, found.entries, root.template, None, None if plain else found.words)
    return [*root.steps, step], payload


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

    def proof(self) -> Proof:
        """The tree as it stands in a certificate."""
        order, stack = [], [0]
        while stack:
            number = stack.pop()
            order.append(number)
            if self.split[number] >= 0:
                stack += [self.below[number] + 1, self.below[number]]
        words = [self.words[number] for number in order if self.split[number] < 0]
        return Proof(np.array([self.split[number] for number in order]), list(self.entries), words)


def branch(root: Root, search: Search) -> Iterator[Floats | Proof]:
    """Yields points where the bad set may be reached (batch, inputs), and in the end the tree if it is complete. It is
    not if the time is over, or a part is too small to be halved."""
    tree, inputs = Tree(), len(root.inputs)
    stack = [Block(np.zeros(1, dtype=np.intp), root.boxes, np.zeros((1, 0, inputs)), np.zeros((1, 0)))]
    least = [-inf]  # for each block of the stack a bound that its parts have
    while stack:
        search.note(min(least), sum(map(len, stack)))
        if search.late():
            return
        block, reached = stack.pop(), least.pop()
        while len(block) < BLOCK and stack:
            block, reached = joined(stack.pop(), block), min(reached, least.pop())
        if len(block) > BLOCK:
            stack.append(block.part(slice(None, -BLOCK)))
            least.append(reached)
            block = block.part(slice(-BLOCK, None))
        bounder = Bounder(root, block)
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
            deepest = max(tree.depth[number] for number in block.numbers[at].tolist())
            if deepest >= MAX_TREE_DEPTH or not bounder.divisible(at):
                return
            stack.append(_split(root, tree, block, bounder, at))
            least.append(max(reached, float(bounder.values[at].min())))
    search.note(0.0, 0)
    yield tree.proof()


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
    coefficients = np.zeros((2, len(at), most, len(root.inputs)))  # of the half-spaces of both halves
    constants = np.zeros((2, len(at), most))
    known = min(most, block.constants.shape[1])
    coefficients[:, :, :known], constants[:, :, :known] = block.coefficients[at, :known], block.constants[at, :known]
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
        for half in (0, 1):
            coefficients[half, rows, depth[rows]] = plane.coefficients[at[rows], half, neuron]
            constants[half, rows, depth[rows]] = plane.constants[at[rows], half, neuron]
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
    return joined(
        Block(numbers, below, coefficients[0], constants[0]), Block(numbers + 1, above, coefficients[1], constants[1])
    )
