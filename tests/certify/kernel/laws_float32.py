"""What claims about float32 rest on, as laws that a right kernel obeys and each wrong one of test_mutants breaks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tlverify.certify.certificate import proof, witness
from tlverify.certify.claim import SEMANTICS, Claim, Inequality, box, pixel_robustness
from tlverify.core.binary32 import Execution, Order, run_binary32
from tlverify.graph import Graph, GraphBuilder, Type, to_bytes

from .laws import files, refuses, rejected

CLOSE = {"rule": "close", "multipliers": [["1"]], "slopes": {}, "cuts": []}
CONTRACTS: tuple[dict[str, Any], ...] = (
    {"rounding": "nearest", "subnormals": "any", "operands": "float32", "depth": 0},
    {"rounding": "any", "subnormals": "gradual", "operands": "float32", "depth": 0},
    {"rounding": "nearest", "subnormals": "gradual", "operands": "tf32-rounded", "depth": 0},
    {"rounding": "nearest", "subnormals": "any", "operands": "tf32-truncated", "depth": 0},
    {"rounding": "nearest", "subnormals": "any", "operands": "float32", "depth": 2},
)


def contract_of(kernel, data: dict[str, Any]):
    return kernel.contract.read_contract(dict(data))


def single(op: str, rng: np.random.Generator, power: int = 0) -> tuple[Graph, int]:
    """A graph of one op with parameters of about 2^power, and the products that an entry sums; 0: rounded once."""
    builder = GraphBuilder()

    def values(*shape: int) -> np.ndarray:
        return (rng.integers(-64, 65, shape) / 32 * 2.0**power).astype(np.float32)

    if op == "linear":
        x = builder.input("x", Type((5,), "float32"))
        return builder.build(builder.node(op, x, builder.parameter(values(3, 5)), builder.parameter(values(3)))), 5
    if op == "matmul":
        x = builder.input("x", Type((2, 4), "float32"))
        return builder.build(builder.node(op, x, builder.parameter(values(4, 3)))), 4
    if op == "conv2d":
        x = builder.input("x", Type((2, 3, 3), "float32"))
        attributes = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
        weight, bias = builder.parameter(values(2, 2, 2, 2)), builder.parameter(values(2))
        return builder.build(builder.node(op, x, weight, bias, **attributes)), 8
    if op == "sum":
        x = builder.input("x", Type((4, 3), "float32"))
        return builder.build(builder.node(op, x, axes=(0,), keepdims=0)), 4
    if op == "avg_pool2d":
        x = builder.input("x", Type((1, 3, 3), "float32"))
        more = {"kernel": (3, 3), "stride": (1, 1), "padding": (0, 0, 0, 0), "count_include_pad": 0}
        return builder.build(builder.node(op, x, **more)), 10
    x = builder.input("x", Type((4,), "float32"))
    if op in ("add", "sub"):
        return builder.build(builder.node(op, x, builder.input("y", Type((4,), "float32")))), 0
    if op == "mul":
        return builder.build(builder.node(op, x, builder.parameter(values(4)))), 0
    return builder.build(builder.node(op, x, **{"scale": {"factor": "3/8"}, "leaky_relu": {"slope": "3/8"}}[op])), 0


ROUNDED = ("linear", "matmul", "conv2d", "sum", "avg_pool2d", "add", "sub", "mul", "scale", "leaky_relu")


def expected_error(value: Any, found: dict[str, list[Fraction]], contract: dict[str, Any], products: int) -> list:
    """|e| as the literature has it, from the entries of a value's map; `products` of a sum, 0: rounded once."""
    unit = Fraction(1, 1 << 24) if contract["rounding"] == "nearest" else Fraction(1, 1 << 23)
    operand = Fraction(0)
    if products and contract["operands"] != "float32":
        operand = Fraction(1, 1 << (11 if contract["operands"] == "tf32-rounded" else 10))
        unit = Fraction(1, 1 << 22)
    count = (min(products, contract["depth"]) if contract["depth"] else products) + 1
    gamma = count * unit / (1 - count * unit)
    relative = (1 + 2 * operand + operand**2) * (1 + gamma) - 1
    least = 149 if contract["operands"] == "float32" else 136
    tiny = Fraction(1, 1 << (126 if contract["subnormals"] == "any" else least))
    result = []
    for entry in range(value.size):
        size = (
            Fraction(0) if value.bias is None else abs(value.bias.integers[entry] * Fraction(2) ** value.bias.exponent)
        )
        weights = far = Fraction(0)
        for source, matrix in value.terms:
            x = found[source]
            unit_row = [matrix.forward([int(k == j) for k in range(len(x))])[entry] for j in range(len(x))]
            row = [abs(w) * Fraction(2) ** matrix.exponent for w in unit_row]
            size += sum(w * abs(v) for w, v in zip(row, x, strict=True))
            weights += sum(row)
            far += sum(map(abs, x))
        flushed = tiny * (2 * max(products, len(value.terms)) + 2 + weights + far)
        result.append(relative * size + (1 + gamma) * flushed)
    return result


