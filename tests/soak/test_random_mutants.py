"""Random mutations of certificates of claims at the boundary: nothing false is accepted, nothing else is raised; and
`interval` accepts nothing that `exact` refuses for more than a bound that is too weak.

TLVERIFY_SOAK is how many mutants to run in all (10^6 if not given), TLVERIFY_SEED which (0 if not given):
`pytest -m slow -s tests/soak/test_random_mutants.py`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from tlverify.certify import kernel
from tlverify.certify.interval import interval
from tlverify.graph import to_bytes

from ..certify.boundary import Base, bases
from ..certify.kernel.hostile import container, unpacked

COUNT = int(os.environ.get("TLVERIFY_SOAK", "1000000"))
SEED = os.environ.get("TLVERIFY_SEED", "0")
ODD: tuple[Any, ...] = (None, True, -1, 0, 1, 2, 3, 2**32, 10**19, "", "0", "1", "-1", "1/2", "x", "z0", [], [0], {})


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every item of a JSON value."""
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    return [found for key, item in items for found in ((*path, key), *places(item, (*path, key)))]


def raw_bytes(rng: random.Random, header: Any, payload: bytes) -> bytes:
    data = bytearray(container(header, payload))
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def json_items(rng: random.Random, header: Any, payload: bytes) -> bytes:
    """One or two items of the header replaced by an odd value or by another item."""
    changed = header
    for _ in range(rng.randrange(1, 3)):
        everywhere = places(changed)
        known = [path for path in everywhere if path[0] == "steps"] or everywhere
        *path, last = rng.choice(known)
        place, other = changed, changed
        for key in path:
            place = place[key]
        for key in rng.choice(known):
            other = other[key]
        place[last] = deepcopy(rng.choice([*ODD, other, other, other, other]))
    return container(changed, payload)


def step_order(rng: random.Random, header: Any, payload: bytes) -> bytes:
    """Steps left out, repeated or moved."""
    steps = list(header["steps"])
    for _ in range(rng.randrange(1, 4)):
        if not steps:
            break
        i, j = rng.randrange(len(steps)), rng.randrange(len(steps))
        step = steps.pop(i) if rng.random() < 0.7 else steps[i]
        if rng.random() < 0.7:
            steps.insert(j, step)
    return container({**header, "steps": steps}, payload)


def multipliers(rng: random.Random, header: Any, payload: bytes) -> bytes:
    """Rationals and numbers nudged."""
    changed, known = header, [path for path in places(header) if path[0] == "steps"]  # no change adds or drops one
    for _ in range(rng.randrange(1, 4)):
        *path, last = rng.choice(known)
        place = changed
        for key in path:
            place = place[key]
        if type(place[last]) is int:
            place[last] += rng.choice([-1, 1])
        elif type(place[last]) is str and place[last][-1:].isdigit() and type(last) is int:
            place[last] = rng.choice(["0", "1", "2", "1/2", "-1", "3/8", str(rng.randrange(99)), "1" * 300])
    return container(changed, payload)


def payload_words(rng: random.Random, header: Any, payload: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(rng.randrange(1, 4)):
        i, j = rng.randrange(len(data)), rng.randrange(len(data))
        data[i] = rng.choice([data[j], data[i] ^ 1 << rng.randrange(8), rng.randrange(256), rng.randrange(129)])
    return container(header, bytes(data))


FAMILIES: dict[str, Callable[[random.Random, Any, bytes], bytes]] = {
    function.__name__: function for function in (raw_bytes, json_items, step_order, multipliers, payload_words)
}


@dataclass(frozen=True)
class Subject:
    """A base with its program, and the certificates for its true and its false claim."""

    base: Base
    program: kernel.Program
    files: tuple[bytes, ...]


@pytest.fixture(scope="module")
def subjects() -> list[Subject]:
    return [_subject(base) for base in bases().values() if base.name != "boxes"]


def _subject(base: Base) -> Subject:
    files = tuple(base.certificate(claim) for claim in (base.true, base.false))
    return Subject(base, kernel.read_program(*to_bytes(base.graph), kernel.contract_of(base.true.data)), files)


def _answer(program: kernel.Program, claim: bytes, data: bytes, arithmetic: kernel.Arithmetic) -> tuple[str, str]:
    """The verdict, and why there is none."""
    try:
        return kernel.check_with(program, claim, data, arithmetic).verdict, ""
    except kernel.Malformed as error:
        return "malformed", str(error)
    except kernel.Rejected as error:
        return "rejected", str(error)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_random_mutants(family: str, subjects: list[Subject]) -> None:
    """Half for the claim that is just true, half for the one that is just false. Short certificates have their turn
    more often than long ones, whose mutants take longer."""
    rng, arithmetic = random.Random(f"{family} {SEED}"), interval()
    count, found, begin = COUNT // len(FAMILIES), Counter[str](), time.perf_counter()
    fit = [s for s in subjects if (s.base.payload if family == "payload_words" else s.base.steps)]
    weights = [len(subject.files[0]) ** -2 for subject in fit]
    for number in range(count):
        (subject,) = rng.choices(fit, weights)
        base, program = subject.base, subject.program
        claim = base.false if number % 2 else base.true
        data = FAMILIES[family](rng, *unpacked(subject.files[number % 2]))
        (verdict, reason), (other, _) = (_answer(program, claim.data, data, a) for a in (kernel.EXACT, arithmetic))
        if other != verdict:
            agree = other == "rejected" or (other, verdict) == ("malformed", "rejected") or "not refuted" in reason
            assert agree, f"mutant {number} of {base.name}: {verdict}, {reason}; in interval {other}: {data!r}"
            verdict = other if other in ("verified", "falsified") else verdict
        if verdict in ("verified", "falsified"):
            right = "verified" if base.steps is not None and claim is base.true else "falsified"
            assert verdict == right, f"mutant {number} of {base.name}: {verdict}: {data!r} for {claim.data!r}"
            if base.steps is None:
                assert claim is base.true, f"mutant {number}: not a counterexample: {data!r}"
            verdict = "accepted while true"
        found[verdict] += 1
        if number % 20_000 == 19_999:
            print(f"\n{family}: {number + 1} so far, {dict(found)}, wrong 0", end="", flush=True)
    seconds = time.perf_counter() - begin
    print(f"\n{family}: {count} mutants, {dict(found)}, wrong 0, {count / seconds:.0f}/s")
    assert sum(found.values()) == count
