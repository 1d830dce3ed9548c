"""Random proofs by all rules, about random small graphs, of claims whose truth is known at some points.

A point of the region is evaluated exactly, or executed in float32. A claim that it contradicts must be refused whatever
the steps are. Of any other claim it says how far the region is from the bad set at most, and a proof that is accepted
has no larger margin.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.certify import Claim, Inequality, kernel
from tlverify.certify.claim import read_semantics
from tlverify.core.binary32 import NEAREST, Execution, Mode, Order, run_binary32
from tlverify.graph import Graph, digest, to_bytes

from . import exact
from .examples import FAMILIES, Prover, random_graph, random_terms

SEMANTICS = ("real", "ieee-any-order", "any-rounding", "cuda-tf32")
GRID = 1 << 12  # points are multiples of 1 / GRID, which float32 has
Vector = list[Fraction]
UNITS = {
    1: [(1,)],
    2: [(1, 0), (Fraction(3, 5), Fraction(4, 5))],
    3: [(1, 0, 0), (Fraction(2, 3),) * 2 + (Fraction(1, 3),)],
}


@dataclass(frozen=True)
class Region:
    """A box, or a ball (norm 1 or 2) of which no entry is outside [-2, 2]."""

    norm: int
    center: Vector
    radius: Fraction
    lower: Vector
    upper: Vector

    def data(self, name: str) -> dict[str, Any]:
        if not self.norm:
            return {"kind": "box", "input": name, "lower": [*map(str, self.lower)], "upper": [*map(str, self.upper)]}
        told = {"kind": f"l{self.norm}_ball", "input": name, "center": [*map(str, self.center)]}
        return {**told, "radius": str(self.radius), "clip": ["-2", "2"]}

    def point(self, rng: random.Random) -> Vector:
        """A point of it, often at its edge; rounded towards the center, as is any entry that is clipped."""
        if not self.norm:
            found = [a + (b - a) * rng.choice([0, 1, Fraction(rng.randrange(65), 64)]) for a, b in self.ends]
            return [Fraction(math.floor(v * GRID), GRID) for v in found]
        size = len(self.center)
        if self.norm == 1:
            parts = [rng.choice([0, 1, 3]) for _ in range(size)]
            unit = [Fraction(part, sum(parts) or 1) for part in parts]
        else:
            few = min(size, 3)
            unit = [*map(Fraction, rng.choice(UNITS[few])), *[Fraction(0)] * (size - few)]
        rng.shuffle(unit)
        reach = self.radius * rng.choice([1, 1, Fraction(rng.randrange(9), 8)])
        moved = [Fraction(math.floor(reach * part * GRID), GRID) * rng.choice([1, -1]) for part in unit]
        return [min(max(c + m, a), b) for c, m, (a, b) in zip(self.center, moved, self.ends, strict=True)]

    @property
    def ends(self) -> list[tuple[Fraction, Fraction]]:
        return list(zip(self.lower, self.upper, strict=True))


def random_region(rng: random.Random, size: int) -> Region:
    norm, center = rng.choice([0, 0, 1, 2]), [Fraction(rng.randrange(-14, 15), 8) for _ in range(size)]
    if not norm:
        return Region(
            0, center, Fraction(0), center, [c + rng.choice([0, Fraction(1, 64), Fraction(1, 3), 2]) for c in center]
        )
    radius = rng.choice([Fraction(1, 8), Fraction(1, 3), Fraction(2)])
    lower, upper = ([max(min(c + r, Fraction(2)), Fraction(-2)) for c in center] for r in (-radius, radius))
    return Region(norm, center, radius, lower, upper)


@dataclass(frozen=True)
class Subject:
    """A graph, where its inputs are, and its inputs and outputs at some points, as they may be executed."""

    graph: Graph
    program: kernel.Program
    regions: dict[str, Region]
    semantics: Any
    known: Sequence[dict[str, Any]]

    def claim(self, bad: Sequence[Sequence[Inequality]]) -> Claim:
        data = tuple(region.data(name) for name, region in self.regions.items())
        ends = [{n: tuple(getattr(r, end)) for n, r in self.regions.items()} for end in ("lower", "upper")]
        return Claim(digest(self.graph), data, ends[0], ends[1], tuple(map(tuple, bad)), self.semantics)

    def reached(self, bad: Sequence[Sequence[Inequality]]) -> Fraction:
        """The largest bound of all inequalities with which some point is still bad."""
        claim = self.claim([[Inequality(row.terms) for row in rows] for rows in bad])
        return max(min(part) for values in self.known for part in exact.excess(claim, values))

    def proof(self, rng: random.Random, claim: Claim, *kinds: str) -> bytes:
        values = self.program.values
        relus = [name for name, value in values.items() if value.kind == "relu"]
        balls = {name: region.norm for name, region in self.regions.items() if region.norm}
        sizes = {name: value.size for name, value in values.items()}
        return Prover(rng, sizes, self.program.inputs, relus, kinds, balls).write(claim)


def subject(rng: random.Random, semantics: str) -> Subject:
    real = semantics == "real"
    graph = random_graph(rng, rng.choice([*FAMILIES]), rng.random() < 0.5, "" if real else "float32")
    told = read_semantics(semantics)
    program = kernel.read_program(*to_bytes(graph), None if real else kernel.read_contract(dict(told)))
    regions = {value.name: random_region(rng, math.prod(value.shape)) for value in graph.inputs}
    known = []
    for _ in range(16):
        point = {name: region.point(rng) for name, region in regions.items()}
        found = exact.values(graph, point) if real else executed(rng, graph, point, semantics)
        if found is not None:
            known.append(found)
    return Subject(graph, program, regions, told, known)


def executed(rng: random.Random, graph: Graph, point: dict[str, Vector], semantics: str) -> dict[str, Any] | None:
    """Inputs and outputs in one execution that the contract allows; None if it overflows."""
    order = Order(rng.choice(["sequential", "pairwise", "blocked"]), 2, rng.random() < 0.5, rng.randrange(9))
    mode = Mode(rng.choice(["nearest", "up", "down", "zero"])) if semantics == "any-rounding" else NEAREST
    how = Execution(order, rng.random() < 0.5, rng.choice(["first", "last"]), mode)
    given = {v.name: np.array([*map(float, point[v.name])], "float32").reshape(v.shape) for v in graph.inputs}
    found = dict(zip(graph.outputs, run_binary32(graph, given, how), strict=True)) | given
    if not all(np.isfinite(value).all() for value in found.values()):
        return None
    return {name: exact.array(map(Fraction, value.ravel().tolist())) for name, value in found.items()}


def check(seed: int, semantics: str, arithmetics: Sequence[kernel.Arithmetic]) -> Counter[str]:
    """How many proofs were refused and accepted. The first two arithmetics are the same bit for bit."""
    rng = random.Random(f"{seed} {semantics}")
    chosen, count = subject(rng, semantics), Counter[str]()
    if not chosen.known:
        return count
    bad = [
        [Inequality(random_terms(rng, chosen.graph)) for _ in range(rng.randrange(1, 3))]
        for _ in range(rng.randrange(1, 4))
    ]
    reached = chosen.reached(bad)
    below = reached - abs(reached) / 4 - Fraction(1, 1 << 20)
    for bound, strict in ((reached, False), (below, False), (below, True)):
        claim = chosen.claim([[Inequality(row.terms, bound, strict) for row in rows] for rows in bad])
        assert any(exact.is_bad(claim, values) for values in chosen.known)
        if len(str(bound)) < 380:
            certificate = chosen.proof(rng, claim, "split", "cases", "lemma", "tree", "close")
            margins = [_margin(chosen.program, claim, certificate, arithmetic) for arithmetic in arithmetics]
            assert margins == [None] * len(margins), "accepted although false"
            count["refused"] += 1
    bad = [rows[:1] for rows in bad]
    reached = chosen.reached(bad)
    for gap in (1, 1 + abs(reached) // 4, 1000 * (1 + abs(reached) // 1)):
        bound = Fraction(reached // 1 + gap)
        claim = chosen.claim([[Inequality(row.terms, bound) for row in rows] for rows in bad])
        cases = gap >= 1000  # whose margin is that of bad points alone
        certificate = chosen.proof(rng, claim, "split", "lemma", "tree", *["cases"] * 2 * cases, "close")
        margins = [_margin(chosen.program, claim, certificate, arithmetic) for arithmetic in arithmetics]
        assert margins[0] == margins[1], "exact and fast differ"
        for margin in margins:
            assert cases or margin is None or margin <= bound - reached, "more is proved than is true"
        count["refused" if margins[0] is None else "accepted"] += 1
    return count


def _margin(
    program: kernel.Program, claim: Claim, certificate: bytes, arithmetic: kernel.Arithmetic
) -> Fraction | None:
    try:
        return kernel.check_with(program, claim.data, certificate, arithmetic).margin
    except kernel.Rejected:
        return None
