"""Trees as arrays: preorder, and trees that grew elsewhere in the place of leaves."""

import numpy as np
import pytest

from tlverify.certify.search import forest
from tlverify.certify.search.forest import Forest

ENTRIES = [("x", 0), ("x", 1), ("z", 0), ("z", 3)]


@pytest.fixture(autouse=True)
def no_room(monkeypatch):
    monkeypatch.setattr(forest, "NODES", 1)
    monkeypatch.setattr(forest, "WORDS", 1)


def numbers(*values):
    return np.array(values, dtype=np.intp)


def words(*values):
    return [np.array(values, dtype=np.uint16)]


def test_preorder_with_the_entries_in_use():
    trees = Forest.of(numbers(0))
    (below,) = trees.halve(numbers(0), numbers(1), numbers(0))
    (again,) = trees.halve(numbers(below + 1), numbers(3), numbers(1))
    trees.close(again + 1, words(7, 8))
    trees.close(below, words(5))
    trees.close(again, words(6, 9))
    proof = trees.proof(ENTRIES, [1])
    assert proof.nodes.tolist() == [0, -1, 1, -1, -1]
    assert list(proof.entries) == [("x", 1), ("z", 3)]
    assert [part.tolist() for leaf in proof.words for part in leaf] == [[5], [6, 9], [7, 8]]


def test_one_leaf():
    trees = Forest.of(numbers(0))
    trees.close(0, [*words(1), *words(2, 3)])
    proof = trees.proof(ENTRIES, [1, 2])
    assert (proof.nodes.tolist(), list(proof.entries)) == ([-1], [])
    assert [part.tolist() for part in proof.words[0]] == [[1], [2, 3]]


def test_what_grew_elsewhere_stands_where_it_was_taken_from():
    def grown(there):
        """Halves: the one below is closed, the one above is a phase split; its half below is closed as well."""
        numbers_of = {}
        trees = Forest.of(numbers(0))
        numbers_of["below"], numbers_of["above"] = trees.halve(numbers(0), numbers(0), numbers(0))[0] + numbers(0, 1)
        where = numbers(numbers_of["above"], numbers_of["below"])
        other = Forest.of(trees.depths(where)) if there else trees
        above, below = numbers(0, 1) if there else where
        half = other.halve(numbers(above), numbers(2), numbers(1))[0]
        other.close(below, words(1))
        other.close(half, words(2, 3))
        last = half + 1
        if there:
            last = trees.graft(where, other.trimmed())[last]
        assert trees.depths(numbers(last)).tolist() == [1]
        trees.close(last, words(4, 5))
        return trees.proof(ENTRIES, [1])

    here, there = grown(False), grown(True)
    assert here.nodes.tolist() == there.nodes.tolist() == [0, -1, 1, -1, -1]
    assert here.entries == there.entries
    for one, two in zip(here.words, there.words, strict=True):
        assert [part.tolist() for part in one] == [part.tolist() for part in two]
