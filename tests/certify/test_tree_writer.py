"""Trees written from arrays are what the kernel reads; 10^5 leaves take no time to speak of."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tlverify.certify import box, kernel
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.proof import Machine
from tlverify.certify.kernel.tree import Node, read_slopes, read_tree, read_words
from tlverify.certify.leaves import Payload, Shape
from tlverify.certify.tree_writer import ONE, tree
from tlverify.graph import to_bytes

from .kernel.laws import SYMMETRIC, above, affine, tree_walk
from .trees import Leaf, Split, grown, preorder, written

GRAPH = affine([[1], [-1], [2]], [0, 0.5, 0], "relu")
ENTRIES = [("x", 0), ("y", 0), ("y", 2), ("relu_0", 1)]
PROGRAM = kernel.read_program(*to_bytes(GRAPH))


def machine(payload: bytes, disjuncts: int = 2) -> Machine:
    rows = [[above(GRAPH, k, 9), above(GRAPH, 2, 9)][: k + 1] for k in range(disjuncts)]
    claim = read_claim(box(GRAPH, SYMMETRIC, rows).data, PROGRAM)
    made = Machine(PROGRAM, claim, payload, kernel.RULES, kernel.EXACT.engine)
    assert made.goal is not None
    kernel.RULES["interval"](made, made.goal, {"rule": "interval", "nodes": ["y", "relu_0"]}, "it")
    return made


def random_tree(rng: random.Random, count: int) -> Split | Leaf:
    def leaf(phases: int) -> Leaf:
        words = [[rng.getrandbits(16) for _ in range(rows + phases)] for rows in (1, 2)]
        return Leaf(words, [[rng.randrange(129) for _ in range(count)] for _ in range(2)])

    return grown(rng, rng.randrange(40), ENTRIES, ["x"], leaf)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("listing", [{}, {"relu_0": [2, 0]}])
@pytest.mark.parametrize("copies", [1, 70])
def test_the_kernel_and_the_arrays_read_what_was_written(weighted, listing, copies):
    for seed in range(20):
        rng = random.Random(seed)
        root = random_tree(rng, sum(map(len, listing.values())))
        nodes, leaves = preorder(root)
        step, payload = written(root, ENTRIES * copies, (), listing, weighted)
        made = machine(payload)
        read = read_tree(made, made.goal, step, "it")
        assert list(read.nodes) == nodes
        assert (read.entries, read.weighted) == (ENTRIES * copies, weighted)
        start = made.used
        paths = tree_walk(read, [name != "x" for name, _ in read.entries])
        before = [bytes(read.slopes)] * 2
        for leaf, phases in zip(leaves, paths, strict=True):
            for number, disjunct in enumerate(made.goal.bad):
                words = read_words(made, read, disjunct, Node(made.goal.bounds, (), phases), "it")
                before[number] = read_slopes(made, read, before[number], "it")
                assert words == (leaf.words[number] if weighted else None)
                assert list(before[number]) == (leaf.slopes[number] if listing else [])
        assert made.used == len(payload)

        made.used = start
        shape = Shape.of(made, read)
        every, last = shape.leaves, np.zeros((2, read.slopes), dtype=np.uint8)
        turns = [[2 * entry + side for entry, side in phases] for phases in paths]
        for begin in range(0, len(leaves), 7):  # in parts, as `fast` does
            chosen = every[begin : begin + 7]
            path = shape.phases(chosen)
            assert [[turn for turn in row if turn >= 0] for row in path.tolist()] == turns[begin : begin + 7]
            part = Payload.take(made, made.goal, read, shape.depth[chosen], last, "it")
            for number in range(2):
                words = part.words(number, np.arange(len(chosen)), path)
                for k, leaf in enumerate(leaves[begin : begin + 7]):
                    if weighted:
                        own = leaf.words[number]
                        assert words[k].tolist() == own + [0] * (words.shape[1] - len(own))
                    assert part.slopes[number][k].tolist() == (leaf.slopes[number] if listing else [])
        assert made.used == len(payload)


def test_the_half_above_is_found():
    root = Split(0, Split(1, Leaf(), Split(0, Leaf(), Leaf())), Split(2, Leaf(), Leaf()))
    step, payload = written(root, ENTRIES)
    made = machine(payload)
    shape = Shape.of(made, read_tree(made, made.goal, step, "it"))
    splits = np.flatnonzero(shape.splits >= 0)
    assert splits.tolist() == [0, 1, 3, 6]
    assert shape.half_above[splits].tolist() == [6, 3, 5, 8]


def test_slopes_of_one_neuron_as_differences():
    slopes = np.array([[[128]], [[0]], [[127]]], dtype=np.uint8)
    step, payload = tree([0, -1, 0, -1, -1], [("x", 0)], (), {"relu_0": [1]}, None, slopes)
    assert step == {
        "rule": "tree",
        "nodes": 5,
        "entries": [["x", 0]],
        "steps": [],
        "slopes": {"relu_0": [1]},
        "weighted": 0,
    }
    assert payload == bytes([0b101, 0, 0, 128, 128, 127])


def test_many_leaves():
    leaves = 100_000
    nodes = [0, -1] * (leaves - 1) + [-1]
    rng = np.random.default_rng(0)
    slopes = rng.integers(0, 129, (leaves, 1, 3), dtype=np.uint8)
    words = [[np.full(1 + k % 5, ONE, dtype=np.uint16)] for k in range(leaves)]
    step, payload = tree(nodes, [("y", 0)], (), {"relu_0": [0, 1, 2]}, words, slopes)
    assert step["nodes"] == 2 * leaves - 1
    assert len(payload) == -(-step["nodes"] // 8) + leaves - 1 + 2 * sum(1 + k % 5 for k in range(leaves)) + 3 * leaves
