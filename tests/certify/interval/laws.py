"""What the arithmetic `interval` must do. A law takes its modules, the real ones or a wrong copy."""

from __future__ import annotations

import importlib
import random
from fractions import Fraction
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np

from tlverify.certify import Claim, Inequality, box, kernel
from tlverify.certify.certificate import proof
from tlverify.certify.kernel.arithmetic import Interval
from tlverify.certify.kernel.backward import Bounds
from tlverify.certify.kernel.claim import read_claim
from tlverify.certify.kernel.program import Program, enclose_value, error_of
from tlverify.certify.tree_writer import ONE
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from ..examples import FAMILIES, files, random_box, random_graph, random_terms
from ..kernel import laws as exact_laws
from ..kernel import laws_float32
from ..trees import Leaf, Split, Turns, full, preorder, written

Values = dict[str, list[Fraction]]


def load(package: str = "tlverify.certify.interval") -> SimpleNamespace:
    """The modules of the arithmetic, and `checker`: a kernel in the sense of the kernel's laws that checks with it."""
    whole = importlib.import_module(package)
    parts = {part: importlib.import_module(f"{package}.{part}") for part in ("engine", "tree")}
    return SimpleNamespace(interval=whole.interval, checker=checker(whole.interval()), **parts)


def checker(arithmetic: kernel.Arithmetic) -> SimpleNamespace:
    """The kernel with another arithmetic in place of its own."""

    def check(graph: bytes, parameters: bytes, claim: bytes, certificate: bytes) -> kernel.Accepted:
        return kernel.check_with(kernel.read_program(graph, parameters), claim, certificate, arithmetic)

    found = exact_laws.load()
    found.api = SimpleNamespace(check=check, read_program=kernel.read_program, Rejected=kernel.Rejected)
    return found


def evaluated(program: Program, point: dict[str, Interval]) -> Values:
    """Every value at a point, exactly."""
    found = Bounds(point)
    for value in program.values.values():
        if value.kind != "input":
            found[value.name] = enclose_value(value, found, shortened=False)
    for name, ends in found.items():
        assert ends.lower == ends.upper, name
    return {name: [Fraction(v) * Fraction(2) ** ends.exponent for v in ends.lower] for name, ends in found.items()}


def regions(program: Program, rng: random.Random, bounds: Bounds, count: int) -> list[dict[str, Interval]]:
    """Boxes within the bounds of the inputs: parts of them, and points."""
    result = []
    for number in range(count):
        part = {}
        for name in program.inputs:
            ends = bounds[name]
            pairs = [sorted(rng.randint(a, b) for _ in "ab") for a, b in zip(ends.lower, ends.upper, strict=True)]
            if number % 3 == 0:
                pairs = [[low, low] for low, _ in pairs]
            part[name] = Interval([low for low, _ in pairs], [high for _, high in pairs], ends.exponent)
        result.append(part)
    return result


def points(rng: random.Random, region: dict[str, Interval], count: int) -> list[dict[str, Interval]]:
    """Corners and other points of a box."""
    result = []
    for number in range(count):
        point = {}
        for name, ends in region.items():
            pairs = list(zip(ends.lower, ends.upper, strict=True))
            at = [rng.choice(pair) if number % 2 else rng.randint(*pair) for pair in pairs]
            point[name] = Interval(at, at, ends.exponent)
        result.append(point)
    return result


