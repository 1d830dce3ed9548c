"""The same certificate in several arithmetics, which must not contradict each other.

exact      Python integers: the reference
fast       the same integers on float64 BLAS
interval   float64 with rigorous error bounds
z3         proves the claim again, from the program alone, where it is small enough
"""

from __future__ import annotations

import functools
import hashlib
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from tlverify.certify import kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.reader import parse_certificate, parse_steps
from tlverify.graph import TlverifyError

ARITHMETICS = ("exact", "fast", "interval", "z3")
AUTO = "auto"  # stands for the one that is suited to a certificate
Z3_SECONDS = 30.0  # for one claim
EXACT_WORK = 200_000  # bounds in a proof times values of the network up to which `exact` is quick enough
TOO_WEAK = "not refuted"  # what the kernel says of a bound that is sound but does not suffice


class Undecided(kernel.Rejected):
    """This arithmetic has not proved the claim, which says nothing against the certificate."""


class Refuted(kernel.Rejected):
    """This arithmetic has a point of the region that is bad: the claim is false."""


class AbsentArithmetic(TlverifyError):
    """An arithmetic needs a package that is not installed, or there is none of that name."""


class Disagreement(Exception):
    """Two arithmetics contradict each other. `record` is JSON data with versions, digests and all answers."""

    def __init__(self, what: str, record: dict[str, Any]) -> None:
        super().__init__(what)
        self.record = record


@dataclass(frozen=True)
class Answer:
    """What one arithmetic says of a certificate.

    `verdict` is verified, falsified, rejected, malformed, unknown (nothing proved, nothing wrong) or absent; `reason`
    is empty if it was accepted; `accepted` holds what it proves. `step` is where it was rejected. `refutes` if it has a
    counterexample to the claim.
    """

    arithmetic: str
    verdict: str
    reason: str
    accepted: kernel.Accepted | None
    seconds: float
    step: str = ""
    refutes: bool = False


def suited(program: kernel.Program, certificate: bytes) -> str:
    """The arithmetic that checks a certificate in reasonable time: `exact` for short proofs and witnesses, `fast` for
    trees of phase splits and many bounds, `interval` for trees whose nodes bound neurons again. Malformed certificates
    are left to `exact`."""
    try:
        header, body = parse_certificate(certificate)
        steps = parse_steps(header, body)[0] if header.get("kind") == "proof" else []
    except kernel.Malformed:
        return "exact"
    steps = [step for step in steps if type(step) is dict]
    trees = [step for step in steps if step.get("rule") == "tree"]
    if any(step.get("steps") for step in trees):
        return "interval"
    rows = sum(len(step[side]) for step in steps for side in ("lower", "upper") if type(step.get(side)) is list)
    work = rows * sum(value.size for value in program.values.values())
    return "fast" if trees or work > EXACT_WORK else "exact"


def check_in(name: str, program: kernel.Program, claim: bytes, certificate: bytes) -> kernel.Accepted:
    """Check a certificate in one arithmetic, or with the name "auto" in the suited one. A witness is replayed exactly
    in all.

    Raises kernel.Rejected (Undecided and Refuted are of this kind), kernel.Malformed, AbsentArithmetic.
    """
    if name == AUTO:
        return accept(program, claim, certificate)[0]
    if name != "z3":
        try:
            return kernel.check_with(program, claim, certificate, arithmetic(name))
        except (KeyboardInterrupt, MemoryError):  # what they strike while it is changed must not be used again
            arithmetic.cache_clear()
            raise
    statement = read_claim(claim, program)
    header, _ = parse_certificate(certificate)
    if header.get("kind") != "proof" or header.get("claim") != statement.digest:
        return kernel.check_with(program, claim, certificate)
    from tlverify.certify.smt import MissingZ3, prove

    try:
        outcome = prove(program, statement, Z3_SECONDS)
    except MissingZ3 as missing:
        raise AbsentArithmetic(str(missing)) from None
    if outcome.verdict == "falsified":
        raise Refuted("z3", outcome.reason)
    if outcome.verdict != "verified":
        raise Undecided("z3", outcome.reason)
    return kernel.Accepted("verified", str(statement), statement.digest, program.digest, None)


def accept(program: kernel.Program, claim: bytes, certificate: bytes, name: str = "") -> tuple[kernel.Accepted, str]:
    """What a certificate proves, and in which arithmetic: the suited one, whose name may be given, or `interval` where
    that one's bound is too weak only by its rounding. Raises as `check_in` does."""
    name = name or suited(program, certificate)
    try:
        return check_in(name, program, claim, certificate), name
    except kernel.Rejected as rejection:
        if TOO_WEAK not in rejection.reason or name == "interval":
            raise
        try:
            return check_in("interval", program, claim, certificate), "interval"
        except (kernel.Rejected, kernel.Malformed):
            raise rejection from None


