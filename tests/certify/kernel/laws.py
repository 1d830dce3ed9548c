"""What every kernel must do. A law takes a kernel, the real one or a wrong copy, and fails if the kernel breaks it."""

import importlib
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from tlverify.certify import Claim, Inequality, box
from tlverify.certify.certificate import proof, witness
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .. import exact
from ..examples import FAMILIES, files, random_claim, random_graph, random_proof

PARTS = ("arithmetic", "claim", "errors", "network", "proof", "reader", "rules", "witness")
FAR = Fraction(2) ** 400  # beyond every value of the random graphs
OPS = ("add", "linear", "relu", "reshape")


def load(package: str = "tlverify.certify.kernel") -> SimpleNamespace:
    """The modules of a kernel, and its package as `api`."""
    parts = {part: importlib.import_module(f"{package}.{part}") for part in PARTS}
    return SimpleNamespace(api=importlib.import_module(package), **parts)


def fractions(integers, exponent: int) -> list[Fraction]:
    return [Fraction(value) * Fraction(2) ** exponent for value in integers]


# arithmetic

FLOATS = {
    "F32": [0.0, -0.0, 1.0, -1.5, 2.0**-149, -(2.0**-149), 2.0**-126 - 2.0**-149, 3.4028234663852886e38],
    "F64": [0.0, -0.0, 0.1, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.0, 2.0**52 + 1],
}


def decode_is_exact(kernel) -> None:
    for dtype, code in (("F32", "f"), ("F64", "d")):
        for chosen in (FLOATS[dtype], *([number] for number in FLOATS[dtype]), FLOATS[dtype][:4]):
            data = memoryview(struct.pack(f"<{len(chosen)}{code}", *chosen))
            vector = kernel.arithmetic.decode(dtype, data, "it")
            assert fractions(vector.integers, vector.exponent) == [Fraction(number) for number in chosen]


def packed_is_exact(kernel) -> None:
    rng = random.Random(1)
    for factor_bits in (1, 23, 46):
        top = (1 << factor_bits) - 1
        for count, columns, entry_bits in ((1, 1, 1), (3, 4, 24), (8, 2, 300), (255, 3, 7), (256, 1, 8)):
            limit = (1 << entry_bits) - 1
            extreme = [[rng.choice([limit, -limit]) for _ in range(columns)] for _ in range(count)]
            usual = [[rng.randint(-limit, limit) for _ in range(columns)] for _ in range(count)]
            same = [[-limit] * columns] * count
            for rows in (extreme, usual, same):
                packed = kernel.arithmetic.Packed(rows, columns, factor_bits)
                for factors in (
                    [top] * count,
                    [-top] * count,
                    [rng.randint(-top, top) for _ in range(count)],
                    [0] * count,
                ):
                    expected = [sum(f * row[j] for f, row in zip(factors, rows, strict=True)) for j in range(columns)]
                    assert packed.combine(factors) == expected


def rounding_is_outward(kernel) -> None:
    rng = random.Random(2)
    limit = 1 << kernel.arithmetic.INTERVAL_BITS
    for _ in range(200):
        scales = [rng.choice([1, 10, 44, 60, 200]) for _ in range(3)]
        lower = [rng.randint(-(1 << s), 1 << s) for s in scales]
        upper = [low + rng.choice([0, 1, rng.randrange(1 << s)]) for low, s in zip(lower, scales, strict=True)]
        exponent = rng.randrange(-80, 80)
        given = kernel.arithmetic.Interval(lower, upper, exponent)
        looser = kernel.arithmetic.Interval([v - 1 for v in lower], [v + 1 for v in upper], exponent)
        finer = kernel.arithmetic.Interval([-(1 << 260)] * 3, [1 << 260] * 3, exponent - 9)
        low, high = fractions(lower, exponent), fractions(upper, exponent)
        sevenths = [v / 7 for v in low], [v / 7 for v in high]
        for found, least, most in (
            (kernel.arithmetic.outward(lower, upper, exponent), low, high),
            (kernel.arithmetic.enclose(low, high), low, high),
            (kernel.arithmetic.enclose(*sevenths), *sevenths),
            (kernel.arithmetic.intersect(given, looser), low, high),
            (kernel.arithmetic.intersect(finer, given), low, high),
            (kernel.arithmetic.intersect(given, finer), low, high),
        ):
            _encloses(found, least, most)
            assert all(abs(v) <= limit for v in (*found.lower, *found.upper))