def tables_and_bounds_hold(interval: SimpleNamespace, families: Any = tuple(FAMILIES), seeds: Any = range(20)) -> None:
    """In regions of their own, forward bounds, rebounds and backward bounds are on the safe side of exact values."""
    engine, checked = interval.engine, 0
    for family in families:
        for seed in seeds:
            rng = random.Random(f"{family} {seed}")
            graph = random_graph(rng, family)
            program = kernel.read_program(*to_bytes(graph))
            sides = random_box(rng, graph, steps=(8,))
            bounds = Bounds({name: kernel.arithmetic.enclose(*sides[name]) for name in program.inputs})
            for value in program.values.values():
                if value.kind != "input":
                    bounds[value.name] = enclose_value(value, bounds)
            try:
                network, root = engine.Network(program), engine.Boxes.of(bounds)
                reaches = engine.reach_of(network, root)
            except kernel.Rejected:
                continue  # more range than float64 has: refused
            parts = regions(program, rng, bounds, 6)
            at = np.arange(len(parts))
            shared = [name for name in program.values if name not in program.inputs and rng.random() < 0.3]
            tables = [root.with_own(name for name in program.values if name not in shared) for _ in parts]
            for table, part in zip(tables, parts, strict=True):
                for name, ends in part.items():
                    table.lower[name] = engine.as_floats(ends.lower, ends.exponent, name)[None]
                    table.upper[name] = engine.as_floats(ends.upper, ends.exponent, name)[None]
            boxes = engine.Boxes.stacked(tables)
            own = [name for name in program.values if name in boxes.own and name not in program.inputs]
            values = [[evaluated(program, point) for point in points(rng, part, 6)] for part in parts]
            try:
                for name in own if rng.random() < 0.5 else []:
                    engine.interval_step(network, boxes, name)
                for name in own:
                    engine.rebound(network, reaches, boxes, name)
                    _contains(boxes, values)
                for name in own:
                    engine.interval_step(network, boxes, name)
                _contains(boxes, values)
                names = [rng.choice([*program.values]) for _ in range(2)]
                rows = {
                    name: np.array(
                        [[rng.choice([0.0, 1.0, -1.0, rng.gauss(0, 1)]) for _ in values[0][0][name]] for _ in at]
                    )
                    for name in names
                }
                constant = np.array([rng.gauss(0, 1) for _ in at])
                slopes = {
                    value.name: np.array([[rng.choice([np.nan, 0.0, 0.5, 1.0]) for _ in range(value.size)] for _ in at])
                    for value in program.values.values()
                    if value.kind == "relu"
                }
                found = engine.backward(network, reaches, boxes, at, rows, constant, slopes)
            except kernel.Rejected:
                continue
            for r, seen in enumerate(values):
                for known in seen:
                    terms = (zip(rows[name][r].tolist(), known[name], strict=True) for name in rows)
                    true = Fraction(constant[r]) + sum(Fraction(c) * v for pairs in terms for c, v in pairs)
                    assert Fraction(float(found[r])) <= true, (family, seed, r)
                    checked += 1
    assert checked > 100 * len(families) * len(seeds) // 10


def _contains(boxes: Any, values: list[list[Values]]) -> None:
    """Every value at the points of region r lies between its ends."""
    for name in boxes.lower:
        low, high = boxes.lower[name], boxes.upper[name]
        for r, seen in enumerate(values):
            ends = low[r % len(low)].tolist(), high[r % len(high)].tolist()
            for known in seen:
                for a, v, b in zip(ends[0], known[name], ends[1], strict=True):
                    assert Fraction(a) <= v <= Fraction(b), (name, r)


