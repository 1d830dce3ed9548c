"""What `fast` finds ahead is what `exact` finds at each step: the same answer, at the same step, whatever is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import Claim, Inequality, box, certificate, kernel
from tlverify.certify.fast import ahead, fast
from tlverify.certify.fast.engine import Batch
from tlverify.certify.fast.tree import Part
from tlverify.certify.kernel import tree as exact_tree
from tlverify.certify.kernel.backward import Bounds, propagate
from tlverify.certify.kernel.program import Program
from tlverify.certify.kernel.proof import Goal, Machine, negated
from tlverify.certify.kernel.tree import Tree
from tlverify.certify.tree_writer import ONE
from tlverify.graph import Graph, GraphBuilder, Type, canonical_json, to_bytes

from ..test_arithmetics import network, root
from ..trees import Leaf, grown, written

FAMILIES = ("deep", "plain", "cancelling", "residual", "convolution")
STRENGTHS = [Fraction(k, 16) for k in (8, 4, 0, -1, -2)]  # by how much more than intervals a lemma grants an entry
Made = tuple[Program, Claim, list[dict[str, Any]], bytes]
Answer = tuple[str, str, object]


def proof(family: str, seed: int) -> Made:
    """Random lemmas with trees about few values, of which some are stronger than intervals and some are false, and then
    a tree for the claim."""
    rng, choose = np.random.default_rng(seed), random.Random(seed)
    graph = deep(rng) if family == "deep" else network(family, rng)
    program = kernel.read_program(*to_bytes(graph))
    bounds = root(program, rng)
    source, out = program.inputs[0], program.outputs[0]
    far = 4 * max(map(abs, (*bounds[out].lower, *bounds[out].upper))) * Fraction(2) ** bounds[out].exponent + 1
    scale = Fraction(2) ** bounds[source].exponent
    ends = tuple([end * scale for end in side] for side in (bounds[source].lower, bounds[source].upper))
    claim = box(graph, {source: ends}, [[Inequality(((out, 0, Fraction(1)),), far)]])
    steps: list[dict[str, Any]] = [{"rule": "interval", "nodes": [n for n in program.values if n != source]}]
    payload = b""
    relus = [value for value in program.values.values() if value.kind == "relu"]
    about = choose.choice([v.source for v in relus] + [out])
    for _ in range(choose.randrange(1, 9)):
        if choose.random() < 0.2:
            about = choose.choice([v.source for v in relus] + [out])
        steps.append(lemma(bounds, about, choose))
        step, own = tree(program, bounds, choose, 1)
        steps.append(step)
        payload += own
    step, own = tree(program, bounds, choose, 1)
    return program, claim, [*steps, step], payload + own


def deep(rng: np.random.Generator) -> Graph:
    """Three layers of ReLUs, so that a lemma can say more than intervals of a value that others are above."""
    builder = GraphBuilder()
    value = builder.input("x", Type((3,), "float32"))
    for columns in (3, 4, 4, 4):
        parts = rng.standard_normal((4, columns)), rng.standard_normal(4) * 0.1
        value = builder.node("linear", value, *(builder.parameter(part.astype("float32")) for part in parts))
        value = builder.node("relu", value)
    return builder.build(value)


def lemma(bounds: Bounds, name: str, choose: random.Random) -> dict[str, Any]:
    """What intervals prove of an entry, or a part of it, or more."""
    index, upper = choose.randrange(len(bounds[name].lower)), choose.random() < 0.5
    end = (bounds[name].upper if upper else bounds[name].lower)[index] * Fraction(2) ** bounds[name].exponent
    away = abs(end) + Fraction(1, 64)
    more = choose.choice(
        [Fraction(1, 3), Fraction(1, 2), Fraction(1, 4), Fraction(0), Fraction(-1, 16), Fraction(-1, 8)]
    )
    at = end + more * away if upper else end - more * away
    side = "upper" if upper else "lower"
    return {"rule": "lemma", "node": name, "index": index, "side": side, "at": str(at)}


def tree(program: Program, bounds: Bounds, choose: random.Random, conjuncts: int) -> tuple[dict[str, Any], bytes]:
    """A random tree of phase splits; most multipliers are 0 or small."""
    relus = [value for value in program.values.values() if value.kind == "relu"]
    unstable = [(v.source, n.number) for v in relus for n in bounds[v.source].phases.unstable] or [(relus[0].source, 0)]
    some = choose.sample(unstable, choose.randrange(1, len(unstable) + 1))
    listing = {v.name: [n.number for n in bounds[v.source].phases.unstable if choose.random() < 0.7] for v in relus}
    listing = {name: numbers for name, numbers in listing.items() if numbers}
    count = sum(map(len, listing.values()))

    def leaf(phases: int) -> Leaf:
        words = [choose.choice([0, 0, choose.randrange(12 << 10, 20 << 10)]) for _ in range(phases)]
        return Leaf([[ONE] * conjuncts + words], [[choose.randrange(129) for _ in range(count)]])

    inputs = [name for name, _ in some if program.values[name].kind == "input"]
    splits = 0 if choose.random() < 0.2 else choose.randrange(12)
    return written(grown(choose, splits, some, inputs, leaf), some, listing=listing, weighted=True)


def damaged(steps: list[dict[str, Any]], payload: bytes, choose: random.Random) -> tuple[list[dict[str, Any]], bytes]:
    """With something wrong in one place, or nothing."""
    steps, k = [dict(step) for step in steps], choose.randrange(len(steps))
    kind = choose.randrange(9)
    if kind == 0:
        del steps[k]
    elif kind == 1:
        steps[k] = {**steps[k], "rule": choose.choice(["unknown", "lemma", "tree", "cases"])}
    elif kind == 2:
        steps[k].pop(choose.choice(list(steps[k])))
    elif kind == 3:
        payload = payload[: choose.randrange(len(payload) + 1)]
    elif kind == 4 and payload:
        at = choose.randrange(len(payload))
        payload = payload[:at] + bytes([choose.randrange(256)]) + payload[at + 1 :]
    elif kind == 5 and "index" in steps[k]:
        steps[k]["index"] = choose.choice([-1, 99, "0", 1])
    elif kind == 6:
        steps[k], steps[k - 1] = steps[k - 1], steps[k]
    return steps, payload


def answer(program: Program, claim: Claim, steps: list[dict[str, Any]], payload: bytes, how: Any) -> Answer:
    """Verdict, step and margin; of several things that are wrong with one step, arithmetics may name different ones."""
    listed = canonical_json(steps)
    data = certificate._certificate(claim.digest, "proof", listed + payload, steps=len(listed))
    try:
        return "verified", "", kernel.check_with(program, claim.data, data, how).margin
    except kernel.Rejected as rejection:
        return "rejected", rejection.step.partition(" node ")[0], None
    except kernel.Malformed:
        return "malformed", "", None


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_lemmas_have_one_answer_in_exact_and_fast(family: str, seed: int) -> None:
    program, claim, steps, payload = proof(family, seed)
    steps, payload = damaged(steps, payload, random.Random(seed))
    exact, found = (answer(program, claim, steps, payload, how) for how in (kernel.EXACT, fast()))
    assert exact == found


def accepted(count: int, families: Sequence[str] = FAMILIES) -> Iterator[tuple[*Made, Answer]]:
    """Proofs that hold, of several lemmas."""

    def every() -> Iterator[tuple[*Made, Answer]]:
        for seed in range(4000):
            made = proof(families[seed % len(families)], seed)
            if len(made[2]) > 8 and (exact := answer(*made, kernel.EXACT))[0] == "verified":
                yield (*made, exact)

    return islice(every(), count)


def test_several_trees_are_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[int] = []
    once = ahead._joined
    monkeypatch.setattr(ahead, "_joined", lambda prepared, parts: joined.append(len(parts)) or once(prepared, parts))
    for *made, exact in accepted(10):
        assert answer(*made, fast()) == exact
    assert max(joined) >= 4


def bounds_differ(monkeypatch: pytest.MonkeyPatch, count: int) -> list[bool]:
    """For every leaf of trees that were read ahead, whether its bound differs from that of `exact` at its own step."""
    result: list[bool] = []
    once = ahead.compare

    def compared(machine: Machine, goal: Goal, read: Tree, part: Part, batch: Batch, where: str) -> None:
        for row in np.flatnonzero(~batch.undone):
            phases = [(int(turn) // 2, bool(turn % 2)) for turn in part.path[row] if turn >= 0]
            words = None if part.words is None else part.words[row].tolist()[: len(part.disjunct) + len(phases)]
            combined = exact_tree.combination(read, part.disjunct, phases, words)
            path = [(*read.entries[number], not above, 0) for number, above in phases]
            job = negated(combined, exact_tree.named(read, part.given[row].tobytes()), path=path)
            found = propagate(machine.program, goal.bounds.along(path), job)
            result.append(found != (int(batch.total[row]), int(batch.unit[row])))
        once(machine, goal, read, part, batch, where)

    monkeypatch.setattr(ahead, "compare", compared)
    for *made, _ in accepted(count, ("deep", "convolution")):
        answer(*made, fast())
    return result


def test_every_leaf_has_the_bound_that_exact_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    differ = bounds_differ(monkeypatch, 40)
    assert len(differ) > 300
    assert not any(differ)


def test_a_tree_that_reads_what_lemmas_add_must_not_be_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """The condition is needed: without it some bound differs."""
    monkeypatch.setattr(ahead, "_apart", lambda machine, name, goal, read: True)
    assert any(bounds_differ(monkeypatch, 40))


@pytest.mark.parametrize("field", ["bad", "begin", "base", "step"])
def test_what_was_found_for_another_step_is_not_used(monkeypatch: pytest.MonkeyPatch, field: str) -> None:
    """A step with the number of one that was read ahead, but another one: it is checked by itself."""
    alone = []
    once = ahead.check_alone

    def change(machine: Any, engine: Any, goal: Any, work: Any = ahead._work_ahead) -> dict[int, ahead.Ready]:
        found = work(machine, engine, goal)
        for ready in found.values():
            other = {"bad": [[]], "begin": -1, "base": goal.branch(), "step": dict(ready.step)}[field]
            object.__setattr__(ready, field, other)
        return found

    monkeypatch.setattr(ahead, "_work_ahead", change)
    monkeypatch.setattr(ahead, "check_alone", lambda *given: alone.append(1) or once(*given))
    for *made, exact in accepted(5):
        alone.clear()
        assert answer(*made, fast()) == exact
        assert len(alone) == sum(step["rule"] == "tree" for step in made[2])


def test_wrong_bounds_found_ahead_are_seen_in_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is sharp enough to notice a batch whose jobs are exchanged."""
    once = ahead._joined

    def turned(prepared: Any, parts: Any) -> Any:
        return once(prepared, parts[::-1])

    monkeypatch.setattr(ahead, "_joined", turned)
    assert any(answer(*made, fast()) != exact for *made, exact in accepted(20))
