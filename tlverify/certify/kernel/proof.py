"""Checking a proof: a list of steps, read by a machine with a stack of goals.

A goal is a region with a table of bounds, the inequalities (cuts) that hold in it, and the bad set that it must be shown
not to reach. A step adds to the table of the present goal, replaces the goal by several, or closes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.arithmetic import Constant, Interval, Vector, floor_to, intersect
from tlverify.certify.kernel.backward import SLOPE_BITS, Bounds, Slopes, propagate
from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.errors import MAX_GOALS, Rejected
from tlverify.certify.kernel.program import Program, enclose_value
from tlverify.certify.kernel.reader import fields, items, rational

Disjunct = Sequence[Inequality]
Listing = Sequence[tuple[str, Sequence[int]]]


@dataclass(frozen=True)
class Goal:
    """No point of the region satisfies all inequalities of a disjunct of `bad`.

    `bounds` is this goal's own table. `cuts` hold at every point of the region. `proves`, if given, is what the proof
    of this goal adds to the table of the goal beneath it on the stack.
    """

    bounds: Bounds
    cuts: tuple[Inequality, ...]
    bad: Sequence[Disjunct]

    def branch(self, *cuts: Inequality) -> Goal:
        """A copy in which the cuts hold as well."""
        return replace(self, bounds=self.bounds.copy(), cuts=(*self.cuts, *cuts))


@dataclass(frozen=True)
class Lemma:
    """When reached on the stack, the goal above it is proved: `name[index]` is at most (at least) `bound`."""

    goal: Goal
    name: str
    index: int
    upper: bool
    bound: Fraction


class Machine:
    """The stack of goals, the payload of slopes, and the least margin by which a disjunct was refuted."""

    def __init__(self, program: Program, claim: Claim, payload: bytes) -> None:
        self.program = program
        self.payload = payload
        self.used = 0
        self.margin: Fraction | None = None
        boxes = {name: box.enclosure() for name, box in claim.region.items()}
        self.goal: Goal | None = Goal(Bounds(boxes), (), claim.bad)
        self.stack: list[Goal | Lemma] = []

    def run(self, steps: list[Any]) -> Fraction:
        """Take every step; Rejected unless all goals are closed by the last. Returns the margin."""
        for number, step in enumerate(steps):
            rule = step.get("rule") if type(step) is dict else None
            where = f"step {number} ({str(rule)[:20]})"
            if self.goal is None:
                raise Rejected(where, "it comes after the proof is closed")
            if type(rule) is not str or rule not in STEPS:
                raise Rejected(where, f"unknown rule {str(rule)[:40]!r}; known: {', '.join(STEPS)}")
            try:
                STEPS[rule](self, self.goal, step, where)
            except Rejected as rejection:
                if rejection.step == where:
                    raise
                raise Rejected(where, f"{rejection.step}: {rejection.reason}") from None
            if len(self.stack) > MAX_GOALS:
                raise Rejected(where, f"more than {MAX_GOALS} goals are open")
        if self.goal is not None or self.margin is None:
            raise Rejected("proof", f"it ends with {len(self.stack) + 1} open goals")
        if self.used != len(self.payload):
            raise Rejected("proof", f"{len(self.payload) - self.used} bytes of the payload are not used by any step")
        return self.margin

    def next_goal(self) -> None:
        """The present goal is proved: go on with the one beneath, after adding the lemmas that are proved now."""
        self.goal = None
        while self.stack:
            top = self.stack.pop()
            if isinstance(top, Goal):
                self.goal = top
                return
            tighten(top.goal.bounds, top.name, top.index, top.bound, top.upper)
            self.goal = top.goal
            return

    def take(self, count: int, where: str) -> bytes:
        """The next bytes of the payload."""
        part = self.payload[self.used : self.used + count]
        if len(part) < count:
            raise Rejected(where, "the payload is too short")
        self.used += count
        return part


def tighten(bounds: Bounds, name: str, index: int, bound: Fraction, upper: bool) -> None:
    """Enter value <= bound (or >=) into the table, rounded outward to the unit of its interval."""
    known = bounds[name]
    end = list(known.upper if upper else known.lower)
    scaled = bound / Fraction(2) ** known.exponent
    end[index] = min(end[index], math.ceil(scaled)) if upper else max(end[index], math.floor(scaled))
    bounds[name] = Interval(known.lower, end, known.exponent) if upper else Interval(end, known.upper, known.exponent)


def _interval(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Forward interval steps for the listed values, intersected with what is known."""
    _, names = fields(step, where, rule=str, nodes=list)
    for name in items(names, str, where):
        value = machine.program.values.get(name)
        if value is None or value.kind == "input":
            raise Rejected(where, f"{name[:80]!r} is not a value that is computed")
        missing = [s for s in (*value.sources, *value.direct_sources) if s not in goal.bounds]
        if missing:
            raise Rejected(where, f"{name!r} needs bounds of {missing[0]!r} first")
        found = enclose_value(value, goal.bounds)
        if value.direct is not None:
            found = intersect(found, value.direct([goal.bounds[s] for s in value.direct_sources]))
        known = goal.bounds.get(name)
        goal.bounds[name] = found if known is None else intersect(known, found)