def combinations_are_charged(interval: SimpleNamespace, seeds: Any = range(150)) -> None:
    """At a point, the margin of a tree is no more than the exact combination of its inequalities and cuts there."""
    checked = 0
    for seed in seeds:
        rng = random.Random(seed)
        graph = random_graph(rng, rng.choice(["normal", "eighths", "cancelling"]))
        program = kernel.read_program(*to_bytes(graph))
        sides = random_box(rng, graph, widths=(Fraction(0),), steps=(8,))
        point = {name: kernel.arithmetic.enclose(*sides[name]) for name in program.inputs}
        values = evaluated(program, point)
        conjuncts = rng.randrange(1, 7)
        rows = [
            Inequality(
                tuple((n, i, c * Fraction(rng.getrandbits(60), 7**9)) for n, i, c in random_terms(rng, graph)),
                Fraction(rng.getrandbits(60) + (1 << 59), rng.choice([1, 3, 1 << 40])),
                False,
            )
            for _ in range(conjuncts)
        ]
        claim = box(graph, sides, [rows])
        entries = [(n, rng.randrange(program.values[n].size)) for n in rng.choices([*program.values], k=4)]
        entries = [pair for pair in entries if pair[0] not in program.inputs]
        splits = min(len(entries), rng.randrange(4))
        words: dict[tuple[tuple[int, bool], ...], list[int]] = {}

        def leaf(turns: Any, rng=rng, words=words, conjuncts=conjuncts) -> Leaf:
            own = [rng.choice([0, rng.randrange(25 << 10, 37 << 10)]) for _ in range(conjuncts + len(turns))]
            words[turns] = [rng.randrange(512, 1024) + (36 << 10), *own[1:]]
            return Leaf([words[turns]])

        root: Split | Leaf = full(range(splits), leaf)
        step, payload = written(root, entries, (), weighted=True)
        names = [name for name in program.values if name not in program.inputs]
        steps = [{"rule": "interval", "nodes": names}, step]
        try:
            made = files(graph, claim, proof(claim.digest, steps, payload))
            margin = interval.checker.api.check(*made).margin
        except kernel.Rejected:
            continue
        turns = tuple((k, values[entries[k][0]][entries[k][1]] >= 0) for k in range(splits))
        total = Fraction(0)
        weights = [Fraction(w & 1023) * Fraction(2) ** ((w >> 10) - 42) for w in words[turns]]
        for weight, row in zip(weights, read_claim(claim.data, program).bad[0], strict=False):
            terms, bound, exponent = row.integral
            total -= weight * Fraction(2) ** exponent * (sum(c * values[n][i] for n, i, c in terms) - bound)
        for weight, (k, above) in zip(weights[conjuncts:], turns, strict=True):
            name, index = entries[k]
            total -= weight * (values[name][index] if above else -values[name][index])
        assert margin <= total, seed
        checked += 1
    assert checked > len(seeds) // 3, checked


def cancelling_combinations_are_charged(interval: SimpleNamespace, seeds: Any = range(60)) -> None:
    """As before, for inequalities on inputs whose coefficients, or bounds, cancel to a 2^-30 of them and less; at a
    point, and where inputs reach from 0 to it."""
    checked = 0
    graph = exact_laws.affine([[1, 1, 1]], [0])
    for seed in seeds:
        rng = random.Random(seed)
        point = [Fraction(rng.getrandbits(40) - (1 << 39), 1 << 38) for _ in range(3)]
        small, large = Fraction(1, 1 << 30), Fraction(rng.getrandbits(53))
        coefficients = [Fraction(rng.getrandbits(53)) * (1 if seed % 2 else small) for _ in range(3)]
        bounds = [large * (small if seed % 2 else 1), -large * (0 if seed % 2 else 1 - small)]
        rows = [
            Inequality(tuple(("x", i, sign * c * (1 + sign * small / 7)) for i, c in enumerate(coefficients)), bound)
            for sign, bound in zip((1, -1), bounds, strict=True)
        ]
        wide = seed % 4 > 1
        ends = [(min(p, Fraction(0)), max(p, Fraction(0))) if wide else (p, p) for p in point]
        claim = box(graph, {"x": ([low for low, _ in ends], [high for _, high in ends])}, [rows])
        words = [rng.randrange(512, 1024) + (33 << 10)] * 2
        step, payload = written(Leaf([words]), [], weighted=True)
        weight = Fraction(words[0] & 1023, 512)
        try:
            made = files(graph, claim, proof(claim.digest, exact_laws.machine_steps(step, graph=graph), payload))
            margin = interval.checker.api.check(*made).margin
        except kernel.Rejected:
            continue
        program = kernel.read_program(*to_bytes(graph))
        total, sums = Fraction(0), [Fraction(0)] * 3
        for row in read_claim(claim.data, program).bad[0]:
            terms, bound, exponent = row.integral
            total += weight * Fraction(2) ** exponent * bound
            for _, i, c in terms:
                sums[i] -= weight * Fraction(2) ** exponent * c
        assert margin <= total + sum(min(c * low, c * high) for c, (low, high) in zip(sums, ends, strict=True)), seed
        checked += 1
    assert checked > len(seeds) // 5, checked