Subject = tuple[Any, Any, dict[str, Any], int, dict[str, list[Fraction]], dict[str, Any]]
POWERS = ((0, 0), (20, 0), (-130, 0), (-130, 12), (20, -120))
"""Of two in the inputs and the parameters: usual, large, and where underflow of results, of inputs and of parameters is
what counts."""


def subjects(kernel, seed: int, contracts: Sequence[dict[str, Any]] = CONTRACTS) -> Iterator[Subject]:
    """Programs of one op under each contract, the op's value, and its sources at a point, as numbers and intervals."""
    rng = np.random.default_rng(seed)
    for op in ROUNDED:
        for contract in contracts:
            for power, own in POWERS:
                graph, products = single(op, rng, own)
                program = kernel.network.read_program(*to_bytes(graph), contract_of(kernel, contract))
                yield subject(kernel, rng, program, Fraction(2) ** power, contract, products)


def subject(kernel, rng, program, scale: Fraction, contract: dict[str, Any], products: int) -> Subject:
    found: dict[str, list[Fraction]] = {}
    table: dict[str, Any] = {}
    for name, value in program.values.items():
        if value.kind == "input":
            found[name] = [int(v) * scale for v in rng.integers(-99, 100, value.size)]
            table[name] = kernel.arithmetic.enclose(found[name], found[name])
        elif value.kind == "relu":
            found[name] = [max(v, Fraction(0)) for v in found[value.source]]
            table[name] = kernel.program.enclose_value(value, table)
    value = program.values[program.outputs[0]]
    assert value.rounding is not None, value.name
    return program, value, contract, products, found, table


def exact_value(value: Any, found: dict[str, list[Fraction]]) -> list[Fraction]:
    """map(sources) + bias."""
    total = [Fraction(0)] * value.size
    if value.bias is not None:
        total = [b * Fraction(2) ** value.bias.exponent for b in value.bias.integers]
    for source, matrix in value.terms:
        common = max(v.denominator for v in found[source])
        unit = Fraction(2) ** matrix.exponent / common
        moved = matrix.forward([int(v * common) for v in found[source]])
        total = [a + b * unit for a, b in zip(total, moved, strict=True)]
    return total


def errors_are_as_written(kernel) -> None:
    """The error of every rounded op covers the formula, and is no more than that and what is left out of it."""
    for program, value, contract, products, found, table in subjects(kernel, 1):
        expected = expected_error(value, found, contract, products)
        error = kernel.program.enclose_error(value, table)
        for got, most in zip(error.upper, expected, strict=True):
            got *= Fraction(2) ** error.exponent
            assert most <= got, (value.name, contract)
            assert got <= 3 * most + max(expected) / 1000, (value.name, contract)
        assert [-v for v in error.upper] == list(error.lower)
        assert max(error.upper) < 1 << 22
        assert program.contract == contract_of(kernel, contract)


def errors_are_charged(kernel) -> None:
    """A bound at a point is below the exact value by the error at least, on either side, and so is the interval."""
    for program, value, _, _, found, table in subjects(kernel, 2):
        key = kernel.program.error_of(value.name)
        table[key] = kernel.program.enclose_error(value, table)
        wide = kernel.program.enclose_value(value, table)
        table[value.name] = wide
        total = exact_value(value, found)
        errors = [v * Fraction(2) ** table[key].exponent for v in table[key].upper]
        for index, (exact, error) in enumerate(zip(total, errors, strict=True)):
            assert wide.lower[index] * Fraction(2) ** wide.exponent <= exact - error
            assert wide.upper[index] * Fraction(2) ** wide.exponent >= exact + error
            for sign in (3, -3):
                job = kernel.backward.Job({value.name: {index: sign}}, 0, (0, 0), {})
                integer, exponent = kernel.backward.propagate(program, kernel.backward.Bounds(table), job)
                assert integer * Fraction(2) ** exponent <= sign * exact - 3 * error