def _encloses(found, low: list[Fraction], high: list[Fraction]) -> None:
    unit = Fraction(2) ** found.exponent
    for a, b, least, most in zip(found.lower, found.upper, low, high, strict=True):
        assert least - 2 * unit < a * unit <= least
        assert most <= b * unit < most + 2 * unit


def weakening_is_charged(kernel) -> None:
    rng = random.Random(3)
    unit_bits = kernel.arithmetic.COEFFICIENT_BITS
    for _ in range(200):
        width = rng.choice([4, unit_bits, unit_bits + 1, unit_bits + 9, 300])
        row = [
            rng.choice([0, 1, -1, (1 << width) - 1, -(1 << width) + 1, rng.randint(-(1 << width), 1 << width)])
            for _ in range(4)
        ]
        lower, upper = _bounds(rng, 4)
        given = kernel.arithmetic.Vector(row, rng.randrange(-9, 9))
        weak, charge = kernel.proof._weaken(given, kernel.arithmetic.Interval(lower, upper, -5))
        assert max(abs(a) for a in weak.integers) <= 1 << unit_bits
        for v in _within(rng, fractions(lower, -5), fractions(upper, -5)):
            left = _dot(fractions(row, given.exponent), v)
            right = _dot(fractions(weak.integers, weak.exponent), v) + fractions(charge.integers, charge.exponent)[0]
            assert right <= left


def least_and_floor_are_exact(kernel) -> None:
    rng = random.Random(4)
    for _ in range(100):
        lower, upper = _bounds(rng, 3)
        row = [rng.randint(-99, 99) for _ in range(3)]
        found = kernel.proof._least(kernel.arithmetic.Vector(row, 3), kernel.arithmetic.Interval(lower, upper, -7))
        expected = sum(min(a * low, a * high) for a, low, high in zip(row, lower, upper, strict=True))
        assert fractions(found.integers, found.exponent) == [Fraction(expected, 16)]
        value, places = rng.randint(-(1 << 40), 1 << 40), rng.randrange(-20, 20)
        expected = Fraction(value) * Fraction(2) ** places // 1
        assert kernel.proof._floor(kernel.arithmetic.Vector([value], places + 5), 5) == expected


def _bounds(rng: random.Random, size: int) -> tuple[list[int], list[int]]:
    """Intervals of every phase: around zero, above, below, single points, and ends of very different size."""
    lower, upper = [], []
    for _ in range(size):
        low, high = sorted(rng.choice([-1, 1]) * rng.randrange(1 << rng.choice([1, 4, 20, 44])) for _ in range(2))
        lower.append(low)
        upper.append(rng.choice([high, high, low]))
    return lower, upper


def _within(rng: random.Random, low: list[Fraction], high: list[Fraction], count: int = 6) -> list[list[Fraction]]:
    shares = [[Fraction(rng.randrange(9), 8) for _ in low] for _ in range(count)]
    shares += [[Fraction(rng.randrange(2)) for _ in low] for _ in range(count)]
    return [[a + (b - a) * s for a, b, s in zip(low, high, share, strict=True)] for share in shares]


def _dot(a, b) -> Fraction:
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


# rows of the op table


def one_node(rng: random.Random, op: str, family: str) -> Graph:
    """A graph whose only node is this op; linear gets several rows of inputs."""
    builder = GraphBuilder()
    dtype = rng.choice(["float32", "float64"])
    shape = (2, 3)
    size = 6
    x = builder.input("x", Type(shape, dtype))
    weights = FAMILIES[family]
    if op == "linear":
        weight = builder.parameter(weights(rng, 4, 3).astype(dtype))
        return builder.build(builder.node(op, x, weight, builder.parameter(weights(rng, 1, 4)[0].astype(dtype))))
    if op == "add":
        constant = builder.parameter(weights(rng, 1, size).reshape(shape).astype(dtype))
        return builder.build(builder.node(op, x, rng.choice([x, constant, builder.input("other", Type(shape, dtype))])))
    return builder.build(builder.node(op, x, **({"shape": (3, 2)} if op == "reshape" else {})))


