"""A search that is cut short: by Ctrl-C, for want of memory or of time, or because the network is too large."""

import numpy as np
import pytest

from tlverify.certify import audit, certificate, certify, kernel, prove
from tlverify.certify.decide import decide
from tlverify.certify.property import to_claims
from tlverify.certify.search.layers import TooLarge
from tlverify.graph import to_bytes
from tlverify.interop.vnnlib import parse_vnnlib

from .nets import TOUCHING, TWO_REGIONS, difference

GRAPH = difference()
HOLDS = TWO_REGIONS + "(assert (>= Y_0 4))"


def claims(text):
    return to_claims(parse_vnnlib(text), GRAPH)


def cut_short(monkeypatch, error, after=0):
    """The deep search of every claim but the first `after` gets as far as a bound of -1/2 in 7 open leaves."""
    real, calls = prove.propose_boxes, []

    def propose(program, layers, claim, search, rng):
        calls.append(claim)
        if len(calls) <= after:
            yield from real(program, layers, claim, search, rng)
            return
        search.note(-0.5, 7)
        raise error

    monkeypatch.setattr(prove, "propose_boxes", propose)
    return calls


def test_ctrl_c_makes_the_running_claim_unknown_and_then_is_raised(monkeypatch):
    calls = cut_short(monkeypatch, KeyboardInterrupt, after=1)
    results = certify(GRAPH, claims(HOLDS) * 2)
    assert next(results).verdict == "verified"
    result = next(results)
    assert (result.verdict, result.interrupted, result.margin) == ("unknown", True, -0.5)
    assert result.reason == "interrupted; best bound -0.5, 7 leaves open"
    assert (result.remedy, result.certificate, result.arithmetic) == (prove.FINISH, None, "")
    assert result.stats["open"] == 7
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert len(calls) == 2


def test_ctrl_c_in_a_batch_keeps_what_is_proved(monkeypatch):
    monkeypatch.setattr(prove, "FEW_INPUTS", 1)
    (holds, _), (touching,) = claims(HOLDS), claims(TOUCHING)

    def propose(problem, progress, rng):
        yield from (one for one in real(problem, progress, rng) if one.index == 0)
        raise KeyboardInterrupt

    real = prove.propose
    monkeypatch.setattr(prove, "propose", propose)
    monkeypatch.setattr(prove, "propose_phases", lambda *_: pytest.fail("nothing is searched after Ctrl-C"))
    results = certify(GRAPH, [holds, touching])
    assert next(results).verdict == "verified"
    left = next(results)
    assert (left.verdict, left.interrupted, left.reason[:23]) == ("unknown", True, "interrupted; best bound")
    with pytest.raises(KeyboardInterrupt):
        next(results)


def test_a_property_is_unknown_after_ctrl_c(monkeypatch):
    cut_short(monkeypatch, KeyboardInterrupt, after=1)
    decision = decide(GRAPH, claims(HOLDS))
    assert decision.verdict == "unknown"
    assert decision.reason == "1 of 2 claims open; first: interrupted; best bound -0.5, 7 leaves open"
    assert [result.verdict for result in decision.results] == ["verified", "unknown"]
    (touching,) = claims(TOUCHING)
    assert decide(GRAPH, [touching]).reason == "interrupted; best bound -0.5, 7 leaves open"


def test_ctrl_c_between_two_searches(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tlverify.certify.decide.certify", interrupted)
    decision = decide(GRAPH, claims(HOLDS))
    assert (decision.verdict, decision.reason) == ("unknown", "2 of 2 claims open; first: interrupted")


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (MemoryError, "out of memory; best bound -0.5, 7 leaves open", prove.LESS_MEMORY),
        (TooLarge("value 'y': a dense matrix is needed"), "value 'y': a dense matrix is needed", prove.SMALLER),
    ],
)
def test_limits_are_unknown_with_a_reason_and_what_would_help(monkeypatch, error, reason, remedy):
    if isinstance(error, TooLarge):
        monkeypatch.setattr(prove, "layers_of", lambda program: raise_(error))
        monkeypatch.setattr(prove, "supported", lambda graph: False)  # which might solve it all the same
    else:
        cut_short(monkeypatch, error)
    (result,) = certify(GRAPH, claims(TOUCHING))
    assert (result.verdict, result.reason, result.remedy, result.interrupted) == ("unknown", reason, remedy, False)


def raise_(error):
    raise error


def test_time_would_help_after_a_timeout():
    (result,) = certify(GRAPH, claims(TOUCHING), timeout=0.0)
    assert (result.verdict, result.remedy) == ("unknown", prove.MORE_TIME)


def test_the_end_of_a_search_is_reported(monkeypatch):
    told = []
    (result,) = certify(GRAPH, claims(TOUCHING), report=lambda claim, search: told.append((claim, search.leaves)))
    assert told[-1] == (result.claim, result.stats["leaves"])


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_arithmetic_that_was_struck_is_not_used_again(monkeypatch, error):
    program = kernel.read_program(*to_bytes(GRAPH))
    (touching,) = claims(TOUCHING)
    data = certificate.witness(touching.digest, [np.array([0.5, 0.5])])
    before = audit.arithmetic("fast")
    assert audit.check_in("fast", program, touching.data, data).verdict == "falsified"
    assert audit.arithmetic("fast") is before
    with monkeypatch.context() as changed:
        changed.setattr(kernel, "check_with", lambda *_: raise_(error))
        with pytest.raises(error):
            audit.check_in("fast", program, touching.data, data)
    assert audit.arithmetic("fast") is not before