def claim_of(graph: Graph, low: list, high: list, bad: list, semantics: Any = "float32") -> Claim:
    return box(graph, {"x": (low, high)}, bad).under(semantics)


def absorbing() -> Graph:
    """y = 2^24 x0 + x1 - 2^24 x0: some executions lose x1."""
    builder = GraphBuilder()
    x = builder.input("x", Type((3,), "float32"))
    weight = builder.parameter(np.float32([[2.0**24, 1, -(2.0**24)]]))
    return builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(1, np.float32)), name="y"))


def executions_are_replayed(kernel) -> None:
    """A witness about float32 names its order; only one whose result is bad is accepted."""
    graph, one = absorbing(), [np.ones(3)]
    lost = claim_of(graph, [1, 1, 1], [1, 1, 1], [[Inequality((("y", 0, -1),), 0)]])  # bad: y <= 0
    order = {"block": 2, "fma": 0, "bias_first": 0, "places": [0, 2, 1]}
    assert kernel.api.check(*files(graph, lost, witness(lost.digest, one, {}))).verdict == "falsified"
    rejected(kernel, graph, lost, witness(lost.digest, one, {"y": order}), "not in the bad set")
    rejected(kernel, graph, lost, witness(lost.digest, one), "missing field 'orders'")
    kept = claim_of(graph, [1, 1, 1], [1, 1, 1], [[Inequality((("y", 0, 1),), 1)]])  # bad: y >= 1
    assert kernel.api.check(*files(graph, kept, witness(kept.digest, one, {"y": order}))).verdict == "falsified"
    rejected(kernel, graph, kept, witness(kept.digest, one, {}), "not in the bad set")
    for wrong, reason in (
        ({"y": {**order, "places": [0, 0, 1]}}, "each once"),
        ({"y": {**order, "places": [1, 2, 3]}}, "each once"),
        ({"y": {**order, "block": 1}}, "block is 2 or more"),
        ({"y": {**order, "fma": 2}}, "0 or 1"),
        ({"x": order}, "not a sum of products"),
        ({"z": order}, "not a sum of products"),
    ):
        rejected(kernel, graph, kept, witness(kept.digest, one, wrong), reason)
    between = claim_of(graph, [1, 0, 1], [1, 1, 1], [[Inequality((("y", 0, -1),), 0)]])
    rejected(kernel, graph, between, witness(between.digest, [np.array([1, 1 / 3, 1])], {}), "not a float32 number")
    shallow = claim_of(graph, [1, 1, 1], [1, 1, 1], [[Inequality((("y", 0, -1),), 0)]], {**CONTRACTS[0], "depth": 2})
    rejected(kernel, graph, shallow, witness(shallow.digest, one, {}), "deeper")


def proofs_are_about_executions(kernel) -> None:
    """y > -5 is proved for real numbers, where the kernel's own rounding loses 4. Executions may lose 8 more."""
    graph = absorbing()
    bad = [[Inequality((("y", 0, -1),), 5)]]  # y <= -5
    steps = [{"rule": "interval", "nodes": ["y"]}, CLOSE]
    real = claim_of(graph, [1, 1, 1], [1, 1, 1], bad, "real")
    assert kernel.api.check(*files(graph, real, proof(real.digest, steps))).verdict == "verified"
    every = claim_of(graph, [1, 1, 1], [1, 1, 1], bad)
    rejected(kernel, graph, every, proof(every.digest, steps), "not refuted")
    loose = claim_of(graph, [1, 1, 1], [1, 1, 1], [[Inequality((("y", 0, -1),), 20)]])  # y <= -20
    accepted = kernel.api.check(*files(graph, loose, proof(loose.digest, steps)))
    assert accepted.verdict == "verified"
    assert "every float32 execution" in accepted.statement
    program = kernel.network.read_program(*to_bytes(graph))
    refuses(
        kernel, lambda: kernel.api.check_with(program, loose.data, proof(loose.digest, steps)), "graph was read for"
    )
    program = kernel.network.read_program(*to_bytes(graph), contract_of(kernel, CONTRACTS[0]))
    refuses(kernel, lambda: kernel.api.check_with(program, real.data, proof(real.digest, steps)), "graph was read for")


