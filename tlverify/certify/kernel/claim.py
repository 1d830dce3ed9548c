"""The statement to be proved: no input of the region reaches the bad set.

A claim names the graph by digest, the region of its inputs, the bad set as a disjunction of conjunctions of
linear inequalities over inputs and outputs, and the semantics of the arithmetic.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

from tlverify.certify.kernel.arithmetic import Interval, enclose
from tlverify.certify.kernel.contract import LEAST, Contract, quotient, read_contract
from tlverify.certify.kernel.errors import MAX_LEVELS, MAX_SCALE_BITS, Malformed, Rejected
from tlverify.certify.kernel.program import Program, Sparse
from tlverify.certify.kernel.reader import fields, items, parse_json, rational, shown, tagged

BALLS = {"linf_ball": "l-infinity", "l1_ball": "l1", "l2_ball": "l2"}
PLANE_BITS = 32  # of the bound of a plane beside a ball
REAL = "parameters and inputs are the exact numbers stored, arithmetic is over the reals"


@dataclass(frozen=True)
class Ball:
    """Points within `radius` of a center by the norm 1 or 2."""

    norm: int
    center: Sequence[Fraction]
    radius: Fraction

    def holds(self, points: Sequence[Fraction]) -> bool:
        distances = [abs(a - b) ** self.norm for a, b in zip(points, self.center, strict=True)]
        return sum(distances) <= self.radius**self.norm

    def plane(self, name: str, direction: Sequence[Fraction]) -> Inequality | None:
        """direction . (x - center) <= radius, which holds in the ball if the dual norm of the direction is at most 1
        (Hoelder), else None. The bound is floored to a multiple of 2^-PLANE_BITS."""
        size = max(map(abs, direction), default=0) if self.norm == 1 else sum(v * v for v in direction)
        if len(direction) != len(self.center) or size > 1:
            return None
        most = self.radius + sum(a * b for a, b in zip(direction, self.center, strict=True))
        bound = Fraction(math.floor(-most * (1 << PLANE_BITS)), 1 << PLANE_BITS)
        return Inequality([(name, index, -v) for index, v in enumerate(direction) if v], bound, False)


@dataclass(frozen=True)
class Box:
    """Exact lower and upper end of each entry of an input; with a `divisor` the entries are the float32 numbers nearest
    to integers divided by it; with a `ball` they are in it as well."""

    lower: Sequence[Fraction]
    upper: Sequence[Fraction]
    text: str
    divisor: int = 0
    ball: Ball | None = None

    def holds(self, index: int, point: Fraction) -> bool:
        """Whether the point is in the range of the entry."""
        whole = not self.divisor or point == level(round(point * self.divisor), self.divisor)
        return whole and self.lower[index] <= point <= self.upper[index]

    def enclosure(self) -> Interval:
        return enclose(self.lower, self.upper)


@dataclass(frozen=True)
class Inequality:
    """sum of coefficient * value[index] over `terms` is >= `bound` (> `bound` if strict)."""

    terms: Sequence[tuple[str, int, Fraction]]
    bound: Fraction
    strict: bool

    @cached_property
    def integral(self) -> tuple[Sequence[tuple[str, int, int]], int, int]:
        """Terms and bound as integers times 2^exponent, and the exponent: multiplied by the least odd number that
        makes them all binary fractions."""
        scale = math.lcm(self.bound.denominator, *(c.denominator for _, _, c in self.terms))
        exponent = 1 - (scale & -scale).bit_length()
        return [(name, index, int(c * scale)) for name, index, c in self.terms], int(self.bound * scale), exponent

    def __str__(self) -> str:
        parts = []
        for name, index, coefficient in self.terms:
            size = "" if abs(coefficient) == 1 else f"{abs(coefficient)} "
            parts.append(f"{'-' if coefficient < 0 else '+'} {size}{name}[{index}]")
        left = " ".join(parts).removeprefix("+ ")
        return f"{left or 0} {'>' if self.strict else '>='} {self.bound}"


@dataclass(frozen=True)
class Claim:
    digest: str
    contract: Contract | None
    region: Mapping[str, Box]
    bad: Sequence[Sequence[Inequality]]

    def __str__(self) -> str:
        region = " and ".join(f"{name} in {box.text}" for name, box in self.region.items())
        bad = " or ".join("(" + " and ".join(map(str, row)) + ")" for row in self.bad)
        return f"for every {region}, never {bad}; {REAL if self.contract is None else f'in {self.contract}'}"

    def flushed(self, program: Program) -> Sequence[Sequence[Inequality]]:
        """The bad set, enlarged by what a flush to zero may do to an output where it is read. (Each use of a number
        pays for its flush there: an output that is used as well may be flushed here and kept there.) If there is
        one only, and it is a rounded value or that value moved or through a ReLU, its error allows for that already."""
        if self.contract is None or (len(program.outputs) == 1 and _read_once(program, program.outputs[0])):
            return self.bad
        tiny = Fraction(2) ** self.contract.tiny
        return [
            [
                replace(
                    row, bound=row.bound - tiny * sum(abs(c) for name, _, c in row.terms if name not in program.inputs)
                )
                for row in disjunct
            ]
            for disjunct in self.bad
        ]


def _read_once(program: Program, name: str) -> bool:
    """Whether a value is a rounded one, of which each entry is moved or goes through a ReLU once at most."""
    value = program.values[name]
    while value.rounding is None:
        if value.kind == "affine":
            if value.bias is not None or len(value.terms) != 1 or not isinstance(value.terms[0][1], Sparse):
                return False
            used = [index for pairs in value.terms[0][1].entries for index, _ in pairs]
            if len(set(used)) < len(used):
                return False
        if not value.sources:
            return False
        value = program.values[value.sources[0]]
    return True


def level(number: int, divisor: int) -> Fraction:
    """The float32 nearest to number / divisor: what a pixel is read as."""
    return quotient(number << -LEAST, divisor) * Fraction(2) ** LEAST


def contract_of(raw: bytes) -> Contract | None:
    """The contract of a claim, which says how its graph must be read; None if it is about real arithmetic."""
    data = parse_json(raw, "claim")
    tagged(data, "claim", "tlverify.claim")
    return _read_semantics(data)


def _read_semantics(data: dict[str, Any]) -> Contract | None:
    semantics = data.get("semantics")
    if type(semantics) is dict:
        return read_contract(semantics)
    if type(semantics) is str and semantics != "real":
        raise Malformed(f"claim: semantics {semantics[:40]!r} is neither 'real' nor a contract")
    return None


def read_claim(raw: bytes, program: Program) -> Claim:
    """Read a claim about this very program. Rejected if it is about another, Malformed if ill-formed."""
    data = parse_json(raw, "claim")
    tagged(data, "claim", "tlverify.claim")
    contract = _read_semantics(data)
    kind = str if contract is None else dict
    _, _, graph, _, region, bad = fields(
        data, "claim", format=str, version=int, graph=str, semantics=kind, region=list, bad=list
    )
    if graph != program.digest:
        raise Rejected("claim", f"it is about graph {graph[:64]!r}, this graph is {program.digest}")
    if contract != program.contract:
        raise Rejected("claim", f"it is about {contract or REAL}; the graph was read for {program.contract or REAL}")
    boxes: dict[str, Box] = {}
    for entry in region:
        name, box = _read_box(entry, program)
        if name in boxes:
            raise Malformed(f"region: input {name!r} is given twice")
        boxes[name] = box
    if set(boxes) != set(program.inputs):
        raise Malformed(f"region: expected every input of {list(program.inputs)}, found {list(boxes)}")
    if not bad:
        raise Malformed("claim: the bad set is empty, so it claims nothing")
    visible = {*program.inputs, *program.outputs}
    disjuncts = []
    for conjuncts in items(bad, list, "bad"):
        if not conjuncts:
            raise Malformed("claim: a conjunction of the bad set is empty, so everything is bad")
        disjuncts.append([_read_inequality(entry, program, visible) for entry in conjuncts])
    return Claim(hashlib.sha256(raw).hexdigest(), contract, boxes, disjuncts)


def _read_box(entry: Any, program: Program) -> tuple[str, Box]:
    kind, divisor, ball = entry.get("kind") if type(entry) is dict else None, 0, None
    if kind == "box":
        _, name, lower, upper = fields(entry, "region", kind=str, input=str, lower=list, upper=list)
        low = [rational(text, "region lower") for text in lower]
        high = [rational(text, "region upper") for text in upper]
        text = f"the box of {len(low)} intervals that the claim lists"
    elif type(kind) is str and kind in BALLS:
        _, name, center, radius, clip = fields(entry, "region", kind=str, input=str, center=list, radius=str, clip=list)
        r = rational(radius, "region radius")
        least, most = _clip(clip)
        points = [rational(text, "region center") for text in center]
        low = [max(point - r, least) for point in points]
        high = [min(point + r, most) for point in points]
        text = f"the {BALLS[kind]} ball of radius {radius} about the claim's center, within [{least}, {most}]"
        if kind != "linf_ball":
            ball = Ball(1 if kind == "l1_ball" else 2, points, r)
    elif kind == "levels":
        _, name, least, most, divisor = fields(
            entry, "region", kind=str, input=str, lower=list, upper=list, divisor=int
        )
        numbers = [*items(least, int, "region lower"), *items(most, int, "region upper")]
        if not 1 <= divisor <= MAX_LEVELS or not all(0 <= number <= MAX_LEVELS for number in numbers):
            raise Malformed(f"region: levels and their divisor are at most {MAX_LEVELS}, the divisor at least 1")
        low, high = [level(number, divisor) for number in least], [level(number, divisor) for number in most]
        text = f"the {len(low)} ranges of integers, divided by {divisor} and rounded to float32, that the claim lists"
    else:
        raise Malformed(f"region: kind {str(kind)[:40]!r} is not one of box, levels, {', '.join(BALLS)}")
    if name not in program.inputs:
        raise Malformed(f"region: {name[:80]!r} is not an input of the graph")
    size = program.values[name].size
    if len(low) != size or len(high) != size:
        raise Malformed(f"region: input {name!r} has {size} entries, the claim gives {len(low)}")
    for index, (a, b) in enumerate(zip(low, high, strict=True)):
        if a > b:
            raise Malformed(f"region: empty at {name}[{index}], where {a} > {b}")
    return name, Box(low, high, text, divisor, ball)


def _clip(clip: list[Any]) -> tuple[Fraction, Fraction]:
    if len(clip) != 2:
        raise Malformed("region clip: expected two rationals, lower and upper")
    return rational(clip[0], "region clip"), rational(clip[1], "region clip")


def _read_inequality(entry: Any, program: Program, visible: set[str]) -> Inequality:
    terms, bound, strict = fields(entry, "inequality", terms=list, bound=str, strict=int)
    if strict not in (0, 1):
        raise Malformed("inequality: strict is 0 or 1")
    read, seen = [], set()
    for term in items(terms, list, "terms"):
        if len(term) != 3 or type(term[0]) is not str or type(term[1]) is not int:
            raise Malformed("terms: expected [value name, index, coefficient]")
        name, index, coefficient = term
        if name not in visible or not 0 <= index < program.values[name].size:
            raise Malformed(f"terms: {shown(name)}[{index}] is not an entry of an input or output")
        if (name, index) in seen:
            raise Malformed(f"terms: {shown(name)}[{index}] stands twice")
        seen.add((name, index))
        read.append((name, index, rational(coefficient, "coefficient")))
    limit = rational(bound, "bound")
    scale = limit.denominator
    for _, _, coefficient in read:
        scale = math.lcm(scale, coefficient.denominator)
        if scale.bit_length() > MAX_SCALE_BITS:
            raise Malformed(f"inequality: the common denominator is over {MAX_SCALE_BITS} bits")
    return Inequality(read, limit, strict == 1)
