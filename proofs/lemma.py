"""What a lemma is, and the three questions Z3 answers about it.

A lemma is one fact over the reals, integers or bits that a rule of the kernel relies on. It is trusted when
its hypotheses can hold together, when no model satisfies them and breaks the conclusion, and when every wrong
version of it is broken by a model. Models are evaluated again before they are believed; an answer `unknown`
is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import z3

RESOURCES = 30_000_000  # Z3's own step count: unlike a timeout it gives the same answer on a busy machine


class UndecidedError(Exception):
    """Z3 gave up, or its model does not survive evaluation."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """A plausible wrong version of a lemma.

    `hypotheses` replaces the named ones of the lemma, `conclusion` its conclusion if given.
    """

    error: str
    conclusion: z3.BoolRef | None = None
    hypotheses: Mapping[str, z3.BoolRef] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Lemma:
    """`hypotheses` imply `conclusion`, whatever the values of their free variables.

    `rules` names the rules of the calculus, op rows and places that rely on it; `hypotheses` are keyed by what they
    say.
    """

    name: str
    statement: str
    rules: tuple[str, ...]
    hypotheses: Mapping[str, z3.BoolRef]
    conclusion: z3.BoolRef
    mutants: tuple[Mutant, ...]


def mutants(lemma: Lemma) -> tuple[Mutant, ...]:
    """The written mutants, and one for each hypothesis that simply drops it: every hypothesis is needed."""
    dropped = (Mutant(f"without: {name}", None, {name: z3.BoolVal(True)}) for name in lemma.hypotheses)
    return (*lemma.mutants, *dropped)


def witness(lemma: Lemma) -> z3.ModelRef | None:
    """Values for which the hypotheses hold, or None if the lemma is vacuous."""
    return _model(*lemma.hypotheses.values())


def counterexample(lemma: Lemma, mutant: Mutant | None = None) -> z3.ModelRef | None:
    """Values that satisfy the hypotheses and break the conclusion, or None if the statement is proved."""
    hypotheses, conclusion = dict(lemma.hypotheses), lemma.conclusion
    if mutant is not None:
        unknown = sorted(set(mutant.hypotheses) - set(hypotheses))
        if unknown:
            raise KeyError(f"{lemma.name}: mutant {mutant.error!r} replaces {unknown[0]!r}, not a hypothesis")
        hypotheses |= mutant.hypotheses
        conclusion = lemma.conclusion if mutant.conclusion is None else mutant.conclusion
    return _model(*hypotheses.values(), z3.Not(conclusion))


def _model(*formulas: z3.BoolRef) -> z3.ModelRef | None:
    solver = z3.Solver()
    solver.set("rlimit", RESOURCES)
    solver.add(*formulas)
    answer = solver.check()
    if answer == z3.unsat:
        return None
    if answer != z3.sat:
        raise UndecidedError(f"Z3 answers unknown: {solver.reason_unknown()}")
    model = solver.model()
    if not z3.is_true(model.eval(z3.And(*formulas), model_completion=True)):
        raise UndecidedError(f"the model {model} does not satisfy the formulas it is given for")
    return model