def op_is_right(kernel, op: str, family: str, rounds: int = 6) -> None:
    """Value exact; interval encloses; backward step below, and equal to, the result where the op is linear."""
    rng = random.Random(f"{op} {family}")
    for _ in range(rounds):
        graph = one_node(rng, op, family)
        network = kernel.network.read_network(*to_bytes(graph), kernel.rules.RULES)
        node, rule = network.nodes[graph.outputs[0]], kernel.rules.RULES[op]
        exponents = {name: rng.randrange(-160, 40) for name in network.inputs}
        bounds = dict(network.constants)
        for name in network.inputs:
            bounds[name] = kernel.arithmetic.Interval(*_bounds(rng, 6), exponents[name])
        found = rule.interval(node, [bounds[name] for name in node.inputs], network)
        low, high = fractions(found.lower, found.exponent), fractions(found.upper, found.exponent)
        tasks = []
        for _ in range(4):
            a = [
                rng.choice([1, -1, -(1 << 22), (1 << 22) - 1, rng.randint(-(1 << 22), 1 << 22), 0])
                for _ in range(node.size)
            ]
            row = kernel.arithmetic.Vector(a, rng.randrange(-9, 9))
            phases = rule.phases(bounds[node.inputs[0]]) if rule.phases else None
            slopes = {i: rng.choice([0, 128, rng.randrange(129)]) for i in range(node.size) if rng.random() < 0.6}
            tasks.append((row, *rule.backward(node, row, network, phases, slopes)))
        inside = [
            dict(zip(network.inputs, parts, strict=True))
            for parts in zip(
                *(
                    _within(rng, fractions(bounds[n].lower, exponents[n]), fractions(bounds[n].upper, exponents[n]))
                    for n in network.inputs
                ),
                strict=True,
            )
        ]
        for point in inside:
            values = exact.values(graph, point)
            result = values[node.name]
            assert all(a <= v <= b for a, v, b in zip(low, result, high, strict=True))
            vectors = [_vector(kernel, values[name]) for name in node.inputs]
            value = rule.value(node, vectors, network)
            assert fractions(value.integers, value.exponent) == result
            for row, taken, gained in tasks:
                left = _dot(fractions(row.integers, row.exponent), result)
                right = fractions(gained.integers, gained.exponent)[0]
                right += sum(_dot(fractions(part.integers, part.exponent), values[name]) for name, part in taken)
                assert right <= left
                assert op == "relu" or right == left


def _vector(kernel, numbers: list[Fraction]):
    exponent = -max(number.denominator.bit_length() - 1 for number in numbers)
    return kernel.arithmetic.Vector([int(number * Fraction(2) ** -exponent) for number in numbers], exponent)


# whole proofs


def proofs_are_sound(kernel, families=tuple(FAMILIES), seeds=range(8), samples: int = 16) -> None:
    """Whatever legal steps a proof takes, no point of the region is closer to the bad set than its margin."""
    for family in families:
        for seed in seeds:
            rng = random.Random(f"{family} {seed}")
            graph = random_graph(rng, family)
            claim = random_claim(rng, graph, FAR)
            certificate, weights = random_proof(rng, graph, claim)
            margin = accepted(kernel, graph, claim, certificate).margin
            for point in exact.points(rng, claim, samples):
                rows = exact.excess(claim, exact.values(graph, point))
                assert margin <= min(-_dot(w, g) for w, g in zip(weights, rows, strict=True)), f"{family} {seed}"


def false_claims_are_rejected(kernel, families=tuple(FAMILIES), seeds=range(6)) -> None:
    """A bound that some point attains exactly is never proved, by any steps."""
    for family in families:
        for seed in seeds:
            rng = random.Random(f"false {family} {seed}")
            graph = random_graph(rng, family)
            open_claim = random_claim(rng, graph, FAR)
            found = [exact.values(graph, point) for point in exact.points(rng, open_claim, 16)]
            reached = max(min(row) for values in found for row in exact.excess(open_claim, values)) + FAR
            bad = [[Inequality(row.terms, reached) for row in rows] for rows in open_claim.bad]
            ranges = {name: (open_claim.lower[name], open_claim.upper[name]) for name in open_claim.lower}
            claim = box(graph, ranges, bad)
            assert any(exact.is_bad(claim, values) for values in found)
            for _ in range(3):
                rejected(kernel, graph, claim, random_proof(rng, graph, claim)[0], "not refuted")


