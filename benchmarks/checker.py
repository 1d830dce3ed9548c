"""Leaves checked per second by each arithmetic, and the ratio to plain float64 in the same process.

    PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python benchmarks/checker.py

Networks have random weights (He initialisation, seeded); the claim is one linear inequality; the proof is a tree of
phase splits with random multipliers and a slope for every unstable neuron, so leaves share nothing but the root.
Times are seconds of the processor.
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction
from itertools import pairwise

import numpy as np

from tlverify.certify import certificate, claim, kernel
from tlverify.certify.fast import fast
from tlverify.certify.kernel.arithmetic import enclose
from tlverify.certify.kernel.backward import Bounds
from tlverify.certify.kernel.program import enclose_value
from tlverify.certify.search.bounds import Table, backward, prepare, relaxation, root_table
from tlverify.certify.tree_writer import ONE, tree
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

NETWORKS = {"5-50x6-5": ((5, *[50] * 6, 5), 0.05), "784-256x6-10": ((784, *[256] * 6, 10), 0.004)}


def network(sizes: tuple[int, ...], rng: np.random.Generator) -> Graph:
    builder = GraphBuilder()
    value = builder.input("x", Type((sizes[0],), "float32"))
    for layer, (m, n) in enumerate(pairwise(sizes)):
        weight = builder.parameter((rng.standard_normal((n, m)) * np.sqrt(2 / m)).astype("float32"), f"{layer}.weight")
        bias = builder.parameter((rng.standard_normal(n) * 0.1).astype("float32"), f"{layer}.bias")
        value = builder.node("linear", value, weight, bias)
        if layer < len(sizes) - 2:
            value = builder.node("relu", value)
    return builder.build(value)


def balanced(leaves: int, order: list[int], level: int = 0) -> list[int]:
    """The nodes in preorder of a tree with so many leaves, which splits order[k] at level k."""
    if leaves == 1:
        return [-1]
    below = (leaves + 1) // 2
    parts = (balanced(part, order, level + 1) for part in (below, leaves - below))
    return [order[level % len(order)], *(node for part in parts for node in part)]


def depths(nodes: list[int]) -> list[int]:
    """The number of splits above each leaf."""
    pending, result = [0], []
    for node in nodes:
        depth = pending.pop()
        if node < 0:
            result.append(depth)
        else:
            pending += [depth + 1, depth + 1]
    return result


def proof(
    graph: Graph, statement: claim.Claim, leaves: int, rng: np.random.Generator
) -> tuple[bytes, Table, dict[str, np.ndarray]]:
    """A tree with this many leaves; also the search's root bounds and slopes, for the plain computation."""
    searched = prepare(graph)
    ends = [{"x": np.array([[float(v) for v in side["x"]]])} for side in (statement.lower, statement.upper)]
    table = root_table(searched, *ends)
    program = kernel.read_program(*to_bytes(graph))
    bounds = Bounds({"x": enclose(statement.lower["x"], statement.upper["x"])})
    for value in program.values.values():
        if value.kind != "input":
            bounds[value.name] = enclose_value(value, bounds)
    unstable = {
        v.name: [n.number for n in bounds[v.source].phases.unstable]
        for v in program.values.values()
        if v.kind == "relu"
    }
    entries = [(program.values[name].source, i) for name, neurons in unstable.items() for i in neurons]
    order = rng.permutation(len(entries))  # one neuron a level, so that no path splits one twice
    nodes = balanced(leaves, order.tolist())
    listing = {name: neurons for name, neurons in sorted(unstable.items()) if neurons}
    count = sum(map(len, listing.values()))
    words = [[np.concatenate([[ONE], rng.integers(30 << 10, 34 << 10, depth)])] for depth in depths(nodes)]
    step, payload = tree(nodes, entries, (), listing, words, rng.integers(0, 129, (leaves, 1, count), dtype=np.uint8))
    names = [node.name for node in graph.nodes]
    steps = [{"rule": "interval", "nodes": names}, step]
    slopes = {v.name: rng.random((1, 1, searched.sizes[v.name])) for v in searched.piecewise}
    return certificate.proof(statement.digest, steps, payload), table, slopes


def plain(graph: Graph, table: Table, slopes: dict[str, np.ndarray], leaves: int, batch: int = 128) -> float:
    """Processor seconds for as many final bounds in plain float64, `batch` rows at a time with slopes of their own."""
    searched = prepare(graph)
    out = graph.outputs[0]
    start = {out: np.zeros((1, batch, searched.sizes[out]))}
    start[out][:, :, 0] = -1.0
    own = {name: np.repeat(value, batch, 1) for name, value in slopes.items()}
    for node in searched.piecewise:
        relaxation(table, node)
    begin = time.process_time()
    for _ in range(-(-leaves // batch)):
        backward(searched, table, start, np.zeros((1, batch)), own)
    return time.process_time() - begin


def statement_of(title: str) -> tuple[Graph, claim.Claim]:
    """A network and the claim about it: an output stays below 10^6 around a point."""
    sizes, epsilon = NETWORKS[title]
    rng = np.random.default_rng(0)
    graph = network(sizes, rng)
    center = rng.random(sizes[0]).astype("float32")
    low, high = center - np.float32(epsilon), center + np.float32(epsilon)
    bad = [[claim.Inequality(((f"linear_{len(sizes) - 2}", 0, Fraction(1)),), Fraction(10**6))]]
    return graph, claim.box(graph, {"x": (low.tolist(), high.tolist())}, bad)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=8192)
    parser.add_argument("--exact-leaves", type=int, default=256)
    arguments = parser.parse_args()
    print(
        f"{'network':>14} {'arithmetic':>11} {'leaves':>7} {'leaves/s':>9} {'us/leaf':>8} {'to float64':>10} "
        f"{'bytes/leaf':>10}"
    )
    for title in NETWORKS:
        graph, statement = statement_of(title)
        program = kernel.read_program(*to_bytes(graph))
        for name, engine in {"exact": kernel.EXACT, "fast": fast(), "fast+verify": fast(verify_products=True)}.items():
            leaves = arguments.exact_leaves if name == "exact" else arguments.leaves
            data, table, slopes = proof(graph, statement, leaves, np.random.default_rng(1))
            small = proof(graph, statement, 2, np.random.default_rng(1))[0]
            kernel.check_with(program, statement.data, small, engine)  # what is done once, and the root
            begin = time.process_time()
            kernel.check_with(program, statement.data, small, engine)
            root = time.process_time() - begin
            begin = time.process_time()
            kernel.check_with(program, statement.data, data, engine)
            seconds = time.process_time() - begin - root
            ratio = seconds / leaves / (plain(graph, table, slopes, arguments.leaves) / arguments.leaves)
            print(
                f"{title:>14} {name:>11} {leaves:>7} {leaves / seconds:>9.0f} {seconds / leaves * 1e6:>8.1f} "
                f"{ratio:>10.2f} {len(data) / leaves:>10.1f}"
            )


if __name__ == "__main__":
    main()
