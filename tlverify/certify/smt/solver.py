"""One query to Z3 for each disjunct of the bad set, in exact rationals.

Measured with Z3 5.4 on float32 weights: 2-8-8-1 with 16 unstable ReLUs takes 1 s, 2-8-8-3 5 to 9 s (one query for all
disjuncts: 4 to 10 s), 64-64-32-10 with 2 to 12 unstable 1 to 8 s (if equations are solved first: 5 to 14 s).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.program import Dense, Map, Program
from tlverify.certify.smt.encoding import Form, Problem, combine, enclosures, encode, unstable
from tlverify.certify.smt.replay import reaches
from tlverify.graph import TlverifyError

MAX_UNSTABLE = 16  # neurons that may be on either side of 0; beyond, float32 weights take minutes
MAX_PRODUCTS = 1 << 18  # of the network on one input; beyond, the encoding alone takes long
TACTICS = ("simplify", "smt")

Point = Mapping[str, Sequence[Fraction]]


class MissingZ3(TlverifyError):
    """Z3 is asked for and is not installed."""


@dataclass(frozen=True)
class Outcome:
    """`verdict` is verified, falsified (`point` is in the region and bad: replayed exactly), or unknown; `reason`
    says why."""

    verdict: str
    reason: str
    point: Point | None = None


def prove(program: Program, claim: Claim, limit_seconds: float) -> Outcome:
    """Decide a claim about the reals within a time. MissingZ3 if Z3 is not installed."""
    z3 = _import()
    deadline = time.monotonic() + limit_seconds
    if any(box.ball is not None or box.divisor for box in claim.region.values()):
        return Outcome("unknown", "Z3 proves claims about boxes, this one is about a ball or levels")
    if claim.contract is not None:
        return Outcome("unknown", "Z3 proves claims about real arithmetic, this one is about float32")
    targets = sorted({*program.inputs, *(name for rows in claim.bad for row in rows for name, _, _ in row.terms)})
    needed = program.order(tuple(targets))
    size = sum(_products(matrix) for name in needed for _, matrix in program.values[name].terms)
    if size > MAX_PRODUCTS:
        return Outcome("unknown", f"the network has {size} products, over the limit of {MAX_PRODUCTS}")
    bounds = enclosures(program, claim)
    count = unstable(program, bounds, needed)
    if count > MAX_UNSTABLE:
        return Outcome("unknown", f"{count} ReLUs may be on either side of 0, over the limit of {MAX_UNSTABLE}")
    try:
        return _solve(z3, program, claim, encode(program, claim, bounds, needed, deadline), deadline)
    except TimeoutError as late:
        return Outcome("unknown", str(late))
    except (z3.Z3Exception, ValueError) as error:  # ValueError: a number longer than Python reads or writes
        return Outcome("unknown", f"Z3 failed: {error}")


def _products(matrix: Map) -> int:
    if isinstance(matrix, Dense):
        return matrix.size * matrix.in_features
    return sum(map(len, matrix.entries))


def _import() -> ModuleType:
    try:
        import z3
    except ModuleNotFoundError:
        raise MissingZ3("the arithmetic z3 needs Z3, which is not installed: pip install 'tlverify[smt]'") from None
    return z3  # type: ignore[no-any-return]


def _solve(z3: Any, program: Program, claim: Claim, problem: Problem, deadline: float) -> Outcome:
    context = z3.Context()
    variables = [z3.Real(f"v{number}", context) for number in range(len(problem.ranges))]
    solver = z3.Then(*TACTICS, ctx=context).solver()
    for variable, (low, high) in zip(variables, problem.ranges, strict=True):
        if low == high:
            solver.add(variable == _number(z3, low, context))
        else:
            solver.add(_number(z3, low, context) <= variable, variable <= _number(z3, high, context))
    for form in problem.zeros:
        solver.add(_sum(z3, form, variables, context) == 0)
    for h, s in problem.pairs:
        solver.add(z3.Or(variables[h] <= 0, variables[s] <= 0))
    for number, disjunct in enumerate(claim.bad):
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            return Outcome("unknown", f"the time was over before disjunct {number} of {len(claim.bad)}")
        solver.push()
        solver.set("timeout", max(1, int(seconds * 1000)))
        for row in disjunct:
            solver.add(_inequality(z3, problem, row, variables, context))
        answer = solver.check()
        if answer == z3.sat:
            return _falsified(program, claim, problem, solver.model(), variables)
        if answer != z3.unsat:
            return Outcome("unknown", f"Z3 gave up on disjunct {number}: {solver.reason_unknown()}")
        solver.pop()
    return Outcome("verified", f"Z3 refuted {len(claim.bad)} disjuncts")


def _inequality(z3: Any, problem: Problem, row: Inequality, variables: Sequence[Any], context: Any) -> Any:
    form = combine([(coefficient, problem.values[name][index]) for name, index, coefficient in row.terms])
    left, bound = _sum(z3, form, variables, context), _number(z3, row.bound, context)
    return left > bound if row.strict else left >= bound


def _sum(z3: Any, form: Form, variables: Sequence[Any], context: Any) -> Any:
    terms = [_number(z3, coefficient, context) * variables[number] for number, coefficient in form.items()]
    return z3.Sum(terms) if terms else _number(z3, Fraction(0), context)


def _number(z3: Any, value: Fraction, context: Any) -> Any:
    return z3.RealVal(str(value), context)


def _falsified(program: Program, claim: Claim, problem: Problem, model: Any, variables: Sequence[Any]) -> Outcome:
    """A model counts if its input, replayed without Z3, is bad."""
    point = {}
    for name in program.inputs:
        numbers = [model.eval(variables[next(iter(form))], model_completion=True) for form in problem.values[name]]
        point[name] = [number.as_fraction() for number in numbers]
    words = ", ".join(f"{name} near [{', '.join(map(_short, values[:8]))}]" for name, values in point.items())
    if reaches(program, claim, point):
        return Outcome("falsified", f"Z3 found a point of the region that is bad, replayed exactly: {words}", point)
    if any(matrix.inexact for value in program.values.values() for _, matrix in value.terms):
        return Outcome("unknown", f"Z3 found a point that is bad for some rounding of the coefficients: {words}")
    raise RuntimeError(f"the encoding for Z3 and the exact replay contradict each other at {words}")


def _short(value: Fraction) -> str:
    return f"{Decimal(value.numerator) / Decimal(value.denominator):.6g}"
