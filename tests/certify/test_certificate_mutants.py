"""Mutants of certificates, by hand-classified kinds modelled on real bugs of verifiers and checkers.

Each kind is applied to proofs of claims at the boundary: once for the claim that is just true, once for the one that is
just false. NEVER: no such mutant is accepted. ORACLE: it may still be a proof, and then its claim must be true by exact
evaluation of the network on all its linear pieces. `exact` and `fast` must give one answer; `interval` is held to the
same truth.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from tlverify.certify import Claim, kernel
from tlverify.certify.certificate import proof
from tlverify.certify.claim import SEMANTICS
from tlverify.certify.fast import fast
from tlverify.certify.interval import interval
from tlverify.graph import Graph, Parameter, digest, to_bytes

from .boundary import LEAF_SLOPES, Base, balled, bases, counterexample
from .examples import Files, files
from .kernel.hostile import container, encode

NEVER, ORACLE = "never", "oracle"
Steps = list[dict[str, Any]]
SUBJECTS = cache(bases)


@dataclass(frozen=True)
class Mutant:
    """Files, and the graph and claim that they are about, by which the oracle decides."""

    files: Files
    graph: Graph
    claim: Claim


Kind = Callable[[Base, Claim, random.Random], Iterable[Mutant]]
KINDS: dict[str, tuple[str, Kind]] = {}


def kind(name: str, expected: str) -> Callable[[Kind], Kind]:
    def register(function: Kind) -> Kind:
        KINDS[name] = (expected, function)
        return function

    return register


def of(base: Base, claim: Claim, steps: Steps | None = None, payload: bytes | None = None) -> Mutant:
    return Mutant(base.files(claim, steps, payload), base.graph, claim)


# The graph and its parameters


def with_parameters(graph: Graph, change: Callable[[Parameter], np.ndarray | None]) -> Graph:
    def changed(parameter: Parameter) -> Parameter:
        data = change(parameter)
        return parameter if data is None else replace(parameter, data=data)

    return replace(graph, parameters=tuple(map(changed, graph.parameters)))


def _zero_bias(p: Parameter) -> np.ndarray | None:
    return np.zeros_like(p.data) if p.name.startswith("b") else None


def _transposed(p: Parameter) -> np.ndarray | None:
    square = p.data.ndim == 2 and p.data.shape[0] == p.data.shape[1]
    return np.ascontiguousarray(p.data.T) if square else None


def _turned(p: Parameter) -> np.ndarray | None:
    """Laid out in the other order: the file of a framework that keeps (in, out)."""
    return np.ascontiguousarray(p.data.T).reshape(p.data.shape) if p.data.ndim == 2 else None


GRAPHS: dict[str, Callable[[Parameter], np.ndarray | None]] = {
    "dropped bias": _zero_bias,
    "transposed weights": _transposed,
    "weights in the other order": _turned,
    "weights nudged by an ulp": lambda p: np.nextafter(p.data, np.inf, dtype=p.data.dtype) if p.name == "Wy" else None,
    "weights rounded to half precision": lambda p: (p.data + np.pi / 100).astype("f2").astype(p.data.dtype),
    "a row of weights negated": lambda p: np.concatenate([-p.data[:1], p.data[1:]]) if p.name == "Wz0" else None,
    "neurons reordered": lambda p: p.data[::-1].copy() if p.name in ("Wz0", "bz0") else None,
    "columns reordered": lambda p: p.data[:, ::-1].copy() if p.data.ndim == 2 else None,
}


def _graph_kind(change: Callable[[Parameter], np.ndarray | None], bound: bool) -> Kind:
    def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
        graph = with_parameters(base.graph, change)
        if digest(graph) == digest(base.graph):
            return
        if bound:
            claim = replace(claim, graph_digest=digest(graph))
        yield Mutant(files(graph, claim, base.certificate(claim)), graph, claim)

    return mutants


for _name, _change in GRAPHS.items():
    KINDS[f"graph: {_name}"] = (NEVER, _graph_kind(_change, bound=False))
    KINDS[f"graph: {_name}, digests forged"] = (ORACLE, _graph_kind(_change, bound=True))


@kind("graph: wrong network of the same file name", NEVER)
def _other_network(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    for other in SUBJECTS().values():
        if digest(other.graph) != digest(base.graph):
            graph, parameters = to_bytes(other.graph)
            made = base.files(claim)
            yield Mutant(made._replace(graph=graph, parameters=parameters), base.graph, claim)
            yield Mutant(made._replace(parameters=parameters), base.graph, claim)


@kind("graph: declared in the other precision", NEVER)
def _precision(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    made = base.files(claim)
    old, new = ("float32", "float64") if b"float32" in made.graph else ("float64", "float32")
    yield Mutant(made._replace(graph=made.graph.replace(old.encode(), new.encode())), base.graph, claim)
    stored, other = (b"F32", b"F64") if old == "float32" else (b"F64", b"F32")
    yield Mutant(made._replace(parameters=made.parameters.replace(stored, other)), base.graph, claim)


# The claim


def _wider(claim: Claim, rng: random.Random) -> Claim:
    data = deepcopy(claim.region)
    if data[0]["kind"] != "box":
        return claim
    name = rng.choice([entry["input"] for entry in data])
    entry = next(entry for entry in data if entry["input"] == name)
    end = rng.choice(["lower", "upper"])
    index = rng.randrange(len(entry[end]))
    moved = Fraction(entry[end][index]) + Fraction(rng.choice([-1, 1]), rng.choice([4, 64, 2**30, 2**60]))
    entry[end][index] = str(moved)
    ends = {e: {d["input"]: tuple(map(Fraction, d[e])) for d in data} for e in ("lower", "upper")}
    return replace(claim, region=data, **ends)


def _inputs_reordered(claim: Claim, rng: random.Random) -> Claim:
    data = deepcopy(claim.region)
    if data[0]["kind"] != "box":
        return claim
    for end in ("lower", "upper"):
        numbers = [number for entry in data for number in entry[end]][::-1]
        for entry in data:
            entry[end] = [numbers.pop(0) for _ in entry[end]]
    ends = {e: {d["input"]: tuple(map(Fraction, d[e])) for d in data} for e in ("lower", "upper")}
    return replace(claim, region=data, **ends)


def _larger(claim: Claim, rng: random.Random) -> Claim:
    """A ball of another radius, about 5/4."""
    if claim.region[0]["kind"] == "box":
        return claim
    radius = Fraction(claim.region[0]["radius"]) + Fraction(rng.choice([-1, 1, 2]), 2 ** rng.choice([1, 4, 30, 60]))
    graph = SUBJECTS()["ball"].graph
    return replace(balled(graph, claim.bad, radius), graph_digest=claim.graph_digest)


def _semantics(claim: Claim, rng: random.Random) -> Claim:
    return claim.under(rng.choice([name for name, told in SEMANTICS.items() if told != claim.semantics]))


def _rows(claim: Claim, change: Callable[[Any], Any]) -> Claim:
    return replace(claim, bad=tuple(tuple(change(row) for row in conjuncts) for conjuncts in claim.bad))


CLAIMS: dict[str, Callable[[Claim, random.Random], Claim]] = {
    "dropped disjunct": lambda claim, rng: replace(claim, bad=claim.bad[1:] or claim.bad),
    "dropped conjunct": lambda claim, rng: replace(claim, bad=tuple(conjuncts[:1] for conjuncts in claim.bad)),
    "disjuncts reordered": lambda claim, rng: replace(claim, bad=claim.bad[::-1]),
    "conjuncts joined": lambda claim, rng: replace(claim, bad=(tuple(row for part in claim.bad for row in part),)),
    "strict for non-strict": lambda claim, rng: _rows(claim, lambda row: replace(row, strict=not row.strict)),
    "sign of the objective": lambda claim, rng: _rows(
        claim, lambda row: replace(row, terms=tuple((n, i, -c) for n, i, c in row.terms))
    ),
    "bound nudged": lambda claim, rng: _rows(
        claim, lambda row: replace(row, bound=row.bound + Fraction(rng.choice([-1, 1]), 2 ** rng.choice([8, 9, 60])))
    ),
    "another box": _wider,
    "inputs reordered": _inputs_reordered,
    "another radius": _larger,
    "another semantics": _semantics,
}


def _claim_kind(change: Callable[[Claim, random.Random], Claim], bound: bool) -> Kind:
    def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
        for _ in range(4 if change in (_wider, _larger, CLAIMS["bound nudged"]) else 1):
            changed = change(claim, rng)
            if changed.data != claim.data:
                certificate = base.certificate(changed if bound else claim)
                yield Mutant(files(base.graph, changed, certificate), base.graph, changed)

    return mutants


for _name, _edit in CLAIMS.items():
    KINDS[f"claim: {_name}"] = (NEVER, _claim_kind(_edit, bound=False))
    KINDS[f"claim: {_name}, digest forged"] = (ORACLE, _claim_kind(_edit, bound=True))


@kind("claim: certificate of the other claim", NEVER)
def _other_claim(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    other = base.false if claim == base.true else base.true
    yield Mutant(files(base.graph, claim, base.certificate(other)), base.graph, claim)


@kind("claim: certificate of the other claim, digest forged", ORACLE)
def _forged(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    yield of(base, claim)


@kind("claim: proof of another network and box, digest forged", ORACLE)
def _foreign(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    for other in SUBJECTS().values():
        if other.steps is not None and base.steps is not None and other.name != base.name:
            yield of(base, claim, other.steps, other.payload)


# The steps


def each(rule: str, *fields: str) -> Callable[[Callable[..., Any]], Kind]:
    """A mutant for each step of a rule that has something in all these fields: `change` edits the step in place
    (or returns the steps)."""

    def turned(change: Callable[..., Any]) -> Kind:
        def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
            places = [
                k
                for k, step in enumerate(base.steps or [])
                if step["rule"] in rule.split() and all(step[field] for field in fields)
            ]
            for k in rng.sample(places, min(len(places), 1)):
                steps = deepcopy(base.steps)
                found = change(steps, k, rng)
                changed = steps if found is None else found
                if changed != base.steps:
                    yield of(base, claim, changed)

        return mutants

    return turned


def edits(name: str, expected: str, rule: str, *fields: str) -> Callable[[Callable[..., Any]], Kind]:
    return lambda change: kind(name, expected)(each(rule, *fields)(change))


def _first(step: dict[str, Any], rng: random.Random) -> tuple[list[str], int]:
    row = rng.choice([row for row in step["multipliers"] if row])
    return row, rng.randrange(len(row))


def _weights(text: Callable[[Fraction], str]) -> Callable[..., None]:
    def change(steps: Steps, k: int, rng: random.Random) -> None:
        row, place = _first(steps[k], rng)
        row[place] = text(Fraction(row[place]))

    return change


for _rule in ("bound", "close"):
    for _name, _expected, _text in (
        ("negative multiplier", NEVER, lambda w: str(-w - 1)),
        ("multiplier that is no binary fraction", NEVER, lambda w: str(w + Fraction(1, 3))),
        ("multiplier in floating point", NEVER, lambda w: f"{float(w):.1f}"),
        ("multiplier of 10^390", ORACLE, lambda w: "1" + "0" * 390),
        ("multiplier of 2^63", ORACLE, lambda w: str(2**63)),
        ("multiplier of 2^-1200", ORACLE, lambda w: f"1/{2**1200}"),
        ("multiplier dropped to 0", ORACLE, lambda w: "0"),
        ("multiplier doubled", ORACLE, lambda w: str(2 * w + Fraction(1, 2))),
    ):
        edits(f"{_rule}: {_name}", _expected, _rule, "multipliers")(_weights(_text))


@edits("bound: lower and upper swapped", ORACLE, "bound")
def _swapped(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["lower"], steps[k]["upper"] = steps[k]["upper"], steps[k]["lower"]


@edits("bound: entry of another neuron", ORACLE, "bound")
def _neuron(steps: Steps, k: int, rng: random.Random) -> None:
    for end in ("lower", "upper"):
        steps[k][end] = [1 - i if i < 2 else 0 for i in steps[k][end]]


@edits("bound: index past the end, as after an overflow", NEVER, "bound")
def _past(steps: Steps, k: int, rng: random.Random) -> None:
    for end in ("lower", "upper"):
        steps[k][end] = [i - rng.choice([2**31, 2**32, 9, -9, 2**63, 2**64]) for i in steps[k][end]]


@edits("bound: another value", ORACLE, "bound")
def _value(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["node"] = rng.choice(["h0", "y", "x", "z1", "z0"])


@edits("steps: left out", ORACLE, "interval bound")
def _left_out(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]


@edits("steps: bound of a branch before its split (stale bounds)", ORACLE, "split")
def _early(steps: Steps, k: int, rng: random.Random) -> None:
    later = next((j for j in range(k, len(steps)) if steps[j]["rule"] in ("bound", "interval")), k)
    steps.insert(k, steps.pop(later))


@edits("steps: split before the bounds that precede it", ORACLE, "split")
def _late(steps: Steps, k: int, rng: random.Random) -> None:
    steps.insert(max(1, k - 2), steps.pop(k))


@edits("steps: the branch's bounds in its sibling", ORACLE, "close")
def _sibling(steps: Steps, k: int, rng: random.Random) -> None:
    if k + 1 < len(steps):
        steps.insert(k + 1, steps.pop(k - 1))


@edits("steps: two neighbours exchanged", ORACLE, "interval bound split close")
def _exchanged(steps: Steps, k: int, rng: random.Random) -> None:
    j = max(0, k - rng.randrange(1, 4))
    steps[j], steps[k] = steps[k], steps[j]


@edits("close: left out (missing half)", NEVER, "close")
def _open(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]


@edits("close: twice", NEVER, "close")
def _twice(steps: Steps, k: int, rng: random.Random) -> None:
    steps.insert(k, steps[k])


@edits("close: in place of its subtree", NEVER, "close")
def _cut_short(steps: Steps, k: int, rng: random.Random) -> Steps:
    return [*steps[:k], *[step for step in steps[k:] if step["rule"] != "close"]]


@edits("close: of a sibling", ORACLE, "close")
def _close_of_sibling(steps: Steps, k: int, rng: random.Random) -> None:
    others = [j for j, step in enumerate(steps) if step["rule"] == "close" and j != k]
    if others:
        j = rng.choice(others)
        steps[j], steps[k] = steps[k], steps[j]


@edits("close: a disjunct not refuted", NEVER, "close")
def _disjunct(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["multipliers"].pop()


@edits("close: a disjunct refuted twice", NEVER, "close")
def _disjunct_twice(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["multipliers"].append(steps[k]["multipliers"][0])


@edits("close: multipliers in the other order", ORACLE, "close", "cuts")
def _reversed(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["multipliers"] = [row[::-1] for row in steps[k]["multipliers"]][::-1]


for _rule in ("bound", "close"):

    @edits(f"{_rule}: cut past the end (of a sibling)", NEVER, _rule, "cuts")
    def _cut_past(steps: Steps, k: int, rng: random.Random) -> None:
        cuts = steps[k]["cuts"]
        cuts[rng.randrange(len(cuts))] = rng.choice([max(cuts) + 1, 64, -1, 2**32, 2**63])

    @edits(f"{_rule}: another cut", ORACLE, _rule, "cuts")
    def _cut_other(steps: Steps, k: int, rng: random.Random) -> None:
        steps[k]["cuts"] = steps[k]["cuts"][1:] + steps[k]["cuts"][:1]
        if len(steps[k]["cuts"]) == 1:
            steps[k]["cuts"] = [1 - steps[k]["cuts"][0]]

    @edits(f"{_rule}: a cut with no multiplier", NEVER, _rule, "cuts")
    def _cut_free(steps: Steps, k: int, rng: random.Random) -> None:
        steps[k]["cuts"].append(0)


@edits("split: left out", NEVER, "split")
def _no_split(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]


@edits("split: twice", NEVER, "split")
def _split_twice(steps: Steps, k: int, rng: random.Random) -> None:
    steps.insert(k, steps[k])


@edits("split: moved", ORACLE, "split")
def _moved(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["at"] = rng.choice(["1/2", "-1/2", "1/1024", "-1/1024", "1" + "0" * 30, f"1/{3**70}"])


@edits("split: another neuron", ORACLE, "split")
def _split_other(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["index"] = 1 - steps[k]["index"] if steps[k]["index"] < 2 else 0


@edits("split: index past the end", NEVER, "split")
def _split_past(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["index"] = rng.choice([-1, 7, 2**31, 2**32, 2**64])


@edits("split: halves exchanged", ORACLE, "split")
def _halves(steps: Steps, k: int, rng: random.Random) -> Steps:
    first, second = (subtree(steps, start) for start in (k + 1, subtree(steps, k + 1)))
    return [*steps[: k + 1], *steps[first:second], *steps[k + 1 : first], *steps[second:]]


@edits("split: one half for both (overlap)", ORACLE, "split")
def _overlap(steps: Steps, k: int, rng: random.Random) -> Steps:
    first = subtree(steps, k + 1)
    return [*steps[:first], *steps[k + 1 : first], *steps[subtree(steps, first) :]]


@edits("split: one half without its steps", NEVER, "split")
def _half(steps: Steps, k: int, rng: random.Random) -> Steps:
    first = subtree(steps, k + 1)
    return steps[:first] + steps[subtree(steps, first) :]


def subtree(steps: Steps, start: int) -> int:
    """Where the steps of the goal that begins at `start` end."""
    goals = 1
    for k in range(start, len(steps)):
        rule = steps[k]["rule"]
        goals += (rule == "split") - (rule in ("close", "tree"))
        if not goals:
            return k + 1
    return len(steps)


@edits("lemma: the other side", ORACLE, "lemma")
def _side(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["side"] = "lower"


@edits("lemma: stronger than what is true", ORACLE, "lemma")
def _strong(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["at"] = str(Fraction(steps[k]["at"]) - Fraction(1, 2 ** rng.choice([1, 5, 9])))


@edits("lemma: of another neuron", ORACLE, "lemma")
def _lemma_other(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["index"] = 1 - steps[k]["index"]


@edits("lemma: without its proof", NEVER, "lemma")
def _unproved(steps: Steps, k: int, rng: random.Random) -> Steps:
    return steps[: k + 1] + steps[subtree(steps, k + 1) :]


@edits("lemma: for the goal itself", NEVER, "lemma")
def _lemma_only(steps: Steps, k: int, rng: random.Random) -> Steps:
    return steps[: subtree(steps, k + 1)]


@edits("ball: left out", NEVER, "ball")
def _no_ball(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]


@edits("ball: twice", NEVER, "ball")
def _ball_twice(steps: Steps, k: int, rng: random.Random) -> None:
    steps.insert(k, steps[k])


@edits("ball: another direction", ORACLE, "ball")
def _direction(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["direction"] = [rng.choice(["0", "1", "-1", "1/2", "-127/128"]) for _ in "xy"]


@edits("ball: a direction that is too long", NEVER, "ball")
def _long_direction(steps: Steps, k: int, rng: random.Random) -> None:
    place = rng.randrange(2)
    steps[k]["direction"][place] = str(
        Fraction(steps[k]["direction"][place]) * (1 + Fraction(1, 2 ** rng.choice([0, 60])))
    )


@edits("ball: a direction of other than two entries", NEVER, "ball")
def _wide_direction(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["direction"] = rng.choice([[], steps[k]["direction"][:1], [*steps[k]["direction"], "0"]])


@edits("ball: after its cuts are used", NEVER, "ball")
def _late_ball(steps: Steps, k: int, rng: random.Random) -> None:
    steps.append(steps.pop(k))


@edits("cases: a disjunct without its steps", NEVER, "cases")
def _case_missing(steps: Steps, k: int, rng: random.Random) -> Steps:
    first = subtree(steps, k + 1)
    return rng.choice([steps[:first], steps[: k + 1] + steps[first:]])


@edits("cases: left out", NEVER, "cases")
def _no_cases(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]


@edits("cases: in the other order", ORACLE, "cases")
def _cases_order(steps: Steps, k: int, rng: random.Random) -> Steps:
    first = subtree(steps, k + 1)
    return [*steps[: k + 1], *steps[first:], *steps[k + 1 : first]]


@edits("rule: unknown, misspelt or a field too many", NEVER, "interval bound split close lemma tree cases")
def _unknown(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k].update(
        rng.choice([{"rule": "assume"}, {"rule": "Close"}, {"parent": 0}, {"rule": "proved"}, {"sorry": 1}])
    )


@edits("interval: of what is not computed", NEVER, "interval")
def _not_computed(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["nodes"].append(rng.choice(["x", "p", "Wz0", "q", "h0#0", ""]))


@edits("interval: users first (stale bounds)", ORACLE, "interval")
def _users_first(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["nodes"].reverse()


# The tree and the payload


def _bits(change: Callable[[list[int], random.Random], Any]) -> Kind:
    """The bits of a tree changed."""

    def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
        step = (base.steps or [{}])[-1]
        if step.get("rule") == "tree":
            size = -(-step["nodes"] // 8)
            for _ in range(6):
                flags = np.unpackbits(np.frombuffer(base.payload[:size], "u1"), bitorder="little").tolist()
                change(flags, rng)
                packed = np.packbits(flags, bitorder="little").tobytes()
                if packed != base.payload[:size]:
                    yield of(base, claim, payload=packed + base.payload[size:])

    return mutants


@kind("tree: a bit flipped (missing or extra half)", NEVER)
@_bits
def _flip(flags: list[int], rng: random.Random) -> None:
    place = rng.randrange(len(flags) - 1)
    flags[place] ^= 1


@kind("tree: a leaf for the root", NEVER)
@_bits
def _rootless(flags: list[int], rng: random.Random) -> None:
    leaf = flags.index(0)
    flags[0], flags[leaf] = 0, 1


@kind("tree: bits shuffled (nodes of another parent)", ORACLE)
@_bits
def _shuffled(flags: list[int], rng: random.Random) -> None:
    i, j = rng.sample(range(1, len(flags) - 1), 2)
    flags[i], flags[j] = flags[j], flags[i]


@kind("tree: in level order", ORACLE)
@_bits
def _level_order(flags: list[int], rng: random.Random) -> None:
    flags.sort(reverse=True)


@kind("tree: a bit after the last node", NEVER)
def _last_bit(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    step = (base.steps or [{}])[-1]
    if step.get("rule") == "tree" and step["nodes"] % 8:
        for bit in range(step["nodes"] % 8, 8):
            raw = bytearray(base.payload)
            raw[step["nodes"] // 8] |= 1 << bit
            yield of(base, claim, payload=bytes(raw))


@edits("tree: number of nodes", NEVER, "tree")
def _nodes(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["nodes"] = rng.choice([1, 2, 0, -1, 2**31 + 1, 2**64 + 1, steps[k]["nodes"] + 2, steps[k]["nodes"] - 2])


@edits("tree: with and without weights", NEVER, "tree")
def _unweighted(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["weighted"] ^= 1


@edits("tree: entries exchanged", ORACLE, "tree")
def _entries(steps: Steps, k: int, rng: random.Random) -> None:
    entries = steps[k]["entries"]
    entries.insert(rng.randrange(2), entries.pop())


@edits("tree: entry of another value", ORACLE, "tree")
def _entry_value(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["entries"][0][0] = rng.choice(["h0", "x", "z0"])


@edits("tree: an entry too few", NEVER, "tree")
def _entry_few(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["entries"].pop()


@edits("tree: entry past the end", NEVER, "tree")
def _entry_past(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["entries"][rng.randrange(2)][1] = rng.choice([-1, 5, 2**32, 2**63])


@edits("tree: steps of a node left out", ORACLE, "tree", "steps")
def _leaf_steps(steps: Steps, k: int, rng: random.Random) -> None:
    del steps[k]["steps"][rng.randrange(len(steps[k]["steps"]))]


@edits("tree: steps of a node reordered (stale bounds)", ORACLE, "tree", "steps")
def _node_order(steps: Steps, k: int, rng: random.Random) -> None:
    rng.shuffle(steps[k]["steps"])


@edits("tree: a rule not for nodes", NEVER, "tree")
def _leaf_rule(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["steps"].append(rng.choice([{"rule": "close"}, {"rule": "tree"}, {"rule": "cases"}, "interval"]))


def _payload(change: Callable[[bytearray, int, random.Random], Any], count: int = 8) -> Kind:
    """The payload of a proof changed, past the shape of a tree."""

    def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
        if base.steps is None or len(base.payload) < 4:
            return
        last = base.steps[-1]
        begin = -(-last["nodes"] // 8) + last["nodes"] // 2 if last["rule"] == "tree" else 0
        if len(base.payload) - begin < 8:
            return
        for _ in range(count):
            raw = bytearray(base.payload)
            change(raw, begin, rng)
            if raw != base.payload:
                yield of(base, claim, payload=bytes(raw))

    return mutants


@kind("payload: a byte short", NEVER)
@_payload
def _short(raw: bytearray, begin: int, rng: random.Random) -> None:
    del raw[rng.randrange(begin, len(raw))]


@kind("payload: a byte too many", NEVER)
@_payload
def _long(raw: bytearray, begin: int, rng: random.Random) -> None:
    raw.append(rng.randrange(256))


@kind("payload: shifted by one", ORACLE)
@_payload
def _shifted(raw: bytearray, begin: int, rng: random.Random) -> None:
    raw[begin:] = raw[begin + 1 :] + raw[begin : begin + 1]


@kind("payload: shifted by a word", ORACLE)
@_payload
def _shifted_word(raw: bytearray, begin: int, rng: random.Random) -> None:
    raw[begin:] = raw[-2:] + raw[begin:-2]


@kind("payload: words exchanged", ORACLE)
@_payload
def _words(raw: bytearray, begin: int, rng: random.Random) -> None:
    i, j = (rng.randrange(begin, len(raw) - 1) for _ in "ab")
    raw[i : i + 2], raw[j : j + 2] = raw[j : j + 2], raw[i : i + 2]


@kind("payload: halves exchanged", ORACLE)
@_payload
def _parts(raw: bytearray, begin: int, rng: random.Random) -> None:
    half = rng.randrange(begin + 1, len(raw))
    raw[begin:] = raw[half:] + raw[begin:half]


@kind("payload: a byte at random", ORACLE)
@_payload
def _byte(raw: bytearray, begin: int, rng: random.Random) -> None:
    raw[rng.randrange(begin, len(raw))] = rng.randrange(256)


@kind("payload: a slope above 1", NEVER)
def _steep(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    if base.steps is None or not base.payload or not any(step.get("slopes") for step in base.steps):
        return
    tree = base.steps[-1]["rule"] == "tree"
    for _ in range(10):
        raw, steep = bytearray(base.payload), rng.choice([129, 130, 192, 255])
        if tree:  # the last leaf's, as differences from those of the leaf before
            place = rng.randrange(2)
            raw[place - 2] = (steep - LEAF_SLOPES[place]) % 256
        else:
            raw[rng.randrange(len(raw))] = steep
        yield of(base, claim, payload=bytes(raw))


@edits("slopes: of another neuron", ORACLE, "bound close tree", "slopes")
def _slope_other(steps: Steps, k: int, rng: random.Random) -> None:
    for name in steps[k]["slopes"]:
        steps[k]["slopes"][name] = steps[k]["slopes"][name][::-1]


@edits("slopes: past the end", NEVER, "bound close tree", "slopes")
def _slope_past(steps: Steps, k: int, rng: random.Random) -> None:
    for name in steps[k]["slopes"]:
        steps[k]["slopes"][name] = [0, rng.choice([9, -1, 2**32])]


@edits("slopes: of what takes none", NEVER, "bound close tree")
def _slope_none(steps: Steps, k: int, rng: random.Random) -> None:
    steps[k]["slopes"] = {rng.choice(["z0", "x", "y", "nothing"]): [0]}


# The container and the witness


@kind("container: another format, version, kind or size", NEVER)
def _container(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    good = {"format": "tlverify.certificate", "version": 1, "claim": claim.digest}
    is_witness = base.steps is None
    good |= {"kind": "witness"} if is_witness else {"kind": "proof", "steps": base.steps}
    other = {"kind": "proof", "steps": []} if is_witness else {"kind": "witness"}
    for change in (
        {"version": 2},
        {"format": "tlverify.claim"},
        {"kind": "lemma"},
        other,
        {"size": len(base.payload) + 1},
        {"size": 2**64},
        {"payload": len(base.payload)},
        {"claim": "0" * 64},
        {"claim": claim.digest.upper()},
        {"steps": []},
        {"verdict": "verified"},
    ):
        data = container({**good, **change}, base.payload)
        yield Mutant(files(base.graph, claim, data), base.graph, claim)


@kind("container: bytes after its end", NEVER)
def _after(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    data = base.certificate(claim)
    yield Mutant(files(base.graph, claim, data + b"\0"), base.graph, claim)
    yield Mutant(files(base.graph, claim, data[:-1]), base.graph, claim)
    yield Mutant(files(base.graph, claim, b" " + data), base.graph, claim)


@kind("container: no steps at all", NEVER)
def _nothing(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    yield Mutant(files(base.graph, claim, proof(claim.digest, [])), base.graph, claim)
    yield Mutant(files(base.graph, claim, encode({}) + b"\n"), base.graph, claim)


def _witness(change: Callable[[np.ndarray, random.Random], Any]) -> Kind:
    def mutants(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
        if base.steps is None:
            for _ in range(6):
                point = np.frombuffer(base.payload, "<f8").copy()
                found = change(point, rng)
                raw = (point if found is None else found).tobytes()
                if raw != base.payload:
                    yield of(base, claim, payload=raw)

    return mutants


@kind("witness: outside the box by an ulp", NEVER)
@_witness
def _outside(point: np.ndarray, rng: random.Random) -> None:
    k = rng.randrange(len(point))
    point[k] = np.nextafter(point[k], 9 * np.sign(point[k]))


@kind("witness: not a number", NEVER)
@_witness
def _nan(point: np.ndarray, rng: random.Random) -> None:
    point[rng.randrange(len(point))] = rng.choice([np.nan, np.inf, -np.inf])


@kind("witness: nudged inward", ORACLE)
@_witness
def _inward(point: np.ndarray, rng: random.Random) -> None:
    k = rng.randrange(len(point))
    point[k] = np.nextafter(point[k], 0) if rng.random() < 0.5 else point[k] * rng.random()


@kind("witness: inputs reordered", NEVER)
@_witness
def _witness_order(point: np.ndarray, rng: random.Random) -> np.ndarray:
    return point[::-1].copy()


@kind("witness: in single precision, or too short or long", NEVER)
@_witness
def _single(point: np.ndarray, rng: random.Random) -> np.ndarray:
    return rng.choice([point.astype("<f4"), point[:1], np.append(point, 0), point.astype(">f8"), point[:0]])


@kind("witness: of a proof's claim", ORACLE)
def _crossed(base: Base, claim: Claim, rng: random.Random) -> Iterator[Mutant]:
    shown = SUBJECTS()["witness"]
    if base.steps is not None:
        yield Mutant(files(base.graph, claim, shown.certificate(claim)), base.graph, claim)
    else:
        other = SUBJECTS()["split"]
        yield of(replace(base, steps=other.steps), claim, other.steps, other.payload)


# Running them


@cache
def programs() -> dict[tuple[bytes, bytes, kernel.Contract | None], kernel.Program]:
    return {}


def answer(made: Files, arithmetic: kernel.Arithmetic) -> tuple[str, Fraction | None]:
    """The verdict and its margin, or "rejected"; any other exception fails the test."""
    known = programs()
    try:
        key = made.graph, made.parameters, kernel.contract_of(made.claim)
        if key not in known:
            known[key] = kernel.read_program(*key)
        found = kernel.check_with(known[key], made.claim, made.certificate, arithmetic)
    except (kernel.Rejected, kernel.Malformed):
        return "rejected", None
    return found.verdict, found.margin


def mutants() -> Iterator[tuple[str, str, Mutant]]:
    """Every kind on every subject, for the claim that is just true and the one that is just false."""
    for name, (_, make) in KINDS.items():
        for base in SUBJECTS().values():
            for truth, claim in (("true", base.true), ("false", base.false)):
                for mutant in make(base, claim, random.Random(f"{name} {base.name} {truth}")):
                    yield name, f"{base.name}, {truth}", mutant


@pytest.mark.parametrize(
    "name",
    ["split", "deep", "slopes", "strict", "inputs", "lemma", "cases", "single", "ball", "float32", "boxes", "tree"],
)
def test_the_subjects_are_at_the_boundary(name: str) -> None:
    base = SUBJECTS()[name]
    assert counterexample(base.graph, base.true) is None
    assert counterexample(base.graph, base.false) is not None
    verdicts = [answer(base.files(base.true), arithmetic) for arithmetic in (kernel.EXACT, fast())]
    assert verdicts[0][0] == "verified"
    assert verdicts[0] == verdicts[1]
    assert verdicts[0][1] <= Fraction(1, 2**6)


def test_no_mutant_proves_what_is_false() -> None:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    truths: dict[tuple[bytes, str], bool] = {}
    quick, rounded = fast(), interval()
    for name, case, mutant in mutants():
        verdict, margin = answer(mutant.files, kernel.EXACT)
        other, other_margin = answer(mutant.files, quick)
        third, _ = answer(mutant.files, rounded)
        table[name]["mutants"] += 1
        table[name]["accepted" if verdict != "rejected" else "rejected"] += 1
        if (verdict, margin) != (other, other_margin):
            table[name]["differ"] += 1
            wrong.append(f"{name} ({case}): exact {verdict} {margin}, fast {other} {other_margin}")
        if verdict == "rejected":
            verdict = third
        if verdict == "rejected":
            continue
        key = mutant.claim.data, digest(mutant.graph)
        if key not in truths:
            truths[key] = counterexample(mutant.graph, mutant.claim) is None
        if KINDS[name][0] == NEVER or truths[key] != (verdict == "verified"):
            table[name]["wrong"] += 1
            wrong.append(f"{name} ({case}): {verdict}, the claim is {truths[key]}")
    total = sum((Counter(row) for row in table.values()), Counter[str]())
    report = "\n".join(
        f"{name:60} {KINDS[name][0]:7} {row['mutants']:5} accepted {row['accepted']:4} killed {row['rejected']:5}"
        f" wrong {row['wrong']}"
        for name, row in [*table.items()]
    )
    report += f"\nall: {dict(total)}"
    assert not wrong, "\n".join([*wrong[:40], report])
    assert set(table) == set(KINDS), f"never occurred: {set(KINDS) - set(table)}\n{report}"
    assert total["mutants"] >= 1000, report
