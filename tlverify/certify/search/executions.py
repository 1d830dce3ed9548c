"""Counterexamples to claims about float32: for a given input, an order of summation that breaks the property.

Real arithmetic may be far from the bad set where an execution reaches it, if large terms absorb small ones before they
cancel. The orders that are tried bring this about or avoid it; they are chosen for one value after another, each on the
execution that the choices before it have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.certify import certificate
from tlverify.certify.claim import Claim as Statement
from tlverify.certify.kernel.claim import Claim, read_claim
from tlverify.certify.kernel.contract import LEAST
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.execution import SEQUENTIAL, Order, execute, execute_value, rows_of
from tlverify.certify.kernel.program import Program, Value
from tlverify.certify.search.layers import Array
from tlverify.certify.search.noise import reach_of_rounding

ENTRIES = 3  # of a value, for whose terms orders are made
SWEEPS = 2
BLOCKS = (2, 4, 8, 32)

WORK = 500_000  # products that are executed for one point, about 1.5 microseconds each

Found = dict[str, list[int]]
Point = Mapping[str, Sequence[Fraction]]


def broken(
    program: Program,
    error: Callable[[str], Array | None],
    claim: Statement,
    score: float,
    points: Sequence[Sequence[Array]],
    late: Callable[[], bool],
) -> Iterator[bytes]:
    """Witnesses of some of the points, each a part for every input, which are `score` from the bad set: such that an
    order of summation takes there. `error` is by how much an execution may miss a value."""
    if program.contract is None:
        return
    names = sorted({name for disjunct in claim.bad for row in disjunct for name, _, _ in row.terms})
    size = max(sum(abs(c) for _, _, c in row.terms) for disjunct in claim.bad for row in disjunct)
    if -score > float(size) * reach_of_rounding(program, error, names):
        return
    stated = read_claim(claim.data, program)
    for parts in points:
        exact = {n: [Fraction(v) for v in part.tolist()] for n, part in zip(program.inputs, parts, strict=True)}
        orders = adverse_orders(program, stated, exact, late)
        if orders is not None:
            yield certificate.witness(claim.digest, parts, orders)


def adverse_orders(
    program: Program, claim: Claim, point: Point, late: Callable[[], bool]
) -> dict[str, dict[str, Any]] | None:
    """Orders, as a certificate states them, in which the outputs at a point are bad; None if none is found."""
    sizes = {v.name: sum(len(pairs) for _, matrix in v.terms for pairs in rows_of(matrix)) for v in rounded(program)}
    work = sum(sizes.values())
    if work > WORK:
        return None
    chosen: dict[str, Order] = {}
    try:
        found: Found = execute(program, point, chosen)
    except Rejected:  # it overflows
        return None
    best = badness(program, claim, found)
    for _ in range(SWEEPS):
        before = best
        for value in rounded(program):
            after = [v.name for v in program.values.values() if v.name in sizes]
            cost = sum(sizes[name] for name in after[after.index(value.name) :])
            for order in candidates(value, found):
                if best >= 0:
                    return {name: stated(order) for name, order in chosen.items()}
                if late() or work > WORK:
                    return None
                work += cost
                trial = _again(program, found, value, {**chosen, value.name: order})
                reached = -np.inf if trial is None else badness(program, claim, trial)
                if trial is not None and reached > best:
                    best, found, chosen[value.name] = reached, trial, order
        if best == before:
            break
    return {name: stated(order) for name, order in chosen.items()} if best >= 0 else None


def rounded(program: Program) -> list[Value]:
    """The values that are sums of products in some order."""
    return [v for v in program.values.values() if v.rounding is not None and v.rounding.ordered]


def badness(program: Program, claim: Claim, found: Found) -> float:
    """The largest over disjuncts of the least inequality's left side minus bound; >= 0 just if the outputs are bad."""
    unit = Fraction(2) ** LEAST
    scores = []
    for disjunct in claim.bad:
        left = [
            sum((c * found[name][index] * unit for name, index, c in row.terms), Fraction(0)) - row.bound
            for row in disjunct
        ]
        beaten = [value > 0 or (value == 0 and not row.strict) for value, row in zip(left, disjunct, strict=True)]
        least = float(min(left))
        scores.append(least if all(beaten) else min(least, -float(np.finfo(float).tiny)))
    return max(scores)


def candidates(value: Value, found: Found) -> Iterator[Order]:
    """Orders that absorb small terms in large ones, and such that do not."""
    ((source, matrix),) = value.terms
    yield SEQUENTIAL
    yield from (Order(block, False, False, ()) for block in BLOCKS)
    rows, x = rows_of(matrix), found[source]
    terms = [np.array([float(c * x[i]) for i, c in pairs]) if pairs else np.zeros(1) for pairs in rows]
    cancelled = [np.abs(t).sum() / (abs(t.sum()) + 1e-300) if len(t) > 1 else 0.0 for t in terms]
    for entry in np.argsort(cancelled)[::-1][:ENTRIES].tolist():
        t = terms[entry]
        for key in (np.abs(t), -np.abs(t), t, -t):
            places = np.argsort(key, kind="stable").tolist()
            for fma, first in ((False, False), (True, True)):
                yield Order(1 << 30, fma, first, places)
            yield Order(2, False, False, places)


def stated(order: Order) -> dict[str, Any]:
    """As a certificate has it."""
    return {
        "block": order.block,
        "fma": int(order.fma),
        "bias_first": int(order.bias_first),
        "places": list(order.places),
    }


def _again(program: Program, found: Found, first: Value, orders: Mapping[str, Order]) -> Found | None:
    """The execution with another order of one value: what comes after it is executed again."""
    result: Found = {}
    changed = False
    try:
        for name, value in program.values.items():
            changed = changed or name == first.name
            if not changed or value.kind == "input":
                result[name] = found[name]
            else:
                result[name] = execute_value(program, value, result, orders.get(name, SEQUENTIAL))
    except Rejected:  # it overflows, or is deeper than the contract allows
        return None
    return result