def accepted(kernel, graph: Graph, claim: Claim, certificate: bytes):
    """What the kernel says of a certificate that it must accept."""
    try:
        return kernel.api.check(*files(graph, claim, certificate))
    except (kernel.errors.Rejected, kernel.errors.Malformed) as refusal:
        raise AssertionError(f"refused: {refusal}") from None


def rejected(kernel, graph: Graph, claim: Claim, certificate: bytes, reason: str) -> None:
    """The kernel refuses the certificate, for this reason."""
    refuses(kernel, lambda: kernel.api.check(*files(graph, claim, certificate)), reason)


def refuses(kernel, call: Callable[[], object], reason: str) -> None:
    """The call raises Malformed or Rejected with this reason, in one short printable line."""
    try:
        result = call()
    except (kernel.errors.Malformed, kernel.errors.Rejected) as refusal:
        found = str(refusal)
    else:
        raise AssertionError(f"not refused: expected {reason!r}, found {result}")
    assert reason in found, f"expected {reason!r}, found {found[:300]!r}"
    assert found.isprintable(), f"not one printable line: {found[:300]!r}"
    assert len(found) < 500, f"too long: {found[:300]!r}"


def affine(weight, bias, *after: str) -> Graph:
    """x -> W x + b, and then these ops."""
    builder = GraphBuilder()
    W, b = np.array(weight, "float32"), np.array(bias, "float32")
    value = builder.node(
        "linear",
        builder.input("x", Type((W.shape[1],), "float32")),
        builder.parameter(W),
        builder.parameter(b),
        name="y",
    )
    for op in after:
        value = builder.node(op, value)
    return builder.build(value)


def above(graph: Graph, index: int, bound, strict: bool = False) -> Inequality:
    return Inequality(((graph.outputs[0], index, Fraction(1)),), Fraction(bound), strict)


def simple_proof(graph: Graph, claim: Claim, *multipliers: list[str]) -> bytes:
    close = {"rule": "close", "multipliers": list(multipliers), "slopes": {}}
    return proof(claim.digest, [{"rule": "interval", "nodes": [node.name for node in graph.nodes]}, close])


SUM = affine([[1, 2], [1, -1]], [0.25, 0])  # y0 = x0 + 2 x1 + 1/4, y1 = x0 - x1
UNIT = {"x": ([0, 0], [1, 1])}


