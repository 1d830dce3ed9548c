"""Several arithmetics on one certificate: what they may differ in, and what is a contradiction."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import Inequality, audit, box, certificate, certify, check_files, kernel, robustness
from tlverify.certify.audit import ARITHMETICS, AbsentArithmetic, Answer, Disagreement, Refuted, Undecided
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.reader import parse_certificate, parse_steps
from tlverify.certify.smt import MissingZ3, Outcome, prove
from tlverify.graph import to_bytes

from .kernel.laws import SUM, UNIT, above, affine, simple_proof
from .smt.test_solver import net

PROGRAM = kernel.read_program(*to_bytes(SUM))
TRUE = box(SUM, UNIT, [[above(SUM, 0, 4)]])
FALSE = box(SUM, UNIT, [[above(SUM, 0, 3)]])
WITNESS = certificate.witness(FALSE.digest, [np.array([1.0, 1.0])])


def proof(claim):
    return simple_proof(SUM, claim, ["1"])


def said(answers):
    return {one.arithmetic: one.verdict for one in answers}


@pytest.mark.parametrize(
    ("claim", "data", "expected"),
    [
        (TRUE, proof(TRUE), ["verified"] * 4),
        (FALSE, WITNESS, ["falsified"] * 4),
        (FALSE, proof(FALSE), ["rejected"] * 4),
        (TRUE, proof(FALSE), ["rejected"] * 4),
        (TRUE, certificate.witness(TRUE.digest, [np.array([1.0, 1.0])]), ["rejected"] * 4),
        (TRUE, b"{}\n", ["malformed"] * 4),
        (TRUE, certificate.proof(TRUE.digest, []), ["rejected"] * 3 + ["verified"]),  # Z3 reads no steps
    ],
)
def test_all_arithmetics_agree(claim, data, expected):
    answers = audit.check_all(PROGRAM, claim.data, data)
    assert said(answers) == dict(zip(ARITHMETICS, expected, strict=True))


@pytest.mark.parametrize("name", ARITHMETICS)
def test_one_arithmetic_accepts(name):
    accepted = audit.check_in(name, PROGRAM, TRUE.data, proof(TRUE))
    assert (accepted.verdict, accepted.claim, accepted.graph) == ("verified", TRUE.digest, PROGRAM.digest)
    assert (accepted.margin is None) == (name == "z3")
    assert audit.check_in(name, PROGRAM, FALSE.data, WITNESS).verdict == "falsified"


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [("exact", kernel.Rejected, "not refuted"), ("fast", kernel.Rejected, "not refuted"), ("z3", Refuted, "near [")],
)
def test_one_arithmetic_refuses(name, kind, reason):
    with pytest.raises(kind) as refusal:
        audit.check_in(name, PROGRAM, FALSE.data, proof(FALSE))
    assert reason in str(refusal.value)


def test_a_certificate_of_another_claim_is_refused_by_z3_as_well():
    with pytest.raises(kernel.Rejected, match="it is for claim"):
        audit.check_in("z3", PROGRAM, TRUE.data, proof(FALSE))


def test_an_unknown_name():
    with pytest.raises(AbsentArithmetic, match="expected auto, exact, fast, interval, z3, found 'float16'"):
        audit.check_in("float16", PROGRAM, TRUE.data, proof(TRUE))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_random_networks_on_both_sides_of_the_maximum(seed):
    """2-8-8-1: Z3 encloses the true maximum; just below it no proof may be accepted, above it no counterexample."""
    rng = np.random.default_rng(seed)
    graph = net(2, 8, 8, 1, seed=seed)
    program, out = kernel.read_program(*to_bytes(graph)), graph.outputs[0]
    center = [Fraction(int(v), 8) for v in rng.integers(-8, 9, 2)]
    ranges = {"x": ([c - Fraction(1, 4) for c in center], [c + Fraction(1, 4) for c in center])}

    def claim(bound):
        return box(graph, ranges, [[Inequality(((out, 0, Fraction(1)),), bound)]])

    far = Fraction(10**4)
    (easy,) = certify(graph, [claim(far)])
    steps, slopes = parse_steps(*parse_certificate(easy.certificate))
    high = far - kernel.check_with(program, easy.claim.data, easy.certificate).margin + Fraction(1, 1000)
    low = Fraction(-(10**4))
    while high - low > Fraction(1, 1000):
        middle = (low + high) / 2
        found = prove(program, read_claim(claim(middle).data, program), 20.0)
        low, high = (low, middle) if found.verdict == "verified" else (middle, high)
    for bound, verdict in ((low, "rejected"), (high, "verified"), (high + 1, "verified")):
        statement = claim(bound)
        copied = certificate.proof(statement.digest, steps, slopes)
        answers = audit.check_all(program, statement.data, copied)
        assert said(answers)["z3"] == verdict
        assert "verified" not in said(answers).values() or verdict == "verified"
        (result,) = certify(graph, [statement], timeout=2.0)
        assert result.verdict != ("verified" if verdict == "rejected" else "falsified")


def test_z3_beyond_its_limit_says_so():
    graph = net(2, 40, 1)
    (result,) = certify(graph, [box(graph, {"x": ([-9, -9], [9, 9])}, [[above(graph, 0, 10**6)]])])
    program = kernel.read_program(*to_bytes(graph))
    answers = audit.check_all(program, result.claim.data, result.certificate)
    assert (answers[0].verdict, answers[-1].verdict) == ("verified", "unknown")
    assert answers[-1].reason.endswith("ReLUs may be on either side of 0, over the limit of 16")
    with pytest.raises(Undecided, match="over the limit"):
        audit.check_in("z3", program, result.claim.data, result.certificate)


def test_missing_z3_is_said(monkeypatch):
    def missing(*_):
        raise MissingZ3("pip install 'tlverify[smt]'")

    monkeypatch.setattr("tlverify.certify.smt.prove", missing)
    with pytest.raises(AbsentArithmetic, match="pip install"):
        audit.check_in("z3", PROGRAM, TRUE.data, proof(TRUE))
    answer = audit.check_all(PROGRAM, TRUE.data, proof(TRUE))[-1]
    assert (answer.verdict, answer.reason) == ("absent", "pip install 'tlverify[smt]'")


def broken(change):
    """An arithmetic whose bounds are changed."""

    def engine(program, bounds, jobs):
        return [change(found) for found in kernel.EXACT.engine(program, bounds, jobs)]

    return kernel.Arithmetic(engine, kernel.RULES)


@pytest.mark.parametrize(
    ("name", "change", "claim", "what"),
    [
        ("fast", lambda c: (c[0] - 1, c[1]), TRUE, "exact and fast differ"),
        ("fast", lambda c: (abs(c[0]), c[1]), FALSE, "exact and fast differ"),
        ("exact", lambda c: (abs(c[0]), c[1]), FALSE, "exact and fast differ"),
        (
            "interval",
            lambda c: (abs(c[0]), c[1]),
            FALSE,
            "interval verified a claim to which z3 has a counterexample",
        ),
    ],
)
def test_a_broken_arithmetic_is_a_disagreement(monkeypatch, name, change, claim, what):
    right = audit.arithmetic
    monkeypatch.setattr(audit, "arithmetic", lambda asked: broken(change) if asked == name else right(asked))
    with pytest.raises(Disagreement) as disagreement:
        audit.check_all(PROGRAM, claim.data, proof(claim))
    assert str(disagreement.value) == what
    record = json.loads(json.dumps(disagreement.value.record))
    assert (record["graph"], record["claim"]) == (PROGRAM.digest, claim.digest)
    assert [one["arithmetic"] for one in record["answers"]] == [*ARITHMETICS]
    assert {"python", "machine", "tlverify", "numpy", "z3-solver"} == set(record["versions"])


def test_a_lying_z3_is_a_disagreement(monkeypatch):
    monkeypatch.setattr("tlverify.certify.smt.prove", lambda *_: Outcome("falsified", "here", {"x": [0, 0]}))
    with pytest.raises(Disagreement, match="exact, fast, interval verified a claim to which z3 has a counterexample"):
        audit.check_all(PROGRAM, TRUE.data, proof(TRUE))


ACCEPTED = kernel.Accepted("verified", "s", "c", "g", Fraction(1))


def test_what_is_a_contradiction():
    yes = Answer("exact", "verified", "", ACCEPTED, 0.0)
    weak = Answer("exact", "rejected", "step 1 (close): not refuted: the lower bound", None, 0.0, "step 1 (close)")
    wrong = Answer("exact", "rejected", "proof: it ends with 1 open goals", None, 0.0, "proof")
    malformed = Answer("exact", "malformed", "certificate header", None, 0.0)
    unknown = Answer("exact", "unknown", "too large", None, 0.0)
    refuted = replace(weak, refutes=True)

    def found(exact, **others):
        return audit.contradiction([exact, *(replace(one, arithmetic=name) for name, one in others.items())])

    for answers in (
        (yes, {"fast": yes, "interval": weak, "z3": unknown}),
        (weak, {"fast": weak, "interval": yes, "z3": yes}),
        (wrong, {"fast": replace(wrong, reason="proof: other words"), "interval": wrong, "z3": refuted}),
        (malformed, {"fast": malformed, "interval": malformed, "z3": yes}),
        (yes, {"interval": replace(yes, accepted=replace(ACCEPTED, margin=Fraction(2)))}),
    ):
        assert found(answers[0], **answers[1]) == ""
    other = replace(yes, accepted=replace(ACCEPTED, margin=Fraction(2)))
    for exact, one, what in (
        (yes, other, "exact and fast differ"),
        (yes, weak, "exact and fast differ"),
        (wrong, weak, "exact and fast differ"),
        (wrong, malformed, "exact and fast differ"),
    ):
        assert found(exact, fast=one) == what
    assert found(wrong, interval=yes) == "interval accepts what exact refuses"
    assert found(malformed, interval=yes) == "interval accepts what exact refuses"
    assert found(yes, interval=malformed) == "interval finds malformed what exact accepts"
    assert found(yes, z3=refuted) == "exact verified a claim to which z3 has a counterexample"


def test_files_in_each_arithmetic(record):
    for name in ("fast", "all"):
        checked = [*check_files([record / "a.cert"], arithmetic=name)]
        assert [one.verdict for one in checked] == ["verified"]
        assert [one.arithmetic for one in checked[0].answers] == ([*ARITHMETICS] if name == "all" else [name])


def test_a_classifier_in_all_arithmetics():
    graph = affine([[1, 0], [0, 1]], [0, 0], "relu")
    claims = robustness(graph, np.array([[0.75, 0.25], [0.5, 0.5]], "float32"), [0, 0], "1/8")
    program = kernel.read_program(*to_bytes(graph))
    found = [audit.check_all(program, r.claim.data, r.certificate) for r in certify(graph, claims)]
    assert [set(said(answers).values()) for answers in found] == [{"verified"}, {"falsified"}]
