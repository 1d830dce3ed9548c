"""Random small graphs, claims and proofs, by a seeded `random.Random`."""

import random
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from tlverify.certify import Claim, Inequality, box
from tlverify.certify.certificate import proof
from tlverify.certify.tree_writer import ONE
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .trees import Leaf, grown, written


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
"""Weights of shape (rows, columns) of each kind."""


def random_graph(rng: random.Random, family: str, every_op: bool = False, dtype: str = "") -> Graph:
    """One or two inputs, a few layers with reshapes, residual sums and shared values, one or two outputs.

    Layers are linear and relu; with `every_op` also other piecewise linear ones.
    """
    builder = GraphBuilder()
    dtype = dtype or rng.choice(["float32", "float64"])
    weights = FAMILIES[family]

    def size(x: str) -> int:
        return int(np.prod(builder.type_of(x).shape))

    def linear(x: str, out: int) -> str:
        *_, features = builder.type_of(x).shape
        weight = builder.parameter(weights(rng, out, features).astype(dtype))
        return builder.node("linear", x, weight, builder.parameter(weights(rng, 1, out)[0].astype(dtype)))

    def constant(x: str) -> str:
        return builder.parameter(weights(rng, 1, size(x)).reshape(builder.type_of(x).shape).astype(dtype))

    def activation(x: str) -> str:
        op = rng.choice(["abs", "leaky_relu", "clamp", "maximum", "minimum", "relu"]) if every_op else "relu"
        attributes = {"leaky_relu": {"slope": "1/8"}, "clamp": {"minimum": "-1/2", "maximum": "3/4"}}.get(op, {})
        others = [constant(x)] if op in ("maximum", "minimum") else []
        return builder.node(op, x, *others, **attributes)

    shape = rng.choice([(1,), (2,), (3,), (2, 2)])
    x = builder.input("x", Type(shape, dtype))
    seen = [x]
    if rng.random() < 0.5:
        other = builder.input("other", Type(shape, dtype))
        x = builder.node("add", x, other)
        seen += [other, x]
    for _ in range(rng.randrange(1, 4)):
        x = activation(linear(x, rng.randrange(1, 5)))
        if rng.random() < 0.3:
            x = builder.node("reshape", x, shape=rng.choice([(size(x),), (1, size(x)), (size(x), 1)]))
        same = [value for value in seen if builder.type_of(value) == builder.type_of(x)]
        if same and rng.random() < 0.7:
            x = builder.node("add", x, rng.choice(same))
        elif rng.random() < 0.3:
            x = builder.node("add", x, constant(x))
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
    """A linear form with integer coefficients over distinct entries of inputs and outputs."""
    names = [*graph.outputs, *graph.outputs, *(value.name for value in graph.inputs)]
    found = {}
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice(names)
        index = rng.randrange(int(np.prod(graph.types[name].shape)))
        found[name, index] = Fraction(rng.choice([1, -1, 2, -3]))
    return tuple((name, index, coefficient) for (name, index), coefficient in found.items())


def random_claim(rng: random.Random, graph: Graph, bound: Fraction, strict: bool = False) -> Claim:
    """A disjunction of one to three conjunctions of one or two inequalities, all with this bound."""
    bad = [
        [Inequality(random_terms(rng, graph), bound, strict) for _ in range(rng.randrange(1, 3))]
        for _ in range(rng.randrange(1, 4))
    ]
    return box(graph, random_box(rng, graph), bad)