def margins_are_exact(kernel) -> None:
    """Where nothing is rounded, the margin is the distance that can be worked out by hand."""
    relu = affine([[1, 1]], [0], "relu")
    wide = {"x": ([-1, -1], [1, 3])}  # its input is in [-2, 4]: chord 4/6, default slope 1

    def row(*coefficients: tuple[str, int, int], bound) -> Inequality:
        return Inequality(tuple((name, i, Fraction(c)) for name, i, c in coefficients), Fraction(bound))

    scale = 1 << 22
    for graph, ranges, rows, multipliers, margin, tolerance in (
        (SUM, UNIT, [[above(SUM, 0, 4)]], [["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 0, 4)], [above(SUM, 1, 2)]], [["1"], ["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 1, 2)], [above(SUM, 0, 4)]], [["1"], ["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[above(SUM, 0, 3), above(SUM, 1, 1)]], [["1/2", "1/2"]], Fraction(3, 8), 0),
        (SUM, UNIT, [[row(("y", 0, 1), ("x", 0, -1), bound=3)]], [["1"]], Fraction(3, 4), 0),
        (SUM, UNIT, [[row(("y", 1, -1), bound=2)]], [["1"]], 1, 0),
        (relu, wide, [[row(("relu_0", 0, scale), bound=5 * scale)]], [["1"]], scale, 8),
        (relu, wide, [[row(("relu_0", 0, -scale), bound=3 * scale)]], [["1"]], scale, 8),
    ):
        claim = box(graph, ranges, rows)
        found = accepted(kernel, graph, claim, simple_proof(graph, claim, *multipliers)).margin
        assert margin - tolerance <= found <= margin


def strictness_matters(kernel) -> None:
    """At a bound that is attained exactly, `>` is refuted with margin 0, `>=` is not; beyond it both are."""
    top = Fraction(13, 4)
    for bound, strict, holds in (
        (top, True, True),
        (top, False, False),
        (top + Fraction(1, 1 << 10), False, True),
        (top - Fraction(1, 1 << 10), True, False),
    ):
        claim = box(SUM, UNIT, [[above(SUM, 0, bound, strict)]])
        certificate = simple_proof(SUM, claim, ["1"])
        if holds:
            assert accepted(kernel, SUM, claim, certificate).margin == bound - top
        else:
            rejected(kernel, SUM, claim, certificate, "not refuted")
    mixed = box(SUM, UNIT, [[above(SUM, 0, top), above(SUM, 1, -9, True)]])
    rejected(kernel, SUM, mixed, simple_proof(SUM, mixed, ["1", "0"]), "not refuted")


def every_disjunct_counts(kernel) -> None:
    fine, attained = above(SUM, 0, 9), above(SUM, 1, 0)
    for rows in ([[fine], [attained]], [[attained], [fine]], [[fine], [attained], [fine]]):
        claim = box(SUM, UNIT, rows)
        rejected(kernel, SUM, claim, simple_proof(SUM, claim, *[["1"]] * len(rows)), "not refuted")


def proofs_cannot_be_moved(kernel) -> None:
    """Not to another claim, and a claim not to another graph."""
    easy, hard = box(SUM, UNIT, [[above(SUM, 0, 9)]]), box(SUM, UNIT, [[above(SUM, 0, 8)]])
    rejected(kernel, SUM, hard, simple_proof(SUM, easy, ["1"]), "it is for claim")
    other = affine([[1, 2], [1, -1]], [0.5, 0])
    rejected(kernel, other, easy, simple_proof(SUM, easy, ["1"]), "it is about graph")
    flat = box(SUM, UNIT, [[above(SUM, 0, 1)]])
    rejected(kernel, SUM, flat, witness(easy.digest, [np.array([1.0, 1.0])]), "it is for claim")


def witnesses_are_replayed(kernel) -> None:
    """In the region and in the bad set, exactly: one unit in the last place decides."""
    third = affine([[1, 0]], [0])
    ranges = {"x": ([0, 0], [Fraction(1, 3), 1])}
    inside, outside = 1 / 3, np.nextafter(1 / 3, 1)
    least = Fraction(inside)
    for value, bound, strict, reason in (
        (inside, least, False, ""),
        (inside, least, True, "not in the bad set"),
        (inside, least + Fraction(1, 1 << 200), False, "not in the bad set"),
        (outside, 0, False, "x[0] is outside"),
        (-5e-324, -1, False, "x[0] is outside"),
    ):
        claim = box(third, ranges, [[above(third, 0, 9)], [above(third, 0, bound, strict)]])
        certificate = witness(claim.digest, [np.array([value, -0.0])])
        if reason:
            rejected(kernel, third, claim, certificate, reason)
        else:
            assert accepted(kernel, third, claim, certificate).verdict == "falsified"


def witness_needs_every_inequality(kernel) -> None:
    claim = box(SUM, UNIT, [[above(SUM, 0, 1), above(SUM, 1, 2)]])
    rejected(kernel, SUM, claim, witness(claim.digest, [np.array([1.0, 0.0])]), "not in the bad set")


LAWS = {
    law.__name__: law
    for law in (
        decode_is_exact,
        packed_is_exact,
        rounding_is_outward,
        weakening_is_charged,
        least_and_floor_are_exact,
        proofs_are_sound,
        false_claims_are_rejected,
        margins_are_exact,
        strictness_matters,
        every_disjunct_counts,
        proofs_cannot_be_moved,
        witnesses_are_replayed,
        witness_needs_every_inequality,
    )
}
