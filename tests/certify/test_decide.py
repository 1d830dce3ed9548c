"""One verdict from several claims."""

import pytest

from tlverify.certify import decide as module
from tlverify.certify.decide import decide
from tlverify.certify.property import to_claims
from tlverify.interop.vnnlib import parse_vnnlib

from .nets import FALSIFIED, TOUCHING, TWO_REGIONS, VACUOUS, VERIFIED, difference


@pytest.mark.parametrize(
    ("text", "verdict", "count"),
    [
        (VERIFIED, "verified", 1),
        (FALSIFIED, "falsified", 1),
        (VACUOUS, "verified", 0),
        (TWO_REGIONS + "(assert (>= Y_0 4))", "verified", 2),
        (TWO_REGIONS + "(assert (>= Y_0 2))", "falsified", 1),
        (TWO_REGIONS + "(assert (<= Y_0 Y_1))", "falsified", 2),
    ],
)
def test_verdict(text, verdict, count):
    graph = difference()
    decision = decide(graph, to_claims(parse_vnnlib(text), graph))
    assert (decision.verdict, len(decision.results)) == (verdict, count)
    assert (decision.counterexample is not None) == (verdict == "falsified")


def test_vacuous_property_says_so():
    assert "no input satisfies" in decide(difference(), ()).reason


def test_without_time_it_is_unknown_with_the_reason_of_the_first():
    graph = difference()
    decision = decide(graph, to_claims(parse_vnnlib(TOUCHING), graph), timeout=0.0)
    assert decision.verdict == "unknown"
    assert decision.reason.startswith("timeout")
    hard = TWO_REGIONS.replace("(>= X_0 2)", "(>= X_0 1)").replace("(<= X_1 1)", "(<= X_1 1.0)")
    several = decide(graph, to_claims(parse_vnnlib(hard + "(assert (<= Y_0 Y_1))"), graph), timeout=0.0)
    assert several.verdict == "unknown"
    assert "claims open; first: " in several.reason


def test_certificates_of_an_earlier_run_are_taken_up(monkeypatch):
    graph = difference()
    claims = to_claims(parse_vnnlib(VERIFIED), graph)
    (result,) = decide(graph, claims).results
    again = decide(graph, claims, timeout=0.0, known={claims[0].digest: result.certificate})
    assert again.verdict == "verified"


def test_claims_that_stay_open_are_tried_twice_within_the_time(monkeypatch):
    graph, calls = difference(), []
    real = module.certify

    def spy(graph, claims, *, timeout, **others):
        calls.append(timeout)
        return real(graph, claims, timeout=0.0, **others)

    monkeypatch.setattr(module, "certify", spy)
    text = TWO_REGIONS.replace("(>= X_0 2)", "(>= X_0 1)").replace("(>= X_1 2)", "(>= X_1 1)")
    decision = decide(graph, to_claims(parse_vnnlib(text + "(assert (= Y_0 0))"), graph), timeout=40.0)
    assert decision.verdict == "unknown"
    assert calls[0] == calls[1] == module.FIRST_SECONDS
    assert len(calls) == 4
    assert 10.0 < calls[2] <= 20.0