def far_is_as_far_as_any_region(interval: SimpleNamespace) -> None:
    """What rounding is charged by: no end of any region is farther from 0."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        low = rng.standard_normal((3, 5))
        high = low + rng.uniform(size=(3, 5))
        far = interval.engine.Boxes({"v": low}, {"v": high}, {"v"}).far("v")
        assert (far >= abs(low)).all(), seed
        assert (far >= abs(high)).all(), seed


def sums_over_inputs_are_charged(interval: SimpleNamespace) -> None:
    """Sums of products that cancel, over a point: no bound is above the exact sum."""
    engine, size = interval.engine, 24
    program = kernel.read_program(*to_bytes(exact_laws.affine([[1] * size], [0])))
    network = engine.Network(program)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        point, row = rng.standard_normal(size), rng.standard_normal(size)
        row[1::2], point[1::2] = -row[::2] * (1 + 2.0**-30), point[::2]
        row, point = row * 2.0 ** (20 * (seed % 3)), point * 2.0 ** (30 * (seed % 2))
        boxes = engine.Boxes({"x": point[None]}, {"x": point[None]}, frozenset("x"))
        at = np.zeros(1, dtype=np.intp)
        found = engine.backward(network, {}, boxes, at, {"x": row[None]}, np.zeros(1), {})
        true = sum((Fraction(a) * Fraction(b) for a, b in zip(row.tolist(), point.tolist(), strict=True)), Fraction(0))
        assert Fraction(float(found[0])) <= true, seed


def relaxations_hold(interval: SimpleNamespace) -> None:
    """A row on a ReLU is below by its row on the input, its constant and its charge, at the ends and at 0 and between,
    for ends and coefficients of any size; and the constant's own rounding is charged for."""
    engine = interval.engine
    for seed in range(300):
        rng = random.Random(seed)
        n, power, own = rng.choice([1, 2, 5]), rng.choice([-1060, -400, 0, 60]), rng.choice([-1060, -700, 0, 90])
        low = np.array([[rng.choice([-1, -rng.random(), 0, rng.random()]) for _ in range(n)]]) * 2.0**power
        high = np.maximum(low, np.array([[rng.choice([1, rng.random(), 0, -1]) for _ in range(n)]]) * 2.0**power)
        row = np.array([[rng.choice([rng.gauss(0, 1), -1, 1, 0]) for _ in range(n)]]) * 2.0**own
        slopes = np.array([[rng.choice([np.nan, 0, 1, rng.randrange(129) / 128]) for _ in range(n)]])
        boxes = engine.Boxes({"z": low}, {"z": high}, frozenset("z"))
        alive, at = boxes.relaxed("z").alive, np.zeros(1, dtype=np.intp)
        result, gained, lost = engine._relu(boxes, "z", at, row[:, alive], rng.choice([None, slopes]))
        fixed = Fraction(float(gained[0])) - Fraction(float(lost[0]))
        given, found = ([Fraction(v) for v in part[0].tolist()] for part in (row[:, alive], result))
        ends = [
            (Fraction(a), Fraction(b)) for a, b in zip(low[0, alive].tolist(), high[0, alive].tolist(), strict=True)
        ]
        for _ in range(12):
            z = [rng.choice([a, b, min(max(a, Fraction(0)), b), a + (b - a) * rng.randrange(9) / 8]) for a, b in ends]
            true = sum((c * max(v, Fraction(0)) for c, v in zip(given, z, strict=True)), Fraction(0))
            assert sum((c * v for c, v in zip(found, z, strict=True)), fixed) <= true, seed
        relaxed = boxes.relaxed("z")
        chords, down = relaxed.chord[0], relaxed.down[0].tolist()
        taken = (np.minimum(row[0, alive[relaxed.kept :]], 0.0) * chords).tolist()
        exact = -sum((Fraction(a) * Fraction(b) for a, b in zip(taken, down, strict=True)), Fraction(0))
        assert abs(Fraction(float(gained[0])) - exact) <= Fraction(float(lost[0])), seed