class Prover:
    """Writes arbitrary proofs, of legal steps with arbitrary slopes and multipliers; they may or may not hold.

    `values` are the sizes of the kernel's values in order, `relus` those that take slopes, `balls` the norms of inputs
    that the claim keeps in a ball.
    """

    def __init__(
        self,
        rng: random.Random,
        values: dict[str, int],
        inputs: Sequence[str],
        relus: Sequence[str],
        kinds: Sequence[str] = ("split", "cases", "lemma", "tree", "close"),
        balls: Mapping[str, int] | None = None,
    ) -> None:
        self.rng = rng
        self.balls = balls or {}
        self.kinds = kinds
        self.values = values
        self.inputs = inputs
        self.relus = relus
        self.payload = bytearray()
        self.steps: list[dict[str, Any]] = []

    def write(self, claim: Claim, splits: int = 2) -> bytes:
        """A proof of the claim; multipliers of a disjunct of the claim add up to 1 (those of cuts come on top)."""
        self.goal([len(rows) for rows in claim.bad], 0, splits)
        return proof(claim.digest, self.steps, bytes(self.payload))

    def goal(self, disjuncts: list[int], cuts: int, splits: int, planes: int = 0) -> None:
        """Steps for a goal whose disjuncts have so many rows and then so many planes beside balls, and in which so many
        cuts hold."""
        rng = self.rng
        self.interval()
        for name in self.balls:
            if rng.random() < 0.5:
                self.ball(name)
                cuts, planes = cuts + 1, planes + 1
        for _ in range(rng.randrange(2)):
            self.bound(cuts)
        kind = rng.choice(self.kinds) if splits else "close"
        if kind == "split":
            name, index = self.entry()
            at = str(Fraction(rng.randrange(-9, 10), rng.choice([1, 3, 8])))
            self.steps.append({"rule": "split", "node": name, "index": index, "at": at})
            self.goal(disjuncts, cuts + 1, splits - 1, planes)
            self.goal(disjuncts, cuts + 1, splits - 1, planes)
        elif kind == "cases":
            self.steps.append({"rule": "cases"})
            for rows in disjuncts:
                self.goal([rows], cuts + rows + planes, splits - 1, planes)
        elif kind == "lemma":
            name, index = self.entry()
            at = str(Fraction(rng.choice([-1, 1]) * 10 ** rng.randrange(9)))
            side = rng.choice(["lower", "upper"])
            self.steps.append({"rule": "lemma", "node": name, "index": index, "side": side, "at": at})
            self.goal([1], cuts, rng.randrange(splits))
            self.goal(disjuncts, cuts, splits - 1, planes)
        elif kind == "tree":
            self.tree(disjuncts, rng.randrange(4), planes)
        else:
            chosen = self.cuts(cuts)
            self.steps.append(
                {
                    "rule": "close",
                    "multipliers": [self.multipliers(rows, planes + len(chosen)) for rows in disjuncts],
                    "slopes": self.slopes(len(disjuncts)),
                    "cuts": chosen,
                }
            )

    def interval(self) -> None:
        self.steps.append({"rule": "interval", "nodes": [name for name in self.values if name not in self.inputs]})

    def bound(self, cuts: int) -> None:
        rng = self.rng
        name = rng.choice([*self.values])
        if rng.random() < 0.3:
            self.steps.append({"rule": "rebound", "node": name})
            return self.interval()
        lower, upper = (
            sorted(rng.sample(range(self.values[name]), rng.randrange(self.values[name] + 1))) for _ in "ab"
        )
        rows, chosen = len(lower) + len(upper), self.cuts(cuts)
        self.steps.append(
            {
                "rule": "bound",
                "node": name,
                "lower": lower,
                "upper": upper,
                "slopes": self.slopes(rows),
                "cuts": chosen,
                "multipliers": [[self.weight() for _ in chosen] for _ in range(rows)] if chosen else [],
            }
        )
        return self.interval()

    def ball(self, name: str) -> None:
        """A plane beside a ball, in a direction that is long enough to matter and not too long."""
        norm, size = self.balls[name], self.values[name]
        direction = [Fraction(self.rng.randrange(-8, 9), 8) for _ in range(size)]
        while norm == 2 and sum(v * v for v in direction) > 1:
            direction = [v * Fraction(7, 8) for v in direction]
        self.steps.append({"rule": "ball", "input": name, "direction": [*map(str, direction)]})

    def tree(self, disjuncts: list[int], splits: int, planes: int = 0) -> None:
        """A tree of so many splits, with steps at its nodes, weights and slopes at its leaves."""
        rng = self.rng
        entries = [self.entry() for _ in range(3)]
        if rng.random() < 0.5 and self.relus:
            entries = [(name, rng.randrange(self.values[name])) for name in rng.choices(self.relus, k=3)]
        weighted, listing = rng.random() < 0.5, self.listing() if rng.random() < 0.5 else {}
        count = sum(map(len, listing.values()))

        def leaf(phases: int) -> Leaf:
            return Leaf(
                [[self.word(rows == 1 and not place) for place in range(rows + planes + phases)] for rows in disjuncts],
                [[self.slope() for _ in range(count)] for _ in disjuncts],
            )

        root = grown(rng, splits, entries, self.inputs, leaf)
        step, part = written(root, entries, self.node_steps(), listing, weighted)
        self.steps.append(step)
        self.payload += part

    def node_steps(self) -> list[dict[str, Any]]:
        """What every node of a tree does: often nothing, else forward steps, some values bound again."""
        interval = {"rule": "interval", "nodes": [name for name in self.values if name not in self.inputs]}
        if self.rng.random() < 0.5:
            return []
        again = self.rng.sample([*self.values], self.rng.randrange(min(3, len(self.values)) + 1))
        return [interval, *({"rule": "rebound", "node": name} for name in again if name not in self.inputs), interval]

    def entry(self) -> tuple[str, int]:
        name = self.rng.choice([*self.values])
        return name, self.rng.randrange(self.values[name])

    def cuts(self, count: int) -> list[int]:
        return [number for number in range(count) if self.rng.random() < 0.7]

    def weight(self) -> str:
        return self.rng.choice(["0", "1", "1/8", "5/16", "3"])

    def multipliers(self, rows: int, cuts: int) -> list[str]:
        share = Fraction(self.rng.randrange(9), 8)
        own = ["1"] if rows == 1 else [str(share), str(1 - share), *["0"] * (rows - 2)]
        return own + [self.weight() for _ in range(cuts)]

    def listing(self) -> dict[str, list[int]]:
        chosen = {}
        for name in sorted(self.relus):
            if self.rng.random() < 0.6:
                size = self.values[name]
                chosen[name] = sorted(self.rng.sample(range(size), self.rng.randrange(1, size + 1)))
        return chosen

    def slopes(self, rows: int) -> dict[str, list[int]]:
        chosen = self.listing()
        for _ in range(rows):
            self.take(chosen)
        return chosen

    def take(self, listing: dict[str, list[int]]) -> None:
        for _ in range(sum(map(len, listing.values()))):
            self.payload.append(self.slope())

    def slope(self) -> int:
        return self.rng.choice([0, 1, 64, 127, 128, self.rng.randrange(129)])

    def word(self, one: bool) -> int:
        """A multiplier of a tree in 16 bits."""
        mantissa, power = self.rng.choice([0, 1, 512, 1023]), self.rng.choice([30, 33, 42])
        return ONE if one else mantissa + (power << 10)
