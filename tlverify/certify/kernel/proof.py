"""Checking a proof: a list of steps, read by a machine with a stack of goals.

A goal is a region with a table of bounds, the inequalities (cuts) that hold in it, and the bad set that it must be
shown not to reach. A step adds to the table of the present goal, replaces the goal by several, or closes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.arithmetic import Constant, Interval, bits, floor_to, intersect
from tlverify.certify.kernel.backward import SLOPE_BITS, Bounds, Job, Path, Slopes
from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.errors import (
    FREE_STEPS,
    MAX_GOALS,
    MAX_SCALE_BITS,
    MAX_TREE_DEPTH,
    MAX_TREE_NODES,
    STEPS_PER_BYTE,
    Rejected,
)
from tlverify.certify.kernel.program import Program, enclose_error, enclose_value, error_of
from tlverify.certify.kernel.reader import fields, items, rational, shown

Disjunct = Sequence[Inequality]
Engine = Callable[[Program, Bounds, Sequence[Job]], list[Constant]]
"""Lower bounds of jobs over a region: one of the arithmetics."""
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

    def __init__(
        self,
        program: Program,
        claim: Claim,
        payload: bytes | memoryview,
        rules: Mapping[str, Rule],
        engine: Engine,
        allowed: int = MAX_TREE_NODES,
    ) -> None:
        self.program = program
        self.rules = rules
        self.engine = engine
        self.payload = payload
        self.used = 0
        self.allowed = allowed  # steps and nodes of trees
        self.margin: Constant | None = None
        boxes = {name: box.enclosure() for name, box in claim.region.items()}
        self.balls = {name: box.ball for name, box in claim.region.items()}
        self.goal: Goal | None = Goal(Bounds(boxes), (), claim.flushed(program))
        self.stack: list[Goal | Lemma] = []
        self.steps: Sequence[Any] = ()  # all of them, and the present one's number: for arithmetics that work ahead
        self.number = 0

    def run(self, steps: list[Any]) -> Fraction:
        """Take every step; Rejected unless all goals are closed by the last. Returns the margin."""
        self.spend(len(steps), "proof")
        self.steps = steps
        for self.number, step in enumerate(steps):
            rule = str(step.get("rule")) if type(step) is dict else "None"
            where = f"step {self.number} ({rule if rule in self.rules else 'unknown'})"
            if self.goal is None:
                raise Rejected(where, "it comes after the proof is closed")
            if rule not in self.rules:
                raise Rejected(where, f"unknown rule {rule[:40]!r}; known: {', '.join(self.rules)}")
            try:
                self.rules[rule](self, self.goal, step, where)
            except Rejected as rejection:
                if rejection.step == where:
                    raise
                raise Rejected(where, f"{rejection.step}: {rejection.reason}") from None
            if len(self.stack) > MAX_GOALS or len(self.goal.cuts if self.goal else ()) > MAX_TREE_DEPTH:
                raise Rejected(where, f"more than {MAX_GOALS} goals are open, or {MAX_TREE_DEPTH} cuts hold in one")
        if self.goal is not None or self.margin is None:
            raise Rejected("proof", f"it ends with {len(self.stack) + 1} open goals")
        if self.used != len(self.payload):
            raise Rejected("proof", f"{len(self.payload) - self.used} bytes of the payload are not used by any step")
        if bits([self.margin[0]]) + self.margin[1] > MAX_SCALE_BITS:  # rounded down to what can be printed
            return Fraction(1 << MAX_SCALE_BITS - 1)
        unit = max(self.margin[1], -MAX_SCALE_BITS)
        return floor_to(self.margin, unit) * Fraction(2) ** unit

    def next_goal(self) -> None:
        """The present goal is proved: go on with the one beneath, after adding the lemmas that are proved now."""
        top = self.stack.pop() if self.stack else None
        if isinstance(top, Lemma):
            tighten(top.goal.bounds, top.name, top.index, top.bound, top.upper)
            top = top.goal
        self.goal = top

    def refute(self, combined: Combination, found: Constant, where: str) -> None:
        """The negated combination is > 0 everywhere (>= 0 will do if a strict inequality takes part)."""
        strict = any(inequality.strict and weight > 0 for (weight, _), inequality in combined)
        if found[0] < 0 or (found[0] == 0 and not strict):
            raise Rejected(where, f"not refuted: the lower bound, about {found[0]} * 2^{found[1]}, is not > 0")
        if self.margin is None or floor_to(found, min(found[1], self.margin[1])) < floor_to(
            self.margin, min(found[1], self.margin[1])
        ):
            self.margin = found

    def spend(self, count: int, where: str) -> None:
        """So many more steps or nodes, of those that a certificate of this size may have."""
        self.allowed -= count
        if self.allowed < 0:
            reason = f"over {FREE_STEPS} steps and nodes, and {STEPS_PER_BYTE} for each byte of the file; compress less"
            raise Rejected(where, reason)

    def take(self, count: int, where: str) -> bytes:
        """The next bytes of the payload."""
        part = bytes(self.payload[self.used : self.used + count])
        if len(part) < count:
            raise Rejected(where, "the payload is too short")
        self.used += count
        return part


def tighten(bounds: Bounds, name: str, index: int, bound: Fraction, upper: bool) -> None:
    """Enter value <= bound (or >=) into the table, rounded outward to the unit of its interval."""
    scaled = bound / Fraction(2) ** bounds[name].exponent
    end = math.ceil(scaled) if upper else math.floor(scaled)
    bounds[name] = bounds.along([(name, index, upper, end)])[name]


def _interval(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Forward interval steps for the listed values, intersected with what is known."""
    _, names = fields(step, where, rule=str, nodes=list)
    for name in once(items(names, str, where), where):
        value = machine.program.values.get(name)
        if value is None or value.kind == "input":
            raise Rejected(where, f"{name[:80]!r} is not a value that is computed")
        missing = [s for s in (*value.sources, *value.direct_sources) if s not in goal.bounds]
        if missing:
            raise Rejected(where, f"{name!r} needs bounds of {missing[0]!r} first")
        if value.rounding is not None:
            goal.bounds[error_of(name)] = enclose_error(value, goal.bounds)
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
    rows = [(i, sign) for ends, sign in ((lower, 1), (upper, -1)) for i in once(items(ends, int, where), where)]
    if len(multipliers) != (len(rows) if chosen else 0):
        raise Rejected(where, f"expected multipliers for {len(rows) if chosen else 0} rows, found {len(multipliers)}")
    jobs = []
    for number, (index, sign) in enumerate(rows):
        entry(machine, goal, name, index, where)
        weights = read_weights(multipliers[number], len(chosen), where) if chosen else []
        combined = list(zip(weights, chosen, strict=True))
        jobs.append(negated(combined, take_slopes(machine, listing, where), [(name, index, sign)]))
    known = goal.bounds[name]
    low, high = list(known.lower), list(known.upper)
    for (index, sign), found in zip(rows, machine.engine(machine.program, goal.bounds, jobs), strict=True):
        rounded = floor_to(found, known.exponent)
        if sign > 0:
            low[index] = max(low[index], rounded)
        else:
            high[index] = min(high[index], -rounded)
    goal.bounds[name] = Interval(low, high, known.exponent)


