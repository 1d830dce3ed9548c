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
from tlverify.certify.kernel.contract import RELATIVE_BITS
from tlverify.certify.kernel.program import Program, enclose_error, enclose_value, error_of
from tlverify.certify.tree_writer import ONE
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .. import random_trees
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
            network.chunk = 2 if seed % 2 else network.chunk
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


def combinations_are_charged_at_every_leaf(interval: SimpleNamespace) -> None:
    """As before, at the last of 256 leaves worked on together, of which the first is at 0: what rounding is charged by
    there is not what it is at the first."""
    graph, checked = exact_laws.affine([[1]], [0]), 0
    for seed in range(20):
        rng = random.Random(seed)
        first = Fraction(rng.getrandbits(52) | 1 << 52)
        coefficients = first, -first * (1 - Fraction(rng.randrange(40, 64), 1 << 60))
        rows = [Inequality((("x", 0, c),), Fraction(2) ** 28, False) for c in coefficients]
        claim = box(graph, {"x": ([0], [1 << 20])}, [rows])
        word = rng.randrange(512, 1024) + (33 << 10)
        step, payload = written(full([0] * 8, lambda _, word=word: Leaf([[word, word]])), [("x", 0)], weighted=True)
        made = files(graph, claim, proof(claim.digest, exact_laws.machine_steps(step, graph=graph), payload))
        try:
            margin = interval.checker.api.check(*made).margin
        except kernel.Rejected:
            continue
        program, total = kernel.read_program(*to_bytes(graph)), Fraction(0)
        for row in read_claim(claim.data, program).bad[0]:
            ((_, _, c),), bound, exponent = row.integral
            total += Fraction(word & 1023, 512) * Fraction(2) ** exponent * (bound - c * (1 << 20))
        assert margin <= total, seed
        checked += 1
    assert checked > 5, checked


def products_that_cancel_are_charged(interval: SimpleNamespace) -> None:
    """A row on W x whose products with W cancel, at a point of either sign: no bound is above the exact value."""
    engine, size = interval.engine, 16
    for seed in range(40):
        rng = np.random.default_rng(seed)
        weight, row = rng.standard_normal((size, 1)), rng.standard_normal(size)
        weight[1::2], row[1::2] = weight[::2], -row[::2] * (1 + 2.0**-30)
        builder = GraphBuilder()
        x = builder.input("x", Type((1,), "float64"))
        z = builder.node("linear", x, builder.parameter(weight), builder.parameter(np.zeros(size)))
        program = kernel.read_program(*to_bytes(builder.build(z)))
        network, point = engine.Network(program), (-1) ** (seed // 20)
        boxes = engine.Boxes.of({"x": Interval([point], [point], 0), z: Interval([-99] * size, [99] * size, 0)})
        at, reaches = np.zeros(1, dtype=np.intp), engine.reach_of(network, boxes)
        found = engine.backward(network, reaches, boxes, at, {z: row[None]}, np.zeros(1), {})
        pairs = zip(row.tolist(), weight[:, 0].tolist(), strict=True)
        assert Fraction(float(found[0])) <= point * sum(Fraction(a) * Fraction(b) for a, b in pairs), seed


def coefficients_known_to_a_unit_are_charged(interval: SimpleNamespace) -> None:
    """A batch norm's coefficient c = f / 3 of a few units of 2^-60, of either sign: its interval, and bounds after it,
    hold c x; and the error of an execution is relative to c."""
    engine, at = interval.engine, np.zeros(2, dtype=np.intp)
    for factor in (2.0**-57, -(2.0**-57), 2.0**-56):
        builder = GraphBuilder()
        x = builder.input("x", Type((1, 1), "float32"))
        given = [builder.parameter(np.float32([v])) for v in (0, 9 - 2.0**-10, factor, 0)]
        files = to_bytes(builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon="1/1024", name="y")))
        for low, high in ((1.0, 1.0), (-3.0, -3.0), (-2.0, 2.0)):
            true = sorted(Fraction(factor) / 3 * Fraction(end) for end in (low, high))
            far = max(-low, high)
            ends = [
                {**{name: np.full((1, 1), v) for name in ("x", "y#0")}, "y": np.full((1, 1), w)}
                for v, w in ((low, -9.0), (high, 9.0))
            ]
            for contract in (None, laws_float32.contract_of(exact_laws.load(), laws_float32.CONTRACTS[0])):
                program = kernel.read_program(*files, contract)
                network, boxes = engine.Network(program), engine.Boxes(*map(dict, ends), frozenset(["y", "y#e"]))
                for key in ("y#e", "y#0#e"):
                    boxes.lower[key] = boxes.upper[key] = np.zeros((1, 1))
                reaches = engine.reach_of(network, boxes)
                rows = {"y": np.array([[1.0], [-1.0]])}
                found = engine.backward(network, reaches, boxes, at, rows, np.zeros(2), {}).tolist()
                again = engine.Boxes(dict(boxes.lower), dict(boxes.upper), boxes.own)
                engine.rebound(network, reaches, again, "y")
                engine.interval_step(network, boxes, "y")
                for a, b in (
                    (found[0], -found[1]),
                    *((part.lower["y"][0, 0], part.upper["y"][0, 0]) for part in (again, boxes)),
                ):
                    assert Fraction(float(a)) <= true[0], (factor, low, high)
                    assert Fraction(float(b)) >= true[1], (factor, low, high)
                if contract is not None:
                    relative = Fraction(program.values["y"].rounding.relative, 1 << RELATIVE_BITS)
                    assert Fraction(boxes.upper["y#e"][0, 0]) >= relative * abs(Fraction(factor)) / 3 * Fraction(far)