def _bound(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Backward bounds of single entries of one value, with multipliers on the cuts; each tightens the table."""
    _, name, lower, upper, sloped, cuts, multipliers = fields(
        step, where, rule=str, node=str, lower=list, upper=list, slopes=dict, cuts=list, multipliers=list
    )
    entry(machine, goal, name, 0, where)
    listing = read_listing(machine.program, sloped, where)
    chosen = _read_cuts(goal, cuts, where)
    rows = [(i, 1) for i in items(lower, int, where)] + [(i, -1) for i in items(upper, int, where)]
    if len(multipliers) != (len(rows) if chosen else 0):
        raise Rejected(where, f"expected multipliers for {len(rows) if chosen else 0} rows, found {len(multipliers)}")
    known = goal.bounds[name]
    low, high = list(known.lower), list(known.upper)
    for number, (index, sign) in enumerate(rows):
        entry(machine, goal, name, index, where)
        weights = read_weights(multipliers[number], len(chosen), where) if chosen else []
        combined = list(zip(weights, chosen, strict=True))
        start, constant, scale = objective(machine.program, combined, {(name, index): Fraction(sign)})
        found = propagate(machine.program, goal.bounds, start, constant, take_slopes(machine, listing, where))
        rounded = floor_to((found[0] // scale, found[1]), known.exponent)
        if sign > 0:
            low[index] = max(low[index], rounded)
        else:
            high[index] = min(high[index], -rounded)
    goal.bounds[name] = Interval(low, high, known.exponent)


def _split(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Two goals: the value is <= `at`, or >= `at`. The first is next."""
    _, name, index, text = fields(step, where, rule=str, node=str, index=int, at=str)
    entry(machine, goal, name, index, where)
    at = rational(text, where)
    below = goal.branch(Inequality(((name, index, Fraction(-1)),), -at, False))
    above = goal.branch(Inequality(((name, index, Fraction(1)),), at, False))
    tighten(below.bounds, name, index, at, upper=True)
    tighten(above.bounds, name, index, at, upper=False)
    machine.stack.append(above)
    machine.goal = below


def _cases(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """A goal for each disjunct of the bad set; its inequalities become cuts, for its points are all that is left."""
    fields(step, where, rule=str)
    goals = [replace(goal.branch(*disjunct), bad=[disjunct]) for disjunct in goal.bad]
    machine.stack.extend(reversed(goals[1:]))
    machine.goal = goals[0]


def _lemma(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """First prove that no point has the value at or beyond `at`; then that bound enters the table."""
    _, name, index, side, text = fields(step, where, rule=str, node=str, index=int, side=str, at=str)
    entry(machine, goal, name, index, where)
    if side not in ("lower", "upper"):
        raise Rejected(where, "side is lower or upper")
    at, sign = rational(text, where), Fraction(1 if side == "upper" else -1)
    beyond = Inequality(((name, index, sign),), sign * at, False)
    machine.stack.append(Lemma(goal, name, index, side == "upper", at))
    machine.goal = replace(goal.branch(), bad=[[beyond]])


def _close(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct: a combination of its inequalities and the cuts, multipliers >= 0, is never satisfied."""
    _, multipliers, sloped, cuts = fields(step, where, rule=str, multipliers=list, slopes=dict, cuts=list)
    listing = read_listing(machine.program, sloped, where)
    chosen = _read_cuts(goal, cuts, where)
    if len(multipliers) != len(goal.bad):
        raise Rejected(where, f"the bad set has {len(goal.bad)} disjuncts, the step refutes {len(multipliers)}")
    for number, (disjunct, texts) in enumerate(zip(goal.bad, multipliers, strict=True)):
        here = f"{where} disjunct {number}"
        known = [*disjunct, *chosen]
        weights = read_weights(texts, len(known), here)
        combined = list(zip(weights, known, strict=True))
        start, constant, scale = objective(machine.program, combined, {})
        found = propagate(machine.program, goal.bounds, start, constant, take_slopes(machine, listing, here))
        refute(machine, goal, combined, found, scale, here)
    machine.next_goal()


def refute(
    machine: Machine,
    goal: Goal,
    combined: Sequence[tuple[Fraction, Inequality]],
    found: Constant,
    scale: int,
    where: str,
) -> None:
    """The negated combination is > 0 everywhere (>= 0 will do if a strict inequality takes part)."""
    strict = any(inequality.strict and weight > 0 for weight, inequality in combined)
    value = Fraction(found[0]) * Fraction(2) ** found[1] / scale
    if value < 0 or (value == 0 and not strict):
        raise Rejected(where, f"not refuted: the lower bound {float(value):.6g} is not > 0")
    if machine.margin is None or value < machine.margin:
        machine.margin = value


STEPS: Mapping[str, Callable[[Machine, Goal, Any, str], None]] = {
    "interval": _interval,
    "bound": _bound,
    "split": _split,
    "cases": _cases,
    "lemma": _lemma,
    "close": _close,
}


def objective(
    program: Program, combined: Sequence[tuple[Fraction, Inequality]], terms: dict[tuple[str, int], Fraction]
) -> tuple[dict[str, Vector], Constant, int]:
    """terms - sum_k w_k (inequality_k), times `scale` to make it integral. Each inequality is >= 0, each w_k >= 0."""
    constant = sum((w * row.bound for w, row in combined), Fraction(0))
    total = dict(terms)
    for weight, row in combined:
        for name, index, coefficient in row.terms:
            total[name, index] = total.get((name, index), Fraction(0)) - weight * coefficient
    scale = math.lcm(constant.denominator, *(c.denominator for c in total.values()))
    rows: dict[str, list[int]] = {}
    for (name, index), coefficient in total.items():
        rows.setdefault(name, [0] * program.values[name].size)[index] = int(coefficient * scale)
    return {name: Vector(row, 0) for name, row in rows.items()}, (int(constant * scale), 0), scale


def entry(machine: Machine, goal: Goal, name: str, index: int, where: str) -> None:
    """The table has bounds for name[index]."""
    if name not in machine.program.values or not 0 <= index < machine.program.values[name].size:
        raise Rejected(where, f"{name[:80]}[{index}] is not an entry of a value of the program")
    if name not in goal.bounds:
        raise Rejected(where, f"{name!r} has no bounds yet; an interval step must come first")


def read_weights(texts: Any, count: int, where: str) -> list[Fraction]:
    """`count` multipliers, each >= 0."""
    if type(texts) is not list or len(texts) != count:
        raise Rejected(where, f"expected {count} multipliers")
    weights = [rational(text, where) for text in items(texts, str, where)]
    if any(weight < 0 for weight in weights):
        raise Rejected(where, "a multiplier is negative")
    return weights


def _read_cuts(goal: Goal, numbers: list[Any], where: str) -> list[Inequality]:
    if not all(0 <= number < len(goal.cuts) for number in items(numbers, int, where)):
        raise Rejected(where, f"a cut is not among the {len(goal.cuts)} of this goal")
    return [goal.cuts[number] for number in numbers]


def read_listing(program: Program, data: dict[str, Any], where: str) -> Listing:
    """For which neurons the payload gives slopes: {relu: [neurons]}; the others keep the default."""
    listing = []
    for name, indices in data.items():
        value = program.values.get(name)
        if value is None or value.kind != "relu":
            raise Rejected(where, f"slopes are given for {name[:80]!r}, which takes none")
        if type(indices) is not list or not all(0 <= i < value.size for i in items(indices, int, where)):
            raise Rejected(where, f"slopes of {name!r}: expected a list of its neurons")
        listing.append((name, indices))
    return listing


def take_slopes(machine: Machine, listing: Listing, where: str) -> Slopes:
    """The next slopes of the payload, one byte for each neuron of the listing."""
    result = {}
    for name, indices in listing:
        part = machine.take(len(indices), where)
        if any(slope > 1 << SLOPE_BITS for slope in part):
            raise Rejected(where, f"a slope of {name!r} is above 1")
        result[name] = dict(zip(indices, part, strict=True))
    return result
