"""Every proposed proof is one that the kernel takes, and its margin is the search's up to rounding."""

import numpy as np
import pytest

from tlverify.certify import kernel, robustness
from tlverify.certify.search.bounds import prepare
from tlverify.certify.search.problem import build
from tlverify.certify.search.strategy import Progress, propose
from tlverify.graph import to_bytes

from ..test_prove import CENTERS, LABELS, NET


@pytest.mark.parametrize("epsilon", ["0.02", "0.1", "0.15", "0.2"])
def test_proposals_are_accepted_with_the_margin_that_was_found(epsilon):
    claims = robustness(NET, CENTERS, LABELS, epsilon)
    trusted = kernel.read_program(*to_bytes(NET))
    progress = Progress(np.ones(len(claims), dtype=bool), np.full(len(claims), -np.inf))
    kinds = set()
    for proposal in propose(build(prepare(NET), claims), progress, np.random.default_rng(0)):
        accepted = kernel.check_with(trusted, claims[proposal.index].data, proposal.data)
        progress.open[proposal.index] = False
        kinds.add(accepted.verdict)
        if accepted.verdict == "verified":
            assert float(accepted.margin) == pytest.approx(progress.margin[proposal.index], abs=1e-5)
            assert accepted.margin <= progress.margin[proposal.index] + 1e-12
    assert "verified" in kinds


def test_an_open_claim_is_proposed_again_a_closed_one_is_not():
    claims = robustness(NET, CENTERS[:2], LABELS[:2], "0.02")
    problem = build(prepare(NET), claims)
    progress = Progress(np.ones(2, dtype=bool), np.full(2, -np.inf))
    assert [proposal.index for proposal in propose(problem, progress, np.random.default_rng(0))].count(0) > 1
    progress = Progress(np.array([False, True]), np.full(2, -np.inf))
    assert {proposal.index for proposal in propose(problem, progress, np.random.default_rng(0))} == {1}
