"""What a search says of itself while it runs."""

from itertools import islice
from math import inf

import numpy as np
import pytest

from tlverify.certify.kernel import read_program
from tlverify.certify.search import progress, walk
from tlverify.certify.search.input_split import propose_boxes
from tlverify.certify.search.layers import layers_of
from tlverify.certify.search.phases import propose_phases
from tlverify.certify.search.progress import Search
from tlverify.graph import to_bytes

from .test_input_split import at_least, claim, extremes, net


def test_it_is_late_after_its_deadline():
    assert not Search().late()
    assert Search(deadline=0.0).late()


def test_the_bound_never_falls():
    search = Search()
    search.note(-2.0, 3)
    search.note(-5.0, 4)
    assert (search.lower, search.open) == (-2.0, 4)


def test_no_report_before_its_time(monkeypatch):
    told = []
    search = Search(report=told.append)
    monkeypatch.setattr(progress, "EVERY", 3600.0)
    search.late()
    assert told == []
    monkeypatch.setattr(progress, "EVERY", 0.0)
    search.late()
    assert told == [search]


@pytest.mark.parametrize("propose", [propose_boxes, propose_phases])
def test_bounds_grow_and_open_leaves_are_told(monkeypatch, propose):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    monkeypatch.setattr(walk, "FIRST", 1)
    graph = net(2, 10, 10, 2, seed=1)
    statement = claim(graph, [at_least(graph, extremes(graph)[1] + 0.05)])
    told = []
    search = Search(report=lambda search: told.append((search.lower, search.open, search.leaves)))
    program = read_program(*to_bytes(graph))
    proposals = propose(program, layers_of(program), statement, search, np.random.default_rng(0))
    found = list(islice(proposals, 1))
    lower = [one for one, _, _ in told]
    assert lower == sorted(lower)
    assert any(-inf < bound < 0 for bound in lower)
    assert max(count for _, count, _ in told) > 1
    assert (search.leaves > 1) == bool(found)
