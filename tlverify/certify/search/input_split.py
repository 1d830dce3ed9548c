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
from typing import Any

import numpy as np

from tlverify.certify import certificate
from tlverify.certify.claim import Claim
from tlverify.certify.kernel.program import Program
from tlverify.certify.search import machine_code
from tlverify.certify.search.branch import Branch
from tlverify.certify.search.executions import broken
from tlverify.certify.search.explore import explore
from tlverify.certify.search.forest import Proof
from tlverify.certify.search.layers import Layers, forward
from tlverify.certify.search.points import BadSet, attack
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import Floats, Root, prepare_root
from tlverify.certify.search.walk import KERNEL, Chain, Walk
from tlverify.certify.search.witnesses import Witnesses
from tlverify.certify.tree_writer import tree

ATTACK_SHARE = 0.2  # of the time, for the first ATTACKS rounds; then a fifth of that
ATTACKS = 12
COLD = 10.0  # seconds of search before machine code is made
ORDERED = 4  # attacks after which orders of summation are tried, in claims about float32; or when the search ends


def propose_boxes(
    program: Program, layers: Layers, claim: Claim, search: Search, rng: np.random.Generator
) -> Iterator[bytes]:
    """Certificates for the claim, for the caller to check. Attacks take turns with branch and bound, which goes on
    in shards if that takes long and others may help."""
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
    if chain is None:
        yield from explore(Branch(root), search, search.sharing)
        return
    if not machine_code.made(KERNEL):
        for found in explore(Branch(root), search):
            yield found
            if time.perf_counter() - begin > COLD:
                break
        else:
            return
    search.leaves = 0
    search.log.append("branch and bound as machine code")
    yield from explore(Walk(root, chain), search, search.sharing)
    if not search.late():
        search.log.append("and once more in NumPy: its proof was refused, or it had no room")
        yield from explore(Branch(root), search, search.sharing)


def _steps(root: Root, found: Proof) -> tuple[list[dict[str, Any]], bytes]:
    """The steps of the root and the tree's, with the payload."""
    plain = all(len(part) == 1 for leaf in found.words for part in leaf)  # single inequalities need no multipliers
    step, payload = tree(found.nodes, found.entries, root.template, None, None if plain else found.words)
    return [*root.steps, step], payload