def flushed_outputs_count(kernel) -> None:
    """relu(x) of the least positive number may be flushed to 0, so it is not proved to be positive."""
    builder = GraphBuilder()
    graph = builder.build(builder.node("relu", builder.input("x", Type((1,), "float32")), name="y"))
    least = Fraction(1, 1 << 149)
    steps = [{"rule": "interval", "nodes": ["y"]}, CLOSE]
    bad = [[Inequality((("y", 0, -1),), 0)]]  # y <= 0
    gradual = {**CONTRACTS[0], "subnormals": "gradual"}
    flush = claim_of(graph, [least], [least], bad)
    rejected(kernel, graph, flush, proof(flush.digest, steps), "not refuted")
    for semantics, end in (("real", least), (gradual, 2 * least), (CONTRACTS[0], Fraction(1, 1 << 125))):
        claim = claim_of(graph, [end], [end], bad, semantics)
        assert kernel.api.check(*files(graph, claim, proof(claim.digest, steps))).verdict == "verified"


def what_has_no_contract_is_refused(kernel) -> None:
    def refused(graph: Graph, reason: str, changed: str = "") -> None:
        structure, stored = to_bytes(graph)
        structure = structure.replace(b"3/8", changed.encode()) if changed else structure
        contract = contract_of(kernel, CONTRACTS[0])
        refuses(kernel, lambda: kernel.network.read_program(structure, stored, contract), reason)

    def in_range(norm: Graph, fits: bool) -> None:
        if fits:
            kernel.network.read_program(*to_bytes(norm), contract_of(kernel, CONTRACTS[0]))
        else:
            refused(norm, "out of the range")

    builder = GraphBuilder()
    refused(builder.build(builder.node("relu", builder.input("x", Type((1,), "float64")))), "need a graph of float32")
    builder = GraphBuilder()
    x = builder.input("x", Type((1,), "float32"))
    graph = builder.build(builder.node("clamp", builder.node("scale", x, factor="3/8"), minimum="-1", maximum="3/8"))
    for changed in (f"{2**25 + 1}/2", "1/3", f"1/{2**150}", str(2**128)):
        refused(graph, "not a float32 number", changed)
    builder = GraphBuilder()
    x = builder.input("x", Type((2, 1), "float32"))
    ones = [builder.parameter(np.ones(2, np.float32)) for _ in range(4)]
    refused(builder.build(builder.node("batch_norm", x, *ones, axis=0, epsilon=f"1/{2**120}")), "out of the range")
    for k, odd in ((0, 2.0**-120), (1, 2.0**-120), (2, 2.0**-120), (2, 2.0**-80), (3, -(2.0**-120))):
        given = [*ones[:k], builder.parameter(np.float32([odd, 1])), *ones[k + 1 :]]
        refused(builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=f"1/{2**90}")), "out of the range")
    under, over = f"{2**24 - 1}/{2**124}", str(2**77 * (2**23 + 1))
    for epsilon, fits in ((f"1/{2**100}", True), (under, False), (str(2**100), True), (over, False)):
        norm = builder.build(builder.node("batch_norm", x, *ones, axis=0, epsilon=epsilon))
        in_range(norm, fits)
    for k in (0, 1, 3):
        for odd, fits in ((2.0**-100, True), (2.0**-100 * (1 - 2.0**-24), False)):
            given = [*ones[:k], builder.parameter(np.full(2, odd, np.float32)), *ones[k + 1 :]]
            norm = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon="1"))
            in_range(norm, fits)
    zero, far = (builder.parameter(np.full(2, v, np.float32)) for v in (0, 2.0**80))
    for odd, fits in ((40, True), (40.25, False)):  # 40 (1 + |c|), where c is next to nothing
        scaled = builder.parameter(np.full(2, odd, np.float32))
        in_range(builder.build(builder.node("batch_norm", x, zero, far, scaled, zero, axis=0, epsilon="1")), fits)
    for k in range(5):  # and not above 2^100; nor is the coefficient
        for odd, fits in ((2.0**100, True), (2.0**100 * (1 + 2.0**-23), False)):
            scaled = builder.parameter(np.full(2, odd * 2.0 ** (-45 * (k == 4)), np.float32))
            given = [*ones[:k], scaled, *ones[k + 1 :]] if k < 4 else [zero, zero, scaled, zero]
            epsilon = "1" if k < 4 else f"1/{2**90}"
            norm = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=epsilon))
            in_range(norm, fits)
    wide = [ones[0], *(builder.parameter(np.full(2, v, np.float32)) for v in (2.0**40, 2.0**6)), ones[3]]
    refused(builder.build(builder.node("batch_norm", x, *wide, axis=0, epsilon="1")), "out of the range")
    for field, value in (
        ("rounding", "up"),
        ("subnormals", "none"),
        ("operands", "bf16"),
        ("depth", -1),
        ("depth", 1 << 20),
    ):
        refuses(kernel, lambda f=field, v=value: contract_of(kernel, {**CONTRACTS[0], f: v}), field)
    refuses(kernel, lambda: contract_of(kernel, {**CONTRACTS[3], "depth": 40}), "depth is 0")
    for data, least in ((CONTRACTS[0], 24), (CONTRACTS[1], 23), (CONTRACTS[2], 22)):  # k u < 1/4, k one more than n
        contract = contract_of(kernel, data)
        refuses(kernel, lambda c=contract, b=least: c.relative((1 << b - 2) - 1), "too long")
        assert contract.relative((1 << least - 2) - 2) > 0


