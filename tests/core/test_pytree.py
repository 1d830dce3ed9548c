from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlverify.core import pytree
from tlverify.graph import GraphError


class Pair(NamedTuple):
    first: object
    second: object


@pytree.register
@dataclass(frozen=True)
class State:
    moment: object
    step: object
    name: str = field(default="adam", metadata={"static": True})


@pytest.mark.parametrize(
    ("tree", "leaves", "paths"),
    [
        (1.5, [1.5], [""]),
        ({"b": 1, "a": {"weight": 2}}, [2, 1], ["a.weight", "b"]),
        ((1, [2, 3]), [1, 2, 3], ["0", "1.0", "1.1"]),
        (Pair(1, {"x": 2}), [1, 2], ["first", "second.x"]),
        (State((1, 2), 3, "sgd"), [1, 2, 3], ["moment.0", "moment.1", "step"]),
        ({"a": None, "b": {}, "c": ()}, [], []),
        ({"10": 1, "2": 2}, [1, 2], ["10", "2"]),
    ],
)
def test_flatten_gives_leaves_and_paths_and_unflatten_gives_the_tree_back(tree, leaves, paths):
    found, treedef = pytree.flatten(tree)
    assert found == leaves
    assert pytree.paths(treedef) == paths
    assert treedef.size == len(leaves)
    rebuilt = pytree.unflatten(treedef, found)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)


trees = st.recursive(
    st.integers() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(Pair, inner, inner),
    max_leaves=8,
)


@given(trees)
def test_round_trip(tree):
    leaves, treedef = pytree.flatten(tree)
    assert pytree.unflatten(treedef, leaves) == tree
    assert pytree.map(lambda leaf: leaf, tree) == tree
    assert len(pytree.paths(treedef)) == len(leaves) == treedef.size


def test_map_over_two_trees():
    assert pytree.map(lambda a, b: a + b, {"a": 1, "b": [2]}, {"a": 10, "b": [20]}) == {"a": 11, "b": [22]}


def test_equal_structures_have_equal_hashable_treedefs():
    first, second = (pytree.flatten({"a": [leaf], "b": State(leaf, leaf)})[1] for leaf in (1, 2))
    assert first == second
    assert hash(first) == hash(second)
    assert pytree.flatten(State(1, 2, "sgd"))[1] != pytree.flatten(State(1, 2, "adam"))[1]


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (lambda: pytree.flatten({1: 2}), GraphError, r"expected string keys in a dict, found \[1\]"),
        (lambda: pytree.flatten({1: 2, "a": 3}), GraphError, "expected string keys in a dict"),
        (lambda: pytree.unflatten(pytree.LEAF, [1, 2]), GraphError, "expected 1 leaves, found 2"),
        (lambda: pytree.map(max, {"a": 1}, {"b": 1}), GraphError, r"trees differ: \['a'\] and \['b'\]"),
        (lambda: pytree.register(Pair), TypeError, "Pair: expected a frozen dataclass"),
        (lambda: pytree.register(dataclass(type("Loose", (), {}))), TypeError, "expected a frozen dataclass"),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()


@pytest.mark.parametrize("leaf", [np.zeros(2), 1.5, 2, np.float32(3), "text"])
def test_map_walks_each_tree_like_the_first(leaf):
    tree = {"b": (leaf, [leaf, None]), "a": {}, "c": ()}
    other = {"c": (), "a": {}, "b": (leaf, [leaf, None])}
    seen = []
    result = pytree.map(lambda x, y: seen.append((x, y)) or 0, tree, other)
    assert all(x is leaf and y is leaf for x, y in seen)
    assert len(seen) == 2
    assert result == {"b": (0, [0, None]), "a": {}, "c": ()}


def test_leaves_of_different_kinds_are_leaves():
    assert pytree.map(lambda x, y: float(x + y), {"a": np.ones(())}, {"a": np.float32(2)}) == {"a": 3.0}
    assert pytree.map(lambda x, y: float(x + y), {"a": np.float32(2)}, {"a": np.ones(())}) == {"a": 3.0}


@pytest.mark.parametrize(
    "other",
    [{"a": 1}, {"a": 1, "c": (2, 3)}, {"a": 1, "b": [2, 3]}, {"a": 1, "b": (2,)}, {"a": (1,), "b": (2, 3)}, 1],
)
def test_map_refuses_trees_that_differ(other):
    with pytest.raises(GraphError, match="trees differ"):
        pytree.map(lambda x, y: x, {"a": 1, "b": (2, 3)}, other)
    with pytest.raises(GraphError, match="trees differ"):
        pytree.map(lambda x, y: x, other, {"a": 1, "b": (2, 3)})