def answer(name: str, program: kernel.Program, claim: bytes, certificate: bytes) -> Answer:
    """What one arithmetic says, or with the name "auto" the suited one. Raises AbsentArithmetic."""
    begin, auto = time.perf_counter(), name == AUTO
    name = suited(program, certificate) if auto else name
    accepted, reason, step, refutes = None, "", "", False
    try:
        if auto:
            accepted, name = accept(program, claim, certificate, name)
        else:
            accepted = check_in(name, program, claim, certificate)
        verdict = accepted.verdict
        refutes = verdict == "falsified"
    except Undecided as rejection:
        verdict, reason = "unknown", rejection.reason
    except kernel.Rejected as rejection:
        verdict, reason, step, refutes = "rejected", str(rejection), rejection.step, isinstance(rejection, Refuted)
    except kernel.Malformed as malformed:
        verdict, reason = "malformed", str(malformed)
    return Answer(name, verdict, reason, accepted, time.perf_counter() - begin, step, refutes)


def check_all(program: kernel.Program, claim: bytes, certificate: bytes) -> tuple[Answer, ...]:
    """The answers of all arithmetics, `exact` first, whose verdict is the one that counts. Raises Disagreement."""
    found = []
    for name in ARITHMETICS:
        try:
            found.append(answer(name, program, claim, certificate))
        except AbsentArithmetic as absent:
            found.append(Answer(name, "absent", str(absent), None, 0.0))
    answers = tuple(found)
    what = contradiction(answers)
    if what:
        raise Disagreement(what, _record(what, program, claim, certificate, answers))
    return answers


def contradiction(answers: Sequence[Answer]) -> str:
    """How the answers to one certificate contradict each other, or "".

    `exact` and `fast` must say the same, with the same margin, or refuse at the same step. (Of several things that are
    wrong with a step they may name different ones: `fast` takes many leaves of a tree at a time.)
    `interval` may prove less or more, but must not accept what `exact` refuses for anything but a weak bound, nor find
    malformed what `exact` accepts. No arithmetic may accept a proof of a claim to which another has a counterexample.
    """
    said = {one.arithmetic: one for one in answers if one.verdict != "absent"}
    exact, fast, interval = said["exact"], said.get("fast"), said.get("interval")
    if fast and (exact.verdict, exact.step, exact.accepted) != (fast.verdict, fast.step, fast.accepted):
        return "exact and fast differ"
    if interval and interval.accepted and not exact.accepted and TOO_WEAK not in exact.reason:
        return "interval accepts what exact refuses"
    if interval and exact.accepted and interval.verdict == "malformed":
        return "interval finds malformed what exact accepts"
    proved = [one.arithmetic for one in said.values() if one.verdict == "verified"]
    refuted = [one.arithmetic for one in said.values() if one.refutes]
    if proved and refuted:
        return f"{', '.join(proved)} verified a claim to which {', '.join(refuted)} has a counterexample"
    return ""


@functools.cache
def arithmetic(name: str) -> kernel.Arithmetic:
    """Built once for a process, since `fast` keeps the arrays of a program."""
    if name == "exact":
        return kernel.EXACT
    if name == "fast":
        from tlverify.certify.fast import fast

        return fast()
    if name == "interval":
        from tlverify.certify.interval import interval

        return interval()
    raise AbsentArithmetic(f"arithmetic: expected {AUTO}, {', '.join(ARITHMETICS)}, found {name!r}")


def _record(
    what: str, program: kernel.Program, claim: bytes, certificate: bytes, answers: Sequence[Answer]
) -> dict[str, Any]:
    return {
        "format": "tlverify.disagreement",
        "version": 1,
        "what": what,
        "graph": program.digest,
        "claim": hashlib.sha256(claim).hexdigest(),
        "certificate": hashlib.sha256(certificate).hexdigest(),
        "versions": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "machine": f"{platform.system()} {platform.machine()}",
            **{name: _version(name) for name in ("tlverify", "numpy", "z3-solver")},
        },
        "answers": [describe(one) for one in answers],
    }


def describe(one: Answer) -> dict[str, Any]:
    """An answer as JSON data."""
    margin: Fraction | None = one.accepted.margin if one.accepted else None
    return {
        "arithmetic": one.arithmetic,
        "verdict": one.verdict,
        "reason": one.reason,
        "statement": one.accepted.statement if one.accepted else "",
        "margin": None if margin is None else str(margin),
        "seconds": round(one.seconds, 6),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"