def rounding_errors_are_charged(interval: SimpleNamespace) -> None:
    """Claims about float32: an interval step, and a bound after it, are off by the op's rounding error, on either side;
    and every region has its own."""
    engine = interval.engine
    for program, value, contract, products, found, table in laws_float32.subjects(
        exact_laws.load(), 3, laws_float32.CONTRACTS[:1]
    ):
        errors = laws_float32.expected_error(value, found, contract, products)
        exact = laws_float32.exact_value(value, found)
        network, key = engine.Network(program), error_of(value.name)
        at_zero = {name: Interval([0] * len(ends.lower), [0] * len(ends.upper), 0) for name, ends in table.items()}
        zero, boxes = engine.Boxes.of(at_zero), engine.Boxes.of(table)
        for one in (zero, boxes):  # what is to be replaced, region by region
            for name in (value.name, key):
                one.lower[name], one.upper[name] = (np.full((1, value.size), end) for end in (-np.inf, np.inf))
        every = frozenset(boxes.lower)
        both = engine.Boxes.stacked(
            [engine.Boxes(zero.lower, zero.upper, every), engine.Boxes(boxes.lower, boxes.upper, every)]
        )
        engine.interval_step(network, both, value.name)
        low, high = both.lower[value.name][1].tolist(), both.upper[value.name][1].tolist()
        rows = 3.0 * np.concatenate([np.eye(value.size), -np.eye(value.size)])
        at, reaches = np.ones(len(rows), dtype=np.intp), engine.reach_of(network, boxes)
        bounds = engine.backward(network, reaches, both, at, {value.name: rows}, np.zeros(len(rows)), {}).tolist()
        for index, (true, error) in enumerate(zip(exact, errors, strict=True)):
            assert Fraction(low[index]) <= true - error, (value.name, contract)
            assert Fraction(high[index]) >= true + error, (value.name, contract)
            assert both.upper[key][0][index] <= both.upper[key][1][index]
            assert Fraction(bounds[index]) <= 3 * (true - error), (value.name, contract)
            assert Fraction(bounds[value.size + index]) <= -3 * (true + error), (value.name, contract)


def overflow_in_float32_is_refused(interval: SimpleNamespace) -> None:
    """Where an execution may overflow, no interval step is taken."""
    graph = exact_laws.affine([[2.0**100, -(2.0**100)]], [0])
    data = to_bytes(graph)
    contract = laws_float32.contract_of(exact_laws.load(), laws_float32.CONTRACTS[0])
    program = kernel.read_program(*data, contract)
    engine, name = interval.engine, program.outputs[0]
    for size, refused in ((2.0**24, False), (2.0**26, True)):
        ends = {"x": np.full((1, 2), size), name: np.full((1, 1), np.inf), error_of(name): np.full((1, 1), np.inf)}
        boxes = engine.Boxes({n: -end for n, end in ends.items()}, dict(ends), frozenset(ends))
        network = engine.Network(program)
        if refused:
            step = partial(engine.interval_step, network, boxes, name)
            exact_laws.refuses(exact_laws.load(), step, "overflow")
        else:
            engine.interval_step(network, boxes, name)


def norms_that_overflow_on_the_way_are_refused(interval: SimpleNamespace) -> None:
    """What a batch norm multiplies x - mean by, before anything is added, is granted room."""
    builder = GraphBuilder()
    given = [builder.parameter(np.float32([v])) for v in (0, 0, 2.0**-40, 0)]
    x = builder.input("x", Type((1, 1), "float32"))
    graph = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=f"1/{2**90}"))
    contract = laws_float32.contract_of(exact_laws.load(), laws_float32.CONTRACTS[0])
    program = kernel.read_program(*to_bytes(graph), contract)
    engine = interval.engine
    shifted = next(name for name, value in program.values.items() if value.rounding and value.rounding.headroom)
    for size, refused in ((2.0**70, False), (2.0**100, True)):
        ends = {"x": np.full((1, 1), size), **{name: np.full((1, 1), np.inf) for name in (shifted, error_of(shifted))}}
        boxes = engine.Boxes({n: -end for n, end in ends.items()}, dict(ends), frozenset(ends))
        step = partial(engine.interval_step, engine.Network(program), boxes, shifted)
        if refused:
            exact_laws.refuses(exact_laws.load(), step, "overflow")
        else:
            step()