def batch_norms_are_covered(kernel) -> None:
    """Ways to work out a batch norm in float32, as frameworks do, are within its interval at a point."""
    rng, one = np.random.default_rng(9), np.float32(1)
    for number in range(300):
        builder = GraphBuilder()
        x = builder.input("x", Type((2, 3), "float32"))
        mean, factor, bias = (rng.normal(size=2).astype(np.float32) for _ in range(3))
        variance = (rng.random(2) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
        epsilon = np.float32(2.0**-17)
        given = map(builder.parameter, (mean, variance, factor, bias))
        graph = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=f"1/{2**17}"))
        contract = contract_of(kernel, CONTRACTS[0])
        program = kernel.network.read_program(*to_bytes(graph), contract)
        point = (rng.normal(size=(2, 3)) + (mean[:, None] if number % 2 else 0)).astype(np.float32)
        exact = [Fraction(v) for v in point.ravel().tolist()]
        table = {"x": kernel.arithmetic.enclose(exact, exact)}
        for name, value in program.values.items():
            if value.kind == "affine":
                assert value.rounding is not None, name
                table[kernel.program.error_of(name)] = kernel.program.enclose_error(value, table)
                table[name] = kernel.program.enclose_value(value, table)
        m, v, f, b = (p[:, None] for p in (mean, variance, factor, bias))
        root = np.sqrt(v + epsilon)
        near = (one / root) * (one + np.float32(2.0**-22))  # an approximate reciprocal root
        found = table[program.outputs[0]]
        unit = Fraction(2) ** found.exponent
        for result in (
            (point - m) / root * f + b,
            (point - m) * (f / root) + b,
            point * (f / root) + (b - m * (f / root)),
            (point - m) * near * f + b,
            point * (f * near) + (b - m * (f * near)),
        ):
            assert result.dtype == np.float32
            for low, executed, high in zip(found.lower, result.ravel().tolist(), found.upper, strict=True):
                assert low * unit <= Fraction(executed) <= high * unit
        widths = [(high - low) * unit for low, high in zip(found.lower, found.upper, strict=True)]
        sizes = np.abs(f / root) * (np.abs(point) + np.abs(m)) + np.abs(b)
        assert all(w <= Fraction(float(s)) / 2**18 for w, s in zip(widths, sizes.ravel(), strict=True))


def a_deep_op_is_not_made_shallow(kernel) -> None:
    """A promised depth of sums does not take away the other roundings of a mean or a batch norm."""
    rng, loose = np.random.default_rng(4), contract_of(kernel, CONTRACTS[0])
    shallow = contract_of(kernel, {**CONTRACTS[0], "depth": 1})
    builder = GraphBuilder()
    given = [builder.parameter(np.ones(2, np.float32)) for _ in range(4)]
    x = builder.input("x", Type((2, 1), "float32"))
    norm = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon="1/8"))
    for value in kernel.network.read_program(*to_bytes(norm), shallow).values.values():
        assert value.rounding is None or value.rounding.relative >= loose.relative(
            kernel.rules_affine.BATCH_NORM_ROUNDINGS
        )
    for depth in (1, 2, 5):  # and the mean its reciprocal and the product with it
        promised = contract_of(kernel, {**CONTRACTS[0], "depth": depth})
        program = kernel.network.read_program(*to_bytes(single("avg_pool2d", rng)[0]), promised)
        assert program.values[program.outputs[0]].rounding.relative >= loose.relative(depth + 1)


