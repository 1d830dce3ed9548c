"""Every proposal is accepted by the kernel, and the verdict is the right one."""

import random
import time
from fractions import Fraction

import numpy as np
import pytest

from tlverify.certify import kernel
from tlverify.certify.search import phase_split, phases
from tlverify.certify.search.bounding import Samples, tighten
from tlverify.certify.search.dual import Nodes, Relaxation, children, evaluate
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.fold import single
from tlverify.certify.search.goals import goals_of, refutation
from tlverify.certify.search.layers import layers_of
from tlverify.certify.search.phases import Search, propose_phases
from tlverify.graph import to_bytes

from ..examples import random_claim, random_graph
from .networks import setup


def verdicts(program, claim, search=None):
    """What the kernel says of each proposal."""
    found = []
    with np.errstate(all="ignore"):  # as certify does: what overflows is refused by the kernel
        for data in propose_phases(program, layers_of(program), claim, search or Search(), np.random.default_rng(0)):
            found.append(kernel.check_with(program, claim.data, data).verdict)
            break
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("depth", [2, 4])
def test_a_bound_a_little_above_all_points_is_proved(seed, depth):
    case = setup(seed, depth=depth, radius="1/6", above=0.5)
    search = Search()
    found = verdicts(case.program, case.claim, search)
    assert found
    assert set(found) in ({"verified"}, {"falsified"})


@pytest.mark.parametrize(("first_work", "trees"), [(1.0, True), (1e12, False)])
def test_trees_take_part_in_the_proof(monkeypatch, first_work, trees):
    """With little branch and bound, lemmas by trees come first."""
    monkeypatch.setattr(phases, "FIRST_WORK", first_work)
    case = setup(3, depth=4, width=18, radius="1/6", above=1.0)
    search = Search()
    assert verdicts(case.program, case.claim, search) == ["verified"]
    assert any("trees of" in line for line in search.log) == trees
    assert search.leaves > len(case.claim.bad)


@pytest.mark.parametrize("seed", range(3))
def test_a_bound_below_a_point_is_refuted(seed):
    case = setup(seed, above=-0.25)
    assert verdicts(case.program, case.claim)[0] == "falsified"


@pytest.mark.parametrize("seed", range(25))
def test_any_op_any_claim(seed):
    """Random graphs with every op, conjunctions, inputs in inequalities: nothing proposed is rejected."""
    rng = random.Random(seed)
    graph = random_graph(rng, rng.choice(["normal", "eighths"]), every_op=True)
    program = kernel.read_program(*to_bytes(graph))
    claim = random_claim(rng, graph, Fraction(rng.randrange(-2, 30)))
    assert set(verdicts(program, claim)) in ({"verified"}, {"falsified"}, set())


def test_without_a_limit_of_nodes_nothing_is_given_up(monkeypatch):
    """Halves may have bounds below their root's, by which no number of leaves would do."""
    monkeypatch.setattr(phase_split, "hopeless", lambda *_: True)
    monkeypatch.setattr(phase_split, "LOOK", 1.0)
    case = setup(3, depth=4, width=18, radius="1/6", above=0.4)
    relaxation = Relaxation.of(case.folding.fold())
    row = single(refutation(case.folding, goals_of(case.layers, case.claim)[0]))
    assert phase_split.refute(relaxation, row, 1000.0, lambda: False).tree is None
    assert phase_split.refute(relaxation, row, np.inf, lambda: False).tree is not None


@pytest.mark.parametrize("seed", range(3))
def test_hard_nodes_are_split_where_halves_begin_with_the_best_bounds(monkeypatch, seed):
    case = setup(seed, depth=4, width=18, above=1.0)
    relaxation = Relaxation.of(case.folding.fold())
    row = single(refutation(case.folding, goals_of(case.layers, case.claim)[0]))
    rng = np.random.default_rng(seed)
    root = relaxation.root(20)
    nodes = Nodes(root.alpha, root.beta, rng.choice([-1, 0, 0, 1], root.phase.shape).astype(np.int8))
    nodes.phase[0] = 1  # nothing is left to be split
    a, every = evaluate(relaxation, row, nodes).a, np.arange(20)

    def chosen(hard):
        monkeypatch.setattr(phase_split, "HARD", hard)
        neuron = phase_split._choose(relaxation, row, nodes, a)
        open_ = (nodes.phase == 0) & relaxation.fold.splittable
        assert ((neuron < 0) == ~open_.any(1)).all()
        assert open_[every, neuron][neuron >= 0].all()
        halves = evaluate(relaxation, row, children(nodes, neuron, a[every, neuron]), gradient=False).lower
        return np.minimum(halves, 0).reshape(2, 20).sum(0)[1:]

    one, two = chosen(10**6), chosen(0)
    assert (two >= one).all()
    assert (two > one).any()


def test_a_deadline_ends_the_search_with_the_best_bound():
    case = setup(0)
    search = Search(deadline=time.perf_counter() - 1)
    assert verdicts(case.program, case.claim, search) == []
    assert -np.inf < search.lower < 0


@pytest.mark.parametrize("seed", range(3))
def test_tightened_bounds_hold_and_are_tighter(seed):
    case = setup(seed, depth=4)
    steps = Steps()
    box = case.region.box
    table, _, work = tighten(
        case.ground, case.layers, box, case.table, Samples.none(case.layers), steps, 8, lambda: False
    )
    inner, _ = case.inner(case.points(np.random.default_rng(seed), 3000))
    for k, z in enumerate(inner):
        assert (table.lower[k] <= z.min(0) + 1e-5).all()
        assert (table.upper[k] >= z.max(0) - 1e-5).all()
        assert (table.lower[k] >= case.table.lower[k]).all()
        assert (table.upper[k] <= case.table.upper[k]).all()
    assert sum(table.unstable) < sum(case.table.unstable)
    assert work > 0
    assert {step["rule"] for step in steps.steps} == {"bound", "lemma", "tree"}


def test_a_rejected_proof_is_followed_by_a_more_cautious_one():
    case = setup(3, depth=3, radius="1/6", above=1.0)
    search = Search()
    found = list(propose_phases(case.program, case.layers, case.claim, search, np.random.default_rng(0)))
    margins = [kernel.check_with(case.program, case.claim.data, data).margin for data in found]
    assert len(margins) == len(phases.SAFETY)
    assert None not in margins
