"""Branch and bound as machine code: the trees of NumPy's; and a way on where the checker refuses a proof."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.certify.search.test_input_split import at_least, claim, extremes, net
from tlverify.certify import audit, certificate, certify, kernel
from tlverify.certify.search import forest, input_split, machine_code, walk
from tlverify.certify.search.branch import Branch
from tlverify.certify.search.combine import combine, words_of
from tlverify.certify.search.explore import explore
from tlverify.certify.search.layers import layers_of
from tlverify.certify.search.progress import Search
from tlverify.certify.search.root import prepare_root
from tlverify.graph import to_bytes

pytest.importorskip("numba")


def prepared(graph, statement):
    contract = None if statement.semantics == "real" else kernel.contract_of(statement.data)
    program = kernel.read_program(*to_bytes(graph), contract)
    root = prepare_root(program, statement)
    return root, walk.Chain.of(root, layers_of(program))


def last(found):
    *_, proof = found
    return proof


def splits(proof):
    """What each node in preorder splits, by name."""
    return [proof.entries[k] if k >= 0 else None for k in proof.nodes.tolist()]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    share=st.floats(0.3, 2),
    limit=st.integers(0, 12),
    both=st.booleans(),
    semantics=st.sampled_from(["real", "float32"]),
)
def test_the_same_tree_as_in_numpy(seed, share, limit, both, semantics):
    graph = net(3, 9, 8, 7, 2, seed=seed)
    low, top = extremes(graph)
    bound = top + share * (top - low)
    other = [at_least(graph, low - 1, 1), at_least(graph, bound)] if both else [at_least(graph, bound, 0, 1)]
    # Two disjuncts, one of them maybe of two inequalities, which must be combined.
    statement = claim(graph, [at_least(graph, bound)], other).under(semantics)
    root, chain = prepared(graph, statement)
    expected = last(explore(Branch(root, phase_limit=limit), Search()))
    assume(isinstance(expected, forest.Proof))  # the largest value may be larger than samples say
    found = last(explore(walk.Walk(root, chain, phase_limit=limit), Search()))
    assert splits(found) == splits(expected)
    for ours, theirs in zip(found.words, expected.words, strict=True):
        assert [len(part) for part in ours] == [len(part) for part in theirs]
    for proof in (found, expected):
        data = certificate.proof(statement.digest, *input_split._steps(root, proof))
        assert audit.accept(root.program, statement.data, data)[0].verdict == "verified"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_combinations(data):
    """As those of combine.py, which are the best ones but for its tolerance."""
    from tlverify.certify.search import walk_kernel

    rng = np.random.default_rng(data.draw(st.integers(0, 1 << 30)))
    rows, n = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 6))
    A, c = rng.normal(size=(rows, n)), rng.normal(size=rows) + data.draw(st.floats(-1, 1))
    lower = rng.normal(size=n)
    upper = lower + rng.random(n)
    expected = combine(A[None], c[None], lower[None], upper[None])[0]
    found, lp = np.zeros(rows), np.zeros((15, rows + 2 * n + 2))
    box, whole = np.stack([lower, upper]), np.concatenate([A, c[:, None]], 1)
    walk_kernel.combine_one(whole.copy(), rows, box, found, lp, np.zeros((n + 1, n + 1)))
    np.testing.assert_allclose(found, expected, 1e-6, 1e-9)


@settings(deadline=None)
@given(st.floats(0, 1), st.sampled_from([1, 8, 64]))
def test_words(x, step):
    from tlverify.certify.search import walk_kernel

    word = walk_kernel.word_of(x, step)
    assert word % step == 0
    assert step > 1 or word == words_of(np.array([[x, 1.0]]))[0, 0]
    assert abs(walk_kernel.meaning_of(word) - x) <= x * step / 1024 + 2.0**-30


def test_other_networks_are_left_to_numpy():
    graph = net(3, 6, 6, 2, residual=True)
    for semantics in ("real", "float32"):
        assert prepared(graph, claim(graph, [at_least(graph, 10**6)]).under(semantics))[1] is None
    graph = net(3, 6, 6, 2)
    statement = claim(graph, [at_least(graph, 10**6)])
    assert prepared(graph, statement)[1] is not None
    assert prepared(graph, statement.under("float32"))[1] is not None


def hard():
    graph = net(3, 9, 8, 7, 2, seed=3)
    low, top = extremes(graph)
    return graph, claim(graph, [at_least(graph, top + 0.5 * (top - low))])


def test_a_refused_proof_is_searched_for_once_more(monkeypatch):
    graph, statement = hard()
    original = walk.Walk.proof

    def wrong(self):
        proof = original(self)
        return forest.Proof(np.array([-1]), proof.entries, proof.words[:1])

    monkeypatch.setattr(walk.Walk, "proof", wrong)
    monkeypatch.setattr(machine_code, "made", lambda name: True)
    (result,) = certify(graph, [statement])
    assert result.verdict == "verified"
    assert "once more in NumPy" in " ".join(result.log)


def test_claims_about_float32(monkeypatch):
    graph, statement = hard()
    monkeypatch.setattr(machine_code, "made", lambda name: True)
    (result,) = certify(graph, [statement.under("float32")])
    assert result.verdict == "verified"
    assert "machine code" in " ".join(result.log)
    assert "once more" not in " ".join(result.log)


def test_no_room_for_more_parts(monkeypatch):
    graph, statement = hard()
    monkeypatch.setattr(machine_code, "made", lambda name: True)
    monkeypatch.setattr(walk, "DEPTH", 1)
    (result,) = certify(graph, [statement])
    assert result.verdict == "verified"
    assert "once more in NumPy" in " ".join(result.log)


def test_memory_grows_with_the_tree(monkeypatch):
    graph, statement = hard()
    root, chain = prepared(graph, statement)
    expected = splits(last(explore(walk.Walk(root, chain), Search())))
    monkeypatch.setattr(forest, "NODES", 4)
    monkeypatch.setattr(forest, "WORDS", 2048)
    monkeypatch.setattr(walk, "FIRST", 1)
    assert splits(last(explore(walk.Walk(root, chain), Search()))) == expected


def test_machine_code_is_made_only_for_a_long_search(monkeypatch):
    graph, statement = hard()
    monkeypatch.setattr(machine_code, "made", lambda name: False)
    (result,) = certify(graph, [statement])
    assert result.verdict == "verified"
    assert "machine code" not in " ".join(result.log)
    monkeypatch.setattr(input_split, "COLD", 0.0)
    (result,) = certify(graph, [statement])
    assert result.verdict == "verified"
    assert "machine code" in " ".join(result.log)
