"""Machine code over wires makes what NumPy makes over folded networks, and certificates that are accepted."""

import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.certify.search import dual, machine_code, phases, wires
from tlverify.certify.search.dual import Ascent, Relaxation, evaluate, optimize
from tlverify.certify.search.fold import single
from tlverify.certify.search.goals import goals_of, refutation
from tlverify.certify.search.layers import layers_of
from tlverify.certify.search.progress import Search
from tlverify.graph import to_bytes

from .networks import setup
from .test_convolutions import claim, network
from .test_dual import random_nodes

needs_numba = pytest.mark.skipif(not wires.ready(np.inf), reason="numba is not installed (extra native)")


def pair(seed, depth=3):
    """A relaxation without wires, the same with, and rows of the claim over it."""
    case = setup(seed, depth=depth, width=20, radius="1/2")
    fold = case.folding.fold()
    wired = replace(fold, wires=case.folding.wires())
    row = single(refutation(case.folding, goals_of(case.layers, case.claim)[0]))
    return Relaxation.of(fold), Relaxation.of(wired), row


@needs_numba
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 40), depth=st.integers(2, 5), steps=st.integers(1, 5), count=st.integers(8, 70))
def test_it_makes_what_numpy_makes(seed, depth, steps, count):
    plain, wired, row = pair(seed, depth)
    rng = np.random.default_rng(seed)
    nodes = random_nodes(rng, plain, count)
    many = row.take(np.zeros(count, int), rng.choice([-1, 1], count)) if seed % 2 else row
    kept, found = optimize(wired, many, nodes, Ascent(steps))
    again = evaluate(plain, many, kept)  # the bounds are those of the duals that it says
    scale = 1 + np.abs(again.lower).max()
    np.testing.assert_allclose(found.lower, again.lower, rtol=0, atol=2e-6 * scale)
    np.testing.assert_allclose(found.a, again.a, rtol=0, atol=2e-6 * (1 + np.abs(again.a).max()))
    np.testing.assert_allclose(found.error, again.error, rtol=1e-4, atol=1e-9)
    other, expected = optimize(plain, many, nodes, Ascent(steps))
    assert (kept.phase == nodes.phase).all()
    # A slope may be rounded, or the sign of a coefficient fall, the other way: rarely, and it matters little.
    assert (np.abs(found.lower - expected.lower) < 1e-4 * scale).mean() > 0.9
    assert (kept.alpha == other.alpha)[nodes.phase == 0].mean() > 0.9
    assert (found.lower > evaluate(plain, many, nodes).lower - 2e-6 * scale).all()


@needs_numba
def test_wires_have_the_entries_of_the_network():
    """Every row is in one group of its layer; what it sees is what the network says."""
    plain, wired, _ = pair(1, 4)
    for groups in (wired.fold.wires.up, wired.fold.wires.down, wired.fold.wires.inputs):
        rows = groups.members[groups.members >= 0]
        assert (np.sort(rows) == np.arange(len(rows))).all()
        assert groups.layers[-1] == len(groups.sizes) == len(groups.members)
    assert wired.fold.wires.ends[-1][1] >= plain.fold.size


@needs_numba
@pytest.mark.parametrize(("pool", "above", "radius"), [("", 0.32, "1/24"), ("max_pool2d", 0.14, "1/50")])
def test_proofs_by_machine_code_are_accepted(pool, above, radius, monkeypatch):
    graph = network(pool)
    program = kernel.read_program(*to_bytes(graph))
    layers, the_claim = layers_of(program), claim(graph, above, Fraction(radius))
    monkeypatch.setattr(phases, "FIRST_WORK", 1.0)
    monkeypatch.setattr(phases, "MANY", 10**9)
    used = []
    monkeypatch.setattr(dual, "_by_wires", lambda *given, own=dual._by_wires: used.append(1) or own(*given))
    for data in phases.propose_phases(program, layers, the_claim, Search(), np.random.default_rng(0)):
        assert kernel.check_with(program, the_claim.data, data, fast()).verdict == "verified"
        break
    else:
        pytest.fail("nothing was proposed")
    assert used


def test_without_a_compiler_numpy_does_it(monkeypatch):
    monkeypatch.setattr(machine_code, "installed", lambda: False)
    assert not wires.ready(np.inf)
    monkeypatch.setattr(phases, "FIRST_WORK", 1.0)
    monkeypatch.setattr(machine_code, "load", lambda name: pytest.fail("there is no machine code"))
    graph = network("")
    program, the_claim = kernel.read_program(*to_bytes(graph)), claim(graph, 0.32, Fraction(1, 24))
    (data, *_) = phases.propose_phases(program, layers_of(program), the_claim, Search(), np.random.default_rng(0))
    assert kernel.check_with(program, the_claim.data, data, fast()).verdict == "verified"


@needs_numba
def test_no_time_is_spent_on_a_compiler_where_there_is_little(monkeypatch, tmp_path):
    monkeypatch.setenv("TLVERIFY_CACHE", str(tmp_path))
    monkeypatch.delitem(sys.modules, f"{machine_code.__package__}.{wires.KERNEL}", raising=False)
    assert not wires.ready(5.0)
    assert wires.ready(100.0)
    folder = machine_code._folder()
    folder.mkdir(parents=True)
    (folder / wires.KERNEL).touch()
    assert wires.ready(5.0)


@needs_numba
def test_constants_are_those_of_the_other_modules():
    code = machine_code.load(wires.KERNEL)
    assert code.MOST == wires.MOST
    assert (code.SLOPE_ONE, code.SINGLE, code.LEAST) == (dual.SLOPE_ONE, dual.SINGLE, dual.LEAST)
    assert dual.MANTISSA == code.MANTISSA


def test_the_compiler_is_not_loaded_before_it_is_needed():
    code = "import sys, tlverify.certify.prove; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
