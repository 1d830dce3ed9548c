"""Random trees about random graphs in the arithmetic `interval`, leaf by leaf: whatever a leaf is worked out beside,
all values at a point of its part are in its table, and the bound of no disjunct is above what a point attains.

Points are evaluated exactly; with a contract they are executed in float32, or take the worst that its rounding errors
allow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from tlverify.certify import Claim, Inequality, box, kernel
from tlverify.certify.certificate import proof
from tlverify.certify.claim import read_semantics
from tlverify.certify.kernel.arithmetic import Interval
from tlverify.certify.kernel.backward import Bounds
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.contract import representable
from tlverify.certify.kernel.program import Program, enclose_value
from tlverify.certify.kernel.proof import Goal, Machine, negated
from tlverify.certify.kernel.reader import parse_certificate, parse_steps
from tlverify.certify.kernel.tree import Tree, combination
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from . import random_jobs
from .examples import FAMILIES, Prover, random_graph, random_terms
from .trees import Leaf, Split, grown, preorder, written

BLOCKS, CHUNKS = (1, 2, 3, 7, 1024), (1, 2, 5, 1 << 16)  # nodes, and rows, worked on together
WIDTHS = (Fraction(0), Fraction(0), Fraction(1, 2**30), Fraction(1, 64), Fraction(1, 3), Fraction(2))
WINDOW = {"stride": (1, 1), "padding": (0,) * 4}
Ends = dict[str, list[tuple[Fraction, Fraction]]]
"""Of each entry of each value at a point: twice the same number, but where a coefficient is known to one unit."""


@dataclass(frozen=True)
class Grown:
    """A tree and the entries that it splits."""

    root: Split | Leaf
    entries: list[tuple[str, int]]
    weighted: bool


@dataclass(frozen=True)
class Part:
    """A leaf: the ends of the inputs in its part in units of the table, its phase splits, and what it brings."""

    box: dict[str, list[list[int]]]
    phases: list[tuple[int, bool]]
    leaf: Leaf


def images(rng: random.Random, dtype: str, real: bool) -> Graph:
    """A convolution, pooling whose means are not binary fractions, maxima over windows, sometimes a batch norm."""
    builder, weights = GraphBuilder(), FAMILIES[rng.choice(["normal", "eighths", "cancelling"])]

    def parameter(*shape: int) -> str:
        return builder.parameter(weights(rng, 1, int(np.prod(shape))).reshape(shape).astype(dtype))

    x = builder.input("x", Type((1, 3, 3), dtype))
    channels = rng.choice([1, 2])
    attributes = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    x = builder.node("conv2d", x, parameter(channels, 1, 2, 2), parameter(channels), **attributes)
    if real and rng.random() < 0.5:
        spread = builder.parameter(np.array([rng.randrange(1, 9) for _ in range(channels)], dtype=dtype))
        x = builder.node(
            "batch_norm",
            x,
            parameter(channels),
            spread,
            parameter(channels),
            parameter(channels),
            axis=0,
            epsilon="1/1024",
        )
    x = builder.node("relu", x)
    x = builder.node("avg_pool2d", x, kernel=(3, 2), count_include_pad=1, **WINDOW)
    if rng.random() < 0.5:
        x = builder.node("max_pool2d", x, kernel=(2, 2), dilation=(1, 1), **WINDOW)
    size = int(np.prod(builder.type_of(x).shape))
    x = builder.node("reshape", x, shape=(size,))
    return builder.build(builder.node("linear", x, parameter(2, size), parameter(2)))


def graph_of(rng: random.Random, real: bool) -> Graph:
    kind = rng.choice(["layers", "layers", "tangle", "images"])
    dtype = rng.choice(["float32", "float64"]) if real else "float32"
    if kind == "layers":
        return random_graph(rng, rng.choice([*FAMILIES]), rng.random() < 0.5, dtype)
    return random_jobs.random_graph(rng, dtype) if kind == "tangle" else images(rng, dtype, real)


@dataclass(frozen=True)
class Found:
    """Of a disjunct at a leaf: the goal of its tree, the node's number, the ends of each value's table, the bound."""

    goal: Goal
    disjunct: Any
    node: int
    table: dict[str, Any]
    bound: float


@contextmanager
def recorded(interval: SimpleNamespace, size: int) -> Iterator[list[Found]]:
    """What is found at leaves in a `with` block, in which so many nodes are worked on together."""
    module, found, last, goals = interval.tree, [], [], []
    refute, backward, prepare, usual = module.Refuter.refute, module.backward, module.read_tree, module.BLOCK

    def begun(machine: Any, goal: Any, *rest: Any) -> Any:
        goals.append(goal)
        return prepare(machine, goal, *rest)

    def bounded(*given: Any) -> Any:
        last[:] = [backward(*given)]
        return last[0]

    def seen(self: Any, machine: Any, reaches: Any, block: Any, at: Any, *rest: Any) -> None:
        refute(self, machine, reaches, block, at, *rest)
        lower, upper = block.boxes.lower, block.boxes.upper
        for row, bound in zip(at.tolist(), last[0].tolist(), strict=True):
            table = {n: (lower[n][row % len(lower[n])].tolist(), upper[n][row % len(upper[n])].tolist()) for n in lower}
            found.append(Found(goals[-1], self.disjunct, int(block.numbers[row]), table, bound))

    module.Refuter.refute, module.backward, module.read_tree, module.BLOCK = seen, bounded, begun, size
    try:
        yield found
    finally:
        module.Refuter.refute, module.backward, module.read_tree, module.BLOCK = refute, backward, prepare, usual


def parts(program: Program, tree: Grown, table: Bounds) -> list[Part]:
    """The leaves from the first to the last."""
    result = []

    def visit(here: Split | Leaf, box: dict[str, list[list[int]]], phases: list[tuple[int, bool]]) -> None:
        if isinstance(here, Leaf):
            result.append(Part(box, phases, here))
            return
        name, index = tree.entries[here.entry]
        for half, above in ((here.below, False), (here.above, True)):
            if name in program.inputs:
                own = {**box, name: [list(pair) for pair in box[name]]}
                own[name][index][not above] = sum(box[name][index]) // 2
                visit(half, own, phases)
            else:
                visit(half, box, [*phases, (here.entry, above)])

    whole = {
        name: [list(pair) for pair in zip(table[name].lower, table[name].upper, strict=True)] for name in program.inputs
    }
    visit(tree.root, whole, [])
    return result


def values(rng: random.Random, program: Program, box: dict[str, list[list[int]]], table: Bounds) -> Ends | None:
    """All values at some point of a box; None if it is empty or an execution overflows."""
    if any(a > b for pairs in box.values() for a, b in pairs):
        return None
    point = {
        name: [rng.choice([a, b, rng.randint(a, b), a + (b - a) * rng.randrange(9) // 8]) for a, b in pairs]
        for name, pairs in box.items()
    }
    if program.contract is None:
        found = Bounds({name: Interval(at, at, table[name].exponent) for name, at in point.items()})
        for value in program.values.values():
            if value.kind != "input":
                found[value.name] = enclose_value(value, found, shortened=False)
        return {
            name: [(a * unit, b * unit) for a, b in zip(ends.lower, ends.upper, strict=True)]
            for name, ends in found.items()
            for unit in [Fraction(2) ** ends.exponent]
        }
    given = {name: [v * Fraction(2) ** table[name].exponent for v in at] for name, at in point.items()}
    with suppress(kernel.Rejected):  # it overflows
        whole = all(representable(v) for numbers in given.values() for v in numbers)
        at = (random_jobs.executed if whole and rng.random() < 0.6 else random_jobs.perturbed)(program, given, rng)
        return {name: [(Fraction(v), Fraction(v)) for v in numbers] for name, numbers in at.items()}
    return None


def check(seed: int, interval: SimpleNamespace, semantics: str = "real", count: int = 3) -> int:
    """One proof with a tree, or one in each half of a split, or for each case. How many bounds were compared with what
    a point attains."""
    rng = random.Random(f"{seed} {semantics}")
    graph, told = graph_of(rng, semantics == "real"), read_semantics(semantics)
    program = kernel.read_program(*to_bytes(graph), None if told == "real" else kernel.read_contract(dict(told)))
    sizes = {name: value.size for name, value in program.values.items()}
    computed = [name for name in sizes if name not in program.inputs]
    region, width = {}, rng.choice([None, *WIDTHS])
    for name in program.inputs:
        low = [Fraction(rng.randrange(-16, 17), rng.choice([8, 8, 7])) for _ in range(sizes[name])]
        region[name] = low, [v + (rng.choice(WIDTHS) if width is None else width) for v in low]
    large = rng.choice([1, 1, Fraction(rng.getrandbits(60), 7**9)])
    bad = [
        [
            Inequality(
                tuple((n, i, c * large) for n, i, c in random_terms(rng, graph)), Fraction(rng.randrange(-99, 99), 8)
            )
            for _ in range(rng.randrange(1, 4))
        ]
        for _ in range(rng.randrange(1, 4))
    ]
    claim = box(graph, region, bad, semantics)
    steps: list[dict[str, Any]] = [{"rule": "interval", "nodes": computed}]
    steps += [{"rule": "rebound", "node": name} for name in computed if rng.random() < 0.2]
    rows = [[len(rows) for rows in bad]]
    if rng.random() < 0.3:
        name = rng.choice([*sizes])
        at = str(Fraction(rng.randrange(-9, 10), 8))
        steps.append({"rule": "split", "node": name, "index": rng.randrange(sizes[name]), "at": at})
        rows *= 2
    elif rng.random() < 0.2:
        steps.append({"rule": "cases"})
        rows = [[one] for one in rows[0]]
    trees, payload = [], b""
    for each in rows:
        tree, step, part = random_tree(rng, program, each)
        trees.append(tree)
        steps.append(step)
        payload += part
    found = run(rng, interval, program, claim, proof(claim.digest, steps, payload))
    goals = list({id(one.goal): one.goal for one in found}.values())
    assert len(goals) in (0, len(trees))  # none: refused, for it is beyond float64
    checked = 0
    for goal, tree in zip(goals, trees, strict=False):
        numbers = [number for number, entry in enumerate(preorder(tree.root)[0]) if entry < 0]
        mine = [one for one in found if one.goal is goal]
        assert sorted(one.node for one in mine) == sorted(numbers * len(goal.bad))
        leaves = dict(zip(numbers, parts(program, tree, goal.bounds), strict=True))
        known = {n: list(points(rng, program, goal, tree, part, count)) for n, part in leaves.items()}
        for one in mine:
            for at in known[one.node]:
                holds(at, one, tree, leaves[one.node], f"seed {seed}, node {one.node}")
                checked += 1
    return checked


def random_tree(rng: random.Random, program: Program, rows: list[int]) -> tuple[Grown, dict[str, Any], bytes]:
    """A tree for disjuncts of so many inequalities, with its step and its part of the payload."""
    sizes = {name: value.size for name, value in program.values.items()}
    relus = [name for name, value in program.values.items() if value.kind == "relu"]
    computed = [name for name in sizes if name not in program.inputs]
    chosen = rng.choice([[name for name in sizes if rng.random() < 0.5] or [*sizes], [*program.inputs]])
    entries = [(name, rng.randrange(sizes[name])) for name in rng.choices(chosen, k=rng.choice([1, 2, 5]))]
    prover = Prover(rng, sizes, program.inputs, relus)
    weighted, listing = rng.random() < 0.7, prover.listing() if rng.random() < 0.6 else {}
    slopes = sum(map(len, listing.values()))

    def leaf(phases: int) -> Leaf:
        words = [[prover.word(rng.random() < 0.3) for _ in range(count + phases)] for count in rows]
        return Leaf(words, [[prover.slope() for _ in range(slopes)] for _ in rows])

    steps = [{"rule": "interval", "nodes": computed}]
    steps += [*({"rule": "rebound", "node": name} for name in computed if rng.random() < 0.6), *steps]
    root = grown(rng, rng.choice([0, 2, 5, 12, 25]), entries, program.inputs, leaf)
    step, payload = written(root, entries, rng.choice([[], steps, steps]), listing, weighted)
    return Grown(root, entries, weighted), step, payload


def run(
    rng: random.Random, interval: SimpleNamespace, program: Program, claim: Claim, certificate: bytes
) -> list[Found]:
    """What is found at the leaves, whether it refutes them or not; nothing if it is beyond float64."""
    steps, payload = parse_steps(*parse_certificate(certificate))
    arithmetic = interval.interval()
    machine = Machine(program, read_claim(claim.data, program), payload, arithmetic.rules, arithmetic.engine)
    network, _, _ = arithmetic.engine.prepare(program, machine.goal.bounds)
    network.chunk = rng.choice(CHUNKS)
    machine.margin = 0, 0
    machine.refute = lambda *given: None
    try:
        with recorded(interval, rng.choice(BLOCKS)) as found:
            machine.run(steps)
    except kernel.Rejected as rejection:
        if "float" in str(rejection):
            return []
        raise
    return found


def points(rng: random.Random, program: Program, goal: Goal, tree: Grown, part: Part, count: int) -> Iterator[Ends]:
    """Of so many points of the inputs' part, the values of those that lie in the leaf's part for certain."""
    for _ in range(count):
        at = values(rng, program, part.box, goal.bounds)
        turns = [(*tree.entries[k], above) for k, above in part.phases]
        if (
            at is not None
            and all(at[n][i][0] >= 0 if above else at[n][i][1] <= 0 for n, i, above in turns)
            and all(sum(min(c * v for v in at[n][i]) for n, i, c in cut.terms) >= cut.bound for cut in goal.cuts)
        ):
            yield at


def holds(at: Ends, found: Found, tree: Grown, part: Part, where: str) -> None:
    """The values are in the table, and the bound is not above that of the combination there."""
    for name, ends in at.items():
        for low, (least, most), high in zip(found.table[name][0], ends, found.table[name][1], strict=True):
            assert Fraction(low) <= most, f"{where}, {name}"
            assert least <= Fraction(high), f"{where}, {name}"
    number = [id(rows) for rows in found.goal.bad].index(id(found.disjunct))
    words = part.leaf.words[number] if tree.weighted else None
    read = Tree(tree.entries, (), (), (), tree.weighted)
    job = negated(combination(read, found.disjunct, part.phases, words), {})
    unit, total = Fraction(2) ** job.exponent, job.constant[0] * Fraction(2) ** job.constant[1]
    for name, row in job.rows.items():
        total += sum((max(c * unit * end for end in at[name][index]) for index, c in row.items()), Fraction(0))
    assert Fraction(found.bound) <= total, where