def flush_is_per_use(kernel) -> None:
    """An output may be kept while relu(output) is flushed: that they are equal where positive is not proved."""
    builder = GraphBuilder()
    y = builder.node("scale", builder.input("x", Type((1,), "float32")), factor="1", name="y")
    graph = builder.build(y, builder.node("relu", y, name="z"))
    steps = [{"rule": "interval", "nodes": ["y", "z"]}, CLOSE]
    for bound, proved in ((Fraction(1, 1 << 127), False), (Fraction(1, 1 << 124), True)):
        claim = claim_of(graph, [1], [1], [[Inequality((("y", 0, 1), ("z", 0, -1)), bound)]])
        if proved:
            assert kernel.api.check(*files(graph, claim, proof(claim.digest, steps))).verdict == "verified"
        else:
            rejected(kernel, graph, claim, proof(claim.digest, steps), "not refuted")
    assert flush_is_charged(kernel, lambda b, y: b.node("concat", y, b.node("relu", y), axis=0))
    assert flush_is_charged(kernel, lambda b, y: b.node("broadcast_to", y, shape=(3, 1)))
    assert flush_is_charged(kernel, lambda b, y: b.node("pad", y, before=(1,), after=(0,), value="1"))
    assert flush_is_charged(kernel, lambda b, y: b.node("abs", y))
    assert not flush_is_charged(kernel, lambda b, y: b.node("relu", b.node("reshape", y, shape=(1, 1))))


def flush_is_charged(kernel, make: Callable[[GraphBuilder, str], str]) -> bool:
    """Whether the bad set of an output made of one rounded entry is enlarged."""
    builder = GraphBuilder()
    y = builder.node("scale", builder.input("x", Type((1,), "float32")), factor="1", name="y")
    out = make(builder, y)
    graph = builder.build(out)
    program = kernel.network.read_program(*to_bytes(graph), contract_of(kernel, CONTRACTS[0]))
    claim = kernel.claim.read_claim(claim_of(graph, [1], [1], [[Inequality(((out, 0, 1),), 0)]]).data, program)
    return claim.flushed(program) is not claim.bad


def what_overflows_on_the_way_is_refused(kernel) -> None:
    """The sum under a mean, what a batch norm multiplies first, and an operand that is rounded to TF32 stay finite."""

    def interval(graph: Graph, size: float, contract: dict[str, Any] = CONTRACTS[0]) -> None:
        program = kernel.network.read_program(*to_bytes(graph), contract_of(kernel, contract))
        ends = [Fraction(size)] * program.values["x"].size
        table = {"x": kernel.arithmetic.enclose(ends, ends)}
        for name, value in program.values.items():
            if value.rounding is not None:
                table[kernel.program.error_of(name)] = kernel.program.enclose_error(value, table)
            if value.kind != "input":
                table[name] = kernel.program.enclose_value(value, table)

    mean = single("avg_pool2d", np.random.default_rng(0))[0]
    interval(mean, 2.0**120)
    refuses(kernel, lambda: interval(mean, 2.0**125), "may overflow")
    builder = GraphBuilder()
    x = builder.input("x", Type((1, 1), "float32"))
    given = [builder.parameter(np.float32([v])) for v in (0, 0, 2.0**-40, 0)]
    norm = builder.build(builder.node("batch_norm", x, *given, axis=0, epsilon=f"1/{2**90}"))
    interval(norm, 2.0**70)
    refuses(kernel, lambda: interval(norm, 2.0**100), "may overflow")  # 2^100 / 2^-45
    for weight, size in ((2.0**127, 2.0**-20), (2.0**-20, 2.0**127)):
        builder = GraphBuilder()
        x = builder.input("x", Type((1, 1), "float32"))
        product = builder.build(builder.node("matmul", x, builder.parameter(np.float32([[weight]]))))
        refuses(kernel, lambda g=product, s=size: interval(g, s, CONTRACTS[2]), "may overflow")