def underflow_is_charged(interval: SimpleNamespace) -> None:
    """Products that are too small for float64: on the way up and on the way down they are not 0."""
    engine, at = interval.engine, np.zeros(2, dtype=np.intp)
    for weight, point, row in ((2.0**-600, 2.0**-600, 1.0), (2.0**-600, 2.0**400, 2.0**-600)):
        builder = GraphBuilder()
        x = builder.input("x", Type((1,), "float64"))
        z = builder.node("linear", x, builder.parameter(np.array([[weight]])), builder.parameter(np.zeros(1)))
        network = engine.Network(kernel.read_program(*to_bytes(builder.build(z))))
        ends = {"x": np.full((1, 1), point)}
        boxes = engine.Boxes({**ends, z: np.full((1, 1), -1.0)}, {**ends, z: np.full((1, 1), 1.0)}, frozenset([z]))
        rows, true = {z: np.array([[row], [-row]])}, Fraction(weight) * Fraction(point)
        found = engine.backward(network, engine.reach_of(network, boxes), boxes, at, rows, np.zeros(2), {}).tolist()
        engine.interval_step(network, boxes, z)
        assert Fraction(found[0]) <= Fraction(row) * true <= -Fraction(found[1]), (weight, point)
        assert Fraction(boxes.lower[z][0, 0]) <= true <= Fraction(boxes.upper[z][0, 0]), (weight, point)


def errors_of_alive_entries_are_charged(interval: SimpleNamespace) -> None:
    """Claims about float32: where a ReLU's first neurons are 0, the error of the one that is not is its own."""
    graph = exact_laws.affine([[1], [1], [2000]], [-8, -8, 0], "relu")
    contract = laws_float32.contract_of(exact_laws.load(), laws_float32.CONTRACTS[0])
    program, engine = kernel.read_program(*to_bytes(graph), contract), interval.engine
    table = Bounds({"x": Interval([1], [1], 0)})
    table[error_of("y")] = enclose_error(program.values["y"], table)
    for name in ("y", "relu_0"):
        table[name] = enclose_value(program.values[name], table)
    network, boxes = engine.Network(program), engine.Boxes.of(table)
    (*_, error), unit = table[error_of("y")].upper, Fraction(2) ** table[error_of("y")].exponent
    rows, at = {"relu_0": np.array([[0.0, 0.0, 1.0]])}, np.zeros(1, dtype=np.intp)
    found = engine.backward(network, engine.reach_of(network, boxes), boxes, at, rows, np.zeros(1), {})
    assert Fraction(float(found[0])) <= 2000 - error * unit


