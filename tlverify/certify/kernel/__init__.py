"""The proof kernel: the only code that can turn a claim into a verdict. Standard library only.

    check(graph, parameters, claim, certificate) -> Accepted

reads four files' bytes and returns what they prove, or raises Rejected (well-formed, but no proof) or
Malformed (not in the format). It never repairs and never guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tlverify.certify.kernel.backward import propagate_all
from tlverify.certify.kernel.claim import contract_of as contract_of
from tlverify.certify.kernel.claim import level as level
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.contract import Contract as Contract
from tlverify.certify.kernel.contract import read_contract as read_contract
from tlverify.certify.kernel.errors import FREE_STEPS, STEPS_PER_BYTE
from tlverify.certify.kernel.errors import Malformed as Malformed
from tlverify.certify.kernel.errors import Rejected as Rejected
from tlverify.certify.kernel.network import read_program as read_program
from tlverify.certify.kernel.program import Program as Program
from tlverify.certify.kernel.proof import STEPS, Engine, Machine, Rule
from tlverify.certify.kernel.reader import fields, parse_certificate, parse_steps
from tlverify.certify.kernel.tree import check_tree
from tlverify.certify.kernel.witness import check_witness

RULES = {**STEPS, "tree": check_tree}
"""The rules of the calculus."""


@dataclass(frozen=True)
class Arithmetic:
    """How numbers are worked out: lower bounds of jobs, and the rules (of which some check many bounds at once)."""

    engine: Engine
    rules: Mapping[str, Rule]


EXACT = Arithmetic(propagate_all, RULES)
"""Python integers: the reference."""


@dataclass(frozen=True)
class Accepted:
    """What an accepted certificate establishes.

    `verdict` is "verified" (no point of the region is bad; `margin` is the least bound by which a combination of
    inequalities was refuted, rounded down: in units of the inequality where its multiplier is 1) or "falsified" (the
    certificate holds a point of the region that is bad). `statement` is the claim in words; `claim` and `graph` are the
    digests that it is about.
    """

    verdict: str
    statement: str
    claim: str
    graph: str
    margin: Fraction | None


def check(graph: bytes, parameters: bytes, claim: bytes, certificate: bytes) -> Accepted:
    """Check a certificate given the bytes of all four files."""
    return check_with(read_program(graph, parameters, contract_of(claim)), claim, certificate)


def check_with(program: Program, claim: bytes, certificate: bytes, arithmetic: Arithmetic = EXACT) -> Accepted:
    """Check a certificate about a graph that has been read. By default in the arithmetic `exact`."""
    statement = read_claim(claim, program)
    header, body = parse_certificate(certificate)
    if header.get("claim") != statement.digest:
        found = str(header.get("claim"))[:64]
        raise Rejected("certificate", f"it is for claim {found!r}, this claim is {statement.digest}")
    known = {"format": str, "version": int, "claim": str, "kind": str, "size": int}
    kind = header.get("kind")
    margin = None
    if kind == "proof":
        fields(header, "certificate header", **known, steps=int)
        steps, payload = parse_steps(header, body)
        allowed = FREE_STEPS + STEPS_PER_BYTE * len(certificate)
        margin = Machine(program, statement, payload, arithmetic.rules, arithmetic.engine, allowed).run(steps)
        verdict = "verified"
    elif kind == "witness":
        orders: dict[str, Any] = {}
        if program.contract is None:
            fields(header, "certificate header", **known)
        else:
            orders = fields(header, "certificate header", **known, orders=dict)[-1]
        check_witness(program, statement, orders, body)
        verdict = "falsified"
    else:
        raise Malformed(f"certificate header: kind {str(kind)[:40]!r} is not one of proof, witness")
    return Accepted(verdict, str(statement), statement.digest, program.digest, margin)