def subnormal_operands_lose_bits(kernel) -> None:
    """An operand below the least number of TF32 may be taken as 0, though nothing underflows gradually."""
    for operands in ("tf32-rounded", "tf32-truncated"):
        contract = {"rounding": "nearest", "subnormals": "gradual", "operands": operands, "depth": 0}
        builder = GraphBuilder()
        x = builder.input("x", Type((1, 1), "float32"))
        graph = builder.build(builder.node("matmul", x, builder.parameter(np.float32([[2.0**100]])), name="y"))
        size = Fraction((1 << 11) - 1, 1 << 149)  # below 2^-138, half the least number of TF32 or less
        bad = [[Inequality((("y", 0, -1),), -size * Fraction(2) ** 99)]]  # y <= half of what it is for real numbers
        claim = claim_of(graph, [size], [size], bad, contract)
        steps = [{"rule": "interval", "nodes": ["y"]}, CLOSE]
        rejected(kernel, graph, claim, proof(claim.digest, steps), "not refuted")


def overflow_is_refused(kernel) -> None:
    builder = GraphBuilder()
    x = builder.input("x", Type((2,), "float32"))
    weight = builder.parameter(np.float32([[2.0**100, -(2.0**100)]]))
    graph = builder.build(builder.node("linear", x, weight, builder.parameter(np.zeros(1, np.float32)), name="y"))
    steps = [{"rule": "interval", "nodes": ["y"]}, CLOSE]
    bad = [[Inequality((("y", 0, 1),), Fraction(2) ** 127)]]
    for size, accepted in ((2**24, True), (2**25, False)):
        claim = claim_of(graph, [size, size], [size, size], bad)
        if accepted:
            assert kernel.api.check(*files(graph, claim, proof(claim.digest, steps))).verdict == "verified"
        else:
            rejected(kernel, graph, claim, proof(claim.digest, steps), "overflow")
    large = claim_of(graph, [2.0**28] * 2, [2.0**28] * 2, bad)
    rejected(kernel, graph, large, witness(large.digest, [np.full(2, 2.0**28)], {}), "overflows")


def rounding_is_ieee(kernel) -> None:
    """To the nearest float32 as the machine does it."""
    rng = random.Random(5)
    nearest, quotient = kernel.execution.nearest, kernel.execution.quotient
    for _ in range(4000):
        integer = rng.choice([1, -1]) * rng.getrandbits(rng.randrange(1, 52))
        if rng.random() < 0.3:
            integer = integer << 30 | rng.choice([1 << 29, (1 << 29) - 1, (1 << 29) + 1, 0])
        places = rng.randrange(-60, 90)
        scaled = Fraction(integer) * Fraction(2) ** -places
        found = nearest(integer, places)
        if abs(integer) < 1 << 53:  # float64 has it, so the machine's conversion rounds once
            with np.errstate(under="ignore"):
                expected = np.float32(np.ldexp(float(integer), -places - 149))
            assert Fraction(float(expected)) * 2**149 == found, (integer, places)
        assert abs(found - scaled) <= max(Fraction(1, 2), abs(scaled) / (1 << 24))
        divisor = rng.randrange(1, 300)
        below = abs(quotient(integer, divisor)) * divisor
        assert abs(below - abs(integer)) <= max(Fraction(divisor, 2), Fraction(abs(integer), 1 << 24))