def sums_of_rows_are_charged(interval: SimpleNamespace) -> None:
    """Rows on a value from two of its uses, whole or some entries: what rounding their sum takes at the far ends of any
    region."""
    engine, n = interval.engine, 5
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one, two = rng.standard_normal((2, 3, n))
        two *= 2.0 ** rng.integers(-60, 60, (3, n))
        low = -rng.uniform(size=(2, n)) * 2.0 ** rng.integers(-9, 9, (2, n))
        boxes = engine.Boxes({"v": low}, {"v": low + 1}, frozenset("v"))
        held = None if seed % 2 else np.array([0, 2, 4])
        pending = {"v": one if held is None else one[:, held]}
        a, b = pending["v"].tolist(), (two if held is None else two[:, held]).tolist()
        lost = engine._join(pending, "v", np.array(b), held, boxes)
        far = np.maximum(abs(low), abs(low + 1)).max(0)
        far = (far if held is None else far[held]).tolist()
        for r, found in enumerate(pending["v"].tolist()):
            terms = zip(found, a[r], b[r], far, strict=True)
            off = sum(abs(Fraction(c) - Fraction(x) - Fraction(y)) * Fraction(f) for c, x, y, f in terms)
            assert off <= Fraction(float(lost[r])), seed


def sums_over_values_are_charged(interval: SimpleNamespace) -> None:
    """Many inputs each add a little more than half a unit in the last place, which is rounded up every time: of the
    constant, or of what the first input has added."""
    engine, builder, names = interval.engine, GraphBuilder(), [f"x{k}" for k in range(24)]
    inputs = [builder.input(name, Type((1,), "float64")) for name in names]
    total = inputs[0]
    for other in inputs[1:]:
        total = builder.node("add", total, other)
    network = engine.Network(kernel.read_program(*to_bytes(builder.build(total))))
    one, share = np.ones((1, 1)), 2.0**-53 * (1 + 2.0**-20)
    boxes = engine.Boxes(dict.fromkeys(names, one), dict.fromkeys(names, one), frozenset(names))
    for constant, last in ((1.0, share), (0.0, 1.0)):  # the last one is the first that is worked out
        rows = {name: np.full((1, 1), last if name == names[-1] else share) for name in names}
        at = np.zeros(1, dtype=np.intp)
        found = engine.backward(network, {}, boxes, at, rows, np.full(1, constant), {})
        assert Fraction(float(found[0])) <= Fraction(constant) + Fraction(last) + 23 * Fraction(share)


