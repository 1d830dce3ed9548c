"""The root of a search on boxes: the claim's region with its table, by the kernel's own rules in the arithmetic
`interval`, and the bad set as matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tlverify.certify.claim import Claim
from tlverify.certify.interval.engine import Boxes, Engine, Network, Reaches
from tlverify.certify.kernel.program import Program, error_of
from tlverify.certify.kernel.proof import Goal
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.problem import nearest

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Root:
    """The claim's region with its table, and the bad set as rows: conjunct k is rows . values >= bounds[k].

    `steps` made the table; `template` are those that every part of the region takes again.
    """

    program: Program
    network: Network
    reaches: Reaches
    boxes: Boxes
    steps: Sequence[dict[str, Any]]
    template: Sequence[dict[str, Any]]
    layers: Sequence[str]
    inputs: Sequence[tuple[str, int]]
    rows: Mapping[str, Floats]
    bounds: Floats
    disjuncts: Sequence[Ints]
    exponents: Mapping[str, int]

    def error(self, name: str) -> Floats | None:
        """By how much an execution may miss the entries of a value; None if it is exact."""
        found = self.boxes.upper.get(error_of(name))
        return None if found is None else found[0]


def prepare_root(program: Program, claim: Claim) -> Root:
    """The table at the root, by the kernel's own rules in the arithmetic `interval`."""
    engine = Engine()
    ground = Ground(program, claim, engine)
    goal = ground.goal
    layers = list(dict.fromkeys(v.source for v in program.values.values() if v.kind == "relu"))
    steps: list[dict[str, Any]] = []
    names: list[str] = []
    for name, value in program.values.items():
        if value.kind == "input":
            continue
        names.append(name)
        if name in layers and value.kind == "affine" and program.contract is not None:
            steps += [{"rule": "interval", "nodes": names}, {"rule": "rebound", "node": name}]
            names = []
    if names:
        steps.append({"rule": "interval", "nodes": names})
    ground.take(steps)
    network, boxes, reaches = engine.prepare(program, goal.bounds)
    rows, bounds, disjuncts = _bad_set(program, goal)
    inputs = [(name, index) for name in program.inputs for index in range(program.values[name].size)]
    exponents = {name: goal.bounds[name].exponent for name in program.inputs}
    affine = [name for name in layers if program.values[name].kind == "affine"]
    template, changing = [{"rule": "rebound", "node": name} for name in affine], [*program.inputs, *layers]
    if program.contract is not None:  # rounding errors shrink with the part
        template, changing = steps, [n for name in program.values for n in (name, error_of(name))]
    own = boxes.with_own(changing)
    return Root(program, network, reaches, own, steps, template, layers, inputs, rows, bounds, disjuncts, exponents)


def _bad_set(program: Program, goal: Goal) -> tuple[dict[str, Floats], Floats, list[Ints]]:
    """Inequalities as the kernel scales them: its multipliers are for these."""
    conjuncts = [inequality.integral for disjunct in goal.bad for inequality in disjunct]
    ends = np.cumsum([0, *map(len, goal.bad)])
    rows: dict[str, Floats] = {}
    bounds = np.zeros(len(conjuncts))
    for k, (terms, bound, exponent) in enumerate(conjuncts):
        bounds[k] = nearest(bound * Fraction(2) ** exponent)
        for name, index, coefficient in terms:
            if name not in rows:
                rows[name] = np.zeros((len(conjuncts), program.values[name].size))
            rows[name][k, index] = nearest(coefficient * Fraction(2) ** exponent)
    return rows, bounds, [np.arange(a, b) for a, b in pairwise(ends)]


def halfway(root: Root, name: str, low: Floats, high: Floats) -> Floats:
    """Where the rule `tree` cuts an input: the middle, rounded down to the unit of its interval."""
    exponent = root.exponents[name]
    return np.ldexp(np.floor(np.ldexp(low + high, -exponent - 1)), exponent)