def errors_are_each_regions(interval: SimpleNamespace) -> None:
    """Claims about float32: a tree that splits phases alone, whose nodes bound values of inputs that all regions share.
    relu(z0) + relu(z1) <= 2 for z = (x, -x) and |x| <= 2; no phase leaves more than one of them."""
    graph = exact_laws.affine([[1], [-1], [1]], [0, 0, 1], "relu")
    terms = (("relu_0", 0, Fraction(1)), ("relu_0", 1, Fraction(1)))
    steps = exact_laws.machine_steps(graph=graph)
    for entries in ([0, 1], [0, 1, 2]):
        step, payload = written(full(entries, lambda _: Leaf()), [("y", k) for k in range(3)], steps)
        for bound, holds in ((Fraction(33, 16), True), (Fraction(2), False)):
            claim = box(graph, {"x": ([-2], [2])}, [[Inequality(terms, bound)]], "float32")
            program = kernel.read_program(*to_bytes(graph), kernel.contract_of(claim.data))
            certificate = proof(claim.digest, [*steps, step], payload)
            try:
                kernel.check_with(program, claim.data, certificate, interval.interval())
                accepted = True
            except kernel.Rejected:
                accepted = False
            except IndexError as error:
                raise AssertionError(f"a table with rows for other regions: {error}") from None
            assert accepted == holds


def halves_meet(interval: SimpleNamespace) -> None:
    """No part of an input is left out between two halves: |x - 1/16| <= 1/32 is found."""
    graph = exact_laws.affine([[1], [-1]], [0, 0])
    claim = box(
        graph,
        {"x": ([-1], [1])},
        [
            [
                Inequality((("y", 0, Fraction(1)),), Fraction(1, 32)),
                Inequality((("y", 1, Fraction(1)),), Fraction(-3, 32)),
            ]
        ],
    )
    weighted = Leaf([[ONE, 0]]), Leaf([[0, ONE]])
    steps = exact_laws.machine_steps(graph=graph)
    step, payload = written(Split(0, *weighted), [("x", 0)], steps, weighted=True)
    exact_laws.rejected(interval.checker, graph, claim, proof(claim.digest, [*steps, step], payload), "not refuted")


def halves_in_order(interval: SimpleNamespace) -> None:
    """Each half is refuted with its own multipliers: no x is >= 1/8 and <= -1/8."""
    graph = exact_laws.affine([[1], [-1]], [0, 0])
    bad = [[Inequality((("y", k, Fraction(1)),), Fraction(1, 8)) for k in range(2)]]
    claim = box(graph, {"x": ([-1], [1])}, bad)
    steps = exact_laws.machine_steps(graph=graph)
    leaves = Leaf([[ONE, 0]]), Leaf([[0, ONE]])
    for root, holds in ((Split(0, *leaves), True), (Split(0, *leaves[::-1]), False)):
        step, payload = written(root, [("x", 0)], steps, weighted=True)
        certificate = proof(claim.digest, [*steps, step], payload)
        if holds:
            exact_laws.accepted(interval.checker, graph, claim, certificate)
        else:
            exact_laws.rejected(interval.checker, graph, claim, certificate, "not refuted")


def halves_are_cut_by_their_own_split(interval: SimpleNamespace) -> None:
    """Of two nodes one halves x0 and the other x1: no x1 is >= 1/4 and <= -1/4, and either will do where its sign is
    known."""
    graph = exact_laws.affine([[1, 0], [0, 1]], [0, 0])
    bad = [[Inequality((("y", 1, Fraction(sign)),), Fraction(1, 4)) for sign in (1, -1)]]
    claim = box(graph, {"x": ([-1, -1], [1, 1])}, bad)
    either, low, high = (Leaf([[ONE * one, ONE * two]]) for one, two in ((1, 1), (1, 0), (0, 1)))
    steps = exact_laws.machine_steps(graph=graph)
    for root in (
        Split(0, Split(1, low, high), Split(0, either, either)),
        Split(0, Split(0, either, either), Split(1, low, high)),
    ):
        step, payload = written(root, [("x", 0), ("x", 1)], steps, weighted=True)
        exact_laws.accepted(interval.checker, graph, claim, proof(claim.digest, [*steps, step], payload))