def relaxations_hold(interval: SimpleNamespace) -> None:
    """A row on a ReLU is below by its row on the input, its constant and its charge, at the ends and at 0 and between,
    for ends and coefficients of any size, in each of two regions; and the constant's own rounding is charged for."""
    engine = interval.engine

    def ends_of(rng: random.Random, n: int) -> tuple[list[float], list[float]]:
        scale = 2.0 ** rng.choice([-1060, 0, 400, 400])
        low = [rng.choice([-1, -rng.random(), 0, rng.random()]) * scale for _ in range(n)]
        return low, [
            max(v, rng.choice([1, 2.0**40, 2.0**-70, 2.0**-1000 * 2.0**-70, rng.random(), 0, -1]) * scale) for v in low
        ]

    for seed in range(2000):
        rng = random.Random(seed)
        n, own = rng.choice([1, 2, 5]), rng.choice([-1060, -1010, 0, 90])
        low, high = (np.array(part) for part in zip(ends_of(rng, n), ends_of(rng, n), strict=True))
        row = np.array([[rng.choice([*[rng.gauss(0, 1)] * 4, -1, 1, 0]) for _ in range(n)]]) * 2.0**own
        slopes = np.array([[rng.choice([np.nan, 0, 1, rng.randrange(129) / 128]) for _ in range(n)]])
        boxes = engine.Boxes({"z": low}, {"z": high}, frozenset("z"))
        alive, at = boxes.relaxed("z").alive, np.array([seed % 2])
        result, gained, lost = engine._relu(boxes, "z", at, row[:, alive], rng.choice([None, slopes]))
        fixed = Fraction(float(gained[0])) - Fraction(float(lost[0]))
        given, found = ([Fraction(v) for v in part[0].tolist()] for part in (row[:, alive], result))
        ends = [
            (Fraction(a), Fraction(b))
            for a, b in zip(low[seed % 2, alive].tolist(), high[seed % 2, alive].tolist(), strict=True)
        ]
        for _ in range(12):
            z = [rng.choice([a, b, min(max(a, Fraction(0)), b), a + (b - a) * rng.randrange(9) / 8]) for a, b in ends]
            true = sum((c * max(v, Fraction(0)) for c, v in zip(given, z, strict=True)), Fraction(0))
            assert sum((c * v for c, v in zip(found, z, strict=True)), fixed) <= true, seed
        relaxed = boxes.relaxed("z")
        chords, down = relaxed.chord[seed % 2], relaxed.down[seed % 2].tolist()
        taken = (np.minimum(row[0, alive[relaxed.kept :]], 0.0) * chords).tolist()
        total = -sum((Fraction(a) * Fraction(b) for a, b in zip(taken, down, strict=True)), Fraction(0))
        assert abs(Fraction(float(gained[0])) - total) <= Fraction(float(lost[0])), seed


def leaves_hold(interval: SimpleNamespace, seeds: Any = range(60)) -> None:
    """Of random trees: see random_trees.py."""
    for seed in seeds:
        for semantics in ("real", "ieee-any-order"):
            random_trees.check(seed, interval, semantics)


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


def inputs_are_cut_in_their_own_unit(interval: SimpleNamespace) -> None:
    """A small input beside a large one: none is >= 3/4 and <= 1/4 of its range."""
    builder = GraphBuilder()
    large, small = (builder.input(name, Type((1,), "float32")) for name in ("large", "small"))
    graph = builder.build(builder.node("add", large, small, name="y"))
    width = Fraction(1, 1 << 30)
    rows = [Inequality(((small, 0, Fraction(sign)),), sign * width * (2 + sign) / 4) for sign in (1, -1)]
    claim = box(graph, {large: ([0], [1 << 20]), small: ([0], [width])}, [rows])
    root = Split(0, Leaf([[ONE, 0]]), Leaf([[0, ONE]]))
    step, payload = written(root, [(small, 0)], weighted=True)
    first = {"rule": "interval", "nodes": ["y"]}
    exact_laws.accepted(interval.checker, graph, claim, proof(claim.digest, [first, step], payload))


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
    "combinations_are_charged_at_every_leaf": combinations_are_charged_at_every_leaf,
    "products_that_cancel_are_charged": products_that_cancel_are_charged,
    "coefficients_known_to_a_unit_are_charged": coefficients_known_to_a_unit_are_charged,
    "underflow_is_charged": underflow_is_charged,
    "errors_of_alive_entries_are_charged": errors_of_alive_entries_are_charged,
    "sums_of_rows_are_charged": sums_of_rows_are_charged,
    "sums_over_values_are_charged": sums_over_values_are_charged,
    "relaxations_hold": relaxations_hold,
    "leaves_hold": leaves_hold,
    "far_is_as_far_as_any_region": far_is_as_far_as_any_region,
    "halves_meet": halves_meet,
    "halves_in_order": halves_in_order,
    "halves_are_cut_by_their_own_split": halves_are_cut_by_their_own_split,
    "inputs_are_cut_in_their_own_unit": inputs_are_cut_in_their_own_unit,
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
