"""Checking a proof: the rules of the calculus over a table of bounds.

The table maps each value of the graph to an interval that holds there for every point of the region. A proof
is a list of steps; each adds to the table or, at the end, closes every disjunct of the bad set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.arithmetic import (
    COEFFICIENT_BITS,
    Interval,
    Vector,
    add,
    bits,
    intersect,
)
from tlverify.certify.kernel.claim import Claim, Inequality
from tlverify.certify.kernel.errors import Rejected
from tlverify.certify.kernel.network import Network
from tlverify.certify.kernel.reader import fields, items, rational
from tlverify.certify.kernel.rules import RULES, SLOPE_BITS, ZERO, Phases

Listing = Sequence[tuple[str, Sequence[int]]]


@dataclass
class State:
    """The table of bounds, and how much of the payload of slopes has been read."""

    network: Network
    payload: bytes
    bounds: dict[str, Interval]
    used: int = 0
    phases: dict[str, tuple[Interval, Phases]] = field(default_factory=dict)

    def phases_of(self, name: str) -> Phases | None:
        """Phases of the neurons of a piecewise node, by the present bounds of its input."""
        node = self.network.nodes[name]
        classify = RULES[node.op].phases
        if classify is None:
            return None
        bounds = self.bounds[node.inputs[0]]
        known = self.phases.get(name)
        if known is None or known[0] is not bounds:
            known = self.phases[name] = (bounds, classify(bounds))
        return known[1]


def check_proof(network: Network, claim: Claim, steps: list[Any], payload: bytes) -> Fraction:
    """Check every step. Returns the least margin by which a disjunct of the bad set is refuted."""
    boxes = {name: box.enclosure() for name, box in claim.region.items()}
    state = State(network, payload, {**network.constants, **boxes})
    if not steps:
        raise Rejected("proof", "it has no steps")
    margin = None
    for number, step in enumerate(steps):
        rule = step.get("rule") if type(step) is dict else None
        where = f"step {number} ({str(rule)[:20]})"
        if margin is not None:
            raise Rejected(where, "it comes after the proof is closed")
        if rule == "interval":
            _interval(state, step, where)
        elif rule == "bound":
            _bound(state, step, where)
        elif rule == "close":
            margin = _close(state, claim, step, where)
        else:
            raise Rejected(where, f"unknown rule {str(rule)[:40]!r}; known: interval, bound, close")
    if margin is None:
        raise Rejected("proof", "it ends without closing the bad set")
    if state.used != len(payload):
        raise Rejected("proof", f"{len(payload) - state.used} bytes of slopes are not used by any step")
    return margin


def _interval(state: State, step: Any, where: str) -> None:
    """Forward interval step for the listed nodes, intersected with what is known."""
    _, names = fields(step, where, rule=str, nodes=list)
    for name in items(names, str, where):
        node = state.network.nodes.get(name)
        if node is None or node.op not in RULES:
            raise Rejected(where, f"{name[:80]!r} is not a node of the graph")
        missing = [source for source in node.inputs if source not in state.bounds]
        if missing:
            raise Rejected(where, f"node {name!r} needs bounds of {missing[0]!r} first")
        found = RULES[node.op].interval(node, [state.bounds[source] for source in node.inputs], state.network)
        known = state.bounds.get(name)
        state.bounds[name] = found if known is None else intersect(known, found)
        _nonempty(state, name, where)


def _bound(state: State, step: Any, where: str) -> None:
    """Backward propagation of single entries of one node; each result tightens the table."""
    _, name, lower, upper, sloped = fields(step, where, rule=str, node=str, lower=list, upper=list, slopes=dict)
    known = state.bounds.get(name)
    if known is None or name not in state.network.nodes:
        raise Rejected(where, f"{name[:80]!r} has no bounds to tighten; an interval step must come first")
    size = state.network.nodes[name].size
    low, high = list(known.lower), list(known.upper)
    order = _order(state.network, {name})
    listing = _read_listing(state.network, sloped, where)
    for indices, sign in ((lower, 1), (upper, -1)):
        for index in items(indices, int, where):
            if not 0 <= index < size:
                raise Rejected(where, f"{name!r} has no entry {index}")
            unit = [0] * size
            unit[index] = sign
            bound = _propagate(state, order, {name: Vector(unit, 0)}, ZERO, listing, where)
            rounded = _floor(bound, known.exponent)
            if sign > 0:
                low[index] = max(low[index], rounded)
            else:
                high[index] = min(high[index], -rounded)
    state.bounds[name] = Interval(low, high, known.exponent)
    _nonempty(state, name, where)


def _nonempty(state: State, name: str, where: str) -> None:
    """The region has a point, so crossing bounds would mean that the checker is wrong: fail closed."""
    bounds = state.bounds[name]
    if any(a > b for a, b in zip(bounds.lower, bounds.upper, strict=True)):
        raise Rejected(where, f"the bounds of {name!r} cross, but the region is not empty")


def _close(state: State, claim: Claim, step: Any, where: str) -> Fraction:
    """Refute every disjunct: a combination of its inequalities with multipliers >= 0 is never satisfied."""
    _, multipliers, sloped = fields(step, where, rule=str, multipliers=list, slopes=dict)
    listing = _read_listing(state.network, sloped, where)
    if len(multipliers) != len(claim.bad):
        raise Rejected(where, f"the claim has {len(claim.bad)} disjuncts, the step refutes {len(multipliers)}")
    margins = []
    for number, (disjunct, texts) in enumerate(zip(claim.bad, multipliers, strict=True)):
        here = f"{where} disjunct {number}"
        weights = [rational(text, here) for text in items(texts, str, here)]
        if len(weights) != len(disjunct):
            raise Rejected(here, f"expected {len(disjunct)} multipliers, found {len(weights)}")
        if any(weight < 0 for weight in weights):
            raise Rejected(here, "a multiplier is negative")
        rows, constant, scale = _objective(state.network, disjunct, weights)
        order = _order(state.network, set(rows))
        bound = _propagate(state, order, rows, constant, listing, here)
        strict = any(row.strict and weight > 0 for row, weight in zip(disjunct, weights, strict=True))
        value = bound.integers[0]
        if value < 0 or (value == 0 and not strict):
            reached = float(Fraction(value) * Fraction(2) ** bound.exponent / scale)
            raise Rejected(here, f"not refuted: the lower bound {reached:.6g} is not > 0")
        margins.append(Fraction(value) * Fraction(2) ** bound.exponent / scale)
    return min(margins)


def _objective(
    network: Network, disjunct: Sequence[Inequality], weights: Sequence[Fraction]
) -> tuple[dict[str, Vector], Vector, int]:
    """The negated combination -sum_k w_k (terms_k - bound_k), times `scale` to make it integral."""
    constant = sum((w * row.bound for row, w in zip(disjunct, weights, strict=True)), Fraction(0))
    terms: dict[tuple[str, int], Fraction] = {}
    for row, weight in zip(disjunct, weights, strict=True):
        for name, index, coefficient in row.terms:
            terms[name, index] = terms.get((name, index), Fraction(0)) - weight * coefficient
    scale = math.lcm(constant.denominator, *(c.denominator for c in terms.values()))
    rows: dict[str, list[int]] = {}
    for (name, index), coefficient in terms.items():
        rows.setdefault(name, [0] * network.nodes[name].size)[index] = int(coefficient * scale)
    vectors = {name: Vector(row, 0) for name, row in rows.items()}
    return vectors, Vector([int(constant * scale)], 0), scale


def _propagate(
    state: State,
    order: Sequence[str],
    rows: Mapping[str, Vector],
    constant: Vector,
    listing: Listing,
    where: str,
) -> Vector:
    """A lower bound of sum(rows . values) + constant over the region, by backward substitution."""
    pending = dict(rows)
    slopes = _take_slopes(state, listing, where)
    for name in order:
        row = pending.pop(name, None)
        if row is None:
            continue
        if name not in state.bounds:
            raise Rejected(where, f"{name!r} has no bounds yet; an interval step must come first")
        row, charge = _weaken(row, state.bounds[name])
        constant = add(constant, charge)
        node = state.network.nodes[name]
        if node.op in RULES:
            taken, gained = RULES[node.op].backward(
                node, row, state.network, state.phases_of(name), slopes.get(name, {})
            )
            constant = add(constant, gained)
            for source, part in taken:
                pending[source] = add(pending[source], part) if source in pending else part
        else:
            constant = add(constant, _least(row, state.bounds[name]))
    return constant


def _weaken(row: Vector, bounds: Interval) -> tuple[Vector, Vector]:
    """Floor coefficients to COEFFICIENT_BITS. Each loses less than one unit d, and r v >= d min(0, l) for
    0 <= r < d and v >= l, which is charged to the constant."""
    drop = bits(row.integers) - COEFFICIENT_BITS
    if drop <= 0:
        return row, ZERO
    exponent = row.exponent + drop
    charge = sum(low for low in bounds.lower if low < 0)
    return Vector([a >> drop for a in row.integers], exponent), Vector([charge], exponent + bounds.exponent)


def _least(row: Vector, bounds: Interval) -> Vector:
    """The minimum of row . v for v in the interval."""
    total = sum(
        a * (low if a > 0 else high) for a, low, high in zip(row.integers, bounds.lower, bounds.upper, strict=True)
    )
    return Vector([total], row.exponent + bounds.exponent)


def _floor(value: Vector, exponent: int) -> int:
    """floor(value / 2^exponent)."""
    places = value.exponent - exponent
    return value.integers[0] << places if places >= 0 else value.integers[0] >> -places


def _read_listing(network: Network, data: dict[str, Any], where: str) -> Listing:
    """For which neurons the payload gives slopes: {node: [indices]}; the others keep the default."""
    listing = []
    for name, indices in data.items():
        node = network.nodes.get(name)
        if node is None or node.op not in RULES or RULES[node.op].phases is None:
            raise Rejected(where, f"slopes are given for {name[:80]!r}, which takes none")
        if type(indices) is not list or not all(0 <= i < node.size for i in items(indices, int, where)):
            raise Rejected(where, f"slopes of {name!r}: expected a list of its neurons")
        listing.append((name, indices))
    return listing


def _take_slopes(state: State, listing: Listing, where: str) -> dict[str, dict[int, int]]:
    """The next slopes of the payload, one byte for each neuron of the listing."""
    result = {}
    for name, indices in listing:
        part = state.payload[state.used : state.used + len(indices)]
        if len(part) < len(indices):
            raise Rejected(where, "the payload has too few slopes")
        if any(slope > 1 << SLOPE_BITS for slope in part):
            raise Rejected(where, f"a slope of {name!r} is above 1")
        state.used += len(part)
        result[name] = dict(zip(indices, part, strict=True))
    return result


def _order(network: Network, targets: set[str]) -> list[str]:
    """The targets and all that they are computed from, users before what they use."""
    needed = set(targets)
    order = []
    for name in reversed(list(network.nodes)):
        if name in needed:
            order.append(name)
            node = network.nodes[name]
            needed.update(node.inputs)
    return order