def cells(cell: int, width: Fraction) -> tuple[Graph, Claim, bytes, int]:
    """x in [-1, 1] in 2048 cells; the bad set a <= x <= a + width begins within one, the others are refuted for lying
    left or right of it. Also the number of that cell's node. The first cell is halved, so that blocks are joined."""
    graph = exact_laws.affine([[1]], [0])
    start = Fraction(cell, 1024) - 1 + Fraction(1, 3000)
    rows = [Inequality((("y", 0, Fraction(sign)),), sign * (start + (sign < 0) * width), False) for sign in (1, -1)]
    claim = box(graph, {"x": ([-1], [1])}, [rows])
    places = count()

    def leaf(turns: Turns) -> Split | Leaf:
        place = next(places)
        here = Leaf([[ONE * (place <= cell), ONE * (place >= cell)]])
        return here if place else Split(0, here, here)

    root = full([0] * 11, leaf)
    steps = exact_laws.machine_steps(graph=graph)
    step, payload = written(root, [("x", 0)], steps, weighted=True)
    node = [number for number, split in enumerate(preorder(root)[0]) if split < 0][cell + (cell > 0)]
    return graph, claim, proof(claim.digest, [*steps, step], payload), node


def every_leaf_of_many_is_refuted(interval: SimpleNamespace) -> None:
    """More leaves than are worked on together: the bad one is found wherever it is."""
    for cell in (5, 700, 1535, 2047):
        graph, claim, certificate, node = cells(cell, Fraction(1, 4096))
        exact_laws.rejected(interval.checker, graph, claim, certificate, f"node {node}: not refuted")


def disjuncts_of_trees_count(interval: SimpleNamespace) -> None:
    """Each disjunct is refuted at each leaf."""
    fine, attained = exact_laws.above(exact_laws.SUM, 0, 9), exact_laws.above(exact_laws.SUM, 1, 0)
    step, payload = written(Split(0, Leaf(), Leaf()), [("x", 0)], exact_laws.machine_steps())
    for rows in ([[fine], [attained]], [[attained], [fine]], [[fine], [attained], [fine]]):
        claim = box(exact_laws.SUM, exact_laws.UNIT, rows)
        certificate = proof(claim.digest, exact_laws.machine_steps(step), payload)
        exact_laws.rejected(interval.checker, exact_laws.SUM, claim, certificate, "not refuted")


def slopes_are_at_most_1(interval: SimpleNamespace) -> None:
    """The lower line of relu(x) - x is no higher than 0 where x >= 0."""
    graph = exact_laws.affine([[1]], [0], "relu")
    terms = ("relu_0", 0, Fraction(-1)), ("x", 0, Fraction(2))
    claim = box(graph, {"x": ([-1], [2])}, [[Inequality(terms, Fraction(3, 2))]])  # at x = 2: 2 >= 3/2
    step, payload = written(Leaf(slopes=[[128]]), [], listing={"relu_0": [0]})
    certificate = proof(claim.digest, exact_laws.machine_steps(step, graph=graph), payload)
    exact_laws.rejected(interval.checker, graph, claim, certificate, "not refuted")


