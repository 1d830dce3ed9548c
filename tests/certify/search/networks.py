"""Networks for the tests of the phase search: wider than those of `examples`, so that they need branch and bound."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np

from tlverify.certify import Claim, Inequality, box, kernel
from tlverify.certify.search.bounding import Table, crown
from tlverify.certify.search.emit import Steps
from tlverify.certify.search.goals import Region, region_of
from tlverify.certify.search.ground import Ground
from tlverify.certify.search.layers import Layers, forward, layers_of
from tlverify.certify.search.phases import folded
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes


@dataclass(frozen=True)
class Setup:
    """A network, the claim that its first output stays below `bound`, and what the search makes of them."""

    graph: Graph
    claim: Claim
    program: kernel.Program
    layers: Layers
    region: Region
    table: Table
    ground: Ground

    @property
    def folding(self):
        return folded(self.ground, self.layers, self.region.box, self.table)

    def points(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """t in [-1, 1]: half of them corners."""
        t = rng.uniform(-1, 1, (count, self.layers.inputs))
        t[::2] = np.sign(t[::2])
        return t

    def inner(self, t: np.ndarray) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
        return forward(self.layers, self.region.box.center + self.region.box.radius * t)


def residual(rng: np.random.Generator, inputs: int, width: int, depth: int, outputs: int) -> Graph:
    """Layers of relu, |x| and residual sums."""
    builder = GraphBuilder()

    def linear(x: str, features: int, out: int) -> str:
        weight = builder.parameter((rng.normal(size=(out, features)) / np.sqrt(features) * 1.4).astype("float32"))
        return builder.node("linear", x, weight, builder.parameter(rng.normal(size=out).astype("float32") / 4))

    x = builder.input("x", Type((inputs,), "float32"))
    x = builder.node("relu", linear(x, inputs, width))
    for k in range(depth - 1):
        y = builder.node("abs" if k % 3 == 2 else "relu", linear(x, width, width))
        x = builder.node("add", x, y) if k % 2 else y
    return builder.build(linear(x, width, outputs))


@cache
def setup(
    seed: int, inputs: int = 12, width: int = 14, depth: int = 3, radius: str = "1/3", above: float = 0.3
) -> Setup:
    """The bound is `above` the largest output seen at random points."""
    rng = np.random.default_rng(seed)
    graph = residual(rng, inputs, width, depth, 3)
    (output,) = graph.outputs
    center = [Fraction(int(v), 16) for v in rng.integers(-16, 17, inputs)]
    size = Fraction(radius)
    ranges = {"x": ([c - size for c in center], [c + size for c in center])}
    program = kernel.read_program(*to_bytes(graph))
    layers = layers_of(program)

    def claim(bounds: list[float]) -> Claim:
        rows = [[Inequality(((output, k, Fraction(1)),), Fraction(v))] for k, v in enumerate(bounds)]
        return box(graph, ranges, rows)

    region = region_of(layers, claim([0.0]))
    t = rng.uniform(-1, 1, (400, inputs))
    values = forward(layers, region.box.center + region.box.radius * np.sign(t))[1][output]
    made = claim([float(np.float32(v + above)) for v in values.max(0)])
    ground = Ground(program, made)
    table = crown(ground, layers, Steps())
    return Setup(graph, made, program, layers, region, table, ground)
