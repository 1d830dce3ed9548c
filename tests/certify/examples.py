"""Random small graphs, claims and proofs, by a seeded `random.Random`."""

import random
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from tlverify.certify import Claim, Inequality, box
from tlverify.certify.certificate import proof
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes


class Files(NamedTuple):
    """The bytes of the four files, in the order that the kernel's `check` takes them."""

    graph: bytes
    parameters: bytes
    claim: bytes
    certificate: bytes


def files(graph: Graph, claim: Claim, certificate: bytes) -> Files:
    return Files(*to_bytes(graph), claim.data, certificate)


def _cancelling(rng: random.Random, rows: int, columns: int) -> np.ndarray:
    column = np.array([[rng.uniform(-1, 1)] for _ in range(rows)]) * 2.0**20
    sign = np.where(np.arange(columns) % 2, -1.0, 1.0)
    return column * sign + np.array([[rng.uniform(-1, 1) for _ in range(columns)] for _ in range(rows)])


def _each(draw: Callable[[random.Random], float]) -> Callable[[random.Random, int, int], np.ndarray]:
    return lambda rng, rows, columns: np.array([[draw(rng) for _ in range(columns)] for _ in range(rows)])


FAMILIES: dict[str, Callable[[random.Random, int, int], np.ndarray]] = {
    "normal": _each(lambda rng: rng.gauss(0, 1)),
    "eighths": _each(lambda rng: rng.randrange(-8, 9) / 8),
    "ill_scaled": _each(lambda rng: rng.gauss(0, 1) * 2.0 ** rng.randrange(-60, 40)),
    "denormal": _each(lambda rng: rng.randrange(-9, 10) * 2.0**-149),
    "cancelling": _cancelling,
    "duplicate": lambda rng, rows, columns: np.tile([[rng.gauss(0, 1) for _ in range(columns)]], (rows, 1)),
}
"""Weights of shape (rows, columns) of each kind; all are exact in float32 after rounding, or in float64."""


def random_graph(rng: random.Random, family: str) -> Graph:
    """One or two inputs, a few layers with reshapes, residual sums and shared values, one or two outputs."""
    builder = GraphBuilder()
    dtype = rng.choice(["float32", "float64"])
    weights = FAMILIES[family]

    def linear(x: str, out: int) -> str:
        *_, features = builder.type_of(x).shape
        weight = builder.parameter(weights(rng, out, features).astype(dtype))
        return builder.node("linear", x, weight, builder.parameter(weights(rng, 1, out)[0].astype(dtype)))

    shape = rng.choice([(1,), (2,), (3,), (2, 2)])
    x = builder.input("x", Type(shape, dtype))
    seen = [x]
    if rng.random() < 0.5:
        other = builder.input("other", Type(shape, dtype))
        x = builder.node("add", x, other)
        seen += [other, x]
    for _ in range(rng.randrange(1, 4)):
        x = builder.node("relu", linear(x, rng.randrange(1, 5)))
        size = int(np.prod(builder.type_of(x).shape))
        if rng.random() < 0.3:
            x = builder.node("reshape", x, shape=rng.choice([(size,), (1, size), (size, 1)]))
        same = [value for value in seen if builder.type_of(value) == builder.type_of(x)]
        if same and rng.random() < 0.7:
            x = builder.node("add", x, rng.choice(same))
        elif rng.random() < 0.3:
            x = builder.node(
                "add", x, builder.parameter(weights(rng, 1, size).reshape(builder.type_of(x).shape).astype(dtype))
            )
        seen.append(x)
    outputs = [linear(x, rng.randrange(1, 4))]
    if rng.random() < 0.3:
        outputs.append(rng.choice(seen))
    return builder.build(*outputs)


def random_box(
    rng: random.Random,
    graph: Graph,
    widths: tuple[Fraction, ...] = (Fraction(0), Fraction(1, 100), Fraction(1, 3), Fraction(2)),
    steps: tuple[int, ...] = (7, 8),
) -> dict[str, tuple[list[Fraction], list[Fraction]]]:
    """Ranges of the inputs: lower ends are multiples of one over a step; points, narrow and wide by default."""
    ranges = {}
    for value in graph.inputs:
        size = int(np.prod(value.shape))
        lower = [Fraction(rng.randrange(-14, 15), rng.choice(steps)) for _ in range(size)]
        ranges[value.name] = lower, [low + rng.choice(widths) for low in lower]
    return ranges


def random_terms(rng: random.Random, graph: Graph) -> tuple[tuple[str, int, Fraction], ...]:
    """A linear form over distinct entries of inputs and outputs."""
    names = [*graph.outputs, *graph.outputs, *(value.name for value in graph.inputs)]
    found = {}
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice(names)
        index = rng.randrange(int(np.prod(graph.types[name].shape)))
        found[name, index] = Fraction(rng.choice([1, -1, 2, -3]), rng.choice([1, 1, 2, 7]))
    return tuple((name, index, coefficient) for (name, index), coefficient in found.items())


def random_claim(rng: random.Random, graph: Graph, bound: Fraction, strict: bool = False) -> Claim:
    """A disjunction of one to three conjunctions of one or two inequalities, all with this bound."""
    bad = [
        [Inequality(random_terms(rng, graph), bound, strict) for _ in range(rng.randrange(1, 3))]
        for _ in range(rng.randrange(1, 4))
    ]
    return box(graph, random_box(rng, graph), bad)


def random_proof(rng: random.Random, graph: Graph, claim: Claim) -> tuple[bytes, list[list[Fraction]]]:
    """Arbitrary legal steps with arbitrary slopes, and the multipliers of the last; those of a disjunct add up to 1."""
    nodes = [node.name for node in graph.nodes]
    steps: list[dict] = [{"rule": "interval", "nodes": nodes}]
    slopes = bytearray()

    def listing(rows: int) -> dict[str, list[int]]:
        chosen = {}
        for node in sorted(graph.nodes, key=lambda node: node.name):
            size = int(np.prod(node.shape))
            if node.op == "relu" and rng.random() < 0.6:
                chosen[node.name] = sorted(rng.sample(range(size), rng.randrange(1, size + 1)))
        for _ in range(rows * sum(map(len, chosen.values()))):
            slopes.append(rng.choice([0, 1, 64, 127, 128, rng.randrange(129)]))
        return chosen

    for _ in range(rng.randrange(3)):
        name = rng.choice([*nodes, *(value.name for value in graph.inputs)])
        size = int(np.prod(graph.types[name].shape))
        lower, upper = (sorted(rng.sample(range(size), rng.randrange(size + 1))) for _ in range(2))
        given = listing(len(lower) + len(upper))
        steps.append({"rule": "bound", "node": name, "lower": lower, "upper": upper, "slopes": given})
        steps.append({"rule": "interval", "nodes": nodes})
    share = Fraction(rng.randrange(9), 8)
    weights = [[Fraction(1)] if len(rows) == 1 else [share, 1 - share] for rows in claim.bad]
    multipliers = [[str(weight) for weight in row] for row in weights]
    steps.append({"rule": "close", "multipliers": multipliers, "slopes": listing(len(claim.bad))})
    return proof(claim.digest, steps, bytes(slopes)), weights