def dead_where_it_is_used(interval: SimpleNamespace) -> None:
    """That relu(z) is 0 says nothing of z itself: not where a bound is asked of it, nor where z + relu(z) uses it."""
    for residual in (False, True):
        builder = GraphBuilder()
        x = builder.input("x", Type((1,), "float32"))
        one, zero = builder.parameter(np.ones((1, 1), "float32")), builder.parameter(np.zeros(1, "float32"))
        z = builder.node("linear", x, one, zero)
        relu = builder.node("relu", z)
        out = builder.node("add", z, relu) if residual else z
        graph = builder.build(out, relu)
        low = Inequality(((out, 0, Fraction(-1)),), Fraction(3, 2))  # at x = -2: 2 >= 3/2
        claim = box(graph, {"x": ([-2], [-1])}, [[low]])
        close = {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}
        certificate = proof(claim.digest, exact_laws.machine_steps(close, graph=graph))
        exact_laws.rejected(interval.checker, graph, claim, certificate, "not refuted")


def one_alive_entry_is_not_all(interval: SimpleNamespace) -> None:
    """Rows that hold the one entry which is alive are not taken for rows of all: neither on an input that only a ReLU
    uses, nor on a ReLU of a ReLU."""
    for again in (False, True):
        builder = GraphBuilder()
        x = builder.input("x", Type((3,), "float32"))
        relu = builder.node("relu", x)
        if again:
            eye, zeros = builder.parameter(np.eye(3, dtype="float32")), builder.parameter(np.zeros(3, "float32"))
            relu = builder.node("relu", builder.node("relu", builder.node("linear", x, eye, zeros)))
        ones, zero = builder.parameter(np.ones((1, 3), "float32")), builder.parameter(np.zeros(1, "float32"))
        graph = builder.build(builder.node("linear", relu, ones, zero))
        close = {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}
        for alive in range(3):
            ends = ([-2, -2, -2], [-1, -1, -1])
            ends[0][alive], ends[1][alive] = 1, 2  # the sum is in [1, 2]
            for sign, bound in ((1, Fraction(3, 2)), (-1, Fraction(-3, 2))):
                row = Inequality(((graph.outputs[0], 0, Fraction(sign)),), bound, False)
                claim = box(graph, {"x": ends}, [[row]])
                certificate = proof(claim.digest, exact_laws.machine_steps(close, graph=graph))
                exact_laws.rejected(interval.checker, graph, claim, certificate, "not refuted")


def _of_the_kernel(law: Any) -> Any:
    return lambda interval: law(interval.checker)


LAWS = {
    "tables_and_bounds_hold": tables_and_bounds_hold,
    "combinations_are_charged": combinations_are_charged,
    "cancelling_combinations_are_charged": cancelling_combinations_are_charged,
    "sums_over_inputs_are_charged": sums_over_inputs_are_charged,
    "rounding_errors_are_charged": rounding_errors_are_charged,
    "overflow_in_float32_is_refused": overflow_in_float32_is_refused,
    "norms_that_overflow_on_the_way_are_refused": norms_that_overflow_on_the_way_are_refused,
    "errors_are_each_regions": errors_are_each_regions,
    "relaxations_hold": relaxations_hold,
    "far_is_as_far_as_any_region": far_is_as_far_as_any_region,
    "halves_meet": halves_meet,
    "halves_in_order": halves_in_order,
    "halves_are_cut_by_their_own_split": halves_are_cut_by_their_own_split,
    "every_leaf_of_many_is_refuted": every_leaf_of_many_is_refuted,
    "disjuncts_of_trees_count": disjuncts_of_trees_count,
    "slopes_are_at_most_1": slopes_are_at_most_1,
    "dead_where_it_is_used": dead_where_it_is_used,
    "one_alive_entry_is_not_all": one_alive_entry_is_not_all,
    **{
        law.__name__: _of_the_kernel(law)
        for law in (
            exact_laws.every_disjunct_counts,
            exact_laws.both_halves_are_proved,
            exact_laws.cuts_hold,
            exact_laws.every_case_is_proved,
            exact_laws.lemmas_are_proved,
            exact_laws.every_leaf_is_refuted,
            exact_laws.trees_are_trees,
            exact_laws.phases_are_cut,
            exact_laws.tables_are_inherited,
        )
    },
    "false_claims_are_rejected": lambda interval: exact_laws.false_claims_are_rejected(
        interval.checker, ["normal", "eighths", "cancelling"], range(5)
    ),
}