def executions_agree(kernel) -> None:
    """Two implementations that share no code give the same bits, in every order that both can name."""
    rng = np.random.default_rng(3)
    for op in (*ROUNDED, "deep"):
        graph = deep(rng) if op == "deep" else single(op, rng)[0]
        program = kernel.network.read_program(*to_bytes(graph), contract_of(kernel, CONTRACTS[0]))
        sums = [v.name for v in program.values.values() if v.rounding is not None and v.rounding.ordered]
        inputs = [(rng.normal(size=v.shape) * 2.0 ** rng.integers(-70, 20)).astype(np.float32) for v in graph.inputs]
        points = {v.name: [Fraction(float(x)) for x in a.ravel()] for v, a in zip(graph.inputs, inputs, strict=True)}
        padded = op == "conv2d"  # zero products of the padding have places of their own in the other
        for block, fma, bias, reverse in ((1 << 30, 0, 0, 0), (3, 0, 1, 0), (1 << 30, 1, 1, 1), (2, 1, 0, 1)):
            if padded and (block < 1 << 30 or reverse):
                continue
            pairs = max(
                (len(p) for n in sums for p in kernel.execution.rows_of(program.values[n].terms[0][1])), default=0
            )
            if block == 2 and pairs > 4:
                continue  # blocks of blocks are not an order of the other
            if block == 3 and pairs + bias > 9:
                continue
            tree = "sequential" if block > 1000 else "blocked"
            places = list(range(pairs))[::-1] if reverse else []
            order = kernel.execution.Order(block, fma == 1, bias == 1, places)
            if block < 1000 and bias:
                continue  # a bias that comes first is outside the blocks of the other
            found = kernel.execution.execute(program, points, dict.fromkeys(sums, order))
            how = Execution(
                Order(tree, block=block, reverse=bool(reverse)), fma=bool(fma), bias="first" if bias else "last"
            )
            (expected,) = run_binary32(graph, inputs, how)
            got = [float(Fraction(v, 1 << 149)) for v in found[program.outputs[0]]]
            assert got == expected.ravel().astype(float).tolist(), (op, block, fma, bias, reverse)


def deep(rng: np.random.Generator) -> Graph:
    """Every op that is exact between sums."""
    builder = GraphBuilder()
    x = builder.input("x", Type((4,), "float32"))

    def linear(source: str) -> str:
        weight, bias = rng.normal(size=(4, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
        return builder.node("linear", source, builder.parameter(weight), builder.parameter(bias))

    y = builder.node("leaky_relu", linear(x), slope="5/32")
    z = builder.node("abs", linear(y))
    z = builder.node("maximum", z, builder.node("neg", y))
    z = builder.node("clamp", builder.node("minimum", z, x), minimum="-1/4", maximum="3")
    z = builder.node("concat", builder.node("relu", linear(z)), y, axis=0)
    z = builder.node("slice", z, starts=(1,), stops=(8,), steps=(2,))
    z = builder.node("reshape", z, shape=(2, 2))
    return builder.build(linear(builder.node("reshape", builder.node("transpose", z, axes=(1, 0)), shape=(4,))))


def levels_are_levels(kernel) -> None:
    """An input of levels holds the float32 numbers nearest to them, and no other."""
    graph = absorbing()
    (found,) = pixel_robustness(two_classes(), np.array([[9, 7, 5]], np.uint8), [0], 1)
    assert kernel.claim.level(7, 255) == Fraction(float(np.float32(7) / np.float32(255)))
    region = {**found.region[0], "input": "x"}
    claim = claim_of(graph, [0, 0, 0], [1, 1, 1], [[Inequality((("x", 0, 1),), 0)]])
    claim = type(claim)(claim.graph_digest, (region,), claim.lower, claim.upper, claim.bad, claim.semantics)
    point = np.float32([9, 7, 5]) / np.float32(255)
    assert kernel.api.check(*files(graph, claim, witness(claim.digest, [point], {}))).verdict == "falsified"
    for wrong in (point * np.float32(1 + 2**-22), np.float32([9.5, 7, 5]) / np.float32(255)):
        rejected(kernel, graph, claim, witness(claim.digest, [wrong], {}), "outside its range")


def two_classes() -> Graph:
    builder = GraphBuilder()
    x = builder.input("x", Type((3,), "float32"))
    weight, bias = np.float32([[1, 0, 0], [0, 1, 0]]), np.zeros(2, np.float32)
    return builder.build(builder.node("linear", x, builder.parameter(weight), builder.parameter(bias)))


def semantics_have_names(kernel) -> None:
    for name, data in SEMANTICS.items():
        if name != "real":
            assert contract_of(kernel, data)
            assert "float32 execution" in str(contract_of(kernel, data))


LAWS = {
    law.__name__: law
    for law in (
        errors_are_as_written,
        errors_are_charged,
        executions_are_replayed,
        proofs_are_about_executions,
        flushed_outputs_count,
        what_has_no_contract_is_refused,
        batch_norms_are_covered,
        a_deep_op_is_not_made_shallow,
        flush_is_per_use,
        what_overflows_on_the_way_is_refused,
        subnormal_operands_lose_bits,
        overflow_is_refused,
        rounding_is_ieee,
        executions_agree,
        levels_are_levels,
        semantics_have_names,
    )
}