def _rebound(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Bound every entry of a value that can have either sign, with default slopes and no cuts."""
    _, name = fields(step, where, rule=str, node=str)
    entry(machine, goal, name, 0, where)
    known = goal.bounds[name]
    either = [i for i, (low, high) in enumerate(zip(known.lower, known.upper, strict=True)) if low < 0 < high]
    step = {
        "rule": "bound",
        "node": name,
        "lower": either,
        "upper": either,
        "slopes": {},
        "cuts": [],
        "multipliers": [],
    }
    _bound(machine, goal, step, where)


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


def _ball(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """A plane that an input's ball is beside: it holds in the region, so it becomes a cut, and one more inequality of
    every disjunct, which takes no bad point away."""
    _, name, texts = fields(step, where, rule=str, input=str, direction=list)
    ball = machine.balls.get(name)
    if ball is None:
        raise Rejected(where, f"{name[:80]!r} is not an input that the claim keeps in a ball")
    direction = [rational(text, where) for text in items(texts, str, where)]
    if any(v.denominator & (v.denominator - 1) or v.denominator.bit_length() > MAX_SCALE_BITS for v in direction):
        raise Rejected(where, "a direction is not of binary fractions")
    plane = ball.plane(name, direction)
    if plane is None:
        raise Rejected(where, f"the dual norm of the direction is above 1, or it has not {len(ball.center)} entries")
    machine.goal = replace(goal.branch(plane), bad=[[*disjunct, plane] for disjunct in goal.bad])


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


Combination = Sequence[tuple[Constant, Inequality]]
"""Inequalities with multipliers, integer * 2^exponent >= 0."""


def _close(machine: Machine, goal: Goal, step: Any, where: str) -> None:
    """Refute every disjunct: a combination of its inequalities and the cuts, multipliers >= 0, is never satisfied."""
    _, multipliers, sloped, cuts = fields(step, where, rule=str, multipliers=list, slopes=dict, cuts=list)
    listing = read_listing(machine.program, sloped, where)
    chosen = _read_cuts(goal, cuts, where)
    if len(multipliers) != len(goal.bad):
        raise Rejected(where, f"the bad set has {len(goal.bad)} disjuncts, the step refutes {len(multipliers)}")
    jobs, combinations = [], []
    for disjunct, texts in zip(goal.bad, multipliers, strict=True):
        known = [*disjunct, *chosen]
        combined = list(zip(read_weights(texts, len(known), where), known, strict=True))
        combinations.append(combined)
        jobs.append(negated(combined, take_slopes(machine, listing, where)))
    found = machine.engine(machine.program, goal.bounds, jobs)
    for number, (combined, bound) in enumerate(zip(combinations, found, strict=True)):
        machine.refute(combined, bound, f"{where} disjunct {number}")
    machine.next_goal()


Rule = Callable[[Machine, Goal, Any, str], None]
STEPS: Mapping[str, Rule] = {
    "interval": _interval,
    "bound": _bound,
    "rebound": _rebound,
    "split": _split,
    "cases": _cases,
    "ball": _ball,
    "lemma": _lemma,
    "close": _close,
}


def negated(combined: Combination, slopes: Slopes, terms: Sequence[tuple[str, int, int]] = (), path: Path = ()) -> Job:
    """terms - sum_k w_k (left_k - bound_k), for inequalities scaled to integers and multipliers w_k."""
    unit = min([0, *(exponent + row.integral[2] for (_, exponent), row in combined)])
    rows: dict[str, dict[int, int]] = {}
    constant = 0
    for name, index, coefficient in terms:
        rows.setdefault(name, {})[index] = coefficient << -unit
    for (integer, exponent), inequality in combined:
        if integer:
            left, bound, own = inequality.integral
            weight = integer << exponent + own - unit
            constant += weight * bound
            for name, index, coefficient in left:
                row = rows.setdefault(name, {})
                row[index] = row.get(index, 0) - weight * coefficient
    return Job(rows, unit, (constant, unit), slopes, path)


def entry(machine: Machine, goal: Goal, name: str, index: int, where: str) -> None:
    """The table has bounds for name[index]."""
    if name not in machine.program.values or not 0 <= index < machine.program.values[name].size:
        raise Rejected(where, f"{shown(name)}[{index}] is not an entry of a value of the program")
    if name not in goal.bounds:
        raise Rejected(where, f"{name!r} has no bounds yet; an interval step must come first")


def once(listed: list[Any], where: str) -> list[Any]:
    """The list itself, if nothing stands twice in it: a step costs no more than bounding each value once."""
    if len(set(listed)) < len(listed):
        raise Rejected(where, "something is listed twice")
    return listed


def read_weights(texts: Any, count: int, where: str) -> list[Constant]:
    """`count` multipliers: binary fractions >= 0."""
    if type(texts) is not list or len(texts) != count:
        raise Rejected(where, f"expected {count} multipliers")
    weights = [rational(text, where) for text in items(texts, str, where)]
    if any(weight < 0 for weight in weights):
        raise Rejected(where, "a multiplier is negative")
    if any(weight.denominator & (weight.denominator - 1) for weight in weights):
        raise Rejected(where, "a multiplier is not a binary fraction")
    return [(weight.numerator, 1 - weight.denominator.bit_length()) for weight in weights]


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
        if len(set(indices)) != len(indices):
            raise Rejected(where, f"slopes of {name!r}: a neuron stands twice")
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
