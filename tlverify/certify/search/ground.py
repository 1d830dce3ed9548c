"""The table of bounds that the kernel will have."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tlverify.certify.audit import arithmetic
from tlverify.certify.claim import Claim
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.program import Program, error_of
from tlverify.certify.kernel.proof import STEPS, Engine, Machine, tighten
from tlverify.certify.search.layers import Array, floats


class Ground:
    """The goal of a claim's proof, as the steps taken so far have made it in an arithmetic, `fast` unless given: so the
    search knows the very bounds that the kernel will have."""

    def __init__(self, program: Program, claim: Claim, engine: Engine | None = None) -> None:
        self.program = program
        engine = engine or arithmetic("fast").engine
        self.machine = Machine(program, read_claim(claim.data, program), b"", STEPS, engine)
        if self.machine.goal is None:
            raise TypeError("a machine begins with a goal")
        self.goal = self.machine.goal

    def take(self, steps: Sequence[Any], payload: bytes = b"") -> None:
        """Steps that add to the table."""
        self.machine.payload, self.machine.used = payload, 0
        for step in steps:
            STEPS[step["rule"]](self.machine, self.goal, step, "search")

    def assume(self, name: str, index: int, bound: float, upper: bool) -> None:
        """What a lemma adds to the table."""
        tighten(self.goal.bounds, name, index, Fraction(bound), upper)

    def missing(self, target: str | None) -> list[str]:
        """The values up to a target (None: the last) that have no bounds yet."""
        names = list(self.program.values)
        last = len(names) if target is None else names.index(target) + 1
        return [name for name in names[:last] if name not in self.goal.bounds]

    def ends(self, name: str) -> tuple[Array, Array]:
        """Lower and upper ends."""
        found = self.goal.bounds[name]
        return floats(found.lower, found.exponent), floats(found.upper, found.exponent)

    def error(self, name: str) -> Array | None:
        """By how much an execution may miss the entries of a value; None if it is exact."""
        found = self.goal.bounds.get(error_of(name))
        return None if found is None else floats(found.upper, found.exponent)
